"""Rows of numbers that need not fit in memory: read from their file, a slice at a time.

They are read and not mapped: a mapped file that somebody cuts short takes the whole
program with it, and one that is read can be told of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import IO, Any, TypeAlias

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


#: So many rows are looked at together, where all of them are.
_BLOCK = 1 << 18


class ChangedError(ValueError):
    """A file is another than it was when it was opened; the text says which."""


class Stored:
    """Rows (N, D) that lie in an open file; a slice of them is a new array of floats."""

    def __init__(
        self, file: IO[bytes], at: int, shape: tuple[int, int], kind: np.dtype[Any]
    ) -> None:
        self._file, self._at, self._shape, self._kind = file, at, shape, kind
        self.dtype: np.dtype[Any] = floats(kind)
        self._found: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, which: slice) -> Floats:
        """Read rows. Raises ChangedError, and OSError."""
        start, stop, _ = which.indices(len(self))
        columns = self._shape[1]
        self._file.seek(self._at + start * columns * self._kind.itemsize)
        size = max(0, stop - start) * columns * self._kind.itemsize
        read = self._file.read(size)
        if len(read) < size or (self._found is not None and self._found != self._state()):
            raise ChangedError(f"{self._file.name} was changed while it was read: begin anew")
        return np.frombuffer(read, self._kind).reshape(-1, columns).astype(self.dtype)

    def watch(self) -> None:
        """From here on the file is to stay as it is."""
        self._found = self._state()

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_mtime_ns, found.st_size


class Pieces:
    """Rows start to stop of several others, one after the other, of which none is copied."""

    def __init__(self, parts: Sequence[tuple[Rows, int, int]]) -> None:
        self._parts, self._none = parts, parts[0][0][:0]
        self._ends = np.cumsum([stop - start for _, start, stop in parts])
        self.dtype: np.dtype[Any] = np.result_type(*{rows.dtype for rows, _, _ in parts})

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, which: slice) -> Floats:
        """Read rows. Raises as Stored does."""
        start, stop, _ = which.indices(len(self))
        found = [self._none]
        for number in range(int(np.searchsorted(self._ends, start, "right")), len(self._parts)):
            if start >= stop:
                break
            rows, _, last = self._parts[number]
            at = last - int(self._ends[number]) + start
            found.append(rows[at : min(last, at + stop - start)])
            start += len(found[-1])
        return np.concatenate(found)


#: Rows (N, D): of what is in memory everything can be asked, of the others slices.
Rows: TypeAlias = Floats | Stored | Pieces


def joined(parts: Sequence[tuple[Rows, int, int]]) -> Rows:
    """Return rows start to stop of each, one after the other; copied where all are arrays."""
    arrays = [rows[start:stop] for rows, start, stop in parts if isinstance(rows, np.ndarray)]
    return np.concatenate(arrays) if len(arrays) == len(parts) else Pieces(parts)


def blocks(rows: Rows) -> Iterator[tuple[int, Floats]]:
    """Yield all rows, some at a time, and where they begin."""
    for start in range(0, len(rows), _BLOCK):
        yield start, rows[start : start + _BLOCK]


def parted(rows: Rows, offsets: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Floats]:
    """Yield the rows from each offset to the next, which are read many at a time."""
    first = 0
    while first < len(offsets) - 1:
        start = offsets[first]
        last = max(first + 1, int(np.searchsorted(offsets, start + _BLOCK, "right")) - 1)
        some = rows[start : offsets[last]]
        for begin, end in pairwise((offsets[first : last + 1] - start).tolist()):
            yield some[begin:end]
        first = last


def floats(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the narrowest floats that hold such numbers exactly, and float32 at least."""
    return np.result_type(kind, np.float32)
