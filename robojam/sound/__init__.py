"""Built-in synthesiser: every touch of the jam, human and machine, as sound.

It runs in a process of its own, because its arithmetic would delay the engine. In the order
in which a touch travels: `output` (in the engine), `messages` (bytes between the processes),
`program` (the other process), `device`, `synth`, `voices`, `instruments`, `reverb`. Names of
scales and instruments, and the pitch of x, are in `robojam.music`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "device", "devices", "instruments", "measure", "messages", "output", "program", "reverb",
    "synth", "voices",
]  # fmt: skip

if TYPE_CHECKING:
    from robojam.sound.device import BufferInfo, Device


def devices() -> list[Device]:
    """Return the audio devices that sound can go to, the system's choice first.

    Raises robojam.sound.device.NoSoundError, with one line of text, where none can be listed.
    """
    from robojam.sound.device import devices

    return devices()


def measure(seconds: float = 1.0, *, device: str | None = None) -> BufferInfo:
    """Play silence for some seconds; return the buffer that was asked for and the real one.

    Raises robojam.sound.device.NoSoundError, with one line of text, where there is no device.
    """
    from robojam.sound.program import measure

    return measure(seconds, device=device)
