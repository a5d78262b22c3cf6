"""ModelPlayer: state, random numbers, voices, devices and cost."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from support.models import TOUCHES, TRAINED, filed, is_trained, small

from robojam.jam.protocols import Player as Protocol
from robojam.jam.protocols import Proposal
from robojam.model import file as modelfile
from robojam.model.file import ModelFile, ModelFileError
from robojam.model.mdrnn import load
from robojam.player import player
from robojam.player.player import ModelPlayer

FILE = filed(small(TOUCHES, seed=3))
HALF_PLACE, HALF_DT = 1 / 2048, 0.0005

has_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def listened(made: ModelPlayer, count: int = 20, seed: int = 0) -> ModelPlayer:
    chance = random.Random(seed)
    for i in range(count):
        made.feed(chance.random(), chance.random(), 0.02 * chance.random(), i % 7 > 0)
    return made


def phrase(made: ModelPlayer, count: int = 20, voice: int = 0) -> list[Proposal]:
    """Return the touches of a voice that is fed its own, clipped as in a jam."""
    played = []
    for _ in range(count):
        each = made.sample([voice])[0]
        played.append(each)
        x, y = (min(max(v, 0.0), 1.0) for v in (each.x, each.y))
        made.commit(voice, x, y, min(max(each.dt, 0.001), 5.0), each.moving)
    return played


def table(proposals: list[Proposal]) -> Any:
    return np.array([(p.x, p.y, p.dt, p.moving) for p in proposals])


def on_torch(monkeypatch: pytest.MonkeyPatch, **how: Any) -> ModelPlayer:
    """Make a player that computes with torch on the CPU: the GPU's code without a GPU."""

    def prepared(weights: dict[str, Any], device: str) -> tuple[Any, dict[str, Any]]:
        return torch, {n: torch.from_numpy(a).float().to(device) for n, a in weights.items()}

    with monkeypatch.context() as patch:
        patch.setattr(player, "_load_weights", prepared)
        return ModelPlayer(FILE, device="cpu", **how)


# State


def test_model_player_satisfies_the_player_protocol():
    made: Protocol = ModelPlayer(FILE, voices=3)
    assert made.voices == 3


def test_fed_touches_change_what_is_played():
    one, other = (phrase(listened(ModelPlayer(FILE, seed=1), seed=s)) for s in (0, 1))
    assert one != other


def test_sample_and_forecast_change_nothing():
    asked, silent = (listened(ModelPlayer(FILE, seed=5)) for _ in range(2))
    for _ in range(3):
        assert asked.sample([0])[0] == asked.sample([0])[0]
        asked.forecast()
    assert phrase(asked) == phrase(silent)


@pytest.mark.parametrize("voices", [1, 3])
def test_restored_player_plays_on_to_the_same_touches(voices):
    made = listened(ModelPlayer(FILE, voices=voices, seed=5))
    phrase(made, 5, voices - 1)
    kept = made.snapshot()
    first = phrase(made, 70, voices - 1)  # past the next block of random numbers
    listened(made, 9, seed=8)
    for _ in range(2):  # the snapshot stays good
        made.restore(kept)
        assert phrase(made, 70, voices - 1) == first


def test_restore_brings_back_the_seed():
    made = listened(ModelPlayer(FILE, seed=5))
    kept = made.snapshot()
    first = phrase(made)
    made.seed(6)
    assert phrase(made) != first
    made.restore(kept)
    assert phrase(made) == first
    again = ModelPlayer(FILE, seed=77)  # nor need it be the same player
    again.restore(kept)
    assert phrase(again) == first


def test_reset_forgets_touches_and_keeps_random_numbers():
    made, fresh = listened(ModelPlayer(FILE, seed=5)), ModelPlayer(FILE, seed=5)
    made.reset()
    assert phrase(made, 5) == phrase(fresh, 5)
    made.reset()
    fresh.reset()
    assert phrase(made, 5) == phrase(fresh, 5)
    assert phrase(made, 5) != phrase(ModelPlayer(FILE, seed=5), 5)


def test_new_player_equals_a_reset_and_reseeded_one():
    """A new player has been warmed up, so that the first call is no slower."""
    made = ModelPlayer(FILE, seed=5)
    first = phrase(made)
    made.reset()
    made.seed(5)
    assert phrase(made) == first


# Chance


def test_skip_uses_up_the_random_numbers_of_a_touch():
    made = listened(ModelPlayer(FILE, seed=5))
    first = made.sample([0])[0]
    made.skip(0)
    second = made.sample([0])[0]
    assert second != first
    made.seed(5)
    assert made.sample([0])[0] == first


def test_continue_from_takes_over_the_random_numbers():
    one, other = listened(ModelPlayer(FILE, seed=5)), listened(ModelPlayer(FILE, seed=6))
    for _ in range(3):
        one.skip(0)
    other.continue_from(one)
    assert other.sample([0])[0] == one.sample([0])[0]
    other.skip(0)  # and has its own count from here
    assert other.sample([0])[0] != one.sample([0])[0]


@pytest.mark.parametrize("voices", [1, 9])
def test_player_on_the_cpu_takes_over_from_one_of_torch(monkeypatch, voices):
    lost = listened(on_torch(monkeypatch, seed=5, voices=voices))
    phrase(lost, 3)
    made = ModelPlayer(FILE, seed=9, voices=voices)
    assert made.take_over(lost)
    np.testing.assert_allclose(table(phrase(made, 10)), table(phrase(lost, 10)), atol=1e-4)


def test_player_whose_device_is_lost_leaves_its_random_numbers(monkeypatch):
    lost = listened(on_torch(monkeypatch, seed=5))
    lost.skip(0)

    class Lost:
        def __getattr__(self, name):
            raise RuntimeError("CUDA error: device-side assert triggered")

    lost._stepper = type("Stepper", (), {"state": Lost()})()
    made = ModelPlayer(FILE, seed=9)
    assert not made.take_over(lost)
    fresh = ModelPlayer(FILE, seed=5)
    fresh.skip(0)
    assert made.sample([0]) == fresh.sample([0])


@pytest.mark.parametrize(("temperature", "spread"), [(0, 0), (1, 1), (10, 10), (1e-9, 3)])
def test_touches_are_finite_at_any_temperature_and_spread(temperature, spread):
    made = listened(ModelPlayer(FILE, seed=5))
    made.set_sampling(temperature=temperature, spread=spread)
    found = table(phrase(made, 50))
    assert np.isfinite(found).all()
    if temperature == spread == 0:
        made.seed(99)  # without chance no seed matters
        other = listened(ModelPlayer(FILE, seed=6))
        other.set_sampling(temperature=0, spread=0)
        np.testing.assert_array_equal(table(phrase(other, 50)), found)


# Units


class RecordingStepper:
    """Stepper of one voice that records what it is fed, and always samples the same event."""

    def __init__(self) -> None:
        self.fed: list[list[float]] = []

    def feed(self, _: int, values: list[float]) -> None:
        self.fed.append(values)

    def feed_all(self, values: list[float], _: int | None = None) -> None:
        self.fed.append(values)

    def sample(self, *_: Any, **__: Any) -> list[list[float]]:
        return [[0.5, 0.25, 0.0205, 1.0]]


def test_half_the_noise_is_added_when_feeding_and_subtracted_when_playing():
    made = ModelPlayer(FILE)
    made._stepper = stepper = RecordingStepper()  # type: ignore[assignment]
    made.feed(0.5, 0.25, 0.02, True)
    made.commit(0, 0.0, 1.0, 0.0, False)
    for fed, (x, y, dt, moving) in zip(
        stepper.fed, [(0.5, 0.25, 0.02, 1), (0, 1, 0, 0)], strict=True
    ):
        expected = [x + HALF_PLACE, y + HALF_PLACE, dt + HALF_DT, moving]
        np.testing.assert_allclose(fed, expected, rtol=1e-6)
    found = made.sample([0])[0]
    assert (found.x, found.y) == (0.5 - HALF_PLACE, 0.25 - HALF_PLACE)
    assert found.dt == pytest.approx(0.02, abs=1e-8)
    assert found.moving is True


def test_proposals_hold_python_numbers():
    found = listened(ModelPlayer(FILE)).sample([0])[0]
    assert [type(v) for v in (found.x, found.y, found.dt, found.moving)] == [
        float,
        float,
        float,
        bool,
    ]


# Voices


def test_voices_fed_the_same_play_different_touches():
    made = listened(ModelPlayer(FILE, voices=4, seed=5))
    first = [made.sample([voice])[0] for voice in range(4)]
    assert len(set(first)) == 4
    phrases = [phrase(made, 10, voice) for voice in range(4)]
    assert [p[0] for p in phrases] == first


def test_voice_in_a_batch_plays_as_it_does_alone():
    """Steps agree to 1e-5: after each one, both players are fed the same touch."""
    together = listened(ModelPlayer(FILE, voices=5, seed=5))
    alone = listened(ModelPlayer(FILE, seed=5))
    for _ in range(40):
        mine, its = together.sample([0])[0], alone.sample([0])[0]
        np.testing.assert_allclose(table([mine]), table([its]), rtol=1e-5, atol=1e-5)
        for made in (together, alone):
            made.commit(0, its.x, its.y, abs(its.dt), its.moving)
            made.feed(0.3, 0.4, 0.1, False)
        together.commit(3, 0.9, 0.9, 0.3, False)


def test_committed_touch_does_not_reach_other_voices():
    made, other = (listened(ModelPlayer(FILE, voices=3, seed=5)) for _ in range(2))
    phrase(made, 10, 1)
    assert made.sample([0])[0] == other.sample([0])[0]
    assert made.sample([2])[0] == other.sample([2])[0]


@pytest.mark.parametrize("voices", [2, 9])
def test_voices_that_rest_change_nothing_for_the_others_and_come_back_as_the_first(voices):
    all_play = listened(ModelPlayer(FILE, voices=voices))
    some_rest = ModelPlayer(FILE, voices=voices)
    some_rest.rest(1)
    listened(some_rest)
    playing = range(voices - 1)
    expected = table(all_play.sample(playing))
    assert table(some_rest.sample(playing)) == pytest.approx(expected, abs=1e-4)
    some_rest.rest(0)
    for array in some_rest._stepper.state.arrays():
        assert (array[-1] == array[0]).all()
    back, first = table(some_rest.sample([voices - 1])), table(some_rest.sample([0]))
    assert (back != first).any()  # its random numbers are its own


def test_snapshot_is_unchanged_by_later_touches():
    made = listened(ModelPlayer(FILE, voices=3, seed=5))
    kept = made.snapshot()
    before = [h.copy() for h in kept.state.hidden]
    phrase(made, 3, 1)
    made.restore(kept)
    phrase(made, 3, 2)
    for mine, its in zip(kept.state.hidden, before, strict=True):
        np.testing.assert_array_equal(mine, its)


# Forecast


def test_forecast_matches_the_moments_of_samples():
    # With one dt alone the forecast leaves nothing out: it is the mixture of places.
    weights = {n: a.copy() for n, a in FILE.weights.items()}
    weights["head.1.weight"][:] = 0
    weights["head.1.bias"][3:] = [0, 0, 0, -30, -30, -30]
    made = listened(ModelPlayer(ModelFile(FILE.path, FILE.description, weights, "0"), seed=5))
    groups = np.array(made.forecast())
    assert groups.shape[1] == 6
    share, mean, deviation, correlation = np.split(groups, [1, 3, 5], axis=1)
    assert share.sum() == pytest.approx(1, abs=0.01)
    assert (share > 0).all()
    assert (deviation > 0).all()
    assert (np.abs(correlation) < 1).all()
    n, rng = 50_000, np.random.default_rng(0)
    many = made.network.initial(n)
    many.write(slice(0, n), made._stepper.state)
    uniform, gauss = rng.random((n, 3), np.float32), rng.standard_normal((n, 4), np.float32)
    drawn = made.network.sample(many, uniform, gauss, temperature=1, spread=1)
    places = drawn[:, :2] - HALF_PLACE
    within = deviation[:, :, None] * deviation[:, None]
    within[:, [0, 1], [1, 0]] *= correlation
    expected = (share * mean).sum(0) / share.sum()
    apart = mean - expected
    covariance = (share[:, None] * (within + apart[:, :, None] * apart[:, None])).sum(0)
    spread = np.sqrt(covariance.diagonal())
    np.testing.assert_allclose(places.mean(0), expected, atol=0.03 * spread.max())
    np.testing.assert_allclose(np.cov(places.T), covariance, atol=0.04 * covariance.max())


@is_trained
def test_forecast_of_the_default_model_matches_its_touches():
    made = ModelPlayer(modelfile.read(TRAINED), seed=2)
    for i in range(30):  # a slide to the right
        made.feed(0.2 + 0.01 * i, 0.5, 0.017, i > 0)
    groups = np.array(made.forecast())
    weights = groups[:, 0]
    assert weights.sum() == pytest.approx(1, abs=0.02)
    expected = weights @ groups[:, 1:3]
    found = []
    for _ in range(400):
        found.append(made.sample([0])[0])
        made.skip(0)
    moved = table(found)
    np.testing.assert_allclose(np.median(moved[:, :2], 0), expected, atol=0.02)
    assert expected[0] > 0.49  # onward


def test_forecast_before_the_first_touch_is_finite():
    groups = np.array(ModelPlayer(FILE).forecast())
    assert np.isfinite(groups).all()
    assert groups[:, 0].sum() == pytest.approx(1, abs=0.01)


def test_model_with_another_factor_order_plays_without_forecast():
    phase, dt, place = TOUCHES.factors
    event = msgspec.structs.replace(TOUCHES, factors=(dt, phase, place))
    made = listened(ModelPlayer(filed(small(event)), seed=5))
    assert np.isfinite(table(phrase(made))).all()
    assert made.forecast() == []


def test_model_with_touch_columns_of_other_kinds_is_refused():
    phase, dt, place = TOUCHES.factors
    wrong = (phase, dt, msgspec.structs.replace(place, kind="offset", slides=None))
    file = filed(small(msgspec.structs.replace(TOUCHES, factors=wrong)))
    with pytest.raises(ModelFileError, match="offset x, offset y, duration dt, flag moving"):
        ModelPlayer(file)


def test_forecast_leaves_out_components_of_little_weight():
    weights = {n: a.copy() for n, a in FILE.weights.items()}
    weights["head.2.bias"][0] += 30
    file = ModelFile(FILE.path, FILE.description, weights, "0")
    assert (
        len(listened(ModelPlayer(file)).forecast()) == 2
    )  # one for a slide, one for a landing


# Devices


def test_torch_and_numpy_play_the_same(monkeypatch):
    for voices in (1, 3):
        mine = listened(ModelPlayer(FILE, voices=voices, seed=5))
        its = listened(on_torch(monkeypatch, voices=voices, seed=5))
        assert isinstance(its._stepper.state.hidden[0], torch.Tensor)
        for _ in range(30):
            one, other = mine.sample([voices - 1])[0], its.sample([voices - 1])[0]
            np.testing.assert_allclose(table([one]), table([other]), rtol=1e-4, atol=1e-5)
            for made in (mine, its):
                made.commit(voices - 1, one.x, one.y, abs(one.dt), one.moving)
        np.testing.assert_allclose(mine.forecast(), its.forecast(), rtol=1e-3, atol=1e-4)


def test_torch_player_restores_and_resets(monkeypatch):
    made = listened(on_torch(monkeypatch, voices=2, seed=5))
    kept = made.snapshot()
    first = phrase(made, 5, 1)
    made.restore(kept)
    assert phrase(made, 5, 1) == first
    made.reset()
    assert made.sample([0])[0] == on_torch(monkeypatch, voices=2, seed=5).sample([0])[0]


def test_torch_player_leaves_gradients_enabled(monkeypatch):
    on_torch(monkeypatch)
    assert torch.is_grad_enabled()


def test_player_state_equals_the_trained_models():
    """The state of the player is that of the trained model after the same touches."""
    if not TRAINED.is_file():
        pytest.skip("no default model here")
    model, _ = load(TRAINED)
    made = ModelPlayer(modelfile.read(TRAINED))
    rows = np.float32([[0.2 + 0.01 * i, 0.5, 0.017, i > 0] for i in range(40)])
    for row in rows.tolist():
        made.feed(row[0], row[1], row[2], bool(row[3]))
    fed = torch.from_numpy(rows + np.float32([HALF_PLACE, HALF_PLACE, HALF_DT, 0]))[None]
    with torch.inference_mode():
        _, state = model(fed)
    for mine, its in zip(made._stepper.state.hidden, state.hidden, strict=True):
        np.testing.assert_allclose(mine, its.numpy(), atol=2e-5)


@pytest.mark.gpu
@has_cuda
def test_gpu_and_cpu_play_the_same():
    mine, its = (
        listened(ModelPlayer(FILE, device=d, seed=5, voices=2)) for d in ("cpu", "cuda")
    )
    for _ in range(30):
        one, other = mine.sample([1])[0], its.sample([1])[0]
        np.testing.assert_allclose(table([one]), table([other]), rtol=1e-3, atol=1e-4)
        for made in (mine, its):
            made.commit(1, one.x, one.y, abs(one.dt), one.moving)


# Cost


def test_step_makes_a_bounded_number_of_numpy_calls(monkeypatch):
    """The cost of a touch is that of its calls of numpy, which are counted instead of timed."""
    made = listened(ModelPlayer(FILE, seed=5))
    calls = {"count": 0}

    class Counting:
        def __getattr__(self, name: str) -> Any:
            calls["count"] += 1
            return getattr(np, name)

    made.network.xp = Counting()
    made.feed(0.5, 0.5, 0.02, True)
    heard, calls["count"] = calls["count"], 0
    made.sample([0])[0]
    assert heard <= 20
    assert calls["count"] <= 20
    for _ in range(500):  # and it is no more after a long jam
        made.commit(0, 0.5, 0.5, 0.02, True)
    calls["count"] = 0
    made.feed(0.5, 0.5, 0.02, True)
    assert calls["count"] == heard


def test_long_jam_stays_finite():
    made = ModelPlayer(FILE, seed=5)
    for i in range(3000):
        made.feed(float(i % 2), float(i % 3 == 0), (0.0, 5.0, 1e-4)[i % 3], i % 5 > 0)
    found = made.sample([0])[0]
    assert all(math.isfinite(v) for v in (found.x, found.y, found.dt))
