"""Audio device by SDL, which comes with pygame: for systems without a wheel of miniaudio."""

from __future__ import annotations

import ctypes
import os
import sys
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
#: SDL's number of its audio subsystem.
_AUDIO = 0x10


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


def _quit(sdl: ModuleType) -> None:
    """Close all devices.

    SDL waits for the thread that asks for samples, which waits for the interpreter: pygame
    holds that in such a call, ctypes does not.
    """
    library = "SDL2.dll" if sys.platform == "win32" else sdl.__file__
    ctypes.CDLL(library).SDL_QuitSubSystem(_AUDIO)


def _names(sdl: ModuleType) -> list[str]:
    return [str(name) for name in sdl.get_audio_device_names(False)]


def names() -> list[str]:
    """Return the names of the devices. Raises NoSoundError where no audio system runs."""
    sdl = _sdl()
    found = _names(sdl)
    _quit(sdl)
    return found


class SdlDevice:
    """A robojam.sound.device.OpenDevice of SDL; arguments as in `open_device`."""

    def __init__(self, fill: Fill, *, rate: int, name: str | None = None) -> None:
        """Open and start the device."""
        self._sdl = sdl = _sdl()
        self.error: Exception | None = None
        self.requests = 0
        self._fill = fill
        self.device = matching([Device(found, API) for found in _names(sdl)], name)[0]
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
        _quit(self._sdl)
        # It forgets its number, too: else pygame would close it again when it is collected, and
        # with it the next device, which has the same number, while the interpreter is held.
        self._device.close()
