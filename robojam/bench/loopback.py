"""Loopback measurements: how long a touch takes until it is heard, by a cable back.

The sound is heard through an input: a cable from the output of the sound card to its input, a
loopback device, or a connection of JACK. MIDI comes back through an input port: a cable, or a
port that robojam makes. What is measured includes the input's own buffer (a few milliseconds of
sound, and next to nothing of MIDI), which no program can tell from the output's.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np

from robojam.bench.client import BenchError, EngineProcess, engine
from robojam.bench.report import Report, percentile
from robojam.ports import midi_binding
from robojam.sound.device import PERIOD_MS, PERIODS, capture_device, stderr_silenced

#: Frames of the input's sound per second, and seconds of it that are kept.
_RATE, _KEPT = 48_000, 4.0
#: Seconds in which a tap must be heard, and in which the input must be quiet before it.
_HEARD, _QUIET = 1.0, 0.3
#: A tap is heard where the input is this many times as loud as before it, and at least this
#: loud.
_LOUDER, _LEAST = 8.0, 0.003
#: Seconds after which what is sent to a port that has just been opened comes back.
_CONNECTED = 0.5
#: Name of the MIDI port that robojam makes where none is named.
_VIRTUAL: Final = "robojam loopback"


class _Recorder:
    """The latest sound of an input: its peak in each frame, and when each frame came (s)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times = np.zeros(0)
        self._peaks = np.zeros(0)

    def add(self, samples: np.ndarray[Any, Any], now: float) -> None:
        """Add frames (n, 2) that have just come; the last of them is of this instant."""
        frames = np.abs(samples).max(1)
        times = now - np.arange(len(frames) - 1, -1, -1) / _RATE
        with self._lock:
            self._times = np.concatenate([self._times, times])[-int(_KEPT * _RATE) :]
            self._peaks = np.concatenate([self._peaks, frames])[-int(_KEPT * _RATE) :]

    def onset(self, since: float) -> float | None:
        """Return when a sound began after an instant; None where none did."""
        with self._lock:
            times, peaks = self._times, self._peaks
        before = peaks[(times >= since - _QUIET) & (times < since)]
        level = max(_LEAST, _LOUDER * float(before.max(initial=0.0)))
        loud = np.flatnonzero((times >= since) & (peaks >= level))
        return float(times[loud[0]]) if len(loud) else None


@contextmanager
def _recording(name: str | None) -> Iterator[_Recorder]:
    recorder = _Recorder()

    def take(samples: np.ndarray[Any, Any]) -> None:
        recorder.add(samples, time.perf_counter())

    with capture_device(take, rate=_RATE, name=name):
        yield recorder


def sound(
    report: Report, taps: int, *, sound_in: str | None = None, sound_out: str | None = None
) -> None:
    """Report how long after a touch the built-in sound is heard at an input.

    sound_in and sound_out are parts of the devices' names. Raises BenchError where nothing is
    heard, and NoSoundError where there is no device.
    """
    options = ["--sound", "--instrument", "human=keys,ai=keys", "--mode", "listen"]
    options += ["--sound-out", sound_out] if sound_out else []
    heard: list[float] = []
    with _recording(sound_in) as recorder, engine(*options) as e:
        _await_sound(e)
        for number in range(taps):
            time.sleep(_HEARD + _QUIET)  # the last tap is to die away
            sent = e.send("/robojam/down", "iff", 1, 0.3 + 0.4 * number / taps, 0.2)
            e.send("/robojam/up", "i", 1)
            end, at = sent + _HEARD, None
            while at is None and time.perf_counter() < end:
                time.sleep(0.01)
                at = recorder.onset(sent)
            if at is not None:
                heard.append(1000 * (at - sent))
    if len(heard) < taps / 2:
        raise BenchError(
            f"{len(heard)} of {taps} taps were heard: is the output connected to the input, "
            "and is its volume up? (--sound-in NAME and --sound-out NAME choose devices)"
        )
    middle, spread = percentile(heard, 0.5), max(heard) - min(heard)
    period = PERIOD_MS * PERIODS
    note = (
        f"{len(heard)} of {taps} taps, within {spread:.1f} ms; with the input's own buffer, "
        f"{PERIOD_MS} to {period} ms. Give it to other outputs: --sound-latency {middle:.0f}"
    )
    report.add("touch to sound, by loopback", middle, "ms", note=note)


def _await_sound(e: EngineProcess) -> None:
    """Wait until the built-in sound plays. Raises BenchError."""
    end = time.perf_counter() + 30.0
    while (state := e.status()["sound"]["state"]) == "starting":
        if time.perf_counter() > end:
            break
        time.sleep(0.1)
    if state != "playing":
        raise BenchError(f"the built-in sound does not play: {state}")


def midi(
    report: Report, landings: int, *, midi_in: str | None = None, midi_out: str | None = None
) -> None:
    """Report how much later than over OSC a landing of the machine comes back as MIDI.

    midi_out is sent to; midi_in is a part of the name of the port where that comes back.
    Without them robojam makes a port. Raises BenchError where nothing comes back.
    """
    try:
        binding = midi_binding.load()
    except ImportError:
        report.add("OSC to MIDI, by loopback", math.nan, "ms", note=midi_binding.advice())
        return
    wanted = midi_out or f"virtual:{_VIRTUAL}"
    notes: list[float] = []

    def receive(message: bytes) -> None:
        if message[0] & 0xF0 == 0x90 and message[2]:
            notes.append(time.perf_counter())

    options = ("--mode", "solo", "--midi-out", wanted, "--seed", "1")
    with engine(*options) as e:
        port = _open_input(binding, midi_in or _VIRTUAL)
        binding.listen(port, receive)
        heard = time.perf_counter() + _CONNECTED  # what had landed before could not come back
        sent = [
            message.at
            for message in e.messages(heard + 2.0 * landings)
            if message.address == "/robojam/ai/down" and message.at > heard
        ][:landings]
        port.close_port()
    later = [
        1000 * (min(after) - at)
        for at in sent
        if (after := [note for note in notes if at - 0.002 <= note < at + 0.25])
    ]
    if len(later) < len(sent) / 2 or not later:
        raise BenchError(
            f"{len(later)} of {len(sent)} notes came back at {midi_in or _VIRTUAL!r}: is "
            "the output connected to it? (--midi-in NAME, --midi-out NAME)"
        )
    middle = percentile(later, 0.5)
    note = (
        f"{len(later)} of {len(sent)} landings; the longest {max(later):.1f} ms; a synthesiser "
        "adds its own: --midi-out 'NAME?latency=MS'"
    )
    report.add("OSC to MIDI, by loopback", middle, "ms", note=note)


def _open_input(binding: midi_binding.Binding, name: str) -> Any:
    """Open the input port of which a part of the name is given. Raises BenchError."""
    end = time.perf_counter() + 10.0
    seen: list[str] = []
    while time.perf_counter() < end:
        for system in binding.systems():
            if system == binding.dummy:
                continue
            with suppress(*binding.errors), stderr_silenced():
                port = binding.make_input(system, "robojam bench")
                seen = port.get_ports()
                for number, each in enumerate(seen):
                    if name.lower() in each.lower():
                        port.open_port(number)
                        return port
        time.sleep(0.2)
    raise BenchError(f"no MIDI input is named {name!r}; there is {', '.join(seen) or 'none'}")
