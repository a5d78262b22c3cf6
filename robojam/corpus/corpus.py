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
from typing import IO, Any

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
from robojam.model.event import PRESSED, TOUCH, EventSpec, count_knobs, knob_columns
from robojam.system.atomic_file import atomic_write
from robojam.system.shell import printable
from robojam.touch import KNOB_RESTS, MAX_DT, PAUSE_IS_DOWN, PRESSURE_RESTS

Integers = NDArray[np.int64]

#: The columns of a corpus of touches (units as in `robojam.touch.Touch`; moving is 0 where
#: the finger lands and 1 where it slides), and of one of pen strokes (offsets in the file's
#: own units; lifted is 1 where the pen leaves the paper after this point). PRESSED are touches
#: with their pressure, 0..1. A corpus of knobs has those of robojam.model.event.knob_columns.
STROKE = ("dx", "dy", "lifted")

#: Widths of the dequantising noise of docs/measure.md: 1/1024 of the screen, and 1 ms.
_SCREEN_LINES = 1024
_TICK_S = 1e-3
#: Width of the noise of a pressure, as wide as the steps of MIDI's.
_PRESSURE_STEPS = 128
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
PRESSURE_CLIPPED = "touches with pressure clipped to 0..1"
PRESSURELESS = "performances without a measured pressure"
KNOB_CLIPPED = "events with a knob clipped to 0..1"
KNOB_DT_CLIPPED = f"events with dt clipped to 0..{MAX_DT:g} s"
REASONS = (
    NOT_A_NUMBER, SHORT, FIRST, *CLIPPED, PRESSURE_CLIPPED, KNOB_CLIPPED, KNOB_DT_CLIPPED
)  # fmt: skip
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
    dt of each performance made 0, and performances of fewer than 2 touches dropped. The same
    holds for knobs, of which moving is found from dt. Pen strokes have no range and are not
    clipped.

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
        if "dt" in corpus.columns:
            time = corpus.columns.index("dt")
            first = np.flatnonzero(np.diff(performance, prepend=last))
            last = performance[-1] if len(performance) else last
            log.add(FIRST, rows[first[events[first, time] != 0]])
            events[first, time] = 0
            for reason, (columns, highest) in _ranges(corpus.columns).items():
                clipped = np.clip(events[:, columns], 0.0, highest)
                log.add(reason, rows[(clipped != events[:, columns]).any(axis=1)])
                events[:, columns] = clipped
            if count_knobs(corpus.columns):
                events[:, -1] = knob_moving(events[:, time])
                events[first, -1] = 0
        yield events


def _ranges(columns: tuple[str, ...]) -> dict[str, tuple[slice, float]]:
    """Return the columns that are clipped, and the highest value, by the reason to give."""
    if knobs := count_knobs(columns):
        values, time = slice(0, knobs), slice(knobs, knobs + 1)
        return {KNOB_CLIPPED: (values, 1.0), KNOB_DT_CLIPPED: (time, MAX_DT)}
    ranges = {
        reason: (slice(column, column + 1), highest)
        for column, (reason, highest) in enumerate(CLIPPED.items())
    }
    return ranges | ({PRESSURE_CLIPPED: (slice(4, 5), 1.0)} if columns == PRESSED else {})


def knob_moving(dt: Floats) -> Floats:
    """Return the moving column (N,) of events of knobs after dt (N,) seconds each.

    0 after a pause, else 1; the first event of a performance is 0 besides.
    """
    return (dt <= PAUSE_IS_DOWN).astype(dt.dtype)


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
    nouns = ("touch", "touches") if columns[:4] == TOUCH else ("point", "points")
    if count_knobs(columns):
        nouns = ("event", "events")
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
            held = f"{first.name} holds {describe_columns(first.columns)} and {other.name} "
            raise ValueError(f"{held}{describe_columns(other.columns)}: they cannot be joined")
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
    offsets of strokes, which are whole numbers, get noise of ±1/2. Pressures have a stream of
    their own, so that places and times are the same with them and without.
    """
    has_time = "dt" in corpus.columns
    dims = count_knobs(corpus.columns) or 2
    rng = _random_from(0, int(start) * (dims + has_time))
    events = corpus.events[start:end].astype(np.float64)
    places = rng.random((len(events), dims))
    if has_time:
        events[:, :dims] += places / _SCREEN_LINES
        events[:, dims] += rng.random(len(events)) * _TICK_S
    else:
        events[:, :2] += places - 0.5
    if corpus.columns == PRESSED:
        events[:, 4] += _random_from(1, int(start)).random(len(events)) / _PRESSURE_STEPS
    return events


def _random_from(seed: int, used: int) -> np.random.Generator:
    """Return the random stream of a seed after the numbers that others have used."""
    bits = np.random.PCG64(seed)
    bits.advance(used)
    return np.random.Generator(bits)


def part_at_pauses(
    touches: Floats, lengths: Integers, *, time: int = 2
) -> tuple[Integers, Integers]:
    """Part performances of lengths (P,) where touches (N, 3 or 4) come after a long pause.

    time is the column of their dt. Returns the new lengths, and the rows that begin a
    performance now; the dt of these is made 0 in place.
    """
    starts = np.zeros(len(touches), bool)
    starts[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    rows = np.flatnonzero((touches[:, time] > PAUSE_S) & ~starts)
    touches[rows, time] = 0
    starts[rows] = True
    return np.diff(np.flatnonzero(starts), append=len(touches)).astype(np.int64), rows


def with_inferred_phases(touches: Floats, lengths: Integers, name: str, source: str) -> Corpus:
    """Return touches (N, 3) of x, y and dt as a corpus, with an inferred moving column."""
    events = np.empty((len(touches), len(TOUCH)), touches.dtype)
    events[:, :3] = touches
    events[:, 3] = infer_moving(touches, lengths)
    return Corpus(events, lengths, TOUCH, name, source=source, inferred=len(touches))


def pressed(corpus: Corpus, pressure: NDArray[Any]) -> Corpus:
    """Return a corpus of touches with pressures (N,), 0..1, of which NaN are not measured.

    A touch whose pressure was not measured has that of the touch before, and the first ones
    PRESSURE_RESTS, as a model is fed them in a jam. Performances in which none was measured
    are left out, and counted.
    """
    touches = np.asarray(corpus.events[: len(corpus.events)])
    performance = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
    known = ~np.isnan(pressure)
    last = np.maximum.accumulate(np.where(known, np.arange(len(pressure)), -1))
    begins = corpus.offsets[:-1][performance]
    held = np.where(last >= begins, pressure[np.maximum(last, 0)], PRESSURE_RESTS)
    measured = np.bincount(performance[known], minlength=len(corpus.lengths)) > 0
    rows = measured[performance]
    dropped = dict(corpus.dropped)
    if missing := int((~measured & (corpus.lengths > 0)).sum()):
        dropped[PRESSURELESS] = missing
    return replace(
        corpus,
        events=np.column_stack([touches, held]).astype(touches.dtype)[rows],
        lengths=corpus.lengths[measured],
        columns=PRESSED,
        dropped=dropped,
        lines=None if corpus.lines is None else corpus.lines[rows],
    )


def knob_corpus(events: Floats, lengths: Integers, name: str, source: str) -> Corpus:
    """Return events (N, n + 1) of n knobs' values and dt as a corpus, with a moving column."""
    moving = knob_moving(events[:, -1])
    moving[(np.cumsum(lengths) - lengths)[lengths > 0]] = 0
    columns = knob_columns(events.shape[1] - 1)
    return Corpus(np.column_stack([events, moving]), lengths, columns, name, source=source)


def widened(corpus: Corpus, knobs: int) -> Corpus:
    """Return a corpus of knobs as one of more knobs; those added rest at KNOB_RESTS."""
    missing = knobs - count_knobs(corpus.columns)
    if missing == 0:
        return corpus
    resting = np.full((len(corpus.events), missing), KNOB_RESTS)
    events = np.asarray(corpus.events[: len(corpus.events)])
    wide = np.column_stack([events[:, :-2], resting, events[:, -2:]]).astype(events.dtype)
    return replace(corpus, events=wide, columns=knob_columns(knobs))


def fitting(corpus: Corpus, event: EventSpec) -> Corpus:
    """Return a corpus as a model of an event can learn and score it.

    Of fewer knobs, it is `widened` where the model allows for that; others are as they are.
    """
    most, knobs = count_knobs(event.columns), count_knobs(corpus.columns)
    return widened(corpus, most) if event.fewer and 0 < knobs < most else corpus


def describe_columns(columns: tuple[str, ...]) -> str:
    """Return what events with these columns are, for a message."""
    knobs = count_knobs(columns)
    if not knobs:
        return f"({', '.join(columns)})"
    return "one knob" if knobs == 1 else f"{knobs} knobs"


def check_flags(path: object, corpus: Corpus) -> Corpus:
    """Return touches or strokes whose last column is 0, 1 or NaN; else raise CorpusError."""
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
    """Write an .npz, completely or not at all; compressed unless LARGE. Raises OSError.

    Of knobs, the moving column is not written: it is found from dt. Pressures are an array of
    their own.
    """
    is_touch, knobs = corpus.columns[:4] == TOUCH, count_knobs(corpus.columns)
    keys = ("touches", "lengths") if is_touch else ("train_strokes", "train_lengths")
    keys = ("knobs", "lengths") if knobs else keys
    width = knobs + 1 if knobs else min(len(corpus.columns), len(TOUCH))
    shape = len(corpus.events), width
    size = 4 * math.prod(shape)
    compression = zipfile.ZIP_STORED if size >= LARGE else zipfile.ZIP_DEFLATED
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", compression) as archive:

        def write_columns(key: str, columns: slice | int, shape: tuple[int, ...]) -> None:
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for _, events in iterate_blocks(corpus.events):
                    file.write(events[:, columns].astype("<f4").tobytes())

        write_columns(keys[0], slice(width), shape)
        with archive.open(f"{keys[1]}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, corpus.lengths.astype(np.int32))
        if corpus.columns == PRESSED:
            write_columns("pressure", width, shape[:1])
