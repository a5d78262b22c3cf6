"""Performances as arrays: what a model learns from and is measured on.

Millions of touches are two arrays, never lists of objects; robojam.corpus.formats reads them.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from robojam.corpus.stored_rows import Floats, Rows, Stored, blocks, joined, parted
from robojam.system.atomic_file import whole
from robojam.touch import MAX_DT

Integers = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

#: The columns of a corpus of touches (units as in `robojam.touch.Touch`; moving is 0 where
#: the finger lands and 1 where it slides), and of one of pen strokes (offsets in the file's
#: own units; lifted is 1 where the pen leaves the paper after this point).
TOUCH = ("x", "y", "dt", "moving")
STROKE = ("dx", "dy", "lifted")

#: The noise of docs/measure.md: lattices of 1/1024 of the screen, and of 1 ms.
_SCREEN = 1024
_TICK = 1e-3
#: Of what was left out, so many places are named.
_TOLD = 3
#: From so many bytes on events are left on disk where they can be, and written as they are:
#: what is packed must be unpacked into memory.
LARGE = 10**9
#: Why cleaning leaves out or alters what it does, in the order in which it is told.
NOT_A_NUMBER, SHORT = "touches with NaN", "performances of fewer than 2 touches"
FIRST = "first touches with dt made 0"
CLIPPED = {
    "touches with x clipped to 0..1": 1.0,
    "touches with y clipped to 0..1": 1.0,
    f"touches with dt clipped to 0..{MAX_DT:g} s": MAX_DT,
}
REASONS = (NOT_A_NUMBER, SHORT, FIRST, *CLIPPED)
#: What one of them and several are called.
LINES = ("line", "lines")


class CorpusError(ValueError):
    """A file that holds no performances that can be read: which, why, and what to do."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """The performances of one file, one after the other.

    ``events`` is (N, D), float32 or float64, with the columns named in ``columns``, and may
    lie on disk (robojam.corpus.stored_rows);
    ``lengths`` is (P,), int64, how many events each performance has, and sums to N.
    ``sha256`` is that of the file, in hex. ``dropped`` counts, by reason, what reading and
    cleaning left out or altered: touches, or performances where the reason says so;
    ``places`` says where the first few of them were. ``source`` says what the file is;
    ``inferred`` of how many touches it knew no phase; ``lines`` (N,), where it is text, in
    which line each was, until it is cleaned.
    """

    events: Rows
    lengths: Integers
    columns: tuple[str, ...]
    name: str
    sha256: str
    dropped: dict[str, int] = field(default_factory=dict)
    source: str = "arrays"
    inferred: int = 0
    places: dict[str, str] = field(default_factory=dict)
    lines: Integers | None = None

    @property
    def told(self) -> list[str]:
        """What was left out or altered, why and where: a line for each reason."""
        return [
            f"{why}: {count:,}" + (f" ({self.places[why]})" if why in self.places else "")
            for why, count in self.dropped.items()
        ]

    @property
    def offsets(self) -> Integers:
        """Where each performance begins, and where the last one ends: (P + 1,), int64."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def performances(self) -> Iterator[Floats]:
        """Yield each performance in file order, (n, D): a view of ``events`` in memory."""
        return parted(self.events, self.offsets)

    def blocks(self) -> Iterator[tuple[Floats, Integers]]:
        """Yield all events, some (n, D) at a time, and whose performance each is of, (n,)."""
        starts, ends = self.offsets[:-1], self.offsets[1:]
        for start, events in blocks(self.events):
            end = start + len(events)
            first, last = np.searchsorted(ends, [start, end - 1], side="right")
            some = np.arange(first, last + 1)
            counts = np.minimum(ends[some], end) - np.maximum(starts[some], start)
            yield events, np.repeat(some, counts)


def clean(corpus: Corpus, *, into: IO[bytes] | None = None) -> Corpus:
    """Return a corpus as models are scored (docs/measure.md); twice is as good as once.

    Touches with NaN are removed, then x and y clipped to 0..1 and dt to 0..5 s, the first
    dt of each performance made 0, and performances of fewer than 2 touches left out. Pen
    strokes have no range to be clipped to.

    What is clean goes to the end of a file, where one is given, and stays there. Raises
    ValueError where none is, and events that lie on disk want cleaning.
    """
    lengths = np.zeros(len(corpus.lengths), np.int64)
    for events, performance in corpus.blocks():
        whole = performance[~np.isnan(events).any(axis=1)]
        first, last = performance[[0, -1]]
        lengths[first : last + 1] += np.bincount(whole - first, minlength=last + 1 - first)
    long_enough = lengths >= 2
    altered = _Altered(corpus)
    cleaned = _cleaned(corpus, long_enough, altered)
    shape = int(lengths[long_enough].sum()), len(corpus.columns)
    rows = corpus.events
    if into is not None:
        rows = Stored(into, into.seek(0, io.SEEK_END), shape, rows.dtype)
        for block in cleaned:
            into.write(block.tobytes())
    elif isinstance(rows, np.ndarray):
        rows, at = np.empty(shape, rows.dtype), 0
        for block in cleaned:
            rows[at : (at := at + len(block))] = block
    else:
        deque(cleaned, maxlen=0)  # to see that they are as they were
    altered.note(SHORT, np.flatnonzero(~long_enough))
    dropped, places = altered.told()
    if rows is corpus.events and dropped:
        told = "; ".join(f"{why}: {count:,}" for why, count in dropped.items())
        raise ValueError(
            f"{corpus.name} is too large to be cleaned in memory ({told}): "
            "robojam corpus … --to FILE.npz makes a clean file of it"
        )
    return replace(
        corpus,
        events=rows,
        lengths=lengths[long_enough],
        dropped=dict(Counter(corpus.dropped) + dropped),
        places={**corpus.places, **places},
        lines=None,
    )


def _cleaned(corpus: Corpus, long_enough: Bools, altered: _Altered) -> Iterator[Floats]:
    """Clean some events at a time, (n, D), and note what is altered and left out."""
    start, last = 0, -1
    for events, performance in corpus.blocks():
        whole = ~np.isnan(events).any(axis=1)
        altered.note(NOT_A_NUMBER, start + np.flatnonzero(~whole))
        kept = np.flatnonzero(whole & long_enough[performance])
        rows, start = start + kept, start + len(events)
        events, performance = events[kept], performance[kept]
        if corpus.columns == TOUCH:
            first = np.flatnonzero(np.diff(performance, prepend=last))
            last = performance[-1] if len(performance) else last
            altered.note(FIRST, rows[first[events[first, 2] != 0]])
            events[first, 2] = 0
            for column, (why, highest) in enumerate(CLIPPED.items()):
                clipped = np.clip(events[:, column], 0.0, highest)
                altered.note(why, rows[clipped != events[:, column]])
                events[:, column] = clipped
        yield events


class _Altered:
    """What cleaning leaves out and alters: how many for each reason, and the first of them."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._found = {why: (0, np.zeros(0, np.int64)) for why in REASONS}

    def note(self, why: str, some: Integers) -> None:
        count, first = self._found[why]
        self._found[why] = count + len(some), np.concatenate([first, some])[: _TOLD + 1]

    def told(self) -> tuple[Counter[str], dict[str, str]]:
        """Count by reason, and say where the first few are."""
        corpus, found = self._corpus, {w: f for w, f in self._found.items() if f[0]}
        places = {
            why: listed(("performance", "performances"), first + 1)
            if why == SHORT
            else placed(first, corpus.lengths, corpus.columns, corpus.lines)
            for why, (_, first) in found.items()
        }
        return Counter({why: count for why, (count, _) in found.items()}), places


def placed(
    rows: Integers, lengths: Integers, columns: tuple[str, ...], lines: Integers | None = None
) -> str:
    """Say where some events are: in which lines, or in which performances (from 1)."""
    if lines is not None:
        return listed(LINES, lines[rows])
    some, ends = rows[:_TOLD], np.cumsum(lengths)
    which = np.searchsorted(ends, some, side="right")
    numbers = some - (ends - lengths)[which] + 1
    what = ("touch", "touches") if columns == TOUCH else ("point", "points")
    told = [
        f"{listed(what, numbers[which == one])} of performance {one + 1}"
        for one in dict.fromkeys(which.tolist())
    ]
    return ", ".join(told) + (", …" if len(rows) > _TOLD else "")


def listed(what: tuple[str, str], numbers: Sequence[int] | Integers) -> str:
    """Name the first few of many, by what one and several of them are called."""
    some = ", ".join(str(number) for number in numbers[:_TOLD])
    return f"{what[len(numbers) > 1]} {some}{', …' if len(numbers) > _TOLD else ''}"


def join(corpora: Sequence[Corpus]) -> Corpus:
    """Return several corpora as one. Raises ValueError for none, or for two kinds."""
    if not corpora:
        raise ValueError("no data was given")
    first = corpora[0]
    for other in corpora[1:]:
        if other.columns != first.columns:
            raise ValueError(
                f"{first.name} holds ({', '.join(first.columns)}) and {other.name} "
                f"({', '.join(other.columns)}): they cannot be joined"
            )
    if len(corpora) == 1:
        return first
    dropped: Counter[str] = Counter()
    for corpus in corpora:
        dropped.update(corpus.dropped)
    return Corpus(
        joined([(corpus.events, 0, len(corpus.events)) for corpus in corpora]),
        np.concatenate([corpus.lengths for corpus in corpora]),
        first.columns,
        ", ".join(corpus.name for corpus in corpora),
        ", ".join(corpus.sha256 for corpus in corpora),
        dict(dropped),
        ", ".join(dict.fromkeys(corpus.source for corpus in corpora)),
        sum(corpus.inferred for corpus in corpora),
    )


def dequantise(corpus: Corpus) -> Floats:
    """Return the events off their lattice, (N, D) float64; see docs/measure.md.

    The corpus is to be clean. The noise is the same every time. Strokes, whose offsets are
    whole numbers, are spread by ±1/2 about them.
    """
    parts = [dequantised(corpus, start, end) for start, end in pairwise(corpus.offsets)]
    return np.concatenate([np.empty((0, len(corpus.columns))), *parts])


def dequantised(corpus: Corpus, start: int, end: int) -> Floats:
    """Return a performance, rows start to end, as it is among all that are dequantised."""
    touches = corpus.columns == TOUCH
    chance = np.random.PCG64(0)
    chance.advance(int(start) * (3 if touches else 2))  # past what those before it were given
    rng = np.random.Generator(chance)
    events = corpus.events[start:end].astype(np.float64)
    places = rng.random((len(events), 2))
    if touches:
        events[:, :2] += places / _SCREEN
        events[:, 2] += rng.random(len(events)) * _TICK
    else:
        events[:, :2] += places - 0.5
    return events


def write(corpus: Corpus, path: Path) -> None:
    """Write a corpus as an .npz, whole or not at all: packed, if it is not LARGE.

    Raises OSError.
    """
    keys = ("touches", "lengths")
    if corpus.columns != TOUCH:
        keys = ("train_strokes", "train_lengths")
    shape = len(corpus.events), len(corpus.columns)
    size = 4 * math.prod(shape)
    how = zipfile.ZIP_STORED if size >= LARGE else zipfile.ZIP_DEFLATED
    with whole(path) as part, zipfile.ZipFile(part, "w", how) as archive:
        with archive.open(f"{keys[0]}.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for events, _ in corpus.blocks():
                file.write(events.astype("<f4").tobytes())
        with archive.open(f"{keys[1]}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, corpus.lengths.astype(np.int32))
