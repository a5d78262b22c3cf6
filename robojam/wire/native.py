"""Native dialect of OSC: messages to inputs of the engine, and touches to messages.

One table, `INPUTS`, lists the messages that may come in; `read` reads a message by such a
table and never raises. What the type tags T, F, I and N mean, and text that is a number, is
said once, in `numeric`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from robojam.controls import CONTROLS, RECORDED, ControlSpec, Kind
from robojam.music import PitchRange
from robojam.touch import FINGER_IDS, MAX_KNOBS, Phase, Touch, is_player, place_of
from robojam.wire.osc import Dropped as Dropped
from robojam.wire.osc import Message, encode

_PORTS = range(1, 2**16)
#: Numbers of terms, and the secret of a twin.
_TERMS: Final = range(2**31)
_SECRET: Final = re.compile(r"[0-9a-f]{32}")
#: Longest dt of a player's own clock, in seconds; more would not fit the 32 bits in which a
#: dt is sent.
_MAX_OWN_DT = 1e9
#: Longest time by which a touch to be previewed may come early, in seconds.
_MAX_PREVIEW_WAIT = 1.0


class Finger(Struct, frozen=True):
    """Finger that lands, slides or lifts at x, y (0..1); clipped: these were out of range.

    pressure is 0..1 where it is measured, else None. own_dt is the time in seconds since its
    player's last touch, where the player has its own clock.
    """

    phase: Phase
    id: int
    x: float = 0.0
    y: float = 0.0
    clipped: bool = False
    pressure: float | None = None
    own_dt: float | None = None


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
    """Touch of a player without phases; dt in seconds where the player has its own clock.

    pressure is as of `Finger`. knobs are the values of all knobs of an instrument that has
    knobs; of one with two, they may have come as x and y.
    """

    x: float
    y: float
    dt: float | None = None
    clipped: bool = False
    id: int = 0
    pressure: float | None = None
    knobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class KnobMoves:
    """Movement of some knobs at once, by their numbers from 1, to values 0..1.

    The others stay where they are.
    """

    moves: tuple[tuple[int, float], ...]
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Alive:
    """Report of all fingers that the sender holds down: no touch, and it mends a lost lift.

    gone: the sender has left, and its place is the first that another gets.
    """

    ids: tuple[int, ...]
    gone: bool = False


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
    """Request to send the jam's events to a port of the sender's host, or to stop (not on).

    cookie is the one that this port got, or "" where it has none.
    """

    port: int
    on: bool
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Request to send the engine's status to the sender, with the cookie that it got, or ""."""

    cookie: str = ""


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """Request to send the jam's health to the sender, with the cookie that it got, or ""."""

    cookie: str = ""


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Request to send the mapped knobs to the sender, with the cookie that it got, or ""."""

    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Follow:
    """Request to connect to a twin at ports of the sender's host.

    port is that of the connection, beats of the beats by UDP, listens where it will listen to
    OSC; secret, in hex, is to be said.
    """

    port: int
    beats: int
    listens: int
    secret: str


@dataclass(frozen=True, slots=True)
class Yield:
    """Request to hand the jam over: to the twin, or to the engine that has led it since.

    term is how many engines have led the jam, with the sender, and secret the one by which it
    followed this one; 0 and "" where it is no engine.
    """

    term: int = 0
    secret: str = ""


@dataclass(frozen=True, slots=True)
class LearnPad:
    """Request to make the next TouchOSC pad that is touched a pad of the jam."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Request to send the sender what is chosen in the setup, and what could be."""


@dataclass(frozen=True, slots=True)
class SetupChange:
    """Value of an option that is changed while the jam goes on, as JSON; not yet checked."""

    name: str
    encoded: str


TouchInput = Finger | PitchedFinger | PhaselessTouch
Input = (
    TouchInput | KnobMoves | Alive | PreviewTouch | Control | LearnPad | Subscribe
    | StatusRequest | HealthRequest | MapRequest | SetupRequest | SetupChange | Follow
    | Yield | Dropped
)  # fmt: skip


#: Input that asks for nothing and is no fault, as that of a button that is released.
NOTHING: Final = Dropped("nothing")


class ArgumentError(Exception):
    """An argument is not allowed; the text is the reason for which its message is dropped."""


class Place(NamedTuple):
    """Place on the screen, 0..1; clipped: it was given beyond the edge.

    pressure is 0..1 where it is measured, else None.
    """

    x: float
    y: float
    clipped: bool
    pressure: float | None = None


def parse_number(value: object) -> float:
    """Return a number as a float. Raises ArgumentError where it is none or not finite."""
    if not isinstance(value, int | float):
        raise ArgumentError("wrong arguments")
    if not math.isfinite(value):
        raise ArgumentError("not finite")
    return float(value)


def parse_integer(value: object, allowed: range = FINGER_IDS) -> int:
    """Return a whole number, of whichever type it came in. Raises ArgumentError."""
    number = value if isinstance(value, int) else parse_number(value)
    if number != int(number):
        raise ArgumentError("wrong arguments")
    if int(number) not in allowed:
        raise ArgumentError("out of range")
    return int(number)


def parse_pressure(value: object) -> float:
    """Return a pressure, clipped to 0..1. Raises ArgumentError."""
    return min(max(parse_number(value), 0.0), 1.0)


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


def parse_knobs(*values: object) -> PhaselessTouch:
    """Return an event of all knobs, clipped to 0..1. Raises ArgumentError."""
    if not 0 < len(values) <= MAX_KNOBS:
        raise ArgumentError("wrong arguments")
    numbers = tuple(map(parse_number, values))
    knobs = tuple(min(max(number, 0.0), 1.0) for number in numbers)
    return PhaselessTouch(*place_of(knobs), clipped=knobs != numbers, knobs=knobs)


def parse_knob(number: object, value: object) -> KnobMoves:
    """Return the movement of a knob, clipped to 0..1. Raises ArgumentError."""
    knob, at = parse_integer(number, range(1, MAX_KNOBS + 1)), parse_number(value)
    return KnobMoves(((knob, min(max(at, 0.0), 1.0)),), not 0 <= at <= 1)


#: Function that makes an input of a message's arguments, or raises ArgumentError.
ArgumentParser = Callable[..., Input]


class Form(NamedTuple):
    """Arguments that an address takes: what they are, for a person, and their parser."""

    takes: str
    parse: ArgumentParser


#: Messages of a dialect that may come in: by address, then by the kinds of their arguments
#: ("n" a number of any type, "s" a text, "?" anything else, "n*" any number of numbers), the
#: form.
Table = Mapping[str, Mapping[str, Form]]


def _finger(phase: Phase) -> ArgumentParser:
    def parse(finger: float, x: float, y: float, pressure: float | None = None) -> Input:
        if (  # as nearly all are
            type(finger) is int
            and type(x) is type(y) is float
            and finger in FINGER_IDS
            and 0 <= x <= 1
            and 0 <= y <= 1
            and pressure is None
        ):
            return Finger(phase, finger, x, y)
        place = parse_place(x, y)
        if pressure is not None:
            place = place._replace(pressure=parse_pressure(pressure))
        return Finger(phase, parse_integer(finger), *place)

    return parse


def _finger_forms(phase: Phase) -> Mapping[str, Form]:
    parse = _finger(phase)
    return {"nnn": Form("id x y", parse), "nnnn": Form("id x y pressure", parse)}


def _preview(phase: Phase) -> ArgumentParser:
    def parse(who: str, finger: float, x: float, y: float, wait: float) -> Input:
        wait = parse_number(wait)
        if not is_player(who) or not 0 <= wait <= _MAX_PREVIEW_WAIT:
            raise ArgumentError("out of range")
        place = parse_place(x, y)
        return PreviewTouch(phase, who, parse_integer(finger), place.x, place.y, wait)

    return parse


def trigger(result: Input) -> Mapping[str, Form]:
    """Return the forms of a message that takes no argument, or a button's value.

    Any value but 0, F and false is a press.
    """

    def press(value: object = True) -> Input:  # noqa: FBT002
        number = numeric(value)
        return NOTHING if number is not None and not parse_number(number) else result

    takes = "nothing, or the value of a button: not 0 when it is pressed, 0 when released"
    return {"": Form(takes, lambda: result)} | dict.fromkeys("ns?", Form("", press))


def _subscription(*, on: bool) -> Mapping[str, Form]:
    """Return the forms of a request to subscribe (on), or to unsubscribe."""

    def parse(port: float, cookie: str = "") -> Input:
        return Subscribe(parse_integer(port, _PORTS), on, cookie)

    return {"n": Form("port", parse), "ns": Form("port cookie", parse)}


def _follow(port: float, beats: float, listens: float, secret: str) -> Input:
    if not _SECRET.fullmatch(secret):
        raise ArgumentError("wrong arguments")
    ports = [parse_integer(number, _PORTS) for number in (port, beats, listens)]
    return Follow(ports[0], ports[1], ports[2], secret)


def _status_request(text: str) -> Input:
    """Return a request for the status with a cookie, or a drop of an engine's answer."""
    return Dropped("echo") if text.startswith("{") else StatusRequest(text)


def _map_request(text: str) -> Input:
    """Return a request for the knobs with a cookie, or a drop of an engine's answer."""
    return Dropped("echo") if text.startswith("{") else MapRequest(text)


def _amount(knob: str, amount: float) -> Input:
    return Control("amount", f"{knob.strip(_QUOTES)}={parse_number(amount):.6f}")


#: What some programs send around a text.
_QUOTES: Final = "\"' \t\n"


def _control(control: ControlSpec) -> Mapping[str, Form]:
    """Return the forms in which a control comes in. Its range is checked where it acts."""
    name, takes = control.name, control.allowed or "a text"
    match control.kind:
        case Kind.TRIGGER:
            return trigger(Control(name, 1))
        case Kind.TEXT:
            return {"s": Form(takes, lambda text: Control(name, text.strip(_QUOTES)))}
        case Kind.NUMBER:
            return {"n": Form(takes, lambda value: Control(name, parse_number(value)))}
    allowed = range(int(control.low), int(control.high) + 1)
    return {"n": Form(takes, lambda value: Control(name, parse_integer(value, allowed)))}


#: Native messages that may come in.
INPUTS: Final[Table] = {
    "/robojam/down": _finger_forms(Phase.DOWN),
    "/robojam/move": _finger_forms(Phase.MOVE),
    "/robojam/up": {"n": Form("id", lambda i: Finger(Phase.UP, parse_integer(i)))},
    "/robojam/alive": {"n*": Form("ids", lambda *ids: Alive(tuple(map(parse_integer, ids))))},
    "/touch": {"nn": Form("x y", parse_phaseless), "nnn": Form("x y dt", parse_phaseless)},
    "/robojam/knobs": {"n*": Form("1 to 16 values, of all knobs", parse_knobs)},
    "/robojam/knob": {"nn": Form("number from 1, value", parse_knob)},
    **{f"/robojam/{name}": _control(control) for name, control in CONTROLS.items()},
    "/robojam/subscribe": _subscription(on=True),
    "/robojam/unsubscribe": _subscription(on=False),
    "/robojam/audition": {
        "n": Form("0 or 1", lambda on: PreviewTouch(on=bool(parse_integer(on, range(2)))))
    },
    "/robojam/audition/down": {"snnnn": Form("who id x y wait", _preview(Phase.DOWN))},
    "/robojam/audition/move": {"snnnn": Form("who id x y wait", _preview(Phase.MOVE))},
    "/robojam/audition/up": {
        "snn": Form("who id wait", lambda who, i, wait: _preview(Phase.UP)(who, i, 0, 0, wait))
    },
    "/robojam/status": {**trigger(StatusRequest()), "s": Form("a cookie", _status_request)},
    "/robojam/health": {
        **trigger(HealthRequest()),
        "s": Form("a cookie", HealthRequest),
        "ss": Form("", lambda *_: Dropped("echo")),
    },
    "/robojam/map/knobs": {**trigger(MapRequest()), "s": Form("a cookie", _map_request)},
    "/robojam/map/amount": {"sn": Form("knob, amount from 0 to 1", _amount)},
    "/robojam/twin": {"nnns": Form("port port port secret", _follow)},
    "/robojam/yield": {
        **trigger(Yield()),
        "ns": Form("term secret", lambda n, secret: Yield(parse_integer(n, _TERMS), secret)),
    },
    "/robojam/setup": {
        "": Form("nothing", SetupRequest),
        "ss": Form("name value", SetupChange),
        "s": Form("", lambda _: Dropped("echo")),
    },
}
#: Address of the cookie with which a request is to be sent again.
COOKIE: Final = "/robojam/cookie"
#: Addresses that only an engine sends: its own messages that come back through a loop.
ENGINE_ADDRESSES: Final = (
    "/robojam/ai", "/robojam/human", "/robojam/turn", "/robojam/forecast",
    "/robojam/motif", "/robojam/beat", "/robojam/count_in", COOKIE,
)  # fmt: skip
#: Kind of an argument in a table, by its type tag.
_KINDS: Final = dict.fromkeys("ihfd", "n") | {"s": "s"}
#: Text that is a number: no infinity, no NaN.
_NUMBER_TEXT = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
#: Words that are numbers.
_WORDS: Final = {"true": 1, "on": 1, "false": 0, "off": 0}
#: Longest text that is read as a number.
_MAX_NUMBER_TEXT = 40


def numeric(value: object) -> float | int | None:
    """Return the number that an argument stands for: T and I are 1, F is 0.

    Text may be a number ("0.5"), or one of true, on, false and off. None for an argument that
    stands for no number.
    """
    if isinstance(value, str):
        if (word := _WORDS.get(value[:_MAX_NUMBER_TEXT].lower())) is not None:
            return word
        if len(value) > _MAX_NUMBER_TEXT or not _NUMBER_TEXT.fullmatch(value):
            return None
        return int(value) if value.strip("+- 0123456789") == "" else float(value)
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float) else None


@lru_cache(maxsize=256)
def _kinds(tags: str) -> str:
    """Return the kinds of arguments, as a table has them, by their type tags."""
    return "".join([_KINDS.get(tag, "?") for tag in tags])


def coerce(message: Message, kinds: str) -> Sequence[object] | None:
    """Return the arguments of a message as these kinds; None where they cannot be."""
    if kinds == "n*":
        kinds = "n" * len(message.tags)
    if len(message.tags) != len(kinds):
        return None
    values: list[object] = []
    for tag, kind, arg in zip(message.tags, kinds, message.args, strict=True):
        if kind == "s":
            value = arg if tag == "s" else None
        else:
            value = 0 if tag == "N" else numeric(arg)
        if value is None:
            return None
        values.append(value)
    return values


def takes(address: str, table: Table) -> str:
    """Return what arguments an address of a table takes, for a person; "" for none known."""
    return " or ".join(form.takes for form in table.get(address, {}).values() if form.takes)


def read(message: Message, table: Table) -> Input:
    """Return the input that a message asks for, by a table of messages. Never raises."""
    forms = table.get(message.address)
    if forms is None:
        own = message.address.startswith(ENGINE_ADDRESSES)
        return Dropped("echo" if own else "unknown address")
    form = forms.get(_kinds(message.tags))
    try:
        if form is not None:
            return form.parse(*message.args)
        for kinds, other in forms.items():
            args = coerce(message, kinds)
            if args is not None:
                return other.parse(*args)
    except ArgumentError as error:
        return Dropped(str(error))
    return Dropped("wrong arguments")


def encode_touch(touch: Touch, dt: float) -> bytes:
    """Return the message of a touch; dt in seconds as scheduled.

    An event of knobs is their values after dt; one without phases has no lift.
    """
    if touch.knobs:
        return encode(
            f"/robojam/{touch.who}/knobs", "f" * (1 + len(touch.knobs)), dt, *touch.knobs
        )
    address = f"/robojam/{touch.who}/{touch.phase}"
    if touch.phase is Phase.UP:
        return encode(address, "i", touch.id)
    return encode(address, "ifff", touch.id, touch.x, touch.y, dt)


def encode_pressure(touch: Touch) -> bytes:
    """Return the message of the pressure of a touch, which comes before it."""
    return encode(f"/robojam/{touch.who}/pressure", "if", touch.id, touch.pressure)


def encode_pending(who: str, finger: int, x: float, y: float, wait: float) -> bytes:
    """Return the message of the touch that is pending, due in `wait` seconds."""
    return encode(f"/robojam/{who}/next", "ifff", finger, x, y, wait)


def encode_turn(whose: str) -> bytes:
    """Return the message that the turn is human or ai."""
    return encode("/robojam/turn", "s", whose)


def encode_count_in(beats: float) -> bytes:
    """Return the message that the machine's turn waits for a line, and the beats until then.

    0: it does not, or no more.
    """
    return encode("/robojam/count_in", "f", beats)


def encode_motif(who: str, whose: str, seconds_ago: float, path: Sequence[float]) -> bytes:
    """Return the message that a voice begins a stroke that somebody played before.

    whose is that player ("" if it is not known, as then the time is not), path where it was
    played: x and y in turn.
    """
    return encode("/robojam/motif", "ssf" + "f" * len(path), who, whose, seconds_ago, *path)


def encode_control(name: str, value: float | int | str) -> bytes:
    """Return the message that a control took effect."""
    tags = RECORDED[name].kind.tag
    return encode(f"/robojam/{name}", tags, *([value] if tags else []))


def encode_beat(beat: float, tempo: float, beats_per_bar: int) -> bytes:
    """Return the message of a beat of the clock; tempo in beats a minute."""
    return encode("/robojam/beat", "ffi", beat, tempo, beats_per_bar)


def encode_cookie(cookie: str) -> bytes:
    """Return the message of a cookie, with which a request is to be sent again."""
    return encode(COOKIE, "s", cookie)


def encode_health(state: str, text: str) -> bytes:
    """Return the message of a jam's health: ok, warn or bad, and its problems in one line."""
    return encode("/robojam/health", "ss", state, text)


def encode_setup(name: str, encoded: str) -> bytes:
    """Return the message that an option of the setup has a value, as JSON."""
    return encode("/robojam/setup", "ss", name, encoded)


def encode_forecast(groups: Sequence[Sequence[float]]) -> bytes:
    """Return the message of a forecast, from groups as of `Player.forecast`."""
    values = [value for group in groups for value in group]
    return encode("/robojam/forecast", "f" * len(values), *values)
