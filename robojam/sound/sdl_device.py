"""Audio device by SDL, which comes with pygame: for systems without a wheel of miniaudio."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from robojam.sound.device import Device, Fill, NoSoundError, matching

if TYPE_CHECKING:
    from types import ModuleType

#: Name of the audio system, in the place of ALSA, PulseAudio or JACK, which SDL chooses from.
API: Final = "SDL"
#: Frames that SDL asks for at a time: a power of two, 5.3 ms at 48 kHz.
_FRAMES = 256
_CHANNELS = 2


def _sdl() -> ModuleType:
    """Return SDL's audio, ready. Raises NoSoundError where no audio system runs."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from pygame._sdl2 import audio, sdl2

    try:
        sdl2.init_subsystem(sdl2.INIT_AUDIO)
    except RuntimeError as error:  # pygame's errors are
        raise NoSoundError(f"no audio device was found ({error})") from error
    module: ModuleType = audio
    return module


def names() -> list[str]:
    """Return the names of the devices. Raises NoSoundError where no audio system runs."""
    return [str(name) for name in _sdl().get_audio_device_names(False)]


class SdlDevice:
    """A robojam.sound.device.OpenDevice of SDL; arguments as in `open_device`."""

    def __init__(self, fill: Fill, *, rate: int, name: str | None = None) -> None:
        """Open and start the device."""
        sdl = _sdl()
        self.error: Exception | None = None
        self.requests = 0
        self._fill = fill
        self.device = matching([Device(found, API) for found in names()], name)[0]
        try:
            self._device = sdl.AudioDevice(
                devicename=None if name is None else self.device.name,
                iscapture=False,
                frequency=rate,
                audioformat=sdl.AUDIO_F32,
                numchannels=_CHANNELS,
                chunksize=_FRAMES,
                allowed_changes=0,
                callback=self._write,
            )
        except RuntimeError as error:  # pygame's errors are
            raise NoSoundError(f"{self.device.name} cannot be opened ({error})") from error
        self._device.pause(0)

    def _write(self, _device: Any, memory: memoryview) -> None:
        """Fill SDL's memory with samples; with silence once the function has failed."""
        samples = np.frombuffer(memory, np.float32).reshape(-1, _CHANNELS)
        if self.error is not None:
            samples[:] = 0.0
            return
        self.requests += 1
        try:
            samples[:] = self._fill(len(samples))
        except Exception as error:  # it would be lost on the device's thread
            self.error = error
            samples[:] = 0.0

    def close(self) -> None:
        """Stop and close the device."""
        self._device.pause(1)
        self._device.close()
