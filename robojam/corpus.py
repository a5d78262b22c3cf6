"""Performances as arrays: what a model learns from and is measured on.

Millions of touches are two arrays, never lists of objects; robojam.formats reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from robojam.touch import MAX_DT
from robojam.whole import whole

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

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

    ``events`` is (N, D), float32 or float64, with the columns named in ``columns``;
    ``lengths`` is (P,), int64, how many events each performance has, and sums to N.
    ``sha256`` is that of the file, in hex. ``dropped`` counts, by reason, what reading and
    cleaning left out or altered: touches, or performances where the reason says so;
    ``places`` says where the first few of them were. ``source`` says what the file is;
    ``inferred`` of how many touches it knew no phase; ``lines`` (N,), where it is text, in
    which line each was, until it is cleaned.
    """

    events: Floats
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
        """Yield each performance in file order, (n, D), as a view of ``events``."""
        for start, end in pairwise(self.offsets):
            yield self.events[start:end]


def clean(corpus: Corpus) -> Corpus:
    """Return a corpus as models are scored (docs/measure.md); twice is as good as once.

    Touches with NaN are removed, then x and y clipped to 0..1 and dt to 0..5 s, the first
    dt of each performance made 0, and performances of fewer than 2 touches left out. Pen
    strokes have no range to be clipped to.
    """
    performance = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
    whole = ~np.isnan(corpus.events).any(axis=1)
    lengths = np.bincount(performance[whole], minlength=len(corpus.lengths)).astype(np.int64)
    long_enough = lengths >= 2
    kept = whole & long_enough[performance]
    events, lengths = corpus.events[kept], lengths[long_enough]
    dropped, places = Counter(corpus.dropped), dict(corpus.places)

    def note(why: str, altered: Integers) -> None:
        if len(altered):
            dropped[why] += len(altered)
            places[why] = placed(altered, corpus.lengths, corpus.columns, corpus.lines)

    note("touches with NaN", np.flatnonzero(~whole))
    short = np.flatnonzero(~long_enough)
    if len(short):
        dropped["performances of fewer than 2 touches"] += len(short)
        places["performances of fewer than 2 touches"] = listed(
            ("performance", "performances"), short + 1
        )
    if corpus.columns == TOUCH:
        first = (np.cumsum(lengths) - lengths).astype(np.int64)
        rows = np.flatnonzero(kept)
        note("first touches with dt made 0", rows[first[events[first, 2] != 0]])
        events[first, 2] = 0
        for column, (highest, unit) in enumerate(((1.0, ""), (1.0, ""), (MAX_DT, " s"))):
            clipped = np.clip(events[:, column], 0.0, highest)
            why = f"touches with {TOUCH[column]} clipped to 0..{highest:g}{unit}"
            note(why, rows[clipped != events[:, column]])
            events[:, column] = clipped
    return replace(
        corpus,
        events=events,
        lengths=lengths,
        dropped=dict(+dropped),
        places=places,
        lines=None,
    )


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
        np.concatenate([corpus.events for corpus in corpora]),
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
    rng = np.random.default_rng(0)
    events = corpus.events.astype(np.float64)
    for start, end in pairwise(corpus.offsets):
        places = rng.random((end - start, 2))
        if corpus.columns == TOUCH:
            events[start:end, :2] += places / _SCREEN
            events[start:end, 2] += rng.random(end - start) * _TICK
        else:
            events[start:end, :2] += places - 0.5
    return events


def write(corpus: Corpus, path: Path) -> None:
    """Write a corpus as an .npz, whole or not at all. Raises OSError."""
    keys = ("touches", "lengths")
    if corpus.columns != TOUCH:
        keys = ("train_strokes", "train_lengths")
    held: dict[str, Any] = {
        keys[0]: corpus.events.astype(np.float32),
        keys[1]: corpus.lengths.astype(np.int32),
    }
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **held)
