"""Engine on a clock that the test sets: packets in, packets and recordings out."""

import logging
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engine import OUT, PATIENCE, DrivenEngine, playing, recordings
from support.players import RandomPlayer, ScriptedPlayer, land, slide

from robojam.controls import Settings
from robojam.jam.protocols import Proposal, Recall
from robojam.sessions.recording_file import RecordingFile
from robojam.sessions.session import EndEvent, SetEvent, TouchEvent, read
from robojam.touch import Phase
from robojam.wire import native, osc

MONITOR = ("127.0.0.1", 7000)
STRANGER = ("192.168.1.66", 5005)
OUT_TYPES = {"down": "ifff", "move": "ifff", "up": "i", "next": "ifff", "turn": "s"}


@pytest.fixture
def driven(tmp_path):
    engines = []

    def make(*script, **options) -> DrivenEngine:
        folder = tmp_path / str(len(engines))
        player = ScriptedPlayer(*script, voices=options.get("voices", 1)) if script else None
        engines.append(DrivenEngine(folder, player, **options))
        return engines[-1]

    yield make
    for driven in engines:
        driven.engine.finish("the end of the test")


def subscribe(driven: DrivenEngine) -> None:
    """Subscribe or renew the monitor at MONITOR."""
    driven.send("/robojam/subscribe", "i", MONITOR[1])


def play(driven: DrivenEngine, touches: int = 10, every: float = 0.02) -> None:
    """Play one stroke."""
    for i in range(touches):
        driven.send(f"/robojam/{'move' if i else 'down'}", "iff", 0, i / touches, 0.5)
        driven.wait(every)
    driven.send("/robojam/up", "i", 0)


def output(driven: DrivenEngine):
    """Return the messages that were sent to the output."""
    return [m for m in driven.wire.sent if m.to == OUT]


def monitored(driven: DrivenEngine):
    """Return the messages that were sent to the monitor."""
    return [m for m in driven.wire.sent if m.to == MONITOR]


# -- what goes out ---------------------------------------------------------------------------


def test_answer_is_sent_when_it_is_due_with_the_type_tags_of_the_contract(driven):
    d = driven(land(0.1, 0.25, 0.75), slide(0.05), response=0.3, timescale=2.0)
    play(d)
    silent_from = d.now - 0.02
    d.wait(3.0)
    sent = output(d)
    assert [m.name for m in sent] == ["ai/down", "ai/move", "ai/up"]
    assert [m.tags for m in sent] == ["ifff", "ifff", "i"]
    assert sent[0].args == pytest.approx((0, 0.25, 0.75, 0.2))
    assert sent[1].args == pytest.approx((0, 0.5, 0.5, 0.1))
    assert [m.at - silent_from for m in sent] == pytest.approx([0.7, 0.8, 0.8], abs=1e-6)
    assert d.status()["turn"] == "human"


def test_recording_ends_with_the_lateness_of_its_touches(driven):
    d = driven(land(0.1), slide(0.05), mode="solo")
    d.send("/robojam/pause", "i", 0)
    d.wait(1.0, late=lambda: 0.002)
    assert d.status()["late_ms_max"] == pytest.approx(2.0)
    assert d.status()["held_up"] == 0
    end = d.end().events[-1]
    assert isinstance(end, EndEvent)
    assert end.late_ms == {"p50": 2.0, "p99": 2.0, "max": 2.0}


def test_recorded_touches_are_those_that_were_sent(driven):
    d = driven(mode="duet", timescale=0.5)
    subscribe(d)
    for _ in range(3):
        play(d)
        d.wait(0.5)
    session = d.end()
    recorded = [
        (f"{e.touch.who}/{e.touch.phase}", e.touch.id, e.touch.x, e.touch.y, e.touch.dt)
        for e in session.touches()
    ]
    scale = {"ai": 0.5}
    sent = [m for m in monitored(d) if m.name.endswith(("down", "move", "up"))]
    assert len(sent) > 30
    assert [m.name for m in sent] == [name for name, *_ in recorded]
    for m, (name, finger, x, y, dt) in zip(sent, recorded, strict=True):
        assert m.tags == OUT_TYPES[name.split("/")[1]]
        dt *= scale.get(name.split("/")[0], 1.0)
        expected = (finger,) if name.endswith("up") else (finger, x, y, dt)
        assert m.args == pytest.approx(expected, rel=1e-6)
    machine = [m for m in sent if m.name.startswith("ai")]
    assert [m.args for m in machine] == [m.args for m in output(d)]
    assert session.ended == "SIGTERM"


@pytest.mark.parametrize("mode", ["call-response", "duet", "solo", "listen", "ensemble"])
def test_output_of_every_mode_has_fingers_in_order_and_touches_in_range(driven, mode):
    d = driven(mode=mode, voices=3)
    for _ in range(3):
        play(d)
        d.wait(2.0)
    d.engine.finish("SIGTERM")
    down: dict[str, bool] = {}
    for m in output(d):
        who, phase = m.name.split("/")
        assert m.tags == OUT_TYPES[phase]
        assert down.get(who, False) == (phase != "down"), m
        down[who] = phase != "up"
        if phase != "up":
            finger, x, y, dt = m.args
            assert finger == 0
            assert 0 <= x <= 1
            assert 0 <= y <= 1
            assert 0.0009 < dt < 5.001
    assert not any(down.values())
    assert set(down) <= {"ai", "ai2", "ai3"}
    assert bool(down) == (mode != "listen")


def test_human_touch_takes_the_turn_back_at_once(driven):
    d = driven(land(0.1), slide(0.02), response=5.0)
    subscribe(d)
    play(d)
    d.wait(1.01)
    assert d.status()["turn"] == "ai"
    d.take()
    d.send("/robojam/down", "iff", 0, 0.5, 0.5)
    assert [m.name for m in output(d)] == ["ai/up"]
    d.wait(0.4)
    assert len(output(d)) == 1
    assert [m.args for m in monitored(d) if m.name == "turn"] == [("human",)]


def test_due_touches_are_played_before_a_packet_is_handled(driven):
    d = driven(land(0.1), slide(0.01), slide(0.01))
    play(d)
    d.wait(0.5 - 0.02 + 0.1 - 0.001)
    d.take()
    d.now += 0.025  # the loop did not wake meanwhile
    d.send("/robojam/down", "iff", 0, 0.5, 0.5)
    assert [m.name for m in output(d)] == ["ai/down", "ai/move", "ai/move", "ai/up"]


def test_engine_that_slept_does_not_play_the_missed_touches_at_once(driven, caplog):
    d = driven(land(0.02), slide(0.02), mode="solo")
    d.wait(1.0)
    for wake in (
        lambda: d.engine.advance(),
        lambda: d.send("/robojam/down", "iff", 0, 0.5, 0.5),
    ):
        d.take()
        d.now += 2.0
        wake()
        assert len(output(d)) <= 3
        d.wait(1.0)
        assert 40 < len([m for m in output(d) if not m.name.endswith("up")]) < 60
    assert "held up for 2.0 s" in caplog.text


def test_repeated_delays_are_all_counted_and_a_few_are_logged(driven, caplog):
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


def test_hosts_are_players_in_the_order_of_their_first_touch(driven):
    d = driven(mode="listen")
    d.send("/robojam/up", "i", 0, sender=("10.0.0.9", 1))  # no touch, so no player
    for host, port in (("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.1", 2)):
        d.send("/robojam/move", "iff", 0, 0.5, 0.5, sender=(host, port))
        d.wait(0.1)
    session = d.end()
    touches = [event for event in session.events if isinstance(event, TouchEvent)]
    assert [(e.touch.who, str(e.touch.phase)) for e in touches[:3]] == [
        ("human", "down"),
        ("human2", "down"),
        ("human", "move"),  # the port may change
    ]
    assert d.status()["dropped"] == {"absent finger": 1}


def test_all_of_eighty_phones_are_heard_and_the_status_lists_those_who_play(driven, caplog):
    d = driven(mode="listen")
    with caplog.at_level(logging.INFO, "robojam"):
        for phone in range(80):
            d.send("/robojam/down", "iff", 0, phone / 80, 0.5, sender=(f"10.0.0.{phone}", 1))
            d.wait(0.1)
            d.send("/robojam/up", "i", 0, sender=(f"10.0.0.{phone}", 1))
    players = d.status()["players"]
    assert len(players) == 56  # this machine has the other places
    assert players[-1]["name"] == "human80"
    assert players[-1]["source"] == "10.0.0.79"
    assert "human80 joined, from '10.0.0.79'" in caplog.text
    assert "human left: '10.0.0.0' is silent for 6 s; all places are taken" in caplog.text
    d.send("/robojam/down", "iff", 0, 0.5, 0.5)  # from this machine
    assert [p["name"] for p in d.status()["players"]][-2:] == ["human80", "human81"]
    assert len(d.status()["players"]) == 57
    landed = [e.touch.who for e in d.end().touches() if e.touch.phase is Phase.DOWN]
    assert len(landed) == len(set(landed)) == 81
    assert d.status()["dropped"] == {}


# -- bad input -------------------------------------------------------------------------------

BAD = {
    "malformed": [
        b"",
        b"\0",
        b"\1noise",
        b"#bundle\0",
        b"/robojam/down\0\0\0,iff",
        b"/x\xff\0,\0",
    ],
    "nested": [b""],
    "unknown address": [osc.encode("/volume", "f", 1.0), osc.encode("/robojam/")],
    "wrong arguments": [
        osc.encode("/robojam/down", "ff", 0.5, 0.5),
        osc.encode("/robojam/down", "sff", "left", 0.5, 0.5),
        osc.encode("/robojam/down", "fff", 0.5, 0.5, 0.5),
        osc.encode("/robojam/mode", "i", 1),
        osc.encode("/robojam/answer", "ss", "now", "then"),
        b"/robojam/down\0\0\0,b\0\0\0\0\0\0",
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
    "unknown type": [b"/robojam/down\0\0\0,z\0\0\0\0\0\0"],
}
_deep = osc.encode("/robojam/panic")
for _ in range(1000):
    _deep = b"#bundle\0" + bytes(8) + len(_deep).to_bytes(4, "big") + _deep
BAD["nested"] = [_deep]


def events_with(d: DrivenEngine, between) -> list:
    """Return the events of a jam in which `between` is called between the touches."""
    for _ in range(3):
        for i in range(10):
            d.send(f"/robojam/{'move' if i else 'down'}", "iff", 0, i / 10, 0.5)
            between(d)
            d.wait(0.02)
        d.send("/robojam/up", "i", 0)
        d.wait(1.5)
        between(d)
    return list(d.end().events)


def test_hostile_packets_are_counted_by_reason_and_change_no_event(driven, caplog):
    undisturbed = events_with(driven(), lambda d: None)
    packets = [(reason, packet) for reason, bad in BAD.items() for packet in bad]
    sent = iter(packets * 10)

    def send_hostile(d: DrivenEngine) -> None:
        for _ in range(3):
            d.raw(next(sent)[1], STRANGER)

    d = driven(control=STRANGER[:1])  # so that its controls are read
    assert events_with(d, send_hostile) == undisturbed
    dropped: dict[str, int] = {}
    for reason, _packet in (packets * 10)[: 33 * 3]:
        dropped[reason] = dropped.get(reason, 0) + 1
    assert d.status()["dropped"] == dropped
    assert set(dropped) == set(BAD)
    warnings = [r.message for r in caplog.records if "dropped" in r.message]
    assert len(warnings) <= 32  # each kind once a minute
    for reason in BAD:
        assert any(f": {reason}" in text for text in warnings)


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


@settings(max_examples=200)
@given(st.lists(st.tuples(MESSAGES, st.sampled_from([0.0, 0.01, 0.6])), max_size=30))
def test_jam_with_any_messages_goes_on_and_ends_with_no_finger_down(sent):
    with tempfile.TemporaryDirectory() as folder:
        d = DrivenEngine(Path(folder), mode="duet")
        d.models["b.safetensors"] = lambda: playing(RandomPlayer(), "b.safetensors", "0b")
        subscribe(d)
        for (address, arguments), pause in sent:
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


def test_coordinate_out_of_range_is_clipped_and_counted(driven):
    d = driven(mode="listen")
    d.send("/robojam/down", "idd", 0, 1.5, -3e38)
    d.send("/touch", "ff", 0.5, 1.0)
    touches = list(d.end().touches())
    assert (touches[0].touch.x, touches[0].touch.y) == (1.0, 0.0)
    assert d.status()["clipped"] == 1


def test_player_who_sends_pixels_is_named_once_in_the_log(driven, caplog):
    d = driven(mode="listen")
    for i in range(20):
        d.send("/touch", "ff", 640.0 + i, 300.0)
        d.wait(0.02)
    (record,) = [r for r in caplog.records if "beyond the surface" in r.getMessage()]
    assert record.getMessage().startswith("human plays beyond the surface")


@pytest.mark.parametrize("tags", ["iff", "iii", "hdd", "fff", "dhh"])
def test_down_with_numbers_of_any_type_is_a_finger(driven, tags):
    d = driven(mode="listen", record=False)
    d.send("/robojam/down", tags, *(1.0 if t in "fd" else 1 for t in tags))
    assert d.status()["fingers"] == 1


def test_bundle_is_handled_in_order_and_its_timetag_is_ignored(driven):
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
    "follow": "f",
    "memory": "f",
    "dwell": "f",
    "pause": "i",
    "record": "i",
    "web": "i",
    "model": "s",
    "seed": "h",
    "instrument": "s",
    "range": "s",
    "scale": "s",
    "volume": "f",
    "clock": "s",
    "tempo": "f",
    "quantum": "s",
    "grid": "s",
    "swing": "f",
    "lean": "f",
    "bars": "i",
    "clock_out": "s",
    "morph": "f",
    "amount": "s",
    "metronome": "f",
}


def test_new_monitor_gets_the_turn_and_all_controls_once(driven):
    d = driven(threshold=0.25)
    subscribe(d)
    initial = {m.name: m for m in monitored(d)}
    assert len(initial) == len(monitored(d))
    assert {name: m.tags for name, m in initial.items()} == {"turn": "s", **CONTROLS}
    assert initial["threshold"].args == (0.25,)
    assert initial["model"].args == ("a.safetensors",)
    assert initial["seed"].args == (7,)
    d.take()
    subscribe(d)
    d.wait(0.5)
    assert not [m for m in monitored(d) if m.name != "forecast"]


def test_monitor_gets_every_control_that_takes_effect(driven):
    d = driven(land(0.1), slide(0.05))
    subscribe(d)
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
    controls = [
        (m.name, m.args) for m in monitored(d) if m.name in (*CONTROLS, "reset", "panic")
    ]
    assert controls == [
        ("mode", ("solo",)),
        ("temperature", (0.5,)),
        ("pause", (1,)),
        ("reset", ()),
        ("seed", (99,)),
        ("panic", ()),
    ]


def test_monitor_gets_the_pending_touch_and_a_bounded_number_of_forecasts(driven):
    d = driven(land(0.2, 0.25, 0.75), slide(0.05), mode="duet")
    subscribe(d)
    d.take()
    play(d, 1)
    d.wait(0.1)
    pending = [m for m in monitored(d) if m.name == "ai/next"]
    assert pending[0].tags == "ifff"
    assert pending[0].args == pytest.approx((0, 0.25, 0.75, 0.2))
    forecasts = [m for m in monitored(d) if m.name == "forecast"]
    assert forecasts[-1].tags == "f" * 6
    d.take()
    play(d, 200, 0.005)
    d.wait(0.1)
    assert 20 <= len([m for m in monitored(d) if m.name == "forecast"]) <= 32  # in 1.1 s


def test_monitor_is_told_what_comes_back_whose_it_was_and_how_long_ago(driven):
    path = (0.25, 0.25, 0.5, 0.75)
    d = driven(Proposal(0.5, 0.5, 0.2, moving=False, recall=Recall(path)), mode="solo")
    subscribe(d)
    d.wait(0.3)
    names = [m.name for m in monitored(d)]
    assert names[names.index("motif") - 1] == "ai/down"  # the touch goes first
    motif = next(m for m in monitored(d) if m.name == "motif")
    assert motif.tags == "ssf" + "f" * len(path)
    assert motif.args == ("ai", "", 0.0, *path)  # nobody has played: whose is not known


def test_monitor_expires_after_ten_seconds_without_renewal(driven):
    d = driven(land(0.1), slide(0.1), mode="solo", response=0)
    subscribe(d)
    d.wait(6.0)
    subscribe(d)
    renewed = d.now
    d.wait(15.0)
    last = max(m.at for m in monitored(d))
    assert 9.8 < last - renewed <= 10.0
    assert d.status()["monitors"] == 0


def test_monitor_is_removed_by_its_own_host_only(driven):
    d = driven(mode="solo")
    subscribe(d)
    d.send("/robojam/unsubscribe", "i", MONITOR[1], sender=STRANGER)
    assert d.status()["monitors"] == 1
    d.send("/robojam/unsubscribe", "i", MONITOR[1])
    assert d.status()["monitors"] == 0
    d.take()
    d.wait(1.0)
    assert not monitored(d)


def test_monitors_of_one_host_leave_places_to_others_and_to_this_machine(driven):
    d = driven()
    for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        for port in range(7000, 7008):
            d.request("subscribe", "i", port, sender=(host, 1))
            d.now += 0.01
    assert d.status()["monitors"] == 6
    subscribe(d)
    assert d.status()["monitors"] == 7
    assert d.status()["dropped"] == {}
    d.take()
    d.send("/robojam/volume", "f", 0.25)
    hosts = [m.to[0] for m in d.take() if m.name == "volume"]
    assert sorted(hosts) == [*sorted(["10.0.0.1", "10.0.0.2", "10.0.0.3"] * 2), MONITOR[0]]


def test_monitor_is_at_the_host_of_its_sender(driven):
    d = driven(mode="solo")
    d.request("subscribe", "i", 53, sender=STRANGER)
    d.wait(1.0)
    assert {m.to for m in d.wire.sent} == {OUT, (STRANGER[0], 53)}


# -- loops -----------------------------------------------------------------------------------


def test_packet_from_the_engine_s_own_address_is_an_echo(driven):
    d = driven(mode="duet")
    d.wire.on_sent = lambda packet, to: d.engine.packet(packet, d.wire.address, d.now)
    play(d)
    d.wait(1.0)
    assert set(d.status()["dropped"]) == {"echo"}
    assert {e.touch.who for e in d.end().touches()} == {"human", "ai"}
    d2 = driven()
    d2.send("/robojam/subscribe", "i", 5005, sender=("127.0.0.1", 4000))  # at its own port
    assert d2.status()["monitors"] == 0


@pytest.mark.parametrize("address", ["/touch", "/impsy", "/1/xy"])
def test_touch_from_the_engine_s_own_address_makes_no_player(driven, address):
    d = driven(mode="listen", touchosc=("/1/xy",))
    d.send(address, "ff", 0.25, 0.75, sender=d.wire.address)
    d.send("/robojam/mode", "s", "solo", sender=d.wire.address)
    status = d.status()
    assert (status["players"], status["mode"]) == ([], "listen")
    assert status["dropped"] == {"echo": 2}


@pytest.mark.parametrize("mode", ["call-response", "duet", "solo", "ensemble"])
def test_monitor_that_sends_every_packet_back_causes_no_endless_loop(driven, mode):
    d = driven(mode=mode)
    echoes: list[bytes] = []
    d.wire.on_sent = lambda packet, to: echoes.append(packet) if to == MONITOR else None

    def echo(seconds: float) -> int:
        count = 0
        for _ in range(int(seconds / 0.001)):
            d.wait(0.001)
            packets, echoes[:] = list(echoes), []
            for packet in packets:
                count += 1
                d.raw(packet, MONITOR)
        return count

    subscribe(d)
    play(d)
    echo(1.0)
    for name, tags, values in (
        ("answer", "", [()]),
        ("reset", "", [()]),
        ("seed", "h", [(5,)]),
        ("record", "i", [(1,)]),
        (
            "temperature",
            "f",
            [(0.9,), (0.7,), (0.5,)],
        ),  # several values follow one another in the loop
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


def test_control_repeated_slowly_takes_effect_each_time(driven):
    d = driven(mode="duet")
    subscribe(d)
    for _ in range(30):
        d.send("/robojam/answer")
        d.wait(0.12)
    assert len([m for m in monitored(d) if m.name == "answer"]) == 30


# -- controls --------------------------------------------------------------------------------


def test_status_has_the_keys_of_the_contract_and_is_sent_to_its_requester(driven):
    d = driven(mode="duet")
    status = d.status()
    keys = "model device mode turn paused recording fingers played heard dropped clipped"
    assert set(keys.split()) | {"late_ms_p99", "monitors"} <= set(status)
    assert status["recording"] == "armed"
    d.request("status", "", sender=("10.0.0.5", 1234))
    answer = d.take()[-1]
    assert (answer.address, answer.tags, answer.to) == (
        "/robojam/status",
        "s",
        ("10.0.0.5", 1234),
    )
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
def test_control_at_the_end_of_its_range_is_accepted_in_32_bits(driven, name, value, tag):
    d = driven()
    d.send(f"/robojam/{name}", tag, value)
    assert d.status()["dropped"] == {}
    assert d.status()[name] == pytest.approx(value)
    assert d.status()[name] >= value or name != "threshold"


@pytest.mark.parametrize("value", [0.9, 1.1])
def test_control_equal_in_32_bits_to_the_value_in_force_has_no_effect(driven, value):
    d = driven()
    d.send("/robojam/spread", "d", value)
    subscribe(d)
    d.take()
    d.send("/robojam/spread", "f", value)
    assert d.status()["spread"] == value
    assert not monitored(d)


def test_mode_by_impsy_s_name_is_robojam_s_mode(driven):
    d = driven()
    names = {"polyphony": "duet", "battle": "solo", "useronly": "listen"}
    for impsy, mode in (names | {"callresponse": "call-response"}).items():
        d.send("/robojam/mode", "s", impsy)
        assert d.status()["mode"] == mode


def test_sound_controls_take_effect_in_a_turn_and_are_sent_and_recorded(driven):
    d = driven(land(0.1), slide(0.05))
    subscribe(d)
    play(d)
    d.wait(0.65)
    d.take()
    due = d.engine.jam.due
    for address, tags, value in (
        ("/robojam/instrument", "s", "ai=drums"),
        ("/robojam/instrument", "s", "AI = drums"),  # already in force
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
        ("instrument", "human=strings,human1=chirp,ai=drums"),
        ("instrument", "human=strings,human1=keys,ai=drums"),
        ("scale", "minor"),
        ("volume", 0.5),
    ]
    assert [(m.name, *m.args) for m in monitored(d)] == changed  # and the machine plays on
    assert d.engine.jam.due == due
    status = d.status()
    assert (status["instrument"], status["scale"], status["volume"]) == (
        "human=strings,human1=keys,ai=drums", "minor", 0.5,
    )  # fmt: skip
    drops = ("unknown instrument", "unknown scale", "out of range")
    assert [status["dropped"].get(reason) for reason in drops] == [1, 1, 1]
    recorded = [e.values for e in d.end().events if isinstance(e, SetEvent)]
    assert recorded == [{name: value} for name, value in changed]


def test_answer_begins_a_jam_with_nothing_played_before(driven):
    d = driven(land(0.1), slide(0.05))
    d.wait(5.0)
    assert not output(d)  # the machine never begins by itself
    d.send("/robojam/answer")
    asked_at = d.now
    d.wait(1.0)
    assert output(d)[0].at - asked_at == pytest.approx(0.1, abs=1e-6)
    session = d.end()
    assert session.events[0] == SetEvent(0.0, {"answer": 1})


def test_new_recording_resets_and_reseeds_the_player_in_a_file_of_its_own(driven):
    d = driven(land(0.1), slide(0.05))
    player = d.loaded.player
    subscribe(d)
    play(d)
    d.wait(1.0)
    assert d.status()["turn"] == "ai"
    d.take()
    d.send("/robojam/record", "i", 1)
    assert [
        (m.name, m.args) for m in monitored(d) if m.name in ("record", "turn", "ai/up")
    ] == [
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
    assert output(d)
    d.engine.finish("SIGTERM")
    assert d.status()["recording"] == ""
    session = read(recordings(d.folder)[0])
    assert len(recordings(d.folder)) == 1
    assert session.ended == "record 0"


def test_seed_is_drawn_for_each_take_unless_one_was_set(driven):
    d = driven(seed=None)
    seeds = []
    for seed in (None, None, 5, None):
        if seed is not None:
            d.send("/robojam/seed", "i", seed)
            assert d.status()["seed"] == seed
        d.send("/robojam/record", "i", 1)
        play(d, 1)
        seeds.append(d.status()["seed"])
        assert d.loaded.player.seeded == seeds[-1]
    assert seeds[2:] == [5, 5]
    assert len({*seeds}) == 3
    d.send("/robojam/seed", "h", 2**63 - 1)
    assert d.status()["seed"] == 2**63 - 1


def test_new_model_plays_on_and_is_recorded_with_its_hash(driven):
    d = driven(land(0.1), slide(0.1), mode="solo")
    d.models["b.safetensors"] = lambda: playing(
        ScriptedPlayer(land(0.1)), "b.safetensors", "0b"
    )
    subscribe(d)
    d.wait(1.0)
    d.send("/robojam/model", "s", "b.safetensors")
    assert d.status()["model"] == "b.safetensors"
    assert ("model", ("b.safetensors",)) in [(m.name, m.args) for m in monitored(d)]
    changed = d.now - 1000.0
    d.wait(1.0)
    d.send("/robojam/model", "s", "b.safetensors")  # the model that plays already
    session = d.end()
    sets = [e for e in session.events if isinstance(e, SetEvent)]
    assert [e.values for e in sets] == [{"model": {"file": "b.safetensors", "sha256": "0b"}}]
    after = [e for e in session.touches("ai") if e.t > changed]
    assert 8 <= len([e for e in after if e.touch.phase is Phase.DOWN]) <= 11


def test_unknown_model_is_dropped_and_changes_nothing(driven, caplog):
    d = driven()
    for name in ("c", "../a.safetensors", "x" * 5000, "\n"):
        d.send("/robojam/model", "s", name)
    assert d.status()["model"] == "a.safetensors"
    assert d.status()["dropped"] == {"no such model": 4}
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_panic_before_the_first_touch_holds_until_a_touch(driven):
    d = driven(land(0.1))
    d.send("/robojam/panic")
    d.send("/robojam/answer")
    d.wait(3.0)
    assert not output(d)
    play(d)
    d.wait(2.0)
    assert output(d)


def test_no_file_is_written_without_record_or_before_a_touch(driven, tmp_path: Path):
    d = driven(record=False)
    play(d)
    d.wait(1.0)
    d.engine.finish("SIGTERM")
    untouched = driven()
    untouched.send("/robojam/temperature", "f", 0.5)
    untouched.wait(5.0)
    untouched.engine.finish("SIGTERM")
    assert not list(tmp_path.rglob("*.jsonl"))


def test_header_has_the_settings_in_force_at_the_beginning(driven):
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


def test_recorded_events_are_in_the_order_of_time(driven):
    d = driven(mode="duet", voices=2)
    for _ in range(3):
        play(d)
        d.wait(0.3)
    times = [e.t for e in d.end().events]
    assert times == sorted(times)
    assert all(isinstance(e, TouchEvent) for e in d.end().events[:-1])


# -- a slow disk -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "silence", [("/touch", "ff", 0.5, 0.5), ("/robojam/down", "iff", 1, 0.5, 0.5)]
)
def test_lift_of_a_finger_that_is_silent_reaches_monitors_and_recording_in_its_turn(
    tmp_path, silence
):
    d = DrivenEngine(tmp_path, mode="listen")
    subscribe(d)
    d.send(*silence)
    written = []
    d.engine._takes._recorder.write = written.append  # type: ignore[method-assign]
    d.take()
    while not written:  # nothing else happens
        assert d.now < 1020.0
        d.now += min(d.engine.advance(), 0.5) + 1e-6
        lifted = [m.name for m in d.take() if m.to == MONITOR and m.name.endswith("up")]
        assert len(lifted) == len(written)
        assert not d.engine._publisher._unflushed
    assert [event.touch.phase for event in written] == ["up"]


def test_disk_that_hangs_delays_no_touch_and_loses_none(tmp_path, monkeypatch):
    """The disk takes its first line only when all has been played."""
    hung, may_go_on, write = threading.Event(), threading.Event(), RecordingFile._write

    def hang(self, file):
        hung.set()
        assert may_go_on.wait(PATIENCE)
        write(self, file)

    monkeypatch.setattr(RecordingFile, "_write", hang)
    d = DrivenEngine(tmp_path, voices=9, mode="solo")
    d.wait(0.5)
    assert hung.wait(PATIENCE)
    d.wait(20.0)
    assert d.status()["trouble"] == []
    assert len(output(d)) > 100
    may_go_on.set()
    session = d.end()
    sent = [m.address.split("/")[2:] for m in output(d)]
    assert [[e.touch.who, e.touch.phase] for e in session.touches()] == sent
    assert session.ended == "SIGTERM"


def test_player_that_is_offered_before_the_first_touch_plays_the_take(driven):
    slow, taken = driven(), []
    faster = playing(RandomPlayer(), build="faster")
    slow.engine.offer(faster, lambda: taken.append(slow.now))
    slow.engine.calls.drain()
    assert taken == [slow.now]
    assert slow.status()["build"] == "faster"
    play(slow)
    assert faster.player.human_touches
    assert not slow.loaded.player.human_touches
    assert slow.end().header.build == "faster"


def test_player_that_is_offered_during_a_take_plays_the_next_one(driven):
    slow, taken = driven(), []
    play(slow)
    faster = playing(RandomPlayer(), build="faster")
    slow.engine.offer(faster, lambda: taken.append(slow.now))
    slow.engine.calls.drain()
    play(slow)
    assert not faster.player.human_touches
    assert slow.status()["build"] == "a build"
    assert not taken
    slow.send("/robojam/record", "i", 1)
    play(slow)
    assert len(taken) == 1
    slow.engine.finish("the end")
    first, second = map(read, recordings(slow.folder))
    assert (first.header.build, second.header.build) == ("a build", "faster")
    assert faster.player.human_touches


def test_player_that_is_offered_for_another_model_or_number_of_voices_does_not_play(driven):
    for voices, name in ((1, "b.safetensors"), (2, "a.safetensors")):
        slow = driven()
        other = playing(RandomPlayer(voices=voices), name, build="faster")
        slow.engine.offer(other, lambda: pytest.fail("it plays"))
        slow.engine.calls.drain()
        play(slow)
        assert slow.end().header.build == "a build"


def test_monitors_get_a_measured_pressure_before_its_touch(tmp_path):
    d = DrivenEngine(tmp_path)
    d.send("/robojam/subscribe", "i", MONITOR[1])
    d.take()
    d.send("/robojam/down", "ifff", 3, 0.5, 0.25, 0.75)
    d.send("/robojam/move", "iff", 3, 0.5, 0.5)
    sent = [(m.address, m.args[:2]) for m in d.take() if m.to == MONITOR and "human" in m.name]
    assert sent[0] == ("/robojam/human/pressure", (3, 0.75))
    assert [address for address, _ in sent[1:]] == [
        "/robojam/human/down",
        "/robojam/human/move",
    ]


def test_touch_that_arrived_just_before_its_take_began_is_recorded_at_its_first_instant(driven):
    """It came in the packet of a control with which a machine that plays by itself began."""
    d = driven(mode="solo")
    takes = d.engine._takes
    d.wait(0.1)
    takes.origin = d.now + 0.0016
    d.send("/robojam/down", "iff", 1, 0.25, 0.5)
    d.send("/robojam/up", "i", 1)
    d.wait(0.1)
    d.engine.finish("end")
    (path,) = recordings(d.folder)
    humans = [e for e in read(path).touches() if e.touch.who == "human"]
    assert [e.touch.phase for e in humans] == [Phase.DOWN, Phase.UP]
