"""The engine on a clock that the test turns: what comes in, and what goes out."""

import logging
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engine import OUT, Driven, playing, recordings
from support.players import Scripted, Whimsical, land, slide

from robojam.controls import Settings
from robojam.sessions import recorder
from robojam.sessions.session import EndEvent, SetEvent, TouchEvent, read
from robojam.touch import Phase
from robojam.wire import native, osc

WATCH = ("127.0.0.1", 7000)
STRANGER = ("192.168.1.66", 5005)
OUT_TYPES = {"down": "ifff", "move": "ifff", "up": "i", "next": "ifff", "turn": "s"}


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(*script, **options) -> Driven:
        folder = tmp_path / str(len(made))
        player = Scripted(*script, voices=options.get("voices", 1)) if script else None
        made.append(Driven(folder, player, **options))
        return made[-1]

    yield make
    for one in made:
        one.engine.finish("the end of the test")


def watching(driven: Driven) -> None:
    driven.send("/robojam/subscribe", "i", WATCH[1])


def play(driven: Driven, touches: int = 10, every: float = 0.02) -> None:
    """Play one stroke."""
    for i in range(touches):
        driven.send(f"/robojam/{'move' if i else 'down'}", "iff", 0, i / touches, 0.5)
        driven.wait(every)
    driven.send("/robojam/up", "i", 0)


def out(driven: Driven):
    return [m for m in driven.wire.sent if m.to == OUT]


def told(driven: Driven, to=WATCH):
    return [m for m in driven.wire.sent if m.to == to]


# -- what goes out ---------------------------------------------------------------------------


def test_the_machine_answers_in_time_and_with_exact_types(driven):
    d = driven(land(0.1, 0.25, 0.75), slide(0.05), response=0.3, timescale=2.0)
    play(d)
    silent_from = d.now - 0.02
    d.wait(3.0)
    sent = out(d)
    assert [m.name for m in sent] == ["ai/down", "ai/move", "ai/up"]
    assert [m.tags for m in sent] == ["ifff", "ifff", "i"]
    assert sent[0].args == pytest.approx((0, 0.25, 0.75, 0.2))
    assert sent[1].args == pytest.approx((0, 0.5, 0.5, 0.1))
    assert [m.at - silent_from for m in sent] == pytest.approx([0.7, 0.8, 0.8], abs=1e-6)
    assert d.status()["turn"] == "human"


def test_a_recording_ends_with_how_late_it_was_played(driven):
    d = driven(land(0.1), slide(0.05), mode="solo")
    d.send("/robojam/pause", "i", 0)
    d.wait(1.0, late=lambda: 0.002)
    assert d.status()["late_ms_max"] == pytest.approx(2.0)
    assert d.status()["held_up"] == 0
    end = d.end().events[-1]
    assert isinstance(end, EndEvent)
    assert end.late_ms == {"p50": 2.0, "p99": 2.0, "max": 2.0}


def test_what_was_recorded_is_what_was_sent(driven):
    d = driven(mode="duet", timescale=0.5)
    watching(d)
    for _ in range(3):
        play(d)
        d.wait(0.5)
    session = d.end()
    touched = [
        (f"{e.touch.who}/{e.touch.phase}", e.touch.id, e.touch.x, e.touch.y, e.touch.dt)
        for e in session.touches()
    ]
    scale = {"ai": 0.5}
    sent = [m for m in told(d) if m.name.endswith(("down", "move", "up"))]
    assert len(sent) > 30
    assert [m.name for m in sent] == [name for name, *_ in touched]
    for m, (name, finger, x, y, dt) in zip(sent, touched, strict=True):
        assert m.tags == OUT_TYPES[name.split("/")[1]]
        dt *= scale.get(name.split("/")[0], 1.0)
        expected = (finger,) if name.endswith("up") else (finger, x, y, dt)
        assert m.args == pytest.approx(expected, rel=1e-6)
    machine = [m for m in sent if m.name.startswith("ai")]
    assert [m.args for m in machine] == [m.args for m in out(d)]
    assert session.ended == "SIGTERM"


@pytest.mark.parametrize("mode", ["call-response", "duet", "solo", "listen"])
def test_in_every_mode_what_goes_out_is_legal(driven, mode):
    d = driven(mode=mode, voices=3)
    for _ in range(3):
        play(d)
        d.wait(2.0)
    d.engine.finish("SIGTERM")
    down: dict[str, bool] = {}
    for m in out(d):
        who, what = m.name.split("/")
        assert m.tags == OUT_TYPES[what]
        assert down.get(who, False) == (what != "down"), m
        down[who] = what != "up"
        if what != "up":
            finger, x, y, dt = m.args
            assert finger == 0
            assert 0 <= x <= 1
            assert 0 <= y <= 1
            assert 0.0009 < dt < 5.001
    assert not any(down.values())
    assert set(down) <= {"ai", "ai2", "ai3"}
    assert bool(down) == (mode != "listen")


def test_coming_in_takes_the_turn_back_at_once(driven):
    d = driven(land(0.1), slide(0.02), response=5.0)
    watching(d)
    play(d)
    d.wait(1.01)
    assert d.status()["turn"] == "ai"
    d.take()
    d.send("/robojam/down", "iff", 0, 0.5, 0.5)
    assert [m.name for m in out(d)] == ["ai/up"]
    d.wait(0.4)
    assert len(out(d)) == 1
    assert [m.args for m in told(d) if m.name == "turn"] == [("human",)]


def test_what_is_due_is_played_before_a_packet_is_handled(driven):
    d = driven(land(0.1), slide(0.01), slide(0.01))
    play(d)
    d.wait(0.5 - 0.02 + 0.1 - 0.001)
    d.take()
    d.now += 0.025  # nobody woke the loop meanwhile
    d.send("/robojam/down", "iff", 0, 0.5, 0.5)
    assert [m.name for m in out(d)] == ["ai/down", "ai/move", "ai/move", "ai/up"]


def test_after_a_long_sleep_there_is_no_heap_of_late_touches(driven, caplog):
    d = driven(land(0.02), slide(0.02), mode="solo")
    d.wait(1.0)
    for wake in (
        lambda: d.engine.advance(),
        lambda: d.send("/robojam/down", "iff", 0, 0.5, 0.5),
    ):
        d.take()
        d.now += 2.0
        wake()
        assert len(out(d)) <= 3
        d.wait(1.0)
        assert 40 < len([m for m in out(d) if not m.name.endswith("up")]) < 60
    assert "held up for 2.0 s" in caplog.text


def test_one_that_is_held_up_again_and_again_is_counted_and_told_a_few_times(driven, caplog):
    d = driven(land(0.02), slide(0.02), mode="solo")
    d.wait(1.0)
    for _ in range(20):
        d.now += 1.0
        d.engine.advance()
    assert d.status()["held_up"] == 20
    assert 2 <= caplog.text.count("held up") <= 6


def test_lateness_is_measured_and_moves_no_deadline(driven):
    d = driven(land(0.05), slide(0.05), mode="solo")
    d.wait(2.0, lambda: 0.004)
    assert d.status()["late_ms_p99"] == pytest.approx(4.0, rel=0.05)
    dues = [e.t for e in d.end().touches("ai") if e.touch.phase is not Phase.UP]
    assert dues == pytest.approx([0.05 * (i + 1) for i in range(len(dues))])


# -- who plays -------------------------------------------------------------------------------


def test_hosts_are_told_apart_in_the_order_of_their_first_touch(driven):
    d = driven(mode="listen")
    d.send("/robojam/up", "i", 0, sender=("10.0.0.9", 1))  # no touch: it names nobody
    for host, port in (("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.1", 2)):
        d.send("/robojam/move", "iff", 0, 0.5, 0.5, sender=(host, port))
        d.wait(0.1)
    session = d.end()
    assert [(e.touch.who, str(e.touch.phase)) for e in session.events[:3]] == [
        ("human", "down"),
        ("human2", "down"),
        ("human", "move"),  # the port may change
    ]
    assert d.status()["dropped"] == {"absent finger": 1}


def test_more_hosts_than_there_are_hands_are_dropped(driven):
    d = driven(mode="listen", record=False)
    for i in range(70):
        d.send("/touch", "ff", 0.5, 0.5, sender=(f"10.0.0.{i}", 1))
    assert d.status()["dropped"] == {"too many players": 6}


# -- bad input -------------------------------------------------------------------------------

BAD = {
    "malformed": [
        b"",
        b"\0",
        b"noise",
        b"#bundle\0",
        b"/robojam/down\0\0\0,iff",
        b"/x\xff\0,\0",
    ],
    "nested": [b""],
    "unknown address": [osc.encode("/volume", "f", 1.0), osc.encode("/robojam/")],
    "wrong arguments": [
        osc.encode("/robojam/down", "ff", 0.5, 0.5),
        osc.encode("/robojam/down", "sff", "0", 0.5, 0.5),
        osc.encode("/robojam/down", "fff", 0.5, 0.5, 0.5),
        osc.encode("/robojam/mode", "i", 1),
        osc.encode("/robojam/answer", "s", "now"),
        osc.encode("/touch", "f", 0.5),
    ],
    "not finite": [
        osc.encode("/robojam/down", "iff", 0, float("nan"), 0.5),
        osc.encode("/touch", "ff", 0.5, float("inf")),
        osc.encode("/robojam/temperature", "f", float("nan")),
        osc.encode("/robojam/down", "dff", float("inf"), 0.5, 0.5),
    ],
    "out of range": [
        osc.encode("/robojam/temperature", "f", -0.1),
        osc.encode("/robojam/temperature", "d", 1e300),
        osc.encode("/robojam/spread", "f", 10.1),
        osc.encode("/robojam/timescale", "f", 0.0),
        osc.encode("/robojam/threshold", "f", 0.019),
        osc.encode("/robojam/response", "f", 3601.0),
        osc.encode("/robojam/pause", "i", 2),
        osc.encode("/robojam/seed", "h", -1),
        osc.encode("/robojam/subscribe", "i", 0),
        osc.encode("/robojam/subscribe", "i", 65536),
        osc.encode("/robojam/down", "hff", 2**40, 0.5, 0.5),
        osc.encode("/touch", "ffd", 0.5, 0.5, -1.0),
        osc.encode("/touch", "ffd", 0.5, 0.5, 1e300),
    ],
    "unknown mode": [osc.encode("/robojam/mode", "s", "loud")],
    "absent finger": [osc.encode("/robojam/up", "i", 77)],
    "no such model": [osc.encode("/robojam/model", "s", "../../etc/passwd")],
    "echo": [
        osc.encode("/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.1),
        osc.encode("/robojam/turn"),
    ],
    "type": [b"/robojam/down\0\0\0,b\0\0\0\0\0\0"],
}
_deep = osc.encode("/robojam/panic")
for _ in range(1000):
    _deep = b"#bundle\0" + bytes(8) + len(_deep).to_bytes(4, "big") + _deep
BAD["nested"] = [_deep]


def jam_with(d: Driven, between) -> list:
    for _ in range(3):
        for i in range(10):
            d.send(f"/robojam/{'move' if i else 'down'}", "iff", 0, i / 10, 0.5)
            between(d)
            d.wait(0.02)
        d.send("/robojam/up", "i", 0)
        d.wait(1.5)
        between(d)
    return list(d.end().events)


def test_hostile_packets_are_counted_by_reason_and_the_jam_is_unharmed(driven, caplog):
    quiet = jam_with(driven(), lambda d: None)
    packets = [(reason, packet) for reason, bad in BAD.items() for packet in bad]
    sent = iter(packets * 10)

    def bother(d: Driven) -> None:
        for _ in range(3):
            d.raw(next(sent)[1], STRANGER)

    d = driven()
    loud = jam_with(d, bother)
    assert loud == quiet
    dropped: dict[str, int] = {}
    for reason, _packet in (packets * 10)[: 33 * 3]:
        dropped[reason] = dropped.get(reason, 0) + 1
    assert d.status()["dropped"] == dropped
    assert set(dropped) == set(BAD)
    warnings = [r for r in caplog.records if "dropped" in r.message]
    assert 3 <= len(warnings) <= 6  # in five seconds: one a second at most


NUMBERS = st.one_of(
    st.floats(width=32).map(lambda v: ("f", v)),
    st.floats().map(lambda v: ("d", v)),
    st.integers(-(2**31), 2**31 - 1).map(lambda v: ("i", v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: ("h", v)),
    st.sampled_from([("i", 0), ("i", 1), ("f", 0.5), ("d", 0.02)]),
)
WORDS = st.sampled_from(["solo", "duet", "listen", "call-response", "b.safetensors", "\n", ""])
ARGUMENTS = st.lists(NUMBERS | WORDS.map(lambda v: ("s", v)), max_size=4)
MESSAGES = st.tuples(st.sampled_from([*native.INPUTS]), ARGUMENTS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(MESSAGES, st.sampled_from([0.0, 0.01, 0.6])), max_size=30))
def test_whatever_comes_in_the_jam_goes_on_and_ends_with_no_finger_down(coming):
    with tempfile.TemporaryDirectory() as folder:
        d = Driven(Path(folder), mode="duet")
        d.models["b.safetensors"] = lambda: playing(Whimsical(), "b.safetensors", "0b")
        watching(d)
        for (address, arguments), pause in coming:
            tags = "".join(tag for tag, _ in arguments)
            d.send(address, tags, *(value for _, value in arguments))
            d.wait(pause)
            d.status()
        d.engine.finish("SIGTERM")
        for path in recordings(d.folder):
            down = set()
            for event in read(path).touches():
                finger = event.touch.who, event.touch.id
                assert (finger in down) == (event.touch.phase is not Phase.DOWN)
                (down.discard if event.touch.phase is Phase.UP else down.add)(finger)
            assert not down or read(path).ended == "record 0"


def test_a_coordinate_beyond_the_edge_is_clipped_and_counted(driven):
    d = driven(mode="listen")
    d.send("/robojam/down", "idd", 0, 1.5, -3e38)
    d.send("/touch", "ff", 0.5, 1.0)
    touches = list(d.end().touches())
    assert (touches[0].touch.x, touches[0].touch.y) == (1.0, 0.0)
    assert d.status()["clipped"] == 1


@pytest.mark.parametrize("tags", ["iff", "iii", "hdd", "fff", "dhh"])
def test_a_number_may_be_of_any_type(driven, tags):
    d = driven(mode="listen", record=False)
    d.send("/robojam/down", tags, *(1.0 if t in "fd" else 1 for t in tags))
    assert d.status()["fingers"] == 1


def test_a_bundle_is_handled_in_order_and_its_timetag_ignored(driven):
    d = driven(mode="listen")
    parts = [
        osc.encode("/robojam/down", "iff", 0, 0.5, 0.5),
        osc.encode("/robojam/down", "iff", 1, 0.5, 0.5),
        osc.encode("/robojam/up", "i", 0),
    ]
    body = b"".join(len(p).to_bytes(4, "big") + p for p in parts)
    d.raw(b"#bundle\0" + b"\xff" * 8 + body)
    assert [(e.touch.id, str(e.touch.phase)) for e in d.end().events[:3]] == [
        (0, "down"),
        (1, "down"),
        (0, "up"),
    ]


# -- monitors --------------------------------------------------------------------------------

CONTROLS = {
    "mode": "s",
    "threshold": "f",
    "response": "f",
    "temperature": "f",
    "spread": "f",
    "timescale": "f",
    "dwell": "f",
    "pause": "i",
    "record": "i",
    "model": "s",
    "seed": "h",
    "instrument": "s",
    "range": "s",
    "scale": "s",
    "volume": "f",
}


def test_a_monitor_is_told_the_turn_and_all_controls_once(driven):
    d = driven(threshold=0.25)
    watching(d)
    first = {m.name: m for m in told(d)}
    assert len(first) == len(told(d))
    assert {name: m.tags for name, m in first.items()} == {"turn": "s", **CONTROLS}
    assert first["threshold"].args == (0.25,)
    assert first["model"].args == ("a.safetensors",)
    assert first["seed"].args == (7,)
    d.take()
    watching(d)
    d.wait(0.5)
    assert not [m for m in told(d) if m.name != "forecast"]


def test_a_monitor_sees_everyone_and_every_control_that_takes_effect(driven):
    d = driven(land(0.1), slide(0.05))
    watching(d)
    play(d)
    d.wait(0.7)
    d.take()
    for name, tags, value in (
        ("mode", "s", "battle"),
        ("temperature", "f", 0.5),
        ("temperature", "f", 0.5),
        ("pause", "i", 1),
        ("reset", "", None),
        ("seed", "h", 99),
        ("panic", "", None),
    ):
        d.send(f"/robojam/{name}", tags, *([value] if tags else []))
    said = [(m.name, m.args) for m in told(d) if m.name in (*CONTROLS, "reset", "panic")]
    assert said == [
        ("mode", ("solo",)),
        ("temperature", (0.5,)),
        ("pause", (1,)),
        ("reset", ()),
        ("seed", (99,)),
        ("panic", ()),
    ]


def test_what_is_pending_is_told_with_its_wait_and_what_is_expected(driven):
    d = driven(land(0.2, 0.25, 0.75), slide(0.05), mode="duet")
    watching(d)
    d.take()
    play(d, 1)
    d.wait(0.1)
    coming = [m for m in told(d) if m.name == "ai/next"]
    assert coming[0].tags == "ifff"
    assert coming[0].args == pytest.approx((0, 0.25, 0.75, 0.2))
    expected = [m for m in told(d) if m.name == "forecast"]
    assert expected[-1].tags == "f" * 6
    d.take()
    play(d, 200, 0.005)
    d.wait(0.1)
    assert 20 <= len([m for m in told(d) if m.name == "forecast"]) <= 32  # in 1.1 s


def test_a_monitor_lapses_after_ten_seconds_even_while_nobody_plays(driven):
    d = driven(land(0.1), slide(0.1), mode="solo", response=0)
    watching(d)
    d.wait(6.0)
    watching(d)
    renewed = d.now
    d.wait(15.0)
    last = max(m.at for m in told(d))
    assert 9.8 < last - renewed <= 10.0
    assert d.status()["monitors"] == 0


def test_a_monitor_may_leave_and_only_its_own_host_takes_it_away(driven):
    d = driven(mode="solo")
    watching(d)
    d.send("/robojam/unsubscribe", "i", WATCH[1], sender=STRANGER)
    assert d.status()["monitors"] == 1
    d.send("/robojam/unsubscribe", "i", WATCH[1])
    assert d.status()["monitors"] == 0
    d.take()
    d.wait(1.0)
    assert not told(d)


def test_there_are_at_most_eight_monitors(driven):
    d = driven()
    for port in range(7000, 7010):
        d.send("/robojam/subscribe", "i", port)
    assert d.status()["monitors"] == 8
    assert d.status()["dropped"] == {"too many monitors": 2}
    d.send("/robojam/subscribe", "i", 7003)  # renewing is no new one
    assert d.status()["dropped"] == {"too many monitors": 2}


def test_a_monitor_is_at_the_host_that_asked_and_nowhere_else(driven):
    d = driven(mode="solo")
    d.send("/robojam/subscribe", "i", 53, sender=STRANGER)
    d.wait(1.0)
    assert {m.to for m in d.wire.sent} == {OUT, (STRANGER[0], 53)}


# -- loops -----------------------------------------------------------------------------------


def test_what_the_engine_sent_itself_is_no_human(driven):
    d = driven(mode="duet")
    d.wire.on_sent = lambda packet, to: d.engine.packet(packet, d.wire.address, d.now)
    play(d)
    d.wait(1.0)
    assert set(d.status()["dropped"]) == {"echo"}
    assert {e.touch.who for e in d.end().touches()} == {"human", "ai"}
    d2 = driven()
    d2.send("/robojam/subscribe", "i", 5005, sender=("127.0.0.1", 4000))  # at its own port
    assert d2.status()["monitors"] == 0


@pytest.mark.parametrize("mode", ["call-response", "duet", "solo"])
def test_a_monitor_that_sends_everything_back_makes_no_storm(driven, mode):
    d = driven(mode=mode)
    echoes: list[bytes] = []
    d.wire.on_sent = lambda packet, to: echoes.append(packet) if to == WATCH else None

    def echo(seconds: float) -> int:
        count = 0
        for _ in range(int(seconds / 0.001)):
            d.wait(0.001)
            coming, echoes[:] = list(echoes), []
            for packet in coming:
                count += 1
                d.raw(packet, WATCH)
        return count

    watching(d)
    play(d)
    echo(1.0)
    for name, tags, values in (
        ("answer", "", [()]),
        ("reset", "", [()]),
        ("seed", "h", [(5,)]),
        ("record", "i", [(1,)]),
        ("temperature", "f", [(0.9,), (0.7,), (0.5,)]),  # these chase each other
        ("mode", "s", [("duet",), (mode,)]),
        ("panic", "", [()]),
    ):
        for value in values:
            d.send(f"/robojam/{name}", tags, *value)
        echo(0.5)
        d.send("/robojam/pause", "i", 1)
        echo(0.5)
        assert echo(0.5) == 0, name
        d.send("/robojam/pause", "i", 0)
    assert {e.touch.who for e in d.end().touches()} <= {"human", "ai"}


def test_the_same_control_many_times_is_no_loop_when_it_was_not_sent_back_at_once(driven):
    d = driven(mode="duet")
    watching(d)
    for _ in range(30):
        d.send("/robojam/answer")
        d.wait(0.12)
    assert len([m for m in told(d) if m.name == "answer"]) == 30


# -- controls --------------------------------------------------------------------------------


def test_the_status_tells_what_there_is_to_know(driven):
    d = driven(mode="duet")
    status = d.status()
    wanted = "model device mode turn paused recording fingers played heard dropped clipped"
    assert set(wanted.split()) | {"late_ms_p99", "monitors"} <= set(status)
    assert status["recording"] == "armed"
    d.send("/robojam/status", sender=("10.0.0.5", 1234))
    asked = d.take()[-1]
    assert (asked.address, asked.tags, asked.to) == ("/robojam/status", "s", ("10.0.0.5", 1234))
    play(d)
    d.send("/robojam/pause", "i", 1)
    d.wait(1.0)
    status = d.status()
    assert status["heard"] == 10
    assert status["paused"] is True
    assert status["mode"] == "duet"
    d.engine._takes.close()
    assert d.status()["fingers"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("threshold", 0.02), ("threshold", 60.0), ("timescale", 0.001), ("timescale", 100.0),
     ("temperature", 10.0), ("temperature", 0.0), ("response", 3600.0), ("response", 0.0)],
)  # fmt: skip
@pytest.mark.parametrize("tag", ["f", "d"])
def test_the_limits_of_a_range_are_in_it_in_32_bits_too(driven, name, value, tag):
    d = driven()
    d.send(f"/robojam/{name}", tag, value)
    assert d.status()["dropped"] == {}
    assert d.status()[name] == pytest.approx(value)
    assert d.status()[name] >= value or name != "threshold"


@pytest.mark.parametrize("value", [0.9, 1.1])
def test_a_control_in_32_bits_that_is_in_force_has_no_effect(driven, value):
    d = driven()
    d.send("/robojam/spread", "d", value)
    watching(d)
    d.take()
    d.send("/robojam/spread", "f", value)
    assert d.status()["spread"] == value
    assert not told(d)


def test_impsys_names_of_modes_are_ours(driven):
    d = driven()
    names = {"polyphony": "duet", "battle": "solo", "useronly": "listen"}
    for impsy, ours in (names | {"callresponse": "call-response"}).items():
        d.send("/robojam/mode", "s", impsy)
        assert d.status()["mode"] == ours


def test_the_sound_changes_while_playing_and_is_told_and_recorded(driven):
    d = driven(land(0.1), slide(0.05))
    watching(d)
    play(d)
    d.wait(0.65)
    d.take()
    due = d.engine.jam.due
    for address, tags, value in (
        ("/robojam/instrument", "s", "ai=drums"),
        ("/robojam/instrument", "s", "AI = drums"),  # it is so already
        ("/robojam/instrument", "s", "chirp"),
        ("/inst", "s", "keys"),
        ("/robojam/scale", "s", "Minor"),
        ("/robojam/volume", "f", 0.5),
        ("/robojam/instrument", "s", "ai=banjo"),
        ("/robojam/scale", "s", "loud"),
        ("/robojam/volume", "f", 1.5),
    ):
        d.send(address, tags, value)
    changed = [
        ("instrument", "human=strings,ai=drums"),
        ("instrument", "human=chirp,ai=drums"),
        ("instrument", "human=keys,ai=drums"),
        ("scale", "minor"),
        ("volume", 0.5),
    ]
    assert [(m.name, *m.args) for m in told(d)] == changed  # and the machine plays on
    assert d.engine.jam.due == due
    status = d.status()
    assert (status["instrument"], status["scale"], status["volume"]) == (
        "human=keys,ai=drums", "minor", 0.5,
    )  # fmt: skip
    drops = ("unknown instrument", "unknown scale", "out of range")
    assert [status["dropped"].get(why) for why in drops] == [1, 1, 1]
    kept = [e.values for e in d.end().events if isinstance(e, SetEvent)]
    assert kept == [{name: value} for name, value in changed]


def test_answer_passes_the_turn_with_nothing_heard(driven):
    d = driven(land(0.1), slide(0.05))
    d.wait(5.0)
    assert not out(d)  # it never begins by itself
    d.send("/robojam/answer")
    asked = d.now
    d.wait(1.0)
    assert out(d)[0].at - asked == pytest.approx(0.1, abs=1e-6)
    session = d.end()
    assert session.events[0] == SetEvent(0.0, {"answer": 1})


def test_a_new_recording_begins_anew_in_a_file_of_its_own(driven):
    d = driven(land(0.1), slide(0.05))
    player = d.loaded.player
    watching(d)
    play(d)
    d.wait(1.0)
    assert d.status()["turn"] == "ai"
    d.take()
    d.send("/robojam/record", "i", 1)
    assert [(m.name, m.args) for m in told(d) if m.name in ("record", "turn", "ai/up")] == [
        ("ai/up", (0,)),
        ("turn", ("human",)),
        ("record", (1,)),
    ]
    assert player.counts != [0]
    d.wait(1.0)
    play(d, 3)
    assert player.fed == [[(pytest.approx(i / 3), 0.5, pytest.approx(0.02 if i else 0), i > 0)
                           for i in range(3)]]  # fmt: skip
    assert (player.seeded, player.counts) == (7, [0])
    d.engine.finish("SIGTERM")
    first, second = map(read, recordings(d.folder))
    assert first.ended == "a new recording"
    assert first.events[-2].touch.phase is Phase.UP
    assert second.events[0].t == 0.0
    assert len(list(second.touches("human"))) == 4


def test_record_0_closes_the_file_and_the_jam_goes_on(driven):
    d = driven(land(0.1), slide(0.05), mode="duet")
    play(d)
    d.send("/robojam/record", "i", 0)
    d.send("/robojam/record", "i", 0)
    d.take()
    play(d)
    d.wait(0.5)
    assert out(d)
    d.engine.finish("SIGTERM")
    assert d.status()["recording"] == ""
    session = read(recordings(d.folder)[0])
    assert len(recordings(d.folder)) == 1
    assert session.ended == "record 0"


def test_seeds_are_drawn_for_each_take_unless_one_was_asked_for(driven):
    d = driven(seed=None)
    seeds = []
    for asked in (None, None, 5, None):
        if asked is not None:
            d.send("/robojam/seed", "i", asked)
            assert d.status()["seed"] == asked
        d.send("/robojam/record", "i", 1)
        play(d, 1)
        seeds.append(d.status()["seed"])
        assert d.loaded.player.seeded == seeds[-1]
    assert seeds[2:] == [5, 5]
    assert len({*seeds}) == 3
    d.send("/robojam/seed", "h", 2**63 - 1)
    assert d.status()["seed"] == 2**63 - 1


def test_another_model_plays_on_without_stopping_and_is_recorded_with_its_hash(driven):
    d = driven(land(0.1), slide(0.1), mode="solo")
    d.models["b.safetensors"] = lambda: playing(Scripted(land(0.1)), "b.safetensors", "0b")
    watching(d)
    d.wait(1.0)
    d.send("/robojam/model", "s", "b.safetensors")
    assert d.status()["model"] == "b.safetensors"
    assert ("model", ("b.safetensors",)) in [(m.name, m.args) for m in told(d)]
    changed = d.now - 1000.0
    d.wait(1.0)
    d.send("/robojam/model", "s", "b.safetensors")  # it plays already
    session = d.end()
    sets = [e for e in session.events if isinstance(e, SetEvent)]
    assert [e.values for e in sets] == [{"model": {"file": "b.safetensors", "sha256": "0b"}}]
    after = [e for e in session.touches("ai") if e.t > changed]
    assert 8 <= len([e for e in after if e.touch.phase is Phase.DOWN]) <= 11


def test_a_model_that_is_not_there_changes_nothing(driven, caplog):
    d = driven()
    for name in ("c", "../a.safetensors", "x" * 5000, "\n"):
        d.send("/robojam/model", "s", name)
    assert d.status()["model"] == "a.safetensors"
    assert d.status()["dropped"] == {"no such model": 4}
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_panic_before_the_first_touch_holds_until_one(driven):
    d = driven(land(0.1))
    d.send("/robojam/panic")
    d.send("/robojam/answer")
    d.wait(3.0)
    assert not out(d)
    play(d)
    d.wait(2.0)
    assert out(d)


def test_nothing_is_recorded_without_record_nor_before_a_touch(driven, tmp_path: Path):
    d = driven(record=False)
    play(d)
    d.wait(1.0)
    d.engine.finish("SIGTERM")
    quiet = driven()
    quiet.send("/robojam/temperature", "f", 0.5)
    quiet.wait(5.0)
    quiet.engine.finish("SIGTERM")
    assert not list(tmp_path.rglob("*.jsonl"))


def test_the_header_tells_what_was_in_force_at_the_beginning(driven):
    d = driven(threshold=0.3)
    d.send("/robojam/temperature", "f", 0.5)
    d.send("/robojam/pause", "i", 1)
    play(d, 2)
    header = d.end().header
    assert header.seed == 7
    assert header.model.sha256 == "0a"
    assert header.options["threshold"] == 0.3
    assert header.options["temperature"] == 0.5
    assert header.options["pause"] == 1
    assert header.options["seed"] == 7
    assert set(Settings.__dataclass_fields__) < set(header.options)


def test_events_are_in_the_order_of_handling(driven):
    d = driven(mode="duet", voices=2)
    for _ in range(3):
        play(d)
        d.wait(0.3)
    times = [e.t for e in d.end().events]
    assert times == sorted(times)
    assert all(isinstance(e, TouchEvent) for e in d.end().events[:-1])


# -- a slow disk -----------------------------------------------------------------------------


def test_a_disk_that_hangs_holds_nothing_up_and_loses_nothing(tmp_path, monkeypatch):
    """The disk takes its first line only when all has been played: nobody waits for it."""
    hung, free, write = threading.Event(), threading.Event(), recorder._File._write

    def hangs(self, file):
        hung.set()
        assert free.wait(30)
        write(self, file)

    monkeypatch.setattr(recorder._File, "_write", hangs)
    d = Driven(tmp_path, voices=9, mode="solo")
    d.wait(0.5)
    assert hung.wait(30)
    d.wait(20.0)
    assert d.status()["trouble"] == []
    assert len(out(d)) > 100
    free.set()
    session = d.end()
    sent = [m.address.split("/")[2:] for m in out(d)]
    assert [[e.touch.who, e.touch.phase] for e in session.touches()] == sent
    assert session.ended == "SIGTERM"
