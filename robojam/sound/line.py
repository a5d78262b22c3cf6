"""What the engine tells the synthesiser, as bytes: one event a datagram."""

from __future__ import annotations

import msgspec

from robojam.jam.events import ControlChanged, Event, TouchPlayed, TouchPreviewed
from robojam.touch import Phase, Touch

#: Controls that the synthesiser knows; the others are not sent.
CONTROLS = frozenset(("instrument", "scale", "volume", "panic"))

_ENCODE = msgspec.msgpack.Encoder().encode
_TOUCH = tuple[float, str, Phase, int, float, float, float]
_CONTROL = tuple[float, str, float | str]


def encode(what: Event, at: float) -> bytes | None:
    """Write what happens at an instant of the clock; None for what makes no sound."""
    if isinstance(what, TouchPlayed | TouchPreviewed):
        touch = what.touch
        return _ENCODE((at, touch.who, touch.phase, touch.id, touch.x, touch.y, what.dt))
    if isinstance(what, ControlChanged) and what.name in CONTROLS:
        return _ENCODE((at, what.name, what.value))
    return None


def decode(data: bytes) -> tuple[TouchPlayed | ControlChanged, float] | None:
    """Read what happens, and when; None for what is no such thing."""
    try:
        fields = msgspec.msgpack.decode(data)
        if len(fields) == 3:
            at, name, value = msgspec.convert(fields, _CONTROL)
            return ControlChanged(at, name, value), at
        at, who, phase, finger, x, y, dt = msgspec.convert(fields, _TOUCH)
    except (ValueError, TypeError):  # msgspec's errors are ValueErrors
        return None
    return TouchPlayed(at, Touch(x, y, dt, phase, finger, who), dt), at
