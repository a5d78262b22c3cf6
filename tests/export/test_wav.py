"""Export of a recorded jam as a WAV file."""

import wave

import numpy as np
import pytest

from robojam.controls import SETTINGS
from robojam.export.wav import events, render, write_wav
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.sessions.session import EndEvent, Header, ModelRef, Session, SetEvent, TouchEvent
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase, Touch


def session_of(*events, **options):
    header = Header(
        started="2026-11-20T10:30:00+00:00",
        model=ModelRef("a.safetensors", "0a"),
        device="cpu",
        build="a build",
        seed=1,
        options=options,
    )
    return Session(header, events)


def touch(t, phase, who="human", x=0.5, dt=0.1, finger=0):
    return TouchEvent(t, Touch(x, 0.5, dt, Phase(phase), finger, who))


JAM = (
    touch(0.0, "down", dt=0.0),
    touch(0.1, "move", x=0.52),
    touch(0.4, "up", dt=0.3),
    SetEvent(0.5, {"instrument": "human=strings,ai=chirp"}),
    SetEvent(0.5, {"timescale": 2.0}),
    touch(0.8, "down", "ai", x=0.8),
    touch(1.0, "move", "ai", x=0.7),
    EndEvent(1.5, "SIGINT"),
)


def test_events_are_in_order_with_scheduled_dt_and_end_lifted():
    got = list(events(session_of(*JAM, timescale=1.0)))
    assert [type(one) for one in got] == [TouchPlayed] * 3 + [ControlChanged] * 2 + [
        TouchPlayed
    ] * 3
    assert [one.dt for one in got if isinstance(one, TouchPlayed)] == [
        0.0,
        0.1,
        0.3,
        0.2,
        0.2,
        0.5,
    ]
    assert (got[-1].t, got[-1].touch.phase, got[-1].touch.who) == (1.5, Phase.UP, "ai")


def test_recording_that_no_wav_file_holds_is_refused_before_there_is_a_file(tmp_path):
    long = session_of(*JAM[:3], EndEvent(30_000.0, "quit"))
    with pytest.raises(ValueError, match=r"lasts 8\.3 hours, and a \.wav file holds 6\.8"):
        write_wav(long, tmp_path / "jam.wav", rate=44100)
    assert not [*tmp_path.iterdir()]


def test_file_holds_what_the_synthesiser_plays_live(tmp_path):
    path = tmp_path / "jam.wav"
    session = session_of(*JAM)
    seconds = write_wav(session, path)
    synth = Synth()
    for what in events(session):
        synth.handle(what, round(what.t * RATE))
    live = np.concatenate([synth.render() for _ in range(round(seconds * RATE) // synth.tick)])
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert len(samples) == len(live)
    assert np.abs(samples / 32767 - live).max() < 2.1 / 32767  # the noise of a bit
    assert 1.5 < seconds < 4.6
    assert samples[-1].tolist() == [0, 0] or np.abs(samples[-100:]).max() <= 2


def test_settings_and_controls_of_the_recording_take_effect():
    quiet = np.concatenate(list(render(session_of(*JAM, volume=0.1))))
    loud = np.concatenate(list(render(session_of(*JAM, volume=0.9))))
    assert np.abs(loud).max() > 10 * np.abs(quiet).max()
    muted = session_of(*JAM[:3], SetEvent(0.45, {"volume": 0.0}), *JAM[3:])
    after = np.concatenate(list(render(muted)))[round(0.75 * RATE) :]
    assert np.abs(after).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"instrument": "human=banjo"}, "line 1: instrument: no instrument is named 'banjo'"),
        ({"scale": "loud"}, "line 1: scale: no scale is named 'loud'"),
        ({"range": "84-36"}, "line 1: range: 84-36 is no range of pitch; allowed"),
        ({"volume": "much"}, "line 1: volume = 'much'; allowed"),
        ({"volume": 1e9}, "line 1: volume = 1000000000.0; allowed"),
    ],
)
def test_wrong_control_is_reported_before_there_is_a_file(tmp_path, options, why):
    with pytest.raises(ValueError, match=why):
        write_wav(session_of(*JAM, **options), tmp_path / "jam.wav")
    with pytest.raises(ValueError, match=why.replace("line 1", "line 2")):
        write_wav(session_of(SetEvent(0.0, options)), tmp_path / "jam.wav")
    assert not list(tmp_path.iterdir())


def test_recording_without_settings_of_the_sound_has_the_defaults():
    before = np.concatenate(list(render(session_of(*JAM[:3]))))
    defaults = {name: row.default for name, row in SETTINGS.items() if row.sound}
    said = session_of(*JAM[:3], **defaults)
    assert (before == np.concatenate(list(render(said)))).all()


def test_empty_session_is_an_empty_file(tmp_path):
    assert write_wav(session_of(), tmp_path / "jam.wav") < 0.1
