"""Rows of numbers that need not fit in memory: read from an open file, a slice at a time.

The file is read and not memory-mapped. If another program truncates a mapped file, the
operating system kills this process; a failed read is an exception.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: Number of rows that are read at once by the iterators below.
_BLOCK = 1 << 18


class FileChangedError(ValueError):
    """A file was modified while it was being read; the text names the file."""


class FileRows:
    """Rows (N, D) stored in an open file. A slice of them is a new array of floats."""

    def __init__(
        self, file: IO[bytes], offset: int, shape: tuple[int, int], file_dtype: np.dtype[Any]
    ) -> None:
        """Describe rows of file_dtype that begin at a byte offset of the file."""
        self._file, self._offset, self._shape = file, offset, shape
        self._file_dtype = file_dtype
        self.dtype: np.dtype[Any] = float_dtype(file_dtype)
        self._expected_state: tuple[int, int] | None = None
        #: Applied to the rows of each slice; it keeps their shape.
        self.transform: Callable[[Floats], Floats] | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, rows: slice) -> Floats:
        """Read rows. Raises FileChangedError, and OSError."""
        start, stop, _ = rows.indices(len(self))
        columns = self._shape[1]
        self._file.seek(self._offset + start * columns * self._file_dtype.itemsize)
        size = max(0, stop - start) * columns * self._file_dtype.itemsize
        data = self._file.read(size)
        changed = self._expected_state is not None and self._expected_state != self._state()
        if len(data) < size or changed:
            name = self._file.name
            raise FileChangedError(f"{name} was changed while it was read: start again")
        read = np.frombuffer(data, self._file_dtype).reshape(-1, columns).astype(self.dtype)
        return read if self.transform is None else self.transform(read)

    def require_unchanged(self) -> None:
        """Make later reads fail if the file's size or modification time differ from now."""
        self._expected_state = self._state()

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_mtime_ns, status.st_size


class ConcatenatedRows:
    """Row ranges (start to stop) of several sources, one after the other, without a copy."""

    def __init__(self, ranges: Sequence[tuple[Rows, int, int]]) -> None:
        self._ranges, self._empty = ranges, ranges[0][0][:0]
        self._ends = np.cumsum([stop - start for _, start, stop in ranges])
        self.dtype: np.dtype[Any] = np.result_type(*{rows.dtype for rows, _, _ in ranges})

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: slice) -> Floats:
        """Read rows. Raises FileChangedError, and OSError."""
        start, stop, _ = rows.indices(len(self))
        arrays = [self._empty]
        first = int(np.searchsorted(self._ends, start, "right"))
        for number in range(first, len(self._ranges)):
            if start >= stop:
                break
            source, _, source_stop = self._ranges[number]
            source_start = source_stop - int(self._ends[number]) + start
            arrays.append(source[source_start : min(source_stop, source_start + stop - start)])
            start += len(arrays[-1])
        return np.concatenate(arrays)


#: Rows (N, D). Code that takes them may slice and iterate; an array in memory can do more.
Rows: TypeAlias = Floats | FileRows | ConcatenatedRows


def concatenate(ranges: Sequence[tuple[Rows, int, int]]) -> Rows:
    """Return row ranges one after the other: an array if all are arrays, else a view."""
    arrays = [rows[start:stop] for rows, start, stop in ranges if isinstance(rows, np.ndarray)]
    return np.concatenate(arrays) if len(arrays) == len(ranges) else ConcatenatedRows(ranges)


def iterate_blocks(rows: Rows) -> Iterator[tuple[int, Floats]]:
    """Yield all rows in blocks (n, D), each with the index of its first row."""
    for start in range(0, len(rows), _BLOCK):
        yield start, rows[start : start + _BLOCK]


def iterate_sections(rows: Rows, offsets: NDArray[np.int64]) -> Iterator[Floats]:
    """Yield the rows from each offset (P + 1,) to the next, reading many sections at once."""
    first = 0
    while first < len(offsets) - 1:
        start = offsets[first]
        last = max(first + 1, int(np.searchsorted(offsets, start + _BLOCK, "right")) - 1)
        block = rows[start : offsets[last]]
        for begin, end in pairwise((offsets[first : last + 1] - start).tolist()):
            yield block[begin:end]
        first = last


def float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the narrowest float type, float32 or wider, that holds a dtype exactly."""
    return np.result_type(dtype, np.float32)
