"""Check of the audio device: it opens, and asks for samples."""

from __future__ import annotations

import sys
from typing import Final

from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.sound.device import NoSoundError, devices
from robojam.sound.program import measure

#: Seconds of silence that are played, and a buffer in milliseconds beyond which it is late.
_SECONDS: Final = 0.5
_LATE_MS: Final = 30.0
_ADVICE: Final = {
    "linux": "start PipeWire, PulseAudio or JACK; without a desktop, the user must be in the "
    "group audio",
    "darwin": "choose an output in System Settings, Sound",
    "win32": "choose an output in Settings, System, Sound",
}


def check_audio(options: Options) -> Finding:
    """Play silence for half a second on the device that would play."""
    if not options.sound:
        return ok("off (--no-sound)")
    try:
        info = measure(_SECONDS, device=options.sound_out)
    except NoSoundError as error:
        if options.sound_out is not None and (names := _names()):
            return problem(str(error), f"--sound-out takes a part of one of: {names}")
        found = f"{error}; a jam plays without sound"
        is_missing = "install" in str(error)  # which says what to type
        return warning(found, "" if is_missing else _ADVICE.get(sys.platform, ""))
    found = f"{info.name} ({info.api}), {info.rate / 1000:g} kHz"
    if not info.buffer_ms:
        return warning(
            f"{found}: opens, but asks for no sound", "unplug it and plug it in again"
        )
    found += f", buffer {info.buffer_ms:.0f} ms"
    if info.buffer_ms > _LATE_MS:
        return warning(
            f"{found}: touches are heard late",
            "choose a smaller buffer in its settings, or another device: --sound-out",
        )
    return ok(found)


def _names() -> str:
    try:
        return ", ".join(device.name for device in devices())
    except NoSoundError:
        return ""
