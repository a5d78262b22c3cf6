"""One voice's lean step is the batch's step: what it remembers, and what it draws."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from support.models import TOUCHES, small
from support.steppers import EVENTS, as_arrays, chances, events, flat, network

from robojam.model.mdrnn import EventModel
from robojam.player.cpu_single import SingleStepper
from robojam.player.reference import Memory


def stepped(
    model: EventModel, length: int = 30, voices: int = 3
) -> tuple[SingleStepper, Memory]:
    """A lean network and a batch's memory that have heard the same."""
    net = network(model)
    lean, memory = SingleStepper(net, voices), net.initial(voices)
    for values in events(model.event, voices, length).swapaxes(0, 1):
        memory = net.feed(memory, values)
        for voice, row in enumerate(values.tolist()):
            lean.feed(voice, row)
    return lean, memory


def agree(lean: SingleStepper, memory: Memory) -> None:
    for mine, its in zip(flat(lean.memory), flat(memory), strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=2e-5)


@EVENTS
@pytest.mark.parametrize("length", [0, 1, 2, 40])
def test_it_remembers_what_a_batch_does(event, length):
    agree(*stepped(small(event), length))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_any_number_of_layers(layers):
    agree(*stepped(EventModel(TOUCHES, units=12, layers=layers)))


@EVENTS
@pytest.mark.parametrize("temperature", [0, 0.5, 1, 3])
@pytest.mark.parametrize("spread", [0, 1, 2.5])
def test_it_draws_what_a_batch_does(event, temperature, spread):
    model = small(event)
    how: dict[str, Any] = {"temperature": temperature, "spread": spread}
    lean, memory = stepped(model)
    for seed in range(40):
        drawn = [chances(event, 10 * seed + voice) for voice in range(3)]
        uniform, gauss = as_arrays(event, drawn)
        expected = network(model).sample(memory, uniform, gauss, **how)
        found = [lean.sample([voice], [one], **how)[0] for voice, one in enumerate(drawn)]
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@EVENTS
def test_it_draws_before_it_has_heard_anything(event):
    model = small(event)
    net = network(model)
    for seed in range(20):
        drawn = [chances(event, seed)]
        expected = net.sample(net.initial(1), *as_arrays(event, drawn), temperature=1, spread=1)
        found = SingleStepper(net, 1).sample([0], drawn, temperature=1, spread=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_to_draw_changes_nothing_and_voices_are_apart():
    lean, _ = stepped(small(TOUCHES))
    before = [a.copy() for a in flat(lean.memory)]
    first = lean.sample([1], [chances(TOUCHES, 1)], temperature=1, spread=1)
    assert lean.sample([1], [chances(TOUCHES, 1)], temperature=1, spread=1) == first
    lean.feed(1, [0.1, 0.2, 0.3, 1.0])
    for mine, its in zip(flat(lean.memory), before, strict=True):
        np.testing.assert_array_equal(mine[[0, 2]], its[[0, 2]])


def test_reset_forgets():
    lean, _ = stepped(small(TOUCHES))
    lean.reset()
    for mine, its in zip(
        flat(lean.memory), flat(SingleStepper(network(small(TOUCHES)), 3).memory), strict=True
    ):
        np.testing.assert_array_equal(mine, its)


def test_wild_values_leave_finite_numbers():
    lean = SingleStepper(network(small(TOUCHES)), 1)
    for row in ([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1e-9, 1.0], [0.5, 0.5, 1e9, 0.0]):
        lean.feed(0, row)
        drawn = lean.sample([0], [chances(TOUCHES, 1)], temperature=10, spread=10)
        assert all(map(math.isfinite, drawn[0]))
    assert all(np.isfinite(a).all() for a in flat(lean.memory))


def test_a_step_leaves_nothing_behind():
    """A jam of hours takes no more memory than one of minutes."""
    lean = SingleStepper(network(small(TOUCHES)), 1)
    drawn = [chances(TOUCHES, 1)]

    def step() -> None:
        lean.feed(0, lean.sample([0], drawn, temperature=1, spread=1)[0])

    for _ in range(50):
        step()
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            step()
        assert tracemalloc.get_traced_memory()[0] - before < 2000
    finally:
        tracemalloc.stop()
