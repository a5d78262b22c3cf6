"""The quota of the recording: what a player beyond this machine may add to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine import DrivenEngine, recordings
from support.players import RandomPlayer

from robojam.controls import RefusedError
from robojam.engine import quota
from robojam.engine.quota import ALL, QUOTA, RecordingQuota, line_size
from robojam.limits import HostLimiter, RateLimiter
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import TouchEvent, encode
from robojam.touch import Phase, Touch, place_of

STRANGER, OWN = ("10.9.8.7", 4000), ("127.0.0.1", 4000)
HOUR = 3600

Make = Callable[..., DrivenEngine]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Engines whose quota is 900 bytes a second and 10,000 at once."""
    limiter = RateLimiter(8000, 6_000_000)
    hosts = HostLimiter(900, 10_000, 8, of_all=limiter)
    monkeypatch.setattr(quota, "HostLimiter", lambda *_, **__: hosts)
    made: list[DrivenEngine] = []

    def engine(**options: Any) -> DrivenEngine:
        made.append(DrivenEngine(tmp_path / str(len(made)), RandomPlayer(), **options))
        return made[-1]

    yield engine
    for each in made:
        each.engine.finish("the test is over")


def flood(driven: DrivenEngine, seconds: int, sender: tuple[str, int], rate: int = 40) -> None:
    """Send moves, landings, touches without phases and settings at a rate."""
    for i in range(seconds * rate):
        x = (i % 997) / 997
        if i % 10 < 6:
            driven.send("/robojam/move", "iff", i % 3, x, 0.1, sender=sender)
        elif i % 10 < 8:
            driven.send("/robojam/down", "iff", i % 64, x, 0.3, sender=sender)
        else:
            driven.send("/touch", "ff", x, 0.7, sender=sender)
        if i % rate == 0:
            name = ("keys", "strings")[i // rate % 2]
            driven.send("/robojam/instrument", "s", name, sender=sender)
        driven.wait(1 / rate)


def size(driven: DrivenEngine) -> int:
    driven.end()
    return sum(path.stat().st_size for path in recordings(driven.folder))


@pytest.mark.parametrize("mode", ["call-response", "duet", "listen", "ensemble"])
def test_disk_that_a_stranger_fills_is_bounded_and_the_jam_regenerates(
    make: Make, mode: str
) -> None:
    driven = make(mode=mode)
    flood(driven, 60, STRANGER)
    driven.wait(3.0)
    status = driven.status()
    assert status["dropped"]["quota"] > 500
    filled = size(driven)
    assert filled < 10_000 + 63 * 900 + 6000  # the header, and what was on its way
    assert filled > 30_000
    session = driven.end()
    made = tuple(regenerate(session, RandomPlayer(), lambda _: RandomPlayer()))
    assert first_difference(session, made) is None


@pytest.mark.parametrize("who", ["this machine", "a host", "nobody records"])
def test_quota_is_for_strangers_and_for_recordings_alone(make: Make, who: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "this machine": {},
        "a host": {"control": (STRANGER[0],)},
        "nobody records": {"record": False},
    }
    driven = make(mode="listen", **options[who])
    flood(driven, 20, OWN if who == "this machine" else STRANGER)
    assert "quota" not in driven.status()["dropped"]


def test_lift_is_heard_when_the_quota_is_used_up(make: Make) -> None:
    driven = make(mode="listen")
    driven.send("/robojam/down", "iff", 7, 0.5, 0.5, sender=STRANGER)
    for i in range(400):
        driven.send("/robojam/move", "iff", 7, i / 400, 0.5, sender=STRANGER)
    driven.send("/robojam/down", "iff", 8, 0.5, 0.5, sender=STRANGER)
    assert driven.status()["fingers"] == 1
    driven.send("/robojam/up", "i", 7, sender=STRANGER)
    assert driven.status()["fingers"] == 0
    driven.wait(2.0)  # and there is quota again
    driven.send("/robojam/move", "iff", 7, 0.5, 0.5, sender=STRANGER)
    assert driven.status()["fingers"] == 1


def test_quota_of_one_is_not_that_of_another(make: Make) -> None:
    driven = make(mode="listen")
    flood(driven, 20, STRANGER)
    before = driven.status()["dropped"]["quota"]
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=("10.9.8.8", 4000))
    assert driven.status()["dropped"]["quota"] == before


def test_stranger_fills_less_than_fifty_megabytes_in_an_hour() -> None:
    assert QUOTA[1] + HOUR * QUOTA[0] < 50e6
    assert ALL[1] + HOUR * ALL[0] < 350e6


def test_musician_who_moves_one_finger_without_end_is_never_cut() -> None:
    held = RecordingQuota()
    x = 0.30000001192092896
    for i in range(0, HOUR * 60, 60):  # a second at a time
        held.check("a", i / 60)
        held.charge("a", 60 * line_size("human2", 0, x, x), i / 60)
    for i in range(80 * 120):  # and ten fingers, for 80 seconds
        held.check("b", i / 120)
        held.charge("b", 10 * line_size("human2", 9, x, x), i / 120)


def test_hosts_together_have_a_quota() -> None:
    held = RecordingQuota()
    for i in range(ALL[1] // 10**6):
        held.check(f"10.0.0.{i}", 0.0)
        held.charge(f"10.0.0.{i}", 10**6, 0.0)
    with pytest.raises(RefusedError) as refused:
        held.check("10.0.1.1", 0.0)
    assert "--control HOST lifts this" in refused.value.about


def test_size_of_a_line_is_about_that_of_the_recorder() -> None:
    for pressure in (None, 0.12345678901234567):
        touch = Touch(0.30000001192092896, 0.7, 0.016666, Phase.MOVE, 3, "human12", pressure)
        written = len(encode(TouchEvent(123.45678901234, touch)))
        guessed = line_size("human12", 3, touch.x, touch.y, pressure)
        assert written <= guessed < 1.25 * written


@pytest.mark.parametrize("count", [1, 4, 16])
def test_size_of_a_line_of_knobs_is_about_that_of_the_recorder(count: int) -> None:
    knobs = tuple(0.30000001192092896 + 0.01 * i for i in range(count))
    touch = Touch(*place_of(knobs), 0.016666, Phase.MOVE, 3, "human12", None, knobs)
    written = len(encode(TouchEvent(123.45678901234, touch)))
    guessed = line_size("human12", 3, touch.x, touch.y, None, count)
    assert written <= guessed < 1.25 * written
