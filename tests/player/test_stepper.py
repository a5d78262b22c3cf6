"""Steppers: single, batch, reference and CUDA graph agree, and share these properties."""

from __future__ import annotations

import math
import sys
import tracemalloc
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import TOUCHES, TRAINED, is_trained, rows, small
from support.steppers import (
    EVENTS,
    SPECS,
    STEPPERS,
    ReferenceStepper,
    arrays,
    events,
    needs_numba,
    random_numbers,
    stepper_parameters,
)

from robojam.model.file import read
from robojam.player.cpu_batch import MAX_BATCH
from robojam.player.reference import Network
from robojam.player.stepper import Stepper

EVERY = stepper_parameters(*(name for name in STEPPERS if name != "quantised reference"))
SAMPLING: dict[str, Any] = {"temperature": 1.0, "spread": 1.0}

#: Operations on a stepper; the numbers choose voices and seed what they are fed.
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["feed", "feed_all", "feed_some", "reset", "restore"]),
        st.integers(0, 1000),
    ),
    max_size=16,
)
VOICES = st.one_of(st.integers(1, 6), st.sampled_from([MAX_BATCH, 2 * MAX_BATCH + 5]))


def feed_each(stepper: Stepper, values: Any) -> None:
    """Advance every voice by an event of its own (V, C)."""
    for voice, event in enumerate(values.tolist()):
        stepper.feed(voice, event)


def some_of(voices: int, number: int) -> list[int]:
    """Return one to all of a stepper's voices, in an order that begins anywhere."""
    return [(number + i) % voices for i in range(1 + number % voices)]


def apply(stepper: Stepper, operation: str, number: int, event: Any) -> None:
    """Apply an operation with its number to a stepper."""
    voices = len(stepper.state.position)
    values = events(event, voices, 1, seed=number)[:, 0]
    match operation:
        case "feed":
            stepper.feed(number % voices, values[0].tolist())
        case "feed_all":
            stepper.feed_all(values[0].tolist())
        case "feed_some":
            some = some_of(voices, number)
            stepper.feed_some(some, values[some].tolist())
        case "reset":
            stepper.reset()
        case "restore":
            kept = deepcopy(stepper.state)
            feed_each(stepper, values)
            stepper.state.write(slice(None), kept)


@stepper_parameters("single", "compiled", "batch", "graph", "graph on a GPU")
@settings(max_examples=60, deadline=None)
@given(
    event=st.sampled_from(SPECS),
    units=st.sampled_from([7, 8, 37]),
    layers=st.integers(1, 3),
    voices=VOICES,
    operations=OPERATIONS,
    sampling=st.sampled_from([(1, 1), (0.5, 2), (0, 0), (3, 0), (0, 2.5)]),
)
def test_every_stepper_agrees_with_the_reference(
    make, event, units, layers, voices, operations, sampling
):
    reference = "quantised reference" if make is STEPPERS["compiled"] else "reference"
    # With several voices, the compiled steps share the rows with unrounded ones.
    voices = 1 if make is STEPPERS["compiled"] else voices
    steppers = [
        build(small(event, units=units, layers=layers), voices)
        for build in (make, STEPPERS[reference])
    ]
    temperature, spread = sampling
    for i, (operation, number) in enumerate([*operations, ("feed", 0)]):
        for stepper in steppers:
            apply(stepper, operation, number, event)
        found, expected = (arrays(stepper.state) for stepper in steppers)
        for mine, its in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, its, rtol=0, atol=5e-5)
        numbers = [random_numbers(event, 1000 * i + voice) for voice in range(voices)]
        some = some_of(voices, number)
        one, other = (
            stepper.sample(
                some, [numbers[v] for v in some], temperature=temperature, spread=spread
            )
            for stepper in steppers
        )
        np.testing.assert_allclose(one, other, rtol=5e-4, atol=5e-4)
        for mine, before in zip(arrays(steppers[0].state), found, strict=True):
            np.testing.assert_array_equal(mine, before)  # sampling changes no state


@EVERY
@EVENTS
def test_feeding_one_voice_leaves_the_others_unchanged(make, event):
    stepper = make(small(event), 3)
    stepper.feed_all(events(event, 1, 1)[0, 0].tolist())
    before = arrays(stepper.state)
    stepper.feed(1, events(event, 1, 1, seed=9)[0, 0].tolist())
    changed = False
    for old, new in zip(before, arrays(stepper.state), strict=True):
        np.testing.assert_array_equal(old[[0, 2]], new[[0, 2]])
        changed |= bool((old[1] != new[1]).any())
    assert changed


@EVERY
@EVENTS
@pytest.mark.parametrize("some", [[1], [4, 2], [0, 1, 2, 3, 4]])
def test_some_voices_hear_as_all_do_and_the_others_stay_unchanged(make, event, some):
    stepper, every = make(small(event), 5), make(small(event), 5)
    before = arrays(stepper.state)
    heard = events(event, 5, 1, seed=9)[:, 0]
    stepper.feed_some(some, heard[some].tolist())
    others = [voice for voice in range(5) if voice not in some]
    for voice in some:
        every.reset()
        every.feed_all(heard[voice].tolist())
        for mine, its in zip(arrays(stepper.state), arrays(every.state), strict=True):
            np.testing.assert_allclose(mine[voice], its[voice], rtol=0, atol=5e-5)
    changed = False
    for old, new in zip(before, arrays(stepper.state), strict=True):
        np.testing.assert_array_equal(old[others], new[others])
        changed |= bool((old[some] != new[some]).any())
    assert changed


@needs_numba
@is_trained
def test_compiled_steps_of_the_default_model_stay_near_the_reference():
    from robojam.player.cpu_compiled import CompiledStepper

    file = read(TRAINED)
    exact = Network(np, file.event, file.weights)
    steppers = CompiledStepper(exact, 1), ReferenceStepper(exact, 1)
    for row in rows(file.event, 300, np.random.default_rng(1)).tolist():
        for stepper in steppers:
            stepper.feed(0, row)
        for mine, its in zip(*(stepper.state.hidden for stepper in steppers), strict=True):
            np.testing.assert_allclose(mine, its, rtol=0, atol=1e-3)


@EVERY
@EVENTS
def test_preparing_changes_no_bit(make, event):
    steppers = make(small(event), 1), make(small(event), 1)
    kept = deepcopy(steppers[0].state)
    for i, row in enumerate(events(event, 1, 12)[0].tolist()):
        if i == 8:
            for stepper in steppers:
                stepper.state.write(slice(None), kept)
        for stepper in steppers:
            stepper.feed(0, row)
        if i % 3:
            steppers[0].prepare()
        numbers = [random_numbers(event, i)]
        one, other = (stepper.sample([0], numbers, **SAMPLING) for stepper in steppers)
        assert one == other
        for mine, its in zip(*(arrays(s.state) for s in steppers), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_prepared_step_of_one_voice_reads_only_half_of_the_weights(monkeypatch):
    stepper, sizes = STEPPERS["single"](small(TOUCHES, units=32), 1), []
    dot = np.dot

    def counting(x, weight, out):
        sizes.append(weight.size)
        return dot(x, weight, out=out)

    monkeypatch.setattr(np, "dot", counting)
    stepper.prepare()
    ahead = sum(sizes)
    sizes.clear()
    stepper.feed(0, events(TOUCHES, 1, 1)[0, 0].tolist())
    assert 0 < sum(sizes) < ahead
    stepper.prepare()
    sizes.clear()
    stepper.prepare()  # there is nothing left to compute
    assert not sizes


@EVERY
def test_restored_state_goes_on_to_the_same_bits(make):
    stepper = make(small(TOUCHES), 4)
    for row in events(TOUCHES, 4, 12).swapaxes(0, 1):
        feed_each(stepper, row)
    kept = deepcopy(stepper.state)
    after = []
    for _ in range(2):
        stepper.state.write(slice(None), kept)
        for row in events(TOUCHES, 4, 3, seed=5).swapaxes(0, 1):
            feed_each(stepper, row)
        stepper.feed(2, [0.1, 0.2, 0.3, 1.0])
        drawn = stepper.sample([2], [random_numbers(TOUCHES, 1)], **SAMPLING)
        after.append([*arrays(stepper.state), np.array(drawn)])
    for one, other in zip(*after, strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
def test_reset_stepper_is_a_new_stepper(make):
    stepper, new = make(small(TOUCHES), 3), make(small(TOUCHES), 3)
    feed_each(stepper, events(TOUCHES, 3, 1)[:, 0])
    stepper.reset()
    for mine, its in zip(arrays(stepper.state), arrays(new.state), strict=True):
        np.testing.assert_array_equal(mine, its)


@EVERY
def test_extreme_events_leave_finite_numbers(make):
    stepper = make(small(TOUCHES), 1)
    for row in ([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1e-9, 1.0], [0.5, 0.5, 1e9, 0.0]):
        stepper.feed(0, row)
        drawn = stepper.sample([0], [random_numbers(TOUCHES, 1)], temperature=10, spread=10)
        assert all(map(math.isfinite, drawn[0]))
    assert all(np.isfinite(array).all() for array in arrays(stepper.state))


@stepper_parameters("graph", "graph on a GPU")
def test_bits_of_a_voice_do_not_depend_on_other_voices(make):
    alone, together = make(small(TOUCHES), 4), make(small(TOUCHES), 4)
    numbers = [random_numbers(TOUCHES, voice) for voice in range(4)]
    for i, row in enumerate(events(TOUCHES, 1, 20)[0].tolist()):
        alone.feed(2, row)
        for voice in (2, (i + 1) % 2, 3):
            together.feed(voice, row if voice == 2 else [0.9, 0.1, 0.02 * i, 1.0])
        expected = alone.sample([2], [numbers[2]], **SAMPLING)[0]
        assert together.sample([0, 1, 2, 3], numbers, **SAMPLING)[2] == expected


@stepper_parameters("single", "compiled")
@pytest.mark.parametrize("voices", [1, 5])
def test_stepping_one_voice_allocates_nothing_that_stays(make, voices):
    """A jam of hours takes no more memory than one of minutes."""
    stepper = make(small(TOUCHES), voices)
    numbers = [random_numbers(TOUCHES, 1)]

    def step() -> None:
        stepper.feed(0, stepper.sample([0], numbers, **SAMPLING)[0])

    def growth(steps: int) -> int:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(steps):
            step()
        return tracemalloc.get_traced_memory()[0] - before

    for _ in range(50):
        step()
    tracemalloc.start()
    try:
        step()
        # Other threads of the process and Python itself allocate, too, but not at each step.
        assert min(growth(500) for _ in range(3)) < 500 * sys.getsizeof(object())
    finally:
        tracemalloc.stop()
