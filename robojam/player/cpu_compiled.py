"""One voice stepped on the CPU by compiled functions (robojam.player.kernels).

For play where numba is installed. The state is that of robojam.player.cpu_single, and what
concerns several voices goes to the same robojam.player.cpu_batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Unpack

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from robojam.model.features import (
    LANDING_NUMBERS,
    MOVE_NUMBERS,
    Floats,
    summarised,
    summary_count,
)
from robojam.player import kernels as k
from robojam.player.cpu_batch import BatchStepper
from robojam.player.reference import Network, RandomNumbers, Sampling
from robojam.player.state_layout import LayerLayout, StateLayout, aligned
from robojam.player.stepper import refuse_following

#: Name of what steps the voices.
COMPILER = f"numba {numba.__version__}"
#: The greatest whole number that a weight becomes.
_GREATEST = np.iinfo(np.int16).max


class CompiledStepper:
    """A network stepped for one voice at a time; a robojam.player.stepper.Stepper.

    batch is a BatchStepper over the same rows, None where there is only one voice.
    """

    def __init__(self, network: Network, voices: int) -> None:
        """Lay out the weights of a network made with numpy, for V voices.

        Raises ValueError for an event that follows (robojam.model.event).
        """
        refuse_following(network.event)
        self.layout = layout = StateLayout(network)
        self.batch = BatchStepper(network, voices, layout=layout) if voices > 1 else None
        self.rows = layout.initial(voices) if self.batch is None else self.batch.rows
        self.state = layout.state(self.rows)
        self._initial = layout.initial(1)
        self._row_views = list(self.rows)  # to make one takes as long as a small product
        self._network = _Plan(network, layout).arrays()
        columns = len(network.event.columns)
        self._event = np.zeros(columns)
        self._numbers = np.zeros(len(network.heads) + columns)
        self._drawn = np.zeros(2 * columns)
        self._values = self._drawn[:columns]

    def reset(self) -> None:
        """Return every voice to the state before its first event."""
        self.rows[:] = self._initial

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        """Advance every voice by the same event (C)."""
        if self.batch is None:
            self._event[:] = event
            k.feed(*self._network, self._row_views[0], self._event, 1)
        else:
            self.batch.feed_all(event, voices)

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C) of its own."""
        self._event[:] = event
        k.feed(*self._network, self._row_views[voice], self._event, 0)

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        """Advance N voices by an event (C) each, which humans played."""
        if self.batch is None or len(voices) == 1:
            for voice, event in zip(voices, events, strict=True):
                self._event[:] = event
                k.feed(*self._network, self._row_views[voice], self._event, 1)
        else:
            self.batch.feed_some(voices, events)

    def prepare(self) -> None:
        """Compute what the next event of a single voice needs and does not change."""
        if self.batch is None:
            k.prepare(*self._network, self._row_views[0])

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices, given random numbers (N, factors + C)."""
        if len(voices) == 1:
            self._numbers[:] = numbers[0]
            temperature, spread = sampling["temperature"], sampling["spread"]
            row = self._row_views[voices[0]]
            k.sample(*self._network, row, self._numbers, temperature, spread, self._drawn)
            return [self._values.tolist()]
        assert self.batch is not None, "there is only one voice"
        return self.batch.sample(voices, numbers, **sampling)


def quantise(weight: Floats) -> tuple[NDArray[np.int16], Floats]:
    """Return a weight (K, N) as whole numbers, and the scale (N) of each column."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-30) / np.float32(_GREATEST)
    return np.rint(weight / scale).astype(np.int16), scale


class _Plan:
    """Network as robojam.player.kernels is given it: plan, floats and tiles."""

    def __init__(self, network: Network, layout: StateLayout) -> None:
        event = network.event
        self._plan = [0] * k.HEADER
        self._floats: list[Floats] = []
        self._tiles: list[NDArray[np.int16]] = []
        self._widest = self._longest = 0  # most columns and rows of the products
        layers = [self._layer(layer, is_first=not i) for i, layer in enumerate(layout.layers)]
        factors = [self._factor(network, i) for i in range(len(network.heads))]
        # The one before the first layer's output multiplies the bias.
        bias, trunk = layout.features.stop, layout.trunk.copy()
        trunk[bias] = 0
        event_factors = [head.factor for head in network.heads]
        plan_factors = self._append(chain(*factors))
        of_summary = [0, 0]  # where the factors of place and dt stand in the plan
        if event.summarises:
            numbers = map(event_factors.index, summarised(event))
            of_summary = [plan_factors + k.FACTOR_SIZE * number for number in numbers]
        places = {
            k.UNITS: network.units,
            k.LAYERS: len(layers),
            k.FACTORS: len(factors),
            k.DIMS: event.position.dims if event.position else 0,
            k.DURATION: -1 if event.duration is None else event.duration,
            k.MOTION_ROW: layout.motion.start,
            k.HEAD_ROWS: layout.head_input.stop,
            k.SPEED_AT: self._place([event.speed]),
            k.TRUNK: self._product(trunk, layout.trunk[bias]),
            k.PLAN_LAYERS: self._append(chain(*layers)),
            k.PLAN_FACTORS: plan_factors,
            k.SUMMARY: summary_count(event),
            k.MOVE_MEANS: len(event.move_means),
            k.LANDING_MEANS: len(event.landing_means),
            k.DECAYS_AT: self._place([*event.move_means, *event.landing_means]),
            k.NUMBERS_AT: self._place(np.zeros(max(MOVE_NUMBERS, LANDING_NUMBERS))),
            k.PLACE: of_summary[0],
            k.TIME: of_summary[1],
            k.INPUT_AT: self._place(np.zeros(self._longest + k.TILE_ROWS)),
            k.SUM_AT: self._place(np.zeros(self._widest)),
            k.TRUNK_AT: self._place(np.zeros(self._widest)),
        }
        for place, number in places.items():
            self._plan[place] = number

    def arrays(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int16]]:
        """Return plan, floats and tiles."""
        tiles = aligned(np.concatenate(self._tiles).view(np.float32)).view(np.int16)
        return np.array(self._plan, np.int64), aligned(np.concatenate(self._floats)), tiles

    def _layer(self, layer: LayerLayout, *, is_first: bool) -> list[int]:
        """Return the description of a layer."""
        new, known = layer.weight[: layer.new], layer.weight[layer.new :]
        bias, first = known[0], layer.reads.start
        if not is_first:  # the row of the one before the output of the layer below
            bias, new, first = bias + new[0], new[1:], first + 1
        known_product = self._product(known[1:], bias)
        places = {
            k.NEW: self._product(new),
            k.KNOWN: known_product,
            k.NEW_ROW: first,
            k.NEW_ROWS: len(new),
            k.OUTPUT_ROW: layer.writes.start,
            k.CELL_ROW: layer.cell.start,
            k.AHEAD_AT: self._place(np.zeros(self._widest)),
            k.AHEAD_OF_AT: self._place(np.full(len(known) - 1, np.nan)),
        }
        return [places[place] for place in range(k.LAYER_SIZE)]

    def _factor(self, network: Network, i: int) -> list[int]:
        """Return the description of a factor and its head."""
        head, factor = network.heads[i], network.heads[i].factor
        components = factor.components
        # The logits first, then the numbers of one component after the other.
        order = np.r_[:components, np.ravel(head.component_index)] if components else [0]
        shares, context = head.parts[-1], head.later_context
        places = {
            k.KIND: k.KINDS.index(factor.kind),
            k.FACTOR_DIMS: factor.dims,
            k.COLUMNS: self._append(factor.columns),
            k.COMPONENTS: components,
            k.NUMBERS: shares.stop,
            k.SHARES: shares.stop - shares.start,
            k.SLIDES: -1 if factor.slides is None else factor.slides,
            k.HEAD: self._product(head.weight[:, order], head.bias[order]),
            k.PART: head.trunk.start,
            k.PART_SIZE: head.trunk.stop - head.trunk.start,
            k.CONTEXT_AT: 0 if context is None else self._place(context),
            k.LATER_SIZE: 0 if context is None else context.shape[1],
            k.UNIT_AT: self._place([factor.centre, factor.scale, factor.step]),
        }
        return [places[place] for place in range(k.FACTOR_SIZE)]

    def _product(self, weight: Floats, bias: Floats | None = None) -> int:
        """Add a weight (K, N) and a bias (N) as tiles; return their place in the plan."""
        rows, columns = (
            -(-size // tile)
            for size, tile in zip(weight.shape, (k.TILE_ROWS, k.TILE_COLUMNS), strict=True)
        )
        whole = np.zeros((rows * k.TILE_ROWS, columns * k.TILE_COLUMNS), np.float32)
        whole[: len(weight), : weight.shape[1]] = weight
        numbers, scale = quantise(whole)
        tiles = numbers.reshape(rows, k.TILE_ROWS, columns, k.TILE_COLUMNS).swapaxes(1, 2)
        self._widest = max(self._widest, whole.shape[1])
        self._longest = max(self._longest, len(whole))
        padded_bias = np.zeros(whole.shape[1])
        if bias is not None:
            padded_bias[: len(bias)] = bias
        places = {
            k.ROW_TILES: rows,
            k.COLUMN_TILES: columns,
            k.TILES: sum(map(len, self._tiles)),
            k.SCALE_AT: self._place(scale),
            k.BIAS_AT: self._place(padded_bias),
        }
        self._tiles.append(tiles.ravel())
        return self._append(places[place] for place in range(k.PRODUCT_SIZE))

    def _place(self, values: ArrayLike) -> int:
        """Add values to the floats, from the beginning of a cache line; return their place."""
        flat = np.ravel(np.asarray(values, np.float32))
        place = sum(map(len, self._floats))
        self._floats.append(np.pad(flat, (0, -len(flat) % k.TILE_COLUMNS)))
        return place

    def _append(self, numbers: Iterable[int]) -> int:
        """Add numbers to the plan; return their place."""
        place = len(self._plan)
        self._plan += map(int, numbers)
        return place
