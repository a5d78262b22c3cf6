"""The reference steps: numpy and torch agree, and samples follow the model's density."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from support.models import KNOBS, STROKES, TOUCHES, batch, filed, small
from support.steppers import LINE, SPACE, arrays, network

from robojam.mixture import Mixture
from robojam.model import features
from robojam.model.event import EventSpec
from robojam.model.features import components
from robojam.model.mdrnn import EventModel
from robojam.player.reference import Network, RecurrentState

EVENTS = pytest.mark.parametrize(
    "event", [TOUCHES, STROKES, KNOBS[0], KNOBS[2]], ids=lambda e: f"{e.name} {len(e.columns)}"
)
KINDS = pytest.mark.parametrize(
    "event",
    [TOUCHES, STROKES, SPACE, LINE, *KNOBS],
    ids=lambda event: f"{event.name} {len(event.columns)}",
)


def state_after(
    model: EventModel, xp: Any = np, length: int = 12, voices: int = 1
) -> RecurrentState:
    net = network(model, xp)
    state = net.initial(voices)
    for values in batch(model.event, voices, length).unbind(1):
        state = net.feed(state, values.numpy() if xp is np else values)
    return state


@EVENTS
def test_numpy_and_torch_states_are_the_trained_models(event):
    model = small(event)
    values = batch(event, 3, 20)
    with torch.inference_mode():
        _, expected = model(values)
    for state in (state_after(model, np, 20, 3), state_after(model, torch, 20, 3)):
        pairs = [*zip(state.hidden, expected.hidden, strict=True)]
        pairs += [*zip(state.cell, expected.cell, strict=True)]
        pairs += [(state.position, expected.position), (state.velocity, expected.velocity)]
        pairs += [
            (state.previous_velocity, expected.previous_velocity),
            (state.features, expected.features),
        ]
        for mine, its in pairs:
            np.testing.assert_allclose(np.asarray(mine), its.numpy(), rtol=0, atol=3e-6)


def density(factor, mixture, row, last):
    """Return the log density (B,) of a factor of events (B, C)."""
    values = torch.from_numpy(features.pick(row, factor.columns)).double()
    if factor.kind == "duration":
        off = torch.tensor([[-0.5, 0.5]]) * factor.noise
        ends = (
            (values + off).clamp_min(features.LOG_EPSILON).log() - factor.centre
        ) / factor.scale
        if factor.noise:
            middle, width = ends.mean(1, keepdim=True), ends[:, 1:] - ends[:, :1]
            return mixture.interval_log_prob(middle, width) - math.log(factor.noise)
        return mixture.log_prob(ends[:, :1]) - values.log()[:, 0] - math.log(factor.scale)
    target = (values - factor.centre) / factor.scale
    scale = torch.full_like(values[:, :1], factor.scale)
    if factor.slides is not None and last is not None:
        slides = torch.from_numpy((row[:, factor.slides] > 0.5) | factor.follows)[:, None]
        target = torch.where(slides, (values - torch.from_numpy(last)) / factor.step, target)
        scale = torch.where(slides, factor.step, scale)
    if factor.slides is None or not factor.noise:
        return mixture.log_prob(target) - factor.dims * scale[:, 0].log()
    chance = mixture.interval_log_prob(target, factor.noise / scale)
    return chance - factor.dims * math.log(factor.noise)


@KINDS
def test_head_densities_are_those_that_training_computes(event):
    model, rng = small(event), np.random.default_rng(0)
    net = network(model)
    values = rng.random((2, 9, len(event.columns)), np.float32)
    for flag in event.flags:
        values[..., flag] = values[..., flag] > 0.4
    with torch.inference_mode():
        expected, _ = model(torch.from_numpy(values))
    state = net.initial(2)
    for t in range(9):
        row, trunk = values[:, t], net.trunk_output(state)
        for i, factor in enumerate(event.factors):
            out = net.head_output(i, trunk)
            unit = features.normalise(np, factor, row)
            trunk = net.add_context(i, trunk, unit)
            if factor.kind == "flag":
                found = -np.logaddexp(0, (1 - 2 * unit) * out)[:, 0]
            else:
                c = components(
                    np, event, factor, out, row, state.velocity, state.previous_velocity
                )
                parts = (c.logits, c.mean, c.log_scale, c.lower)[: 3 if factor.diagonal else 4]
                mixture = Mixture(*(torch.from_numpy(np.ascontiguousarray(p)) for p in parts))
                found = density(factor, mixture, row, state.position if t else None).numpy()
            np.testing.assert_allclose(found, expected[:, t, i].numpy(), atol=2e-4, rtol=1e-4)
        state = net.feed(state, row)


@KINDS
@pytest.mark.parametrize(("temperature", "spread"), [(1, 1), (0.5, 2), (0, 0), (3, 0)])
def test_numpy_and_torch_samples_agree(event, temperature, spread):
    model, rng = small(event), np.random.default_rng(1)
    nets = network(model), network(model, torch)
    states = [net.initial(5) for net in nets]
    for _ in range(6):
        uniform = rng.random((5, len(event.factors)), np.float32)
        gauss = rng.standard_normal((5, len(event.columns)), np.float32)
        kept = gauss.copy()
        mine, its = (
            net.sample(state, u, z, temperature=temperature, spread=spread)
            for net, state, u, z in zip(
                nets,
                states,
                (uniform, torch.from_numpy(uniform)),
                (gauss, torch.from_numpy(gauss)),
                strict=True,
            )
        )
        np.testing.assert_array_equal(gauss, kept)  # random numbers may be asked for again
        np.testing.assert_allclose(mine, its.numpy(), rtol=2e-4, atol=2e-5)
        fed = mine, torch.from_numpy(mine)
        states = [net.feed(*s) for net, *s in zip(nets, states, fed, strict=True)]


# Samples follow the density


def kolmogorov(found: Any) -> float:
    """Return the Kolmogorov-Smirnov statistic against uniform numbers, times sqrt(n)."""
    u = np.sort(np.asarray(found, np.float64))
    n = len(u)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - u).max(), (u - steps[:-1]).max()) * math.sqrt(n))


def phi(z: Any) -> Any:
    return 0.5 * torch.special.erfc(-torch.as_tensor(z) / math.sqrt(2)).numpy()


def below(
    mix: features.Components, along: Any, value: Any, temperature: float, spread: float
) -> Any:
    """Return P(along · unit < value) for a mixture (N, K, …), under temperature and spread."""
    logits = torch.as_tensor(mix.logits, dtype=torch.float64) / temperature
    weights = logits.softmax(-1).numpy()
    d = mix.mean.shape[-1]
    strict = np.broadcast_to(np.eye(d), (*mix.mean.shape, d)).copy()
    for at, (i, j) in enumerate(zip(*np.tril_indices(d, -1), strict=True)):
        if mix.lower.shape[-1]:
            strict[..., i, j] = mix.lower[..., at]
    factor = np.exp(mix.log_scale.astype(np.float64))[..., None] * strict  # L
    deviation = spread * np.linalg.norm(np.einsum("d,nkde->nke", along, factor), axis=-1)
    mean = np.einsum("d,nkd->nk", along, mix.mean)
    return (weights * phi((value[:, None] - mean) / deviation)).sum(-1)


def without_noise(event: EventSpec) -> EventSpec:
    factors = tuple(structs.replace(factor, noise=0.0) for factor in event.factors)
    return structs.replace(event, factors=factors)


@pytest.mark.parametrize(("temperature", "spread"), [(1.0, 1.0), (0.6, 1.7), (2.0, 0.4)])
@KINDS
def test_samples_follow_the_density(event, temperature, spread):
    n = 20_000
    # Knobs that hardly move are drawn at rest, which is no density: see below.
    event = without_noise(event) if event.name == "knobs" else event
    # A seed whose durations are not below the shortest, where logarithms end.
    model, rng = small(event, seed=4 if event.name == "knobs" else 2), np.random.default_rng(5)
    net = network(model)
    state = net.initial(1)
    for row in rng.random((6, 1, len(event.columns)), np.float32):
        state = net.feed(state, np.where(np.isin(np.arange(row.size), event.flags), 1, row))
    many = net.initial(n)
    many.write(slice(0, n), state)
    uniform = rng.random((n, len(event.factors)), np.float32)
    gauss = rng.standard_normal((n, len(event.columns)), np.float32)
    values = net.sample(many, uniform, gauss, temperature=temperature, spread=spread)
    trunk = net.trunk_output(many)
    for i, factor in enumerate(event.factors):
        out = net.head_output(i, trunk)
        unit = features.normalise(np, factor, values)
        trunk = net.add_context(i, trunk, unit)
        if factor.kind == "flag":
            chance = 1 / (1 + np.exp(-out[:, 0].astype(np.float64) / temperature))
            error = (unit[:, 0] - chance).sum() / math.sqrt((chance * (1 - chance)).sum())
            assert abs(error) < 4
            continue
        mix = components(np, event, factor, out, values, many.velocity, many.previous_velocity)
        if factor.slides is not None:
            slid = (features.pick(values, factor.columns) - many.position) / factor.step
            unit = np.where((values[:, [factor.slides]] > 0.5) | factor.follows, slid, unit)
        d = factor.dims
        axes = np.eye(d)[:: max(1, d // 4)]
        for along in (*axes, np.ones(d), np.arange(1, d + 1) * (-1.0) ** np.arange(d)):
            found = below(mix, along, unit @ along, temperature, spread)
            assert kolmogorov(found) < 1.95, (factor.name, along)  # one in a thousand


@EVENTS
def test_sample_at_temperature_and_spread_zero_is_the_likeliest_mean(event):
    model = small(event, seed=4)
    net, state = network(model), state_after(model)
    rng = np.random.default_rng(0)
    found = [
        net.sample(
            state,
            rng.random((1, len(event.factors)), np.float32),
            rng.standard_normal((1, len(event.columns)), np.float32),
            temperature=temperature,
            spread=0,
        )
        for temperature in (0, 0, 1e-30, 1e-320)
    ]
    trunk, values = net.trunk_output(state), np.zeros_like(found[0])
    for i, factor in enumerate(event.factors):
        out = net.head_output(i, trunk)
        if factor.kind == "flag":
            unit = drawn = (out > 0).astype(np.float32)
        else:
            c = components(
                np, event, factor, out, values, state.velocity, state.previous_velocity
            )
            unit = c.mean[:, c.logits[0].argmax()]
            drawn = unit * factor.scale + factor.centre
            if factor.kind == "duration":
                drawn = np.exp(drawn)
            if factor.follows:
                way = unit * factor.step
                drawn = state.position + np.where(abs(way) > factor.noise, way, 0)
            elif factor.slides is not None and values[0, factor.slides] == 1:
                drawn = state.position + unit * factor.step
        values[:, features.column_index(factor.columns)] = drawn
        trunk = net.add_context(i, trunk, unit)
    for each in found:
        np.testing.assert_allclose(each, values, rtol=1e-5)


def test_samples_are_finite_at_any_temperature_and_spread():
    model = small(TOUCHES)
    net, state = network(model), state_after(model, voices=50)
    rng = np.random.default_rng(0)
    edges = np.float32([0, np.nextafter(np.float32(1), np.float32(0))])
    for temperature in (0, 1e-300, 1e-7, 1e-5, 1, 10):
        for spread in (0, 1, 10):
            found = net.sample(
                state,
                rng.choice(edges, (50, 3)),
                8 * rng.standard_normal((50, 4), np.float32),
                temperature=temperature,
                spread=spread,
            )
            assert np.isfinite(found).all()
            assert (found[:, 2] > 0).all()


def test_component_without_weight_is_never_chosen():
    net = network(small(TOUCHES))
    logits = np.float32([[-200, 0, -200, 0, -200]]).repeat(3, 0)
    u = np.float32([[0], [0.49], [0.999]])
    assert net._choose(logits, u, 1.0).tolist() == [1, 1, 3]


def test_first_event_lands_or_slides_at_a_finite_place():
    model = small(TOUCHES)
    net = network(model)
    uniform, gauss = np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32)
    uniform[1, 0] = 0.999999
    found = net.sample(net.initial(2), uniform, gauss, temperature=1, spread=1)
    assert found[:, 3].tolist() == [1, 0]
    assert np.isfinite(found).all()


def test_state_is_written_by_rows():
    model = small(TOUCHES)
    state, other = state_after(model, voices=3), state_after(model, length=4, voices=1)
    expected = [a.copy() for a in arrays(state)]
    state.write(slice(1, 2), other)
    for found, before, new in zip(arrays(state), expected, arrays(other), strict=True):
        np.testing.assert_array_equal(found[[0, 2]], before[[0, 2]])
        np.testing.assert_array_equal(found[1:2], new)
    for found, new in zip(arrays(state.rows(slice(1, 2))), arrays(other), strict=True):
        np.testing.assert_array_equal(found, new)


def test_adjacent_columns_are_picked_as_a_view():
    values = np.zeros((2, 4), np.float32)
    assert features.pick(values, (1, 2)).base is values
    assert features.pick(values, (0, 2, 3)).shape == (2, 3)
    assert features.column_index((2, 1)) == [2, 1]


@pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])
def test_clipped_nan_stays_nan(xp):
    array = xp.asarray([math.nan, -9.0, 0.5, 9.0])
    found = np.asarray(features.clipped(array, -1, 1))
    np.testing.assert_array_equal(found, [math.nan, -1, 0.5, 1])
    np.testing.assert_array_equal(
        np.asarray(features.clipped(array, 0.25)), [math.nan, 0.25, 0.5, 9]
    )


def test_network_is_built_from_a_model_file():
    file = filed(small(TOUCHES))
    net = Network(np, file.event, file.weights)
    assert net.units == 8
    assert net.trunk_output(net.initial(4)).shape == (
        4,
        sum(f.hidden for f in file.event.factors),
    )
