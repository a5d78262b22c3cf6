"""Export of a jam as a standard MIDI file, read back by mido and sounded by FluidSynth."""

import subprocess

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jack import SOUNDFONT, left_on, missing

from robojam.export.midi_file import allocate, style_named, ticks_per_beat, write
from robojam.sessions.session import Header, ModelRef, Session, SetEvent, TouchEvent
from robojam.touch import Phase, Touch
from robojam.wire.midi.reader import make_reader
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.native import Finger, PitchedFinger

HEADER = Header(
    started="2026-11-20T10:30:00+00:00",
    model=ModelRef("touch.safetensors", "0a"),
    device="cpu",
    build="a build",
    seed=7,
    options={},
)

#: The presets that play touches.
PLAYING = {name: style for name, style in PRESETS.items() if style.kind != "map"}


def event(t, phase, x=0.5, y=0.5, who="ai", finger=0):
    return TouchEvent(t, Touch(x, y, 0.0, Phase(phase), finger, who))


def channels(messages):
    return {message[0] & 0x0F for message in messages}


def tracks(path):
    """Return the channel messages of each track by name, with their times in seconds."""
    song = mido.MidiFile(str(path))
    found = {}
    for track in song.tracks:
        ticks, timed, name = 0, [], ""
        for message in track:
            ticks += message.time
            if message.type == "track_name":
                name = message.name
            elif not message.is_meta:
                seconds = mido.tick2second(ticks, song.ticks_per_beat, 500_000)
                timed.append((seconds, bytes(message.bytes())))
        found[name] = timed
    return found, song


def test_each_player_has_an_mpe_track_at_the_times_of_the_jam(tmp_path):
    session = Session(
        HEADER,
        (
            event(0.25, "down", 0.0, who="human"),
            event(1.0, "down", 0.5),
            event(1.0173, "move", 0.75),
            SetEvent(1.02, {"spread": 0.5}),
            event(1.5, "up", 0.75),
            event(100.123456, "move", 0.25, who="human"),
            event(3600.5, "up", 0.25, who="human"),
        ),
    )
    write(session, tmp_path / "jam.mid")
    found, song = tracks(tmp_path / "jam.mid")
    assert list(found) == ["", "human", "ai"]
    for timed in found.values():
        assert all(t == 0 or t >= 0.25 for t, _ in timed)
    assert [m.hex() for _, m in found["human"]][:3] == ["b06500", "b06406", "b0060f"]
    half = 0.25 / song.ticks_per_beat + 1e-9
    assert half < 0.5e-3
    ons = {who: [t for t, m in timed if m[0] >> 4 == 9] for who, timed in found.items()}
    assert ons["human"] == [pytest.approx(0.25, abs=half)]
    assert ons["ai"] == [pytest.approx(1.0, abs=half)]
    moved = [t for t, m in found["human"] if 50 < t < 1000]
    assert moved[0] == pytest.approx(100.123456, abs=half)
    assert found["human"][-1][0] == pytest.approx(3600.5, abs=half)  # an hour in, no drift
    assert song.length == pytest.approx(3600.5, abs=2 * half)
    assert not any(left_on([m for _, m in timed]) for timed in found.values())


@pytest.mark.parametrize(
    ("seconds", "ticks"), [(0.0, 9600), (480.0, 9600), (720.0, 6936), (10800.0, 456)]
)
def test_ticks_are_as_fine_as_the_length_allows(seconds, ticks):
    assert ticks_per_beat(seconds) == ticks
    assert 2 * ticks * seconds < 1e7  # above, pretty_midi takes a file for corrupt


def test_error_of_a_touch_is_below_a_millisecond_for_five_hours():
    assert 0.25 / ticks_per_beat(5 * 3600) < 1e-3
    assert ticks_per_beat(1e9) == 24


def long_jam(seconds):
    """Two players who play a stroke every few seconds, and one at the end."""
    events = []
    for n in range(41):
        t = 0.1 + n * (seconds - 1) / 40
        for who, x in (("human", 0.3), ("ai", 0.6)):
            events += [event(t, "down", x, who=who), event(t + 0.1, "move", x + 0.1, who=who)]
        events += [event(t + 0.2, "up", 0.4, who="human"), event(t + 0.3, "up", 0.7)]
    return Session(HEADER, tuple(events))


@pytest.mark.parametrize("seconds", [720, 3 * 3600])
def test_long_jam_opens_in_libraries_that_read_midi(tmp_path, seconds):
    jam, path = long_jam(seconds), tmp_path / "jam.mid"
    write(jam, path)
    landed = [e.t for e in jam.touches() if e.touch.phase is Phase.DOWN]
    pretty_midi = pytest.importorskip("pretty_midi")
    instruments = pretty_midi.PrettyMIDI(str(path)).instruments
    starts = sorted(note.start for instrument in instruments for note in instrument.notes)
    np.testing.assert_allclose(starts, landed, atol=1e-3)
    assert not any(instrument.is_drum for instrument in instruments)
    miditoolkit = pytest.importorskip("miditoolkit")
    file = miditoolkit.MidiFile(str(path))
    seconds_of = file.get_tick_to_time_mapping()
    starts = sorted(seconds_of[note.start] for i in file.instruments for note in i.notes)
    np.testing.assert_allclose(starts, landed, atol=1e-3)


def test_pressure_of_a_landing_is_the_velocity_of_its_note(tmp_path):
    touch = Touch(0.5, 0.5, 0.0, Phase.DOWN, 0, "human", pressure=0.25)
    write(Session(HEADER, (TouchEvent(0.0, touch),)), tmp_path / "jam.mid")
    found, _ = tracks(tmp_path / "jam.mid")
    assert [m[2] for _, m in found["human"] if m[0] >> 4 == 9] == [32]


@pytest.mark.parametrize("style", ["mpe", "keys", "drums"])
def test_tap_without_a_length_is_a_note_of_a_tick(tmp_path, style):
    taps = [event(1.0, phase, x) for x in (0.2, 0.2, 0.9) for phase in ("down", "up")]
    write(Session(HEADER, tuple(taps)), tmp_path / "jam.mid", style=PRESETS[style])
    pretty_midi = pytest.importorskip("pretty_midi")
    instruments = pretty_midi.PrettyMIDI(str(tmp_path / "jam.mid")).instruments
    notes = [note for instrument in instruments for note in instrument.notes]
    assert len(notes) == 3
    assert all(1.0 <= note.start < note.end < 1.001 for note in notes)


def test_note_that_is_held_is_not_bent_by_another_player(tmp_path):
    events = [event(0.0, "down", 0.2, who="human")]
    events += [event(0.1, "down", 0.5), event(0.2, "move", 0.9), event(0.3, "up", 0.9)]
    events += [event(0.4, "up", 0.2, who="human")]
    write(Session(HEADER, tuple(events)), tmp_path / "jam.mid")
    found, _ = tracks(tmp_path / "jam.mid")
    human, machine = ([m for _, m in found[who]] for who in ("human", "ai"))
    assert not channels(human) & channels(machine)
    bends = [m for _, m in sorted(found["human"] + found["ai"]) if m[0] >> 4 == 0xE]
    assert {m for m in bends if m[0] & 0x0F in channels(human)} == set(bends) & set(human)
    assert any(m[0] >> 4 == 0xE for m in machine)


@pytest.mark.parametrize("style", PLAYING)
def test_no_channel_is_shared_and_that_of_drums_is_left_to_drums(tmp_path, style):
    events = []
    for n, who in enumerate(("human", "human2", "ai", "ai2")):
        for finger in range(3 if who == "human" else 1):
            events += [event(n, "down", 0.1 * finger, who=who, finger=finger)]
        events += [event(n + 0.5, "move", 0.9, who=who)]
    write(Session(HEADER, tuple(events)), tmp_path / "jam.mid", style=PRESETS[style])
    found = {who: [m for _, m in t] for who, t in tracks(tmp_path / "jam.mid")[0].items() if t}
    used = [channels(messages) for messages in found.values()]
    assert len(used) == 4
    if style == "drums":
        assert used == [{9}] * 4
        return
    assert sum(map(len, used)) == len(set().union(*used))
    assert 9 not in set().union(*used)
    assert not any(left_on(messages) for messages in found.values())


def test_players_who_need_more_channels_than_there_are_have_another_port(tmp_path):
    names = ["human", *(f"ai{n}" for n in range(1, 20))]
    events = [event(0.0, "down", 0.1 * n, who="human", finger=n) for n in range(5)]
    events += [event(0.1, "down", who=who) for who in names[1:]]
    write(Session(HEADER, tuple(events)), tmp_path / "jam.mid")
    song = mido.MidiFile(str(tmp_path / "jam.mid"))
    taken = []
    for track in song.tracks[1:]:
        (port,) = [message.port for message in track if message.type == "midi_port"]
        taken += {(port, m.channel) for m in track if m.type in ("note_on", "pitchwheel")}
    assert len(taken) == len(set(taken)) == 5 + 19
    assert {port for port, _ in taken} == {0, 1}
    with pytest.raises(ValueError, match="too many"):
        allocate({f"ai{n}": 1 for n in range(4000)}, PRESETS["mpe"])


@given(
    st.dictionaries(st.sampled_from("abcdefghijklmnopqrst"), st.integers(0, 20), max_size=20),
    st.sampled_from([*PLAYING.values(), Style(members=1), Style(kind="notes", channel=16)]),
)
def test_parts_of_a_port_do_not_meet(fingers, style):
    parts = allocate(fingers, style)
    assert list(parts) == list(fingers)
    taken = [(part.port, channel) for part in parts.values() for channel in part.channels]
    assert all(part.channels for part in parts.values())
    if style.channel != 10:
        assert len(taken) == len(set(taken))
        assert not {9, style.master} & {channel for _, channel in taken}


def test_finger_left_down_by_a_killed_engine_is_lifted_at_the_end(tmp_path):
    write(Session(HEADER, (event(0.1, "down"), event(2.0, "move", 0.6))), tmp_path / "jam.mid")
    timed = tracks(tmp_path / "jam.mid")[0]["ai"]
    assert not left_on([m for _, m in timed])
    assert timed[-1][0] == pytest.approx(2.0, abs=27e-6)


def test_jam_without_a_touch_is_a_file_without_a_note(tmp_path):
    write(Session(HEADER, ()), tmp_path / "jam.mid")
    assert list(tracks(tmp_path / "jam.mid")[0]) == [""]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 2), st.sampled_from(list(Phase)), st.floats(0, 1), st.floats(0, 1)
        ),
        max_size=30,
    )
)
def test_any_touches_are_read_back_with_no_finger_left_down(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("midi") / "jam.mid"
    t, events = 0.0, []
    for dt, phase, x, y in rows:
        t += dt
        events.append(event(t, phase, x, y))
    write(Session(HEADER, tuple(events)), path)
    surface, down = make_reader(PRESETS["mpe"]), False
    for _, message in tracks(path)[0].get("ai", []):
        for finger in surface.read(message):
            assert isinstance(finger, Finger | PitchedFinger)
            down = finger.phase is not Phase.UP
    assert not down
    assert surface.lift_all() == []


@pytest.mark.peer
@pytest.mark.skipif(missing("fluidsynth") is not None, reason=str(missing("fluidsynth")))
def test_fluidsynth_plays_the_file_in_tune_with_pitch_following_x(tmp_path):
    places = [0.25, 0.3, 0.5, 0.77]  # slides of one finger: of whole and of broken semitones
    rows = [event(0.0, "down", places[0])]
    rows += [event(float(n), "move", x) for n, x in enumerate(places) if n]
    rows += [event(4.0, "up", places[-1])]
    flute = Style(members=4, program=80, full_speed=0)  # an ocarina: nearly a sine
    write(Session(HEADER, tuple(rows)), tmp_path / "jam.mid", style=flute)
    subprocess.run(
        [
            *("fluidsynth", "-ni", "-R", "0", "-C", "0", "-r", "44100", "-g", "1"),
            *("-T", "raw", "-O", "s16", "-F", str(tmp_path / "jam.raw"), str(SOUNDFONT)),
            str(tmp_path / "jam.mid"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    sound = np.fromfile(tmp_path / "jam.raw", "<i2").reshape(-1, 2).mean(1) / 32768
    for n, x in enumerate(places):
        second = sound[int((n + 0.3) * 44100) : int((n + 0.9) * 44100)]
        assert np.abs(second).max() > 0.01
        spectrum = np.abs(np.fft.rfft(second * np.hanning(len(second)), 1 << 18))
        hertz = spectrum.argmax() * 44100 / (1 << 18)
        wanted = 440 * 2 ** ((36 + 48 * x - 69) / 12)
        assert 12 * abs(np.log2(hertz / wanted)) < 0.25  # semitones; it has some vibrato
    assert np.abs(sound[-2000:]).max() < 0.01


def test_style_that_plays_no_touches_is_refused():
    with pytest.raises(ValueError, match="the style map plays no touches"):
        style_named(Session(HEADER, ()), "map")
