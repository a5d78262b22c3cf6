"""Many voices' step as one batch on the CPU is the network's: remembered, and drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.models import TOUCHES, small
from support.steppers import EVENTS, as_arrays, chances, events, flat, network

from robojam.model.mdrnn import EventModel
from robojam.player.cpu_batch import MOST, BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.state_layout import StateLayout


def sung(
    model: EventModel, voices: int, length: int = 12
) -> tuple[BatchStepper, StateLayout, Any, Any]:
    """A chorus, its rows, and the memory of a network that has heard the same."""
    net = network(model)
    rows = StateLayout(net)
    chorus, state, memory = BatchStepper(net, rows), rows.blank(voices), net.initial(voices)
    for values in events(model.event, voices, length).swapaxes(0, 1):
        memory = net.feed(memory, values)
        chorus.feed(state, values)
    return chorus, rows, state, memory


@EVENTS
@pytest.mark.parametrize("voices", [1, 3, MOST, 2 * MOST + 5])
def test_it_remembers_what_the_network_does(event, voices):
    _, rows, state, memory = sung(small(event), voices)
    for mine, its in zip(flat(rows.memory(state)), flat(memory), strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=2e-5)


@pytest.mark.parametrize("units", [7, 12, 37, 64, 100])
@pytest.mark.parametrize("layers", [1, 3])
def test_layers_of_any_size_and_number(units, layers):
    _, rows, state, memory = sung(EventModel(TOUCHES, units=units, layers=layers), 5)
    for mine, its in zip(flat(rows.memory(state)), flat(memory), strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=2e-5)


@EVENTS
@pytest.mark.parametrize("voices", [1, MOST + 3])
@pytest.mark.parametrize(("temperature", "spread"), [(1, 1), (0.5, 2), (0, 0), (3, 0)])
def test_it_draws_what_the_network_does(event, voices, temperature, spread):
    model = small(event)
    how: dict[str, Any] = {"temperature": temperature, "spread": spread}
    chorus, _, state, memory = sung(model, voices)
    before = state.copy()
    for seed in range(10):
        drawn = [chances(event, 100 * seed + voice) for voice in range(voices)]
        expected = network(model).sample(memory, *as_arrays(event, drawn), **how)
        found = chorus.sample(state, drawn, **how)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_array_equal(state, before)


@EVENTS
def test_a_voice_alone_and_in_a_batch_agree(event):
    """To 1e-5 a step: each is put back onto the other's state before the next."""
    model = small(event)
    net = network(model)
    rows = StateLayout(net)
    chorus, lean = BatchStepper(net, rows), SingleStepper(net, 9)
    for values in events(event, 9, 30).swapaxes(0, 1):
        together = lean.state.copy()
        chorus.feed(together, values)
        for voice, row in enumerate(values.tolist()):
            lean.feed(voice, row)
        np.testing.assert_allclose(together, lean.state, rtol=0, atol=1e-5)


def test_what_is_put_back_goes_on_as_it_was():
    chorus, _, state, _ = sung(small(TOUCHES), 4)
    kept, values = state[[2]].copy(), events(TOUCHES, 1, 3)
    after = []
    for _ in range(2):
        some = kept.copy()
        for row in values.swapaxes(0, 1):
            chorus.feed(some, row)
        after.append(some)
    np.testing.assert_array_equal(*after)
    assert (after[0] != kept).any()
