"""The recorded form of a jam: JSON Lines, written as it happens, read back exactly.

A header line, then one event a line in the order of handling: touches, controls, and the
end. Nothing here starts a thread or asks what time it is; `robojam.recorder` writes the
file. All times are in seconds since the start of the recording.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from robojam.touch import Phase, Touch

#: The version of the format, the first thing in every file.
VERSION = 1
#: Why a recording ended that was closed while its jam goes on: nothing is lifted then.
CLOSED = "record 0"

_SECONDS = "a number of seconds, 0 or more"
#: What each field may hold, in the words of an error.
_ALLOWED = {
    "robojam": "the whole number 1",
    "started": "a date and time as in 2026-11-20T10:30:00+00:00",
    "model": "the model's file and sha256",
    "device": "text",
    "build": "text",
    "seed": "a whole number",
    "options": "option names with their values",
    "t": _SECONDS,
    "who": "human, human2, … or ai, ai2, …",
    "phase": "down, move or up",
    "id": "a whole number",
    "x": "a number from 0 to 1",
    "y": "a number from 0 to 1",
    "dt": _SECONDS,
    "set": "control names with their values",
    "end": "text",
}
_WHO = re.compile(r"(human|ai)([2-9]|[1-9][0-9]+)?")
_FIELD = re.compile(r"at `\$\.(\w+)")  # how msgspec names the place of an error
_MISSING = re.compile(r"missing required field `(\w+)`")


class SessionError(ValueError):
    """A session file that cannot be read: which file, which line (from 1), and why."""

    def __init__(self, path: Path | None, line: int | None, why: str) -> None:
        where = str(path) if path is not None else "session"
        super().__init__(f"{where}{'' if line is None else f', line {line}'}: {why}")
        self.path = path
        self.line = line
        self.why = why


class ModelRef(msgspec.Struct, frozen=True):
    """The model that played: its file's name and the SHA-256 of that file, in hex."""

    file: str
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of a jam. ``started`` is the ISO-8601 instant of t = 0."""

    started: str
    model: ModelRef
    device: str
    build: str
    seed: int
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TouchEvent:
    """A touch, at the instant it arrived (human) or was due (machine)."""

    t: float
    touch: Touch


@dataclass(frozen=True, slots=True)
class SetEvent:
    """Controls that took effect, by name."""

    t: float
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndEvent:
    """The end of the recording, and why it ended.

    late_ms tells how late the machine's touches were sent, by percentile, in milliseconds.
    """

    t: float
    reason: str
    late_ms: dict[str, float] | None = None


Event = TouchEvent | SetEvent | EndEvent


class _TouchLine(msgspec.Struct):
    """A touch as it is written; the order of the fields is the order in the file."""

    t: float
    who: str
    phase: Phase
    id: int
    x: float
    y: float
    dt: float


class _SetLine(msgspec.Struct):
    t: float
    set: dict[str, Any]


class _EndLine(msgspec.Struct):
    t: float
    end: str
    late_ms: dict[str, float] | None = None


_TOUCHES = msgspec.json.Decoder(_TouchLine)
_HEADERS = msgspec.json.Decoder(Header)


def encode_header(header: Header) -> bytes:
    """Return the first line of a session file, with its newline.

    Raises ValueError for what cannot be written: NaN, infinities, values JSON has no
    form for, and a ``started`` that is not ISO-8601.
    """
    instant(header.started)
    _check_finite(header.options)
    return _encode({"robojam": VERSION, **msgspec.structs.asdict(header)})


def encode(event: Event) -> bytes:
    """Return one event as a line with its newline; its floats come back exactly.

    Raises ValueError for an event that `read` would refuse (NaN, an infinity, a
    coordinate outside 0..1, a time before the start), or that JSON has no form for.
    """
    t = _seconds("t", float(event.t))
    match event:
        case TouchEvent(touch=touch):
            _check_touch(touch)
            x, y, dt = float(touch.x), float(touch.y), float(touch.dt)
            finger = int(touch.id)  # a numpy integer is no int to msgspec
            return _encode(_TouchLine(t, touch.who, Phase(touch.phase), finger, x, y, dt))
        case SetEvent(values=values):
            _check_finite(values)
            return _encode({"t": t, "set": values})
        case EndEvent(reason=reason, late_ms=late_ms):
            _check_finite(late_ms)
            late = {} if late_ms is None else {"late_ms": late_ms}
            return _encode({"t": t, "end": reason, **late})


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value) + b"\n"
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"cannot be recorded: {error}") from error


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of recordings tells of one of them.

    ``touches`` counts downs and moves by who, in order of their first touch; ``seconds``
    is the length; ``modes`` are those in force, in order; ``ended`` is None when the
    engine was killed.
    """

    started: datetime
    seconds: float
    touches: dict[str, int]
    modes: tuple[str, ...]
    model: str
    ended: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded jam: its header and its events, in the order they were handled."""

    header: Header
    events: tuple[Event, ...]
    path: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def started(self) -> datetime:
        """The instant of t = 0, with its time zone."""
        return instant(self.header.started)

    @property
    def duration(self) -> float:
        """Seconds from the start to the last event; 0 where there is none."""
        return self.events[-1].t if self.events else 0.0

    @property
    def ended(self) -> str | None:
        """Why the recording ended; None when it was cut off."""
        last = self.events[-1] if self.events else None
        return last.reason if isinstance(last, EndEvent) else None

    def touches(self, who: str | Collection[str] | None = None) -> Iterator[TouchEvent]:
        """Yield the touches in order, ups among them: of one, of several, or of all."""
        wanted = {who} if isinstance(who, str) else who
        for event in self.events:
            if isinstance(event, TouchEvent) and (wanted is None or event.touch.who in wanted):
                yield event

    def summary(self) -> Summary:
        """Return what there is to tell about this jam in a line."""
        played = Counter(e.touch.who for e in self.touches() if e.touch.phase != Phase.UP)
        modes = [self.header.options.get("mode")]
        modes += [e.values.get("mode") for e in self.events if isinstance(e, SetEvent)]
        return Summary(
            started=self.started,
            seconds=self.duration,
            touches=dict(played),
            modes=tuple(dict.fromkeys(m for m in modes if isinstance(m, str))),
            model=self.header.model.file,
            ended=self.ended,
        )


def read(path: Path) -> Session:
    """Read a session file.

    A last line without its newline that is not whole (the engine was killed in mid-write)
    is dropped and told in ``warnings``; a missing end is no error. Unknown keys are
    ignored. Raises SessionError for everything else that is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SessionError(path, None, f"cannot be read: {error.strerror or error}") from error
    return parse(data, path)


def parse(data: bytes, path: Path | None = None) -> Session:
    """Read a session from the bytes of its file, as `read` does; path is for errors."""
    if not data.strip():
        raise SessionError(path, None, "is empty: nothing was recorded in it")
    lines = data.split(b"\n")
    warnings: tuple[str, ...] = ()
    if lines[-1].strip() and not _is_json(lines[-1]):  # nothing, in a whole file
        if len(lines) == 1:
            raise SessionError(path, 1, "is torn or not a robojam session: not JSON")
        warnings = (str(SessionError(path, len(lines), "is torn, and left out")),)
        lines.pop()
    header = _header(lines[0], path)
    return Session(header, tuple(_events(lines, path)), path, warnings)


def _events(lines: list[bytes], path: Path | None) -> Iterator[Event]:
    """Yield the events of the lines after the header, in order."""
    last = 0.0
    ended = False
    for number, line in enumerate(lines[1:], start=2):
        try:
            event = _event(line)
            if event.t < last:
                raise ValueError(f"t is {event.t!r}, before the {last!r} of the line above")
            if ended:
                raise ValueError("comes after the end of the recording")
        except (ValueError, RecursionError) as error:
            if not line.strip():  # an editor's blank line says nothing, and harms nothing
                continue
            raise SessionError(path, number, _why(error, line)) from error
        last = event.t
        ended = isinstance(event, EndEvent)
        yield event


def _event(line: bytes) -> Event:
    """Return the event a line holds. Raises ValueError where it holds none."""
    try:
        read = _TOUCHES.decode(line)
    except msgspec.ValidationError:
        found = msgspec.json.decode(line)
        if isinstance(found, dict) and "set" in found:
            control = msgspec.convert(found, _SetLine)
            return SetEvent(_seconds("t", control.t), control.set)
        if isinstance(found, dict) and "end" in found:
            end = msgspec.convert(found, _EndLine)
            return EndEvent(_seconds("t", end.t), end.end, end.late_ms)
        raise
    touch = Touch(read.x, read.y, read.dt, read.phase, read.id, read.who)
    _check_touch(touch)
    return TouchEvent(_seconds("t", read.t), touch)


def _header(line: bytes, path: Path | None) -> Header:
    try:
        found = msgspec.json.decode(line)
        if not isinstance(found, dict) or "robojam" not in found:
            raise ValueError('is not a robojam session: its first line has no "robojam"')
        version = found["robojam"]
        if type(version) is int and version > VERSION:
            raise ValueError(f"was made by a newer robojam (format {version}): update robojam")
        if type(version) is not int or version != VERSION:
            raise ValueError(_wrong("robojam", version))
        header = _HEADERS.decode(line)
        instant(header.started)
    except (ValueError, RecursionError) as error:
        raise SessionError(path, 1, _why(error, line)) from error
    return header


def _check_touch(touch: Touch) -> None:
    if not 0.0 <= touch.x <= 1.0:  # false for NaN too
        raise ValueError(_wrong("x", touch.x))
    if not 0.0 <= touch.y <= 1.0:
        raise ValueError(_wrong("y", touch.y))
    _seconds("dt", touch.dt)
    if not _is_player(touch.who):
        raise ValueError(_wrong("who", touch.who))


def _seconds(field: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise ValueError(_wrong(field, value))
    return value


def _check_finite(value: object) -> None:
    """Raise ValueError where value holds NaN or an infinity, which JSON would make null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be recorded: only finite numbers can")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_finite(item)


@lru_cache(maxsize=1024)
def _is_player(who: str) -> bool:
    return _WHO.fullmatch(who) is not None


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _wrong(field: str, value: object) -> str:
    return f"{field} is {value!r:.60}, and must be {_ALLOWED[field]}"


def _why(error: Exception, line: bytes) -> str:
    """Return what is wrong with a line, in a musician's words."""
    if isinstance(error, RecursionError):
        return "is nested too deep"
    if isinstance(error, msgspec.ValidationError):
        found = msgspec.json.decode(line) if _is_json(line) else str(error)
        if not isinstance(found, dict):
            return f"is not an event of a robojam session ({found!r:.60})"
        if not found.keys() & {"robojam", "who", "set", "end"}:
            return "is neither a touch, nor a control (set), nor an end"
        place = _FIELD.search(str(error))
        if place and place[1] in found:
            return _wrong(place[1], found[place[1]])
        missing = _MISSING.search(str(error))
        return f"is without {missing[1]}" if missing else str(error)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"is not JSON ({error})"
    return str(error)


def instant(started: str) -> datetime:
    """Return the instant a header names. Raises ValueError for one that names none."""
    try:
        found = datetime.fromisoformat(started)
    except ValueError as error:
        raise ValueError(_wrong("started", started)) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
