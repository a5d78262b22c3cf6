"""Calls of every kind, through an engine with the default model and its default controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from support.engine import DrivenEngine, Sent
from support.models import TRAINED, is_trained

from robojam.model.file import read
from robojam.player.player import ModelPlayer
from robojam.touch import MAX_DT, MIN_DT

#: Phase, x and y of touches, and the seconds that pass before each.
Call = Iterator[tuple[str, float, float, float]]
#: Seconds in which an answer has begun and ended: threshold, response, and a little more.
ANSWERED = 6.5
#: Longest stay at a point or an edge, in seconds.
STUCK = 1.0
#: Distance in x and in y within which touches are at one place, in screens.
NEAR = 1 / 1024


def one_tap() -> Call:
    yield "down", 0.3, 0.6, 0.0
    yield "up", 0.3, 0.6, 0.05


def ten_minutes() -> Call:
    """A circle every four seconds, in strokes of two seconds with rests between them."""
    for i in range(6000):
        phase = "move" if i % 20 else "down"
        angle = 2 * math.pi * i / 40
        yield phase, 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle), 0.1
    yield "up", 0.0, 0.0, 0.02


def held_finger() -> Call:
    """A finger that stays down without news."""
    yield "down", 0.7, 0.2, 0.0


def held_finger_with_news() -> Call:
    """A finger that stays at an edge for ten seconds, and is sent 60 times a second."""
    for i in range(600):
        yield "move" if i else "down", 1.0, 0.2, 1 / 60


def noise() -> Call:
    """Touches anywhere, 500 a second for three seconds, every other one a landing."""
    places = np.random.default_rng(0).random((1500, 2))
    for i, (x, y) in enumerate(places.tolist()):
        yield "down" if i % 2 else "move", x, y, 0.002


def longest_stay(times: Sequence[float], together: np.ndarray) -> float:
    """Return the longest time, in seconds, of three touches or more that stay together.

    together (n, n) says which touches are at one place. Touches more than a second apart end
    a stay.
    """
    longest = 0.0
    for first, begin in enumerate(times):
        last = first
        while (
            last + 1 < len(times)
            and together[first, last + 1]
            and times[last + 1] - times[last] <= STUCK
        ):
            last += 1
        if last - first >= 2:
            longest = max(longest, times[last] - begin)
    return longest


def check_answer(sent: list[Sent]) -> None:
    """Check that an answer has touches, all in range, is not stuck, and has been lifted."""
    machine = [m for m in sent if m.name.startswith("ai/")]
    touches = [m for m in machine if m.name in ("ai/down", "ai/move")]
    assert touches
    assert machine[-1].name == "ai/up"
    values = np.array([m.args[1:] for m in touches])
    assert ((values[:, :2] >= 0) & (values[:, :2] <= 1)).all()
    assert ((values[:, 2] >= np.float32(MIN_DT)) & (values[:, 2] <= MAX_DT)).all()
    times, places = [m.at for m in touches], values[:, :2]
    at_point = (np.abs(places[:, None] - places) <= NEAR).all(2)
    at_edges = (np.outer(edge, edge) for edge in (*(places <= NEAR).T, *(places >= 1 - NEAR).T))
    for together in (at_point, *at_edges):
        assert longest_stay(times, together) <= STUCK


@is_trained
@pytest.mark.parametrize(
    "call", [one_tap, ten_minutes, held_finger, held_finger_with_news, noise]
)
def test_every_call_is_answered_in_range_and_without_a_finger_that_stays(call, tmp_path):
    driven = DrivenEngine(tmp_path, ModelPlayer(read(TRAINED)))
    answers = 1 if call is ten_minutes else 2
    for _ in range(answers):
        for phase, x, y, seconds in call():
            driven.wait(seconds)
            if phase == "up":
                driven.send("/robojam/up", "i", 1)
            else:
                driven.send(f"/robojam/{phase}", "iff", 1, x, y)
        driven.take()
        driven.wait(ANSWERED)
        check_answer(driven.take())
    status = driven.status()
    assert status["planned"] >= answers
    assert status["plans_late"] == 0
    driven.end()
