"""Random numbers of each voice's touches, independent of every other voice and touch.

They come from a counter-based generator (Philox, Salmon et al. 2011) keyed by seed and voice,
at the counter given by how many touches the voice has played since seeding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robojam.model.features import Floats

#: Touches of a voice whose random numbers are generated at once.
BLOCK = 64
#: Added to the number of a candidate, so that its numbers are no others'.
_CANDIDATES = 1 << 32


class RandomStreams:
    """Random numbers for V voices: for each touch uniform ones in [0, 1), then normal ones.

    Two blocks of each voice are kept. The one needed next is generated while the other is in
    use, for a few voices at each touch: voices that play in step would otherwise all need
    theirs at once.
    """

    def __init__(self, voices: int, *, uniform: int, normal: int) -> None:
        """Allocate uniform and standard normal numbers for each touch; call `seed` next."""
        self._table = np.zeros((voices, 2, BLOCK, uniform + normal), np.float32)
        self._block = np.full((voices, 2), -1, np.int64)  # which blocks of each voice are here
        self._bits = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state
        self._split = uniform

    def seed(self, seed: int) -> None:
        """Seed the numbers of every voice."""
        self._state["state"]["key"][0] = seed
        self._block[:] = -1

    def rows(self, voices: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
        """Return the numbers (N, uniform + normal) of N voices' touches, counted from 0."""
        block, row = np.divmod(counts, BLOCK)
        half = block & 1
        for i in np.flatnonzero(self._block[voices, half] != block).tolist():
            self._fill(int(voices[i]), int(block[i]))
        for i in np.flatnonzero(row == voices % BLOCK).tolist():
            self._fill(int(voices[i]), int(block[i]) + 1)
        numbers: Floats = self._table[voices, half, row]
        return numbers

    def row(self, voice: int, count: int) -> list[float]:
        """Return the numbers of one voice's touch, counted from 0."""
        block, row = divmod(count, BLOCK)
        if self._block[voice, block & 1] != block:
            self._fill(voice, block)
        numbers: list[float] = self._table[voice, block & 1, row].tolist()
        return numbers

    def redrawn(self, voices: NDArray[np.int64], count: int, attempt: int) -> Floats:
        """Return other numbers for N voices' touch count; attempt, from 1, says which."""
        numbers = np.empty((len(voices), self._table.shape[-1]), np.float32)
        for voice, row in zip(voices.tolist(), numbers, strict=True):
            self._seek(voice, (0, count, 0, attempt))
            self._generator.random(out=row[: self._split], dtype=np.float32)
            self._generator.standard_normal(out=row[self._split :], dtype=np.float32)
        return numbers

    def block(self, voice: int, block: int) -> Floats:
        """Return the numbers (BLOCK, ·) of a block of a voice's touches."""
        return self._block_at(voice, (0, 0, block, 0))

    def candidate_block(self, voice: int, count: int, candidate: int, block: int) -> Floats:
        """Return numbers (BLOCK, ·) of a candidate for what a voice plays from touch count on.

        candidate, from 1, says which; block, from 0, which numbers of it.
        """
        return self._block_at(voice, (0, count, block, _CANDIDATES + candidate))

    def _block_at(self, voice: int, counter: tuple[int, int, int, int]) -> Floats:
        numbers = np.empty((BLOCK, self._table.shape[-1]), np.float32)
        self._seek(voice, counter)
        uniform, normal = np.split(numbers, [self._split], axis=1)
        uniform[:] = self._generator.random(uniform.shape, np.float32)
        normal[:] = self._generator.standard_normal(normal.shape, np.float32)
        return numbers

    def _fill(self, voice: int, block: int) -> None:
        """Generate a block of a voice's numbers, unless it is here."""
        half = block & 1
        if self._block[voice, half] == block:
            return
        self._block[voice, half] = block
        self._table[voice, half] = self._block_at(voice, (0, 0, block, 0))

    def _seek(self, voice: int, counter: tuple[int, int, int, int]) -> None:
        """Set the generator's state: it costs a sixth of making a generator."""
        self._state["state"]["key"][1] = voice
        self._state["state"]["counter"][:] = counter
        self._bits.state = self._state
