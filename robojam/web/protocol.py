"""Protocol of a pad's socket: JSON messages to inputs of the engine. Pure.

docs/web.md describes the messages. What is malformed ends a connection (`MalformedError`); a
touch that is not allowed is dropped, with a reason, and the rest is played.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from robojam.touch import Phase
from robojam.web.limits import MAX_EVENTS, MAX_NAME, MAX_VALUE
from robojam.wire.native import ArgumentError, parse_integer, parse_place, parse_pressure

VERSION: Final = 1

#: Codes with which a socket is closed.
MALFORMED, NO_HELLO, NOT_ALLOWED, TOO_SLOW, TOO_MANY, FULL = 4400, 4401, 4403, 4408, 4429, 4503

_PHASES: Final = {"d": Phase.DOWN, "m": Phase.MOVE, "u": Phase.UP}
LETTERS: Final = {phase: letter for letter, phase in _PHASES.items()}
#: Beyond it a time of a pad is no time, in seconds.
_MAX_TIME: Final = 1e12
#: Beyond it a number sets no control: a seed has 63 bits.
_MAX_NUMBER: Final = 2.0**63


class MalformedError(ValueError):
    """A message that no page of ours sends: the connection is closed."""


@dataclass(frozen=True, slots=True)
class Hello:
    """First message: the name that a person has chosen, and whether it only watches.

    key is that of an earlier welcome, by which somebody is the same as before, or "".
    """

    name: str
    view: bool
    key: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """Touches of one instant, in seconds by the pad's clock; dropped holds reasons.

    A touch is the phase, the finger, x, y and the pressure, which may be None.
    """

    at: float
    touches: list[tuple[Phase, int, float, float, float | None]]
    dropped: list[str]


@dataclass(frozen=True, slots=True)
class Name:
    """Name that a person has chosen."""

    name: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Question that is answered by a pong with the same number."""

    number: float


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """Value of a control, not yet checked."""

    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class HostRequest:
    """Act of a host: mute, remove, lock, or a new token."""

    act: str
    who: str
    on: bool


Message = Hello | list[Frame] | Name | Ping | ControlRequest | HostRequest


def parse(text: str) -> Message:
    """Return what a message says. Raises MalformedError."""
    try:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = json.loads(text)  # which knows NaN
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON") from error
    match message:
        case ["t", at, list(events)]:
            return [_frame(at, events)]
        case ["ts", list(frames)]:
            if len(frames) > MAX_EVENTS:
                raise MalformedError(f"more than {MAX_EVENTS} frames")
            parsed = [_pair(frame) for frame in frames]
            if sum(len(frame.touches) + len(frame.dropped) for frame in parsed) > MAX_EVENTS:
                raise MalformedError(f"more than {MAX_EVENTS} touches")
            return parsed
        case ["ping", int() | float() as number] if math.isfinite(number):
            return Ping(number)
        case ["name", str(name)]:
            return Name(clean(name))
        case ["control", str(name), float() | int() | str() as value]:
            if isinstance(value, str) and len(value) > MAX_VALUE:
                raise MalformedError("a text that is too long")
            if not isinstance(value, str) and not -_MAX_NUMBER < value < _MAX_NUMBER:
                raise MalformedError("a number that is too large")
            value = int(value) if isinstance(value, bool) else value
            return ControlRequest(name[:MAX_NAME], value)
        case ["hello", version, *more]:
            if version != VERSION:
                raise MalformedError(f"version {version!r:.20} is not {VERSION}")
            return _hello(more[0] if more else {})
        case ["host", ("mute" | "remove") as act, str(who), *more]:
            return HostRequest(act, who[:MAX_NAME], more != [False])
        case ["host", ("lock" | "token") as act, *more]:
            return HostRequest(act, "", more != [False])
    raise MalformedError("an unknown message")


def _hello(about: Any) -> Hello:
    if not isinstance(about, dict) or not isinstance(name := about.get("name", ""), str):
        raise MalformedError("an unknown hello")
    key = about.get("key", "")
    return Hello(clean(name), about.get("view") is True, key if isinstance(key, str) else "")


def _pair(frame: Any) -> Frame:
    match frame:
        case [at, list(events)]:
            return _frame(at, events)
    raise MalformedError("an unknown frame")


def _frame(at: Any, events: list[Any]) -> Frame:
    """Return the touches of one instant; what is not allowed is dropped. Raises."""
    if len(events) > MAX_EVENTS:
        raise MalformedError(f"more than {MAX_EVENTS} touches")
    dropped: list[str] = []
    # A clock that says nothing leaves the touches as they arrive.
    told = isinstance(at, int | float) and abs(at) < _MAX_TIME
    touches: list[tuple[Phase, int, float, float, float | None]] = []
    for event in events:
        try:
            touches.append(_touch(event))
        except ArgumentError as error:
            dropped.append(str(error))
    return Frame(float(at) / 1000 if told else math.nan, touches, dropped)


def _touch(event: Any) -> tuple[Phase, int, float, float, float | None]:
    """Return a touch. Raises ArgumentError with the reason for which it is dropped."""
    if not isinstance(event, list) or not 2 <= len(event) <= 5:
        raise ArgumentError("wrong arguments")
    letter, finger, *place = event
    phase = _PHASES.get(letter) if isinstance(letter, str) else None
    if phase is None or isinstance(finger, bool):
        raise ArgumentError("wrong arguments")
    try:
        number = parse_integer(finger)
        if phase is Phase.UP:
            return phase, number, 0.0, 0.0, None
        if len(place) < 2:
            raise ArgumentError("wrong arguments")
        x, y, clipped, _ = parse_place(place[0], place[1])
        pressure = None
        if len(place) > 2 and place[2] is not None:
            pressure = parse_pressure(place[2])
    except OverflowError as error:  # a whole number that no float holds
        raise ArgumentError("out of range") from error
    if clipped and not (-1.0 <= float(place[0]) <= 2.0 and -1.0 <= float(place[1]) <= 2.0):
        raise ArgumentError("out of range")
    return phase, number, x, y, pressure


def clean(name: str) -> str:
    """Return a name without what is not printed, and of MAX_NAME characters at most."""
    return " ".join("".join(c if c.isprintable() else " " for c in name[:200]).split())[
        :MAX_NAME
    ]
