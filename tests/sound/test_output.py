"""Sound output: packets to the synthesiser's process, and a real audio server."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support import ROOT
from support.commands import hide_packages
from support.engine import PATIENCE
from support.jack import running

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, TouchPending, TouchPlayed, TurnChanged
from robojam.jam.protocols import Proposal
from robojam.sound.device import DeviceClock, NoSoundError, devices
from robojam.sound.messages import decode, encode
from robojam.sound.output import SoundOutput
from robojam.sound.program import SynthProgram, measure
from robojam.sound.synth import Synth
from robojam.touch import Phase, Touch


@pytest.fixture(autouse=True)
def ordinary_priority(monkeypatch):
    """Leave the priority of the tests' own process as it is."""
    monkeypatch.setattr("robojam.sound.program.raise_priority", lambda: None)


def tap(phase="down", x=0.5, finger=0):
    return TouchPlayed(0.0, Touch(x, 0.5, 0.0, Phase(phase), finger, "human"), 0.0)


def wait_for(what, patience=PATIENCE):
    """Wait until a condition holds."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)


# -- between the two ---------------------------------------------------------------------


def test_events_that_sound_are_encoded_and_others_are_not():
    for pressure in (None, 0.5):
        touch = Touch(0.25, 0.5, 0.125, Phase.MOVE, 3, "ai2", pressure)
        got = decode(encode(TouchPlayed(7.0, touch, 0.25), 42.5))
        assert got == (TouchPlayed(42.5, replace(touch, dt=0.25), 0.25), 42.5)
    for name, value in (("instrument", "ai=keys"), ("volume", 0.5), ("panic", 1)):
        assert decode(encode(ControlChanged(1.0, name, value), 2.0)) == (
            ControlChanged(2.0, name, value),
            2.0,
        )
    assert encode(TurnChanged(0.0, "ai"), 1.0) is None
    assert encode(ControlChanged(0.0, "temperature", 0.5), 1.0) is None
    assert encode(TouchPending(0.0, "ai", Proposal(0.0, 0.0, 0.1, True), 1.0), 1.0) is None


def test_deeply_nested_bytes_are_no_event():
    assert decode(b"\x91" * 5000 + b"\xc0") is None


@given(st.binary(max_size=64))
def test_any_bytes_decode_to_an_event_or_none(data):
    got = decode(data)
    assert got is None or isinstance(got[0], TouchPlayed | ControlChanged)


# -- time ------------------------------------------------------------------------------------


def request(clock, chunks, period, frames, jitter=()):
    """Simulate a device of a period (frames) that asks for a number of chunks."""
    given = taken = 0
    for i in range(chunks):
        taken += period
        now = i * period / clock.rate + (jitter[i % len(jitter)] if jitter else 0.0)
        while given < taken:
            clock.requested(now, given, frames)
            given += frames


@pytest.mark.parametrize("period", [192, 256, 1024])
def test_clock_delays_every_touch_equally_whatever_the_period(period):
    clock = DeviceClock(48_000)
    request(clock, 200, period, 192, jitter=(0.0, 0.0004, 0.0, 0.0011, 0.0))
    now = 200 * period / 48_000
    waits = [clock.sample(now + i * 0.00037) / 48_000 - i * 0.00037 for i in range(50)]
    assert max(waits) - min(waits) < 2 / 48_000
    given = -(-200 * period // 192) * 192
    assert clock.sample(now) >= given - 192  # what happens now has not been made yet
    assert clock.buffer == pytest.approx(max(period, 192) / 48_000, rel=0.15)
    assert clock.gaps == 0


def test_clock_restarts_after_a_device_that_stood_still():
    clock = DeviceClock(48_000)
    request(clock, 100, 192, 192)
    clock.requested(5.0, 19_200, 192)
    assert clock.gaps == 1
    assert clock.sample(5.0) / 48_000 == pytest.approx(0.4 + clock.wait, abs=0.001)


class Line:
    """Socket that has received packets."""

    def __init__(self, *packets):
        self.packets = list(packets)

    def recv(self, _):
        if not self.packets:
            raise BlockingIOError
        return self.packets.pop(0)


def test_sound_does_not_depend_on_the_frames_asked_for_at_a_time():
    def made(sizes):
        synth = Synth()
        synth.handle(tap(), 100)
        player = SynthProgram(synth, None)
        return np.concatenate([player.fill(n) for n in sizes])

    even, odd = made([192] * 20), made([1, 191, 500, 7, 1024, 256, 300, 1561])
    assert (even == odd).all()
    assert even.dtype == np.float32


def test_touches_older_than_a_second_are_not_sounded():
    now = time.perf_counter()
    old = [encode(tap(), now - 60), encode(ControlChanged(0.0, "volume", 0.5), now - 60)]
    synth = Synth()
    player = SynthProgram(synth, Line(*old))
    assert not any(player.fill(192).any() for _ in range(10))
    assert synth._volume == 0.5
    assert SynthProgram(synth, Line(b"noise", encode(tap(), now))).fill(4096).any()


# -- without a device ------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Simulate a machine without an audio device."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("PULSE_SERVER", "/nowhere")
    (tmp_path / "asoundrc").write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asoundrc"))


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="its audio is Linux's")


@needs_linux
def test_missing_device_is_logged_once_and_the_jam_goes_on(nowhere, caplog):
    caplog.set_level(logging.WARNING)
    output = SoundOutput(Settings(instrument="human=keys,ai=keys", volume=0.5))
    assert output.advance(0.0) == float("inf")
    output.handle(tap(), 0.0)
    wait_for(lambda: caplog.records)
    output.handle(tap(), 0.0)
    message = "no sound: no audio device was found; the jam goes on without"
    assert [record.getMessage() for record in caplog.records] == [message]
    assert output.status()["sound"]["state"] == message
    output.close()


@needs_linux
def test_measuring_without_a_device_is_an_error(nowhere):
    assert devices() == []
    with pytest.raises(NoSoundError, match="no audio device was found"):
        measure(0.1)
    with pytest.raises(NoSoundError, match="no audio device is named 'Moon'"):
        measure(0.1, device="Moon")


def test_synthesiser_that_dies_at_once_is_given_up_at_the_third_time(monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "false")
    output = SoundOutput(Settings(instrument="human=keys", volume=0.5))
    output.advance(0.0)
    wait_for(lambda: len(caplog.records) == 3)
    output.close()
    again = "the sound has failed; it is started again"
    assert [r.getMessage() for r in caplog.records] == [
        again, again, "the sound has failed; the jam goes on without"
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_text_of_a_library_among_the_reports_is_ignored(monkeypatch, caplog, tmp_path):
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho a library prints this\necho \'{"trouble": "none"}\'\n')
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    output = SoundOutput(Settings())
    output.advance(0.0)
    wait_for(lambda: caplog.records)
    output.close()
    assert [r.getMessage() for r in caplog.records] == ["none"]


def test_output_can_be_closed_before_it_has_started():
    SoundOutput(Settings(instrument="human=keys", volume=0.5)).close()


# -- with one ----------------------------------------------------------------------------------

needs_jack = pytest.mark.skipif(
    not (shutil.which("jackd") and shutil.which("jack_rec")), reason="no JACK server here"
)


@pytest.fixture
def jack(monkeypatch):
    with running(monkeypatch, period=256) as server:
        yield server


@pytest.mark.peer
@needs_jack
def test_touch_sounds_at_a_jack_server_with_its_pitch(jack, tmp_path):
    """The engine plays a touch, and another program records what it plays."""
    with listening_engine() as hand:
        wait_for(lambda: any(name.startswith("robojam:") for name in jack.ports()))
        found = [name for name in jack.ports() if name.startswith("robojam:")]
        wait_for(lambda: "buffer_ms" in hand.sound())
        got = hand.sound()
        assert (got["state"], got["api"], got["rate"]) == ("playing", "JACK", 48_000)
        assert got["asked_ms"] <= 10
        assert got["buffer_ms"] > 0
        kept = tmp_path / "kept.wav"
        recorder = subprocess.Popen(
            ["jack_rec", "-f", str(kept), "-d", "3", "-b", "16", *found],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: any(name.startswith("jackrec") for name in jack.ports()))
        while recorder.poll() is None:
            hand.tap_a3()
    with wave.open(str(kept)) as file:
        assert_a3(np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2))


@needs_linux
def test_touch_sounds_by_sdl_where_there_is_no_miniaudio(monkeypatch, tmp_path):
    hide_packages(monkeypatch, "miniaudio")
    kept = tmp_path / "kept.raw"  # in the place of a device
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")
    monkeypatch.setenv("SDL_DISKAUDIOFILE", str(kept))
    with listening_engine() as hand:
        wait_for(lambda: "buffer_ms" in hand.sound())
        got = hand.sound()
        assert (got["state"], got["api"], got["rate"]) == ("playing", "SDL", 48_000)
        begun = kept.stat().st_size
        wait_for(lambda: hand.tap_a3() or kept.stat().st_size > begun + 3 * 48_000 * 8)
    assert_a3(
        np.fromfile(kept, np.float32)[begun // 4 : begun // 4 + 3 * 96_000].reshape(-1, 2)
    )


@needs_linux
def test_device_of_sdl_is_closed_whatever_it_does_at_that_moment(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    code = """if True:
        import numpy as np
        from robojam.sound.sdl_device import SdlDevice

        def fill(frames):  # most of the time it waits for the interpreter
            sum(range(50_000))
            return np.zeros((frames, 2), np.float32)

        for number in range(25):
            device = SdlDevice(fill, rate=48_000)
            while device.requests < number % 5 + 1:
                sum(range(1000))
            device.close()
        print("closed")
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
    )
    assert ran.stdout == "closed\n", ran.stderr


@needs_linux
def test_device_of_sdl_that_is_collected_does_not_close_the_next_one(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    code = """if True:
        import gc
        import numpy as np
        from robojam.sound.sdl_device import SdlDevice

        def opened():
            device = SdlDevice(lambda frames: np.zeros((frames, 2)), rate=48_000)
            while device.requests < 2:
                sum(range(1000))
            return device

        first = opened()
        first.close()
        second = opened()
        del first
        gc.collect()
        before = second.requests
        while second.requests < before + 2:
            sum(range(1000))
        second.close()
        print("plays on")
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
    )
    assert ran.stdout == "plays on\n", ran.stderr


@needs_linux
def test_without_miniaudio_and_without_any_audio_system_there_is_no_sound(monkeypatch):
    hide_packages(monkeypatch, "miniaudio")
    monkeypatch.setenv("SDL_AUDIODRIVER", "none such")
    code = "from robojam.sound import device; device.open_device(len, rate=48000)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert "NoSoundError: no audio device was found" in result.stderr
    assert result.stdout == ""


@contextmanager
def listening_engine():
    """Run an engine that plays what it hears; yield a hand at its OSC port."""
    command = [sys.executable, "-m", "robojam", "serve", "--osc-in", "127.0.0.1:0"]
    options = ["--no-record", "--mode", "listen", "--instrument", "human=keys"]
    engine = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    )
    try:
        yield hand_to(int(engine.stdout.readline().partition(",")[0].rpartition(":")[2]))
    finally:
        engine.terminate()
        assert engine.wait(PATIENCE) == 0


def assert_a3(frames):
    """Check that samples (n, 2) have the pitch of `tap_a3`, on the side of the human."""
    left, right = (frames.astype(float) ** 2).mean(0)
    assert left > 2 * right > 0
    spectrum = np.abs(np.fft.rfft(frames[:, 0] * np.hanning(len(frames)), 1 << 19))
    assert np.fft.rfftfreq(1 << 19, 1 / 48_000)[spectrum.argmax()] == pytest.approx(220, abs=2)


def hand_to(port):
    import socket

    from robojam.wire import osc

    class Hand:
        def __init__(self):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.settimeout(PATIENCE)

        def send(self, address, tags="", *args):
            self.socket.sendto(osc.encode(address, tags, *args), ("127.0.0.1", port))

        def tap_a3(self):  # 36 + 48 x = 57
            self.send("/robojam/down", "iff", 1, 21 / 48, 0.5)
            time.sleep(0.3)
            self.send("/robojam/up", "i", 1)
            time.sleep(0.1)

        def sound(self):
            self.send("/robojam/status")
            return json.loads(osc.decode(self.socket.recv(65536))[0][0].args[0])["sound"]

    return Hand()


@pytest.mark.peer
@needs_jack
def test_ctrl_c_reaches_the_engine_alone_and_is_no_sound_failure(jack):
    command = [sys.executable, "-m", "robojam", "serve", "--osc-in", "127.0.0.1:0"]
    # A MIDI port takes its time to end, in which the sound would be missed.
    engine = subprocess.Popen(
        [*command, *"--no-record --tuio-in none --mode solo --midi-out virtual:keys".split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        hand = hand_to(int(engine.stdout.readline().partition(",")[0].rpartition(":")[2]))
        wait_for(lambda: "buffer_ms" in hand.sound())
        os.killpg(engine.pid, signal.SIGINT)  # as a terminal does, to all that it holds
        _, errors = engine.communicate(timeout=PATIENCE)
    finally:
        engine.kill()
        engine.wait()
    assert engine.returncode == 0
    assert "sound: " in errors
    assert not any(word in errors for word in ("failed", "ended", "gone", "Traceback"))


@pytest.mark.peer
@needs_jack
def test_lost_device_is_logged_once_and_the_sound_returns(jack, caplog):
    caplog.set_level(logging.WARNING)
    output = SoundOutput(Settings(instrument="human=keys", volume=0.5))
    output.advance(0.0)
    wait_for(lambda: output.status()["sound"]["state"] == "playing")
    jack.end()
    wait_for(lambda: caplog.records)
    output.handle(tap(), time.perf_counter())
    assert "gone; the jam goes on" in caplog.records[0].getMessage()
    jack.start()
    wait_for(lambda: output.status()["sound"]["state"] == "playing")
    assert len(caplog.records) == 2
    assert "back" in caplog.records[1].getMessage()
    began = time.monotonic()
    output.close()
    assert time.monotonic() - began < 5
    assert output._process.poll() == 0
