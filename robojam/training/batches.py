"""Batches for training: windows of performances, cut again for every pass, with fresh noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robojam.corpus.corpus import Corpus, Integers
from robojam.model import lattice
from robojam.model.event import EventSpec, Factor

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of performances, padded to the longest."""

    events: Tensor  # (B, T, C)
    cell: Tensor  # (B, T), width of the cells in which the events' places are known to lie
    scored: Tensor  # (B, T), bool, the events that are predicted and count in the loss
    context: int = 0  # events of every row that come before the first that is scored

    def select(self, rows: slice) -> Batch:
        """Return some rows of the batch."""
        return Batch(self.events[rows], self.cell[rows], self.scored[rows], self.context)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window of one performance: rows start to end, the first `context` of them unscored.

    Without context it begins the performance.
    """

    start: int
    end: int
    context: int


def cut_windows(
    lengths: Integers, window: int, rng: np.random.Generator, *, context: int = 1
) -> list[Chunk]:
    """Cut performances of lengths (P,) into windows at random offsets.

    Before each window but a performance's first come the last events of the windows before,
    which are given to the model and not scored: every event is scored exactly once. Of these
    there are context, or its half, a quarter and so on where a window has fewer before it.
    """
    chunks: list[Chunk] = []
    start = 0
    for length in lengths.tolist():
        end = first = start + length
        if length > window:
            first = start + int(rng.integers(max(1, window // 2), max(2, window)))
        chunks.append(Chunk(start, first, 0))
        for begin in range(first, end, window):
            size = context
            while size > begin - start:
                size //= 2
            chunks.append(Chunk(begin - size, min(begin + window, end), size))
        start = end
    return chunks


def group_batches(
    chunks: list[Chunk], events: int, rng: np.random.Generator
) -> Iterator[list[Chunk]]:
    """Group windows of similar length into batches of about `events` events, shuffled.

    Context of more than one event is not counted, and is the same in a whole batch.
    """
    order = rng.permutation(len(chunks))
    contexts = np.array([max(chunk.context, 1) for chunk in chunks])
    sizes = np.array([chunk.end - chunk.start for chunk in chunks])
    sizes -= np.where(contexts > 1, contexts, 0)
    order = order[np.lexsort((sizes[order], contexts[order]))]
    groups: list[list[Chunk]] = [[]]
    last = order[0]
    for i in order:
        full = sizes[i] * (len(groups[-1]) + 1) > events or contexts[i] != contexts[last]
        if groups[-1] and full:
            groups.append([])
        groups[-1].append(chunks[i])
        last = i
    for i in rng.permutation(len(groups)):
        yield groups[i]


def mirror_randomly(event: EventSpec, values: Floats, rng: np.random.Generator) -> Floats:
    """Replace each sequence (B, T, C), in place, by one of its surface's 8 mirror images.

    Two knobs are no surface: they stay.
    """
    places = (f for f in event.factors if f.kind in ("position", "offset") and f.dims == 2)
    place = next((f for f in places if not f.follows), None)
    if place is None:
        return values
    horizontal, vertical = place.columns
    flips = rng.integers(0, 2, (3, len(values), 1)).astype(bool)
    x, y = values[..., horizontal].copy(), values[..., vertical].copy()
    x = np.where(flips[0], 2 * place.centre - x, x)
    y = np.where(flips[1], 2 * place.centre - y, y)
    values[..., horizontal] = np.where(flips[2], y, x)
    values[..., vertical] = np.where(flips[2], x, y)
    return values


def performed_places(corpus: Corpus, position: Factor) -> Iterator[NDArray[Any]]:
    """Yield the places of each performance, as robojam.model.lattice takes them."""
    columns = list(position.columns)
    for performance in corpus.performances():
        places = performance[:, columns]
        yield lattice.places_of_knobs(places) if position.follows else places


class WindowSampler:
    """Sampler of batches from a clean corpus, for a model of an event."""

    def __init__(self, corpus: Corpus, event: EventSpec) -> None:
        self.corpus, self.event = corpus, event
        position = event.position
        #: The lattice of each performance's screen, (P,); 0 where none is known.
        self._lattices = np.zeros(len(corpus.lengths), np.int64)
        if position is not None and position.lattices:
            known = [n for n, _ in position.lattices]
            places = performed_places(corpus, position)
            self._lattices = lattice.detect(places, known)
        self._ends = corpus.offsets[1:]

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
            scored[row, chunk.context : size] = True
            performance = np.searchsorted(self._ends, chunk.start, side="right")
            lattices[row, :size, 0] = self._lattices[performance]
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
        e, w, s = (torch.from_numpy(a.copy()).to(device) for a in (events, cell, scored))
        return Batch(e, w, s, min(chunk.context for chunk in group))
