"""Held-out data: one performance in ten, or the end of a single one."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.models import STROKES, TOUCHES, corpus

from robojam.corpus.corpus import Corpus, clean
from robojam.corpus.split import split
from robojam.model.event import TOUCH


def jam(count: int, *pauses: tuple[int, float]) -> Corpus:
    """Return a performance with a touch every 0.02 s, x counting, and landings after pauses."""
    events = np.full((count, 4), 0.5)
    events[:, 0] = np.arange(count) / count
    events[:, 2:] = 0.02, 1
    events[:1, 2:] = 0
    for at, pause in pauses:
        events[at, 2:] = pause, 0
    return Corpus(events, np.array([count]), TOUCH, "jam.jsonl", "0")


@pytest.mark.parametrize(("count", "held"), [(9, [0]), (10, [9]), (25, [9, 19])])
def test_every_tenth_performance_is_held_out(count, held):
    lengths = list(range(2, 2 + count))
    data = corpus(TOUCHES, lengths)
    rest, out = split(data, every=10)
    assert out.lengths.tolist() == [lengths[i] for i in held]
    assert sorted(rest.lengths.tolist() + out.lengths.tolist()) == lengths
    np.testing.assert_array_equal(next(out.performances()), list(data.performances())[held[0]])
    assert out.name == "every 10th performance of made"
    assert rest.columns == out.columns == TOUCH


def test_single_long_performance_is_cut_at_a_landing_after_a_pause():
    data = jam(1000, (400, 5.0), (880, 0.4), (930, 0.9), (990, 3.0))
    rest, out = split(data, every=10)
    assert (rest.lengths.tolist(), out.lengths.tolist()) == ([930], [70])
    np.testing.assert_array_equal(rest.events, data.events[:930])
    np.testing.assert_array_equal(out.events[1:], data.events[931:])
    # A performance of its own: it lands, and nothing was before it.
    assert out.events[0].tolist() == [0.93, 0.5, 0, 0]
    assert data.events[930, 2] == 0.9
    assert out.name == "the last 4.4 s, after a pause of 0.9 s, of jam.jsonl"


def test_performance_without_a_pause_is_cut_within_a_stroke():
    rest, out = split(jam(1000), every=10)
    assert (rest.lengths.tolist(), out.lengths.tolist()) == ([900], [100])
    assert out.events[0, 2:].tolist() == [0, 0]
    assert out.name == "the last 2.0 s of jam.jsonl"
    rest, out = split(jam(1000, (300, 1.0)), every=10)  # the only landing is far away
    assert (rest.lengths.tolist(), out.lengths.tolist()) == ([300], [700])


@pytest.mark.parametrize(
    ("dt", "message"),
    [(0.02, "2.0 s"), (0.2, "20 s"), (1.0, "1 min 39 s"), (5.0, "8 min 15 s")],
)
def test_name_of_the_held_out_end_states_its_duration(dt, message):
    data = jam(1000)
    data.events[1:, 2] = dt
    assert split(data, every=10)[1].name == f"the last {message} of jam.jsonl"


def test_long_performance_beside_short_ones_is_cut_and_the_short_ones_are_trained_on():
    short, long = corpus(TOUCHES, [20, 30]), jam(1000, (880, 1.0))
    data = Corpus(
        np.concatenate([short.events[:20], long.events, short.events[20:]]),
        np.array([20, 1000, 30]),
        TOUCH,
        "jams",
        "0",
    )
    rest, out = split(data, every=10)
    assert (rest.lengths.tolist(), out.lengths.tolist()) == ([20, 880, 30], [120])
    np.testing.assert_array_equal(list(rest.performances())[2], short.events[20:])
    assert out.name == "the last 2.4 s, after a pause of 1 s, of performance 2 of jams"


def test_pen_strokes_are_cut_where_the_pen_was_lifted():
    data = corpus(STROKES, [100])
    rest, out = split(data, every=10)
    assert rest.events[-1, 2] == 1
    np.testing.assert_array_equal(np.concatenate([rest.events, out.events]), data.events)
    assert re.fullmatch(r"the last \d+ points of made", out.name)


@given(lengths=st.lists(st.integers(2, 40), min_size=1, max_size=5), every=st.integers(2, 20))
def test_both_parts_of_a_split_hold_clean_performances(lengths, every):
    data = corpus(TOUCHES, lengths)
    if len(lengths) == 1 and lengths[0] < 4:
        with pytest.raises(ValueError, match="too short to be cut"):
            split(data, every=every)
        return
    parts = split(data, every=every)
    assert sum(len(part.events) for part in parts) == sum(lengths)
    for part in parts:
        assert (part.lengths >= 2).all()
        assert part.lengths.sum() == len(part.events) > 0
        assert clean(part).dropped == {}


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([], "few has no performance"), ([3], "few has one performance .* too short to be cut")],
)
def test_split_of_too_little_data_is_refused(lengths, message):
    data = Corpus(np.zeros((sum(lengths), 4)), np.array(lengths, np.int64), TOUCH, "few", "0")
    with pytest.raises(ValueError, match=message):
        split(data, every=10)
