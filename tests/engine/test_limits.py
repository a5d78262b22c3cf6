"""Limits on work, files and time that packets or an overload can cause."""

from __future__ import annotations

import pytest
from support.engine import DrivenEngine, recordings
from support.players import ScriptedPlayer, land, slide

from robojam.engine.senders import MAX_OF_A_NETWORK


class SlowPlayer(ScriptedPlayer):
    """Player that takes 5 ms of the engine's time for each touch that it samples."""

    engine: DrivenEngine | None = None

    def choose(self, voice):
        if self.engine is not None:
            self.engine.now += 0.005
        return super().choose(voice)


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(player=None, **options) -> DrivenEngine:
        made.append(DrivenEngine(tmp_path / str(len(made)), player, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.engine.finish("the end of the test")


def test_engine_that_cannot_keep_up_with_the_timescale_still_handles_input(driven):
    player = SlowPlayer(slide(0.02))
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
    assert d.take() == []  # the panic has taken effect


def test_touches_of_one_host_are_limited_and_those_of_others_are_not(driven):
    d = driven(ScriptedPlayer(land(0.1)), mode="listen")
    for i in range(7000):
        d.send("/robojam/down", "iff", i % 3, i / 7000, 0.5)
    assert d.status()["heard"] == 5000
    assert d.status()["dropped"]["too fast"] == 2000
    d.send("/robojam/down", "iff", 9, 0.5, 0.5, sender=("127.0.0.2", 4000))
    assert d.status()["heard"] == 5001  # other hosts are not limited
    d.wait(1.0)
    d.send("/robojam/down", "iff", 9, 0.5, 0.5)
    assert d.status()["heard"] == 5002


def test_neighbour_with_a_network_of_ipv6_is_limited_as_one_host(driven):
    d = driven(ScriptedPlayer(land(0.1)), mode="listen", osc_in="[::]:5005")
    musician, visitor = ("2001:db8:0:1::1", 4000), ("10.0.0.7", 4000)
    for sender in (musician, visitor):
        d.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=sender)
    for i in range(20_000):  # in a second
        sender = (f"2001:db8::{i:x}", 4000)
        d.send("/robojam/down", "iff", 0, i / 20_000, 0.5, sender=sender)
        d.now += 1 / 20_000
    status = d.status()
    sources = [player["source"] for player in status["players"]]
    assert {musician[0], visitor[0]} <= set(sources)
    assert len(sources) == 2 + MAX_OF_A_NETWORK
    assert status["dropped"]["flood"] > 20_000 - 3100  # 1000 at once, then 2000 a second
    for sender in (musician, visitor):
        d.send("/robojam/down", "iff", 0, 0.6, 0.5, sender=sender)
    assert d.status()["heard"] == status["heard"] + 2
    assert [player["name"] for player in d.status()["players"]][:2] == ["human", "human2"]


def test_this_machine_is_one_player_by_either_loopback_address(driven):
    d = driven(ScriptedPlayer(land(0.1)), mode="listen")
    d.send("/robojam/subscribe", "i", 4100, sender=("::1", 1))
    d.send("/robojam/down", "iff", 1, 0.5, 0.5, sender=("::1", 4000))
    d.send("/robojam/down", "iff", 2, 0.5, 0.5, sender=("127.0.0.1", 4000))
    assert [player["name"] for player in d.status()["players"]] == ["human"]
    # Controls that its window sends back are known as such.
    for _ in range(40):
        d.send("/robojam/reset", sender=("::1", 4000))
        d.wait(0.02)
    assert "echo" in d.status()["dropped"]


def test_recordings_on_request_are_limited(driven):
    d = driven(ScriptedPlayer(land(0.1)), mode="listen")
    for _ in range(40):
        d.send("/robojam/record", "i", 1)
        d.send("/robojam/down", "iff", 0, 0.5, 0.5)
        d.now += 0.01
    assert d.status()["dropped"]["too many recordings"] > 25
    d.engine.finish("SIGTERM")
    assert len(recordings(d.folder)) < 13


def test_panic_in_solo_lasts_into_the_next_recording(driven):
    d = driven(ScriptedPlayer(land(0.1)), mode="solo")
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


def test_status_has_the_processor_time_the_uptime_and_the_memory(driven):
    status = driven(ScriptedPlayer(land(0.1))).status()
    assert status["cpu_s"] > 0
    assert status["uptime_s"] == 0
    assert status["memory_mb"] is None or status["memory_mb"] > 1
