"""Many voices' step on the CPU as one batch: hear a touch each, draw the next.

The mathematics is that of robojam.player.reference, written for any array; this is written for
numpy and for a few dozen voices, where most of the time is not arithmetic.

The products: a BLAS that is given a small batch and large weights spends its time on
repacking the weights, at every call. Given them in blocks of a few columns it takes its
path for small matrices where it has one (OpenBLAS with AVX-512: 3.5 times as fast for 8
voices, 1.7 times for 32), and is no slower where it has none.

The calls: each costs more than the few numbers that it works on. So what is alike in all
features or components is done in one call, into arrays that are there already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robojam.model.event import Factor
from robojam.model.features import (
    FLOOR,
    MAX_SPEED,
    MIN_DURATION,
    TINY,
    Array,
    carries,
    where_of,
)
from robojam.player.reference import COLD, LONGEST, Network
from robojam.player.state_layout import StateLayout, aligned

#: Columns of a block, at most, and rows that are stepped together: from about a million
#: products in one, OpenBLAS repacks.
_COLUMNS, MOST = 32, 32

_HALF = np.array(0.5, np.float32)
#: The least deviation of a component.
_LEAST = np.array(math.exp(FLOOR), np.float32)


class BatchStepper:
    """A network stepped for some voices at once, from and into their rows."""

    def __init__(self, network: Network, rows: StateLayout) -> None:
        """Lay the weights out in blocks."""
        self._rows, self._event = rows, network.event
        n = network.units
        self._units = n
        # The candidates come last, so that what opens and closes lies together.
        order = np.r_[0 : 2 * n, 3 * n : 4 * n, 2 * n : 3 * n]
        self._gates = [_blocks(layer.weight[:, order]) for layer in rows.layers]
        self._trunk = _blocks(rows.trunk)
        self._z = np.empty((MOST, 4 * n), np.float32)
        self._inner = np.empty((MOST, rows.trunk.shape[1]), np.float32)
        self._features = _Features(network, rows)
        self._heads = [_Head(network, i) for i in range(len(network.heads))]

    def feed(self, rows: Array, values: Array) -> None:
        """Let the voices of V rows hear one event (V, C) each: their rows are changed."""
        for at in range(0, len(rows), MOST):
            self._feed(rows[at : at + MOST], values[at : at + MOST])

    def _feed(self, x: Array, values: Array) -> None:
        self._features.feed(x, values)
        n, z = self._units, self._z[: len(x)]
        opened, candidate = z[:, : 3 * n], z[:, 3 * n :]
        into, kept, out = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n]
        for layer, weight in zip(self._rows.layers, self._gates, strict=True):
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
        numbers = np.asarray(chances, np.float32)
        drawn = np.empty((len(rows), len(self._event.columns)), np.float32)
        for at in range(0, len(rows), MOST):
            some = slice(at, at + MOST)
            self._sample(rows[some], numbers[some], drawn[some], temperature, spread)
        return drawn

    def _sample(
        self, x: Array, chances: Array, values: Array, temperature: float, spread: float
    ) -> None:
        inner = self._inner[: len(x)]
        _product(x[:, self._rows.seen], self._trunk, inner)
        split = len(self._heads)
        z = chances[:, split:] * np.float32(spread)
        moved = x[:, self._rows.last], x[:, self._rows.now], x[:, self._rows.before]
        for i, head in enumerate(self._heads):
            u = chances[:, i : i + 1]
            if head.factor.kind == "flag":
                unit = head.flag(inner, u, temperature)
                values[:, head.columns] = unit
            else:
                numbers = head.component(inner, u, temperature)
                unit = head.unit(numbers, z[:, head.columns])
                if head.shares is not None:
                    unit += head.push(numbers, values, *moved[1:])
                values[:, head.columns] = head.settled(unit, values, moved[0])
            if head.tell is not None:
                rest = inner[:, head.later]
                rest += unit @ head.tell


class _Features:
    """What of an event is heard, for a batch: robojam.model.features.features."""

    def __init__(self, network: Network, rows: StateLayout) -> None:
        event, self._rows = network.event, rows
        self._position, self._duration = event.position, event.duration
        take: list[int] = []
        centre: list[float] = []
        scale: list[float] = []
        self._logs: list[int] = []
        self._offsets: list[slice] = []
        self._moved = slice(0, 0)
        for factor in event.factors:
            at = len(take)
            if factor.kind == "duration":
                self._logs.append(at)
            elif factor.kind == "offset":
                self._offsets.append(slice(at, at + factor.dims))
            take += factor.columns
            unit = (0.0, 1.0) if factor.kind == "flag" else (factor.centre, factor.scale)
            centre += [unit[0]] * factor.dims
            scale += [unit[1]] * factor.dims
            if factor.slides is not None:  # its slide and two velocities, filled in later
                moved = [factor.step] * factor.dims + [event.speed] * (2 * factor.dims)
                self._moved = slice(len(take), len(take) + len(moved))
                take += [0] * len(moved)
                centre += [0.0] * len(moved)
                scale += moved
        self._take = np.array(take)
        self._centre = np.array(centre, np.float32)
        self._scale = np.array(scale, np.float32)
        self._limit = np.float32(MAX_SPEED * event.speed)

    def feed(self, x: Array, values: Array) -> None:
        """Move the voices of some rows to an event each, and write what is heard of it."""
        f, position = values[:, self._take], self._position
        for column in self._logs:
            seconds = f[:, column]
            np.maximum(seconds, TINY, out=seconds)
            np.log(seconds, out=seconds)
        if position is not None:
            self._move(x, values, f[:, self._moved])
        f -= self._centre
        f /= self._scale
        if position is not None:
            moved = f[:, self._moved]
            np.arcsinh(moved, out=moved)
        for offsets in self._offsets:
            f[:, offsets] = np.arcsinh(f[:, offsets])
        x[:, self._rows.heard] = f

    def _move(self, x: Array, values: Array, moved: Array) -> None:
        """Move to the next place; moved gets the slide and the last two velocities."""
        position, rows = self._position, self._rows
        assert position is not None
        assert position.slides is not None
        p = position.dims
        last, velocities = x[:, rows.last], x[:, rows.velocities]
        here = values[:, where_of(position.columns)]
        slid = moved[:, :p]
        np.subtract(here, last, out=slid)
        slid *= values[:, position.slides, None]
        np.copyto(slid, 0.0, where=np.isnan(last))  # nothing was heard yet
        velocities[:, p:] = velocities[:, :p]
        now = velocities[:, :p]
        if self._duration is None:
            now[:] = slid
        else:
            seconds = np.maximum(values[:, self._duration, None], MIN_DURATION)
            np.divide(slid, seconds, out=now)
            np.minimum(now, self._limit, out=now)
            np.maximum(now, -self._limit, out=now)
        last[:] = here
        moved[:, p:] = velocities


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the numbers of one component stand."""

    mean: slice
    raw: slice
    lower: slice
    shares: slice


class _Head:
    """One factor's head, its output laid out component by component."""

    def __init__(self, network: Network, i: int) -> None:
        event, head = network.event, network.heads[i]
        self.factor: Factor = event.factors[i]
        self.columns = head.columns
        self._inner, self._k = head.inner, self.factor.components
        self.later = slice(head.inner.stop, len(network.trunk[1]))
        self.tell = (
            None if head.tell is None else np.ascontiguousarray(head.tell[:, self.later])
        )
        self._weight, self._bias = head.weight, head.bias
        self.shares: slice | None = None
        self._duration = event.duration
        if self._k:
            order = np.concatenate([np.arange(self._k), np.ravel(head.index)])
            self._weight = np.ascontiguousarray(head.weight[:, order])
            self._bias = head.bias[order]
            self._parts = _Parts(*head.parts)
            self._each = head.index.shape[1]
        if carries(event, self.factor):
            self.shares = self._parts.shares
        d = self.factor.dims
        self._below = [(i, slice(i * (i - 1) // 2, i * (i + 1) // 2)) for i in range(1, d)]
        self._row = np.arange(MOST)

    def _out(self, inner: Array) -> Array:
        out = np.tanh(inner[:, self._inner]) @ self._weight
        out += self._bias
        return out

    def flag(self, inner: Array, u: Array, temperature: float) -> Array:
        """Draw a flag (V, 1), 0 or 1."""
        logit = self._out(inner)
        if temperature < COLD:
            np.greater(logit, 0.0, out=logit)
            return logit
        logit *= np.float32(0.5 / temperature)
        np.tanh(logit, out=logit)
        logit *= _HALF
        logit += _HALF
        np.less(u, logit, out=logit)
        return logit

    def component(self, inner: Array, u: Array, temperature: float) -> Array:
        """Choose a component by its weight; return its numbers (V, ·)."""
        out = self._out(inner)
        logits = out[:, : self._k]
        if temperature < COLD:
            chosen = logits.argmax(1)
        else:
            logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
            if temperature != 1.0:
                logits *= np.float32(1 / temperature)
            below = np.add.accumulate(np.exp(logits, out=logits), axis=1)
            chosen = np.add.reduce(u * below[:, -1:] >= below[:, :-1], axis=1, dtype=np.intp)
        numbers = out[:, self._k :].reshape(len(out), self._k, self._each)
        return numbers[self._row[: len(out)], chosen]

    def unit(self, numbers: Array, z: Array) -> Array:
        """Draw (V, D) from a component, in the factor's units; z is changed."""
        parts = self._parts
        if self._below:
            lower = numbers[:, parts.lower]
            # From the last column up: each is made of those before it as they were.
            for i, where in reversed(self._below):
                z[:, i] += np.add.reduce(lower[:, where] * z[:, :i], axis=1)
        # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
        unit = np.exp(numbers[:, parts.raw])
        unit += _LEAST
        unit *= z
        unit += numbers[:, parts.mean]
        return unit

    def push(self, numbers: Array, values: Array, now: Array, before: Array) -> Array:
        """What the last velocities add to a slide, (V, D): robojam.model.features.motion."""
        factor = self.factor
        assert self.shares is not None
        assert self._duration is not None
        assert factor.slides is not None
        scale = values[:, self._duration] * values[:, factor.slides]
        scale *= np.float32(1 / factor.step)
        shares = numbers[:, self.shares] * scale[:, None]
        push = shares[:, -1:] * before
        push += shares[:, :1] * now
        if factor.dims == 2:  # and the last velocity, turned by a right angle
            push[:, 0] -= shares[:, 1] * now[:, 1]
            push[:, 1] += shares[:, 1] * now[:, 0]
        return push

    def settled(self, unit: Array, values: Array, last: Array) -> Array:
        """Bring what was drawn (V, D) from its units to the event's."""
        factor = self.factor
        if factor.slides is not None:
            slides = np.logical_and(values[:, factor.slides, None], last == last)
            drawn = unit * np.where(slides, np.float32(factor.step), np.float32(factor.scale))
            drawn += np.where(slides, last, np.float32(factor.centre))
            return drawn
        drawn = unit * np.float32(factor.scale)
        drawn += np.float32(factor.centre)
        if factor.kind == "duration":
            np.minimum(drawn, np.float32(LONGEST), out=drawn)
            np.maximum(drawn, np.float32(-LONGEST), out=drawn)
            np.exp(drawn, out=drawn)
        return drawn


def _blocks(weight: Array) -> Array:
    """Return a weight (K, N) in blocks of columns, (B, K, N / B)."""
    k, n = weight.shape
    width = max(w for w in range(1, _COLUMNS + 1) if n % w == 0)
    return aligned(weight.reshape(k, n // width, width).transpose(1, 0, 2))


def _product(x: Array, blocks: Array, out: Array) -> None:
    """Put x (V, K) times the weight that came in blocks into out (V, N)."""
    count, _, width = blocks.shape
    np.matmul(x, blocks, out=out.reshape(len(out), count, width).transpose(1, 0, 2))
