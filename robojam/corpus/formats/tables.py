"""Performances as text: MicroJam's CSV, and the logs of IMPSY.

A file is read in blocks, each parsed whole by numpy; only a block that holds a line that
is none is sifted line by line, and what was left out is told with its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from robojam.corpus.corpus import LINES, TOUCH, CorpusError, Integers, listed
from robojam.corpus.formats.parts import Parts, flagged, timed

Array = np.ndarray[Any, np.dtype[np.float64]]

_BLOCK = 1 << 24
_NUMBER = rb"[ \t]*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[nN][aA][nN]|inf)[ \t]*"
#: A line of an IMPSY log: when, who, and their numbers.
LOGGED = re.compile(
    rb"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z|[+-]\d\d:?\d\d)?"
    rb"[ \t]*,[ \t]*(interface|rnn)[ \t]*,",
    re.MULTILINE,
)
#: Logs hold x, y, and sometimes a pressure.
_LOG_WIDTHS = (2, 3)


@dataclass(slots=True)
class _Sieve:
    """Lines of a file as rows of numbers, (n, width), and a count of those that are none."""

    width: int
    line: int  # the number of the next one, from 1
    dropped: list[int] = field(default_factory=list)  # the numbers of these
    kept: list[Integers] = field(default_factory=list)  # and of those of each block

    def rows(
        self, block: bytes, prefix: re.Pattern[bytes] | None = None
    ) -> tuple[Array, bytes]:
        """Read a block of whole lines; return its rows, and the lines that they are of."""
        found = self._parsed(block, prefix)
        lines = block.count(b"\n")
        numbers = np.arange(self.line, self.line + lines)
        if found is None:
            begins = b"" if prefix is None else prefix.pattern
            whole = re.compile(begins + _NUMBER + (b"," + _NUMBER) * (self.width - 1) + rb"$")
            kept = {}
            for number, line in enumerate(block.split(b"\n")[:-1], start=self.line):
                if whole.match(line):
                    kept[number] = line
                elif line.strip():
                    self.dropped.append(number)
            block = b"".join(line + b"\n" for line in kept.values())
            numbers = np.array(list(kept), np.int64)
            found = self._parsed(block, prefix)
            assert found is not None
        self.line += lines
        self.kept.append(numbers)
        return found, block

    def _parsed(self, block: bytes, prefix: re.Pattern[bytes] | None) -> Array | None:
        """Parse lines that are all as they should be; None where one is not."""
        lines = block.count(b"\n")
        if lines == 0:
            return np.empty((0, self.width))
        if prefix is not None:
            block, count = prefix.subn(b"", block)
            if count != lines:
                return None
        characters = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero((characters == ord(",")) | (characters == ord("\n")))
        last = ends[self.width - 1 :: self.width]
        if len(ends) != lines * self.width or (characters[last] != ord("\n")).any():
            return None
        try:
            values = np.fromstring(block[:-1].replace(b"\n", b","), sep=" , ")
        except ValueError:
            return None
        return values.reshape(lines, self.width) if values.size == lines * self.width else None

    @property
    def lines(self) -> Integers:
        """Which line each row was."""
        return np.concatenate([np.empty(0, np.int64), *self.kept])

    def told(self, what: str) -> tuple[dict[str, int], dict[str, str]]:
        """Say what was left out, and where."""
        if not self.dropped:
            return {}, {}
        why = f"lines that are not {what}"
        return {why: len(self.dropped)}, {why: listed(LINES, self.dropped)}


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines, the last one ended too."""
    left = b""
    while block := file.read(_BLOCK):
        block = (left + block).replace(b"\r\n", b"\n")
        end = block.rfind(b"\n") + 1
        left = block[end:]
        if end:
            yield block[:end]
    if left.strip():
        yield left.rstrip(b"\r") + b"\n"


def header(start: bytes) -> list[str] | None:
    """Return the columns that a file's first line names; None where they are no touches."""
    line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].decode("utf-8", "replace")
    names = [name.strip(" \t\r\"'").lower() for name in re.split("[,;]", line)]
    whole = {"x", "y"} <= set(names) and bool({"time", "dt"} & set(names))
    return names if whole else None


def read_csv(path: Path, split: str | None, *, machine: bool = False) -> Parts:  # noqa: ARG001
    """Read a table with columns x, y, time (absolute) or dt, and perhaps moving.

    A time that begins again at 0 begins another performance. Raises CorpusError.
    """
    if split is not None:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    with path.open("rb") as file:
        first = file.readline()
        names = header(first)
        assert names is not None
        semicolons = b";" in first
        wanted = [names.index(n) for n in ("x", "y", "time" if "time" in names else "dt")]
        if "moving" in names:
            wanted.append(names.index("moving"))
        sieve = _Sieve(len(names), 2)
        found = []
        for block in _blocks(file):
            if semicolons:  # where a comma is the decimal point, semicolons part the columns
                block = block.replace(b",", b".").replace(b";", b",")
            found.append(sieve.rows(block.replace(b'"', b""))[0][:, wanted])
    touches = np.concatenate(found) if found else np.empty((0, len(wanted)))
    if not len(touches):
        why = f"has no line of {len(names)} numbers ({', '.join(names)})"
        raise CorpusError(path, f"{why}{_comma(path, len(names))}")
    if "time" in names:
        starts, touches[:, 2] = _since(touches[:, 2])
    else:
        starts = np.array([0])
    lengths = np.diff(starts, append=len(touches)).astype(np.int64)
    dropped, places = sieve.told(f"{len(names)} numbers")
    if "moving" in names:
        parts = Parts(touches, lengths, TOUCH, path.name, "CSV")
    else:
        parts = timed(touches, lengths, path.name, "CSV")
    return flagged(path, replace(parts, dropped=dropped, places=places, lines=sieve.lines))


def _since(times: Array) -> tuple[Integers, Array]:
    """Return where performances start, and the time since the touch before each."""
    known = np.flatnonzero(np.isfinite(times))  # where one is none, the next goes on
    some = times[known]
    again = (some[1:] == 0) & (some[:-1] > 0)
    starts = np.concatenate(([0], known[np.flatnonzero(again) + 1])).astype(np.int64)
    dt = np.full(len(times), np.nan)
    dt[known] = np.diff(some, prepend=some[:1])
    dt[starts[1:]] = 0
    return starts, dt


def _comma(path: Path, width: int) -> str:
    """Say so where a decimal comma is what splits its numbers."""
    with path.open("rb") as file:
        file.readline()
        second = file.readline()
    many = second.count(b",") + 1
    if width < many <= 2 * width:
        return (
            f"; its second line has {many}: is a comma its decimal point? Write it with a "
            "point, or part the columns with semicolons"
        )
    return ""


def read_log(path: Path, split: str | None, *, machine: bool = False) -> Parts:
    """Read what an IMPSY log's interface played, or its rnn. Raises CorpusError."""
    if split is not None:
        raise CorpusError(path, f"has no split {split!r}: it is whole")
    with path.open("rb") as file:
        sieve = _Sieve(_log_width(path, file), 1)
        times, values, taken = [], [], []
        who = b"rnn" if machine else b"interface"
        for block in _blocks(file):
            rows, lines = sieve.rows(block, LOGGED)
            found = LOGGED.findall(lines)
            wanted = np.array([name == who for _, name in found], bool)
            try:
                when = np.array([t for t, _ in found], "S29").astype("M8[us]")
            except ValueError as error:
                raise CorpusError(path, f"has a time that is none: {error}") from error
            times.append(when[wanted])
            values.append(rows[wanted, :2])
            taken.append(wanted)
    xy, when = np.concatenate(values), np.concatenate(times)
    dropped, places = sieve.told(f"a time, a name and {sieve.width} numbers")
    if sieve.width > 2:
        dropped["third numbers (a touch has x and y)"] = len(xy)
    dt = np.diff(when, prepend=when[:1]).astype(np.float64) * 1e-6
    lengths = np.array([len(xy)] if len(xy) else [], np.int64)
    parts = timed(np.column_stack([xy, dt]), lengths, path.name, "IMPSY log")
    lines = sieve.lines[np.concatenate(taken)]
    return replace(parts, dropped=dropped, places=places, lines=lines)


def _log_width(path: Path, file: IO[bytes]) -> int:
    """Return how many numbers the first line of a log has."""
    first = file.readline()
    file.seek(0)
    width = LOGGED.sub(b"", first).count(b",") + 1
    if width not in _LOG_WIDTHS:
        raise CorpusError(
            path, f"is an IMPSY log of {width} numbers a line; a touch has two, x and y"
        )
    return width
