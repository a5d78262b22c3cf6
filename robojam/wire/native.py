"""The native dialect: OSC messages to what they ask for, and touches to messages.

One table says what may come in; `parse` reads a message by it and never raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from robojam.controls import CONTROLS, ControlSpec, Kind
from robojam.music import PitchRange
from robojam.touch import Phase, Touch, is_player
from robojam.wire.osc import Message, encode

#: Finger ids and ports are whole numbers of 32 bits.
_INT = range(-(2**31), 2**31)
_PORT = range(1, 2**16)
#: A player's own clock counts no longer pauses than this, in seconds; more would not
#: fit the 32 bits in which a dt goes out.
_LONGEST = 1e9
#: How long before its time a touch to be previewed may come, in seconds.
_AHEAD = 1.0


@dataclass(frozen=True, slots=True)
class Finger:
    """A finger of a player with phases; clipped tells that x or y was out of range."""

    phase: Phase
    id: int
    x: float = 0.0
    y: float = 0.0
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class PitchedFinger:
    """A finger of a MIDI player that lands or slides: it has a pitch instead of x.

    pitch is a MIDI note, with a fraction where it is bent. The engine places it by its
    player's range of pitch; pitch_range is that of the port, where it has one of its own.
    """

    phase: Phase
    id: int
    pitch: float
    y: float
    pitch_range: PitchRange | None = None


@dataclass(frozen=True, slots=True)
class PhaselessTouch:
    """A touch of a player without phases. dt in seconds where it has its own clock."""

    x: float
    y: float
    dt: float | None = None
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class PreviewTouch:
    """A touch to be heard and not played, wait seconds from now.

    Without a phase, it tells whether the audition goes on.
    """

    phase: Phase | None = None
    who: str = ""
    id: int = 0
    x: float = 0.0
    y: float = 0.0
    wait: float = 0.0
    on: bool = True


@dataclass(frozen=True, slots=True)
class Control:
    """Something asked of the engine, by its name in the session file."""

    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The sender's host wants to be a monitor at a port, or no longer."""

    port: int
    on: bool


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """The sender wants to know how the engine does."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that is not for the engine, and why; about tells a person more of it."""

    reason: str
    about: str = field(default="", compare=False)


Input = (
    Finger
    | PitchedFinger
    | PhaselessTouch
    | PreviewTouch
    | Control
    | Subscribe
    | StatusRequest
    | Dropped
)


class BadError(Exception):
    """A message that is dropped, for the reason given."""


def number(value: Any) -> float:
    """Read a number. Raises BadError where it is not finite."""
    if not math.isfinite(value):
        raise BadError("not finite")
    return float(value)


def whole(value: Any, allowed: range) -> int:
    """Read a whole number, in whichever type. Raises BadError."""
    meant = number(value) if isinstance(value, float) else value
    if meant != int(meant):
        raise BadError("wrong arguments")
    if int(meant) not in allowed:
        raise BadError("out of range")
    return int(meant)


def place(x: Any, y: Any) -> tuple[float, float, bool]:
    """Read x and y, and whether they had to be clipped to the screen. Raises BadError."""
    a, b = number(x), number(y)
    inside = 0 <= a <= 1 and 0 <= b <= 1
    return min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0), not inside


def _finger(phase: Phase) -> Callable[..., Input]:
    def read(finger: Any, x: Any, y: Any) -> Input:
        return Finger(phase, whole(finger, _INT), *place(x, y))

    return read


def _up(finger: Any) -> Input:
    return Finger(Phase.UP, whole(finger, _INT))


def _plain(x: Any, y: Any, dt: Any = None) -> Input:
    a, b, clipped = place(x, y)
    if dt is None:
        return PhaselessTouch(a, b, None, clipped)
    seconds = number(dt)
    if not 0 <= seconds <= _LONGEST:
        raise BadError("out of range")
    return PhaselessTouch(a, b, seconds, clipped)


def _audition(phase: Phase) -> Callable[..., Input]:
    def read(who: str, finger: Any, *rest: Any) -> Input:
        wait = number(rest[-1])
        if not is_player(who) or not 0 <= wait <= _AHEAD:
            raise BadError("out of range")
        at = (0.0, 0.0) if phase is Phase.UP else place(*rest[:2])[:2]
        return PreviewTouch(phase, who, whole(finger, _INT), *at, wait)

    return read


def _auditions(value: Any) -> Input:
    return PreviewTouch(on=bool(whole(value, range(2))))


def _control(control: ControlSpec) -> dict[str, Callable[..., Input]]:
    """Return the forms in which a control comes in. Its range is checked where it acts."""
    name = control.name
    if control.kind is Kind.TRIGGER:
        return {"": lambda: Control(name, 1)}
    if control.kind is Kind.TEXT:
        return {"s": lambda text: Control(name, text)}
    if control.kind is Kind.NUMBER:
        return {"n": lambda value: Control(name, number(value))}
    allowed = range(int(control.low), int(control.high) + 1)
    return {"n": lambda value: Control(name, whole(value, allowed))}


def _monitor(*, on: bool) -> Callable[[Any], Input]:
    return lambda port: Subscribe(whole(port, _PORT), on)


#: A dialect's table: address, then the kinds of its arguments, then what reads them.
Table = Mapping[str, Mapping[str, Callable[..., Input]]]

#: What may come in: address, and for each count of arguments their kinds ("n" a
#: number of any type, "s" a text) and what makes an input of them.
INPUTS: Final[dict[str, dict[str, Callable[..., Input]]]] = {
    "/robojam/down": {"nnn": _finger(Phase.DOWN)},
    "/robojam/move": {"nnn": _finger(Phase.MOVE)},
    "/robojam/up": {"n": _up},
    "/touch": {"nn": _plain, "nnn": _plain},
    **{f"/robojam/{name}": _control(control) for name, control in CONTROLS.items()},
    "/robojam/subscribe": {"n": _monitor(on=True)},
    "/robojam/unsubscribe": {"n": _monitor(on=False)},
    "/robojam/audition": {"n": _auditions},
    "/robojam/audition/down": {"snnnn": _audition(Phase.DOWN)},
    "/robojam/audition/move": {"snnnn": _audition(Phase.MOVE)},
    "/robojam/audition/up": {"snn": _audition(Phase.UP)},
    "/robojam/status": {"": StatusRequest, "s": lambda _: Dropped("echo")},
}
#: What only an engine sends: coming in, it is its own, back through a loop.
_OWN: Final = ("/robojam/ai", "/robojam/human", "/robojam/turn", "/robojam/forecast")

_KIND: Final = dict.fromkeys("ihfd", "n") | {"s": "s"}


def read(message: Message, table: Table) -> Input:
    """Read a message by a table of what may come in."""
    forms = table.get(message.address)
    if forms is None:
        return Dropped("echo" if message.address.startswith(_OWN) else "unknown address")
    make = forms.get("".join(_KIND.get(tag, "?") for tag in message.tags))
    if make is None:
        return Dropped("wrong arguments")
    try:
        return make(*message.args)
    except BadError as bad:
        return Dropped(str(bad))


def touch(sounded: Touch, dt: float) -> bytes:
    """Write a touch as it goes out; dt in seconds as scheduled."""
    address = f"/robojam/{sounded.who}/{sounded.phase}"
    if sounded.phase is Phase.UP:
        return encode(address, "i", sounded.id)
    return encode(address, "ifff", sounded.id, sounded.x, sounded.y, dt)


def pending(who: str, finger: int, x: float, y: float, wait: float) -> bytes:
    """Write the touch that is pending, due in wait seconds."""
    return encode(f"/robojam/{who}/next", "ifff", finger, x, y, wait)


def turn(whose: str) -> bytes:
    """Write whose turn it is, human or ai."""
    return encode("/robojam/turn", "s", whose)


def control(name: str, value: float | int | str) -> bytes:
    """Write a control as it took effect."""
    tags = CONTROLS[name].kind.tag
    return encode(f"/robojam/{name}", tags, *([value] if tags else []))


def forecast(groups: Sequence[Sequence[float]]) -> bytes:
    """Write what is expected next: groups of weight, means, deviations, correlation."""
    flat = [value for group in groups for value in group]
    return encode("/robojam/forecast", "f" * len(flat), *flat)
