"""Ears first: what comes in is heard at any load, and no packet deafens the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.engine import HAND, DrivenEngine
from support.players import RandomPlayer, land

from robojam.controls import RefusedError, validate_control
from robojam.engine.inbox import MAX_PACKETS
from robojam.ports.tuio_in import TuioInput
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import SetEvent
from robojam.touch import Phase
from robojam.wire import osc
from robojam.wire.tuio import TuioReader

FAR = ("10.0.0.7", 4000)
MONITOR = ("127.0.0.1", 4001)


class SlowPlayer(RandomPlayer):
    """Player whose every step takes some of the engine's time, in seconds."""

    engine: DrivenEngine | None = None
    step = 0.0005

    def _work(self, steps: int = 1) -> None:
        if self.engine is not None:
            self.engine.now += steps * self.step

    def choose(self, voice: int) -> Any:
        self._work()
        return super().choose(voice)

    def feed(self, *touch: Any) -> None:
        self._work(self.voices - self.resting)
        super().feed(*touch)


@pytest.fixture
def slow(tmp_path) -> Callable[..., DrivenEngine]:
    def make(voices: int = 1, **options: Any) -> DrivenEngine:
        player = SlowPlayer(voices=voices)
        driven = DrivenEngine(tmp_path, player, voices=voices, **options)
        player.engine = driven
        driven.send("/robojam/subscribe", "i", MONITOR[1])
        return driven

    return make


def turn(driven: DrivenEngine, *packets: tuple[bytes, tuple[str, int]]) -> None:
    """One turn of the loop, in which packets have come."""
    driven.engine.advance()
    for packet, sender in packets:
        driven.take_in(packet, sender)
    driven.engine.reception.listen()
    driven.now += 0.0001


def move(x: float, finger: int = 1) -> bytes:
    return osc.encode("/robojam/move", "iff", finger, x, 0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "solo", "timescale": 0.001},
        {"mode": "solo", "voices": 32, "timescale": 0.1},
        {"mode": "solo", "voices": 256, "timescale": 0.4},
        {"mode": "duet", "voices": 16},
        {"mode": "call-response", "voices": 8, "response": 0.0, "threshold": 0.05},
    ],
)
def test_human_is_heard_soon_at_any_load(slow, options):
    driven = slow(**options)
    sent: dict[float, float] = {}
    late = []
    next_at, end = driven.now, driven.now + 6.0
    while driven.now < end:
        packets = []
        if driven.now >= next_at:
            x = round(len(sent) / 1024, 9)
            sent[x] = driven.now
            packets = [(move(x), HAND)]
            next_at += 1 / 60
        turn(driven, *packets)
        for message in driven.take():
            if message.to == MONITOR and message.name in ("human/down", "human/move"):
                late.append(message.at - sent[round(message.args[1], 9)])
    assert len(late) >= 300
    late.sort()
    step = driven.options.voices * SlowPlayer.step  # no voice rests at first
    assert late[-1] < 0.010 + 2 * step
    assert late[int(0.9 * len(late))] < 0.020


def test_voices_that_there_is_no_time_for_rest_and_it_is_told_and_recorded(slow, caplog):
    driven = slow(voices=64, mode="solo", timescale=0.01)
    driven.take()
    end = driven.now + 5.0
    while driven.now < end:
        turn(driven)
    assert 1 <= driven.status()["resting"] < 64
    assert driven.status()["held_up"] > 0
    assert "more to play than this machine can" in caplog.text
    told = [m.args[0] for m in driven.take() if m.name == "resting"]
    assert told[-1] == driven.status()["resting"]
    driven.loaded.player.engine = None
    session = driven.end()
    sets = {name for e in session.events if isinstance(e, SetEvent) for name in e.values}
    assert {"held_up", "resting"} <= sets
    again = list(
        regenerate(session, RandomPlayer(voices=64), lambda _: RandomPlayer(voices=64))
    )
    assert first_difference(session, again) is None


def test_load_is_no_control_of_anybody(slow):
    driven = slow()
    for name, value in (("held_up", 1.0), ("resting", 1)):
        with pytest.raises(RefusedError, match="no such control"):
            validate_control(name, value, driven.options.settings(), None)


def test_long_bundle_is_handled_in_pieces_between_which_others_are_heard(slow):
    driven = slow(voices=1, mode="listen")
    flood = osc.bundle([move(i / 1000, finger=2) for i in range(1000)])
    driven.take()
    turn(driven, (flood, FAR), (move(0.25), HAND))
    heard = [m for m in driven.take() if m.to == MONITOR and m.name == "human2/down"]
    turns = 1
    while not heard:
        turn(driven)
        turns += 1
        heard = [m for m in driven.take() if m.to == MONITOR and "human2/" in m.name]
    assert turns <= 4


@pytest.mark.parametrize(
    ("address", "tags", "values", "most"),
    [
        ("/robojam/back", "f", ((1.0,),), 16),
        ("/robojam/reset", "", ((),), 16),
        ("/robojam/temperature", "f", ((0.5,), (0.6,)), 64),
        ("/robojam/move", "iff", None, 128),
    ],
)
def test_work_of_one_packet_is_bounded_and_counted(slow, address, tags, values, most):
    driven = slow(voices=2, mode="solo")
    driven.send("/robojam/down", "iff", 1, 0.5, 0.5)
    messages = []
    for i in range(1000):
        args = (1, i / 1000, 0.5) if values is None else values[i % len(values)]
        messages.append(osc.encode(address, tags, *args))
    driven.take()
    driven.raw(osc.bundle(messages))
    dropped = driven.status()["dropped"]
    assert dropped["too much in one packet"] == 1
    effects = [
        m for m in driven.take() if m.to == MONITOR and m.address.startswith("/robojam/")
    ]
    count = sum(m.name.split("/")[-1] == address.split("/")[-1] for m in effects)
    assert count <= most


def test_lifts_in_a_long_packet_are_all_heard(slow):
    driven = slow(mode="listen")
    driven.raw(osc.bundle([osc.encode("/robojam/down", "iff", i, 0.5, 0.5) for i in range(64)]))
    assert driven.status()["fingers"] == 64
    lands = [osc.encode("/robojam/down", "iff", 70 + i, 0.1, 0.1) for i in range(60)]
    lifts = [osc.encode("/robojam/up", "i", i) for i in range(64)]
    driven.now += 0.1
    driven.raw(osc.bundle([*lifts, *lands]))
    assert driven.status()["fingers"] == 60


def test_flood_of_another_host_is_dropped_and_this_machine_is_heard(slow):
    driven = slow(mode="listen")
    for i in range(3 * MAX_PACKETS):
        driven.take_in(move(i / 2000, finger=2), FAR)
    driven.take_in(move(0.5))
    driven.take()
    turn(driven)
    assert any(m.name == "human/down" or m.name == "human2/down" for m in driven.take())
    while driven.engine.reception.listen():
        driven.now += 0.001
    assert driven.status()["dropped"]["flood"] >= 3 * MAX_PACKETS - 1000
    assert len(driven.status()["players"]) == 2


def test_packet_that_waited_is_handled_at_its_turn_and_time_never_runs_back(slow):
    driven = slow(mode="listen")
    driven.send("/robojam/down", "iff", 1, 0.1, 0.5)
    arrival = driven.now
    driven.take_in(move(0.2), arrival=arrival)
    driven.wait(0.5)  # the loop had no time for it
    while driven.engine.reception.listen():
        pass
    driven.wait(0.1)
    touches = [e for e in driven.end().touches("human") if e.touch.phase is not Phase.UP]
    assert [e.t for e in touches] == sorted(e.t for e in touches)
    assert touches[-1].t == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "message",
    [
        osc.encode("/ping"),
        osc.encode("/robojam/panic", "i", 0),
        osc.encode("/tuio/2Dcur", "ss", "source", "x"),
    ],
)
def test_messages_that_ask_for_nothing_are_read_in_pieces(slow, message):
    driven = slow(mode="listen")
    packet = osc.bundle([message] * 1000)
    for read in (driven.engine.reception.read, TuioInput(None, TuioReader()).read):  # type: ignore[arg-type]
        assert len(list(read(packet, FAR, driven.now))) == 1000
    before = driven.status()["dropped"]
    driven.raw(packet, sender=FAR)
    assert driven.status()["dropped"] == before


def test_delay_is_the_time_that_was_missing_and_not_the_rest_before(slow):
    driven = slow(mode="call-response", response=0.0)
    driven.loaded.player.choose = lambda _: land(5.0)
    driven.send("/robojam/answer")
    driven.now += 5.001  # nothing was due meanwhile, so nobody woke the engine

    driven.lost = 0.004  # the system takes the processor away again and again
    for _ in range(3):
        driven.engine.advance()
    driven.lost = 0.0
    driven.wait(1.0)
    delays = [
        e.values["held_up"]
        for e in driven.end().events
        if isinstance(e, SetEvent) and "held_up" in e.values
    ]
    assert delays
    assert max(delays) < 0.1
