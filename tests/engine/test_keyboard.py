"""A MIDI keyboard in the default style, from its bytes to the recording and out again."""

import mido
import pytest
from support.engine import DrivenEngine

from robojam.export.midi_file import write
from robojam.jam.events import Counters, TouchPlayed
from robojam.sessions.playback import Playback, settings_of
from robojam.sound import messages
from robojam.touch import Phase
from robojam.wire.midi.reader import make_reader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS
from robojam.wire.midi.writer import make_writer


class Keyboard:
    """A jam with a keyboard on channel 1, which knows nothing of MPE."""

    def __init__(self, folder, **options) -> None:
        self.jam = DrivenEngine(folder, **options)
        self.reader = make_reader(PRESETS["mpe"])

    def play(self, data: str) -> None:
        for message in MidiParser().feed(bytes.fromhex(data))[0]:
            for received in (*self.reader.read(message), *self.reader.take_moves()):
                self.jam.engine._handle(received, "midi:keyboard", self.jam.now)


def test_velocity_is_recorded_as_pressure_and_exported_as_velocity(tmp_path):
    keyboard = Keyboard(tmp_path, mode="listen")
    for velocity in (1, 64, 127):
        keyboard.play(f"90 3c {velocity:02x}")
        keyboard.jam.wait(0.5)
        keyboard.play("80 3c 40")
    session = keyboard.jam.end()
    landings = [e.touch for e in session.touches("human") if e.touch.phase is Phase.DOWN]
    assert [touch.pressure for touch in landings] == [1 / 127, 64 / 127, 1.0]
    write(session, tmp_path / "jam.mid")
    notes = [m for m in mido.MidiFile(tmp_path / "jam.mid") if m.type == "note_on"]
    assert [note.velocity for note in notes] == [1, 64, 127]


def test_velocity_and_pressure_of_a_replay_go_out_by_midi_and_to_the_sound(tmp_path):
    keyboard = Keyboard(tmp_path, mode="listen")
    keyboard.play("90 3c 40  d0 7f  e0 00 50")
    session = keyboard.jam.end()
    played = []
    replay = Playback(
        session, settings_of(session), played.append, Counters(), on_end=lambda: None
    )
    replay.advance(60.0)
    touches = [event for event in played if isinstance(event, TouchPlayed)]
    assert [event.touch.pressure for event in touches] == [64 / 127, 1.0, None]
    writer = make_writer(PRESETS["mpe"])
    data = b"".join(writer.touch(event.t, event.touch) for event in touches)
    sent = MidiParser().feed(data)[0]
    assert [m[2] for m in sent if m[0] & 0xF0 == 0x90] == [64]
    assert [m[1] for m in sent if m[0] & 0xF0 == 0xD0][-1] == 127
    sounded = [messages.decode(messages.encode(event, event.t) or b"") for event in touches]
    assert [one and one[0] for one in sounded] == touches


def test_pedal_holds_a_note_which_is_silence_that_the_machine_answers(tmp_path):
    keyboard = Keyboard(tmp_path, threshold=0.5, response=2.0)
    keyboard.play("b0 40 7f  90 3c 60  80 3c 40")
    keyboard.jam.wait(30.0)  # however long it is held
    keyboard.play("b0 40 00")
    session = keyboard.jam.end()
    down, *others = session.touches("human")
    assert [event.touch.phase for event in others] == [Phase.UP]
    assert others[0].t - down.t == pytest.approx(30.0)
    answers = [event.t for event in session.touches("ai")]
    assert answers
    assert down.t + 0.5 <= min(answers) < max(answers) < down.t + 4.0


def test_more_notes_than_a_player_has_fingers_land_once_when_the_pedal_holds_them(tmp_path):
    keyboard = Keyboard(tmp_path, mode="listen", range="0-127")
    keyboard.play("b0 40 7f" + "".join(f" 90 {n:02x} 60 80 {n:02x} 40" for n in range(20, 108)))
    keyboard.play("e0 00 50  e0 00 51")  # every note that is held slides
    session = keyboard.jam.end()
    phases = [event.touch.phase for event in session.touches("human")]
    assert phases.count(Phase.DOWN) == 88


def test_all_notes_off_of_a_controller_lifts_every_finger(tmp_path):
    keyboard = Keyboard(tmp_path, mode="listen")
    keyboard.play("91 3c 60  92 40 60")
    assert keyboard.jam.engine.jam.fingers == 2
    keyboard.play("b0 7b 00")
    assert keyboard.jam.engine.jam.fingers == 0
