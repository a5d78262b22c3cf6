"""Many voices' step on the CPU as one batch: hear a touch each, draw the next.

The mathematics is that of robojam.step. What differs is the products: a BLAS that is given
a small batch and large weights spends most of its time on repacking the weights, at every
call. Given them in blocks of a few columns it takes its path for small matrices where it
has one (OpenBLAS with AVX-512: 3.5 times as fast for 8 voices, 1.7 times for 32), and is
no slower where it has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robojam.formulas import Array, features, pick, slide, velocity
from robojam.rows import Rows
from robojam.step import Network

#: Columns of a block, at most, and rows that are stepped together: from about a million
#: products in one, OpenBLAS repacks.
_COLUMNS, MOST = 32, 32

_HALF = np.array(0.5, np.float32)


class Chorus:
    """A network stepped for some voices at once, their rows changed in place."""

    def __init__(self, network: Network, rows: Rows) -> None:
        """Lay the weights out in blocks."""
        self._network, self._rows = network, rows
        n = network.units
        # The candidates come last, so that what opens and closes lies together.
        order = np.r_[0 : 2 * n, 3 * n : 4 * n, 2 * n : 3 * n]
        self._gates = [_blocks(layer.weight[:, order]) for layer in rows.layers]
        self._trunk = _blocks(rows.trunk)
        self._z = np.empty((MOST, 4 * n), np.float32)
        self._inner = np.empty((MOST, rows.trunk.shape[1]), np.float32)

    def hear(self, rows: Array, values: Array) -> None:
        """Let the voices of V rows hear one event (V, C) each."""
        for at in range(0, len(rows), MOST):
            self._hear(rows[at : at + MOST], values[at : at + MOST])

    def _hear(self, x: Array, values: Array) -> None:
        network, rows = self._network, self._rows
        event, position, n = network.event, network.position, network.units
        last, now, before = x[:, rows.last], x[:, rows.now], x[:, rows.before]
        if position is None:
            heard = features(np, event, values, last, now, before)
        else:
            here = pick(values, position.columns)
            slid = slide(position, values, np.where(np.isnan(last), here, last))
            moved = velocity(event, values, slid)
            heard = features(np, event, values, slid, moved, now)
            before[:], now[:], last[:] = now, moved, here
        x[:, rows.heard] = heard
        z = self._z[: len(x)]
        opened, candidate = z[:, : 3 * n], z[:, 3 * n :]
        into, kept, out = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n]
        for layer, weight in zip(rows.layers, self._gates, strict=True):
            cell = x[:, layer.cell]
            _product(x[:, layer.reads], weight, z)
            np.tanh(z, out=z)
            np.multiply(opened, _HALF, out=opened)
            np.add(opened, _HALF, out=opened)
            np.multiply(cell, kept, out=cell)
            np.multiply(candidate, into, out=candidate)
            np.add(cell, candidate, out=cell)
            np.tanh(cell, out=candidate)
            np.multiply(candidate, out, out=x[:, layer.writes])

    def sample(
        self,
        rows: Array,
        chances: Sequence[Sequence[float]] | Array,
        *,
        temperature: float,
        spread: float,
    ) -> Array:
        """Draw the next event (V, C) of the voices of V rows, which stay as they are.

        chances (V, factors + C): their random numbers as Network.sample's, the uniform
        ones first.
        """
        split = len(self._network.heads)
        numbers = np.asarray(chances, np.float32)
        drawn = np.empty((len(rows), numbers.shape[1] - split), np.float32)
        for at in range(0, len(rows), MOST):
            some = slice(at, at + MOST)
            x = rows[some]
            inner = self._inner[: len(x)]
            _product(x[:, self._rows.seen], self._trunk, inner)
            drawn[some] = self._network.draw(
                inner,
                self._rows.memory(x),
                numbers[some, :split],
                numbers[some, split:],
                temperature=temperature,
                spread=spread,
            )
        return drawn


def _blocks(weight: Array) -> Array:
    """Return a weight (K, N) in blocks of columns, (B, K, N / B)."""
    k, n = weight.shape
    width = max(w for w in range(1, _COLUMNS + 1) if n % w == 0)
    return np.ascontiguousarray(weight.reshape(k, n // width, width).transpose(1, 0, 2))


def _product(x: Array, blocks: Array, out: Array) -> None:
    """Put x (V, K) times the weight that came in blocks into out (V, N)."""
    count, _, width = blocks.shape
    np.matmul(x, blocks, out=out.reshape(len(out), count, width).transpose(1, 0, 2))
