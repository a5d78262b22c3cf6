"""MIDI ports of the engine, on a clock that the test turns."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import DrivenEngine
from support.jack import left_on
from support.players import RandomPlayer, ScriptedPlayer, land, slide

from robojam.config.map_table import parse_map
from robojam.config.options import Options
from robojam.controls import SETTINGS
from robojam.jam.events import ControlChanged, TouchPlayed, TurnChanged
from robojam.ports.midi import ECHO, GATHER, MISSED, SILENCE, MidiPorts
from robojam.ports.midi_process import OUTPUTS
from robojam.sessions.session import SetEvent
from robojam.touch import Phase, Touch, place_of
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, parse_styles
from robojam.wire.native import Control, Dropped, Finger, PhaselessTouch, PitchedFinger


class FakeClient:
    """Client of no process: it receives the datagrams of the test and keeps what is sent."""

    def __init__(self, inputs: Any, outputs: Any, clock: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.waiting: list[tuple[str, int, bytes]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.pokes = 0
        self.sends = True
        self.closed = False
        self.restarts, self.trouble = 0, None

    def fileno(self) -> int:
        return 0

    def receive(self):
        received, self.waiting = self.waiting, []
        return received

    def send(self, number: int, data: bytes) -> bool:
        if self.sends:
            self.sent.append((number, data))
        return self.sends

    def send_knobs(self, number: int, data: bytes) -> bool:
        return self.send(number, data)

    def poke(self) -> None:
        self.pokes += 1

    def watch(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self, number: int = 0) -> list[bytes]:
        """Return the messages sent to an output since the last call."""
        data = b"".join(d for n, d in self.sent if n == OUTPUTS + number)
        self.sent = [(n, d) for n, d in self.sent if n != OUTPUTS + number]
        return stream.MidiParser().feed(data)[0]


class DrivenPorts:
    """MidiPorts on a clock that the test turns."""

    def __init__(
        self, monkeypatch, *, everyone=False, styles=None, table=None, **ports
    ) -> None:
        self.now = 100.0
        monkeypatch.setattr("robojam.ports.midi.MidiClient", FakeClient)
        controls = {name: ports.pop(name) for name in SETTINGS if name in ports}
        styles, mapped = parse_styles(styles or {}), parse_map(table or {})
        options = Options(midi=styles, controls=controls, map=mapped, **ports)
        self.midi = MidiPorts(options, everyone=everyone, clock=lambda: self.now)
        self.client: FakeClient = self.midi._client  # type: ignore[assignment]

    def report(self, letter: str, number: int = 0, data: bytes = b""):
        self.client.waiting.append((letter, number, data))
        return self.midi.receive()

    def play(self, messages: bytes, number: int = 0):
        return self.report("m", number, messages)

    def touch(
        self, phase: str, x: float = 0.5, y: float = 0.5, who: str = "ai", t: float = 0.0
    ):
        what = TouchPlayed(t, Touch(x, y, 0.1, Phase(phase), 0, who), 0.1)
        self.midi.handle(what, self.now)


@pytest.fixture
def ports(monkeypatch):
    """Ports with one input and one output, both open, without the messages of their start."""
    made = DrivenPorts(monkeypatch, midi_in=("board",), midi_out=("surge/keys",))
    made.report("o", 0, b"Board:midi")
    made.report("o", OUTPUTS, b"Surge:midi")
    made.client.take()
    return made


def test_moves_of_one_port_are_gathered_before_they_are_received(ports):
    assert ports.midi.advance(ports.now) == 1.0
    down = PitchedFinger(Phase.DOWN, 1 << 7 | 60, 60.0, 1 - 64 / 127, pressure=9 / 127)
    assert ports.play(stream.note_on(1, 60, 9)) == [("midi:board", down)]
    assert ports.play(stream.bend(1, 9000)) == []
    assert ports.midi.advance(ports.now) == pytest.approx(GATHER)
    ports.now += GATHER / 2
    assert ports.play(stream.control(1, 74, 127)) == []
    ports.now += GATHER
    assert ports.midi.advance(ports.now) > 0
    assert ports.client.pokes == 1
    ((source, move),) = ports.midi.receive()
    assert (source, move.phase, move.y) == ("midi:board", Phase.MOVE, 0.0)
    assert ports.midi.advance(ports.now) == 1.0


def test_two_ports_are_two_players(monkeypatch):
    two = DrivenPorts(monkeypatch, midi_in=("board", "board/keys"))
    ((first, _),) = two.play(stream.note_on(0, 60, 9), 0)
    ((second, _),) = two.play(stream.note_on(0, 60, 9), 1)
    assert first != second


def test_pulled_input_lifts_its_fingers_and_reports_a_partial_message(ports):
    ports.play(stream.note_on(1, 60, 9) + stream.note_on(2, 61, 9) + b"\x91\x3c")
    inputs = [item for _, item in ports.report("g", 0)]
    assert inputs[0] == Dropped(stream.CUT_OFF)
    assert [item.phase for item in inputs[1:]] == [Phase.UP, Phase.UP]
    assert ports.midi.status()["midi"]["in"][0]["connected"] is False
    ports.report("o", 0, b"Board:midi")
    # A data byte that comes first now belongs to nothing of before.
    assert ports.play(b"\x40") == [("midi:board", Dropped(stream.STRAY))]
    assert len(ports.play(stream.note_on(1, 60, 9))) == 1


def test_output_is_cleared_when_first_opened_and_only_set_up_when_it_returns(monkeypatch):
    made = DrivenPorts(monkeypatch, midi_out=("surge/lead",), styles={"lead": {"program": 5}})
    made.touch("down")
    assert made.client.sent == []  # the port is not open, and not waited for
    made.report("o", OUTPUTS, b"Surge:midi")
    messages = made.client.take()
    assert stream.note_off(1, 60) in messages
    assert b"".join(messages).endswith(stream.program(15, 4, None))
    made.report("g", OUTPUTS)
    made.touch("move")
    assert made.client.take() == []
    made.report("o", OUTPUTS, b"Surge:midi")
    # The output is not cleared again, because another program may play it by now.
    assert stream.note_off(1, 60) not in made.client.take()
    made.touch("move")
    assert left_on(made.client.take()) == {(1, 60)}  # a finger that moves sounds again


def test_human_touches_are_played_only_when_everyone_is(ports, monkeypatch):
    ports.touch("down", who="human")
    assert ports.client.take() == []
    ports.touch("down")
    assert ports.client.take() == [stream.note_on(0, 60, 64)]
    replay = DrivenPorts(monkeypatch, everyone=True, midi_out=("surge/keys",))
    replay.report("o", OUTPUTS, b"Surge:midi")
    replay.client.take()
    replay.touch("down", who="human")
    assert replay.client.take() == [stream.note_on(0, 60, 64)]


def test_output_follows_the_range_of_the_jam(ports):
    ports.midi.handle(ControlChanged(0.0, "range", "48-96"), ports.now)
    ports.touch("down")
    assert ports.client.take() == [stream.note_on(0, 72, 64)]


def silenced(messages):
    return [m for m in messages if m[:2] == bytes((0xB0, stream.SOUND_OFF))]


@pytest.mark.parametrize("name", ["mode", "panic"])
def test_change_of_mode_and_panic_silence_the_output(ports, name):
    ports.touch("down")
    ports.midi.handle(ControlChanged(0.0, name, "solo" if name == "mode" else 1), ports.now)
    messages = ports.client.take()
    assert not left_on(messages)
    assert b"".join(messages).endswith(stream.silence(0))
    ports.midi.handle(ControlChanged(0.0, "spread", 1.0), ports.now)
    assert ports.client.take() == []


def test_turn_taken_back_is_silenced_and_a_finished_turn_rings_on(ports):
    ports.touch("down")
    ports.touch("up", t=2.0)
    ports.midi.handle(TurnChanged(2.0, "human"), ports.now)
    ports.touch("down", who="human", t=3.0)
    assert not silenced(ports.client.take())
    ports.touch("down")
    ports.touch("up", t=5.0)
    ports.midi.handle(TurnChanged(5.0, "human"), ports.now)
    ports.touch("down", who="human", t=5.0)
    assert silenced(ports.client.take())


def test_jam_reports_a_turn_taken_back_unlike_a_finished_one(ports, tmp_path):
    jam = DrivenEngine(
        tmp_path, ScriptedPlayer(land(0.1), slide(0.1)), threshold=0.1, response=1.0
    )
    jam.engine._publisher.use((ports.midi,))

    def call():
        jam.send("/robojam/down", "iff", 1, 0.5, 0.5)
        jam.send("/robojam/up", "i", 1)

    call()
    jam.wait(0.5)
    before = ports.client.take()
    assert left_on(before)
    call()
    after = ports.client.take()
    assert not left_on([*before, *after])
    assert silenced(after)
    jam.wait(5.0)  # the turn comes to its own end
    assert not silenced(ports.client.take())
    call()
    assert ports.client.take() == []
    jam.end()


def test_sent_note_that_returns_is_an_echo_for_a_moment(ports):
    ports.touch("down")
    assert ports.play(stream.note_on(3, 60, 1)) == [("midi:board", Dropped("echo"))]
    assert ports.play(stream.note_off(3, 60)) == [("midi:board", Dropped("absent finger"))]
    # A note's end and a centred bend are no echoes: a held note would hang, and the next
    # note would sound at another pitch.
    ports.midi._echoes.sent(stream.bend(1, stream.CENTRE), ports.now)
    ports.play(stream.bend(1, 0))
    assert ports.play(stream.bend(1, stream.CENTRE)) == []
    ports.now += 2 * ECHO
    assert isinstance(ports.play(stream.note_on(3, 60, 1))[0][1], PitchedFinger)
    ports.touch("up")
    assert ports.play(stream.note_off(3, 60))[0][1].phase is Phase.UP


@pytest.mark.parametrize("release", ["b0 40 00", "b0 79 00", "b0 7b 00", "b0 78 00"])
def test_what_ends_notes_is_heard_also_just_after_the_same_was_sent(ports, release):
    ports.touch("down")
    ports.play(bytes.fromhex("b0 40 7f  90 30 60  80 30 40"))  # the pedal holds the note
    ports.midi.handle(ControlChanged(0.0, "mode", "solo"), ports.now)  # silences the output
    ports.now += ECHO / 2
    assert ports.play(bytes.fromhex(release)) == [("midi:board", Finger(Phase.UP, 0x30))]


def test_loop_through_another_program_is_found_its_notes_are_lifted_and_others_are_heard(ports):
    came: list[list[Any]] = []
    for i in range(9):
        ports.touch("down", x=(36 + i) / 48)
        ports.now += 0.2
        note = 36 + 36 + i  # on another channel, and with another velocity
        came.append([item for _, item in ports.play(stream.note_on(7, note, 100))])
        ports.now += 0.05
    assert all(isinstance(items[0], PitchedFinger) for items in came[:5])
    lifted = [item.id & 127 for item in came[5][:-1] if item.phase is Phase.UP]
    assert lifted == [72, 73, 74, 75, 76]
    assert [items[-1] for items in came[5:]] == [Dropped("echo")] * 4
    (loop,) = ports.midi._echoes.status(ports.now)
    assert (loop["source"], loop["delay_ms"]) == ("midi:board", 200)
    ports.touch("down", x=0.5)
    ports.now += 0.15
    assert isinstance(ports.play(stream.note_on(7, 60, 100))[0][1], PitchedFinger)
    ports.now += 0.05
    assert ports.play(stream.note_on(7, 60, 100))[0][1] == Dropped("echo")


@pytest.mark.parametrize("jitter", [0.0, 0.004])
@pytest.mark.parametrize("delay", [0.065, 0.1, 0.3])
@pytest.mark.parametrize("style", ["keys", "mpe", "mono", "cc"])
def test_jam_does_not_go_on_with_itself_through_a_loop(
    style, delay, jitter, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("robojam.ports.midi.MidiClient", FakeClient)
    jam = DrivenEngine(tmp_path, RandomPlayer(), threshold=0.3, response=1.0)
    midi = MidiPorts(
        Options(midi_in=(f"daw/{style}",), midi_out=(f"daw/{style}",)),
        clock=lambda: jam.now,
        echo=jam.engine._reader.echo,
    )
    client: FakeClient = midi._client  # type: ignore[assignment]
    client.waiting = [("o", 0, b"DAW"), ("o", OUTPUTS, b"DAW")]
    jam.receive(midi)
    jam.engine._publisher.use((midi,))
    returning: list[tuple[float, bytes]] = []
    random = Random(3)

    def send(_number: int, data: bytes) -> bool:
        last = returning[-1][0] if returning else 0.0  # in order
        returning.append((max(last, jam.now + delay + random.uniform(0, jitter)), data))
        return True

    monkeypatch.setattr(client, "send", send)
    jam.send("/touch", "ff", 0.5, 0.5)
    end = jam.now + 30
    while jam.now < end:
        jam.wait(max(0.0, min(0.05, returning[0][0] - jam.now)) if returning else 0.05)
        while returning and returning[0][0] <= jam.now:
            client.waiting.append(("m", 0, returning.pop(0)[1]))
            jam.receive(midi)
    (loop,) = jam.status()["echo"]
    assert loop["source"] == "midi:daw"
    assert loop["delay_ms"] == pytest.approx(1000 * delay, abs=5)
    assert "'midi:daw' sends back what robojam plays" in caplog.text
    touches = list(jam.end().touches())
    landed = [e.t for e in touches if e.touch.who != "ai" and e.touch.phase is Phase.DOWN]
    # The call, and what was heard of the loop.
    assert 2 <= len(landed) <= (20 if jitter else 8)
    played = [e.t for e in touches if e.touch.who == "ai"]
    assert landed[-1] < played[-1] < landed[-1] + 2  # the last answer, and no more


def test_toggle_starts_from_the_value_in_force(monkeypatch):
    controls = {"note 1": "pause", "note 2": "mode"}
    made = DrivenPorts(
        monkeypatch, midi_in=("b/d",), styles={"d": {"controls": controls}}, mode="solo"
    )

    def press(note):
        ((_, control),) = made.play(stream.note_on(0, note, 1))
        assert isinstance(control, Control)
        made.midi.handle(ControlChanged(0.0, control.name, control.value), made.now)
        return control.value

    assert [press(1), press(1), press(1)] == [1, 0, 1]
    assert [press(2), press(2), press(2)] == ["listen", "ensemble", "call-response"]
    made.midi.handle(ControlChanged(0.0, "pause", 0), made.now)  # by another program
    assert press(1) == 1


def test_status_lists_every_port_with_its_counters(ports):
    ports.play(stream.note_on(1, 60, 9))
    ports.now += 3
    ports.touch("down")
    ports.client.sends = False
    ports.touch("up")
    about = ports.midi.status()["midi"]
    assert json.loads(json.dumps(about)) == about
    assert about["in"] == [
        {
            "wanted": "board",
            "style": "mpe",
            "port": "Board:midi",
            "connected": True,
            "problem": None,
            "messages": 1,
            "idle_s": 3.0,
        }
    ]
    assert about["out"][0]["unsent"] == 1


def test_setup_is_sent_again_before_a_note_after_a_silence_and_never_among_notes(monkeypatch):
    made = DrivenPorts(monkeypatch, midi_out=("surge",))
    made.report("o", OUTPUTS, b"Surge:midi")
    zone = stream.parameter(0, stream.CONFIGURATION, 15)
    made.client.take()

    def landing(**where) -> bytes:
        made.touch("down", **where)
        return b"".join(made.client.take())

    assert not landing().startswith(zone)  # it was just sent
    made.now += 2 * SILENCE
    assert zone not in landing(who="ai2")  # a note sounds
    made.touch("up")
    made.touch("up", who="ai2")
    made.client.take()
    made.now += SILENCE / 2
    assert zone not in landing()
    made.touch("up")
    made.client.take()
    made.now += SILENCE
    after = landing()
    assert after.startswith(zone + stream.parameter(4, stream.BEND_RANGE, 48))
    assert len(stream.MidiParser().feed(after)[0]) <= 15  # on a MIDI cable, 10 ms


def test_what_moved_before_a_control_is_heard_before_it(monkeypatch):
    made = DrivenPorts(monkeypatch, midi_in=("desk/cc", "foot/pedal"))
    assert made.play(stream.control(0, 16, 64), 0) == []
    ((first, move), (second, control)) = made.play(stream.control(0, 64, 127), 1)
    assert (first, second) == ("midi:desk", "midi:foot (2)")
    assert isinstance(move, PhaselessTouch)
    assert control == Control("answer", 1)
    made.now += 2 * GATHER
    assert made.midi.receive() == []
    # On one port too, in one packet.
    packet = stream.control(0, 16, 1) + stream.control(0, 64, 0) + stream.control(0, 64, 127)
    move, control = (item for _, item in made.play(packet, 1))
    assert isinstance(move, PhaselessTouch)
    assert isinstance(control, Control)


def test_missing_ports_are_logged_once(monkeypatch, caplog):
    made = DrivenPorts(
        monkeypatch, midi_in=("board", "bord"), midi_out=("virtual:robot", "surge")
    )
    made.report("o", 0, b"Board:midi")
    made.now += MISSED - 0.1
    assert made.midi.advance(made.now) <= 1.0
    assert not caplog.messages  # it may take a moment
    for _ in range(3):
        made.now += 1.0
        made.midi.advance(made.now)
    missing = [message.partition(" is not there")[0] for message in caplog.messages]
    assert missing == ["MIDI in: bord", "MIDI out: robot", "MIDI out: surge"]
    assert "robojam ports" in caplog.messages[0]


def test_status_names_what_is_wrong_with_each_port(monkeypatch, caplog):
    made = DrivenPorts(
        monkeypatch, midi_in=("board", "bord", "desk/kyes"), midi_out=("surge", "virtual:robot")
    )

    def problems():
        about = made.midi.status()["midi"]
        return [(port["wanted"], port["problem"]) for port in (*about["in"], *about["out"])]

    assert {problem for _, problem in problems()} == {None}  # nobody has looked yet
    made.report("s", 255, b"2")
    made.report("o", 0, b"Board:midi")
    made.report("g", 0)
    made.report("o", OUTPUTS, b"Surge:midi")
    made.report("e", OUTPUTS + 1, b"the device is in use")
    allowed = ", ".join(PRESETS)
    assert problems() == [
        ("board", "gone: it was there, and is taken again when it returns"),
        ("bord", "not there: no port is named like that"),
        (
            "desk/kyes",
            "not there: no port is named like that; or for desk, no style is named 'kyes'; "
            f"allowed: {allowed}",
        ),
        ("surge", None),
        ("robot", "the device is in use"),
    ]
    assert "MIDI out: robot cannot be opened: the device is in use" in caplog.messages
    made.report("o", OUTPUTS + 1, b"robojam:robot")
    assert problems()[-1] == ("robot", None)
    made.now += MISSED
    made.midi.advance(made.now)
    assert any("no style is named 'kyes'" in message for message in caplog.messages)
    made.report("s", 255, b"0")
    assert "no MIDI system runs" in problems()[0][1]
    made.client.trouble = "MIDI cannot be used: a reason"
    assert problems()[0] == ("board", "MIDI cannot be used: a reason")


def test_name_of_a_port_is_one_printable_line_in_the_log(monkeypatch, caplog):
    made = DrivenPorts(monkeypatch, midi_in=("board",))
    caplog.set_level("INFO")
    made.report("o", 0, "Board\x1b[2J\nMIDI in: x \u202e".encode())
    made.report("g", 0)
    for message in caplog.messages:
        assert message.isprintable()
        assert "Board\\x1b[2J\\nMIDI" in message


def test_missing_ports_are_not_logged_where_there_is_no_midi(monkeypatch, caplog):
    made = DrivenPorts(monkeypatch, midi_in=("board",))
    made.client.trouble = "MIDI cannot be used"
    made.midi.advance(made.now + 10.0)
    assert not caplog.messages


def test_close_silences_the_outputs(ports):
    ports.touch("down")
    ports.midi.close()
    assert not left_on(ports.client.take())
    assert ports.client.closed


def test_close_releases_notes_and_leaves_the_echo_detector_to_the_engines_thread(ports):
    ports.touch("down")
    sent = len(ports.midi._echoes._order)
    ports.midi.close()  # a change of the setup does so on its own thread
    messages = ports.client.take()
    assert messages[-1][:2] == b"\xb0\x78"
    assert not left_on(messages)
    assert len(ports.midi._echoes._order) == sent


def test_note_that_a_panic_has_ended_does_not_come_back_by_a_bend(ports):
    ports.play(stream.note_on(0, 60, 9))  # its note-off was lost
    ports.midi.handle(ControlChanged(0.0, "panic", 1), ports.now)
    ports.play(stream.bend(0, 9000))
    ports.now += GATHER
    assert ports.midi.receive() == []


def test_panic_reaches_the_ports_of_a_silent_jam(tmp_path):
    events = []

    class Output:
        latency, schedules = 0.0, False

        def handle(self, event, at):
            events.append(event)

        def advance(self, now):
            return 1.0

        def status(self):
            return {}

        def close(self):
            pass

    jam = DrivenEngine(tmp_path)
    jam.engine._publisher.use((Output(),))
    jam.send("/touch", "ff", 0.5, 0.5)
    for _ in range(3):
        jam.send("/robojam/panic")
        jam.wait(0.1)  # at one instant they would be one that came three times
    assert [what.name for what in events if isinstance(what, ControlChanged)] == ["panic"] * 3
    sets = [event for event in jam.end().events if isinstance(event, SetEvent)]
    assert len(sets) == 1  # it took effect once


@given(
    st.sampled_from([*PRESETS]),
    st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([0.0, 0.001, 0.1]))),
)
def test_any_bytes_leave_no_finger_down_when_the_port_goes(style, pieces):
    with pytest.MonkeyPatch.context() as patch:
        made = DrivenPorts(patch, midi_in=(f"board/{style}",))
    inputs = []
    for data, wait in pieces:
        inputs += made.play(data)
        made.now += wait
        made.midi.advance(made.now)
        inputs += made.midi.receive()
    inputs += made.report("g", 0)
    down = set()
    for source, item in inputs:
        assert source == "midi:board"
        if isinstance(item, Finger | PitchedFinger):
            (down.discard if item.phase is Phase.UP else down.add)(item.id)
    assert not down
    made.midi.close()


# -- knobs ----------------------------------------------------------------------------------


def knobs(monkeypatch, target="cc 20", **row):
    """Make ports with a knob that x of the machine turns, at an output that is open."""
    out = row.pop("midi_out", ("surge/keys",))
    table = {"out": {"a": {"target": target, "source": "x", **row}}}
    made = DrivenPorts(monkeypatch, midi_out=out, table=table)
    for number in range(len(out)):
        made.report("o", OUTPUTS + number, b"Surge:midi")
        made.client.take(number)
    return made


@pytest.mark.parametrize(
    ("target", "messages"),
    [
        ("cc 20", [stream.control(15, 20, 64)]),
        ("cc14 20", [stream.control(15, 20, 64), stream.control(15, 52, 0)]),
        (
            "nrpn 1:2",
            [stream.control(15, *pair) for pair in ((99, 1), (98, 2), (6, 64), (38, 0))],
        ),
        ("pitch bend", [stream.bend(15, stream.CENTRE)]),
    ],
)
def test_knob_follows_the_note_on_a_channel_of_its_own(monkeypatch, target, messages):
    ports = knobs(monkeypatch, target)
    ports.touch("down", 0.5)
    sent = ports.client.take()
    assert sent[-len(messages) :] == messages
    assert any(message[0] & 0xF0 == stream.NOTE_ON for message in sent)
    assert ports.midi.advance(ports.now) == 1.0


def test_knob_is_on_the_master_channel_of_a_full_mpe_zone(monkeypatch):
    ports = knobs(monkeypatch, midi_out=("surge/mpe",))
    ports.touch("down", 0.5)
    assert ports.client.take()[-1] == stream.control(0, 20, 64)


def test_knob_goes_to_every_midi_output_or_to_the_one_that_its_row_names(monkeypatch):
    out = ("Surge/keys", "Minilogue/keys")
    for row, expected in (({}, [True, True]), ({"port": "minilogue"}, [False, True])):
        ports = knobs(monkeypatch, midi_out=out, **row)
        ports.touch("down", 1.0)
        control = stream.control(15, 20, 127)
        assert [control in ports.client.take(number) for number in (0, 1)] == expected


def test_smoothed_knob_asks_to_be_called_until_it_rests(monkeypatch):
    ports = knobs(monkeypatch, smooth=0.1)
    ports.touch("down", 0.0)
    ports.now += 1.0
    ports.touch("down", 1.0)
    ports.client.take()
    sent, calls = [], 0
    while (wait := ports.midi.advance(ports.now)) < 1.0:
        ports.now, calls = ports.now + wait + 1e-9, calls + 1
        sent += ports.client.take()
    assert sent[-1] == stream.control(15, 20, 127)
    assert len(sent) > 50
    assert calls < 300


def test_knob_stays_at_a_panic_and_at_the_end(monkeypatch):
    ports = knobs(monkeypatch)
    ports.touch("down", 0.5)
    ports.client.take()
    ports.midi.handle(ControlChanged(1.0, "panic", 1), ports.now)
    assert ports.client.take()[-1] == stream.control(15, 20, 64)  # that it is, still
    ports.midi.close()
    assert not [m for m in ports.client.take() if m[0] & 15 == 15]


def test_knob_is_sent_again_to_a_port_that_returns(monkeypatch):
    ports = knobs(monkeypatch)
    ports.touch("down", 0.5)
    ports.report("g", OUTPUTS)
    ports.now += 1.0
    ports.touch("move", 1.0)
    ports.client.take()
    ports.report("o", OUTPUTS, b"Surge:midi")
    assert ports.client.take()[-1] == stream.control(15, 20, 127)


def test_morph_moves_a_knob_of_midi(monkeypatch):
    table = {
        "out": {"a": {"target": "cc 20", "source": "x"}},
        "scene": {"low": {}, "high": {"a": {"to": [100, 127]}}},
    }
    ports = DrivenPorts(monkeypatch, midi_out=("surge/keys",), table=table)
    ports.report("o", OUTPUTS, b"Surge:midi")
    ports.touch("down", 0.0)
    ports.now += 1.0
    ports.client.take()
    ports.midi.handle(ControlChanged(1.0, "morph", 0.5), ports.now)
    assert ports.client.take() == [stream.control(15, 20, 50)]


# -- notes of knobs ---------------------------------------------------------------------------

ON, OFF = stream.note_on, stream.note_off


def notes(monkeypatch, **rows):
    """Make ports whose output plays nothing but the knobs of these rows."""
    table = {"out": {name: {"target": "note", "channel": 3, **r} for name, r in rows.items()}}
    made = DrivenPorts(monkeypatch, midi_out=("surge/map",), table=table)
    made.report("o", OUTPUTS, b"Surge:midi")
    assert made.client.take() == []  # the style sets nothing up
    return made


def turn(ports, *values, who="ai", phase="move", t=0.0):
    """Play an event of knobs, and return the messages that it sends."""
    knobs = tuple(values)
    touch = Touch(*place_of(knobs), 0.1, Phase(phase), 0, who, None, knobs)
    ports.now += 0.1
    ports.midi.handle(TouchPlayed(t, touch, 0.1), ports.now)
    return ports.client.take()


def test_note_of_a_knob_ends_before_the_next_which_each_event_strikes(monkeypatch):
    ports = notes(monkeypatch, a={"source": "knob-1"})
    assert turn(ports, 0.0, 0.5) == [ON(2, 0, 127)]
    assert turn(ports, 1.0, 0.5) == [OFF(2, 0), ON(2, 127, 127)]
    assert turn(ports, 1.0, 0.7) == [OFF(2, 127), ON(2, 127, 127)]  # the same again
    assert turn(ports, 1.0, 0.7, phase="up") == [OFF(2, 127)]
    assert turn(ports, 1.0, 0.7, phase="up") == []
    assert ports.midi.advance(ports.now) == 1.0


def test_notes_of_two_knobs_on_one_channel_sound_together(monkeypatch):
    ports = notes(monkeypatch, a={"source": "knob-1"}, b={"source": "knob-2"})
    assert turn(ports, 0.0, 1.0) == [ON(2, 0, 127), ON(2, 127, 127)]
    # The first goes to the note that the second holds, which sounds on.
    assert turn(ports, 1.0, 1.0) == [OFF(2, 0), ON(2, 127, 127), ON(2, 127, 127)]
    assert turn(ports, 1.0, 1.0, phase="up") == [OFF(2, 127)]


@pytest.mark.parametrize(
    ("velocity", "sent"), [(None, 127), (40, 40), ("knob-2", 64), ("knob-3", 1)]
)
def test_velocity_of_a_note_is_a_number_or_a_feature(monkeypatch, velocity, sent):
    row = {} if velocity is None else {"velocity": velocity}
    ports = notes(monkeypatch, a={"source": "knob-1", "to": [24, 48], **row})
    assert turn(ports, 0.5, 0.5, 0.0) == [ON(2, 36, sent)]


@pytest.mark.parametrize(("name", "value"), [("panic", 1), ("mode", "solo")])
def test_note_of_a_knob_ends_at_a_panic_and_with_the_mode(monkeypatch, name, value):
    ports = notes(monkeypatch, a={"source": "knob-1"})
    turn(ports, 0.0)
    ports.midi.handle(ControlChanged(1.0, name, value), ports.now)
    assert ports.client.take() == [OFF(2, 0)]


def test_note_of_a_knob_ends_where_its_turn_is_taken_back_and_at_the_end(monkeypatch):
    ports = notes(monkeypatch, a={"source": "knob-1"})
    turn(ports, 0.0)
    ports.midi.handle(TurnChanged(5.0, "human"), ports.now)
    assert turn(ports, 1.0, who="human", t=5.0) == [OFF(2, 0)]
    turn(ports, 1.0)
    ports.midi.close()
    assert ports.client.take() == [OFF(2, 127)]


def test_note_of_a_port_that_was_pulled_is_not_ended_when_it_returns(monkeypatch):
    ports = notes(monkeypatch, a={"source": "knob-1"}, b={"target": "cc 9", "source": "knob-1"})
    turn(ports, 0.0)
    ports.report("g", OUTPUTS)
    ports.report("o", OUTPUTS, b"Surge:midi")
    assert ports.client.take() == [stream.control(2, 9, 0)]  # the process ends the note
    assert turn(ports, 1.0) == [ON(2, 127, 127), stream.control(2, 9, 127)]


def test_notes_that_humans_play_pass_through_and_end_with_their_silence(monkeypatch):
    ports = notes(monkeypatch, a={"source": "knob-1", "who": "all"})
    assert turn(ports, 0.0, who="human") == [ON(2, 0, 127)]
    assert turn(ports, 1.0, who="ai") == [OFF(2, 0), ON(2, 127, 127)]
    assert turn(ports, 0.0, who="human", phase="up") == []  # the machine's sounds on
    assert turn(ports, 1.0, who="ai", phase="up") == [OFF(2, 127)]


def test_style_map_plays_and_hears_no_touches(monkeypatch):
    ports = DrivenPorts(monkeypatch, midi_in=("board/map",), midi_out=("surge/map",))
    ports.report("o", 0, b"Board:midi")
    ports.report("o", OUTPUTS, b"Surge:midi")
    ports.touch("down", 0.5)
    ports.touch("up", 0.5)
    ports.midi.handle(ControlChanged(1.0, "panic", 1), ports.now)
    assert ports.client.take() == []
    for message in (ON(0, 60, 9), OFF(0, 60), stream.bend(0, 9), stream.control(0, 16, 1)):
        assert ports.play(message) == []
    ports.now += GATHER
    ports.midi.advance(ports.now)
    assert ports.midi.receive() == []


def test_mapped_controllers_of_an_input_move_a_finger_and_a_control(monkeypatch):
    table = {
        "in": {
            "a": {"source": "cc 20", "target": "x"},
            "b": {"source": "cc14 5 on 2", "target": "y", "invert": True},
            "c": {"source": "cc 21", "target": "pressure"},
            "d": {"source": "cc 22", "target": "temperature", "to": [1, 3], "port": "BOARD"},
            "e": {"source": "cc 23", "target": "temperature", "port": "other"},
        }
    }
    ports = DrivenPorts(monkeypatch, midi_in=("board/keys",), table=table)
    source = "midi:board"
    assert ports.play(stream.control(0, 22, 127)) == [(source, Control("temperature", 3.0))]
    assert ports.play(stream.control(0, 22, 127)) == []  # as it is
    assert ports.play(stream.control(0, 23, 127)) == []  # of another port
    assert ports.play(stream.control(0, 20, 127)) == []
    assert ports.play(stream.control(1, 5, 32) + stream.control(1, 37, 0)) == []
    assert ports.play(stream.control(0, 5, 99)) == []  # of another channel
    assert ports.play(stream.control(0, 21, 127)) == []
    ports.now += GATHER
    ports.midi.advance(ports.now)
    ((_, move),) = ports.midi.receive()
    assert isinstance(move, PhaselessTouch)
    assert (move.x, move.pressure) == (1.0, 1.0)
    assert move.y == pytest.approx(1 - 32 * 128 / 16383)
    ((_, down),) = ports.play(stream.note_on(0, 60, 9))  # what is not mapped goes on
    assert isinstance(down, PitchedFinger)
