"""Answers to calls that are no music: one tap, ten minutes, a held finger, noise.

With the small model that comes with robojam, which plans, and on a clock that the test sets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from support import ROOT
from support.players import ScriptedPlayer

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, Counters, Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.model.file import read
from robojam.player.player import ModelPlayer
from robojam.touch import Phase, is_machine

#: Time of a touch, its phase and its place.
Call = Iterator[tuple[float, Phase, float, float]]
THRESHOLD, RESPONSE = 0.5, 5.0


def one_tap() -> Call:
    yield 1.0, Phase.DOWN, 0.4, 0.4
    yield 1.1, Phase.UP, 0.4, 0.4


def held_finger() -> Call:
    yield 1.0, Phase.DOWN, 0.4, 0.4


def still_finger_that_moves_on_the_spot() -> Call:
    yield 1.0, Phase.DOWN, 0.4, 0.4
    for n in range(1200):
        yield 1.0 + n / 60, Phase.MOVE, 0.4, 0.4


def noise() -> Call:
    chance = random.Random(1)
    for n in range(5000):
        phase = chance.choice((Phase.DOWN, Phase.MOVE, Phase.MOVE))
        yield 1.0 + n / 500, phase, chance.random(), chance.random()


def ten_minutes() -> Call:
    chance = random.Random(2)
    x, y = 0.5, 0.5
    for n in range(600 * 20):
        phase = Phase.DOWN if n % 40 == 0 else Phase.MOVE
        x, y = (min(1.0, max(0.0, z + chance.gauss(0, 0.02))) for z in (x, y))
        yield 1.0 + n / 20, phase, x, y


def taps_at_one_instant() -> Call:
    for _ in range(50):
        yield 1.0, Phase.DOWN, 0.5, 0.5


def corners() -> Call:
    for n in range(40):
        yield 1.0 + n * 0.1, Phase.DOWN, float(n % 2), float(n // 2 % 2)


CALLS = (
    one_tap, held_finger, still_finger_that_moves_on_the_spot, noise, ten_minutes,
    taps_at_one_instant, corners,
)  # fmt: skip


@pytest.fixture(scope="module")
def player() -> ModelPlayer:
    return ModelPlayer(read(ROOT / "models" / "small.safetensors"))


@pytest.mark.parametrize("plans", ["in the silence", "with a lead"])
@pytest.mark.parametrize("follow", [1.0, -1.0])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_any_call_has_an_answer_in_range_that_does_not_stay(call, follow, plans, player):
    events: list[Event] = []
    settings = Settings(threshold=THRESHOLD, response=RESPONSE, follow=follow, memory=1.0)
    counts = Counters()
    jam = Jam(player, settings, events.append, counts)
    jam.begin(5)
    t = 0.0
    for t, phase, x, y in call():
        jam.finger(t, "human", 0, phase, x, y)
    began = len(events)
    silent_since = jam.human_at
    idle_from = silent_since + (0.3 if plans == "in the silence" else THRESHOLD)
    jam.advance(idle_from)
    while jam.prepare(jam.t + 1e-6) == 0.0:
        pass
    jam.advance(silent_since + THRESHOLD + RESPONSE + 1.0)
    answer = [
        event
        for event in events[began:]
        if isinstance(event, TouchPlayed) and event.touch.phase is not Phase.UP
    ]
    told = {e.name for e in events if isinstance(e, ControlChanged)}
    assert counts.planned >= 1
    assert ("planning" in told) == (plans == "with a lead")
    assert answer
    assert all(is_machine(event.touch.who) for event in answer)
    assert answer[0].t < silent_since + THRESHOLD + RESPONSE
    assert all(0 <= e.touch.x <= 1 and 0 <= e.touch.y <= 1 for e in answer)
    assert all(0.001 <= e.touch.dt <= 5.0 for e in answer)
    assert len(answer) <= 200 * RESPONSE
    since = answer[0]
    for event in answer:  # no finger stays in its place for longer than `dwell`
        same = (event.touch.x, event.touch.y) == (since.touch.x, since.touch.y)
        if not same or event.touch.phase is Phase.DOWN:
            since = event
        assert event.t - since.t <= settings.dwell + 1e-9


def test_flood_of_a_second_s_noise_between_two_steps_loses_no_touch() -> None:
    class Heard(ScriptedPlayer):
        plans = True

        def plan(self, voices, **_):
            raise AssertionError("noise is no silence")

    heard = Heard()
    jam = Jam(heard, Settings(threshold=60.0), lambda _: None)
    jam.begin(0)
    for n in range(500):
        t = n / 500
        jam.finger(t, "human", 0, Phase.MOVE, 0.5, 0.5)
        jam.prepare(t + 0.0015)
    assert len(heard.human_touches) == 500
