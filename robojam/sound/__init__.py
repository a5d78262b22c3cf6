"""The built-in synthesiser: every touch of the jam, human and machine, as sound.

It runs in a process of its own, which the engine tells what happens: so many sines want
an interpreter to themselves, or they would make the music late. In the order a touch
travels: `output` (in the engine), `line` (bytes between the two), `program` (the other
process), `device`, `synth`, `voices`, `instruments`, `room`. `lineup` holds the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robojam.sound.device import BufferInfo, Device


def devices() -> list[Device]:
    """Return the audio devices that can be played on, the system's choice first.

    Raises NoSoundError (of robojam.sound.device), in one line, when there is no way to ask.
    """
    from robojam.sound.device import devices

    return devices()


def measure(seconds: float = 1.0, *, device: str | None = None) -> BufferInfo:
    """Play silence for some seconds and return what buffer was asked for, and got.

    Raises NoSoundError (of robojam.sound.device), in one line, when there is no device.
    """
    from robojam.sound.program import measure

    return measure(seconds, device=device)
