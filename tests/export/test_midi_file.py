"""Export of a jam as a standard MIDI file, read back by mido and sounded by FluidSynth."""

import subprocess

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jack import SOUNDFONT, left_on, missing

from robojam.export.midi_file import write
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


def event(t, phase, x=0.5, y=0.5, who="ai", finger=0):
    return TouchEvent(t, Touch(x, y, 0.0, Phase(phase), finger, who))


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
    ons = {who: [t for t, m in timed if m[0] >> 4 == 9] for who, timed in found.items()}
    assert ons["human"] == [pytest.approx(0.25, abs=25e-6)]
    assert ons["ai"] == [pytest.approx(1.0, abs=25e-6)]
    moved = [t for t, m in found["human"] if 50 < t < 1000]
    assert moved[0] == pytest.approx(100.123456, abs=26e-6)  # an hour in, no drift
    assert found["human"][-1][0] == pytest.approx(3600.5, abs=26e-6)
    assert song.length == pytest.approx(3600.5, abs=1e-4)
    assert not any(left_on([m for _, m in timed]) for timed in found.values())


def test_finger_left_down_by_a_killed_engine_is_lifted_at_the_end(tmp_path):
    write(Session(HEADER, (event(0.1, "down"), event(2.0, "move", 0.6))), tmp_path / "jam.mid")
    timed = tracks(tmp_path / "jam.mid")[0]["ai"]
    assert not left_on([m for _, m in timed])
    assert timed[-1][0] == pytest.approx(2.0, abs=26e-6)


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
