"""Fair turns in an engine: a neighbour that never pauses, and the musician beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine import DrivenEngine
from support.players import RandomPlayer

from robojam.jam.fair_turns import PATIENCE
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import Session, SetEvent

OWN, NEIGHBOUR = ("127.0.0.1", 4000), ("10.9.8.7", 4000)

Make = Callable[..., DrivenEngine]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[DrivenEngine] = []

    def engine(**options: Any) -> DrivenEngine:
        made.append(DrivenEngine(tmp_path / str(len(made)), RandomPlayer(), **options))
        return made[-1]

    yield engine
    for each in made:
        each.engine.finish("the test is over")


def flood(driven: DrivenEngine, seconds: float, phrases: tuple[float, ...] = ()) -> list[float]:
    """Touch every 0.15 s from a neighbour, and at some times from this machine.

    Returns when the turns of the machine began, in seconds from the first touch.
    """
    origin, ahead, turn = driven.now, list(phrases), "human"
    begun: list[float] = []
    for i in range(int(seconds / 0.15)):
        driven.send("/robojam/down", "iff", i % 5, (i % 97) / 97, 0.5, sender=NEIGHBOUR)
        if ahead and driven.now - origin >= ahead[0]:
            del ahead[0]
            driven.send("/robojam/down", "iff", 0, 0.25, 0.25, sender=OWN)
            driven.send("/robojam/up", "i", 0, sender=OWN)
        driven.wait(0.15)
        before, turn = turn, driven.engine.jam.turn
        if turn == "ai" != before:
            begun.append(driven.now - origin)
    return begun


def settings_of(session: Session) -> list[dict[str, Any]]:
    return [event.values for event in session.events if isinstance(event, SetEvent)]


@pytest.mark.parametrize("mode", ["call-response", "duet", "listen", "ensemble"])
def test_jam_beside_a_neighbour_that_never_pauses_regenerates(make: Make, mode: str) -> None:
    driven = make(mode=mode, threshold=0.5, response=2.0)
    flood(driven, 60.0, (1.0, 20.0, 40.0))
    session = driven.end()
    assert {"visitor": "human"} in settings_of(session)
    made = tuple(regenerate(session, RandomPlayer(), lambda _: RandomPlayer()))
    assert first_difference(session, made) is None


def test_musician_is_answered_beside_a_neighbour_that_never_pauses(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    driven = make(threshold=0.5, response=2.0)
    with caplog.at_level(logging.INFO, "robojam"):
        begun = flood(driven, 60.0, (1.0, 20.0, 40.0))
    assert begun == pytest.approx([1.5 + PATIENCE, 20.5, 40.5], abs=0.4)
    said = [record.message for record in caplog.records if "made others wait" in record.message]
    assert len(said) == 1
    assert said[0].startswith(
        "human has made others wait for too long: until it pauses for 2.5 s"
    )
    assert [player["out"] for player in driven.status()["players"]] == [True, False]
    driven.wait(5.0)
    assert [player["out"] for player in driven.status()["players"]] == [False, False]
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=NEIGHBOUR)
    assert [player["out"] for player in driven.status()["players"]] == [False, False]


def test_neighbour_that_may_control_is_a_host_and_the_recording_says_nothing(
    make: Make,
) -> None:
    driven = make(threshold=0.5, control=(NEIGHBOUR[0],))
    flood(driven, 5.0, (1.0,))
    assert settings_of(driven.end()) == []


def test_visitor_is_recorded_in_each_take(make: Make) -> None:
    driven = make(mode="listen")
    for _ in range(2):
        driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=NEIGHBOUR)
        driven.send("/robojam/move", "iff", 0, 0.6, 0.5, sender=NEIGHBOUR)
        driven.wait(1.0)
        driven.send("/robojam/record", "i", 1, sender=OWN)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=NEIGHBOUR)
    assert settings_of(driven.end()) == [{"visitor": "human"}]


def test_monitors_and_outputs_are_not_sent_who_is_a_visitor(make: Make) -> None:
    driven = make(mode="listen")
    driven.send("/robojam/subscribe", "i", 9999, sender=OWN)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=NEIGHBOUR)
    driven.wait(0.1)
    assert not [sent for sent in driven.take() if sent.name in ("visitor", "host")]


def test_nobody_outside_says_who_is_a_visitor(make: Make) -> None:
    driven = make(mode="listen")
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=OWN)
    for name in ("visitor", "host"):
        driven.send(f"/robojam/{name}", "s", "human", sender=OWN)
    assert settings_of(driven.end()) == []
