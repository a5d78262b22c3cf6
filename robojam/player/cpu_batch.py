"""Many voices stepped on the CPU as one batch of numpy operations.

The mathematics is that of robojam.player.reference, written for any array; this is written
for numpy and for a few dozen voices, where arithmetic is not most of the time.

Products: for a small batch and large weights a BLAS spends its time on repacking the
weights, at every call. Given the weights in blocks of a few columns it takes its path for
small matrices where it has one (OpenBLAS with AVX-512: 3.5 times as fast for 8 voices, 1.7
times for 32), and is no slower where it has none.

Calls: each costs more than the few numbers that it works on. So whatever is the same for all
features or components is done in one call, into arrays that exist already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

import numpy as np

from robojam.model.event import Factor
from robojam.model.features import (
    FLOOR,
    LOG_EPSILON,
    MAX_SPEED,
    MIN_DURATION,
    Floats,
    Motion,
    summarise,
    summary_count,
)
from robojam.player.reference import LONGEST, Network, RandomNumbers, Sampling, is_cold
from robojam.player.state_layout import StateLayout, aligned
from robojam.player.stepper import refuse_following

#: Most columns of a block of weights.
_COLUMNS = 32
#: Most rows that are stepped at once: from about a million products in one call, OpenBLAS
#: repacks.
MAX_BATCH = 32

_HALF = np.array(0.5, np.float32)
#: The least deviation of a component.
_MIN_SCALE = np.array(math.exp(FLOOR), np.float32)


class BatchStepper:
    """A network stepped for several voices at once; a robojam.player.stepper.Stepper.

    rows holds the state, a row for each voice (robojam.player.state_layout). Rows that the
    caller has copied can be stepped by `feed_rows` and `sample_rows`; layout is theirs.
    """

    def __init__(
        self, network: Network, voices: int, *, layout: StateLayout | None = None
    ) -> None:
        """Lay out the weights of a network made with numpy; layout is its own, if made.

        Raises ValueError for an event that follows (robojam.model.event).
        """
        refuse_following(network.event)
        self.layout = layout = layout or StateLayout(network)
        self._columns = len(network.event.columns)
        self.rows = layout.initial(voices)
        self.state = layout.state(self.rows)
        self._initial = layout.initial(1)
        n = self._units = network.units
        # The candidates last, so that the three gates lie side by side.
        order = np.r_[0 : 2 * n, 3 * n : 4 * n, 2 * n : 3 * n]
        self._gates = [_blocks(layer.weight[:, order]) for layer in layout.layers]
        self._trunk_weight = _blocks(layout.trunk)
        self._z = np.empty((MAX_BATCH, 4 * n), np.float32)
        self._trunk = np.empty((MAX_BATCH, layout.trunk.shape[1]), np.float32)
        self._features = _Features(network, layout)
        self._heads = [_BatchHead(network, i) for i in range(len(network.heads))]

    def reset(self) -> None:
        """Return every voice to the state before its first event."""
        self.rows[:] = self._initial

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C) of its own."""
        self.feed_rows(self.rows[voice : voice + 1], np.array([event], np.float32))

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        """Advance the first voices, or every one, by the same event (C)."""
        rows = self.rows[:voices]
        self.feed_rows(rows, np.array([event] * len(rows), np.float32), heard=True)

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        """Advance N voices by an event (C) each, which humans played."""
        chosen = list(voices)
        rows = self.rows[chosen]
        self.feed_rows(rows, np.array(events, np.float32), heard=True)
        self.rows[chosen] = rows

    def prepare(self) -> None:
        """Compute nothing ahead: the products of a batch are taken whole."""

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices, given random numbers (N, factors + C)."""
        rows = self.rows[list(voices)]
        drawn: list[list[float]] = self.sample_rows(rows, numbers, **sampling).tolist()
        return drawn

    def feed_rows(self, rows: Floats, events: Floats, *, heard: bool | Floats = False) -> None:
        """Advance N rows, in place, by an event (N, C) each.

        heard is whether humans played them, and not the voices themselves; or (N, 1), with 1
        where they did and 0 elsewhere.
        """
        n = self._units
        for start in range(0, len(rows), MAX_BATCH):
            x = rows[start : start + MAX_BATCH]
            batch = slice(start, start + MAX_BATCH)
            by_humans = heard if isinstance(heard, bool) else heard[batch]
            self._features.feed(x, events[batch], heard=by_humans)
            z = self._z[: len(x)]
            opened, candidate = z[:, : 3 * n], z[:, 3 * n :]
            input_gate, forget_gate, output_gate = (z[:, i * n : i * n + n] for i in range(3))
            for layer, weight in zip(self.layout.layers, self._gates, strict=True):
                cell = x[:, layer.cell]
                _product(x[:, layer.reads], weight, z)
                np.tanh(z, out=z)
                np.multiply(opened, _HALF, out=opened)
                np.add(opened, _HALF, out=opened)
                np.multiply(cell, forget_gate, out=cell)
                np.multiply(candidate, input_gate, out=candidate)
                np.add(cell, candidate, out=cell)
                np.tanh(cell, out=candidate)
                np.multiply(candidate, output_gate, out=x[:, layer.writes])

    def sample_rows(
        self,
        rows: Floats,
        numbers: RandomNumbers,
        *,
        temperature: float | Floats,
        spread: float | Floats,
    ) -> Floats:
        """Draw the next event (N, C) of N rows, given random numbers (N, factors + C).

        temperature and spread may be arrays (N, 1), the temperatures then at least COLD.
        """
        numbers, layout, split = np.asarray(numbers, np.float32), self.layout, len(self._heads)
        inverse = None if is_cold(temperature) else np.asarray(1 / temperature, np.float32)
        deviations = np.asarray(spread, np.float32)
        drawn = np.empty((len(rows), self._columns), np.float32)
        for start in range(0, len(rows), MAX_BATCH):
            batch = slice(start, start + MAX_BATCH)
            x, values, trunk = rows[batch], drawn[batch], self._trunk[: len(rows[batch])]
            _product(x[:, layout.head_input], self._trunk_weight, trunk)
            z = numbers[batch, split:] * _rows_of(deviations, batch)
            coldness = None if inverse is None else _rows_of(inverse, batch)
            last = x[:, layout.position]
            now, before = x[:, layout.velocity], x[:, layout.previous_velocity]
            for i, head in enumerate(self._heads):
                u = numbers[batch, i : i + 1]
                if head.factor.kind == "flag":
                    values[:, head.columns] = unit = head.flag(trunk, u, coldness)
                else:
                    component = head.choose(trunk, u, coldness)
                    unit = head.unit(component, z[:, head.columns])
                    if head.moves:
                        unit += head.motion(component, values, now, before)
                    values[:, head.columns] = head.to_event(unit, values, last)
                if head.context is not None:
                    later = trunk[:, head.later]
                    later += unit @ head.context
        return drawn


class _Features:
    """Features of a batch of events: robojam.model.features.features, in place."""

    def __init__(self, network: Network, layout: StateLayout) -> None:
        event, self._layout = network.event, layout
        self._position, self._duration = event.position, event.duration
        #: For each feature: the column that it is computed from, its centre and its scale.
        rows: list[tuple[int, float, float]] = []
        self._logs: list[int] = []
        #: Features of either sign, whose inverse hyperbolic sine is taken.
        self._signed: list[slice] = []
        for head in network.heads:
            factor, start = head.factor, len(rows)
            flag = factor.kind == "flag"
            unit = (0.0, 1.0) if flag else (factor.centre, factor.scale)
            rows += [(column, *unit) for column in factor.columns]
            if factor.kind == "duration":
                self._logs.append(start)
            elif factor.kind == "offset":
                self._signed.append(slice(start, len(rows)))
            elif factor.slides is not None:  # its slide and two velocities, filled in later
                p, self._place = factor.dims, head.columns
                self._motion = slice(len(rows), len(rows) + 3 * p)
                self._signed.append(self._motion)
                rows += [(0, 0.0, factor.step)] * p + [(0, 0.0, event.speed)] * (2 * p)
        columns, centres, scales = zip(*rows, strict=True)
        self._columns = np.array(columns)
        self._centre = np.array(centres, np.float32)
        self._scale = np.array(scales, np.float32)
        self._limit = np.float32(MAX_SPEED * event.speed)
        #: How many numbers summarise all events, before the features of the last one.
        self._event, self._summary = event, summary_count(event)
        self._features = slice(self._summary, layout.features.stop)

    def feed(self, x: Floats, values: Floats, *, heard: bool | Floats) -> None:
        """Move rows to an event each, and write the event's features into them."""
        f, position = values[:, self._columns], self._position
        last = x[:, self._layout.position].copy() if self._summary else None
        for column in self._logs:
            seconds = f[:, column]
            np.maximum(seconds, LOG_EPSILON, out=seconds)
            np.log(seconds, out=seconds)
        if position is not None:
            self._move(x, values, position, f[:, self._motion])
        if last is not None:
            p, summary = last.shape[1], x[:, : self._summary]
            motion = Motion(last, *np.split(f[:, self._motion], [p, 2 * p], axis=1))
            summary[:] = summarise(np, self._event, values, motion, summary, heard=heard)
        f -= self._centre
        f /= self._scale
        for signed in self._signed:
            np.arcsinh(f[:, signed], out=f[:, signed])
        x[:, self._features] = f

    def _move(self, x: Floats, values: Floats, position: Factor, motion: Floats) -> None:
        """Move rows to the next position; fill motion with the slide and two velocities."""
        assert position.slides is not None
        p, layout = position.dims, self._layout
        last, velocities = x[:, layout.position], x[:, layout.velocities]
        new = values[:, self._place]
        slid = motion[:, :p]
        np.subtract(new, last, out=slid)
        slid *= values[:, position.slides, None]
        np.copyto(slid, 0.0, where=np.isnan(last))  # the first event has not slid
        velocities[:, p:] = velocities[:, :p]
        now = velocities[:, :p]
        if self._duration is None:
            now[:] = slid
        else:
            seconds = np.maximum(values[:, self._duration, None], MIN_DURATION)
            np.divide(slid, seconds, out=now)
            np.minimum(now, self._limit, out=now)
            np.maximum(now, -self._limit, out=now)
        last[:] = new
        motion[:, p:] = velocities


class _BatchHead:
    """Head of one factor, with its output laid out component by component."""

    def __init__(self, network: Network, i: int) -> None:
        head = network.heads[i]
        self.factor, self.columns, self.later = head.factor, head.columns, head.later
        self.context = head.later_context
        self._duration = network.event.duration
        self._trunk, self._k = head.trunk, head.factor.components
        index = head.component_index
        order = np.r_[: self._k, np.ravel(index)] if self._k else slice(None)
        self._weight = np.ascontiguousarray(head.weight[:, order])
        self._bias = head.bias[order]
        self._numbers = index.shape[-1]
        self._mean, self._raw, self._lower, self._shares = head.parts
        self.moves = self._shares.start < self._shares.stop
        self._rows = np.arange(MAX_BATCH)

    def _output(self, trunk: Floats) -> Floats:
        out: Floats = np.tanh(trunk[:, self._trunk]) @ self._weight
        out += self._bias
        return out

    def flag(self, trunk: Floats, u: Floats, coldness: Floats | None) -> Floats:
        """Draw a flag (V, 1), 0 or 1.

        coldness is 1 / temperature, of no dimension or (V, 1); None at temperature 0.
        """
        logit = self._output(trunk)
        if coldness is None:
            np.greater(logit, 0.0, out=logit)
            return logit
        logit *= _HALF * coldness
        np.tanh(logit, out=logit)
        logit *= _HALF
        logit += _HALF
        np.less(u, logit, out=logit)
        return logit

    def choose(self, trunk: Floats, u: Floats, coldness: Floats | None) -> Floats:
        """Choose a component by its weight; return its numbers (V, ·). See `flag`."""
        out = self._output(trunk)
        logits = out[:, : self._k]
        if coldness is None:
            chosen = logits.argmax(1)
        else:
            logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
            logits *= coldness
            cumulative = np.add.accumulate(np.exp(logits, out=logits), axis=1)
            reached = u * cumulative[:, -1:] >= cumulative[:, :-1]
            chosen = np.add.reduce(reached, axis=1, dtype=np.intp)
        numbers = out[:, self._k :].reshape(len(out), self._k, self._numbers)
        component: Floats = numbers[self._rows[: len(out)], chosen]
        return component

    def unit(self, numbers: Floats, z: Floats) -> Floats:
        """Draw (V, D) from a component, in the factor's units; z is overwritten."""
        # From the last row up: each needs the earlier columns of z unchanged.
        for i in range(self.factor.dims - 1, 0, -1):
            start = self._lower.start + i * (i - 1) // 2
            z[:, i] += np.add.reduce(numbers[:, start : start + i] * z[:, :i], axis=1)
        # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
        unit: Floats = np.exp(numbers[:, self._raw])
        unit += _MIN_SCALE
        unit *= z
        unit += numbers[:, self._mean]
        return unit

    def motion(self, numbers: Floats, values: Floats, now: Floats, before: Floats) -> Floats:
        """Return what the last velocities add to a slide (V, D); see features.motion."""
        factor = self.factor
        assert self._duration is not None
        assert factor.slides is not None
        scale = values[:, self._duration] * values[:, factor.slides]
        scale *= np.float32(1 / factor.step)
        shares = numbers[:, self._shares] * scale[:, None]
        added = shares[:, -1:] * before
        added += shares[:, :1] * now
        if factor.dims == 2:  # and the last velocity, turned by a right angle
            added[:, 0] -= shares[:, 1] * now[:, 1]
            added[:, 1] += shares[:, 1] * now[:, 0]
        return added

    def to_event(self, unit: Floats, values: Floats, last: Floats) -> Floats:
        """Convert a drawn value (V, D) from the factor's units to the event's."""
        factor = self.factor
        scale, centre = np.float32(factor.scale), np.float32(factor.centre)
        if factor.slides is not None:
            slides = np.logical_and(values[:, factor.slides, None], last == last)
            drawn: Floats = unit * np.where(slides, np.float32(factor.step), scale)
            drawn += np.where(slides, last, centre)
            return drawn
        drawn = unit * scale
        drawn += centre
        if factor.kind == "duration":
            np.minimum(drawn, np.float32(LONGEST), out=drawn)
            np.maximum(drawn, np.float32(-LONGEST), out=drawn)
            np.exp(drawn, out=drawn)
        return drawn


def _rows_of(values: Floats, rows: slice) -> Floats:
    """Return the rows of values (N, 1); values of no dimension stand for every row."""
    return values[rows] if values.ndim else values


def _blocks(weight: Floats) -> Floats:
    """Return a weight (K, N) in blocks of columns, (B, K, N / B)."""
    k, n = weight.shape
    width = max(w for w in range(1, _COLUMNS + 1) if n % w == 0)
    return aligned(weight.reshape(k, n // width, width).transpose(1, 0, 2))


def _product(x: Floats, blocks: Floats, out: Floats) -> None:
    """Write x (V, K) times a weight in blocks (B, K, N / B) to out (V, N)."""
    count, _, width = blocks.shape
    np.matmul(x, blocks, out=out.reshape(len(out), count, width).transpose(1, 0, 2))
