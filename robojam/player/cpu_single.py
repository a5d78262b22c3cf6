"""One voice's step on the CPU, as cheap as its arithmetic: hear a touch, draw the next.

The mathematics is that of robojam.player.reference, which is written for batches. For one
voice the products are small and most of the time goes into calls: so the few numbers are
Python's own, and the rest is a product and a handful of numpy calls a layer, into arrays
that exist already. A voice's state is a row (robojam.player.state_layout). Several voices
are stepped by robojam.player.cpu_batch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from robojam.model.event import Factor
from robojam.model.features import FLOOR, MAX_SPEED, MIN_DURATION, TINY, Array
from robojam.player.cpu_batch import BatchStepper
from robojam.player.reference import COLD, LONGEST, Network
from robojam.player.state_layout import StateLayout

_HALF = np.array(0.5, np.float32)
#: The least deviation of a component.
_LEAST = math.exp(FLOOR)


@dataclass(frozen=True, slots=True)
class _Head:
    """One factor's head; later, what begins the heads after it, and tell, what it adds."""

    factor: Factor
    inner: slice
    seen: Array
    hidden: Array
    weight: Array
    out: Array
    later: slice
    tell: Array | None
    index: Array
    parts: tuple[slice, ...]


class SingleStepper:
    """A network stepped for one voice at a time, and the state of V voices."""

    def __init__(self, network: Network, voices: int) -> None:
        """Lay the weights of a network made with numpy out once more."""
        self.event = network.event
        self.rows = rows = StateLayout(network)
        self.chorus = BatchStepper(network, rows) if voices > 1 else None
        n = network.units
        self._heads = [self._laid_out(network, i) for i in range(len(self.event.factors))]
        self._inner = np.zeros(rows.trunk.shape[1], np.float32)
        self._gates = np.zeros(4 * n, np.float32)
        self._opened = np.zeros(4 * n, np.float32)
        z, s = self._gates, self._opened
        self._candidate, self._scratch = z[2 * n : 3 * n], z[:n]
        self._in, self._forget, self._out = s[:n], s[n : 2 * n], s[3 * n :]
        self._blank = rows.blank(1)
        self.state = rows.blank(voices)
        self.memory = rows.memory(self.state)
        self._places = self.event.position.dims if self.event.position else 0
        self._views = [
            (
                row[rows.heard],
                row[rows.moved],
                row[rows.seen],
                [(row[la.reads], row[la.cell], row[la.writes]) for la in rows.layers],
            )
            for row in self.state
        ]

    def _laid_out(self, network: Network, i: int) -> _Head:
        head, factor = network.heads[i], self.event.factors[i]
        weight = np.concatenate([head.weight, head.bias[None]])
        seen = np.ones(len(weight), np.float32)
        later = slice(head.inner.stop, len(network.trunk[1]))
        tell = None if head.tell is None else np.ascontiguousarray(head.tell[:, later])
        out = np.zeros(weight.shape[1], np.float32)
        return _Head(
            factor=factor,
            inner=head.inner,
            seen=seen,
            hidden=seen[:-1],
            weight=weight,
            out=out,
            later=later,
            tell=tell,
            index=head.index,
            parts=head.parts,
        )

    def reset(self) -> None:
        """Every voice has heard nothing."""
        self.state[:] = self._blank

    def feed_all(self, values: list[float]) -> None:
        """Let every voice hear one event (C): together, where there are several."""
        if self.chorus is None:
            self.feed(0, values)
        else:
            self.feed_each(np.array([values] * len(self.state), np.float32))

    def feed_each(self, values: Array) -> None:
        """Let every voice hear an event of its own (V, C)."""
        if self.chorus is None:
            self.feed(0, values[0].tolist())
        else:
            self.chorus.feed(self.state, values)

    def feed(self, voice: int, values: list[float]) -> None:
        """Let a voice hear one event (C)."""
        heard, moved, _, layers = self._views[voice]
        heard[:] = self._heard(moved, values)
        z, s = self._gates, self._opened
        for layer, (reads, cell, writes) in zip(self.rows.layers, layers, strict=True):
            np.dot(reads, layer.weight, out=z)
            np.tanh(z, out=z)
            np.multiply(z, _HALF, out=s)
            np.add(s, _HALF, out=s)
            np.multiply(cell, self._forget, out=cell)
            np.multiply(self._candidate, self._in, out=self._candidate)
            np.add(cell, self._candidate, out=cell)
            np.tanh(cell, out=self._scratch)
            np.multiply(self._scratch, self._out, out=writes)

    def _heard(self, moved: Array, values: list[float]) -> list[float]:
        """Move a voice to an event; return the event's features."""
        event = self.event
        heard: list[float] = []
        for factor in event.factors:
            if factor.kind == "flag":
                heard += [values[column] for column in factor.columns]
            elif factor.kind == "duration":
                seconds = max(values[factor.columns[0]], TINY)
                heard.append((math.log(seconds) - factor.centre) / factor.scale)
            else:
                unit = [(values[c] - factor.centre) / factor.scale for c in factor.columns]
                if factor.slides is None:
                    heard += map(math.asinh, unit) if factor.kind == "offset" else unit
                    continue
                p = self._places
                was = moved.tolist()
                slid, now = self._slid(factor, values, was[:p])
                before = was[p : 2 * p]
                moved[:] = [values[c] for c in factor.columns] + now + before
                heard += unit
                heard += [math.asinh(one / factor.step) for one in slid]
                heard += [math.asinh(one / event.speed) for one in now + before]
        return heard

    def _slid(
        self, factor: Factor, values: list[float], last: list[float]
    ) -> tuple[list[float], list[float]]:
        """How far an event slid from the last place, and how fast."""
        assert factor.slides is not None
        if math.isnan(last[0]):  # nothing was heard yet
            still = [0.0] * len(last)
            return still, still
        moving = values[factor.slides]
        slid = [(values[c] - at) * moving for c, at in zip(factor.columns, last, strict=True)]
        if self.event.duration is None:
            return slid, slid
        seconds = max(values[self.event.duration], MIN_DURATION)
        limit = MAX_SPEED * self.event.speed
        return slid, [min(max(one / seconds, -limit), limit) for one in slid]

    def sample(
        self,
        voices: Sequence[int],
        chances: Sequence[Sequence[float]],
        *,
        temperature: float,
        spread: float,
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices.

        chances (N, factors + C): their random numbers, the uniform ones first.
        """
        if len(voices) == 1:
            return [self._sample(voices[0], chances[0], temperature, spread)]
        assert self.chorus is not None
        drawn: list[list[float]] = self.chorus.sample(
            self.state[list(voices)], chances, temperature=temperature, spread=spread
        ).tolist()
        return drawn

    def sample_all(self, chances: Array, *, temperature: float, spread: float) -> Array:
        """Draw the next event of every voice, (V, C); chances (V, ·) as for `sample`."""
        if self.chorus is None:
            drawn = self._sample(0, chances[0].tolist(), temperature, spread)
            return np.array([drawn], np.float32)
        return self.chorus.sample(self.state, chances, temperature=temperature, spread=spread)

    def _sample(
        self, voice: int, chances: Sequence[float], temperature: float, spread: float
    ) -> list[float]:
        """Draw one voice's next event."""
        inner = self._inner
        _, moved, seen, _ = self._views[voice]
        np.dot(seen, self.rows.trunk, out=inner)
        was = moved.tolist()
        gauss = chances[len(self._heads) :]
        values = [0.0] * len(gauss)
        for head, u in zip(self._heads, chances, strict=False):
            factor = head.factor
            np.tanh(inner[head.inner], out=head.hidden)
            np.dot(head.seen, head.weight, out=head.out)
            if factor.kind == "flag":
                unit = [_flag(float(head.out[0]), u, temperature)]
                values[factor.columns[0]] = unit[0]
            else:
                numbers = _chosen(head, u, temperature)
                z = [gauss[column] * spread for column in factor.columns]
                unit = self._unit(head, numbers, z, values, was)
                _settle(factor, unit, values, was)
            if head.tell is not None:
                rest = inner[head.later]
                for one, row in zip(unit, head.tell, strict=True):
                    rest += np.float32(one) * row
        return values

    def _unit(
        self,
        head: _Head,
        numbers: list[float],
        z: list[float],
        values: list[float],
        was: list[float],
    ) -> list[float]:
        """Draw from one component of a factor, in its own units."""
        mean, raw, lower, shares = (numbers[part] for part in head.parts)
        unit = []
        at = 0
        for i, (centre, wide) in enumerate(zip(mean, raw, strict=True)):
            mixed = z[i]
            for j in range(i):
                mixed += lower[at + j] * z[j]
            at += i
            # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
            unit.append(centre + (_LEAST + math.exp(wide)) * mixed)
        factor, p = head.factor, self._places
        if not shares or factor.slides is None or self.event.duration is None:
            return unit
        scale = values[self.event.duration] * values[factor.slides] / factor.step
        bases = [was[p : 2 * p], was[2 * p :]]
        if p == 2:
            bases[1:1] = [[-was[p + 1], was[p]]]
        for share, base in zip(shares, bases, strict=True):
            unit = [one + share * scale * b for one, b in zip(unit, base, strict=True)]
        return unit


def _flag(logit: float, u: float, temperature: float) -> float:
    if temperature < COLD:
        return float(logit > 0)
    return float(u < 0.5 + 0.5 * math.tanh(logit / (2 * temperature)))


def _chosen(head: _Head, u: float, temperature: float) -> list[float]:
    """Choose a component by its weight; return its numbers."""
    k = head.factor.components
    logits = head.out[:k].tolist()
    highest = max(logits)
    if temperature < COLD:
        chosen = logits.index(highest)
    else:
        below = list(accumulate(math.exp((one - highest) / temperature) for one in logits))
        chosen = min(bisect_right(below, u * below[-1]), k - 1)
    numbers: list[float] = head.out[head.index[chosen]].tolist()
    return numbers


def _settle(factor: Factor, unit: list[float], values: list[float], was: list[float]) -> None:
    """Set a factor's columns from what was drawn in its units."""
    slides = factor.slides is not None and values[factor.slides] > 0.5 and was[0] == was[0]
    for i, column in enumerate(factor.columns):
        drawn = (
            was[i] + unit[i] * factor.step if slides else unit[i] * factor.scale + factor.centre
        )
        if factor.kind == "duration":
            drawn = math.exp(min(max(drawn, -LONGEST), LONGEST))
        values[column] = drawn
