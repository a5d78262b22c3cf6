"""Windows of altered copies: stretched in time, scaled, with points left out, after others.

Half of the windows are altered, each by an amount of its own; the other half are as they
were recorded. Dequantising noise comes after the alteration, as it does in the scoring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from robojam.training.batches import Batch, Chunk, WindowSampler

Floats = np.ndarray[Any, np.dtype[Any]]


class Altered(WindowSampler, ABC):
    """Windows of which half are altered by `altered`."""

    @abstractmethod
    def altered(self, touches: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        """Return other touches, and whether they still lie on their screen's lattice."""

    def draw(
        self, group: list[Chunk], rng: np.random.Generator, *, mirror: bool, device: str
    ) -> Batch:
        """Make a batch as Windows does, from copies."""
        corpus, lines = self.corpus, self._lattice_of
        parts, screens, chunks, at = [], [], [], 0
        for chunk in group:
            touches, n = corpus.events[chunk.start : chunk.end], lines[chunk.start]
            if rng.random() < 0.5:
                touches, on = self.altered(touches.copy(), rng)
                n = n if on else 0
            parts.append(touches)
            screens.append(np.full(len(touches), n, np.int64))
            chunks.append(Chunk(at, at + len(touches), chunk.opening))
            at += len(touches)
        self.corpus = replace(corpus, events=np.concatenate(parts))
        self._lattice_of = np.concatenate(screens)
        try:
            return super().draw(chunks, rng, mirror=mirror, device=device)
        finally:
            self.corpus, self._lattice_of = corpus, lines


class Stretched(Altered):
    """Each faster or slower by up to 1.15 times."""

    def altered(self, touches: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        touches[:, 2] *= 1.15 ** rng.uniform(-1, 1)
        return touches, True


class Scaled(Altered):
    """Each larger or smaller by up to 1.25 times about its middle, if it stays on."""

    def altered(self, touches: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        middle = touches[:, :2].mean(0)
        places = middle + (touches[:, :2] - middle) * 1.25 ** rng.uniform(-1, 1)
        if places.min() < 0 or places.max() > 1:
            return touches, True
        touches[:, :2] = places
        return touches, False


class Dropped(Altered):
    """One move of eight is left out; the next touch comes as much later."""

    def altered(self, touches: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        out = (rng.random(len(touches)) < 1 / 8) & (touches[:, 3] > 0.5)
        out[:1] = out[-1:] = False
        clock = touches[:, 2].cumsum(dtype=np.float64)[~out]
        touches = touches[~out]
        touches[1:, 2] = np.diff(clock)
        return touches, True


class Preceded(WindowSampler):
    """Half of the openings come after the end of another performance, and a pause.

    In a jam nothing begins from nothing but the first phrase. What comes before is heard
    and not scored, and neither is the touch that ends the pause.
    """

    #: What is heard of the other performance, in touches; the pause, in seconds.
    BEFORE, PAUSE = (8, 160), (0.3, 3.0)

    def draw(
        self, group: list[Chunk], rng: np.random.Generator, *, mirror: bool, device: str
    ) -> Batch:
        """Make a batch as Windows does, with what came before."""
        corpus, lines = self.corpus, self._lattice_of
        parts, screens, chunks, heard, at = [], [], [], [], 0
        for chunk in group:
            touches, n = corpus.events[chunk.start : chunk.end], lines[chunk.start]
            before, theirs = touches[:0], lines[:0]
            if chunk.opening and rng.random() < 0.5:
                which = int(rng.integers(len(corpus.lengths)))
                end = int(corpus.offsets[which + 1])
                begin = max(end - int(rng.integers(*self.BEFORE)), int(corpus.offsets[which]))
                before, theirs = corpus.events[begin:end], lines[begin:end]
                touches = touches.copy()
                touches[0, 2] = rng.uniform(*self.PAUSE)
            parts += [before, touches]
            size = len(before) + len(touches)
            screens += [theirs, np.full(len(touches), n, np.int64)]
            chunks.append(Chunk(at, at + size, chunk.opening))
            heard.append(len(before))
            at += size
        self.corpus = replace(corpus, events=np.concatenate(parts))
        self._lattice_of = np.concatenate(screens)
        try:
            batch = super().draw(chunks, rng, mirror=mirror, device=device)
        finally:
            self.corpus, self._lattice_of = corpus, lines
        for row, size in enumerate(heard):
            if size:
                batch.scored[row, : size + 1] = False
        return batch
