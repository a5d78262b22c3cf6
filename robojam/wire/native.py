"""Native dialect of OSC: messages to inputs of the engine, and touches to messages.

One table, `INPUTS`, lists the messages that may come in; `read` reads a message by such a
table and never raises.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from robojam.controls import CONTROLS, ControlSpec, Kind
from robojam.music import PitchRange
from robojam.touch import Phase, Touch, is_player
from robojam.wire.osc import Message, encode

#: Range of finger ids, which OSC sends in 32 bits, and of ports.
INT32: Final = range(-(2**31), 2**31)
_PORTS = range(1, 2**16)
#: Longest dt of a player's own clock, in seconds; more would not fit the 32 bits in which a
#: dt is sent.
_MAX_OWN_DT = 1e9
#: Longest time by which a touch to be previewed may come early, in seconds.
_MAX_PREVIEW_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class Finger:
    """Finger that lands, slides or lifts at x, y (0..1); clipped: these were out of range.

    pressure is 0..1 where it is measured, else None.
    """

    phase: Phase
    id: int
    x: float = 0.0
    y: float = 0.0
    clipped: bool = False
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class PitchedFinger:
    """Finger of a MIDI player that lands or slides: it has a pitch instead of x.

    pitch is a MIDI note, with a fraction where it is bent. The engine places it by its
    player's range of pitch; pitch_range is that of the port, where it has one of its own.
    pressure is as of `Finger`.
    """

    phase: Phase
    id: int
    pitch: float
    y: float
    pitch_range: PitchRange | None = None
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class PhaselessTouch:
    """Touch of a player without phases; dt in seconds where the player has its own clock."""

    x: float
    y: float
    dt: float | None = None
    clipped: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True)
class Alive:
    """Report of all fingers that the sender holds down: no touch, and it mends a lost lift."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PreviewTouch:
    """Touch that is to be heard without being played, due in `wait` seconds.

    With a phase of None it is no touch: `on` says whether the preview continues or ends.
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
    """Value of a control, or an action, by its name in robojam.controls; not yet checked."""

    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Request to send the jam's events to a port of the sender's host, or to stop (not on)."""

    port: int
    on: bool


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Request to send the engine's status to the sender."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Request to send the sender what is chosen in the setup, and what could be."""


@dataclass(frozen=True, slots=True)
class SetupChange:
    """Value of an option that is changed while the jam goes on, as JSON; not yet checked."""

    name: str
    encoded: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Message that has no effect: the reason that is counted, and details for the log."""

    reason: str
    about: str = field(default="", compare=False)


TouchInput = Finger | PitchedFinger | PhaselessTouch
Input = (
    TouchInput | Alive | PreviewTouch | Control | Subscribe | StatusRequest
    | SetupRequest | SetupChange | Dropped
)  # fmt: skip


class ArgumentError(Exception):
    """An argument is not allowed; the text is the reason for which its message is dropped."""


class Place(NamedTuple):
    """Place on the screen, 0..1; clipped: it was given beyond the edge."""

    x: float
    y: float
    clipped: bool


def parse_number(value: object) -> float:
    """Return a number as a float. Raises ArgumentError where it is none or not finite."""
    if not isinstance(value, int | float):
        raise ArgumentError("wrong arguments")
    if not math.isfinite(value):
        raise ArgumentError("not finite")
    return float(value)


def parse_integer(value: object, allowed: range = INT32) -> int:
    """Return a whole number, of whichever type it came in. Raises ArgumentError."""
    number = value if isinstance(value, int) else parse_number(value)
    if number != int(number):
        raise ArgumentError("wrong arguments")
    if int(number) not in allowed:
        raise ArgumentError("out of range")
    return int(number)


def parse_place(x: object, y: object) -> Place:
    """Return x and y, clipped to the screen. Raises ArgumentError."""
    x, y = parse_number(x), parse_number(y)
    inside = 0 <= x <= 1 and 0 <= y <= 1
    return Place(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0), not inside)


def parse_phaseless(x: object, y: object, dt: object = None) -> PhaselessTouch:
    """Return a touch of a player without phases. Raises ArgumentError."""
    place = parse_place(x, y)
    seconds = None if dt is None else parse_number(dt)
    if seconds is not None and not 0 <= seconds <= _MAX_OWN_DT:
        raise ArgumentError("out of range")
    return PhaselessTouch(place.x, place.y, seconds, place.clipped)


#: Function that makes an input of a message's arguments, or raises ArgumentError.
ArgumentParser = Callable[..., Input]
#: Messages of a dialect that may come in: by address, then by the kinds of their arguments
#: ("n" a number of any type, "s" a text, "n*" any number of numbers), the parser of the
#: arguments.
Table = Mapping[str, Mapping[str, ArgumentParser]]


def _finger(phase: Phase) -> ArgumentParser:
    def parse(finger: float, x: float, y: float) -> Input:
        return Finger(phase, parse_integer(finger), *parse_place(x, y))

    return parse


def _preview(phase: Phase) -> ArgumentParser:
    def parse(who: str, finger: float, x: float, y: float, wait: float) -> Input:
        wait = parse_number(wait)
        if not is_player(who) or not 0 <= wait <= _MAX_PREVIEW_WAIT:
            raise ArgumentError("out of range")
        place = parse_place(x, y)
        return PreviewTouch(phase, who, parse_integer(finger), place.x, place.y, wait)

    return parse


def _control(control: ControlSpec) -> Mapping[str, ArgumentParser]:
    """Return the forms in which a control comes in. Its range is checked where it acts."""
    name = control.name
    match control.kind:
        case Kind.TRIGGER:
            return {"": lambda: Control(name, 1)}
        case Kind.TEXT:
            return {"s": lambda text: Control(name, text)}
        case Kind.NUMBER:
            return {"n": lambda value: Control(name, parse_number(value))}
    allowed = range(int(control.low), int(control.high) + 1)
    return {"n": lambda value: Control(name, parse_integer(value, allowed))}


#: Native messages that may come in.
INPUTS: Final[Table] = {
    "/robojam/down": {"nnn": _finger(Phase.DOWN)},
    "/robojam/move": {"nnn": _finger(Phase.MOVE)},
    "/robojam/up": {"n": lambda finger: Finger(Phase.UP, parse_integer(finger))},
    "/robojam/alive": {"n*": lambda *ids: Alive(tuple(map(parse_integer, ids)))},
    "/touch": {"nn": parse_phaseless, "nnn": parse_phaseless},
    **{f"/robojam/{name}": _control(control) for name, control in CONTROLS.items()},
    "/robojam/subscribe": {"n": lambda port: Subscribe(parse_integer(port, _PORTS), True)},
    "/robojam/unsubscribe": {"n": lambda port: Subscribe(parse_integer(port, _PORTS), False)},
    "/robojam/audition": {"n": lambda on: PreviewTouch(on=bool(parse_integer(on, range(2))))},
    "/robojam/audition/down": {"snnnn": _preview(Phase.DOWN)},
    "/robojam/audition/move": {"snnnn": _preview(Phase.MOVE)},
    "/robojam/audition/up": {
        "snn": lambda who, i, wait: _preview(Phase.UP)(who, i, 0, 0, wait)
    },
    "/robojam/setup": {"": SetupRequest, "ss": SetupChange, "s": lambda _: Dropped("echo")},
    "/robojam/status": {"": StatusRequest, "s": lambda _: Dropped("echo")},
}
#: Addresses that only an engine sends: its own messages that come back through a loop.
_ENGINE_ADDRESSES: Final = (
    "/robojam/ai", "/robojam/human", "/robojam/turn", "/robojam/forecast",
)  # fmt: skip
#: Kind of an argument in a table, by its type tag.
_KINDS: Final = dict.fromkeys("ihfd", "n") | {"s": "s"}


def read(message: Message, table: Table) -> Input:
    """Return the input that a message asks for, by a table of messages. Never raises."""
    forms = table.get(message.address)
    if forms is None:
        own = message.address.startswith(_ENGINE_ADDRESSES)
        return Dropped("echo" if own else "unknown address")
    kinds = "".join(_KINDS.get(tag, "?") for tag in message.tags)
    parse = forms.get(kinds) or (None if kinds.strip("n") else forms.get("n*"))
    if parse is None:
        return Dropped("wrong arguments")
    try:
        return parse(*message.args)
    except ArgumentError as error:
        return Dropped(str(error))


def encode_touch(touch: Touch, dt: float) -> bytes:
    """Return the message of a touch; dt in seconds as scheduled."""
    address = f"/robojam/{touch.who}/{touch.phase}"
    if touch.phase is Phase.UP:
        return encode(address, "i", touch.id)
    return encode(address, "ifff", touch.id, touch.x, touch.y, dt)


def encode_pending(who: str, finger: int, x: float, y: float, wait: float) -> bytes:
    """Return the message of the touch that is pending, due in `wait` seconds."""
    return encode(f"/robojam/{who}/next", "ifff", finger, x, y, wait)


def encode_turn(whose: str) -> bytes:
    """Return the message that the turn is human or ai."""
    return encode("/robojam/turn", "s", whose)


def encode_control(name: str, value: float | int | str) -> bytes:
    """Return the message that a control took effect."""
    tags = CONTROLS[name].kind.value
    return encode(f"/robojam/{name}", tags, *([value] if tags else []))


def encode_setup(name: str, encoded: str) -> bytes:
    """Return the message that an option of the setup has a value, as JSON."""
    return encode("/robojam/setup", "ss", name, encoded)


def encode_forecast(groups: Sequence[Sequence[float]]) -> bytes:
    """Return the message of a forecast, from groups as of `Player.forecast`."""
    values = [value for group in groups for value in group]
    return encode("/robojam/forecast", "f" * len(values), *values)
