"""The random numbers of voices: a table of each, made a block at a time.

They come from a counter-based generator (Philox, Salmon et al. 2011) keyed by seed and
voice, at the place given by how many touches the voice has played since seeding: nothing
else moves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

#: Random numbers are made for so many touches of a voice at once.
_BLOCK = 64


class RandomStreams:
    """What V voices draw by: uniform numbers in [0, 1), then standard normal ones.

    Two blocks of each voice are kept, and the one that will be wanted next is made while the
    other is drawn from, for some voices at each touch: those that play in step would
    otherwise all want theirs at once.
    """

    def __init__(self, voices: int, *, uniform: int, normal: int) -> None:
        """So many of each kind a touch; `seed` comes first."""
        self._table = np.zeros((voices, 2, _BLOCK, uniform + normal), np.float32)
        self._block = np.full((voices, 2), -1, np.int64)  # which of each voice's are there
        self._bits = np.random.Philox(key=0)
        self._draw = np.random.Generator(self._bits)
        self._state = self._bits.state
        self._uniform = np.empty((_BLOCK, uniform), np.float32)
        self._normal = np.empty((_BLOCK, normal), np.float32)

    def seed(self, seed: int) -> None:
        """Begin anew."""
        self._state["state"]["key"][0] = seed
        self._block[:] = -1

    def rows(self, voices: Array, counts: Array) -> Array:
        """Return the numbers (N, ·) of N voices' touches, each by its number from 0."""
        block, row = np.divmod(counts, _BLOCK)
        half = block & 1
        for i in np.flatnonzero(self._block[voices, half] != block).tolist():
            self._fill(int(voices[i]), int(block[i]))
        for i in np.flatnonzero(row == voices % _BLOCK).tolist():
            self._fill(int(voices[i]), int(block[i]) + 1)
        return self._table[voices, half, row]

    def row(self, voice: int, count: int) -> list[float]:
        """Return the numbers of one voice's touch."""
        block, row = divmod(count, _BLOCK)
        if self._block[voice, block & 1] != block:
            self._fill(voice, block)
        numbers: list[float] = self._table[voice, block & 1, row].tolist()
        return numbers

    def _fill(self, voice: int, block: int) -> None:
        """Make a block of a voice's numbers, if it is not there."""
        half = block & 1
        if self._block[voice, half] == block:
            return
        # To put the generator there costs a sixth of making one.
        state = self._state
        state["state"]["key"][1] = voice
        state["state"]["counter"][:] = 0, 0, block, 0
        self._bits.state = state
        self._block[voice, half] = block
        self._draw.random(out=self._uniform, dtype=np.float32)
        self._draw.standard_normal(out=self._normal, dtype=np.float32)
        split = self._uniform.shape[1]
        self._table[voice, half, :, :split] = self._uniform
        self._table[voice, half, :, split:] = self._normal
