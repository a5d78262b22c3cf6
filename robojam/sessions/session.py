"""The recorded form of a jam: JSON Lines, written as it happens, read back exactly.

A header line, then one event a line in the order of handling: touches, controls, and the
end. Nothing here starts a thread or asks what time it is; `robojam.sessions.recorder` writes the
file. All times are in seconds since the start of the recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from robojam.sessions.validation import (
    NEWER,
    VERSION,
    SessionError,
    check_finite,
    check_seconds,
    check_touch,
    instant,
    is_json,
    why_not,
    wrong,
)
from robojam.touch import Phase, Touch

__all__ = [
    "CLOSED", "EndEvent", "Header", "ModelRef", "Session", "SessionError", "SessionEvent",
    "SetEvent", "Summary", "TouchEvent", "encode", "encode_header", "parse", "read",
]  # fmt: skip

#: Why a recording ended that was closed while its jam goes on: nothing is lifted then.
CLOSED = "record 0"


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


SessionEvent = TouchEvent | SetEvent | EndEvent


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
    check_finite(header.options)
    return _encode({"robojam": VERSION, **msgspec.structs.asdict(header)})


def encode(event: SessionEvent) -> bytes:
    """Return one event as a line with its newline; its floats come back exactly.

    Raises ValueError for an event that `read` would refuse (NaN, an infinity, a
    coordinate outside 0..1, a time before the start), or that JSON has no form for.
    """
    t = check_seconds("t", float(event.t))
    match event:
        case TouchEvent(touch=touch):
            check_touch(touch)
            x, y, dt = float(touch.x), float(touch.y), float(touch.dt)
            finger = int(touch.id)  # a numpy integer is no int to msgspec
            return _encode(_TouchLine(t, touch.who, Phase(touch.phase), finger, x, y, dt))
        case SetEvent(values=values):
            check_finite(values)
            return _encode({"t": t, "set": values})
        case EndEvent(reason=reason, late_ms=late_ms):
            check_finite(late_ms)
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
    events: tuple[SessionEvent, ...]
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
    if lines[-1].strip() and not is_json(lines[-1]):  # nothing, in a whole file
        if len(lines) == 1:
            raise SessionError(path, 1, "is torn or not a robojam session: not JSON")
        warnings = (str(SessionError(path, len(lines), "is torn, and left out")),)
        lines.pop()
    header = _header(lines[0], path)
    return Session(header, tuple(_events(lines, path)), path, warnings)


def _events(lines: list[bytes], path: Path | None) -> Iterator[SessionEvent]:
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
            raise SessionError(path, number, why_not(error, line)) from error
        last = event.t
        ended = isinstance(event, EndEvent)
        yield event


def _event(line: bytes) -> SessionEvent:
    """Return the event a line holds. Raises ValueError where it holds none."""
    try:
        read = _TOUCHES.decode(line)
    except msgspec.ValidationError:
        found = msgspec.json.decode(line)
        if isinstance(found, dict) and "set" in found:
            control = msgspec.convert(found, _SetLine)
            return SetEvent(check_seconds("t", control.t), control.set)
        if isinstance(found, dict) and "end" in found:
            end = msgspec.convert(found, _EndLine)
            return EndEvent(check_seconds("t", end.t), end.end, end.late_ms)
        raise
    touch = Touch(read.x, read.y, read.dt, read.phase, read.id, read.who)
    check_touch(touch)
    return TouchEvent(check_seconds("t", read.t), touch)


def _header(line: bytes, path: Path | None) -> Header:
    try:
        found = msgspec.json.decode(line)
        if not isinstance(found, dict) or "robojam" not in found:
            raise ValueError('is not a robojam session: its first line has no "robojam"')
        version = found["robojam"]
        if type(version) is int and version > VERSION:
            raise ValueError(f"{NEWER} (format {version}): update robojam")
        if type(version) is not int or version != VERSION:
            raise ValueError(wrong("robojam", version))
        header = _HEADERS.decode(line)
        instant(header.started)
    except (ValueError, RecursionError) as error:
        why = why_not(error, line)
        raise SessionError(
            path, 1, why if is_json(line) else f"is not a robojam session: it {why}"
        ) from error
    return header
