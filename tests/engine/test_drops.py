"""What an engine says of messages that it cannot use, and of the pads that it learns."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from support.engine import DrivenEngine

from robojam.touch import Phase
from robojam.wire import osc

PHONE, OTHER = ("192.168.0.23", 9000), ("192.168.0.24", 9000)


@pytest.fixture
def engine(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    return DrivenEngine(
        tmp_path, touchosc=("/1/multixy1", "/1/xy"), control=("192.168.0.0/24",)
    )


def said(caplog) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if "dropped" in record.message]
    caplog.clear()
    return lines


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (b"touch 0.5 0.5;\n", "FUDI, not OSC (b'touch 0.5 0.5;\\n'; in Pd: [oscformat touch]"),
        (b"\x1b[2J\xff\0", "malformed (b'\\x1b[2J\\xff\\x00')"),
        (
            osc.encode("/robojam/down", "ff", 0.5, 0.5),
            "wrong arguments ('/robojam/down' ff; it takes id x y or id x y pressure)",
        ),
        (osc.encode("/robojam/pause", "i", 2), "out of range ('/robojam/pause' i; it takes 0"),
        (osc.encode("/robojam/volume", "f", 9.0), "out of range (volume = 9.0; allowed: a num"),
        (osc.encode("/robojam/up", "i", 7), "absent finger"),
        (osc.encode("/panic"), "unknown address ('/panic'; did you mean /robojam/panic?)"),
    ],
)
def test_message_that_is_dropped_is_logged_once_with_its_sender(engine, caplog, packet, line):
    for _ in range(600):
        engine.raw(packet, PHONE)
        engine.wait(1 / 60)
    (only,) = said(caplog)
    assert only.startswith(f"dropped from 192.168.0.23:9000: {line}")
    engine.raw(packet, OTHER)
    (only,) = said(caplog)
    assert only.startswith("dropped from 192.168.0.24:9000: ")
    assert sum(engine.status()["dropped"].values()) == 601


def test_sensors_and_pings_of_a_phone_are_neither_counted_nor_logged(engine, caplog):
    for _ in range(60):
        engine.send("/accxyz", "fff", 0.1, 0.2, 0.3, sender=PHONE)
        engine.send("/ping", sender=PHONE)
        engine.wait(1 / 60)
    assert said(caplog) == []
    assert engine.status()["dropped"] == {}


def test_pads_and_fingers_without_their_touch_are_fingers_of_their_own(engine):
    places = {"/1/multixy1/1": 0.1, "/1/multixy1/2": 0.4, "/1/xy": 0.7}
    for step in range(10):
        for address, x in places.items():
            for sender in (PHONE, OTHER):
                engine.send(address, "ff", x + step / 100, 0.5, sender=sender)
        engine.wait(0.016)
    assert engine.status()["fingers"] == 6
    engine.wait(0.2)
    assert engine.status()["fingers"] == 0
    touches = [e.touch for e in engine.end().touches() if e.touch.phase is not Phase.UP]
    strokes: dict[tuple[str, int], list[float]] = {}
    for touch in touches:
        if touch.who.startswith("human"):
            strokes.setdefault((touch.who, touch.id), []).append(touch.x)
    assert len(strokes) == 6
    for xs in strokes.values():
        assert max(abs(b - a) for a, b in pairwise(xs)) < 0.02


def test_pad_that_is_learnt_is_said_with_its_axes_and_again_with_its_range(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    engine = DrivenEngine(tmp_path, touchosc=("learn",))
    for step in range(5):
        engine.send("/1/xy", "ff", 0.4 - step / 5, 0.5, sender=PHONE)
        engine.wait(0.016)
    assert [r.getMessage() for r in caplog.records if "touchosc" in r.message] == [
        "a pad plays: /1/xy (right 0 to 1, up 0 to 1); "
        "next time --touchosc /1/xy=x,-y takes it",
        "a pad plays: /1/xy (right -1 to 1, up -1 to 1); "
        "next time --touchosc /1/xy=x,-y:-1..1 takes it",
    ]
    assert engine.status()["pads"] == ["/1/xy=x,-y:-1..1"]


def test_pad_that_is_not_learnt_is_said_once_with_the_option_that_takes_it(engine, caplog):
    for step in range(100):
        engine.send("/2/xy/z", "f", 1.0, sender=PHONE)
        engine.send("/2/xy", "ff", -20.0, float(step), sender=PHONE)
        engine.send(f"/2/multixy/{step % 5 + 1}", "ff", 0.5, 0.5, sender=PHONE)
    assert [line.partition("(")[2].partition(")")[0] for line in said(caplog)] == [
        "'/2/xy/z' f; if that is a pad: --touchosc /2/xy",
        "'/2/multixy/1' ff; if that is a pad: --touchosc /2/multixy",
    ]


def test_button_and_words_without_a_number_control_the_jam(engine):
    engine.send("/robojam/down", "iff", 0, 0.5, 0.5)
    engine.raw(b"/robojam/pause\0\0,T\0\0")
    assert engine.status()["paused"]
    engine.raw(b"/robojam/pause\0\0,F\0\0")
    assert not engine.status()["paused"]
    engine.raw(b"/robojam/answer\0,F\0\0")  # the button is released
    assert engine.status()["turn"] == "human"
    engine.raw(b"robojam/answer\0\0,N\0\0")
    assert engine.status()["turn"] == "ai"
    assert engine.status()["dropped"] == {}


def test_message_of_tuio_that_is_dropped_is_logged_with_its_address(engine, caplog):
    for _ in range(10):
        engine.send("/tuio/2Dcur", "sif", "set", 7, 0.5, sender=PHONE)
    (only,) = said(caplog)
    assert only.startswith(
        "dropped from 192.168.0.23:9000: wrong arguments ('/tuio/2Dcur' sif 'set')"
    )
