"""What a stranger, or an overload, cannot do: heap up work, files or time."""

from __future__ import annotations

import pytest
from support.engine import Driven, recordings
from support.players import Scripted, land, slide

from robojam.engine.metrics import RateLimiter


class Slow(Scripted):
    """Takes 5 ms of the engine's time for each touch it makes."""

    engine: Driven | None = None

    def choose(self, voice):
        if self.engine is not None:
            self.engine.now += 0.005
        return super().choose(voice)


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(player=None, **options) -> Driven:
        made.append(Driven(tmp_path / str(len(made)), player, **options))
        return made[-1]

    yield make
    for one in made:
        one.engine.finish("the end of the test")


def test_an_allowance_is_a_rate_and_a_burst():
    allowance = RateLimiter(10, 3)
    assert [allowance.take(5.0) for _ in range(5)] == [True, True, True, False, False]
    assert [allowance.take(5.15), allowance.take(5.15)] == [True, False]
    assert [allowance.take(60.0) for _ in range(4)] == [True, True, True, False]


def test_a_timescale_that_nobody_can_keep_up_with_blocks_nothing(driven):
    player = Slow(slide(0.02))
    d = driven(player, mode="solo", timescale=0.001)  # a touch every 20 µs, each costs 5 ms
    player.engine = d
    d.now += 0.4
    began = d.now
    d.engine.advance()
    assert d.now - began < 0.3  # not the 20,000 touches that were due
    d.now += 0.1
    d.send("/robojam/panic")
    d.take()
    player.engine = None
    d.wait(1.0)
    assert d.take() == []  # it was heard, and is obeyed


def test_one_host_cannot_play_without_end(driven):
    d = driven(Scripted(land(0.1)), mode="listen")
    for i in range(7000):
        d.send("/robojam/down", "iff", i % 3, 0.5, 0.5)
    assert d.status()["heard"] == 5000
    assert d.status()["dropped"]["too fast"] == 2000
    d.send("/robojam/down", "iff", 9, 0.5, 0.5, sender=("127.0.0.2", 4000))
    assert d.status()["heard"] == 5001  # others are heard
    d.wait(1.0)
    d.send("/robojam/down", "iff", 9, 0.5, 0.5)
    assert d.status()["heard"] == 5002


def test_recordings_cannot_be_made_without_end(driven):
    d = driven(Scripted(land(0.1)), mode="listen")
    for _ in range(40):
        d.send("/robojam/record", "i", 1)
        d.send("/robojam/down", "iff", 0, 0.5, 0.5)
    assert d.status()["dropped"]["too many recordings"] > 25
    d.engine.finish("SIGTERM")
    assert len(recordings(d.folder)) < 13


def test_a_panic_in_solo_lasts_into_the_next_recording(driven):
    d = driven(Scripted(land(0.1)), mode="solo")
    d.wait(0.55)
    d.send("/robojam/panic")
    d.send("/robojam/record", "i", 1)
    d.take()
    d.wait(2.0)
    assert d.take() == []
    assert d.status()["paused"] is True
    d.send("/robojam/pause", "i", 0)
    d.wait(0.55)
    assert [m.name for m in d.take()][:1] == ["ai/down"]


def test_the_status_tells_what_it_costs(driven):
    status = driven(Scripted(land(0.1))).status()
    assert status["cpu_s"] > 0
    assert status["uptime_s"] == 0
    assert status["memory_mb"] is None or status["memory_mb"] > 1
