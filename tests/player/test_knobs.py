"""Events of knobs at play: the single stepper agrees with the reference, knobs rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.models import KNOBS, TOUCHES, batch, small
from support.steppers import STEPPERS, arrays, needs_numba, network, random_numbers

from robojam.model.event import knob_event
from robojam.model.mdrnn import EventModel
from robojam.player.cpu_batch import BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.reference import Network
from robojam.touch import KNOB_RESTS

COUNTS = pytest.mark.parametrize("event", KNOBS, ids=lambda event: str(len(event.columns) - 2))
PLAIN: dict[str, Any] = {"temperature": 1.0, "spread": 1.0}
HALF = KNOBS[0].position.noise / 2


def drawn(net: Network, state: Any, count: int, **sampling: float) -> Any:
    """Return events (count, C), drawn for one state with random numbers of their own."""
    many = net.initial(count)
    many.write(slice(0, count), state)
    rng = np.random.default_rng(7)
    uniform = rng.random((count, len(net.heads)), np.float32)
    gauss = rng.standard_normal((count, len(net.event.columns)), np.float32)
    return net.sample(many, uniform, gauss, **(PLAIN | sampling))


@COUNTS
@pytest.mark.parametrize("voices", [1, 3])
@pytest.mark.parametrize("sampling", [(1, 1), (0.5, 2), (0, 0), (3, 0)])
def test_single_steps_of_knobs_agree_with_the_reference(event, voices, sampling):
    model = small(event)
    made = [STEPPERS[name](model, voices) for name in ("single", "reference")]
    temperature, spread = sampling
    values = batch(event, voices, 12).numpy()
    for step in range(12):
        for stepper in made:
            if step % 3 == 0:
                stepper.feed_all(values[0, step].tolist())
            elif step % 3 == 1:
                for voice in range(voices):
                    stepper.feed(voice, values[voice, step].tolist())
            else:
                stepper.feed_some(list(range(voices)), values[:, step].tolist())
            stepper.prepare()
        for mine, its in zip(*(arrays(stepper.state) for stepper in made), strict=True):
            np.testing.assert_allclose(mine, its, rtol=0, atol=5e-5)
        numbers = [random_numbers(event, 100 * step + voice) for voice in range(voices)]
        every = list(range(voices))
        one, other = (
            stepper.sample(every, numbers, temperature=temperature, spread=spread)
            for stepper in made
        )
        np.testing.assert_allclose(one, other, rtol=5e-4, atol=5e-4)
    for stepper in made:
        stepper.reset()
    for mine, its in zip(*(arrays(stepper.state) for stepper in made), strict=True):
        np.testing.assert_array_equal(mine, its)


@COUNTS
@pytest.mark.parametrize("name", ["reference", "single"])
def test_knob_that_is_drawn_within_the_noise_rests(event, name):
    knobs = len(event.columns) - 2
    torch.manual_seed(1)
    model = EventModel(event, units=8).eval()  # as it begins: a knob moves, the others rest
    stepper = STEPPERS[name](model, 1)
    stepper.feed_all(batch(event, 1, 1)[0, 0].tolist())
    last = stepper.state.position[0].copy()
    resting = moving = 0
    for seed in range(200):
        [values] = stepper.sample([0], [random_numbers(event, seed)], **PLAIN)
        ways = np.float32(values[:knobs]) - last
        resting += int((ways == 0).sum())
        moving += int((ways != 0).sum())
        assert (abs(ways[ways != 0]) > 0.999 * event.position.noise).all()
    assert moving > 100
    assert resting > 80 * (knobs - 1)


@COUNTS
def test_change_within_the_noise_is_no_motion(event):
    knobs = len(event.columns) - 2
    for name in ("reference", "single"):
        stepper = STEPPERS[name](small(event), 1)
        first = batch(event, 1, 1)[0, 0].tolist()
        stepper.feed_all(first)
        small_step = [v + 0.9 * event.position.noise for v in first[:knobs]]
        stepper.feed_all([*small_step, 0.02, 1.0])
        assert not stepper.state.velocity.any()
        stepper.feed_all([*(v + 0.1 for v in small_step), 0.02, 0.0])
        np.testing.assert_allclose(stepper.state.velocity, 5, rtol=1e-3)  # after a pause, too


@pytest.mark.parametrize("knobs", [1, 3, 15])
def test_absent_knobs_rest_and_the_others_play(knobs):
    event = KNOBS[-1]
    model = small(event)
    weights = {n: t.detach().numpy() for n, t in model.state_dict().items()}
    net = Network(np, event, weights, knobs=knobs)
    stepper = SingleStepper(net, 1)
    state = net.initial(1)
    rng = np.random.default_rng(0)
    for step in range(5):
        values = np.full((1, 18), KNOB_RESTS + HALF, np.float32)
        values[0, :knobs] = rng.random(knobs)
        values[0, 16:] = 0.02, step > 0
        found = drawn(net, state, 50)
        np.testing.assert_allclose(found[:, knobs:16], KNOB_RESTS + HALF, rtol=0, atol=1e-6)
        assert (found[:, :knobs].std(0) > 0).all()
        numbers = random_numbers(event, step)
        single = stepper.sample([0], [numbers], **PLAIN)
        uniform, gauss = np.float32([numbers[:3]]), np.float32([numbers[3:]])
        np.testing.assert_allclose(
            single, net.sample(state, uniform, gauss, **PLAIN), rtol=5e-4, atol=5e-4
        )
        state = net.feed(state, values)
        stepper.feed_all(values[0].tolist())


def test_component_that_moves_an_absent_knob_is_not_chosen():
    event = knob_event(4, components=4, hidden=8, fewer=True)
    torch.manual_seed(0)
    model = EventModel(event, units=8).eval()  # component k moves knob k
    with torch.no_grad():
        model.head[2].get_parameter("bias")[4:20] *= 8
    weights = {n: t.detach().numpy() for n, t in model.state_dict().items()}
    values = np.float32([[0.3, 0.7, 0.5 + HALF, 0.5 + HALF, 0, 0]])
    for knobs, least in ((None, 0.0), (2, 0.9)):
        net = Network(np, event, weights, knobs=knobs)
        state = net.feed(net.initial(1), values)
        moved = drawn(net, state, 400)[:, :4] != state.position
        if knobs is None:
            assert moved[:, 2:].any(0).all()
        else:
            assert not moved[:, 2:].any()
            assert moved[:, :2].any(1).mean() > least


@pytest.mark.parametrize(
    ("event", "knobs", "message"),
    [
        (KNOBS[-1], 17, "a rig of 17 knobs cannot play a model of 1 to 16 knobs"),
        (KNOBS[-1], 0, "a rig of 0 knobs cannot play a model of 1 to 16 knobs"),
        (KNOBS[2], 3, "a rig of 3 knobs cannot play a model of 4 knobs"),
        (TOUCHES, 2, "a rig of 2 knobs cannot play a model that is of no knobs"),
    ],
)
def test_rig_that_does_not_fit_a_model_is_refused(event, knobs, message):
    weights = {n: t.detach().numpy() for n, t in small(event).state_dict().items()}
    with pytest.raises(ValueError, match=message):
        Network(np, event, weights, knobs=knobs)
    fitting = Network(np, KNOBS[2], weights_of(KNOBS[2]), knobs=4)
    assert fitting.absent is None


def weights_of(event: Any) -> Any:
    return {n: t.detach().numpy() for n, t in small(event).state_dict().items()}


def test_batched_steps_refuse_knobs():
    with pytest.raises(ValueError, match="one by one"):
        BatchStepper(network(small(KNOBS[1])), 2)


@needs_numba
def test_compiled_steps_refuse_knobs():
    from robojam.player.cpu_compiled import CompiledStepper

    with pytest.raises(ValueError, match="one by one"):
        CompiledStepper(network(small(KNOBS[1])), 1)
