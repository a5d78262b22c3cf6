"""Audio devices: a list of them, and one that is open.

miniaudio is the way to them. Where it has no wheel (Linux on ARM) and is not installed, SDL is,
which comes with pygame (robojam.sound.sdl_device).
"""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

#: The buffer that is asked of a device: the milliseconds of a period, and the periods. Without
#: it some systems take 200 ms.
PERIOD_MS, PERIODS = 4, 2
#: Audio systems, in the order in which they are tried: JACK runs only where it is wanted.
_APIS = {
    "linux": ("JACK", "PULSEAUDIO", "ALSA"),
    "darwin": ("COREAUDIO",),
    "win32": ("WASAPI", "DSOUND"),
}
#: Requests of a device from which its timing is estimated; those closer together than this, in
#: seconds, count as one that the device's own buffer has split.
_REQUESTS, _TOGETHER = 24, 0.0008
#: Seconds without a request, or else eight buffers, after which the device has left a gap.
_GAP = 0.03
#: Seconds by which a touch may come late to the synthesiser and still sound at its instant.
_SLACK = 0.0005

Fill = Callable[[int], "np.ndarray[Any, Any]"]


class NoSoundError(RuntimeError):
    """No audio device can be used; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Device:
    """An audio device, and the audio system that it belongs to."""

    name: str
    api: str


@dataclass(frozen=True, slots=True)
class BufferInfo:
    """Timing of an open device. Times are in milliseconds.

    buffer is the measured length of its requests, asked the length that was asked for. wait is
    the delay of every touch, which keeps their timing even; gaps counts the gaps in the sound.
    """

    name: str
    api: str
    rate: int
    asked_ms: float
    buffer_ms: float
    wait_ms: float
    gaps: int


class OpenDevice(Protocol):
    """An open device, whose samples a function makes.

    error is what the function has raised, which ended the sound; requests counts its calls.
    """

    device: Device
    error: Exception | None
    requests: int

    def close(self) -> None:
        """Stop and close the device."""


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Keep messages of audio libraries about absent devices off the terminal."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(null)
        return
    yield


def _listed(*, playing: bool = True) -> Iterator[tuple[Device, Any, Any]]:
    """Yield each device that plays, or records, with its backend and its id for miniaudio."""
    import miniaudio as audio

    for api in _APIS.get(sys.platform, ("ALSA", "OSS", "SNDIO")):
        backend = audio.Backend[api]
        try:
            found = audio.Devices([backend])
            listed = found.get_playbacks() if playing else found.get_captures()
        except audio.MiniaudioError:
            continue  # the system does not run here
        for entry in listed:
            # ALSA lists a device that discards everything.
            if not (api == "ALSA" and entry["name"].startswith("Discard all")):
                yield Device(entry["name"], api), backend, entry["id"]


def _open(*, playing: bool, rate: int, name: str | None, client: str) -> tuple[Any, Device]:
    """Open the first device that can be, of those whose name has a part.

    client is robojam's name at the audio system. Raises NoSoundError.
    """
    import miniaudio as audio

    make = audio.PlaybackDevice if playing else audio.CaptureDevice
    listed = [*_listed(playing=playing)]
    matches = matching([device for device, _, _ in listed], name)
    for device in matches:
        backend, id_ = next(ids for each, *ids in listed if each is device)
        with suppress(audio.MiniaudioError):
            opened = make(
                audio.SampleFormat.FLOAT32,
                2,
                rate,
                PERIOD_MS,
                device_id=None if name is None else id_,
                callback_periods=PERIODS,
                backends=[backend],
                app_name=client,
            )
            return opened, device
    raise NoSoundError(f"{matches[0].name} cannot be opened")


def devices() -> list[Device]:
    """Return the audio devices, in the order in which they are tried. Raises NoSoundError."""
    with stderr_silenced():
        if not _has_miniaudio():
            from robojam.sound import sdl_device

            return [Device(name, sdl_device.API) for name in sdl_device.names()]
        return [device for device, _, _ in _listed()]


def _has_miniaudio() -> bool:
    return find_spec("miniaudio") is not None


def open_device(fill: Fill, *, rate: int, name: str | None = None) -> OpenDevice:
    """Open the device of that name, or a part of one; None is the system's choice.

    fill is called with a number of frames, on a thread of the device, and returns float32
    samples of shape [frames, 2]. rate is in Hz. Raises NoSoundError.
    """
    if _has_miniaudio():
        return MiniaudioDevice(fill, rate=rate, name=name)
    from robojam.sound.sdl_device import SdlDevice

    with stderr_silenced():
        return SdlDevice(fill, rate=rate, name=name)


def matching(found: Sequence[Device], name: str | None) -> list[Device]:
    """Return the devices of a name, or whose name has it as a part: the exact one first.

    Raises NoSoundError if there are none.
    """
    wanted = (name or "").lower()
    matches = [device for device in found if wanted in device.name.lower()]
    if not matches:
        reason = "was found" if name is None else f"is named {name!r:.60}"
        raise NoSoundError(f"no audio device {reason}")
    return sorted(matches, key=lambda device: device.name.lower() != wanted)


class MiniaudioDevice:
    """OpenDevice of miniaudio; arguments as in `open_device`."""

    def __init__(self, fill: Fill, *, rate: int, name: str | None = None) -> None:
        import miniaudio as audio

        self.error: Exception | None = None
        self.requests = 0
        self._fill = fill
        with stderr_silenced():
            self._device, self.device = _open(
                playing=True, rate=rate, name=name, client="robojam"
            )
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
            self.requests += 1
            try:
                samples = self._fill(frames)
            except Exception as error:  # it would be lost on the device's thread
                self.error = error
                return
            frames = yield samples

    def close(self) -> None:
        """Stop and close the device."""
        with stderr_silenced():
            self._device.close()


@contextmanager
def capture_device(
    take: Callable[[np.ndarray[Any, Any]], None], *, rate: int, name: str | None = None
) -> Iterator[Device]:
    """Record from a device while the block runs; name is a part of its name, or None.

    take is called with float32 samples of shape [frames, 2], on a thread of the device.
    Raises NoSoundError: also where miniaudio, which records, is not installed.
    """
    if not _has_miniaudio():
        raise NoSoundError("recording from a device needs miniaudio, which is not installed")

    def received() -> Any:
        while True:
            data = yield
            take(np.frombuffer(data, np.float32).reshape(-1, 2))

    with stderr_silenced():
        recorder, device = _open(playing=False, rate=rate, name=name, client="robojam loopback")
        generator = received()
        next(generator)
        recorder.start(generator)
    try:
        yield device
    finally:
        with stderr_silenced():
            recorder.close()


class DeviceClock:
    """Clock of a device: the sample that sounds at an instant.

    A device requests samples a little irregularly, and touches must not sound as irregular. The
    earliest of its latest requests gives the time of its first sample; every touch is delayed
    by the length of one request.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.gaps = 0
        self._requests: deque[tuple[float, int, int]] = deque(maxlen=_REQUESTS)

    def requested(self, now: float, sample: int, frames: int) -> None:
        """Note that the device requests some frames, from a sample on, at an instant."""
        if self._requests and now - self._requests[-1][0] > max(_GAP, 8 * frames / self.rate):
            self.gaps += 1
            self._requests.clear()
        self._requests.append((now, sample, frames))

    def sample(self, at: float) -> int:
        """Return the sample at which an event of an instant sounds."""
        origin = min(now - first / self.rate for now, first, _ in self._requests)
        return round((at - origin + self.wait) * self.rate)

    @property
    def wait(self) -> float:
        """Delay of every touch, in seconds."""
        return max((n for _, _, n in self._requests), default=0) / self.rate + _SLACK

    @property
    def buffer(self) -> float:
        """Mean length of a request, in seconds."""
        requests = list(self._requests)
        if not requests:
            return 0.0
        times, _, frames = zip(*requests, strict=True)
        first = np.flatnonzero(np.diff(times, prepend=-math.inf) >= _TOGETHER)
        bursts = np.add.reduceat(frames, first)
        # The first and the last may be incomplete.
        return float(np.mean(bursts[1:-1] if len(bursts) > 2 else bursts)) / self.rate
