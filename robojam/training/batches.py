"""What a model is shown: windows of performances, cut anew at every pass, noise and all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robojam.corpus.corpus import Corpus, Integers
from robojam.model import lattice
from robojam.model.event import EventSpec

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of performances, padded to the longest.

    Events (B, T, C), how wide the cells are in which their places are known to lie (B, T),
    and which of them are scored (B, T).
    """

    heard: Tensor
    cell: Tensor
    scored: Tensor

    def part(self, rows: slice) -> Batch:
        """Return some of its windows."""
        return Batch(self.heard[rows], self.cell[rows], self.scored[rows])


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window of one performance: rows start to end, and whether it is the beginning."""

    start: int
    end: int
    opening: bool


def cut(lengths: np.ndarray[Any, Any], window: int, rng: np.random.Generator) -> list[Chunk]:
    """Cut performances into windows, each at a random offset, covering every event once.

    A window begins with the last event of the one before, which is heard and not
    scored, so that every event is scored exactly once.
    """
    chunks: list[Chunk] = []
    start = 0
    for length in lengths.tolist():
        end = start + length
        first = end
        if length > window:
            first = start + int(rng.integers(max(1, window // 2), max(2, window)))
        chunks.append(Chunk(start, first, True))
        at = first
        while at < end:
            stop = min(at + window, end)
            chunks.append(Chunk(at - 1, stop, False))
            at = stop
        start = end
    return chunks


def batches(
    chunks: list[Chunk], events: int, rng: np.random.Generator
) -> Iterator[list[Chunk]]:
    """Group windows of like length into batches of about so many events, shuffled."""
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


def mirrored(event: EventSpec, values: Floats, rng: np.random.Generator) -> Floats:
    """Turn each sequence (B, T, C) into one of the eight mirror images of its surface."""
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


class _OfEvents:
    """What is known of each performance, (P,), asked for as an array over all events is."""

    def __init__(self, known: Integers, ends: Integers) -> None:
        self._known, self._ends = known, ends

    def __getitem__(self, which: int | slice) -> Any:
        rows = which if isinstance(which, int) else np.arange(*which.indices(self._ends[-1]))
        return self._known[np.searchsorted(self._ends, rows, side="right")]


class WindowSampler:
    """The windows of a clean corpus, as a model over an event hears and is scored on them."""

    def __init__(self, corpus: Corpus, event: EventSpec) -> None:
        self.corpus, self.event = corpus, event
        self._lines = self._lattices()

    def _lattices(self) -> _OfEvents:
        """Find the lattice (0: none) of the performance that each event belongs to."""
        position = self.event.position
        found = np.zeros(len(self.corpus.lengths), np.int64)
        if position is not None and position.lattices:
            columns, known = list(position.columns), [n for n, _ in position.lattices]
            places = (performance[:, columns] for performance in self.corpus.performances())
            found = lattice.detected(places, known)
        return _OfEvents(found, self.corpus.offsets[1:])

    def draw(
        self, group: list[Chunk], rng: np.random.Generator, *, mirror: bool, device: str
    ) -> Batch:
        """Make a batch, with fresh noise, and perhaps each window's mirror image.

        Where the screen's lattice is known, the middle of a place's cell is heard
        (robojam.model.lattice); where it is not, the place with noise.
        """
        event = self.event
        longest = max(c.end - c.start for c in group)
        heard = np.full((len(group), longest, len(event.columns)), 0.5, np.float32)
        scored = np.zeros((len(group), longest), bool)
        lines = np.zeros((len(group), longest, 1), np.float32)
        for row, chunk in enumerate(group):
            size = chunk.end - chunk.start
            heard[row, :size] = self.corpus.events[chunk.start : chunk.end]
            scored[row, 0 if chunk.opening else 1 : size] = True
            lines[row, :size, 0] = self._lines[chunk.start : chunk.end]
        places = None if event.position is None else heard[..., [*event.position.columns]]
        heard += rng.random(heard.shape, np.float32) * np.asarray(event.noise, np.float32)
        for factor in event.factors:
            if factor.kind == "offset":  # dequantised about the whole number
                heard[..., list(factor.columns)] -= factor.noise / 2
        cell = np.zeros(scored.shape, np.float32)
        if event.position is not None:
            columns, on = list(event.position.columns), np.maximum(lines, 1)
            middle = (np.round(places * on) + 0.5) / on
            heard[..., columns] = np.where(lines > 0, middle, heard[..., columns])
            cell = np.where(lines > 0, 1 / on, event.position.noise)[..., 0]
        if mirror:
            heard = mirrored(event, heard, rng)
        known = (heard, cell, scored)
        return Batch(*(torch.from_numpy(array.copy()).to(device) for array in known))
