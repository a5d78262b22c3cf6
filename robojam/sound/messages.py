"""Messages from the engine to the synthesiser, as bytes: one event a datagram. Pure."""

from __future__ import annotations

import msgspec

from robojam.controls import SETTINGS
from robojam.jam.events import BeatCame, ControlChanged, Event, TouchPlayed, TouchPreviewed
from robojam.touch import Phase, Touch

#: Controls that the synthesiser follows; others are not sent.
CONTROLS = frozenset(name for name, row in SETTINGS.items() if row.sound) | {"panic"}

_ENCODE = msgspec.msgpack.Encoder().encode
_TOUCH = tuple[float, str, Phase, int, float, float, float, float | None]
_CONTROL = tuple[float, str, float | str]
_BEAT = tuple[float, float, float, int]


def encode(event: Event, at: float) -> bytes | None:
    """Encode an event at an instant of the clock; None for events that the sound ignores."""
    if isinstance(event, TouchPlayed | TouchPreviewed):
        touch = event.touch
        place = touch.x, touch.y
        return _ENCODE((at, touch.who, touch.phase, touch.id, *place, event.dt, touch.pressure))
    if isinstance(event, ControlChanged) and event.name in CONTROLS:
        return _ENCODE((at, event.name, event.value))
    if isinstance(event, BeatCame):
        return _ENCODE((at, event.beat, event.tempo, event.beats_per_bar))
    return None


def decode(data: bytes) -> tuple[TouchPlayed | ControlChanged | BeatCame, float] | None:
    """Decode an event and its instant; None for bytes that are no message."""
    try:
        fields = msgspec.msgpack.decode(data)
        if len(fields) == 3:
            at, name, value = msgspec.convert(fields, _CONTROL)
            return ControlChanged(at, name, value), at
        if len(fields) == 4:
            at, beat, tempo, per_bar = msgspec.convert(fields, _BEAT)
            return BeatCame(at, beat, tempo, per_bar), at
        at, who, phase, finger, x, y, dt, pressure = msgspec.convert(fields, _TOUCH)
    except (ValueError, TypeError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return TouchPlayed(at, Touch(x, y, dt, phase, finger, who, pressure), dt), at
