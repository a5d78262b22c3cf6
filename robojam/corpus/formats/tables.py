"""Performances as text: MicroJam's CSV, and the logs of IMPSY.

A file is read in blocks of lines. numpy parses a block at once; only a block with a
malformed line is filtered line by line, and the dropped lines are reported.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import (
    LINES,
    TOUCH,
    Corpus,
    CorpusError,
    Integers,
    check_flags,
    name_numbers,
    with_inferred_phases,
)

Array = NDArray[np.float64]

#: Size in bytes of the blocks in which a file is read.
_BLOCK = 1 << 24
_NUMBER = rb"[ \t]*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[nN][aA][nN]|inf)[ \t]*"
#: The beginning of a line of an IMPSY log: time, source, and then numbers.
LOG_LINE = re.compile(
    rb"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z|[+-]\d\d:?\d\d)?"
    rb"[ \t]*,[ \t]*(interface|rnn)[ \t]*,",
    re.MULTILINE,
)
#: Allowed counts of numbers in a line of a log: x, y, and in some logs a pressure.
_LOG_WIDTHS = (2, 3)


@dataclass(slots=True)
class _LineParser:
    """Parser of blocks of lines into rows of `width` numbers, which drops malformed lines."""

    width: int
    next_line: int  # number, from 1, of the first line of the next block
    prefix: re.Pattern[bytes] | None = None
    dropped: list[int] = field(default_factory=list)  # numbers of the malformed lines
    line_numbers: list[Integers] = field(default_factory=list)  # of parsed lines, by block

    def parse(self, block: bytes) -> tuple[Array, bytes]:
        """Parse a block of complete lines; return its rows (n, width) and their lines."""
        rows = self._parse_well_formed(block)
        count = block.count(b"\n")
        numbers = np.arange(self.next_line, self.next_line + count)
        if rows is None:
            prefix = b"" if self.prefix is None else self.prefix.pattern
            pattern = re.compile(prefix + b",".join([_NUMBER] * self.width) + rb"$")
            lines = {}
            for number, line in enumerate(block.split(b"\n")[:-1], start=self.next_line):
                if pattern.match(line):
                    lines[number] = line
                elif line.strip():
                    self.dropped.append(number)
            block = b"".join(line + b"\n" for line in lines.values())
            numbers = np.array(list(lines), np.int64)
            rows = self._parse_well_formed(block)
            assert rows is not None
        self.next_line += count
        self.line_numbers.append(numbers)
        return rows, block

    def _parse_well_formed(self, block: bytes) -> Array | None:
        """Parse lines that are all well formed; None where one is not."""
        count = block.count(b"\n")
        if self.prefix is not None:
            block, prefixes = self.prefix.subn(b"", block)
            if prefixes != count:
                return None
        if not block.strip():
            return np.empty((0, self.width)) if count == 0 else None
        try:
            rows: Array = np.loadtxt(io.BytesIO(block), delimiter=",", comments=None, ndmin=2)
        except ValueError:
            return None
        return rows if rows.shape == (count, self.width) else None

    @property
    def lines(self) -> Integers:
        """The line number of each row that was parsed, (N,)."""
        return np.concatenate([np.empty(0, np.int64), *self.line_numbers])

    def report(self, expected: str) -> tuple[dict[str, int], dict[str, str]]:
        """Return how many lines were dropped and where, by reason, as a Corpus holds them."""
        if not self.dropped:
            return {}, {}
        reason = f"lines that are not {expected}"
        return {reason: len(self.dropped)}, {reason: name_numbers(LINES, self.dropped)}


def _read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in blocks of complete lines, each line ended by a newline."""
    rest = b""
    while block := file.read(_BLOCK):
        block = (rest + block).replace(b"\r\n", b"\n")
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest.strip():
        yield rest.rstrip(b"\r") + b"\n"


def column_names(start: bytes) -> list[str] | None:
    """Return the column names in a file's first line; None if they do not describe touches."""
    line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].decode("utf-8", "replace")
    names = [name.strip(" \t\r\"'").lower() for name in re.split("[,;]", line)]
    is_touch = {"x", "y"} <= set(names) and bool({"time", "dt"} & set(names))
    return names if is_touch else None


def read_csv(path: Path) -> Corpus:
    """Read a table with columns x, y, time (absolute) or dt, and optionally moving.

    A time that starts again at 0 starts another performance. Raises CorpusError.
    """
    with path.open("rb") as file:
        first = file.readline()
        names = column_names(first)
        assert names is not None
        has_semicolons = b";" in first
        wanted = [names.index(n) for n in ("x", "y", "time" if "time" in names else "dt")]
        if "moving" in names:
            wanted.append(names.index("moving"))
        parser = _LineParser(len(names), next_line=2)
        blocks = []
        for block in _read_blocks(file):
            if has_semicolons:  # the separator where a comma is the decimal point
                block = block.replace(b",", b".").replace(b";", b",")
            blocks.append(parser.parse(block.replace(b'"', b""))[0][:, wanted])
    touches = np.concatenate(blocks) if blocks else np.empty((0, len(wanted)))
    if not len(touches):
        reason = f"has no line of {len(names)} numbers ({', '.join(names)})"
        raise CorpusError(path, f"{reason}{_decimal_comma_hint(path, len(names))}")
    starts = np.array([0])
    if "time" in names:
        starts, touches[:, 2] = _intervals(touches[:, 2])
    lengths = np.diff(starts, append=len(touches)).astype(np.int64)
    dropped, places = parser.report(f"{len(names)} numbers")
    if "moving" in names:
        corpus = Corpus(touches, lengths, TOUCH, path.name, source="CSV")
    else:
        corpus = with_inferred_phases(touches, lengths, path.name, "CSV")
    corpus = replace(corpus, dropped=dropped, places=places, lines=parser.lines)
    return check_flags(path, corpus)


def _intervals(times: Array) -> tuple[Integers, Array]:
    """Return where performances start, and the time (N,) since the touch before each."""
    known = np.flatnonzero(np.isfinite(times))  # the interval continues over an unknown time
    known_times = times[known]
    restarts = (known_times[1:] == 0) & (known_times[:-1] > 0)
    starts = np.concatenate(([0], known[np.flatnonzero(restarts) + 1])).astype(np.int64)
    dt = np.full(len(times), np.nan)
    dt[known] = np.diff(known_times, prepend=known_times[:1])
    dt[starts[1:]] = 0
    return starts, dt


def _decimal_comma_hint(path: Path, width: int) -> str:
    """Return advice if decimal commas seem to split the numbers of a table, else nothing."""
    with path.open("rb") as file:
        file.readline()
        second = file.readline()
    fields = second.count(b",") + 1
    if not width < fields <= 2 * width:
        return ""
    advice = "Write it with a point, or part the columns with semicolons"
    return f"; its second line has {fields}: is a comma its decimal point? {advice}"


def read_log(path: Path, *, machine: bool = False) -> Corpus:
    """Read an IMPSY log: its interface, or with machine its rnn. Raises CorpusError."""
    source = b"rnn" if machine else b"interface"
    with path.open("rb") as file:
        width = LOG_LINE.sub(b"", file.readline()).count(b",") + 1
        if width not in _LOG_WIDTHS:
            reason = f"is an IMPSY log of {width} numbers a line; a touch has two, x and y"
            raise CorpusError(path, reason)
        file.seek(0)
        parser = _LineParser(width, next_line=1, prefix=LOG_LINE)
        time_blocks, xy_blocks, selections = [], [], []
        for block in _read_blocks(file):
            rows, lines = parser.parse(block)
            prefixes = LOG_LINE.findall(lines)
            selected = np.array([name == source for _, name in prefixes], bool)
            try:
                times = np.array([time for time, _ in prefixes], "S29").astype("M8[us]")
            except ValueError as error:
                raise CorpusError(path, f"has a time that is none: {error}") from error
            time_blocks.append(times[selected])
            xy_blocks.append(rows[selected, :2])
            selections.append(selected)
    xy, times = np.concatenate(xy_blocks), np.concatenate(time_blocks)
    dropped, places = parser.report(f"a time, a name and {parser.width} numbers")
    if parser.width > 2:
        dropped["third numbers (a touch has x and y)"] = len(xy)
    dt = np.diff(times, prepend=times[:1]).astype(np.float64) * 1e-6
    lengths = np.array([len(xy)] if len(xy) else [], np.int64)
    corpus = with_inferred_phases(np.column_stack([xy, dt]), lengths, path.name, "IMPSY log")
    line_numbers = parser.lines[np.concatenate(selections)]
    return replace(corpus, dropped=dropped, places=places, lines=line_numbers)
