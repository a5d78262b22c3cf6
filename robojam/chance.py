"""The random numbers of voices: a table of each, made a block at a time.

They come from a counter-based generator (Philox, Salmon et al. 2011) keyed by seed and
voice, at the place given by how many touches the voice has played since seeding: nothing
else moves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any

#: Random numbers are made for so many touches of a voice at once.
_BLOCK = 64


class Chance:
    """What V voices draw by: uniform numbers in [0, 1), then standard normal ones."""

    def __init__(self, voices: int, *, uniform: int, normal: int) -> None:
        """So many of each kind a touch; `seed` comes first."""
        self._uniform, self._normal = uniform, normal
        self._table = np.zeros((voices, _BLOCK, uniform + normal), np.float32)
        self._block = np.full(voices, -1, np.int64)  # which of each voice's is in the table
        self._seed = 0

    def seed(self, seed: int) -> None:
        """Begin anew."""
        self._seed = seed
        self._block[:] = -1

    def rows(self, voices: Sequence[int], counts: Array) -> Array:
        """Return the numbers (N, ·) of N voices' touches, each by its number from 0."""
        block, row = np.divmod(counts, _BLOCK)
        which = np.asarray(voices)
        for i in np.flatnonzero(self._block[which] != block).tolist():
            self._fill(int(which[i]), int(block[i]))
        return self._table[which, row]

    def row(self, voice: int, count: int) -> list[float]:
        """Return the numbers of one voice's touch."""
        block, row = divmod(count, _BLOCK)
        if self._block[voice] != block:
            self._fill(voice, block)
        numbers: list[float] = self._table[voice, row].tolist()
        return numbers

    def _fill(self, voice: int, block: int) -> None:
        key = np.array([self._seed, voice], np.uint64)
        draw = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, block, 0]))
        self._block[voice] = block
        self._table[voice, :, : self._uniform] = draw.random(
            (_BLOCK, self._uniform), np.float32
        )
        self._table[voice, :, self._uniform :] = draw.standard_normal(
            (_BLOCK, self._normal), np.float32
        )
