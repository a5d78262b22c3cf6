"""Dialects in and out of a running engine, on a clock that the test turns."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.engine import HAND, OUT, PATIENCE, DrivenEngine, Sent
from support.players import RandomPlayer, ScriptedPlayer, land, slide

from robojam.jam.events import TouchPlayed
from robojam.ports.osc_out import tuio_source
from robojam.ports.tuio_in import TuioInput
from robojam.ports.udp import Endpoint
from robojam.touch import Phase, Touch
from robojam.wire import osc, tuio
from robojam.wire.native import NOTHING, Dropped, Finger


def driven(folder: Path, dialect: str, *script: Any, **options: Any) -> DrivenEngine:
    """Make an engine whose output is in a dialect."""
    script = script or (land(0.125, 0.25, 0.75), slide(0.125, 0.5, 0.5))
    to = (f"127.0.0.1:9000/{dialect}",)
    chosen = {"osc_out": to, "threshold": 0.5, "response": 0.3, **options}
    return DrivenEngine(folder, ScriptedPlayer(*script), **chosen)


def answer(engine: DrivenEngine) -> list[Sent]:
    """Play a touch, rest, and receive the whole answer."""
    engine.send("/robojam/down", "iff", 1, 0.5, 0.5)
    engine.send("/robojam/up", "i", 1)
    engine.wait(1.0)
    return [m for m in engine.take() if m.to == OUT]


def test_microjam_is_sent_every_down_and_move(tmp_path):
    sent = answer(driven(tmp_path, "microjam"))
    assert {m.address for m in sent} == {"/touch"}
    assert [m.args for m in sent] == [
        ("/x", 0.25, "/y", 0.75, "/z", 20.0),
        ("/x", 0.5, "/y", 0.5, "/z", 20.0),
    ]


def test_impsy_is_sent_both_addresses(tmp_path):
    sent = answer(driven(tmp_path, "impsy"))
    assert [(m.address, m.args) for m in sent] == [
        ("/impsy", (0.25, 0.75)),
        ("/prediction", (0.25, 0.75)),
        ("/impsy", (0.5, 0.5)),
        ("/prediction", (0.5, 0.5)),
    ]


def test_touchosc_pad_shows_the_machine_with_its_axes(tmp_path):
    sent = answer(driven(tmp_path, "touchosc", touchosc=("/1/xy=y,x",)))
    assert [(m.address, m.args) for m in sent] == [
        ("/1/xy/z", (1.0,)),
        ("/1/xy", (0.75, 0.25)),
        ("/1/xy", (0.5, 0.5)),
        ("/1/xy/z", (0.0,)),
    ]


def test_learnt_pad_is_played_on(tmp_path):
    engine = driven(tmp_path, "touchosc", touchosc=("learn",))
    assert answer(engine) == []
    engine.send("/3/xy", "ff", 0.5, 0.5)
    assert engine.status()["pads"] == ["/3/xy=x,-y"]
    engine.wait(1.0)
    assert {m.address for m in engine.take()} == {"/3/xy", "/3/xy/z"}


def test_each_output_is_sent_its_dialect(tmp_path):
    outs = ("127.0.0.1:9000", "127.0.0.1:9001/impsy", "127.0.0.1:9002/microjam")
    engine = driven(tmp_path, "native", osc_out=outs)
    engine.send("/touch", "ff", 0.5, 0.5)
    engine.wait(1.2)
    where = {(m.to[1], m.address.split("/")[1]) for m in engine.take()}
    assert where == {(9000, "robojam"), (9001, "impsy"), (9001, "prediction"), (9002, "touch")}


@pytest.mark.parametrize("dialect", ["native", "touchosc"])
def test_output_that_is_opened_and_closed_within_a_stroke_shows_a_whole_one(tmp_path, dialect):
    engine = driven(tmp_path, dialect, touchosc=("/1/xy",))
    (output,) = engine.engine._publisher.outputs
    stroke = [Touch(x, 0.5, 0.1, Phase.MOVE, 0, "ai") for x in (0.25, 0.5)]
    for i, touch in enumerate(stroke):
        output.handle(TouchPlayed(i / 10, touch, 0.1), i / 10)
    output.close()
    output.close()
    sent = engine.take()
    if dialect == "native":
        assert [m.name for m in sent] == ["ai/down", "ai/move", "ai/up"]
    else:
        assert [m.args for m in sent if m.address.endswith("/z")] == [(1.0,), (0.0,)]


def test_tuio_frames_are_repeated_once_a_second(tmp_path):
    engine = driven(tmp_path, "tuio", land(0.125, 0.25, 0.75), slide(3.0), response=0)
    engine.wait(3.0)
    frames = [m for m in engine.take() if m.args[0] == "fseq"]
    assert [m.args[1] for m in frames] == [-1] * 3
    engine.send("/touch", "ff", 0.5, 0.5)
    engine.wait(3.0)
    sent = engine.take()
    alive = [m.args[1:] for m in sent if m.args[0] == "alive"]
    assert alive[0] == ()
    assert (1,) in alive
    (landed, *again) = [m for m in sent if m.args[0] == "set"]
    assert landed.args == ("set", 1, 0.25, 0.75, 0.0, 0.0, 0.0)
    assert [m.args for m in again] == [landed.args] * len(again)
    assert {m.args[1] for m in sent if m.args[0] == "source"} == {tuio_source()}
    gaps = [b.at - a.at for a, b in pairwise(frames)]
    assert all(gap == pytest.approx(1.0, abs=1e-6) for gap in gaps)


@pytest.mark.parametrize("dialect", ["microjam", "impsy", "touchosc", "interface", "tuio"])
def test_looped_packets_are_dropped_as_echoes(dialect, tmp_path):
    engine = driven(tmp_path, dialect, touchosc=("/1/xy",))
    back: list[bytes] = []
    engine.wire.on_sent = lambda packet, to: back.append(packet)
    engine.send("/robojam/down", "iff", 1, 0.5, 0.5)
    engine.send("/robojam/up", "i", 1)
    looped = 0
    for _ in range(100):
        engine.wait(0.01)
        while back:
            packet = back.pop(0)
            if not packet.startswith(b"/prediction") and b"/xy/z" not in packet:
                if packet.startswith(b"/interface"):  # IMPSY lets through what it is sent
                    packet = packet.replace(b"/interface\0\0", b"/impsy\0\0")
                engine.raw(packet, ("127.0.0.1", 7777))
                looped += 1
    status = engine.status()
    assert looped >= 2
    assert status["heard"] == 1
    assert status["played"] == 2
    assert status["dropped"]["echo"] >= 2
    assert {e.touch.who for e in engine.end().touches()} == {"human", "ai"}


@pytest.mark.parametrize("delay", [None, 0.02, 0.3, 1.0])
def test_human_takes_the_turn_back_on_the_pad_that_shows_the_machine(delay, tmp_path):
    options = {"osc_out": ("127.0.0.1:9000/touchosc",), "touchosc": ("/1/xy",)}
    engine = DrivenEngine(
        tmp_path, RandomPlayer(), threshold=0.3, response=0.0, mode="call-response", **options
    )
    returning: list[tuple[float, bytes]] = []
    if delay is not None:  # the pad sends back what moves its dot
        engine.wire.on_sent = lambda packet, _: returning.append((engine.now + delay, packet))

    def wait(seconds: float) -> None:
        end = engine.now + seconds
        while engine.now < end:
            step = min(0.01, end - engine.now)
            engine.wait(min(step, returning[0][0] - engine.now) if returning else step)
            while returning and returning[0][0] <= engine.now:
                engine.raw(returning.pop(0)[1], HAND)

    def stroke(first: float) -> None:
        engine.send("/1/xy/z", "f", 1.0)
        for i in range(20):
            engine.send("/1/xy", "ff", first + i / 64, 0.5)
            if i == 0:
                assert engine.status()["turn"] == "human"
            wait(1 / 60)
        engine.send("/1/xy/z", "f", 0.0)

    for call in range(1, 5):
        stroke(call / 16)
        assert engine.status()["heard"] == 20 * call
        wait(2.0)
        assert engine.status()["turn"] == "ai"
    humans = [e.touch for e in engine.end().touches() if e.touch.who == "human"]
    assert [touch.x for touch in humans if touch.phase is Phase.DOWN] == [
        call / 16 for call in range(1, 5)
    ]
    assert sum(touch.phase is Phase.UP for touch in humans) == 4


def test_loop_is_named_once_in_the_log_and_in_the_status(tmp_path, caplog):
    options = {"osc_out": ("127.0.0.1:9000/microjam",), "mode": "solo"}
    engine = DrivenEngine(tmp_path, RandomPlayer(), **options)
    sent: list[bytes] = []
    engine.wire.on_sent = lambda packet, _: sent.append(packet)
    assert engine.status()["echo"] == []
    for _ in range(2400):
        engine.wait(0.025)
        while sent:
            engine.raw(sent.pop(0), HAND)
    (loop,) = engine.status()["echo"]
    assert loop["source"] == HAND[0]
    assert 0 <= loop["delay_ms"] <= 25
    assert loop["dropped"] > 20
    named = [text for text in caplog.messages if "sends back what robojam plays" in text]
    assert len(named) == 1
    assert {e.touch.who for e in engine.end().touches()} == {"ai"}


def test_two_trackers_without_a_name_on_one_host_are_two_humans(tmp_path):
    engine = driven(tmp_path, "native", mode="listen")
    for number in range(1, 10):
        for port, x in ((4001, 0.25), (4002, 0.75)):
            messages = [
                ("si", ("alive", 1)),
                ("sifffff", ("set", 1, x, number / 16, 0.0, 0.0, 0.0)),
                ("si", ("fseq", number)),
            ]
            packet = osc.bundle([osc.encode(tuio.ADDRESS, t, *a) for t, a in messages])
            engine.raw(packet, ("127.0.0.1", port))
        engine.wait(0.02)
    assert engine.status()["fingers"] == 2
    places = {(e.touch.who, e.touch.x) for e in engine.end().touches()}
    assert places == {("human", 0.25), ("human2", 0.75)}


def test_two_tuio_sources_on_one_host_are_two_humans(tmp_path):
    engine = driven(tmp_path, "native")
    for name in ("left", "right"):
        messages = [
            ("ss", ("source", name)),
            ("si", ("alive", 1)),
            ("sifffff", ("set", 1, 0.5, 0.5, 0.0, 0.0, 0.0)),
            ("si", ("fseq", 1)),
        ]
        engine.raw(osc.bundle([osc.encode(tuio.ADDRESS, t, *a) for t, a in messages]), HAND)
    assert engine.status()["fingers"] == 2
    assert [e.touch.who for e in engine.end().touches()][:2] == ["human", "human2"]


def test_unplugged_tuio_table_leaves_no_finger_down(tmp_path):
    engine = driven(tmp_path, "native", mode="listen")
    for tags, args in [
        ("si", ("alive", 1)),
        ("sifffff", ("set", 1, 0.5, 0.5, 0.0, 0.0, 0.0)),
        ("si", ("fseq", 1)),
    ]:
        engine.send(tuio.ADDRESS, tags, *args)
    engine.wait(4.9)
    assert engine.status()["fingers"] == 1
    engine.wait(0.2)
    assert engine.status()["fingers"] == 0


def test_impsy_controls_take_effect(tmp_path):
    engine = driven(tmp_path, "native")
    engine.send("/impsy/sigmatemp", "f", 0.25)
    engine.send("/impsy/pitemp", "f", 1.5)
    engine.send("/impsy/timescale", "f", 2.0)
    engine.send("/impsy/mode", "s", "polyphony")
    engine.send("/impsy/pause", "i", 1)
    engine.send("/impsy/reset")
    about = engine.status()
    wanted = {"spread": 0.5, "temperature": 1.5, "timescale": 2, "mode": "duet", "pause": 1}
    assert {name: about[name] for name in wanted} == wanted
    engine.send("/impsy/sigmatemp", "f", 1000.0)
    engine.send("/impsy/mode", "s", "jazz")
    assert engine.status()["dropped"] == {"out of range": 1, "unknown mode": 1}


def test_tuio_input_reads_touches_and_reports_other_packets(tmp_path):
    port_in = TuioInput(Endpoint("127.0.0.1", 0), tuio.TuioReader())
    port = int(str(port_in.status()["tuio"]).rpartition(":")[2])
    packet = tuio.TuioWriter("app").write(Touch(0.5, 0.25, 0.0, Phase.DOWN, 0, "ai"), 0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as table:
        table.connect(("127.0.0.1", port))
        came: list[Any] = []
        for one in (
            packet,
            packet[:60],
            b"\1noise",
            osc.encode("/tuio/2Dobj", "si", "fseq", 1),
            osc.encode("/touch", "ff", 0.5, 0.5),
        ):
            table.send(one)
            end = time.monotonic() + PATIENCE
            while not (received := port_in.receive()) and time.monotonic() < end:
                pass
            assert received is not None
            came += port_in.read(*received, arrival=0.0)
    touched, *dropped = [each for each in came if each[1] is not NOTHING]
    assert touched == ("tuio:127.0.0.1/app", Finger(Phase.DOWN, 1, 0.5, 0.25))
    assert [what.reason for _, what in dropped] == [
        "malformed",
        "malformed",
        "unknown address",
    ]
    assert all(isinstance(what, Dropped) for _, what in dropped)
    assert port_in.receive() is None
    port_in.close()


def test_microjam_instrument_message_is_harmless(tmp_path):
    engine = driven(tmp_path, "native")
    engine.send("/inst", "s", "strings")
    engine.send("/inst", "s", "a spoon")
    engine.send("/touch", "sfsfsf", "/x", 0.5, "/y", 0.5, "/z", 20.0)
    assert engine.status()["heard"] == 1
