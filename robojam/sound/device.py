"""Audio devices: which there are, and one that is played on."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What is asked of a device: a period of so many milliseconds, and so many of them. What
#: is not asked for, some systems make 200 ms.
PERIOD_MS, PERIODS = 4, 2
#: Where sound can go, in the order in which it is tried: who runs JACK wants it used.
_APIS = {
    "linux": ("JACK", "PULSEAUDIO", "ALSA"),
    "darwin": ("COREAUDIO",),
    "win32": ("WASAPI", "DSOUND"),
}
#: Pulls of a device that its timing is told from, and those closer together than this,
#: in seconds, are one of which the device's own buffer made several.
_PULLS, _TOGETHER = 24, 0.0008
#: A device that asks for nothing in so many seconds, or in eight of its buffers, has left
#: a gap.
_STILL = 0.03
#: Seconds by which a touch may be late at the synthesiser, and still sound in its place.
_SLACK = 0.0005

Fill = Callable[[int], "np.ndarray[Any, Any]"]


class NoSoundError(RuntimeError):
    """There is nothing to play on; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Device:
    """An audio device that can be played on, and the system's way to it."""

    name: str
    api: str


@dataclass(frozen=True, slots=True)
class BufferInfo:
    """What a device gives. Times are in milliseconds.

    buffer is what it takes at a time, measured; asked, what it was asked to. wait is
    how long a touch is held so that all are heard equally late; gaps, how often it was
    left without sound.
    """

    name: str
    api: str
    rate: int
    asked_ms: float
    buffer_ms: float
    wait_ms: float
    gaps: int


def _miniaudio() -> Any:
    try:
        import miniaudio
    except ImportError as error:
        raise NoSoundError("miniaudio is not here (pip install 'robojam[sound]')") from error
    return miniaudio


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what audio libraries say about absent devices off the terminal."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
        return
    yield


def _apis() -> tuple[str, ...]:
    return _APIS.get(sys.platform, ("ALSA", "OSS", "SNDIO"))


def _found() -> Iterator[tuple[Device, Any, Any]]:
    """Yield each device with its backend and its id for miniaudio."""
    audio = _miniaudio()
    for api in _apis():
        backend = audio.Backend[api]
        try:
            listed = audio.Devices([backend]).get_playbacks()
        except audio.MiniaudioError:
            continue  # that system is not here
        for one in listed:
            # ALSA lists one that throws everything away.
            if not (api == "ALSA" and one["name"].startswith("Discard all")):
                yield Device(one["name"], api), backend, one["id"]


def devices() -> list[Device]:
    """Return what can be played on, in the order in which it is tried."""
    with _hushed():
        return [device for device, _, _ in _found()]


class OpenDevice:
    """A device that plays what a function fills in."""

    def __init__(self, fill: Fill, *, rate: int, name: str | None = None) -> None:
        """Open the device of that name, or a part of one; None is the system's choice.

        fill is called with a number of frames on a thread of the device's, and returns
        float32 samples of shape (frames, 2). Raises NoSoundError.
        """
        audio = _miniaudio()
        self.error: Exception | None = None
        self.pulls = 0
        self._fill = fill
        with _hushed():
            found = [
                (device, backend, one)
                for device, backend, one in _found()
                if name is None or name.lower() in device.name.lower()
            ]
            if not found:
                raise NoSoundError(
                    "no audio device was found"
                    if name is None
                    else f"no audio device is named {name!r:.60}"
                )
            for self.device, backend, one in found:
                try:
                    self._device = audio.PlaybackDevice(
                        audio.SampleFormat.FLOAT32,
                        2,
                        rate,
                        PERIOD_MS,
                        device_id=None if name is None else one,
                        callback_periods=PERIODS,
                        backends=[backend],
                        app_name="robojam",
                    )
                    break
                except audio.MiniaudioError:
                    continue
            else:
                raise NoSoundError(f"{found[0][0].name} cannot be opened")
            generator = self._samples()
            next(generator)
            try:
                self._device.start(generator)
            except audio.MiniaudioError as error:
                self._device.close()
                raise NoSoundError(f"{self.device.name} does not start") from error

    def _samples(self) -> Any:
        frames: int = yield b""
        while True:
            self.pulls += 1
            try:
                samples = self._fill(frames)
            except Exception as error:  # it would be lost in the device's thread
                self.error = error
                return
            frames = yield samples

    def close(self) -> None:
        """Stop, and give the device back."""
        with _hushed():
            self._device.close()


class Pulse:
    """The device's sense of time: at which sample an instant of the clock will be heard.

    A device asks for samples a little irregularly; a touch must not be as irregular. The
    earliest it has asked of late tells the time of its first sample, and every touch is
    then held for just as long as the device takes at a time.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.gaps = 0
        self._pulls: deque[tuple[float, int, int]] = deque(maxlen=_PULLS)

    def pulled(self, now: float, sample: int, frames: int) -> None:
        """Note that at an instant the device asks for some frames from a sample on."""
        if self._pulls and now - self._pulls[-1][0] > max(_STILL, 8 * frames / self.rate):
            self.gaps += 1
            self._pulls.clear()
        self._pulls.append((now, sample, frames))

    def sample(self, at: float) -> int:
        """Return the sample of what happens at an instant."""
        origin = min(now - first / self.rate for now, first, _ in self._pulls)
        return round((at - origin + self.wait) * self.rate)

    @property
    def wait(self) -> float:
        """Seconds that each touch is held."""
        return max((n for _, _, n in self._pulls), default=0) / self.rate + _SLACK

    @property
    def buffer(self) -> float:
        """Seconds of sound that the device takes at a time, on the mean."""
        bursts: list[int] = []
        before = -1.0
        for at, _, frames in list(self._pulls):
            if at - before < _TOGETHER and bursts:
                bursts[-1] += frames
            else:
                bursts.append(frames)
            before = at
        inner = bursts[1:-1] or bursts  # the ends may be cut
        return sum(inner) / len(inner) / self.rate if inner else 0.0
