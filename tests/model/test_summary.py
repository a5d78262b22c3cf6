"""Summaries: what a model is given of all that was played."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from support.models import TOUCHES, batch, small
from support.steppers import network

from robojam.model import features
from robojam.model.event import EventSpec, stroke_event
from robojam.model.features import MEANS_START, MOVE_NUMBERS, STROKE_NUMBERS
from robojam.player.reference import RecurrentState

MEANS = structs.replace(TOUCHES, move_means=(0.9, 0.99), landing_means=(0.0, 0.8))
SUMMARY = features.summary_count(MEANS)
LANDINGS = MEANS_START + 2 * (1 + MOVE_NUMBERS)


def play(event: EventSpec, touches: Any, *, heard: Any = True, state: Any = None) -> Any:
    """Return the state of a model of an event after touches (n, 4)."""
    steps = network(small(event))
    state = state or steps.initial(1)
    for row in np.asarray(touches, np.float32):
        state = steps.feed(state, row[None], heard=heard)
    return state


def summary(state: RecurrentState) -> Any:
    return state.features[0, :SUMMARY]


def test_summary_of_a_sequence_is_that_of_its_events_one_by_one():
    values = batch(MEANS, 3, 300)
    values[:, :, 3] = (torch.rand(3, 300) > 0.1).float()
    model = small(MEANS)
    with torch.no_grad():
        *_, after = model.listen(values, model.initial(3))
    for row in range(3):
        stepped = play(MEANS, values[row].numpy())
        np.testing.assert_allclose(
            after.features[row, :SUMMARY].numpy(), summary(stepped), rtol=1e-3, atol=1e-4
        )


def test_means_are_those_of_what_was_played():
    rng = np.random.default_rng(0)
    touches = np.column_stack(
        [rng.random((200, 2)), rng.uniform(0.01, 0.03, 200), np.ones(200)]
    )
    touches[0, 3] = 0.0
    state = summary(play(MEANS, touches))
    weights = 0.99 ** np.arange(198, -1, -1)
    place = MEANS_START + 1 + MOVE_NUMBERS + 1 + 5
    expected = np.average((touches[1:, :2] - 0.5) / 0.25, axis=0, weights=weights)
    assert state[place : place + 2] == pytest.approx(expected, abs=1e-4)
    assert (state[LANDINGS:] == 0).all()  # the first touch is no landing after a stroke


def test_stroke_so_far_begins_again_at_a_landing():
    slide = [[0.2, 0.2, 0, 0], [0.3, 0.2, 0.1, 1], [0.3, 0.4, 0.1, 1]]
    stroke = summary(play(MEANS, slide))[:STROKE_NUMBERS]
    seconds, path, x, y = features.stroke_sums(np, MEANS, stroke)
    assert (seconds, path, x, y) == pytest.approx((0.2, 0.3, 0.1, 0.2), abs=1e-5)
    assert (summary(play(MEANS, [*slide, [0.9, 0.9, 0.5, 0]]))[:STROKE_NUMBERS] == 0).all()


def test_machines_own_play_leaves_the_means_of_a_humans():
    human, machine = batch(MEANS, 2, 60).numpy()
    human[30:, 3] = machine[10:, 3] = 1.0
    human[20, 3] = machine[5, 3] = 0.0
    heard = play(MEANS, human)
    own = play(MEANS, machine, heard=False, state=heard)
    assert (summary(own)[STROKE_NUMBERS:] == summary(heard)[STROKE_NUMBERS:]).all()
    assert (summary(own)[:STROKE_NUMBERS] != summary(heard)[:STROKE_NUMBERS]).any()


def test_means_are_of_the_machines_own_play_until_a_human_has_played():
    touches = batch(MEANS, 1, 60).numpy()[0]
    touches[20, 3] = 0.0
    own, human = (summary(play(MEANS, touches, heard=heard)) for heard in (False, True))
    assert (own[STROKE_NUMBERS:MEANS_START] == 1).all()
    assert (human[STROKE_NUMBERS:MEANS_START] == 0).all()
    assert (own[MEANS_START:] == human[MEANS_START:]).all()


def test_taps_of_a_human_leave_the_means_over_moves_to_the_machine():
    taps = [[0.1 * i, 0.5, 0.3, 0.0] for i in range(4)]
    moves = batch(MEANS, 1, 30).numpy()[0] * [1, 1, 1, 0] + [0, 0, 0, 1]
    heard = play(MEANS, taps)
    own = summary(play(MEANS, moves, heard=False, state=heard))
    assert own[MEANS_START] > 0.9
    assert (own[LANDINGS:] == summary(heard)[LANDINGS:]).all()


def test_means_of_an_event_without_places_are_refused():
    with pytest.raises(ValueError, match="two dimensions"):
        structs.replace(stroke_event(), move_means=(0.9,))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_of_means_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay"):
        structs.replace(TOUCHES, landing_means=(decay,))
