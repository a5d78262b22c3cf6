"""Performances as text: tables (MicroJam's CSV, Metatone's touch logs) and IMPSY's logs.

A file is read in blocks of lines. numpy parses a block at once; only a block with a line that
is out of the ordinary is parsed line by line, and the dropped lines are reported.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import (
    LINES,
    PAUSES,
    Corpus,
    CorpusError,
    Integers,
    check_flags,
    knob_corpus,
    name_numbers,
    part_at_pauses,
    pressed,
    with_inferred_phases,
)
from robojam.corpus.units import (
    UNKNOWN,
    KnobScaling,
    Scaling,
    Units,
    choose_knob_scaling,
    choose_scaling,
)
from robojam.model.event import TOUCH, knob_columns
from robojam.touch import MAX_KNOBS
from robojam.wire.microjam import FINGERTIP, FULL

#: Advice for other programs' JSON.
TO_CSV: Final = "write its touches as a CSV whose first line is time,x,y,moving"

Array = NDArray[np.float64]

#: Size in bytes of the blocks in which a file is read, and of the start that shows its form.
_BLOCK = 1 << 24
_START = 1 << 16
#: A table has no lines longer than this, and no fields longer than _LONGEST_FIELD, in bytes.
_LONGEST_LINE, _LONGEST_FIELD = 1 << 14, 64
#: The names of the columns, and the first line of touches, are among this many lines.
_FIRST_LINES = 100
#: As few lines are parsed one by one where one of them is out of the ordinary.
_FEW_LINES = 256
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TIME: Final = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
_WRITE_POINTS: Final = "Write it with a point, or part the columns with semicolons"
_DATE: Final = "date and time such as 2026-11-28T20:47:05.5"
_SHORTEST_TIME: Final = len("2026-11-28T20:47")
#: The beginning of a line of an IMPSY log: time, source, and then numbers.
_LOG_LINE: Final = re.compile(rb"\s*" + _TIME + rb"[ \t]*,[ \t]*(interface|rnn)[ \t]*,")
_ISO_TIME: Final = re.compile(_TIME)
_LONG_FIELD: Final = re.compile(rb"[^,;\t\n]{%d}" % (_LONGEST_FIELD + 1))
#: A line of the log of Metatone's classifier, in which touches are one kind of several.
_METATONE_LINE: Final = re.compile(_TIME + rb", (?:touch|/metatone|/classifier|stasis)\b")
#: Counts of numbers in a line of a log of touches: x, y, and in some logs a pressure.
_LOG_WIDTHS = (2, 3)
#: Names of columns, by what they hold.
_NAMES: Final = {
    "time": ("time", "t", "timestamp"),
    "dt": ("dt", "delta_t"),
    "x": ("x", "x_pos"),
    "y": ("y", "y_pos"),
    "moving": ("moving",),
    "pressure": ("pressure", "z"),
}
_MICROJAM: Final = ("time", "x", "y", "z", "moving")
_METATONE: Final = frozenset(("time", "device_id", "x_pos", "y_pos", "velocity"))
#: Metatone plays on iPads, whose surface was 1024 by 768 points.
_METATONE_UNITS: Final = Units((0.0, 1024.0), (0.0, 768.0))
_FLAGS: Final = {b"true": 1.0, b"false": 0.0}
#: Times that fall by no more than this, in seconds, and not to the beginning of their
#: performance, are out of order; others begin a performance.
_JITTER_S: Final = 0.01
#: A column of which more than this share falls, in at least this many lines, is no clock.
_MOST_FALLS, _FEWEST_LINES = 0.25, 20


@dataclass(frozen=True, slots=True)
class Text:
    """Text in memory, in the place of a file; name is that of errors."""

    name: str
    data: bytes

    def open(self, mode: str) -> io.BytesIO:
        """Return the text as a file that is open for reading, whatever the mode."""
        del mode
        return io.BytesIO(self.data)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Layout:
    """Form of a table: its columns, and how they are separated."""

    names: tuple[str, ...]
    separator: bytes = b","
    header: int = 0  # number of the line of names, from 1; 0 where there is none
    is_log: bool = False  # of IMPSY
    iso_times: bool = False
    pressure: bool = False  # whether its pressures are wanted

    @property
    def is_metatone(self) -> bool:
        """Whether it is a touch log of Metatone."""
        return set(self.names) >= _METATONE

    @property
    def knobs(self) -> int:
        """The number of knobs, whose columns are v1, v2, …; 0 for touches."""
        if not self.is_log and {"x", "y"} <= {n for n, at in self._found().items() if at >= 0}:
            return 0
        return next(n for n in range(len(self.names) + 1) if f"v{n + 1}" not in self.names)

    @property
    def columns(self) -> dict[str, int]:
        """The index of the column of each kind: time or dt, x, y or v1 …, moving, and key."""
        found = self._found()
        values = [f"v{n + 1}" for n in range(self.knobs)]
        found |= {name: self.names.index(name) for name in values}
        kinds = ("time", "dt", *(values or ("x", "y", "moving")), "key")
        kinds += ("pressure",) if self.pressure else ()
        return {kind: found[kind] for kind in kinds if kind in found}

    def _found(self) -> dict[str, int]:
        """Return the index of the column of each kind that is named."""
        found = {
            kind: self.names.index(name)
            for kind, names in _NAMES.items()
            for name in names[::-1]
            if name in self.names
        }
        if self.is_metatone:
            found |= {"moving": self.names.index("velocity")}
            found |= {"key": self.names.index("device_id")}
        if self.is_log:
            found |= {"key": 1}
        if "time" in found:
            found.pop("dt", None)
        return found

    @property
    def units(self) -> Units:
        """The units that are known from the form."""
        return replace(
            _METATONE_UNITS if self.is_metatone else UNKNOWN,
            second=1.0 if self.iso_times else None,
            timing="time" if "time" in self.columns else "",
        )

    @property
    def expected(self) -> str:
        """Description of a line's columns, in words."""
        if self.is_log:
            return f"a time, a name and {len(self.names) - 2} numbers"
        return f"{len(self.names)} numbers"


def find_layout(path: Path | Text, *, knobs: bool = False) -> Layout | None:
    """Return the form of a file of touches or knobs, by its first lines; None for another.

    knobs: the two or three values of a log of IMPSY are those of knobs, too. Raises
    CorpusError for more than MAX_KNOBS values, and OSError.
    """
    start = next(_read_blocks(path, _START), b"")
    lines = start.split(b"\n")[:_FIRST_LINES]
    log_widths = Counter(
        line.count(b",", match.end()) + 1
        for line in lines
        if len(line) <= _LONGEST_LINE and (match := _LOG_LINE.match(line))
    )
    if log_widths:
        width = log_widths.most_common(1)[0][0]
        _check_knobs(path, width)
        is_touch = width in _LOG_WIDTHS and not knobs
        names = tuple("xyz"[:width] if is_touch else knob_columns(width)[:width])
        return Layout(("time", "source", *names), is_log=True, iso_times=True)
    for number, line in enumerate(lines, 1):
        if (layout := _read_header(line, number)) is not None:
            _check_knobs(path, layout.knobs)
            column = layout.columns.get("time")
            for later in lines[number:]:
                fields = _fields(later, layout.separator)
                if column is not None and len(fields) > column and fields[column]:
                    is_iso = bool(_ISO_TIME.fullmatch(fields[column]))
                    if is_iso or _number(fields[column]) is not None:
                        return replace(layout, iso_times=is_iso)
            return layout
    for line in lines:
        separator = _separator(line)
        numbers = [_number(f) for f in _fields(line, separator) if f]
        if len(numbers) == len(_MICROJAM) and None not in numbers and numbers[-1] in (0, 1):
            return Layout(_MICROJAM, separator)
    return None


def _check_knobs(path: Path | Text, knobs: int) -> None:
    """Raise CorpusError for more values than an event has."""
    if knobs > MAX_KNOBS:
        reason = f"has {knobs} values a line, and an event of knobs has {MAX_KNOBS} at most"
        raise CorpusError(path, f"{reason}: leave out those that matter least")


def _read_header(line: bytes, number: int) -> Layout | None:
    """Return the form that a line of column names says; None if it names neither kind."""
    if len(line) > _LONGEST_LINE:
        return None
    separator = _separator(line.lstrip(b"# \t"))
    fields = _fields(line.lstrip(b"# \t"), separator)
    names = [field.decode("utf-8", "replace").strip("'").lower() for field in fields]
    while names and not names[-1]:
        names.pop()
    layout = Layout(tuple(names), separator, number)
    columns = layout.columns
    has_values = {"x", "y"} <= set(columns) or layout.knobs > 0
    return layout if has_values and {"time", "dt"} & set(columns) else None


def describe_unknown(path: Path | Text) -> str:
    """Return what is known of text that is no table of touches, for an error message."""
    start = next(_read_blocks(path, _START), b"")
    lines = [line.strip() for line in start.split(b"\n")[:_FIRST_LINES] if line.strip()]
    if any(_METATONE_LINE.match(line) for line in lines):
        return (
            "is a log of Metatone's classifier, with messages of several kinds: give the file "
            "…-touches.csv that its ConvertMetatoneLogToCSVs.py makes of it"
        )
    if lines and (lines[0].startswith((b"[{", b"[[")) or lines[0] == b"["):
        return f"is JSON, and no robojam session: {TO_CSV}"
    table = "a CSV whose first line names x, y and time, or v1, v2, … and time"
    reason = f"is neither arrays (.npz, .npy), {table}, an IMPSY log nor a robojam session"
    if not lines or not start.isascii():
        return reason
    first = lines[0][:80].decode("ascii")
    numbers = [_number(f) for f in _fields(lines[0], _separator(lines[0]))]
    if len(numbers) > 1 and None not in numbers:
        reason += f". It has {len(numbers)} numbers a line and no names: put a line of names "
        return reason + "before them, such as time,x,y,z,moving"
    return f"{reason}. Its first line is {first!r}"


# -- lines -----------------------------------------------------------------------------------


def _read_blocks(path: Path | Text, size: int | None = None) -> Iterator[bytes]:
    """Yield a file in blocks of complete lines, each line ended by a newline.

    Text in UTF-16 and UTF-32 becomes UTF-8. Zero bytes, which a lost power supply leaves in a
    log, are dropped. A line that is too long ends the file.
    """
    with path.open("rb") as file:
        start = file.read(4)
        bom, encoding = next(((b, e) for b, e in _BOMS if start.startswith(b)), (b"", ""))
        file.seek(len(bom))
        decoder = codecs.getincrementaldecoder(encoding or "utf-8")("replace")
        rest = b""
        while block := file.read(size or _BLOCK):
            if encoding not in ("", "utf-8"):
                block = decoder.decode(block).encode()
            block = rest + block.replace(b"\0", b"")
            # The other half of a \r\n may be in the next block.
            open_end = b"\r" if block.endswith(b"\r") else b""
            block = block.removesuffix(open_end).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = block.rfind(b"\n") + 1
            rest = block[end:] + open_end
            if end:
                yield block[:end]
            if len(rest) > _LONGEST_LINE:
                break
        if rest.strip():
            yield rest.rstrip(b"\r") + b"\n"


def _separator(line: bytes) -> bytes:
    """Return what separates the fields of a line; a space stands for any white space."""
    return next((s for s in (b";", b"\t", b",") if s in line), b" ")


def _fields(line: bytes, separator: bytes) -> list[bytes]:
    """Return the fields of a line without the spaces and quotes around them.

    A comma is the decimal point where it does not separate.
    """
    line = line.strip(b" \r\n")
    if separator == b" ":
        fields = line.split()
    elif b'"' in line:
        text = line.decode("latin-1")
        mark = separator.decode()
        row = next(csv.reader([text], delimiter=mark, skipinitialspace=True), [])
        fields = [field.encode("latin-1") for field in row]
    else:
        fields = line.split(separator)
    if separator != b",":
        fields = [field.replace(b",", b".") for field in fields]
    return [field.strip(b' \t"') for field in fields]


def _number(field: bytes) -> float | None:
    """Return the number in a field, or a flag in words; None where there is none."""
    if len(field) > _LONGEST_FIELD or b"_" in field:
        return None
    try:
        return float(field)
    except ValueError:
        return _FLAGS.get(field.lower())


def _microseconds(field: bytes) -> float | None:
    """Return a date and time as microseconds since 1970, exactly; None where there is none."""
    if not _ISO_TIME.fullmatch(field):
        return None
    try:
        time = datetime.fromisoformat(field.decode("ascii"))
    except ValueError:
        return None
    epoch = datetime(1970, 1, 1, tzinfo=None if time.tzinfo is None else UTC)
    return float((time - epoch) // timedelta(microseconds=1))


@dataclass(slots=True)
class _RowParser:
    """Parser of blocks of lines into rows, which counts the lines that hold none."""

    path: Path | Text
    layout: Layout
    columns: dict[str, int] = field(init=False)  # of the layout
    next_line: int = 1  # number of the first line of the next block
    bad: list[int] = field(default_factory=list)  # numbers of the first few of them
    bad_count: int = 0
    why: str = ""  # the first bad line after the names, and what is wrong with it
    headers: list[int] = field(default_factory=list)  # numbers of repeated lines of names
    blocks: list[NDArray[Any]] = field(default_factory=list)
    line_blocks: list[Integers] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.columns = self.layout.columns

    def parse(self, block: bytes) -> None:
        """Parse a block of complete lines. Raises CorpusError for a line that is too long."""
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        lengths = np.diff(ends, prepend=-1) - 1
        long = np.flatnonzero(lengths > _LONGEST_LINE)
        if len(long):
            reason = (
                f"line {self.next_line + long[0]} has {lengths[long[0]]:,} characters or more, "
                f"and a line of a table no more than {_LONGEST_LINE:,}: is it damaged?"
            )
            raise CorpusError(self.path, reason)
        self._parse_part(block, ends)

    def _parse_part(self, block: bytes, ends: Integers) -> None:
        """Parse lines, which end at these bytes; the line by line way for as few as can be."""
        rows = self._parse_ordinary(block, ends)
        if rows is None and len(ends) > _FEW_LINES:
            half = len(ends) // 2
            middle = int(ends[half - 1]) + 1
            self._parse_part(block[:middle], ends[:half])
            self._parse_part(block[middle:], ends[half:] - middle)
            return
        numbers = np.arange(self.next_line, self.next_line + len(ends))
        if rows is None:
            rows, numbers = self._parse_lines(block)
        self.next_line += len(ends)
        self.blocks.append(rows)
        self.line_blocks.append(numbers)

    def _dtype(self, time: str) -> list[tuple[str, str]]:
        """Return the fields of a row; time is the type of a date and time."""
        kinds = {"key": f"S{_LONGEST_FIELD}", "time": time if self.layout.iso_times else "f8"}
        return [(kind, kinds.get(kind, "f8")) for kind in self.columns]

    def _parse_ordinary(self, block: bytes, ends: Integers) -> NDArray[Any] | None:
        """Parse a block whose lines are all ordinary; None where one is not."""
        layout = self.layout
        if layout.separator == b" " or _LONG_FIELD.search(block):
            return None
        if b'"' in block:  # around whole fields, or the count of commas is not right
            block = block.replace(b'"', b"")
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        if layout.separator != b",":
            block = block.replace(b",", b".").replace(layout.separator, b",")
        commas = np.flatnonzero(np.frombuffer(block, np.uint8) == ord(",")).searchsorted(ends)
        if not (np.diff(commas, prepend=0) == len(layout.names) - 1).all():
            return None
        try:
            loaded = np.loadtxt(
                io.BytesIO(block),
                self._dtype("S32"),
                delimiter=",",
                comments=None,
                usecols=list(self.columns.values()),
                ndmin=1,
            )
            if layout.iso_times and np.char.str_len(loaded["time"]).min() < _SHORTEST_TIME:
                return None  # numpy takes words such as "now" for times
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a time zone, which numpy does not keep
                rows = loaded.astype(self._dtype("M8[us]")).astype(self._dtype("i8"))
        except (ValueError, Warning):
            return None
        if len(rows) != len(ends):  # an empty line
            return None
        rows = rows.astype(self._dtype("f8"))
        if "key" in self.columns:
            rows["key"] = np.char.strip(rows["key"])
        if layout.is_log and not np.isin(rows["key"], (b"interface", b"rnn")).all():
            return None
        return rows

    def _parse_lines(self, block: bytes) -> tuple[NDArray[Any], Integers]:
        """Parse a block line by line; return its rows, and the number of each one's line."""
        rows, numbers = [], []
        for number, line in enumerate(block.split(b"\n")[:-1], self.next_line):
            if not line.strip() or number == self.layout.header:
                continue
            row = self._parse_line(line)
            if not isinstance(row, str):
                rows.append(row)
                numbers.append(number)
            elif self._is_repeated_header(line, number):
                self.headers.append(number)
            else:
                self.bad_count += 1
                if len(self.bad) < 4:
                    self.bad.append(number)
                if not self.why and number > self.layout.header:
                    self.why = f"line {number}: {row}"
        return np.array(rows, self._dtype("f8")), np.array(numbers, np.int64)

    def _parse_line(self, line: bytes) -> tuple[float | bytes, ...] | str:
        """Return the row in a line, or what is wrong with it."""
        layout = self.layout
        fields = _fields(line, layout.separator)
        while len(fields) > len(layout.names) and not fields[-1]:
            fields.pop()
        if len(fields) != len(layout.names):
            return f"it has {len(fields)} fields, not {len(layout.names)}"
        row: list[float | bytes] = []
        for kind, index in self.columns.items():
            text = fields[index]
            if kind == "key":
                if layout.is_log and text not in (b"interface", b"rnn"):
                    return f"its source is {text.decode('latin-1')!r:.40}, not interface or rnn"
                row.append(text)
                continue
            is_time = kind == "time" and layout.iso_times
            value = _microseconds(text) if is_time else _number(text)
            if value is None:
                wanted = _DATE if is_time else "number"
                if kind == "time" and not is_time and b":" in text:
                    wanted = f"number of seconds, nor a {_DATE}"
                found = f"{text.decode('latin-1')!r:.40}"
                return f"{layout.names[index]} is {found}, not a {wanted}"
            row.append(value)
        return tuple(row)

    def _is_repeated_header(self, line: bytes, number: int) -> bool:
        """Return whether a line names the columns again. Raises CorpusError for others."""
        layout = self.layout
        if layout.is_log or not ({*b"xy"} <= {*line.lower()} or {*b"v1"} <= {*line.lower()}):
            return False  # to be quick with most
        header = _read_header(line, number)
        if header is None:
            return False
        if (header.names, header.separator) != (layout.names, layout.separator):
            names = ",".join(header.names)
            reason = f"names other columns than line {layout.header} does: {names!r:.80}"
            advice = "make a file of each part"
            raise CorpusError(self.path, f"line {number} {reason}: {advice}")
        return True

    @property
    def rows(self) -> NDArray[Any]:
        """The rows that were parsed, with the fields of Layout.columns; times in us."""
        return np.concatenate([np.empty(0, self._dtype("f8")), *self.blocks])

    @property
    def lines(self) -> Integers:
        """The number of the line of each row."""
        return np.concatenate([np.empty(0, np.int64), *self.line_blocks])

    def report(self) -> tuple[dict[str, int], dict[str, str]]:
        """Return how many lines were dropped and where, by reason, as a Corpus holds them."""
        counts, places = {}, {}
        for reason, count, numbers in (
            (f"lines that are not {self.layout.expected}", self.bad_count, self.bad),
            ("repeated lines of names", len(self.headers), self.headers),
        ):
            if count:
                counts[reason], places[reason] = count, name_numbers(LINES, numbers)
        return counts, places


# -- tables ----------------------------------------------------------------------------------


def read_table(
    path: Path | Text, layout: Layout, *, units: Units = UNKNOWN, machine: bool = False
) -> Corpus:
    """Read a table of touches; machine reads the rnn of an IMPSY log, not its interface.

    A time that falls, a line of names and a long pause begin another performance; so does
    another player. Raises CorpusError, and OSError.
    """
    if units.timing == "dt":  # rather than a time, where there are both
        renamed = tuple("" if name in _NAMES["time"] else name for name in layout.names)
        if "dt" in Layout(renamed).columns:
            layout = replace(layout, names=renamed, iso_times=False)
    parser = _RowParser(path, layout)
    for block in _read_blocks(path):
        parser.parse(block)
    rows, lines = parser.rows, parser.lines
    if not len(rows):
        names = "" if layout.is_log else f" ({', '.join(layout.names)})"
        reason = f"has no line of {layout.expected}{names}"
        why = f"; {parser.why}" if parser.why else ""
        raise CorpusError(path, f"{reason}{why}{_decimal_comma_hint(parser.why, layout)}")
    dropped, places = parser.report()
    if not layout.header and not layout.is_log:
        dropped[f"lines without names, read as {','.join(layout.names)}"] = len(rows)
    if layout.is_log:
        chosen = rows["key"] == (b"rnn" if machine else b"interface")
        if not chosen.any():
            whose = "interface (without" if machine else "rnn (with"
            dropped[f"touches, all by {whose} --machine they are read)"] = len(rows)
        rows, lines = rows[chosen], lines[chosen]
        has_third = len(layout.names) > 4 and not layout.knobs
        if has_third and len(rows) and not layout.pressure:
            dropped["third numbers (a touch has x and y)"] = len(rows)
    if layout.is_metatone:  # the players one after the other
        order = np.argsort(rows["key"], kind="stable")
        rows, lines = rows[order], lines[order]
    begins = np.diff(np.searchsorted(parser.headers, lines), prepend=0) != 0
    if layout.is_metatone:
        begins[1:] |= rows["key"][1:] != rows["key"][:-1]
    begins[:1] = True
    columns, knobs = layout.columns, layout.knobs
    at = knobs or 2  # the column of dt
    touches = np.empty((len(rows), at + (2 if "moving" in columns else 1)))
    for index, kind in enumerate(knob_columns(knobs)[:-2] if knobs else "xy"):
        touches[:, index] = rows[kind]
    if "moving" in columns:
        touches[:, 3] = rows["moving"]
        if layout.is_metatone:
            touches[:, 3] = np.where(np.isnan(rows["moving"]), np.nan, rows["moving"] != 0)
        check_flags(path, Corpus(touches, np.array([len(rows)]), TOUCH, path.name, lines=lines))
    known = _with_defaults(units, layout.units)
    time = rows["time" if "time" in columns else "dt"]
    if layout.iso_times:  # from microseconds, exactly
        time = (time - time[:1]) * 1e-6
    if known.timing == "time":
        _check_clock(path, time, begins, layout)
        begins, touches[:, at] = _intervals(time, begins, known.second or 1.0)
    else:
        touches[:, at] = time
    starts = np.flatnonzero(begins)
    offsets = np.append(starts, len(rows))
    choose = choose_knob_scaling if knobs else choose_scaling
    scaling: Scaling | KnobScaling
    try:
        scaling, label = choose(
            touches, offsets, known, lambda numbers: name_numbers(LINES, lines[numbers])
        )
    except ValueError as error:
        raise CorpusError(path, str(error)) from error
    if label:
        dropped[f"{'events' if knobs else 'touches'} read with --units {label}"] = len(rows)
    if known.timing == "time" and scaling.second != (known.second or 1.0):
        begins, touches[:, at] = _intervals(time, begins, scaling.second)
    scaled = scaling(touches)
    lengths = np.diff(np.flatnonzero(begins), append=len(rows)).astype(np.int64)
    lengths, after_pauses = part_at_pauses(scaled, lengths, time=at)
    if len(after_pauses):
        dropped[PAUSES] = len(after_pauses)
        places[PAUSES] = name_numbers(LINES, lines[after_pauses])
    source = "IMPSY log" if layout.is_log else "Metatone log" if layout.is_metatone else "CSV"
    if knobs:
        corpus = knob_corpus(scaled, lengths, path.name, source)
    elif "moving" in columns:
        corpus = Corpus(scaled, lengths, TOUCH, path.name, source=source)
    else:
        corpus = with_inferred_phases(scaled, lengths, path.name, source)
    corpus = replace(corpus, dropped=dropped, places=places, lines=lines)
    return pressed(corpus, _pressures(rows["pressure"])) if "pressure" in columns else corpus


def _pressures(values: Array) -> Array:
    """Return pressures, 0..1, of a column of them or of MicroJam's z; NaN: not measured.

    A z above 1 is a radius in points. One that never changes was not measured.
    """
    measured = (values >= 0) & (values != FINGERTIP)
    measured &= len(np.unique(values[measured])) > 1
    return np.where(measured, np.where(values > 1, values / FULL, values), np.nan)


def _with_defaults(units: Units, known: Units) -> Units:
    """Return the units of places that were given, and those of times unless they are known."""
    times = known if known.second is not None else units
    return replace(
        units,
        x=units.x or known.x,
        y=units.y or known.y,
        second=times.second,
        timing=times.timing or known.timing,
    )


def _check_clock(
    path: Path | Text, time: Array, begins: NDArray[np.bool_], layout: Layout
) -> None:
    """Raise CorpusError for a column of times that falls as often as it rises."""
    falls = int((np.diff(time)[~begins[1:]] < 0).sum())
    if len(time) >= _FEWEST_LINES and falls > _MOST_FALLS * len(time):
        name = layout.names[layout.columns.get("time", layout.columns.get("dt", 0))]
        low, high = np.nanmin(time), np.nanmax(time)
        raise CorpusError(
            path,
            f"{name} falls in {falls:,} of {len(time):,} lines and goes from {low:g} to "
            f"{high:g}: it is not the time since the start. If it is the time since the touch "
            "before, name it dt or say --units dt; else name the columns in their true order",
        )


def _intervals(
    times: Array, begins: NDArray[np.bool_], second: float
) -> tuple[NDArray[np.bool_], Array]:
    """Return which touches begin a performance (N,), and the time (N,) since the one before.

    Times and intervals are in units of this many seconds. An interval continues
    over an unknown time.
    """
    begins = begins.copy()
    known = np.flatnonzero(np.isfinite(times))
    known_times = times[known]
    steps = np.diff(known_times, prepend=known_times[:1])
    part = np.cumsum(begins)[known]
    begun = 0
    for place in np.flatnonzero((steps < 0) & (np.diff(part, prepend=0) == 0)):
        begun = max(begun, int(np.searchsorted(part, part[place])))
        if -steps[place] * second > _JITTER_S or known_times[place] <= known_times[begun]:
            begins[known[place]] = True
            begun = int(place)
    part = np.cumsum(begins)[known]
    dt = np.full(len(times), np.nan)
    dt[known] = np.where(np.diff(part, prepend=0) > 0, 0.0, steps)
    return begins, dt


def _decimal_comma_hint(why: str, layout: Layout) -> str:
    """Return advice if decimal commas seem to split the numbers of a table, else nothing."""
    if re.search(r" is '[+-]?\d+,\d+', not a number", why):
        return f": is a comma its decimal point? {_WRITE_POINTS}"
    width = len(layout.names)
    match = re.fullmatch(r"line \d+: it has (\d+) fields.*", why)
    if match is None or layout.separator != b"," or not width < int(match[1]) <= 2 * width:
        return ""
    other = " or has a column no name?" if int(match[1]) == width + 1 else ""
    return f": is a comma its decimal point?{other} {_WRITE_POINTS}"


def microjam_table(
    times: Sequence[float], rows: Sequence[Sequence[float]], pressures: Sequence[float]
) -> str:
    """Return touches as MicroJam's CSV, as MicroJam and RoboJam read it.

    times are in seconds since the start, rows begin with x, y, dt and moving of each touch.
    """
    lines = ["time,x,y,z,moving"]  # pandas takes a space before a name as part of it
    lines += [
        f"{t!r}, {x!r}, {y!r}, {pressure!r}, {moving:.0f}"
        for t, (x, y, _, moving, *_), pressure in zip(times, rows, pressures, strict=True)
    ]
    return "\n".join(lines) + "\n"


def knob_table(times: Sequence[float], rows: Sequence[Sequence[float]]) -> str:
    """Return events of knobs as a CSV: time in seconds since the start, v1, v2, …

    rows hold the values of each event.
    """
    names = knob_columns(len(rows[0]))[:-2]
    lines = [",".join(("time", *names))]
    lines += [",".join(map(repr, (t, *row))) for t, row in zip(times, rows, strict=True)]
    return "\n".join(lines) + "\n"


def impsy_log(
    started: datetime, times: Sequence[float], rows: Sequence[Sequence[float]], *, source: str
) -> str:
    """Return events of knobs as a log of IMPSY; source is interface or rnn.

    times are in seconds since the start, rows hold the values of each event.
    """
    lines = [
        ",".join(((started + timedelta(seconds=t)).isoformat(timespec="microseconds"), source,
                  *map(repr, row)))
        for t, row in zip(times, rows, strict=True)
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
