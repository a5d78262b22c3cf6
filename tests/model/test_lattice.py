"""Lattices of screens: detection, mapping and mixtures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed
from support import CORPUS, has_corpus
from support.models import TOUCHES, corpus, dequantised, small

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read
from robojam.evaluation.likelihood import score
from robojam.mixture import Mixture
from robojam.model import lattice
from robojam.model.event import EventSpec, touch_event
from robojam.model.mdrnn import EventModel
from robojam.training.batches import Chunk
from robojam.training.trainer import Trainer, TrainingSettings, event_of

NOISE = 1 / 1024


def on_screen(n: int, count: int, seed: int = 0) -> np.ndarray:
    """Places (count, 2) as a screen of n lines reports them, in 32 bits."""
    return (np.random.default_rng(seed).integers(1, n, (count, 2)) / n).astype(np.float32)


def detect_one(places: np.ndarray, lattices: Sequence[int]) -> int:
    return int(lattice.detect([places], lattices)[0])


@given(st.sampled_from([320, 576, 600, 686, 748, 1000]), st.integers(0, 99))
def test_lattice_of_a_screen_is_detected(n, seed):
    assert detect_one(on_screen(n, 60, seed), range(100, 1020)) in {
        line for line in range(100, 1020) if n % line == 0 or line == n
    }


def test_places_without_a_lattice_or_too_few_give_none():
    rng = np.random.default_rng(0)
    assert detect_one(rng.random((60, 2)).astype(np.float32), range(100, 1020)) == 0
    assert detect_one(on_screen(600, 4), range(100, 1020)) == 0  # too few to tell


def test_places_outside_the_screen_are_ignored():
    places = on_screen(600, 60)
    places[3] = [1.0, 0.123456]
    assert detect_one(places, [600]) == 600


def detect_slowly(places: np.ndarray, lattices: Sequence[int]) -> int:
    """Detect the lattice of a performance by the definition, slowly."""
    inside = places[((places > 0) & (places < 1)).all(1)].astype(np.float64)
    if len(inside) < 6:
        return 0
    n = np.array(sorted(lattices), int)
    pixels = inside.reshape(-1, 1) * n
    on = (np.abs(pixels - np.round(pixels)) < n * lattice.SLACK).all(0)
    return int(n[on][0]) if on.any() else 0


def played(rng: np.random.Generator) -> np.ndarray:
    """Draw a performance (T, 2) of any length, on a lattice, near one, on two or on none."""
    n = int(rng.choice([2, 4, 100, 150, 300, 576, 600, 900, 1000, 1019]))
    count = int(rng.choice([0, 1, 5, 6, 7, 8, 30, 200]))
    places = rng.integers(0, n + 1, (count, 2)) / n  # at the edges too
    kind = rng.integers(7)
    if kind == 0:
        places = rng.random((count, 2))
    elif kind == 1:  # what begins on a coarse lattice goes on on a finer one
        places[6:] = rng.integers(1, 600, places[6:].shape) / 600
    elif kind == 2:
        places[-1:] += rng.choice([0.5, 1, 1.5]) * lattice.SLACK
    elif kind == 3:  # as near to what is allowed as it can be
        places += rng.choice([-1, 1], places.shape) * lattice.SLACK
    elif kind == 4:
        places[rng.random(count) < 0.5, 0] = rng.choice([-0.1, 0, 1, 1.5, np.nan])
    elif kind == 5:
        places[:] = 0.5
        places[6:7] = rng.random(places[6:7].shape)
    return places.astype(rng.choice([np.float32, np.float64]))


@settings(deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.integers(0, 40),
    st.sampled_from([range(100, 1020), [600], [1000, 300, 600, 576], []]),
)
def test_detection_equals_the_definition(seed, count, lattices):
    rng = np.random.default_rng(seed)
    performances = [played(rng) for _ in range(count)]
    found = lattice.detect(iter(performances), lattices)
    assert found.dtype == np.int64
    assert found.tolist() == [detect_slowly(places, lattices) for places in performances]
    assert [detect_one(places, lattices) for places in performances] == found.tolist()


def test_shares_leave_one_performance_for_no_lattice_and_drop_rare_ones():
    screens = [on_screen(600, 30, seed) for seed in range(8)]
    screens += [np.random.default_rng(9).random((30, 2)) for _ in range(2)]
    screens += [on_screen(500, 30)]  # too rare to be a kind of screen
    assert lattice.shares(screens, NOISE) == ((600, 8 / 12),)
    assert lattice.shares([on_screen(600, 30, seed) for seed in range(8)], NOISE) == (
        (600, 8 / 9),
    )


@given(st.integers(100, 1000), st.floats(0, 1), st.integers(0, 1000))
def test_place_in_a_tooth_gives_the_middle_of_its_cell(n, within, cell):
    place = np.array([[cell / n + within * NOISE, cell / n]])
    inside, middle = lattice.cells(place, n, NOISE)
    assert inside.all()
    assert middle[0] == pytest.approx((cell + 0.5) / n)


def test_place_between_teeth_is_outside():
    inside, _ = lattice.cells(np.array([[10.3 / 600, 0.5], [10.9 / 600, 0.5]]), 600, NOISE)
    assert inside.tolist() == [True, False]


def test_log_gain_is_the_share_of_the_teeth():
    # The share of the teeth in the screen is what the gain gives back.
    n = 600
    places = np.stack([(np.arange(2_000_000) + 0.5) / 2_000_000] * 2, 1)
    inside, _ = lattice.cells(places, n, NOISE)
    assert math.exp(-lattice.log_gain(n, NOISE, 1)) == pytest.approx(inside.mean(), abs=1e-3)
    assert lattice.log_gain(n, NOISE, 2) == pytest.approx(2 * lattice.log_gain(n, NOISE, 1))
    assert lattice.log_gain(0, NOISE, 2) == 0


def test_mix_equals_the_sum_over_hypotheses():
    rng = np.random.default_rng(3)
    parts = rng.normal(0, 2, (3, 5, 2))
    parts[1, 3, 1] = -np.inf  # ruled out by the place of the fourth event
    parts[1, 4:] = -np.inf
    prior = np.log([0.5, 0.3, 0.2])
    terms = lattice.mix(parts, prior)
    # By brute force: the chain rule on sums of products.
    product = np.exp(prior)
    for t in range(5):
        last = product.sum()
        for f in range(2):
            product = product * np.exp(parts[:, t, f])
            assert terms[t, f] == pytest.approx(math.log(product.sum() / last))
            last = product.sum()


def test_mix_of_one_hypothesis_is_its_density():
    parts = np.random.default_rng(0).normal(0, 1, (1, 6, 3))
    assert lattice.mix(parts, np.zeros(1)) == pytest.approx(parts[0])


def with_lattices(model: EventModel, lattices: tuple[tuple[int, float], ...]) -> EventModel:
    """Return the same model with an event that has lattices."""
    factors = tuple(
        changed(f, lattices=lattices) if f.kind == "position" else f
        for f in model.event.factors
    )
    model.event = changed(model.event, factors=factors)
    return model


@pytest.mark.parametrize("n", [300, 700])
def test_density_under_a_lattice_integrates_to_one(n):
    steps = 1 << 20
    x = (np.arange(steps) + 0.5) / steps * 6 - 2.5  # over the screen and beyond
    inside, middle = lattice.cells(np.stack([x, x], 1), n, NOISE)
    mixture = Mixture(
        torch.zeros(1), torch.full((1, 1), 0.4).double(), torch.full((1, 1), math.log(0.03))
    )
    chance = mixture.interval_log_prob(torch.from_numpy(middle[:, :1]), 1 / n).exp().numpy()
    density = chance * n * math.exp(lattice.log_gain(n, NOISE, 1))
    total = (density * inside).sum() * 6 / steps
    assert total == pytest.approx(1, abs=1e-3)


def test_model_that_knows_the_lattice_scores_better_by_the_gaps():
    data = corpus(TOUCHES, [40] * 4, seed=2)
    events = data.events.copy()
    events[:, :2] = np.round(events[:, :2] * 500) / 500
    data = replace(data, events=events)
    plain = score(small(TOUCHES, seed=1), data, flagless=True)
    informed = score(with_lattices(small(TOUCHES, seed=1), ((500, 0.5),)), data, flagless=True)
    gaps = 2 * math.log(1024 / 500)
    assert plain.joint - informed.joint == pytest.approx(gaps, abs=0.2)
    assert informed.parts["phase"] == pytest.approx(plain.parts["phase"], abs=0.05)
    assert sum(informed.parts.values()) == pytest.approx(informed.joint)
    assert informed.xydt is not None
    assert informed.xydt <= informed.joint


def test_absent_lattice_costs_at_most_its_share():
    data = corpus(TOUCHES, [40] * 4, seed=2)
    plain = score(small(TOUCHES, seed=1), data)
    informed = score(with_lattices(small(TOUCHES, seed=1), ((500, 0.5),)), data)
    most = 4 * math.log(2) / plain.touches  # each performance rules it out once
    assert plain.joint - 1e-9 <= informed.joint <= plain.joint + most + 1e-9


def test_training_is_fed_cell_middles_and_scored_over_cells():
    data = corpus(TOUCHES, [40] * 6, seed=2)
    events = data.events.copy()
    events[:, :2] = np.round(events[:, :2] * 500) / 500
    data = replace(data, events=events)
    settings = TrainingSettings(units=8, components=2, hidden=8, mirror=False, passes=1)
    trainer = Trainer(data, data, settings)
    assert trainer.model.event.lattices == ((500, 6 / 7),)
    batch = trainer.draw([Chunk(0, 40, 0)])
    assert batch.events[0, :, :2].numpy() == pytest.approx(events[:40, :2] + 0.001, abs=1e-6)
    assert batch.cell.numpy() == pytest.approx(1 / 500)
    assert batch.cell.shape == batch.scored.shape


def test_density_of_a_narrowing_component_stays_below_that_of_the_cell():
    """The density at a point grows without bound; the probability of the cell stays below 1."""
    model = small(TOUCHES, seed=1)
    still = torch.tensor([[0.5005, 0.5005, 0.0165, 1.0]]).repeat(1, 3, 1)
    with torch.no_grad():
        for sharp in (-2.0, -6.0, -20.0, -60.0):
            head, factor = model.head[2], model.event.factors[2]
            k, d = factor.components, factor.dims
            weight, bias = head.get_parameter("weight").zero_(), head.get_parameter("bias")
            bias.zero_()
            assert weight.shape[0] == len(bias)
            bias[k * (1 + d) : k * (1 + 2 * d)] = sharp
            parts, _ = model(still, None, torch.tensor([1 / 1000]))
            assert float(parts[0, 1:, 2].max()) <= 2 * math.log(1000) + 1e-4
    assert float(parts[0, 1:, 2].min()) == pytest.approx(2 * math.log(1000), abs=1e-3)


def test_training_without_lattices_has_an_event_without_them():
    data = corpus(TOUCHES, [40] * 6)
    assert event_of(data, TrainingSettings(lattices=False)).lattices == ()


@pytest.mark.parametrize(
    "lattices",
    [((1100, 0.5),), ((600, 1.0),), ((600, 0.6), (500, 0.4)), ((0, 0.5),), ((600, 0),)],
)
def test_invalid_lattices_are_refused(lattices):
    with pytest.raises(ValueError, match="lattice"):
        touch_event(lattices=lattices)


def test_event_lattices_are_its_positions():
    event: EventSpec = touch_event(lattices=((600, 0.5),))
    assert event.lattices == ((600, 0.5),)


@has_corpus
def test_lattices_of_the_corpus_are_the_known_screens():
    data = clean(read(CORPUS / "microjam_train.npz"))
    found = dict(event_of(data, TrainingSettings()).lattices)
    assert found[600] == pytest.approx(0.359, abs=0.001)
    assert {576, 686, 748, 1000} < found.keys()


@has_corpus
def test_dequantised_corpus_places_lie_in_teeth():
    data = clean(read(CORPUS / "microjam_val.npz"))
    events = dequantised(data)
    known = [n for n, _ in event_of(data, TrainingSettings()).lattices]
    counted = 0
    for start, end in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        n = detect_one(data.events[start:end, :2], known)
        inside, _ = lattice.cells(events[start:end, :2], n, NOISE)
        assert inside.all()
        counted += n > 0
    assert counted > 100
