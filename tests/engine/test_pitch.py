"""Pitch from end to end: a note that comes in by MIDI has its own pitch everywhere."""

import math

import mido
import numpy as np
import pytest
from support.engine import DrivenEngine

from robojam.export.midi_file import write
from robojam.export.wav import write_wav
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.sessions.session import SetEvent, TouchEvent
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase
from robojam.wire.midi import stream
from robojam.wire.midi.reader import make_reader
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.midi.writer import make_writer
from robojam.wire.native import PitchedFinger

CHORD = (60, 64, 67, 72)  # C4 E4 G4 C5
STYLES = {
    **{name: style for name, style in PRESETS.items() if style.kind in ("mpe", "notes")},
    "wide": Style(low=0, high=127),
    "dorian": Style(kind="notes", scale="dorian", key="D"),
}


class Keyboard:
    """Jam with a keyboard in a MIDI style, which collects the outputs."""

    latency, schedules = 0.0, False

    def __init__(self, folder, style: Style, **options) -> None:
        self.jam = DrivenEngine(folder, mode="listen", **options)
        self.events: list = []
        self.jam.engine._publisher.use((self,))
        self.reader = make_reader(style)
        self.channel = style.channels[0]

    def handle(self, event, at) -> None:
        self.events.append(event)

    def advance(self, now) -> float:
        return math.inf

    def status(self) -> dict:
        return {}

    def close(self) -> None:
        pass

    def play(self, data: bytes) -> None:
        for message in stream.MidiParser().feed(data)[0]:
            for received in (*self.reader.read(message), *self.reader.take_moves()):
                self.jam.engine._handle(received, "midi:keyboard", self.jam.now)

    def chord(self, notes=CHORD, seconds: float = 1.0) -> None:
        for note in notes:
            self.play(stream.note_on(self.channel, note, 90))
            self.jam.wait(seconds)
            self.play(stream.note_off(self.channel, note))


def loudest(sound, near: float) -> float:
    """The frequency of the loudest partial within a semitone, in Hz."""
    window = sound * np.hanning(len(sound))
    power, hz = np.abs(np.fft.rfft(window, 1 << 20)), np.fft.rfftfreq(1 << 20, 1 / RATE)
    close = (hz > near / 1.06) & (hz < near * 1.06)
    return float(hz[close][power[close].argmax()])


def hertz(note: float) -> float:
    return 440 * 2 ** ((note - 69) / 12)


def pitches_of_mpe(messages) -> list[float]:
    """The pitch of each note of an MPE stream: its number, and the bend before it."""
    bends, pitches = dict.fromkeys(range(16), 8192), []
    for message in messages:
        channel = message[0] & 15
        if message[0] & 0xF0 == stream.BEND:
            bends[channel] = message[1] | message[2] << 7
        elif message[0] & 0xF0 == stream.NOTE_ON and message[2]:
            pitches.append(message[1] + (bends[channel] - 8192) / 8192 * 48)
    return pitches


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("range_", ["36-84", "48-72", "30.5-90"])
def test_note_by_midi_has_its_pitch_in_sound_midi_and_exports(name, range_, tmp_path):
    style = STYLES[name]
    notes = (36, 40, 47, 51) if name == "drums" else CHORD
    keyboard = Keyboard(tmp_path, style, range=range_, instrument="human=keys")
    keyboard.chord(notes)
    live = Synth(settings=keyboard.jam.options.settings())
    writer = make_writer(PRESETS["mpe"], ranges=range_)
    synth_pitches, sent = [], []
    for event in keyboard.events:
        if isinstance(event, ControlChanged) and event.name == "range":
            live._change(event.name, event.value)
            writer.ranges = event.value
        if isinstance(event, TouchPlayed):
            sent += stream.MidiParser().feed(writer.touch(event.t, event.touch))[0]
            if event.touch.phase is Phase.DOWN:
                synth_pitches.append(live._note(event.touch))
    assert synth_pitches == pytest.approx(notes, abs=0.01)
    assert pitches_of_mpe(sent) == pytest.approx(notes, abs=0.01)

    session = keyboard.jam.end()
    write(session, tmp_path / "jam.mid")
    (track,) = (t for t in mido.MidiFile(str(tmp_path / "jam.mid")).tracks if t.name == "human")
    messages = [bytes(message.bytes()) for message in track if not message.is_meta]
    assert pitches_of_mpe(messages) == pytest.approx(notes, abs=0.01)


def test_chord_by_midi_has_its_pitch_in_the_exported_sound(tmp_path):
    keyboard = Keyboard(tmp_path, PRESETS["keys"], instrument="human=keys", range="47.3-83.1")
    keyboard.chord()
    path = tmp_path / "jam.wav"
    write_wav(keyboard.jam.end(), path)
    sound = np.frombuffer(path.read_bytes()[44:], "<i2").reshape(-1, 2).mean(1)
    for n, note in enumerate(CHORD):
        part = sound[round((n + 0.3) * RATE) : round((n + 0.95) * RATE)]
        assert abs(1200 * math.log2(loudest(part, hertz(note)) / hertz(note))) < 1, note


def test_player_of_a_style_with_its_own_range_gets_it_as_a_recorded_control(tmp_path):
    keyboard = Keyboard(tmp_path, PRESETS["drums"])
    keyboard.jam.send("/robojam/down", "iff", 1, 0.1, 0.1)
    keyboard.chord((36, 38))
    assert keyboard.jam.status()["range"] == "36-84,human2=35-51"
    sets = [e.values for e in keyboard.jam.end().events if isinstance(e, SetEvent)]
    assert sets == [{"range": "36-84,human2=35-51"}]  # once, before its first touch


def test_range_of_the_first_humans_port_is_not_that_of_other_humans(tmp_path):
    keyboard = Keyboard(tmp_path, PRESETS["drums"])
    keyboard.chord((36,))
    second = PitchedFinger(Phase.DOWN, 1, 72.0, 0.5)
    keyboard.jam.engine._handle(second, "midi:second", keyboard.jam.now)
    assert keyboard.jam.status()["range"] == "36-84,human=35-51"
    assert keyboard.jam.status()["clipped"] == 0
    last = [e.touch for e in keyboard.jam.end().events if isinstance(e, TouchEvent)][-2]
    assert (last.who, last.x) == ("human2", 0.75)


def test_note_outside_the_range_is_clipped_counted_and_reported_once(tmp_path, caplog):
    keyboard = Keyboard(tmp_path, PRESETS["keys"])
    keyboard.chord((84, 90, 96, 12))
    assert keyboard.jam.status()["clipped"] == 3
    warnings = [message for message in caplog.messages if "outside" in message]
    assert warnings == [
        "note 90 of human is outside its range, 36-84, and is played at its edge; "
        'to widen the range: range = "36-90"'
    ]
    touches = [e.touch for e in keyboard.jam.end().events if isinstance(e, TouchEvent)]
    assert [t.x for t in touches if t.phase is Phase.DOWN] == [1, 1, 1, 0]


def test_note_outside_the_range_of_a_style_is_reported_with_the_keys_of_the_style(
    tmp_path, caplog
):
    keyboard = Keyboard(tmp_path, PRESETS["mono"])
    keyboard.chord((75,))
    assert "low = 48 and high = 75 in its MIDI style" in caplog.text


def test_range_of_a_player_among_too_many_named_ones_is_dropped_with_a_reason(tmp_path):
    many = ",".join(f"ai{n}=36-84" for n in range(2, 129))
    keyboard = Keyboard(tmp_path, PRESETS["drums"], range=f"36-84,{many}")
    keyboard.chord((36,))
    assert keyboard.jam.status()["dropped"] == {"out of range": 1}


def test_bent_note_below_every_midi_note_is_clipped(tmp_path):
    keyboard = Keyboard(tmp_path, PRESETS["mpe"])
    finger = PitchedFinger(Phase.DOWN, 1, -40.0, 0.5)
    keyboard.jam.engine._handle(finger, "midi:keyboard", keyboard.jam.now)
    assert keyboard.jam.status()["clipped"] == 1


def test_bend_that_is_rounded_to_a_little_beyond_the_edge_is_not_outside(tmp_path):
    keyboard = Keyboard(tmp_path, PRESETS["mpe"])
    for pitch in (36 - 0.004, 84 + 0.004):
        finger = PitchedFinger(Phase.DOWN, 1, pitch, 0.5)
        keyboard.jam.engine._handle(finger, "midi:keyboard", keyboard.jam.now)
    assert keyboard.jam.status()["clipped"] == 0
    touches = [e.touch for e in keyboard.jam.end().events if isinstance(e, TouchEvent)]
    assert [t.x for t in touches if t.phase is Phase.DOWN] == [0, 1]
