"""Session file format: one recorded jam as JSON Lines, written and read exactly. Pure.

The first line is the header. Each further line is one event, in the order of handling: a
touch, a change of controls, or the end. All times are in seconds since the start of the
recording. `robojam.sessions.recorder` writes the file while the jam is played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
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
    describe_error,
    is_json,
    not_allowed,
    parse_time,
)
from robojam.touch import Phase, Touch, is_machine

__all__ = [
    "CLOSED", "EndEvent", "Header", "ModelRef", "Session", "SessionError", "SessionEvent",
    "SetEvent", "Summary", "TouchEvent", "encode", "encode_header", "is_selected", "parse",
    "read", "summarise",
]  # fmt: skip

#: Reason of an end that closes the recording while its jam goes on: no finger is lifted.
CLOSED = "record 0"


class ModelRef(msgspec.Struct, frozen=True):
    """A model: the name of its file and the SHA-256 of that file, in hex."""

    file: str
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Circumstances of a jam. ``started`` is the ISO-8601 instant of t = 0."""

    started: str
    model: ModelRef
    device: str
    build: str
    seed: int
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TouchEvent:
    """A touch, at the instant it arrived (human) or was due (machine), in seconds."""

    t: float
    touch: Touch


@dataclass(frozen=True, slots=True)
class SetEvent:
    """Controls that took effect, by name."""

    t: float
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndEvent:
    """The end of the recording and its reason.

    late_ms holds percentiles of how late the machine's touches were sent, in milliseconds.
    """

    t: float
    reason: str
    late_ms: dict[str, float] | None = None


SessionEvent = TouchEvent | SetEvent | EndEvent


class _TouchLine(msgspec.Struct, gc=False):
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


_Line = _TouchLine | _SetLine | _EndLine

_TOUCHES = msgspec.json.Decoder(_TouchLine)
_HEADERS = msgspec.json.Decoder(Header)


def encode_header(header: Header) -> bytes:
    """Return the first line of a session file, with its newline.

    Raises ValueError for values that cannot be written: NaN, infinities, values JSON has
    no form for, and a ``started`` that is not ISO-8601.
    """
    parse_time(header.started)
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
            x, y, dt = float(touch.x), float(touch.y), float(touch.dt)
            check_touch(x, y, dt, touch.who)
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
    """Summary of a recording for a list of them.

    ``touches`` counts downs and moves by player, in order of their first touch;
    ``seconds`` is the length; ``modes`` are those in force, in order; ``ended`` is the
    reason of the end, None when the engine was killed.
    """

    started: datetime
    seconds: float
    touches: dict[str, int]
    modes: tuple[str, ...]
    model: str
    ended: str | None


def is_selected(who: str, selection: Collection[str]) -> bool:
    """Return whether a selection names a player, or its kind: human or ai."""
    return who in selection or ("ai" if is_machine(who) else "human") in selection


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
        return parse_time(self.header.started)

    @property
    def duration(self) -> float:
        """Seconds from the start to the last event; 0 where there is none."""
        return self.events[-1].t if self.events else 0.0

    @property
    def ended(self) -> str | None:
        """The reason of the end; None when the recording was cut off."""
        last = self.events[-1] if self.events else None
        return last.reason if isinstance(last, EndEvent) else None

    def touches(self, who: str | None = None) -> Iterator[TouchEvent]:
        """Yield the touches of one player, or of all, in order, ups among them."""
        for event in self.events:
            if isinstance(event, TouchEvent) and (who is None or event.touch.who == who):
                yield event

    def select(self, selection: Collection[str] | None) -> Session:
        """Return the session without the touches of other players (see `is_selected`)."""
        if selection is None:
            return self
        events = [
            event
            for event in self.events
            if not isinstance(event, TouchEvent) or is_selected(event.touch.who, selection)
        ]
        return replace(self, events=tuple(events))

    def summary(self) -> Summary:
        """Return the summary of this jam."""
        return _summary(
            self.header,
            (e.touch.who for e in self.touches() if e.touch.phase is not Phase.UP),
            [e.values for e in self.events if isinstance(e, SetEvent)],
            seconds=self.duration,
            ended=self.ended,
        )


def _summary(
    header: Header,
    players: Iterable[str],
    controls: list[dict[str, Any]],
    *,
    seconds: float,
    ended: str | None,
) -> Summary:
    """Make a summary from the player of each touch and the values of each change."""
    modes = [values.get("mode") for values in (header.options, *controls)]
    return Summary(
        started=parse_time(header.started),
        seconds=seconds,
        touches=dict(Counter(players)),
        modes=tuple(dict.fromkeys(mode for mode in modes if isinstance(mode, str))),
        model=header.model.file,
        ended=ended,
    )


def read(path: Path) -> Session:
    """Read a session file.

    A last line that is torn (the engine was killed while it wrote) is dropped and named
    in ``warnings``; a missing end is no error. Unknown keys are ignored. Raises
    SessionError for everything else that is wrong.
    """
    return parse(_bytes(path), path)


def parse(data: bytes, path: Path | None = None) -> Session:
    """Read a session from the bytes of its file, as `read` does; path is for errors."""
    header, lines, warnings = _split(data, path)
    events = tuple(map(_event, _lines(lines, path)))
    return Session(header, events, path, warnings)


def summarise(path: Path) -> Summary:
    """Read the summary of a session file: `read` without an object for every touch.

    Raises SessionError.
    """
    header, lines, _ = _split(_bytes(path), path)
    players: list[str] = []
    controls: list[dict[str, Any]] = []
    line: _Line | None = None
    for line in _lines(lines, path):
        if isinstance(line, _TouchLine):
            if line.phase is not Phase.UP:
                players.append(line.who)
        elif isinstance(line, _SetLine):
            controls.append(line.set)
    return _summary(
        header,
        players,
        controls,
        seconds=0.0 if line is None else line.t,
        ended=line.end if isinstance(line, _EndLine) else None,
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SessionError(path, None, f"cannot be read: {error.strerror or error}") from error


def _split(data: bytes, path: Path | None) -> tuple[Header, list[bytes], tuple[str, ...]]:
    """Return the header, the lines after it without a torn one, and the warnings."""
    if not data.strip():
        raise SessionError(path, None, "is empty: nothing was recorded in it")
    lines = data.split(b"\n")
    warnings: tuple[str, ...] = ()
    if lines[-1].strip() and not is_json(lines[-1]):  # empty, in a complete file
        if len(lines) == 1:
            raise SessionError(path, 1, "is torn or not a robojam session: not JSON")
        warnings = (str(SessionError(path, len(lines), "is torn, and left out")),)
        lines.pop()
    return _header(lines[0], path), lines[1:], warnings


def _lines(lines: list[bytes], path: Path | None) -> Iterator[_Line]:
    """Yield the decoded and checked lines after the header. Raises SessionError."""
    last = 0.0
    ended = False
    for number, data in enumerate(lines, start=2):
        try:
            line = _line(data)
            if line.t < last:
                raise ValueError(f"t is {line.t!r}, before the {last!r} of the line above")
            if ended:
                raise ValueError("comes after the end of the recording")
        except (ValueError, RecursionError) as error:
            if not data.strip():  # an editor's blank line
                continue
            raise SessionError(path, number, describe_error(error, data)) from error
        last = line.t
        ended = isinstance(line, _EndLine)
        yield line


def _line(data: bytes) -> _Line:
    """Decode and check one line. Raises ValueError where it is no event."""
    line: _Line
    try:
        line = _TOUCHES.decode(data)
    except msgspec.ValidationError:
        value = msgspec.json.decode(data)
        if isinstance(value, dict) and "set" in value:
            line = msgspec.convert(value, _SetLine)
        elif isinstance(value, dict) and "end" in value:
            line = msgspec.convert(value, _EndLine)
        else:
            raise
    else:
        check_touch(line.x, line.y, line.dt, line.who)
    check_seconds("t", line.t)
    return line


def _event(line: _Line) -> SessionEvent:
    match line:
        case _TouchLine():
            touch = Touch(line.x, line.y, line.dt, line.phase, line.id, line.who)
            return TouchEvent(line.t, touch)
        case _SetLine():
            return SetEvent(line.t, line.set)
        case _EndLine():
            return EndEvent(line.t, line.end, line.late_ms)


def _header(line: bytes, path: Path | None) -> Header:
    try:
        value = msgspec.json.decode(line)
        if not isinstance(value, dict) or "robojam" not in value:
            raise ValueError('is not a robojam session: its first line has no "robojam"')
        version = value["robojam"]
        if type(version) is int and version > VERSION:
            raise ValueError(f"{NEWER} (format {version}): update robojam")
        if type(version) is not int or version != VERSION:
            raise ValueError(not_allowed("robojam", version))
        header = _HEADERS.decode(line)
        parse_time(header.started)
    except (ValueError, RecursionError) as error:
        why = describe_error(error, line)
        raise SessionError(
            path, 1, why if is_json(line) else f"is not a robojam session: it {why}"
        ) from error
    return header
