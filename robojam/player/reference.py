"""An MDN-RNN at play, one event at a time: advance a state by an event, sample the next.

The reference for the fast steppers (robojam.player.stepper). Written once for numpy arrays
and torch tensors: ``xp`` is the module that made them. On a CPU numpy needs a third of
torch's time for a step, and importing torch takes a second; on a GPU torch computes.
V is the number of voices, C the number of an event's columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from robojam.model import features
from robojam.model.event import EventSpec, Factor
from robojam.model.features import FLOOR, Array, ArrayModule, Floats, concat, pick
from robojam.touch import KNOB_RESTS

#: Largest absolute logarithm of a sampled duration: 15 years, and still finite.
LONGEST = 20.0
#: Temperatures below this count as 0: a logit divided by one of them may not be finite.
COLD = 1e-6

#: Random numbers of N events (N, factors + C): the uniform ones, then the normal ones.
RandomNumbers = Sequence[Sequence[float]] | Floats


class Sampling(TypedDict):
    """Keyword arguments by which `Network.sample` and the steppers sample."""

    temperature: float
    spread: float


@dataclass(slots=True)
class RecurrentState:
    """State of a recurrent model at play, one row for each of V voices.

    hidden and cell hold an array (V, units) for each layer. position (V, P) is the place of
    the last event (NaN before the first one), velocity and previous_velocity (V, P) the last
    two velocities, features (V, S + F) the summary of all events and the features of the last.
    """

    hidden: list[Array]
    cell: list[Array]
    position: Array
    velocity: Array
    previous_velocity: Array
    features: Array

    def arrays(self) -> list[Array]:
        """Return all of its arrays."""
        # previous_velocity comes before velocity: feed returns a state whose
        # previous_velocity is the array that write is about to overwrite.
        last = self.position, self.previous_velocity, self.velocity, self.features
        return [*self.hidden, *self.cell, *last]

    def rows(self, rows: slice | list[int] | Array) -> RecurrentState:
        """Return the state of some voices: views for a slice, else copies.

        rows is a slice, or the voices' numbers, or a mask (V,).
        """
        hidden, cell = [h[rows] for h in self.hidden], [c[rows] for c in self.cell]
        last = self.position, self.velocity, self.previous_velocity, self.features
        return RecurrentState(hidden, cell, *(array[rows] for array in last))

    def write(
        self, rows: slice | list[int], state: RecurrentState, where: Array | None = None
    ) -> None:
        """Overwrite the state of some voices in place; where (·, 1) selects among them."""
        for old, new in zip(self.arrays(), state.arrays(), strict=True):
            old[rows] = new if where is None else new.where(where, old)


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """Weights of one factor's head, laid out for play.

    columns: where the factor's values stand in an event. trunk, later: the parts of the
    trunk's output that belong to the head and to the later ones. weight and bias: the head's
    last layer. context: weights by which the factor's value is added to the trunk's output
    for the later heads, None for the last factor. component_index (K, ·): where each
    component's numbers stand in the head's output. parts: which of a component's numbers are
    means, scales, correlations and motion weights (robojam.model.features.component_parts).
    """

    factor: Factor
    columns: slice | list[int]
    trunk: slice
    later: slice
    weight: Array
    bias: Array
    context: Array | None
    component_index: Array
    parts: tuple[slice, ...]

    @property
    def later_context(self) -> Floats | None:
        """The part of context for the later heads, of a network made with numpy."""
        context = self.context
        return None if context is None else np.ascontiguousarray(context[:, self.later])

    def log_rest(self, xp: ArrayModule, out: Array, absent: slice) -> Array:
        """Return the log density (V, K) of absent columns at rest under each component.

        out (V, ·) is the head's output. Added to the logits of a diagonal mixture, it makes
        them those of the mixture given that these columns rest. Rest is only known to the
        width of the noise.
        """
        mean, raw = (
            out[:, self.component_index[:, part]][..., absent] for part in self.parts[:2]
        )
        deviation = math.exp(FLOOR) + xp.exp(raw)
        width = self.factor.noise / self.factor.step
        variance = deviation * deviation + width * width / 12
        return -0.5 * (mean * mean / variance + xp.log(variance)).sum(-1)


class Network:
    """A model's weights, laid out for one event at a time, and the steps over them.

    The state is a value: `feed` returns the next one. Each layer's gates are one product
    over joined weights. Sigmoids are computed as 0.5 + 0.5 tanh(z / 2), the half folded into
    the weights, so that one tanh serves all four gates.
    """

    def __init__(
        self,
        xp: ArrayModule,
        event: EventSpec,
        weights: dict[str, Array],
        *,
        knobs: int | None = None,
    ) -> None:
        """Lay out the weights of a model file, arrays of xp (robojam.model.file.shapes).

        knobs is the number of knobs of a rig that has fewer than the event. Events still have
        all columns: those of the knobs that are absent rest at KNOB_RESTS, plus the mean of
        the noise, as `sample` draws them. Raises ValueError where that does not fit the event.
        """
        self.xp, self.event, self.position = xp, event, event.position
        #: The columns of the position that are of absent knobs; None where all are there.
        self.absent: slice | None = None
        if knobs is not None and event.position is not None:
            self.absent = _absent(event, event.position, knobs)
        self.start = weights["start"]
        self.gates: list[tuple[Array, Array]] = []
        self.units = n = self.start.shape[-1]
        for layer in range(self.start.shape[1]):
            weight, bias = (
                [weights[f"rnn.{layer}.{name}_{part}_l0"] for part in ("ih", "hh")]
                for name in ("weight", "bias")
            )
            joined, bias = concat(xp, weight), bias[0] + bias[1]
            half = xp.ones_like(bias) * 0.5
            half[2 * n : 3 * n] = 1.0  # the candidate is a tanh already
            self.gates.append((_transposed(xp, joined * half[:, None]), bias * half))
        self.trunk = (_transposed(xp, weights["trunk.weight"]), weights["trunk.bias"])
        self.heads = [self._head_weights(i, weights) for i in range(len(event.factors))]
        self._one = xp.ones_like(self.start[0, 0, :1])
        self._row_numbers: dict[int, Array] = {}

    def _head_weights(self, i: int, weights: dict[str, Array]) -> HeadWeights:
        xp, event = self.xp, self.event
        factor = event.factors[i]
        start = sum(f.hidden for f in event.factors[:i])
        stop = start + factor.hidden
        known = sum(f.dims for f in event.factors[:i])
        context = [xp.zeros_like(self.trunk[0][: factor.dims, :stop])]
        for j in range(i + 1, len(event.factors)):
            columns = weights[f"context.{j}.weight"][:, known : known + factor.dims]
            context.append(_transposed(xp, columns))
        k, parts = factor.components, features.component_parts(event, factor)
        index = [
            np.arange(k * (1 + part.start), k * (1 + part.stop)).reshape(k, -1 if k else 0)
            for part in parts
            if part.start < part.stop
        ]
        return HeadWeights(
            factor=factor,
            columns=features.column_index(factor.columns),
            trunk=slice(start, stop),
            later=slice(stop, len(self.trunk[1])),
            weight=_transposed(xp, weights[f"head.{i}.weight"]),
            bias=weights[f"head.{i}.bias"],
            context=concat(xp, context) if len(context) > 1 else None,
            component_index=self._on_device(xp.asarray(np.concatenate(index, 1))),
            parts=parts,
        )

    def array(self, rows: list[list[float]]) -> Array:
        """Return rows of numbers as an array of the weights' type, on their device."""
        return self._on_device(self.xp.asarray(rows, dtype=self.start.dtype))

    def _on_device(self, array: Array) -> Array:
        return array.to(self.start.device) if hasattr(array, "to") else array

    def initial(self, voices: int) -> RecurrentState:
        """Return the state of V voices before their first event."""
        xp, start = self.xp, self.start
        dims = self.position.dims if self.position else 0
        known = features.summary_count(self.event) + features.feature_count(self.event)
        blank = xp.concatenate([start[0, 0, :1][None] * 0] * voices)  # (V, 1)
        zero = xp.concatenate([blank] * (dims + 1), -1)[:, 1:]  # (V, P)
        return RecurrentState(
            hidden=[blank + start[0, layer] for layer in range(start.shape[1])],
            cell=[blank + start[1, layer] for layer in range(start.shape[1])],
            position=zero + math.nan,
            velocity=zero + 0,
            previous_velocity=zero + 0,
            features=xp.concatenate([blank] * known, -1),
        )

    def feed(
        self, state: RecurrentState, values: Array, *, heard: bool | Array = True
    ) -> RecurrentState:
        """Return the state after one event (V, C) of each voice.

        heard is whether humans played it, or (V, 1) with 1 where they did and 0 elsewhere
        (robojam.model.features.summarise).
        """
        xp, event = self.xp, self.event
        position = slid = state.position
        now, before = state.velocity, state.previous_velocity
        if self.position is not None:
            position = pick(values, self.position.columns)
            last = xp.where(xp.isnan(state.position), position, state.position)
            slid = features.slide(self.position, values, last)
            now, before = features.velocity(event, values, slid), now
        x = event_features = features.features(xp, event, values, slid, now, before)
        if event.summarises:
            summary = state.features[:, : -x.shape[-1]]
            motion = features.Motion(state.position, slid, now, before)
            given = values, motion, summary
            summary = features.summarise(xp, event, *given, heard=heard)
            event_features = concat(xp, [summary, x])
        hidden: list[Array] = []
        cell: list[Array] = []
        n = self.units
        for (weight, bias), h, c in zip(self.gates, state.hidden, state.cell, strict=True):
            gates = xp.tanh(concat(xp, [x, h]) @ weight + bias)
            opened = 0.5 + 0.5 * gates
            c = opened[:, n : 2 * n] * c + opened[:, :n] * gates[:, 2 * n : 3 * n]
            x = opened[:, 3 * n :] * xp.tanh(c)
            hidden.append(x)
            cell.append(c)
        return RecurrentState(hidden, cell, position, now, before, event_features)

    def trunk_output(self, state: RecurrentState) -> Array:
        """Return the trunk's output (V, sum of the heads' hidden units)."""
        joined = concat(self.xp, [*state.hidden, state.features])
        return joined @ self.trunk[0] + self.trunk[1]

    def add_context(self, i: int, trunk: Array, unit: Array) -> Array:
        """Return the trunk's output for the heads after factor i, given its unit values.

        unit (V, dims) is the factor's value as robojam.model.features.normalise has it.
        """
        context = self.heads[i].context
        return trunk if context is None else trunk + unit @ context

    def head_output(self, i: int, trunk: Array) -> Array:
        """Return the output of factor i's head, given that of the trunk with its context."""
        head = self.heads[i]
        return self.xp.tanh(trunk[:, head.trunk]) @ head.weight + head.bias

    def sample(
        self,
        state: RecurrentState,
        uniform: Array,
        gauss: Array,
        *,
        temperature: float | Array,
        spread: float | Array,
    ) -> Array:
        """Draw the next event (V, C) of each voice from given random numbers.

        uniform (V, factors) in [0, 1) chooses flags and components, gauss (V, C) is
        standard normal. temperature divides logits (0: the likeliest); spread
        multiplies every deviation (0: the mean). Both may be arrays of no dimension, the
        temperature then at least COLD.
        """
        xp, event = self.xp, self.event
        trunk = self.trunk_output(state)
        values = gauss * 0
        for i, head in enumerate(self.heads):
            factor, out, u = head.factor, self.head_output(i, trunk), uniform[:, i : i + 1]
            if factor.kind == "flag":
                drawn = unit = self._flag(out, u, temperature)
            else:
                logits = out[:, : factor.components]
                absent = self.absent if factor is self.position else None
                if absent is not None:
                    logits = logits + head.log_rest(xp, out, absent)
                component = self._choose(logits, u, temperature)
                numbers = out[self._rows(len(out)), head.component_index[component]]
                mean, raw, lower, shares = (numbers[:, part] for part in head.parts)
                z = gauss[:, head.columns] * spread
                # From the last row up: each needs the earlier columns of z unchanged.
                for row in range(0 if factor.diagonal else factor.dims - 1, 0, -1):
                    start = row * (row - 1) // 2
                    z[:, row] += (lower[:, start : start + row] * z[:, :row]).sum(-1)
                # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
                unit = mean + (math.exp(FLOOR) + xp.exp(raw)) * z
                if features.motion_terms(event, factor):
                    velocities = state.velocity, state.previous_velocity
                    moved = features.motion(xp, event, factor, values, *velocities)
                    unit = unit + (shares[:, None] @ moved)[:, 0]
                drawn = unit * factor.scale + factor.centre
            if factor.kind == "duration":
                drawn = xp.exp(features.clipped(drawn, -LONGEST, LONGEST))
            if factor.slides is not None:
                slides = ~xp.isnan(state.position)
                way = unit * factor.step
                if factor.follows:
                    way = way * (abs(way) > factor.noise)
                else:
                    slides = slides & (pick(values, (factor.slides,)) > 0.5)
                drawn = xp.where(slides, state.position + way, drawn)
                if absent is not None:
                    drawn[:, absent] = KNOB_RESTS + factor.noise / 2
            values[:, head.columns] = drawn
            trunk = self.add_context(i, trunk, unit)
        return values

    def _flag(self, logit: Array, u: Array, temperature: float | Array) -> Array:
        if is_cold(temperature):
            return (logit > 0) * self._one
        probability = 0.5 + 0.5 * self.xp.tanh(logit / (2 * temperature))
        return (u < probability) * self._one

    def _choose(self, logits: Array, u: Array, temperature: float | Array) -> Array:
        if is_cold(temperature):
            return logits.argmax(-1)
        highest = logits[self._rows(len(logits)), logits.argmax(-1)[:, None]]
        cumulative = self.xp.exp((logits - highest) / temperature).cumsum(-1)
        return (u * cumulative[:, -1:] >= cumulative[:, :-1]).sum(-1)

    def _rows(self, voices: int) -> Array:
        """Return the voices' row numbers (V, 1)."""
        if voices not in self._row_numbers:
            self._row_numbers[voices] = self._on_device(self.xp.arange(voices))[:, None]
        return self._row_numbers[voices]


def _absent(event: EventSpec, position: Factor, knobs: int) -> slice | None:
    """Return the columns of a position beyond those of a rig's knobs, or None.

    Raises ValueError for a rig that a model of the event does not fit.
    """
    most = position.dims if position.follows else 0
    if knobs == most:
        return None
    if not (event.fewer and 1 <= knobs < most):
        allowed = f"1 to {most}" if event.fewer else f"{most}"
        what = f"a model of {allowed} knobs" if most else "a model that is of no knobs"
        raise ValueError(f"a rig of {knobs} knobs cannot play {what}")
    return slice(knobs, most)


def is_cold(temperature: float | Array) -> bool:
    """Return whether a temperature is 0; False for an array, as reading it would wait."""
    return isinstance(temperature, int | float) and temperature < COLD


def _transposed(xp: ArrayModule, weight: Array) -> Array:
    return np.ascontiguousarray(weight.T) if xp is np else weight.T.contiguous()
