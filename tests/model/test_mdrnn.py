"""The MDN-RNN over an event: exact densities, of sequences and of single steps."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from support import has_corpus
from support.models import (
    STROKES,
    TOUCHES,
    TRAINED,
    batch,
    corpus,
    dequantised,
    described,
    is_trained,
    small,
)
from torch import Tensor

from robojam.corpus import corpus as corpora
from robojam.corpus import formats
from robojam.mixture import Mixture
from robojam.model import features
from robojam.model import mdrnn as models
from robojam.model.event import EventSpec, stroke_event, touch_event
from robojam.model.file import shapes
from robojam.model.mdrnn import Dropout, EventModel, ModelState

EVENTS = pytest.mark.parametrize("event", [TOUCHES, STROKES], ids=["touch", "stroke"])


def stepwise(model: EventModel, values: Tensor) -> Tensor:
    """Return the densities (B, T, factors), computed event by event."""
    state: ModelState | None = None
    parts = []
    for t in range(values.shape[1]):
        found, state = model(values[:, t : t + 1], state)
        parts.append(found)
    return torch.cat(parts, 1)


@EVENTS
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_steps_equal_the_whole_sequence(event, dtype, error):
    model = small(event).to(dtype)
    values = batch(event, 4, 40).to(dtype)
    values[..., event.flags[0]].masked_fill_(torch.rand(4, 40) < 0.2, 0)
    with torch.inference_mode():
        whole, _ = model(values)
        each = stepwise(model, values)
    assert whole.shape == (4, 40, len(event.factors))
    # Relative to the density's own size: a float32 of -1000 nats has no digit at 1e-5.
    torch.testing.assert_close(each, whole, rtol=error, atol=error)


@is_trained
def test_steps_equal_the_whole_sequence_for_the_default_model():
    """Tolerance: 1e-9 in float64; 1e-3 in float32, as distant narrow components cost digits."""
    model, _ = models.load(TRAINED)
    values = batch(model.event, 3, 60)
    with torch.inference_mode():
        torch.testing.assert_close(
            stepwise(model, values), model(values)[0], rtol=1e-5, atol=1e-3
        )
        model, values = model.double(), values.double()
        torch.testing.assert_close(
            stepwise(model, values), model(values)[0], rtol=1e-9, atol=1e-9
        )


@is_trained
@has_corpus
def test_steps_equal_the_whole_sequence_on_the_corpus():
    model, _ = models.load(TRAINED)
    data = corpora.clean(formats.read(TRAINED.parents[2] / "shared/corpus/microjam_val.npz"))
    ends = np.cumsum(data.lengths)
    start = int(ends[np.flatnonzero(data.lengths >= 100)[0]] - 100)
    values = torch.from_numpy(dequantised(data)[start : start + 100])[None]
    with torch.inference_mode():
        single = (stepwise(model, values.float()) - model(values.float())[0]).abs().max()
        assert float(single) < 1e-3
        model = model.double()
        double = (stepwise(model, values) - model(values)[0]).abs().max()
        assert float(double) < 1e-9


@EVENTS
@pytest.mark.parametrize("at", [1, 7, 19])
def test_sequence_split_anywhere_has_the_same_density(event, at):
    model = small(event).double()
    values = batch(event, 3, 20).double()
    with torch.inference_mode():
        whole, end = model(values)
        first, state = model(values[:, :at])
        second, after = model(values[:, at:], state)
        parts, flagless, _ = model.flagless(values)
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)
        torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-9)
        torch.testing.assert_close(
            torch.cat(
                [model.flagless(values[:, :at])[1], model.flagless(values[:, at:], state)[1]], 1
            ),
            flagless,
            rtol=0,
            atol=1e-9,
        )
    for name in ModelState.__slots__:
        torch.testing.assert_close(getattr(after, name), getattr(end, name), rtol=0, atol=1e-12)


@EVENTS
def test_later_events_do_not_change_earlier_densities(event):
    model, values = small(event), batch(event, 2, 12)
    other = values.clone()
    other[:, 7:] = batch(event, 2, 12, seed=9)[:, 7:]
    with torch.inference_mode():
        torch.testing.assert_close(model(values)[0][:, :7], model(other)[0][:, :7])


@EVENTS
def test_flagless_density_is_the_sum_over_the_flag(event):
    model, values = small(event).double(), batch(event, 2, 5).double()
    with torch.inference_mode():
        for t in range(5):  # the events before keep their own flags
            _, state = model(values[:, :t]) if t else (None, None)
            joint = []
            for flag in (0.0, 1.0):
                guess = values[:, t : t + 1].clone()
                guess[..., event.flags[0]] = flag
                joint.append(model(guess, state)[0].sum(-1))
            torch.testing.assert_close(
                model.flagless(values)[1][:, t], torch.logsumexp(torch.cat(joint, 1), 1)
            )


# Densities integrate to one


def repeated(state: ModelState, count: int) -> ModelState:
    """Repeat a state, once for each candidate of the next event."""
    return ModelState(
        state.hidden.expand(-1, count, -1),
        state.cell.expand(-1, count, -1),
        *(
            t.expand(count, -1)
            for t in (state.position, state.velocity, state.previous_velocity, state.features)
        ),
    )


def after(model: EventModel, length: int) -> ModelState:
    """Return the state after a number of events."""
    state = model.initial(1)
    if length:
        values = batch(model.event, 1, length, seed=3).to(model.start.dtype)
        if model.event is TOUCHES:  # slowly, that the next slide is a short one
            values[..., :2] = 0.5 + 0.3 * (values[..., :2] - 0.5)
        _, state = model(values, state)
    return state


def grid(reach: float, points: int) -> tuple[Tensor, float]:
    """Places (points², 2) over ±reach, and the area that each stands for."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


@pytest.mark.parametrize(("seed", "length"), [(0, 0), (0, 1), (0, 6), (1, 6)])
def test_touches_integrate_to_one(seed, length):
    """The integral over x, y, dt and phase is a sum over a grid that is uniform in log dt."""
    model = small(TOUCHES, seed=seed).double()
    with torch.inference_mode():
        # No component too narrow for the grid or too far off it: dt about 18 ms.
        for factor, head in zip(TOUCHES.factors[1:], model.head[1:], strict=True):
            head.get_parameter("weight").mul_(0.4)
            width = 1 + factor.dims, 1 + 2 * factor.dims
            scales = slice(*(factor.components * w for w in width))
            head.get_parameter("bias")[scales] = -1.2 if factor.dims == 1 else 0.1
        state = after(model, length)
        units, area = grid(16, 97)
        place = TOUCHES.factors[2]
        log_dt = torch.linspace(-7.5, -0.5, 36, dtype=torch.float64)
        total = torch.zeros(2, dtype=torch.float64)
        for moving in (0, 1):
            slides = moving and length > 0
            scale = place.step if slides else place.scale
            places = (state.position if slides else place.centre) + units * scale
            for seconds in log_dt.exp():
                values = torch.empty(len(places), 1, 4, dtype=torch.float64)
                values[:, 0, :2] = places
                values[:, 0, 2], values[:, 0, 3] = seconds, moving
                parts, _ = model(values, repeated(state, len(places)))
                cell = area * scale**2 * seconds * (log_dt[1] - log_dt[0])
                total[moving] += parts.sum(-1).exp().sum() * cell
    assert float(total.sum()) == pytest.approx(1, abs=1e-5)
    assert float(total.min()) > 1e-3  # both phases were there to be missed


@pytest.mark.parametrize("length", [0, 5])
def test_strokes_integrate_to_one(length):
    model = small(STROKES, seed=1).double()
    with torch.inference_mode():
        state = after(model, length)
        units, area = grid(24, 241)
        scale, total = STROKES.factors[0].scale, 0.0
        for lifted in (0.0, 1.0):
            values = torch.cat([units * scale, torch.full((len(units), 1), lifted)], 1)[:, None]
            parts, _ = model(values.double(), repeated(state, len(units)))
            total += float(parts.sum(-1).exp().sum()) * area * scale**2
    assert total == pytest.approx(1, abs=1e-5)


def test_phase_and_dt_integrate_to_one():
    """Each term of the chain rule is a density of its own."""
    model = small(TOUCHES, seed=5).double()
    with torch.inference_mode():
        state = after(model, 4)
        log_dt = torch.linspace(-16, 20, 4001, dtype=torch.float64)
        for moving in (0.0, 1.0):
            values = torch.full((len(log_dt), 1, 4), 0.5, dtype=torch.float64)
            # The middle of the noise is added to what is mixed: down to half of it below 0.
            values[:, 0, 2], values[:, 0, 3] = log_dt.exp() - 0.5e-3, moving
            parts, _ = model(values, repeated(state, len(log_dt)))
            dt = (parts[:, 0, 1] + log_dt).exp().sum() * (log_dt[1] - log_dt[0])
            assert float(dt) == pytest.approx(1, abs=1e-4)  # the rest is below 0.1 µs


def test_density_of_float64_events_is_float64():
    """A constant rounded to float32 would show in the last digits."""
    model = small(TOUCHES).double()
    values = batch(TOUCHES, 1, 2).double()
    values[0, 1, 3] = 1
    with torch.inference_mode():
        found, _ = model(values)
        seen, last, now, before, _ = model.listen(values, model.initial(1))
        inner = model.trunk(seen)[0, 1]
        event, factor = TOUCHES, TOUCHES.factors[2]
        known = torch.stack([values[0, 1, 3], (values[0, 1, 2].log() + 4.0)])
        inner = inner[-factor.hidden :] + model.context[2](known)
        c = features.components(
            torch,
            event,
            factor,
            model.head[2](inner.tanh()),
            values[0, 1],
            now[0, 1],
            before[0, 1],
        )
        at = (values[0, 1, :2] - last[0, 1]) / factor.step
        mixture = Mixture(c.logits, c.mean, c.log_scale, c.lower)
        chance = mixture.interval_log_prob(at, factor.noise / factor.step)
    expected = float(chance) - 2 * math.log(factor.noise)
    assert float(found[0, 1, 2]) == pytest.approx(expected, abs=1e-12)


# Weights


@pytest.mark.parametrize("event", [touch_event(), stroke_event()], ids=["touch", "stroke"])
@pytest.mark.parametrize(("units", "layers"), [(16, 1), (24, 3)])
def test_model_weights_have_the_shapes_that_a_file_is_checked_for(
    event: EventSpec, units, layers
):
    model = EventModel(event, units=units, layers=layers)
    found = {n: tuple(t.shape) for n, t in model.state_dict().items()}
    assert found == shapes(event, units, layers)


@EVENTS
def test_saved_model_is_loaded_unchanged(event, tmp_path):
    model, values = small(event), batch(event, 2, 10)
    models.save(model, tmp_path / "m.safetensors", described(model, licence="mine"))
    again, description = models.load(tmp_path / "m.safetensors")
    assert description == described(model, licence="mine")
    assert not again.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    with torch.inference_mode():
        assert torch.equal(model(values)[0], again(values)[0])


@EVENTS
def test_every_weight_learns_and_stays_finite(event):
    model = EventModel(event, units=8)
    values = batch(event, 4, 12)
    parts, _ = model(values)
    (-parts.sum(-1).mean()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert bool((weight.grad != 0).any()), name


def test_extreme_events_have_a_finite_density():
    """Zero, tiny and huge dt; places far outside: no NaN in density or gradient."""
    model = EventModel(TOUCHES, units=8)
    values = batch(TOUCHES, 1, 8).clone()
    values[0, 1, 2], values[0, 2, 2], values[0, 3, 2] = 0.0, 1e-12, 5000.0
    values[0, 4, :2] = 40.0
    values[0, 0, 3] = 1  # begins with a slide from nowhere
    parts, _ = model(values)
    assert bool(parts.isfinite().all())
    parts.sum().backward()
    assert all(bool(w.grad.isfinite().all()) for w in model.parameters() if w.grad is not None)


def test_model_keeps_no_state_between_calls():
    model, values = small(TOUCHES), batch(TOUCHES, 2, 6)
    before = copy.deepcopy(model.state_dict())
    with torch.inference_mode():
        first, _ = model(values)
        second, _ = model(values)
    assert torch.equal(first, second)
    assert all(torch.equal(before[n], w) for n, w in model.state_dict().items())


def test_generated_test_performances_resemble_the_corpora():
    made = corpus(TOUCHES, [5, 7])
    assert len(made.events) == 12
    assert made.events[5, 2] == 0


# Dropout

ONES = torch.ones(7, 211, 101)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_up_the_rest(share: float) -> None:
    torch.manual_seed(3)
    passed = Dropout(share)(ONES)
    assert passed.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    deviation = (share * (1 - share) / ONES.numel()) ** 0.5
    assert float((passed == 0).double().mean()) == pytest.approx(share, abs=5 * deviation)


def test_dropout_masks_are_independent_between_units_and_calls() -> None:
    torch.manual_seed(3)
    layer = Dropout(0.5)
    first, second = (layer(ONES).flatten() > 0 for _ in range(2))
    for lag in (1, 2, 3, 4, 101):
        same = (first[lag:] == first[:-lag]).double().mean()
        assert float(same) == pytest.approx(0.5, abs=0.01)
    assert float((first == second).double().mean()) == pytest.approx(0.5, abs=0.01)


def test_dropout_of_some_rows_is_that_of_the_whole_batch() -> None:
    parts = []
    for rows in (slice(None), slice(0, None, 2), slice(1, None, 2)):
        layer = Dropout(0.3)
        layer.batch, layer.rows = len(ONES), rows
        torch.manual_seed(3)
        parts.append(layer(ONES[rows]))
    whole, even, odd = parts
    assert torch.equal(whole[::2], even)
    assert torch.equal(whole[1::2], odd)


def test_dropout_in_evaluation_passes_all_and_draws_no_random_numbers() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for layer in (Dropout(0.4).eval(), Dropout(0.0)):
        assert layer(ONES) is ONES
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_keeps_dtype_and_gradient() -> None:
    values = torch.ones(2, 3, 5, dtype=torch.bfloat16, requires_grad=True)
    passed = Dropout(0.5)(values)
    passed.sum().backward()
    assert passed.dtype == torch.bfloat16
    assert values.grad is not None
    assert torch.equal(values.grad, passed.detach())


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_dropout_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1"):
        Dropout(share)
