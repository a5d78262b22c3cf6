"""Session file format: one recorded jam as JSON Lines, written and read exactly. Pure.

The first line is the header. Each further line is one event, in the order of handling: a
touch, a change of controls, or the end. All times are in seconds since the start of the
recording. `robojam.sessions.recorder` writes the file while the jam is played.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from operator import le
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from robojam.controls import MAX_SEED, check_recorded
from robojam.touch import FINGER_IDS, MAX_KNOBS, Phase, Touch, is_machine, is_player

#: Version of the format, the first field of every file.
VERSION = 1
#: Version of a recording of knobs, which earlier readers refuse as a newer one.
KNOBS_VERSION: Final = 2
#: Part of the error message for a file of a later version.
NEWER = "was made by a newer robojam"
FOREIGN = "is not a robojam session"
#: Part of the error message for a header that is not the first line.
ANOTHER: Final = "another recording begins here, and a file holds one: cut the file in two"
#: Longest line of a file, in bytes: a longer one is damaged.
MAX_LINE: Final = 1 << 20
#: Longest time, in seconds, some 31 years: one beyond it is damaged.
MAX_SECONDS: Final = 1e9
#: Letters of a text of a header, at most.
MAX_TEXT: Final = 4096
#: Options whose values are paths: a recording holds the names at their ends.
_PATHS: Final = ("model", "sessions", "log")
#: First and last year in which a recording may begin: not every system knows others.
_YEARS: Final = (1970, 2999)
#: Damaged lines of one file that warnings name; further ones are counted.
MAX_WARNINGS: Final = 8
#: Separator in a path of any system; what `robojam.system.shell.printable` escapes is none.
_SEPARATOR: Final = re.compile(r"/|\\(?!x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
#: Beginning of an event: behind a torn line that another follows without a newline.
_BEGINNING = b'{"t":'

_SECONDS = f"a number of seconds from 0 to {MAX_SECONDS:,.0f}"
#: Allowed values of each field, as error messages state them.
_ALLOWED = {
    "robojam": "the whole number 1, or 2 for a jam of knobs",
    "started": "a date and time as in 2026-11-20T10:30:00+00:00",
    "model": "the model's file and sha256",
    "device": "text",
    "build": "text",
    "seed": f"a whole number from 0 to {MAX_SEED}",
    "options": "option names with their values",
    "continues": "the name of a file",
    "resumes": "the name of a file",
    "begins": "a whole number of lines",
    "rules": "a whole number from 1",
    "t": _SECONDS,
    "who": "human, human2, … or ai, ai2, …",
    "phase": "down, move or up",
    "id": f"a whole number from {FINGER_IDS[0]} to {FINGER_IDS[-1]}",
    "x": "a number from 0 to 1",
    "y": "a number from 0 to 1",
    "dt": _SECONDS,
    "pressure": "a number from 0 to 1",
    "knobs": f"1 to {MAX_KNOBS} numbers from 0 to 1",
    "set": "control names with their values",
    "end": "text",
    "late_ms": "percentiles by name, in milliseconds",
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


_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class ModelRef(msgspec.Struct, frozen=True):
    """A model: the name of its file and the SHA-256 of that file, in hex."""

    file: _Text
    sha256: _Text


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Circumstances of a jam. ``started`` is the ISO-8601 instant of t = 0.

    continues is the name of the file that holds the beginning, where the disk let the
    recorder write no further in that one. resumes is the name of the recording from which the
    jam went on, and which this one holds as far as it went, in its first lines; begins is their
    number, 0 where it is not known. rules is the version of the rules
    of the jam (robojam.jam.jam).
    """

    started: _Text
    model: ModelRef
    device: _Text
    build: _Text
    seed: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEED)]
    options: dict[str, Any]
    continues: str | None = None
    resumes: str | None = None
    begins: Annotated[int, msgspec.Meta(ge=0)] = 0
    rules: Annotated[int, msgspec.Meta(ge=1)] = 1


class TouchEvent(msgspec.Struct, frozen=True):
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

    pressure is written only where it was measured, knobs only where it is an event of knobs.
    """

    t: float
    who: str
    phase: Phase
    id: int
    x: float
    y: float
    dt: float
    pressure: float | None = None
    knobs: tuple[float, ...] = ()


_Line = _TouchLine | SetEvent | EndEvent

_TOUCHES = msgspec.json.Decoder(_TouchLine)
_HEADERS = msgspec.json.Decoder(Header)


def encode_header(header: Header) -> bytes:
    """Return the first line of a session file, with its newline.

    Of paths it has the names alone: a recording may be shared. Raises ValueError for values
    that cannot be written: NaN, infinities, values JSON has no form for, and a ``started``
    that is not ISO-8601.
    """
    header = _without_folders(header)
    parse_time(header.started)
    check_finite(header.options)
    fields = msgspec.structs.asdict(header)
    for name in ("continues", "resumes"):
        if fields[name] is None:
            del fields[name]
    if header.rules == 1:
        del fields["rules"]
    if not header.begins:
        del fields["begins"]
    version = KNOBS_VERSION if header.options.get("knobs") else VERSION
    return _encode({"robojam": version, **fields})


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
        knobs = tuple(map(float, touch.knobs))
        check_touch(x, y, dt, touch.who, pressure, knobs)
        finger = check_finger(int(touch.id))  # a numpy integer is no int to msgspec
        phase = Phase(touch.phase)
        return _encode(_TouchLine(t, touch.who, phase, finger, x, y, dt, pressure, knobs))
    check_finite(event.values if isinstance(event, SetEvent) else event.late_ms)
    return _encode(msgspec.structs.replace(event, t=t))


def _encode(value: object) -> bytes:
    try:
        line = msgspec.json.encode(value) + b"\n"
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"cannot be recorded: {error}") from error
    if len(line) > MAX_LINE:
        raise ValueError(f"cannot be recorded: {_too_long(line)}")
    return line


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of a recording for a list of them."""

    started: datetime
    seconds: float
    touches: dict[str, int]  # downs and moves by player, in order of their first touch
    modes: tuple[str, ...]  # those in force, in order
    model: str
    ended: str | None  # the reason of the end; None when the engine was killed
    damaged_lines: int = 0  # which are left out; without a torn last line


def is_selected(who: str, selection: Collection[str]) -> bool:
    """Return whether a selection names a player, or its kind: human or ai."""
    return who in selection or ("ai" if is_machine(who) else "human") in selection


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded jam: its header and its events, in the order they were handled.

    warnings name the lines that were left out. damaged are their numbers, without a last line
    that is torn: without events from its middle, a jam cannot be made again as it was.
    """

    header: Header
    events: tuple[SessionEvent, ...]
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    damaged: tuple[int, ...] = ()
    torn: bool = False

    @property
    def started(self) -> datetime:
        """The instant of t = 0, with its time zone."""
        return parse_time(self.header.started)

    @property
    def knobs(self) -> int:
        """Number of knobs of its rig; 0 where fingers played."""
        knobs = self.header.options.get("knobs", 0)
        return knobs if isinstance(knobs, int) and 0 < knobs <= MAX_KNOBS else 0

    @property
    def duration(self) -> float:
        """Seconds from the start to the last event; 0 where there is none."""
        return self.events[-1].t if self.events else 0.0

    @property
    def longest_pause(self) -> tuple[float, float]:
        """Seconds of the longest time in which nothing happens, and its beginning."""
        times = [0.0, *(event.t for event in self.events)]
        return max(((t - before, before) for before, t in pairwise(times)), default=(0.0, 0.0))

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
        return _summary(self.header, self.events, len(self.damaged))


def _summary(
    header: Header, events: Iterable[SessionEvent | _Line], damaged_lines: int
) -> Summary:
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
        damaged_lines=damaged_lines,
    )


def read(path: Path, *, strict: bool = False) -> Session:
    """Read a session file.

    A line that is damaged (a power cut, a full disk or an editor can do that) is left out and
    named in ``warnings``, and so is a last line that is torn because the engine was killed
    while it wrote. A missing end is no error. Unknown keys are ignored. Raises SessionError
    for a file that cannot be read, for a header that is wrong, and for a second header; with
    strict also for the first damaged line.
    """
    return parse(read_bytes(path), path, strict=strict)


def parse(data: bytes, path: Path | None = None, *, strict: bool = False) -> Session:
    """Read a session from the bytes of its file, as `read` does; path is for errors."""
    header, lines = _read(data, path, strict=strict)
    events, warnings = tuple(map(_event, lines.kept)), lines.warnings(path)
    torn = lines.torn is not None
    return Session(header, events, path, warnings, lines.damaged, torn)


def parse_event(line: bytes) -> TouchEvent | SetEvent:
    """Return a touch or a control of a line. Raises ValueError for one that is damaged."""
    event = _event(_line(line))
    if isinstance(event, EndEvent):
        raise ValueError("it is an end")
    return event


def summarise(path: Path, *, strict: bool = False) -> Summary:
    """Read a session's summary, as `read` does. Raises SessionError."""
    header, lines = _read(read_bytes(path), path, strict=strict)
    return _summary(header, lines.kept, len(lines.damaged))


def complete_lines(path: Path) -> frozenset[bytes]:
    """Return the lines of events in a file that are not torn. Raises SessionError."""
    lines = read_bytes(path).split(b"\n")[:-1]
    return frozenset(line for line in lines if line.startswith(_BEGINNING))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a session file. Raises SessionError."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end
            raise SessionError(path, None, "is no regular file")
        return path.read_bytes()
    except OSError as error:
        raise SessionError(path, None, f"cannot be read: {error.strerror or error}") from error


@dataclass(slots=True)
class _Lines:
    """Lines after a header: those that stand, with their numbers, and those left out."""

    kept: list[_Line] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    left_out: list[tuple[int, str]] = field(default_factory=list)  # line, and why
    torn: int | None = None  # the last line, if it is torn

    @property
    def damaged(self) -> tuple[int, ...]:
        """Numbers of the lines left out, without a torn last line."""
        return tuple(number for number, _ in self.left_out if number != self.torn)

    def warnings(self, path: Path | None) -> tuple[str, ...]:
        """Return a warning for each line that was left out, and for many one that counts."""
        texts = []
        for number, why in self.left_out:
            text = "is torn, and left out" if number == self.torn else f"{why}; it is left out"
            texts.append(str(SessionError(path, number, text)))
        if len(texts) > MAX_WARNINGS:
            more = f"{len(texts) - MAX_WARNINGS} more lines are damaged, and are left out"
            texts[MAX_WARNINGS:] = [str(SessionError(path, None, more))]
        return tuple(texts)


def _read(data: bytes, path: Path | None, *, strict: bool) -> tuple[Header, _Lines]:
    """Return the header of a file, and its lines. Raises SessionError."""
    if not data.strip():
        raise SessionError(path, None, "is empty: nothing was recorded in it")
    first, *rest = data.split(b"\n")
    if not rest and not is_json(first):
        raise SessionError(path, 1, "is torn or not a robojam session: not JSON")
    header = _header(first, path)
    lines = _decode(rest, path)
    _leave_out_unordered(lines)
    lines.left_out.sort()
    if strict:
        for number, why in lines.left_out:
            if number != lines.torn:
                raise SessionError(path, number, why)
    return header, lines


def _decode(rest: Sequence[bytes], path: Path | None) -> _Lines:
    """Decode the lines after the header, each by itself. Raises SessionError for a second one.

    What stands behind a torn line, without a newline between, is an event of its own.
    """
    lines = _Lines()
    for number, data in enumerate(rest, start=2):
        try:
            lines.kept.append(_line(data))
            lines.numbers.append(number)
        except (ValueError, RecursionError) as error:
            if not data.strip():  # an editor's blank line
                continue
            why = describe_error(error, data)
            if why == ANOTHER:
                raise SessionError(path, number, why) from error
            lines.left_out.append((number, why))
            # A complete file ends with a newline, so that what is behind the last one is b"".
            if number == len(rest) + 1 and not is_json(data):
                lines.torn = number
            begins = data.rfind(_BEGINNING)
            if begins > 0:
                with suppress(ValueError, RecursionError):
                    lines.kept.append(_line(data[begins:]))
                    lines.numbers.append(number)
    return lines


def _leave_out_unordered(lines: _Lines) -> None:
    """Leave out lines whose time goes back, as few as possible, and ends before the last line.

    A damaged time may be too late as well as too early: what goes back may be what follows.
    """
    ordered = _longest_ordered([line.t for line in lines.kept])
    standing = set(ordered)
    kept: list[_Line] = []
    for index, (number, line) in enumerate(zip(lines.numbers, lines.kept, strict=True)):
        if index not in standing:
            before = kept[-1].t if kept else 0.0
            early = f"before the {before!r} of the line above"
            beside = early if line.t < before else "after the times of the lines below"
            lines.left_out.append((number, f"t is {line.t!r}, {beside}"))
        elif isinstance(line, EndEvent) and index != ordered[-1]:
            lines.left_out.append((number, "is an end, and the recording goes on after it"))
        else:
            kept.append(line)
    lines.kept = kept


def _longest_ordered(times: Sequence[float]) -> Sequence[int]:
    """Return the places of the longest part of a sequence that never goes back (patience)."""
    if all(map(le, times, times[1:])):
        return range(len(times))
    tops: list[float] = []  # the lowest time that ends an ordered part of each length
    places: list[int] = []  # and its place
    before: list[int] = []
    for place, t in enumerate(times):
        length = bisect_right(tops, t)
        before.append(places[length - 1] if length else -1)
        tops[length : length + 1] = [t]
        places[length : length + 1] = [place]
    chosen = []
    place = places[-1]
    while place >= 0:
        chosen.append(place)
        place = before[place]
    return chosen[::-1]


def _line(data: bytes) -> _Line:
    """Decode and check one line. Raises ValueError where it is no event."""
    line: _Line
    if len(data) > MAX_LINE:
        raise ValueError(_too_long(data))
    try:
        line = _TOUCHES.decode(data)
    except msgspec.ValidationError:
        value = msgspec.json.decode(data)
        if isinstance(value, dict) and "set" in value:
            line = msgspec.convert(value, SetEvent)
            checked = {n: check_recorded(n, value) for n, value in line.values.items()}
            line = SetEvent(line.t, checked)
        elif isinstance(value, dict) and "end" in value:
            line = msgspec.convert(value, EndEvent)
        elif isinstance(value, dict) and "robojam" in value:
            raise ValueError(ANOTHER) from None
        else:
            raise
    else:
        check_touch(line.x, line.y, line.dt, line.who, line.pressure, line.knobs)
        check_finger(line.id)
    check_seconds("t", line.t)
    return line


def _event(line: _Line) -> SessionEvent:
    if not isinstance(line, _TouchLine):
        return line
    place, who = (line.x, line.y), line.who
    touch = Touch(*place, line.dt, line.phase, line.id, who, line.pressure, line.knobs)
    return TouchEvent(line.t, touch)


def _header(line: bytes, path: Path | None) -> Header:
    try:
        if len(line) > MAX_LINE:
            raise ValueError(_too_long(line))
        value = msgspec.json.decode(line)
        if not isinstance(value, dict) or "robojam" not in value:
            raise ValueError(f'{FOREIGN}: its first line has no "robojam"')
        version = value["robojam"]
        if type(version) is int and version > KNOBS_VERSION:
            raise ValueError(f"{NEWER} (format {version}): update robojam")
        if type(version) is not int or version < VERSION:
            raise ValueError(not_allowed("robojam", version))
        header = _without_folders(_HEADERS.decode(line))
        encode_header(header)  # what cannot be written again is refused now
    except (ValueError, RecursionError) as error:
        why = describe_error(error, line)
        if not is_json(line):
            why = f"{FOREIGN}: it {why}"
        raise SessionError(path, 1, why) from error
    return header


def _without_folders(header: Header) -> Header:
    """Return a header whose paths are names: it may be of any system, and of any time."""
    options, model, before = header.options, header.model, header.continues
    named = {n: file_name(options[n]) for n in _PATHS if isinstance(options.get(n), str)}
    return msgspec.structs.replace(
        header,
        model=msgspec.structs.replace(model, file=file_name(model.file)),
        options=options | named,
        continues=None if before is None else file_name(before),
    )


def file_name(path: str) -> str:
    """Return the name at the end of a path of any system, or a name as it is."""
    names = [name for name in _SEPARATOR.split(path) if name]
    return names[-1] if names else ""


# -- rules for the fields, and errors that say which was broken -------------------------------


def check_touch(
    x: float,
    y: float,
    dt: float,
    who: str,
    pressure: float | None,
    knobs: tuple[float, ...] = (),
) -> None:
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
    if knobs and not (len(knobs) <= MAX_KNOBS and all(0.0 <= v <= 1.0 for v in knobs)):
        raise ValueError(not_allowed("knobs", knobs))


def check_finger(finger: int) -> int:
    """Return a finger's id. Raises ValueError for one that OSC could not send."""
    if finger not in FINGER_IDS:
        raise ValueError(not_allowed("id", finger))
    return finger


def check_seconds(field: str, value: float) -> float:
    """Return value, a time in seconds. Raises ValueError unless it is 0 to `MAX_SECONDS`."""
    if not 0.0 <= value <= MAX_SECONDS:  # false for NaN too
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


def _too_long(line: bytes) -> str:
    return f"has {len(line):,} bytes, and may have {MAX_LINE:,}"


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
    if not _YEARS[0] <= time.year <= _YEARS[1]:
        raise ValueError(not_allowed("started", text))
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
