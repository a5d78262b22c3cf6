"""Windows of altered copies: stretched in time, scaled, with points left out.

Half of the windows are altered, each by an amount of its own; the other half are as they
were recorded. Dequantising noise comes after the alteration, as it does in the scoring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from robojam.windows import Batch, Chunk, Windows

Floats = np.ndarray[Any, np.dtype[Any]]


class Altered(Windows, ABC):
    """Windows of which half are altered by `altered`."""

    @abstractmethod
    def altered(self, touches: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        """Return other touches, and whether they still lie on their screen's lattice."""

    def draw(
        self, group: list[Chunk], rng: np.random.Generator, *, mirror: bool, device: str
    ) -> Batch:
        """Make a batch as Windows does, from copies."""
        corpus, lines = self.corpus, self._lines
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
        self._lines = np.concatenate(screens)
        try:
            return super().draw(chunks, rng, mirror=mirror, device=device)
        finally:
            self.corpus, self._lines = corpus, lines


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
