"""Batches for training: windows of performances, cut anew for every pass, with fresh noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robojam.corpus.corpus import Corpus, Integers
from robojam.model import lattice
from robojam.model.event import EventSpec

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of performances, padded to the longest.

    events: (B, T, C).
    cell: (B, T), the width of the cells in which the events' places are known to lie.
    scored: (B, T), bool, the events that are predicted and count in the loss.
    """

    events: Tensor
    cell: Tensor
    scored: Tensor

    def select(self, rows: slice) -> Batch:
        """Return some rows of the batch."""
        return Batch(self.events[rows], self.cell[rows], self.scored[rows])


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window of one performance: rows start to end; opening: it begins the performance."""

    start: int
    end: int
    opening: bool


def cut_windows(lengths: Integers, window: int, rng: np.random.Generator) -> list[Chunk]:
    """Cut performances of lengths (P,) into windows at random offsets.

    Each window but a performance's first begins with the last event of the window before,
    which is given to the model and not scored, so that every event is scored exactly once.
    """
    chunks: list[Chunk] = []
    start = 0
    for length in lengths.tolist():
        end = start + length
        first = end
        if length > window:
            first = start + int(rng.integers(max(1, window // 2), max(2, window)))
        chunks.append(Chunk(start, first, True))
        begin = first
        while begin < end:
            stop = min(begin + window, end)
            chunks.append(Chunk(begin - 1, stop, False))
            begin = stop
        start = end
    return chunks


def group_batches(
    chunks: list[Chunk], events: int, rng: np.random.Generator
) -> Iterator[list[Chunk]]:
    """Group windows of similar length into batches of about `events` events, shuffled."""
    order = rng.permutation(len(chunks))
    sizes = np.array([chunks[i].end - chunks[i].start for i in order])
    order = order[np.argsort(sizes, kind="stable")]
    groups: list[list[Chunk]] = [[]]
    for i in order:
        size = chunks[i].end - chunks[i].start
        if groups[-1] and size * (len(groups[-1]) + 1) > events:
            groups.append([])
        groups[-1].append(chunks[i])
    for i in rng.permutation(len(groups)):
        yield groups[i]


def mirror_randomly(event: EventSpec, values: Floats, rng: np.random.Generator) -> Floats:
    """Replace each sequence (B, T, C), in place, by one of its surface's 8 mirror images."""
    columns = next(
        (f.columns for f in event.factors if f.kind in ("position", "offset") and f.dims == 2),
        None,
    )
    if columns is None:
        return values
    centre = next(f.centre for f in event.factors if f.columns == columns)
    flips = rng.integers(0, 2, (3, len(values), 1)).astype(bool)
    x, y = values[..., columns[0]].copy(), values[..., columns[1]].copy()
    x = np.where(flips[0], 2 * centre - x, x)
    y = np.where(flips[1], 2 * centre - y, y)
    values[..., columns[0]] = np.where(flips[2], y, x)
    values[..., columns[1]] = np.where(flips[2], x, y)
    return values


class _PerEvent:
    """View of one number per performance (P,) as an array with one per event (N,)."""

    def __init__(self, numbers: Integers, ends: Integers) -> None:
        self._numbers, self._ends = numbers, ends

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Integers: ...
    def __getitem__(self, index: int | slice) -> int | Integers:
        rows = index if isinstance(index, int) else np.arange(*index.indices(self._ends[-1]))
        numbers: int | Integers = self._numbers[np.searchsorted(self._ends, rows, side="right")]
        return numbers


class WindowSampler:
    """Sampler of batches from a clean corpus, for a model of an event."""

    def __init__(self, corpus: Corpus, event: EventSpec) -> None:
        self.corpus, self.event = corpus, event
        self._lattice_of: _PerEvent | Integers = _PerEvent(
            self._detect_lattices(), self.corpus.offsets[1:]
        )

    def _detect_lattices(self) -> Integers:
        """Return the lattice of each performance's screen, (P,), 0 where none is known."""
        position = self.event.position
        if position is None or not position.lattices:
            return np.zeros(len(self.corpus.lengths), np.int64)
        columns, known = list(position.columns), [n for n, _ in position.lattices]
        places = (performance[:, columns] for performance in self.corpus.performances())
        return lattice.detect(places, known)

    def draw(
        self, group: list[Chunk], rng: np.random.Generator, *, mirror: bool, device: str
    ) -> Batch:
        """Return a batch of windows with fresh noise, and with mirror in random mirror images.

        Where the lattice of the screen is known, a place is replaced by the middle of its
        cell (robojam.model.lattice); elsewhere noise is added to it.
        """
        event = self.event
        longest = max(c.end - c.start for c in group)
        events = np.full((len(group), longest, len(event.columns)), 0.5, np.float32)
        scored = np.zeros((len(group), longest), bool)
        lattices = np.zeros((len(group), longest, 1), np.float32)
        for row, chunk in enumerate(group):
            size = chunk.end - chunk.start
            events[row, :size] = self.corpus.events[chunk.start : chunk.end]
            scored[row, 0 if chunk.opening else 1 : size] = True
            lattices[row, :size, 0] = self._lattice_of[chunk.start : chunk.end]
        places = None if event.position is None else events[..., [*event.position.columns]]
        events += rng.random(events.shape, np.float32) * np.asarray(event.noise, np.float32)
        for factor in event.factors:
            if factor.kind == "offset":  # the noise is centred on the whole number
                events[..., list(factor.columns)] -= factor.noise / 2
        cell = np.zeros(scored.shape, np.float32)
        if event.position is not None:
            columns, lines = list(event.position.columns), np.maximum(lattices, 1)
            middle = (np.round(places * lines) + 0.5) / lines
            events[..., columns] = np.where(lattices > 0, middle, events[..., columns])
            cell = np.where(lattices > 0, 1 / lines, event.position.noise)[..., 0]
        if mirror:
            events = mirror_randomly(event, events, rng)
        arrays = (events, cell, scored)
        return Batch(*(torch.from_numpy(array.copy()).to(device) for array in arrays))
