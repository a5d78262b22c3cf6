"""Synthetic performances of knobs: deterministic, in range, and as hands turn knobs."""

from __future__ import annotations

import numpy as np
import pytest

from robojam.corpus.corpus import clean
from robojam.model.event import knob_columns
from robojam.touch import KNOB_RESTS
from robojam.training.knob_performances import minimum_jerk, performances


def test_performances_of_a_seed_are_the_same_and_of_another_differ():
    one, again, other = (performances(3, seed=seed, seconds=10) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.events, again.events)
    assert one.lengths.tolist() != other.lengths.tolist()
    # Each player plays the same, however many there are.
    np.testing.assert_array_equal(
        performances(1, seed=1, seconds=10).events, one.events[: one.lengths[0]]
    )


@pytest.mark.parametrize("knobs", [1, 4, 16])
def test_performances_are_clean_and_every_event_moves_a_knob(knobs):
    corpus = performances(5, seed=3, seconds=20, knobs=knobs)
    assert corpus.columns == knob_columns(knobs)
    assert (corpus.lengths > 20).all()
    cleaned = clean(corpus)
    assert set(cleaned.dropped) <= {"events with dt clipped to 0..5 s"}
    ways = [np.diff(part[:, :knobs], axis=0) for part in corpus.performances()]
    moved = np.concatenate([(way != 0).sum(1) for way in ways])
    assert (moved > 0).all()
    assert (moved == 1).mean() > 0.8
    for part in corpus.performances():
        rate = len(part) / part[:, knobs].sum()
        assert 1 < rate < 120  # events a second, with all rests


def test_rigs_have_one_to_sixteen_knobs_and_the_absent_ones_rest():
    corpus = performances(60, seed=5, seconds=4)
    assert corpus.columns == knob_columns(16)
    sizes = []
    for part in corpus.performances():
        moves = (part[:, :16] != KNOB_RESTS).any(0)
        sizes.append(int(moves.nonzero()[0].max()) + 1)
        assert (part[:, sizes[-1] : 16] == KNOB_RESTS).all()
    assert min(sizes) <= 2
    assert max(sizes) == 16
    assert len(set(sizes)) > 6


def test_hand_reaches_with_minimum_jerk():
    path = minimum_jerk(0.2, 0.8, 101)
    assert path[[0, 50, 100]] == pytest.approx([0.2, 0.5, 0.8])
    speed = np.diff(path)
    assert speed.argmax() in (49, 50)
    assert speed[0] < 0.01 * speed.max()
    assert (speed > 0).all()
