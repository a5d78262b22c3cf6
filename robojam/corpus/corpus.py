"""Performances as arrays: the data that a model learns from and is scored on.

Millions of touches are two arrays, never lists of objects. robojam.corpus.formats reads them.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.infer_phase import infer_moving
from robojam.corpus.stored_rows import (
    FileRows,
    Floats,
    Rows,
    concatenate,
    iterate_blocks,
    iterate_sections,
)
from robojam.system.atomic_file import atomic_write
from robojam.system.shell import printable
from robojam.touch import MAX_DT

Integers = NDArray[np.int64]

#: The columns of a corpus of touches (units as in `robojam.touch.Touch`; moving is 0 where
#: the finger lands and 1 where it slides), and of one of pen strokes (offsets in the file's
#: own units; lifted is 1 where the pen leaves the paper after this point).
TOUCH = ("x", "y", "dt", "moving")
STROKE = ("dx", "dy", "lifted")

#: Widths of the dequantising noise of docs/measure.md: 1/1024 of the screen, and 1 ms.
_SCREEN_LINES = 1024
_TICK_S = 1e-3
#: A note names this many of the places where something was dropped.
_NAMED_PLACES = 3
#: From this size in bytes, events stay in their file where possible, and files are written
#: uncompressed: compressed arrays have to be read into memory.
LARGE = 10**9
#: Reasons why cleaning drops or changes touches, in the order in which they are reported.
NOT_A_NUMBER, SHORT = "touches with NaN", "performances of fewer than 2 touches"
FIRST = "first touches with dt made 0"
CLIPPED = {
    "touches with x clipped to 0..1": 1.0,
    "touches with y clipped to 0..1": 1.0,
    f"touches with dt clipped to 0..{MAX_DT:g} s": MAX_DT,
}
REASONS = (NOT_A_NUMBER, SHORT, FIRST, *CLIPPED)
#: Silence after which a player is taken to have stopped, in seconds: what follows is another
#: performance. A model hears any pause as MAX_DT at most; this is several times as long, so
#: that nobody who only rests is interrupted.
PAUSE_S = 30.0
PAUSES = f"pauses of more than {PAUSE_S:g} s, at which it is parted"
#: Singular and plural.
LINES = ("line", "lines")


class CorpusError(ValueError):
    """A file without performances that can be read; the text says which, why, what to do."""

    def __init__(self, path: object, reason: str) -> None:
        """Make an error of a file; path is its path, or its name."""
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """The performances of one file, one after the other."""

    events: Rows  # (N, D), float32 or float64; in memory or in a file
    lengths: Integers  # (P,), int64, the number of events of each performance; they sum to N
    columns: tuple[str, ...]  # the names of the D columns
    name: str  # of the file, with escapes for what does not print
    sha256: str = ""  # of the file, in hex
    #: Counts, by reason, of what reading and cleaning dropped or changed: touches, or
    #: performances where the reason says so; and where the first few were.
    dropped: dict[str, int] = field(default_factory=dict)
    source: str = "arrays"  # the kind of file
    inferred: int = 0  # the number of touches whose phase the file did not hold
    places: dict[str, str] = field(default_factory=dict)
    lines: Integers | None = None  # (N,), of each event in a text file, until it is cleaned

    def __post_init__(self) -> None:
        """Keep the name as it can be printed, and stored as UTF-8."""
        object.__setattr__(self, "name", printable(self.name))

    @property
    def notes(self) -> list[str]:
        """Lines, one for each reason, of the count and places of dropped or changed rows."""
        places = {reason: f" ({place})" for reason, place in self.places.items()}
        return [f"{r}: {count:,}{places.get(r, '')}" for r, count in self.dropped.items()]

    @property
    def offsets(self) -> Integers:
        """The index of the first event of each performance, and N: (P + 1,), int64."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def performances(self) -> Iterator[Floats]:
        """Yield each performance (n, D) in file order, a view of `events` if in memory."""
        return iterate_sections(self.events, self.offsets)

    def blocks(self) -> Iterator[tuple[Floats, Integers]]:
        """Yield all events in blocks (n, D), and the index of each event's performance (n,)."""
        starts, ends = self.offsets[:-1], self.offsets[1:]
        for start, events in iterate_blocks(self.events):
            end = start + len(events)
            first, last = np.searchsorted(ends, [start, end - 1], side="right")
            indices = np.arange(first, last + 1)
            counts = np.minimum(ends[indices], end) - np.maximum(starts[indices], start)
            yield events, np.repeat(indices, counts)


def clean(corpus: Corpus, *, into: IO[bytes] | None = None) -> Corpus:
    """Return a corpus cleaned for training and scoring (docs/measure.md). Idempotent.

    Touches with NaN are removed, then x and y clipped to 0..1 and dt to 0..5 s, the first
    dt of each performance made 0, and performances of fewer than 2 touches dropped. Pen
    strokes have no range and are not clipped.

    With `into`, the clean events are appended to that file and stay there. Raises ValueError
    for events in a file that need cleaning, without `into`.
    """
    lengths = np.zeros(len(corpus.lengths), np.int64)
    for events, performance in corpus.blocks():
        numbered = performance[~np.isnan(events).any(axis=1)]
        first, last = performance[[0, -1]]
        lengths[first : last + 1] += np.bincount(numbered - first, minlength=last + 1 - first)
    long_enough = lengths >= 2
    log = _CleaningLog(corpus)
    cleaned = _clean_blocks(corpus, long_enough, log)
    shape = int(lengths[long_enough].sum()), len(corpus.columns)
    rows = corpus.events
    if into is not None:
        rows = FileRows(into, into.seek(0, io.SEEK_END), shape, rows.dtype)
        for block in cleaned:
            into.write(block.tobytes())
    elif isinstance(rows, np.ndarray):
        rows, start = np.empty(shape, rows.dtype), 0
        for block in cleaned:
            rows[start : (start := start + len(block))] = block
    else:
        deque(cleaned, maxlen=0)  # only to find out whether anything needs cleaning
    log.add(SHORT, np.flatnonzero(~long_enough))
    dropped, places = log.report()
    if rows is corpus.events and dropped:
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in dropped.items())
        raise ValueError(
            f"{corpus.name} is too large to be cleaned in memory ({reasons}): "
            "robojam corpus … --to FILE.npz makes a clean file of it"
        )
    counts, places = dict(Counter(corpus.dropped) + dropped), {**corpus.places, **places}
    lengths = lengths[long_enough]
    return replace(
        corpus, events=rows, lengths=lengths, dropped=counts, places=places, lines=None
    )


def _clean_blocks(
    corpus: Corpus, long_enough: NDArray[np.bool_], log: _CleaningLog
) -> Iterator[Floats]:
    """Yield the clean events (n, D) of long enough performances (P,), and log each change."""
    start, last = 0, -1
    for events, performance in corpus.blocks():
        is_number = ~np.isnan(events).any(axis=1)
        log.add(NOT_A_NUMBER, start + np.flatnonzero(~is_number))
        selected = np.flatnonzero(is_number & long_enough[performance])
        rows, start = start + selected, start + len(events)
        events, performance = events[selected], performance[selected]
        if corpus.columns == TOUCH:
            first = np.flatnonzero(np.diff(performance, prepend=last))
            last = performance[-1] if len(performance) else last
            log.add(FIRST, rows[first[events[first, 2] != 0]])
            events[first, 2] = 0
            for column, (reason, highest) in enumerate(CLIPPED.items()):
                clipped = np.clip(events[:, column], 0.0, highest)
                log.add(reason, rows[clipped != events[:, column]])
                events[:, column] = clipped
        yield events


class _CleaningLog:
    """Count of the rows that cleaning drops and changes, by reason, and the first of them."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._entries = {reason: (0, np.zeros(0, np.int64)) for reason in REASONS}

    def add(self, reason: str, rows: Integers) -> None:
        """Add rows of the corpus; performances (from 0) for the reason SHORT."""
        count, first = self._entries[reason]
        first = np.concatenate([first, rows])[: _NAMED_PLACES + 1]
        self._entries[reason] = count + len(rows), first

    def report(self) -> tuple[Counter[str], dict[str, str]]:
        """Return the counts by reason, and the places of the first few."""
        corpus = self._corpus
        entries = {reason: entry for reason, entry in self._entries.items() if entry[0]}
        places = {
            reason: name_numbers(("performance", "performances"), first + 1)
            if reason == SHORT
            else name_rows(first, corpus.lengths, corpus.columns, corpus.lines)
            for reason, (_, first) in entries.items()
        }
        return Counter({reason: count for reason, (count, _) in entries.items()}), places


def name_rows(
    rows: Integers, lengths: Integers, columns: tuple[str, ...], lines: Integers | None = None
) -> str:
    """Name the first few of rows, by line in a text file, else by performance (from 1)."""
    if lines is not None:
        return name_numbers(LINES, lines[rows])
    first, ends = rows[:_NAMED_PLACES], np.cumsum(lengths)
    performance = np.searchsorted(ends, first, side="right")
    numbers = first - (ends - lengths)[performance] + 1
    nouns = ("touch", "touches") if columns == TOUCH else ("point", "points")
    places = [
        f"{name_numbers(nouns, numbers[performance == index])} of performance {index + 1}"
        for index in dict.fromkeys(performance.tolist())
    ]
    return ", ".join(places) + (", …" if len(rows) > _NAMED_PLACES else "")


def name_numbers(nouns: tuple[str, str], numbers: Sequence[int] | Integers) -> str:
    """Name the first few of numbered things; nouns are the singular and the plural."""
    first = ", ".join(str(number) for number in numbers[:_NAMED_PLACES])
    more = ", …" if len(numbers) > _NAMED_PLACES else ""
    return f"{nouns[len(numbers) > 1]} {first}{more}"


def join(corpora: Sequence[Corpus]) -> Corpus:
    """Return several corpora as one. Raises ValueError for none, or for different columns."""
    if not corpora:
        raise ValueError("no data was given")
    first = corpora[0]
    for other in corpora[1:]:
        if other.columns != first.columns:
            names, others = ", ".join(first.columns), ", ".join(other.columns)
            held = f"{first.name} holds ({names}) and {other.name} ({others})"
            raise ValueError(f"{held}: they cannot be joined")
    if len(corpora) == 1:
        return first
    dropped: Counter[str] = Counter()
    for corpus in corpora:
        dropped.update(corpus.dropped)
    return Corpus(
        concatenate([(corpus.events, 0, len(corpus.events)) for corpus in corpora]),
        np.concatenate([corpus.lengths for corpus in corpora]),
        first.columns,
        ", ".join(corpus.name for corpus in corpora),
        ", ".join(corpus.sha256 for corpus in corpora),
        dict(dropped),
        ", ".join(dict.fromkeys(corpus.source for corpus in corpora)),
        sum(corpus.inferred for corpus in corpora),
    )


def dequantise(corpus: Corpus, start: int, end: int) -> Floats:
    """Return a performance, rows start to end of a clean corpus, with noise: (n, D) float64.

    The noise is that of docs/measure.md: one random stream for the file, of which each
    performance takes its part, so that performances can be dequantised in any order. The
    offsets of strokes, which are whole numbers, get noise of ±1/2.
    """
    is_touch = corpus.columns == TOUCH
    bits = np.random.PCG64(0)
    bits.advance(int(start) * (3 if is_touch else 2))  # past the earlier performances' numbers
    rng = np.random.Generator(bits)
    events = corpus.events[start:end].astype(np.float64)
    places = rng.random((len(events), 2))
    if is_touch:
        events[:, :2] += places / _SCREEN_LINES
        events[:, 2] += rng.random(len(events)) * _TICK_S
    else:
        events[:, :2] += places - 0.5
    return events


def part_at_pauses(touches: Floats, lengths: Integers) -> tuple[Integers, Integers]:
    """Part performances of lengths (P,) where touches (N, 3 or 4) come after a long pause.

    Returns the new lengths, and the rows that begin a performance now; the dt of these is
    made 0 in place.
    """
    starts = np.zeros(len(touches), bool)
    starts[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    rows = np.flatnonzero((touches[:, 2] > PAUSE_S) & ~starts)
    touches[rows, 2] = 0
    starts[rows] = True
    return np.diff(np.flatnonzero(starts), append=len(touches)).astype(np.int64), rows


def with_inferred_phases(touches: Floats, lengths: Integers, name: str, source: str) -> Corpus:
    """Return touches (N, 3) of x, y and dt as a corpus, with an inferred moving column."""
    events = np.empty((len(touches), len(TOUCH)), touches.dtype)
    events[:, :3] = touches
    events[:, 3] = infer_moving(touches, lengths)
    return Corpus(events, lengths, TOUCH, name, source=source, inferred=len(touches))


def check_flags(path: object, corpus: Corpus) -> Corpus:
    """Return a corpus whose last column is 0, 1 or NaN. Raises CorpusError otherwise."""
    for start, events in iterate_blocks(corpus.events):
        flags = events[:, -1]
        wrong = np.flatnonzero((flags != 0) & (flags != 1) & ~np.isnan(flags))[:1]
        if len(wrong):
            place = name_rows(start + wrong, corpus.lengths, corpus.columns, corpus.lines)
            names, value = ", ".join(corpus.columns), f"{flags[wrong[0]]:g}"
            reason = f"{corpus.columns[-1]} must be 0 or 1, and is {value} ({place})"
            raise CorpusError(path, f"{reason}: are its columns {names}, in this order?")
    return corpus


def write(corpus: Corpus, path: Path) -> None:
    """Write an .npz, completely or not at all; compressed unless LARGE. Raises OSError."""
    is_touch = corpus.columns == TOUCH
    keys = ("touches", "lengths") if is_touch else ("train_strokes", "train_lengths")
    shape = len(corpus.events), len(corpus.columns)
    size = 4 * math.prod(shape)
    compression = zipfile.ZIP_STORED if size >= LARGE else zipfile.ZIP_DEFLATED
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", compression) as archive:
        with archive.open(f"{keys[0]}.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for _, events in iterate_blocks(corpus.events):
                file.write(events.astype("<f4").tobytes())
        with archive.open(f"{keys[1]}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, corpus.lengths.astype(np.int32))
