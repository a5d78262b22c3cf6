"""Layout of a voice's state as one row of numbers, and the weights that fit it.

For play on the CPU. A row holds the summary of all events and the last event's features, then
each layer's output with a one before each, then the cells, then the last position and the
last two velocities. A layer reads its own part of the row in place, the heads read all that
comes before the cells, and biases are rows of the weights, multiplied by the ones. To keep or
restore a voice is to copy a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robojam.model.features import Floats, feature_count, summary_count
from robojam.player.reference import Network, RecurrentState

#: Bytes of a cache line.
_LINE = 64


def aligned(array: Floats) -> Floats:
    """Return a copy in float32 that begins at a cache line.

    Elsewhere a product of these sizes takes up to a third longer, as chance has it.
    """
    buffer = np.empty(array.size + _LINE // 4, np.float32)
    start = -buffer.ctypes.data % _LINE // 4
    copy = buffer[start : start + array.size].reshape(array.shape)
    copy[...] = array
    return copy


@dataclass(frozen=True, slots=True)
class LayerLayout:
    """Parts of a row that a layer reads and writes, its cells and its weights.

    The first `new` rows of the weight multiply what the event has changed: the event's
    features, or the output of the layer below. The others multiply the layer's own last
    output, which is there before the event.
    """

    reads: slice
    writes: slice
    cell: slice
    weight: Floats
    new: int


class StateLayout:
    """Place of each part of a state within a row, for one network made with numpy."""

    def __init__(self, network: Network) -> None:
        """Lay out a network's weights to fit the rows."""
        event = network.event
        n, s = network.units, summary_count(event)
        f = s + feature_count(event)
        dims = event.position.dims if event.position else 0
        self.features = slice(0, f)
        self.head_input = slice(0, f + (1 + n) * len(network.gates))
        self.layers: list[LayerLayout] = []
        # End of the previous layer's output, and start of this layer's cells.
        out, cell = f, self.head_input.stop
        for i, (weight, bias) in enumerate(network.gates):
            inputs = len(weight) - n
            rows = [weight[:inputs], bias[None], weight[inputs:]]
            if i:
                rows = [bias[None], weight[:inputs], 0 * bias[None], weight[inputs:]]
            self.layers.append(
                LayerLayout(
                    reads=slice(out - n - 1 if i else s, out + 1 + n),
                    writes=slice(out + 1, out + 1 + n),
                    cell=slice(cell, cell + n),
                    weight=aligned(np.concatenate(rows)),
                    new=1 + n if i else f - s,
                )
            )
            out, cell = out + 1 + n, cell + n
        self.motion = slice(cell, cell + 3 * dims)
        self.position, self.velocity, self.previous_velocity = (
            slice(cell + i * dims, cell + (i + 1) * dims) for i in range(3)
        )
        self.velocities = slice(self.velocity.start, self.previous_velocity.stop)
        weight, bias = network.trunk
        hidden = np.split(weight[: -f or None], len(network.gates))
        ones = [bias[None], *([0 * bias[None]] * (len(hidden) - 1))]
        rows = [part for pair in zip(ones, hidden, strict=True) for part in pair]
        self.trunk = aligned(np.concatenate([weight[len(weight) - f :], *rows]))
        self._initial = network.initial(1)

    def initial(self, voices: int) -> Floats:
        """Return the rows of V voices before their first event."""
        rows = np.ones((voices, self.motion.stop), np.float32)
        self.state(rows).write(slice(None), self._initial)
        return rows

    def state(self, rows: Floats) -> RecurrentState:
        """Return the parts of some rows by name, as views."""
        return RecurrentState(
            hidden=[rows[:, layer.writes] for layer in self.layers],
            cell=[rows[:, layer.cell] for layer in self.layers],
            position=rows[:, self.position],
            velocity=rows[:, self.velocity],
            previous_velocity=rows[:, self.previous_velocity],
            features=rows[:, self.features],
        )
