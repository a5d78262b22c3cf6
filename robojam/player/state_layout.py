"""A voice's state as one row of numbers, and the weights that fit it.

For play on the CPU: what was heard, then each layer's output, with a one before each; then
the cells; then the last place and the last two velocities. A layer reads its own part of
the row in place, the heads begin from all of what comes before the cells, and biases are
rows of the weights, met by the ones. To keep a voice, or to put it back, is to copy a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robojam.model.features import Array, feature_count
from robojam.player.reference import Memory, Network

#: Bytes of a cache line, and the numbers of 32 bits in it.
_LINE, _NUMBERS = 64, 16


def aligned(array: Array) -> Array:
    """Return a copy, of 32 bits a number, that begins where a cache line does.

    Elsewhere a product of these sizes takes up to a third longer, as chance has it.
    """
    room = np.empty(array.size + _NUMBERS, np.float32)
    start = -room.ctypes.data % _LINE // 4
    copy = room[start : start + array.size].reshape(array.shape)
    copy[...] = array
    return copy


@dataclass(frozen=True, slots=True)
class LayerLayout:
    """One layer: the parts of a row that it reads and writes, its cells, its weights."""

    reads: slice
    writes: slice
    cell: slice
    weight: Array


class StateLayout:
    """Where in a row what stands, for one network made with numpy."""

    def __init__(self, network: Network) -> None:
        """Lay out a network's weights once more, to meet rows."""
        event = network.event
        n, f = network.units, feature_count(event)
        places = event.position.dims if event.position else 0
        self.heard = slice(0, f)
        self.seen = slice(0, f + (1 + n) * len(network.gates))
        self.layers: list[LayerLayout] = []
        out, cell = f, self.seen.stop  # of the one before the layer's output; of its cells
        for i, (weight, bias) in enumerate(network.gates):
            fed = len(weight) - n
            rows = [weight[:fed], bias[None], weight[fed:]]
            if i:
                rows = [bias[None], weight[:fed], 0 * bias[None], weight[fed:]]
            self.layers.append(
                LayerLayout(
                    reads=slice(out - n - 1 if i else 0, out + 1 + n),
                    writes=slice(out + 1, out + 1 + n),
                    cell=slice(cell, cell + n),
                    weight=aligned(np.concatenate(rows)),
                )
            )
            out, cell = out + 1 + n, cell + n
        self.moved = slice(cell, cell + 3 * places)
        self.last, self.now, self.before = (
            slice(cell + i * places, cell + (i + 1) * places) for i in range(3)
        )
        self.velocities = slice(self.now.start, self.before.stop)
        weight, bias = network.trunk
        hidden = np.split(weight[: -f or None], len(network.gates))
        ones = [bias[None], *([0 * bias[None]] * (len(hidden) - 1))]
        rows = [one for pair in zip(ones, hidden, strict=True) for one in pair]
        self.trunk = aligned(np.concatenate([weight[len(weight) - f :], *rows]))
        self._initial = network.initial

    def blank(self, voices: int) -> Array:
        """Return the rows of V voices that have heard nothing."""
        rows = np.ones((voices, self.moved.stop), np.float32)
        self.memory(rows).write(slice(None), self._initial(1))
        return rows

    def memory(self, rows: Array) -> Memory:
        """Return what rows hold, by name: views of them."""
        return Memory(
            [rows[:, layer.writes] for layer in self.layers],
            [rows[:, layer.cell] for layer in self.layers],
            rows[:, self.last],
            rows[:, self.now],
            rows[:, self.before],
            rows[:, self.heard],
        )
