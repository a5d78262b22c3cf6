"""Requests and answers of the HTTP API: their types, and errors that name field and place.

The only place that says what they hold: robojam.web.openapi describes them for programs, and
docs/api.md for people.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from robojam.controls import CONTROLS
from robojam.system.shell import printable
from robojam.touch import MAX_DT, Phase
from robojam.web import limits

_Request = TypeVar("_Request")

#: Characters of an error.
_LONGEST: Final = 300
#: Greatest seed.
MAX_SEED: Final = 2**63 - 1
#: Seconds of an answer to a client of RoboJam's service.
PREDICTED: Final = 5.0

_COORDINATE: Final = Meta(
    ge=-1, le=2, description="in screens, clipped to 0..1; y goes down", examples=[0.5]
)
_FOLLOW, _MEMORY = CONTROLS["follow"], CONTROLS["memory"]


class Touch(msgspec.Struct, forbid_unknown_fields=True):
    """A touch of one finger. dt is the time since the last down or move, in seconds."""

    x: Annotated[float, _COORDINATE]
    y: Annotated[float, _COORDINATE]
    dt: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            examples=[0.017],
            description="seconds since the last down or move; the "
            f"first one's counts as 0, and more than {MAX_DT:g} as {MAX_DT:g}",
        ),
    ]
    phase: Annotated[
        Phase,
        Meta(
            description="down: the finger lands; move: it slides; up: it lifts, which no model "
            "hears, and no answer has: the finger lifts before it lands again, and at the end"
        ),
    ]


class ContinueRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A performance that is to be continued, or the wish for one from nothing."""

    touches: Annotated[
        list[Touch],
        Meta(
            max_length=limits.MAX_CALL,
            description="what was played, in the order of time; [] has the machine begin",
        ),
    ] = []
    seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=limits.MAX_SECONDS,
            description="length of each continuation, from the last touch",
        ),
    ] = 5.0
    count: Annotated[
        int, Meta(ge=1, le=limits.MAX_COUNT, description="how many continuations")
    ] = 1
    seed: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_SEED,
                description="where the random numbers start: the same request with the same "
                "seed gets the same answer. Drawn where it is left out",
            ),
        ]
        | None
    ) = None
    temperature: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=10,
                description="how freely strokes and rests are chosen; 0: the likeliest. "
                "As the server was started, or as the model recommends, where it is left out",
            ),
        ]
        | None
    ) = None
    spread: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=10,
                description="how far places and times scatter; 0: the mean. As for "
                "temperature where it is left out",
            ),
        ]
        | None
    ) = None
    follow: (
        Annotated[
            float,
            Meta(
                ge=_FOLLOW.low,
                le=_FOLLOW.high,
                description="how closely it follows the touches; below 0: how far it keeps "
                "from them. Other than 0 it is planned, which takes about ten times as "
                "long. As the server was started, or 0, where it is left out",
            ),
        ]
        | None
    ) = None
    memory: (
        Annotated[
            float,
            Meta(
                ge=_MEMORY.low,
                le=_MEMORY.high,
                description="how much motifs of the touches come back; as for follow",
            ),
        ]
        | None
    ) = None
    silence: Annotated[
        float,
        Meta(
            ge=0,
            le=MAX_DT,
            description="seconds since the last touch: the first one comes after them",
        ),
    ] = 0.0
    model: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                description="name of one of the server's models; left out: the first",
            ),
        ]
        | None
    ) = None


class Model(msgspec.Struct):
    """The model that has played: the name of its file and that file's hash."""

    name: str
    sha256: str


class Continuation(msgspec.Struct):
    """A continuation. The first dt counts from the last touch of the request."""

    touches: list[Touch]


class ContinueAnswer(msgspec.Struct, kw_only=True):
    """Continuations, and what they were made with."""

    continuations: list[Continuation]
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    temperature: float
    spread: float
    follow: float
    memory: float
    model: Model
    version: Annotated[str, Meta(description="of robojam")]


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A performance of MicroJam."""

    perf: Annotated[
        str,
        Meta(
            max_length=limits.MAX_CSV,
            description="lines of time,x,y,z,moving, after a line of these names; "
            "time in seconds since the start",
        ),
    ]


class PredictAnswer(msgspec.Struct):
    """The machine's answer to a performance of MicroJam."""

    response: Annotated[
        str, Meta(description="lines as in perf; time counts from the beginning of the answer")
    ]


class Fault(msgspec.Struct):
    """What is wrong with a request. It names the field where it can, as in `touches[3].x`."""

    error: str


class InvalidError(ValueError):
    """A request that is not as it should be; the text says where, and what is wrong.

    The text has one line, and a bound: parts of the request may be in it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(printable(f"{reason:.{_LONGEST}}"))


_NOT_FINITE: Final = re.compile(rb"(?<=[\[:,\s])-?(?:NaN|Infinity)(?=[\]},\s])")
_NAMES: Final = {
    "`float | null`": "a number",
    "`int | null`": "a whole number",
    "`str | null`": "text",
    "`float`": "a number",
    "`int`": "a whole number",
    "`str`": "text",
    "`array`": "a list",
    "`object`": "an object",
    "`bool`": "true or false",
    "`null`": "null",
}


def decode(body: bytes, kind: type[_Request]) -> _Request:
    """Return a request in JSON. Raises InvalidError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidError(_describe(str(error))) from error
    except msgspec.DecodeError as error:
        if _NOT_FINITE.search(body):
            place = _place_of_number(body, kind)
            raise InvalidError(f"{place}JSON has neither NaN nor Infinity") from error
        raise InvalidError(f"the body is no JSON: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidError("the body is no JSON: it is no UTF-8, or too deep") from error


def _place_of_number(body: bytes, kind: type[object]) -> str:
    """Return where a body has NaN or Infinity in the place of a number; "" if unknown."""
    try:
        msgspec.json.decode(_NOT_FINITE.sub(b"null", body), type=kind)
    except msgspec.ValidationError as error:
        place, colon, _ = _describe(str(error)).partition(": ")
        return f"{place}: " if colon else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return ""


def _describe(text: str) -> str:
    """Return what msgspec says is wrong, with the place first and in plain words."""
    reason, _, place = text.partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    for name, words in _NAMES.items():
        reason = reason.replace(name, words)
    if reason.startswith("Invalid enum value"):
        reason = f"expected {', '.join(Phase)}, got {reason.rpartition(' value ')[2]}"
    reason = re.sub(r"`([^`]*)`", r"\1", reason)
    reason = reason[:1].lower() + reason[1:]
    return f"{place}: {reason}" if place else reason


def check_size(request: ContinueRequest) -> None:
    """Check what a request asks for in all. Raises InvalidError."""
    if request.seconds * request.count > limits.MAX_ALL_SECONDS:
        raise InvalidError(
            f"count: {request.count} times {request.seconds:g} seconds are more than "
            f"{limits.MAX_ALL_SECONDS:g} s in all: ask for fewer, or for shorter ones"
        )


class Wanted(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One take that a model is to play, as what answers requests is asked for it.

    call is what it continues: rows of x, y, dt and moving, or MicroJam's CSV. As a row of
    robojam.player.batch_generator.Take otherwise.
    """

    model: str
    call: list[tuple[float, float, float, bool]] | str
    seconds: float
    seed: int
    number: int
    temperature: float
    spread: float
    follow: float
    memory: float
    silence: float


class ModelInfo(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """A model that a server has. plans: it can follow, and remember."""

    name: str
    sha256: str
    temperature: float
    spread: float
    plans: bool


def call_of(touches: list[Touch]) -> list[tuple[float, float, float, bool]]:
    """Return what a model hears of touches: rows of x, y, dt and moving, cleaned."""
    call: list[tuple[float, float, float, bool]] = []
    for touch in touches:
        if touch.phase is not Phase.UP:
            x, y = min(max(touch.x, 0.0), 1.0), min(max(touch.y, 0.0), 1.0)
            dt = min(touch.dt, MAX_DT) if call else 0.0
            call.append((x, y, dt, touch.phase is Phase.MOVE))
    return call


def encode_touches(rows: list[list[float]]) -> bytes:
    """Return JSON of what a model has played: rows of x, y, dt and moving."""
    touches: list[Any] = [
        Touch(round(x, 6), round(y, 6), round(dt, 6), Phase.MOVE if on else Phase.DOWN)
        for x, y, dt, on in rows
    ]
    return msgspec.json.encode(touches)
