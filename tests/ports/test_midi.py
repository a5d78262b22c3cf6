"""MIDI at the engine: what it makes of ports, on a clock that the test turns."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import Driven
from support.jack import left_on
from support.players import Scripted, land, slide

from robojam.config.options import Options
from robojam.controls import SETTINGS
from robojam.jam.events import ControlChanged, TouchPlayed, TurnChanged
from robojam.ports import midi as rig
from robojam.ports.midi import ECHO, GATHER, MISSED, MidiPorts
from robojam.ports.midi_process import OUTPUTS
from robojam.sessions.session import SetEvent
from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, parse_styles
from robojam.wire.native import Control, Dropped, Finger, PitchedFinger


class Far:
    """Stands where the process does that holds the ports: says what the test says."""

    def __init__(self, inputs: Any, outputs: Any, clock: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.saying: list[tuple[str, int, bytes]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.pokes = 0
        self.takes = True
        self.closed = False
        self.restarts, self.trouble = 0, None

    def fileno(self) -> int:
        return 0

    def receive(self):
        said, self.saying = self.saying, []
        return said

    def send(self, number: int, data: bytes) -> bool:
        if self.takes:
            self.sent.append((number, data))
        return self.takes

    def poke(self) -> None:
        self.pokes += 1

    def watch(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self, number: int = 0) -> list[bytes]:
        """The messages sent to an output since the last call."""
        data = b"".join(d for n, d in self.sent if n == OUTPUTS + number)
        self.sent = [(n, d) for n, d in self.sent if n != OUTPUTS + number]
        return stream.MidiParser().feed(data)[0]


class Rig:
    """A Midi on a clock that the test turns."""

    def __init__(self, monkeypatch, *, everyone=False, styles=None, **ports) -> None:
        self.now = 100.0
        monkeypatch.setattr(rig, "MidiClient", Far)
        controls = {name: ports.pop(name) for name in SETTINGS if name in ports}
        options = Options(midi=parse_styles(styles or {}), controls=controls, **ports)
        self.midi = MidiPorts(options, everyone=everyone, clock=lambda: self.now)
        self.far: Far = self.midi._client  # type: ignore[assignment]

    def say(self, letter: str, number: int = 0, data: bytes = b""):
        self.far.saying.append((letter, number, data))
        return self.midi.receive()

    def play(self, messages: bytes, number: int = 0):
        return self.say("m", number, messages)

    def touch(
        self, phase: str, x: float = 0.5, y: float = 0.5, who: str = "ai", t: float = 0.0
    ):
        what = TouchPlayed(t, Touch(x, y, 0.1, Phase(phase), 0, who), 0.1)
        self.midi.handle(what, self.now)


@pytest.fixture
def one(monkeypatch):
    """One port in and one out, both there, and what they were told at the start forgotten."""
    made = Rig(monkeypatch, midi_in=("board",), midi_out=("surge/keys",))
    made.say("o", 0, b"Board:midi")
    made.say("o", OUTPUTS, b"Surge:midi")
    made.far.take()
    return made


def test_a_port_is_a_player_and_moves_are_gathered(one):
    assert one.midi.advance(one.now) == 1.0
    down = PitchedFinger(Phase.DOWN, 1 << 7 | 60, 60.0, 1 - 64 / 127)
    assert one.play(stream.note_on(1, 60, 9)) == [("midi:board", down)]
    assert one.play(stream.bend(1, 9000)) == []
    assert one.midi.advance(one.now) == pytest.approx(GATHER)
    one.now += GATHER / 2
    assert one.play(stream.control(1, 74, 127)) == []
    one.now += GATHER
    assert one.midi.advance(one.now) > 0
    assert one.far.pokes == 1
    ((source, move),) = one.midi.receive()
    assert (source, move.phase, move.y) == ("midi:board", Phase.MOVE, 0.0)
    assert one.midi.advance(one.now) == 1.0


def test_two_ports_are_two_players(monkeypatch):
    two = Rig(monkeypatch, midi_in=("board", "board/keys"))
    ((first, _),) = two.play(stream.note_on(0, 60, 9), 0)
    ((second, _),) = two.play(stream.note_on(0, 60, 9), 1)
    assert first != second


def test_a_pulled_port_lifts_what_it_held_and_counts_what_was_torn(one):
    one.play(stream.note_on(1, 60, 9) + stream.note_on(2, 61, 9) + b"\x91\x3c")
    told = [what for _, what in one.say("g", 0)]
    assert told[0] == Dropped(stream.CUT_OFF)
    assert [what.phase for what in told[1:]] == [Phase.UP, Phase.UP]
    assert one.midi.status()["midi"]["in"][0]["connected"] is False
    one.say("o", 0, b"Board:midi")
    # A data byte that comes first now belongs to nothing of before.
    assert one.play(b"\x40") == [("midi:board", Dropped(stream.STRAY))]
    assert len(one.play(stream.note_on(1, 60, 9))) == 1


def test_the_first_time_all_there_can_be_is_released_and_then_the_port_is_set_up(monkeypatch):
    made = Rig(monkeypatch, midi_out=("surge/lead",), styles={"lead": {"program": 5}})
    made.touch("down")
    assert made.far.sent == []  # it is not there: nobody waits for it
    made.say("o", OUTPUTS, b"Surge:midi")
    told = made.far.take()
    assert stream.note_off(1, 60) in told
    assert b"".join(told).endswith(stream.program(15, 4, None))
    made.say("g", OUTPUTS)
    made.touch("move")
    assert made.far.take() == []
    made.say("o", OUTPUTS, b"Surge:midi")
    assert stream.note_off(1, 60) not in made.far.take()  # others may be playing it by now
    made.touch("move")
    assert left_on(made.far.take()) == {(1, 60)}  # a finger that slides sounds again


def test_the_machine_sounds_and_the_humans_do_not_unless_everyone_does(one, monkeypatch):
    one.touch("down", who="human")
    assert one.far.take() == []
    one.touch("down")
    assert one.far.take() == [stream.note_on(0, 60, 64)]
    replay = Rig(monkeypatch, everyone=True, midi_out=("surge/keys",))
    replay.say("o", OUTPUTS, b"Surge:midi")
    replay.far.take()
    replay.touch("down", who="human")
    assert replay.far.take() == [stream.note_on(0, 60, 64)]


def test_output_follows_the_range_of_the_jam(one):
    one.midi.handle(ControlChanged(0.0, "range", "48-96"), one.now)
    one.touch("down")
    assert one.far.take() == [stream.note_on(0, 72, 64)]


def silenced(messages):
    return [m for m in messages if m[:2] == bytes((0xB0, stream.SOUND_OFF))]


@pytest.mark.parametrize("name", ["mode", "panic"])
def test_a_change_of_mode_and_a_panic_silence_the_port(one, name):
    one.touch("down")
    one.midi.handle(ControlChanged(0.0, name, "solo" if name == "mode" else 1), one.now)
    told = one.far.take()
    assert not left_on(told)
    assert b"".join(told).endswith(stream.silence(0))
    one.midi.handle(ControlChanged(0.0, "spread", 1.0), one.now)
    assert one.far.take() == []


def test_a_turn_taken_back_is_cut_and_one_that_ends_rings_on(one):
    one.touch("down")
    one.touch("up", t=2.0)
    one.midi.handle(TurnChanged(2.0, "human"), one.now)
    one.touch("down", who="human", t=3.0)
    assert not silenced(one.far.take())
    one.touch("down")
    one.touch("up", t=5.0)
    one.midi.handle(TurnChanged(5.0, "human"), one.now)
    one.touch("down", who="human", t=5.0)
    assert silenced(one.far.take())


def test_the_jam_itself_tells_a_turn_taken_back_from_one_that_ends(one, tmp_path):
    jam = Driven(tmp_path, Scripted(land(0.1), slide(0.1)), threshold=0.1, response=1.0)
    jam.engine._publisher.outputs = jam.engine._ports = (one.midi,)

    def call():
        jam.send("/robojam/down", "iff", 1, 0.5, 0.5)
        jam.send("/robojam/up", "i", 1)

    call()
    jam.wait(0.5)
    before = one.far.take()
    assert left_on(before)
    call()
    told = one.far.take()
    assert not left_on([*before, *told])
    assert silenced(told)
    jam.wait(5.0)  # the turn comes to its own end
    assert not silenced(one.far.take())
    call()
    assert one.far.take() == []
    jam.end()


def test_what_went_out_and_comes_back_is_an_echo_for_a_moment(one):
    one.touch("down")
    assert one.play(stream.note_on(3, 60, 1)) == [("midi:board", Dropped("echo"))]
    assert one.play(stream.note_off(3, 60)) == [("midi:board", Dropped("absent finger"))]
    # The end of a note, and a bend of nothing, are no echoes: what is held would hang, and
    # what lands would land elsewhere.
    one.midi._echoes.sent(stream.bend(1, stream.CENTRE), one.now)
    one.play(stream.bend(1, 0))
    assert one.play(stream.bend(1, stream.CENTRE)) == []
    one.now += 2 * ECHO
    assert isinstance(one.play(stream.note_on(3, 60, 1))[0][1], PitchedFinger)
    one.touch("up")
    assert one.play(stream.note_off(3, 60))[0][1].phase is Phase.UP


def test_switches_turn_over_from_where_things_stand(monkeypatch):
    controls = {"note 1": "pause", "note 2": "mode"}
    made = Rig(monkeypatch, midi_in=("b/d",), styles={"d": {"controls": controls}}, mode="solo")

    def press(note):
        ((_, control),) = made.play(stream.note_on(0, note, 1))
        assert isinstance(control, Control)
        made.midi.handle(ControlChanged(0.0, control.name, control.value), made.now)
        return control.value

    assert [press(1), press(1), press(1)] == [1, 0, 1]
    assert [press(2), press(2), press(2)] == ["listen", "call-response", "duet"]
    made.midi.handle(ControlChanged(0.0, "pause", 0), made.now)  # by somebody else
    assert press(1) == 1


def test_the_status_tells_of_every_port(one):
    one.play(stream.note_on(1, 60, 9))
    one.now += 3
    one.touch("down")
    one.far.takes = False
    one.touch("up")
    about = one.midi.status()["midi"]
    assert json.loads(json.dumps(about)) == about
    assert about["in"] == [
        {
            "wanted": "board",
            "style": "mpe",
            "port": "Board:midi",
            "connected": True,
            "messages": 1,
            "idle_s": 3.0,
        }
    ]
    assert about["out"][0]["unsent"] == 1


def test_a_port_that_is_not_there_is_told_once(monkeypatch, caplog):
    made = Rig(monkeypatch, midi_in=("board", "bord"), midi_out=("virtual:robot", "surge"))
    made.say("o", 0, b"Board:midi")
    made.now += MISSED - 0.1
    assert made.midi.advance(made.now) <= 1.0
    assert not caplog.messages  # it may take a moment
    for _ in range(3):
        made.now += 1.0
        made.midi.advance(made.now)
    told = [message.partition(" is not there")[0] for message in caplog.messages]
    assert told == ["MIDI in: bord", "MIDI out: robot", "MIDI out: surge"]
    assert "robojam ports" in caplog.messages[0]


def test_where_there_is_no_midi_at_all_that_alone_is_told(monkeypatch, caplog):
    made = Rig(monkeypatch, midi_in=("board",))
    made.far.trouble = "python-rtmidi cannot be used"
    made.midi.advance(made.now + 10.0)
    assert not caplog.messages


def test_at_the_end_all_is_silenced(one):
    one.touch("down")
    one.midi.close()
    assert not left_on(one.far.take())
    assert one.far.closed


def test_a_panic_reaches_the_ports_of_a_jam_that_is_silent_already(tmp_path):
    heard = []

    class Plug:
        def handle(self, what, at):
            heard.append(what)

        def advance(self, now):
            return 1.0

        def status(self):
            return {}

        def close(self):
            pass

    jam = Driven(tmp_path)
    jam.engine._publisher.outputs = jam.engine._ports = (Plug(),)
    jam.send("/touch", "ff", 0.5, 0.5)
    for _ in range(3):
        jam.send("/robojam/panic")
    assert [what.name for what in heard if isinstance(what, ControlChanged)] == ["panic"] * 3
    sets = [event for event in jam.end().events if isinstance(event, SetEvent)]
    assert len(sets) == 1  # it took effect once


@given(
    st.sampled_from([*PRESETS]),
    st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([0.0, 0.001, 0.1]))),
)
def test_whatever_bytes_come_nobody_is_left_holding_on(style, pieces):
    with pytest.MonkeyPatch.context() as patch:
        made = Rig(patch, midi_in=(f"board/{style}",))
    told = []
    for data, wait in pieces:
        told += made.play(data)
        made.now += wait
        made.midi.advance(made.now)
        told += made.midi.receive()
    told += made.say("g", 0)
    down = set()
    for source, what in told:
        assert source == "midi:board"
        if isinstance(what, Finger | PitchedFinger):
            (down.discard if what.phase is Phase.UP else down.add)(what.id)
    assert not down
    made.midi.close()
