"""What a stranger's control means: its value as it is in force, or why it is refused. Pure."""

from __future__ import annotations

from typing import Any, Final

from robojam import music
from robojam.config import options
from robojam.jam.events import Settings
from robojam.wire import native

#: The controls that are no settings.
ACTS: Final = frozenset("answer back model panic recall record reset seed store".split())
#: A replay takes these alone.
OF_A_REPLAY: Final = frozenset(("pause", "panic", "volume"))


class RefusedError(ValueError):
    """A control that is dropped: the reason, and more of it for a person."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.reason, self.about = reason, about


def validate_control(name: str, value: Any, settings: Settings, who: str | None) -> Any:
    """Return a control's value as it was meant; who is the player who sent it, if one did.

    Raises RefusedError.
    """
    if name not in ACTS and not hasattr(settings, name):
        raise RefusedError("no such control", name)
    if name in options.CONTROLS:
        return _in_range(name, value, float(getattr(settings, name)))
    try:
        if name == "mode":
            return options.mode_named(value)
        if name == "scale":
            return music.parse_scale(value)
        if name == "instrument":
            own = who is not None and "=" not in value
            text = f"{who}={value}" if own else value
            return music.parse_instruments(text, settings.instrument)
    except ValueError as error:
        raise RefusedError(f"unknown {name}", f"{value!r:.80}") from error
    return value


def _in_range(name: str, value: float, now: float) -> float:
    """Return a number as it was meant: 32 bits are short of 0.02 by a hair."""
    whole = value if options.in_range(name, value) else float(f"{value:.6g}")
    if not options.in_range(name, whole):
        raise RefusedError("out of range", f"{name} {value:g}")
    ours = native.control(name, now) == native.control(name, whole)  # back in 32 bits
    return now if ours else whole
