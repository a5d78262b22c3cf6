"""Session file format: one recorded jam as JSON Lines, written and read exactly. Pure.

The first line is the header. Each further line is one event, in the order of handling: a
touch, a change of controls, or the end. All times are in seconds since the start of the
recording. `robojam.sessions.recorder` writes the file while the jam is played.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from robojam.touch import Phase, Touch, is_machine, is_player

#: Version of the format, the first field of every file.
VERSION = 1
#: Part of the error message for a file of a later version.
NEWER = "was made by a newer robojam"
FOREIGN = "is not a robojam session"

_SECONDS = "a number of seconds, 0 or more"
#: Allowed values of each field, as error messages state them.
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
    "pressure": "a number from 0 to 1",
    "set": "control names with their values",
    "end": "text",
}
#: The field and the missing field in the messages of msgspec.
_FIELD = re.compile(r"at `\$\.(\w+)")
_MISSING = re.compile(r"missing required field `(\w+)`")
#: Reason of an end that closes the recording while its jam goes on: no finger is lifted.
CLOSED = "record 0"


class SessionError(ValueError):
    """Error in a session file: its path, the line (from 1; None: the file) and the reason."""

    def __init__(self, path: Path | None, line: int | None, why: str) -> None:
        file = str(path) if path is not None else "session"
        super().__init__(f"{file}{'' if line is None else f', line {line}'}: {why}")
        self.path = path
        self.line = line
        self.why = why


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


class SetEvent(msgspec.Struct, frozen=True):
    """Controls that took effect, by name."""

    t: float
    values: dict[str, Any] = msgspec.field(name="set")


class EndEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of the recording and its reason."""

    t: float
    reason: str = msgspec.field(name="end")
    late_ms: dict[str, float] | None = None  # percentiles of the lateness of sent touches


SessionEvent = TouchEvent | SetEvent | EndEvent


class _TouchLine(msgspec.Struct, gc=False, omit_defaults=True):
    """A touch as it is written; the order of the fields is the order in the file.

    pressure is written only where it was measured.
    """

    t: float
    who: str
    phase: Phase
    id: int
    x: float
    y: float
    dt: float
    pressure: float | None = None


_Line = _TouchLine | SetEvent | EndEvent

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
    if isinstance(event, TouchEvent):
        touch = event.touch
        x, y, dt = float(touch.x), float(touch.y), float(touch.dt)
        pressure = None if touch.pressure is None else float(touch.pressure)
        check_touch(x, y, dt, touch.who, pressure)
        finger = int(touch.id)  # a numpy integer is no int to msgspec
        phase = Phase(touch.phase)
        return _encode(_TouchLine(t, touch.who, phase, finger, x, y, dt, pressure))
    check_finite(event.values if isinstance(event, SetEvent) else event.late_ms)
    return _encode(msgspec.structs.replace(event, t=t))


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value) + b"\n"
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"cannot be recorded: {error}") from error


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of a recording for a list of them."""

    started: datetime
    seconds: float
    touches: dict[str, int]  # downs and moves by player, in order of their first touch
    modes: tuple[str, ...]  # those in force, in order
    model: str
    ended: str | None  # the reason of the end; None when the engine was killed


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
        events = (
            event
            for event in self.events
            if not isinstance(event, TouchEvent) or is_selected(event.touch.who, selection)
        )
        return replace(self, events=tuple(events))

    def summary(self) -> Summary:
        """Return the summary of this jam."""
        return _summary(self.header, self.events)


def _summary(header: Header, events: Iterable[SessionEvent | _Line]) -> Summary:
    players: list[str] = []
    modes = [header.options.get("mode")]
    event: SessionEvent | _Line | None = None
    for event in events:
        touch = event.touch if isinstance(event, TouchEvent) else event
        if isinstance(touch, SetEvent):
            modes.append(touch.values.get("mode"))
        elif not isinstance(touch, EndEvent) and touch.phase is not Phase.UP:
            players.append(touch.who)
    return Summary(
        started=parse_time(header.started),
        seconds=0.0 if event is None else event.t,
        touches=dict(Counter(players)),
        modes=tuple(dict.fromkeys(mode for mode in modes if isinstance(mode, str))),
        model=header.model.file,
        ended=event.reason if isinstance(event, EndEvent) else None,
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
    return Session(header, tuple(map(_event, _lines(lines, path))), path, warnings)


def summarise(path: Path) -> Summary:
    """Read a session's summary, without an object for every touch. Raises SessionError."""
    header, lines, _ = _split(_bytes(path), path)
    return _summary(header, _lines(lines, path))


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end
            raise SessionError(path, None, "is no regular file")
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
        ended = isinstance(line, EndEvent)
        yield line


def _line(data: bytes) -> _Line:
    """Decode and check one line. Raises ValueError where it is no event."""
    line: _Line
    try:
        line = _TOUCHES.decode(data)
    except msgspec.ValidationError:
        value = msgspec.json.decode(data)
        if isinstance(value, dict) and "set" in value:
            line = msgspec.convert(value, SetEvent)
        elif isinstance(value, dict) and "end" in value:
            line = msgspec.convert(value, EndEvent)
        else:
            raise
    else:
        check_touch(line.x, line.y, line.dt, line.who, line.pressure)
    check_seconds("t", line.t)
    return line


def _event(line: _Line) -> SessionEvent:
    if not isinstance(line, _TouchLine):
        return line
    touch = Touch(line.x, line.y, line.dt, line.phase, line.id, line.who, line.pressure)
    return TouchEvent(line.t, touch)


def _header(line: bytes, path: Path | None) -> Header:
    try:
        value = msgspec.json.decode(line)
        if not isinstance(value, dict) or "robojam" not in value:
            raise ValueError(f'{FOREIGN}: its first line has no "robojam"')
        version = value["robojam"]
        if type(version) is int and version > VERSION:
            raise ValueError(f"{NEWER} (format {version}): update robojam")
        if type(version) is not int or version != VERSION:
            raise ValueError(not_allowed("robojam", version))
        header = _HEADERS.decode(line)
        parse_time(header.started)
    except (ValueError, RecursionError) as error:
        why = describe_error(error, line)
        if not is_json(line):
            why = f"{FOREIGN}: it {why}"
        raise SessionError(path, 1, why) from error
    return header


# -- rules for the fields, and errors that say which was broken -------------------------------


def check_touch(x: float, y: float, dt: float, who: str, pressure: float | None) -> None:
    """Raise ValueError for a touch that a session may not hold."""
    if not 0.0 <= x <= 1.0:  # false for NaN too
        raise ValueError(not_allowed("x", x))
    if not 0.0 <= y <= 1.0:
        raise ValueError(not_allowed("y", y))
    check_seconds("dt", dt)
    if not is_player(who):
        raise ValueError(not_allowed("who", who))
    if pressure is not None and not 0.0 <= pressure <= 1.0:
        raise ValueError(not_allowed("pressure", pressure))


def check_seconds(field: str, value: float) -> float:
    """Return value, a time in seconds. Raises ValueError unless it is finite and 0 or more."""
    if not 0.0 <= value < math.inf:
        raise ValueError(not_allowed(field, value))
    return value


def check_finite(value: object) -> None:
    """Raise ValueError where value holds NaN or an infinity, which JSON would make null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be recorded: only finite numbers can")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            check_finite(item)


def is_json(line: bytes) -> bool:
    """Return whether a line is JSON of any kind."""
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def not_allowed(field: str, value: object) -> str:
    """Return the error message for a value that a field may not hold."""
    return f"{field} is {value!r:.60}, and must be {_ALLOWED[field]}"


def describe_error(error: Exception, line: bytes) -> str:
    """Return what is wrong with a line, in words for a musician, given the error it raised."""
    if isinstance(error, RecursionError):
        return "is nested too deep"
    if isinstance(error, msgspec.ValidationError):
        value = msgspec.json.decode(line) if is_json(line) else str(error)
        if not isinstance(value, dict):
            return f"is not an event of a robojam session ({value!r:.60})"
        if not value.keys() & {"robojam", "who", "set", "end"}:
            return "is neither a touch, nor a control (set), nor an end"
        field = _FIELD.search(str(error))
        if field and field[1] in value:
            return not_allowed(field[1], value[field[1]])
        missing = _MISSING.search(str(error))
        return f"is without {missing[1]}" if missing else str(error)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"is not JSON ({error})"
    return str(error)


def parse_time(text: str) -> datetime:
    """Return the instant of an ISO-8601 text, in UTC without a zone. Raises ValueError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(not_allowed("started", text)) from error
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
