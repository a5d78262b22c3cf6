"""Models whose numbers overflow: refused when loaded, and replaced when it happens in play."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from pathlib import Path

import numpy as np
import pytest
from support.models import TOUCHES, filed, small

from robojam.controls import Settings
from robojam.jam.events import TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.protocols import Proposal
from robojam.model.file import ModelDescription, ModelFile, ModelFileError, shapes
from robojam.player.generate import generate
from robojam.player.player import ModelPlayer
from robojam.touch import MAX_DT, MIN_DT, clip

K = TOUCHES.factors[2].components


def slow_overflow() -> ModelFile:
    """A model whose x scatters the more the more it was fed, beyond what any number holds.

    One cell counts events by thousandths; the logarithm of the deviation is a thousand times
    its output.
    """
    units = 8
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in shapes(TOUCHES, units, 1).items()
    }
    bias = weights["rnn.0.bias_ih_l0"]
    bias[[0, units, 3 * units]], bias[2 * units] = 20.0, 0.001  # gates open, the candidate
    hidden = sum(factor.hidden for factor in TOUCHES.factors[:2])
    weights["trunk.weight"][hidden, 0] = 1.0
    weights["head.2.weight"][3 * K : 5 * K, 0] = 1000.0
    description = ModelDescription(event=TOUCHES, units=units, layers=1)
    return ModelFile(Path("slow.safetensors"), description, weights, "0")


@pytest.mark.parametrize("voices", [1, 2, 16])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head.2.bias", 1e4),  # deviations of exp(10000)
        ("head.2.bias", 1e38),
        ("head.2.weight", 3e38),
    ],
)
def test_model_whose_numbers_overflow_is_refused(name, value, voices):
    file = filed(small(TOUCHES))
    weight = file.weights[name]
    weight[...] = value
    if weight.ndim == 2:  # of both signs: one infinity less another is no number
        weight[:, ::2] *= -1
    with pytest.raises(ModelFileError, match=r"small.* cannot be played: its numbers overflow"):
        ModelPlayer(file, voices=voices)
    with pytest.raises(ModelFileError, match="overflow"):
        generate(file, [np.empty((0, 4))], seconds=1, seed=0, temperature=1, spread=1)


@pytest.mark.parametrize("voices", [1, 16])
def test_model_of_enormous_numbers_is_refused_or_plays_on(voices):
    rng = np.random.default_rng(5)
    outcomes = set()
    for _ in range(40):
        file = filed(small(TOUCHES, seed=int(rng.integers(99))))
        name = list(file.weights)[int(rng.integers(len(file.weights)))]
        with np.errstate(all="ignore"):
            file.weights[name] *= np.float32(10.0) ** np.float32(rng.uniform(1, 38))
            try:
                player = ModelPlayer(file, voices=voices)
            except ModelFileError:
                outcomes.add("refused")
                continue
            played, _ = play(player, 20)
        assert all(abs(p.x) < 1e30 and abs(p.y) < 1e30 and abs(p.dt) < 1e30 for p in played)
        outcomes.add("plays")
    assert outcomes == {"refused", "plays"}


def play(player: ModelPlayer, steps: int) -> tuple[list[Proposal], int]:
    played: list[Proposal] = []
    faults = 0
    voices = range(player.voices)
    for _ in range(steps):
        for voice, p in zip(voices, player.sample(voices), strict=True):
            x, y = clip(p.x, 0, 1), clip(p.y, 0, 1)
            player.commit(voice, x, y, clip(p.dt, MIN_DT, MAX_DT), p.moving)
            played.append(p)
        faults += player.take_faults()
    return played, faults


@pytest.mark.parametrize("voices", [1, 2, 16])
def test_touch_that_overflows_in_play_is_replaced_and_its_voice_goes_on(voices, caplog):
    player = ModelPlayer(slow_overflow(), voices=voices)
    with caplog.at_level(logging.WARNING), np.errstate(all="ignore"):
        played, faults = play(player, 200)
    assert all(abs(p.x) < 1e30 and -1 < p.dt < 1e30 for p in played)
    assert faults >= voices
    assert "the model slow.safetensors overflow" in caplog.text
    replaced = sum(
        p.dt == pytest.approx(0.5, abs=1e-3) and abs(p.x - 0.5) < 0.01 for p in played
    )
    assert 0 < replaced < len(played) / 20  # each voice has gone on from its start
    player.reset()
    player.seed(0)
    with np.errstate(all="ignore"):
        assert play(player, 200) == (played, faults)  # exactly, as a regeneration would


def test_human_touches_that_make_a_model_overflow_do_not_end_it():
    player = ModelPlayer(slow_overflow(), voices=2)
    with np.errstate(all="ignore"):
        for _ in range(500):
            player.feed(0.5, 0.5, 0.02, True)
        first = player.sample([0, 1])
        assert first == player.sample([0, 1])  # to sample changes nothing
        player.feed(0.5, 0.5, 0.02, True)
        assert player.take_faults() == 2
        assert all(math.isfinite(number) for row in player.forecast() for number in row)
        player.sample([0, 1])
    assert player.take_faults() == 0


def test_jam_goes_on_with_a_model_that_overflows_and_counts_it():
    events: list[object] = []
    jam = Jam(ModelPlayer(slow_overflow()), Settings(mode="solo", dwell=60), events.append)
    jam.begin(1)
    with np.errstate(all="ignore"):
        jam.advance(20)
    times = [event.t for event in events if isinstance(event, TouchPlayed)]
    assert jam.counts.faults > 0
    assert times[-1] > 15


@pytest.mark.parametrize("voices", [1, 2, 16])
def test_player_that_is_replaced_is_freed_at_once(voices):
    """Without the garbage collector: models that wait for it add up."""
    gc.disable()
    try:
        players = [weakref.ref(ModelPlayer(filed(small(TOUCHES)), voices=voices))]
        assert players[0]() is None
        player = ModelPlayer(filed(small(TOUCHES)), voices=voices)
        jam = Jam(player, Settings(mode="solo"), lambda _: None)
        jam.begin(1)
        players, steppers = [weakref.ref(player)], [weakref.ref(player._stepper)]
        for second in range(1, 4):
            player = ModelPlayer(filed(small(TOUCHES, seed=second)), voices=voices)
            jam.swap(second, player, "another")
            jam.advance(second + 0.9)
            assert not any(alive() for alive in players + steppers)
            players, steppers = [weakref.ref(player)], [weakref.ref(player._stepper)]
    finally:
        gc.enable()
