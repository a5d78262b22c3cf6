"""One voice stepped on the CPU, at little more than the cost of its arithmetic.

The mathematics is that of robojam.player.reference, which is written for batches. For one
voice the products are small and most of the time goes into calls: so the few numbers are
Python's own, and the rest is a product and a handful of numpy calls a layer, into arrays
that exist already. A voice's state is a row (robojam.player.state_layout).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Unpack

import numpy as np

from robojam.model.event import Factor
from robojam.model.features import FLOOR, LOG_EPSILON, MAX_SPEED, MIN_DURATION, Floats
from robojam.player.cpu_batch import BatchStepper
from robojam.player.reference import COLD, LONGEST, Network, RandomNumbers, Sampling
from robojam.player.state_layout import StateLayout

_HALF = np.array(0.5, np.float32)
#: The least deviation of a component.
_MIN_SCALE = math.exp(FLOOR)

_Row = list[float]


class _SingleHead:
    """One factor's head, and the arrays that it computes in.

    hidden is a view of all of hidden_and_one but the one at its end, which multiplies the
    bias. context is what the factor's value adds to the part `later` of the trunk's output.
    """

    def __init__(self, network: Network, i: int) -> None:
        head = network.heads[i]
        self.factor, self.trunk, self.later = head.factor, head.trunk, head.later
        self.component_index, self.parts = head.component_index, head.parts
        self.context = head.later_context
        self.weight = np.concatenate([head.weight, head.bias[None]])
        self.hidden_and_one = np.ones(len(self.weight), np.float32)
        self.hidden = self.hidden_and_one[:-1]
        self.out = np.zeros(self.weight.shape[1], np.float32)


class SingleStepper:
    """A network stepped for one voice at a time; a robojam.player.stepper.Stepper.

    What concerns several voices goes to `batch`, a BatchStepper over the same rows, which is
    None where there is only one voice.
    """

    def __init__(self, network: Network, voices: int) -> None:
        """Lay out the weights of a network made with numpy, for V voices."""
        self.event = network.event
        layout = StateLayout(network)
        self.batch = BatchStepper(network, voices, layout=layout) if voices > 1 else None
        self.rows = layout.initial(voices) if self.batch is None else self.batch.rows
        self.state = layout.state(self.rows)
        self._initial = layout.initial(1)
        n = network.units
        self._heads = [_SingleHead(network, i) for i in range(len(network.heads))]
        self._trunk_weight = layout.trunk
        self._trunk = np.zeros(layout.trunk.shape[1], np.float32)
        self._z = z = np.zeros(4 * n, np.float32)
        self._opened = s = np.zeros(4 * n, np.float32)
        self._candidate, self._scratch = z[2 * n : 3 * n], z[:n]
        self._input_gate, self._forget_gate, self._output_gate = s[:n], s[n : 2 * n], s[3 * n :]
        self._dims = self.event.position.dims if self.event.position else 0
        # Views of each voice's row, made once: to make one costs as much as a small product.
        self._feature_views = [row[layout.features] for row in self.rows]
        self._motion_views = [row[layout.motion] for row in self.rows]
        self._head_inputs = [row[layout.head_input] for row in self.rows]
        self._layer_views = [
            [(row[la.reads], row[la.cell], row[la.writes], la.weight) for la in layout.layers]
            for row in self.rows
        ]

    def reset(self) -> None:
        """Return every voice to the state before its first event."""
        self.rows[:] = self._initial

    def feed_all(self, event: Sequence[float]) -> None:
        """Advance every voice by the same event (C)."""
        if self.batch is None:
            self.feed(0, event)
        else:
            self.batch.feed_all(event)

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C)."""
        self._feature_views[voice][:] = self._features(self._motion_views[voice], event)
        z, s = self._z, self._opened
        for reads, cell, writes, weight in self._layer_views[voice]:
            np.dot(reads, weight, out=z)
            np.tanh(z, out=z)
            np.multiply(z, _HALF, out=s)
            np.add(s, _HALF, out=s)
            np.multiply(cell, self._forget_gate, out=cell)
            np.multiply(self._candidate, self._input_gate, out=self._candidate)
            np.add(cell, self._candidate, out=cell)
            np.tanh(cell, out=self._scratch)
            np.multiply(self._scratch, self._output_gate, out=writes)

    def _features(self, motion: Floats, values: Sequence[float]) -> list[float]:
        """Return an event's features, and move a voice's motion to the event."""
        event = self.event
        features: list[float] = []
        for factor in event.factors:
            if factor.kind == "flag":
                features += [values[column] for column in factor.columns]
            elif factor.kind == "duration":
                seconds = max(values[factor.columns[0]], LOG_EPSILON)
                features.append((math.log(seconds) - factor.centre) / factor.scale)
            else:
                unit = [(values[c] - factor.centre) / factor.scale for c in factor.columns]
                if factor.slides is None:
                    features += map(math.asinh, unit) if factor.kind == "offset" else unit
                    continue
                p = self._dims
                old = motion.tolist()
                slid, now = self._slide(factor, values, old[:p])
                before = old[p : 2 * p]
                motion[:] = [values[c] for c in factor.columns] + now + before
                features += unit
                features += [math.asinh(distance / factor.step) for distance in slid]
                features += [math.asinh(speed / event.speed) for speed in now + before]
        return features

    def _slide(
        self, factor: Factor, values: Sequence[float], last: list[float]
    ) -> tuple[list[float], list[float]]:
        """Return how far an event slid from the last position, and its velocity."""
        assert factor.slides is not None
        if math.isnan(last[0]):  # the first event has not slid
            zero = [0.0] * len(last)
            return zero, zero
        moving = values[factor.slides]
        slid = [(values[c] - x) * moving for c, x in zip(factor.columns, last, strict=True)]
        if self.event.duration is None:
            return slid, slid
        seconds = max(values[self.event.duration], MIN_DURATION)
        limit = MAX_SPEED * self.event.speed
        return slid, [min(max(distance / seconds, -limit), limit) for distance in slid]

    def sample(
        self, voices: Sequence[int], numbers: RandomNumbers, **sampling: Unpack[Sampling]
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices, given random numbers (N, factors + C)."""
        if len(voices) == 1:
            return [self._sample(voices[0], numbers[0], **sampling)]
        assert self.batch is not None, "there is only one voice"
        return self.batch.sample(voices, numbers, **sampling)

    def _sample(
        self, voice: int, numbers: Sequence[float] | Floats, temperature: float, spread: float
    ) -> list[float]:
        trunk = self._trunk
        np.dot(self._head_inputs[voice], self._trunk_weight, out=trunk)
        motion = self._motion_views[voice].tolist()
        gauss = numbers[len(self._heads) :]
        values = [0.0] * len(gauss)
        for head, u in zip(self._heads, numbers, strict=False):
            factor = head.factor
            np.tanh(trunk[head.trunk], out=head.hidden)
            np.dot(head.hidden_and_one, head.weight, out=head.out)
            if factor.kind == "flag":
                unit = [_flag(float(head.out[0]), u, temperature)]
                values[factor.columns[0]] = unit[0]
            else:
                component = _choose(head, u, temperature)
                z = [gauss[column] * spread for column in factor.columns]
                unit = self._unit(head, component, z, values, motion)
                _to_event(factor, unit, values, motion)
            if head.context is not None:
                later = trunk[head.later]
                for value, row in zip(unit, head.context, strict=True):
                    later += np.float32(value) * row
        return values

    def _unit(
        self, head: _SingleHead, numbers: _Row, z: _Row, values: _Row, motion: _Row
    ) -> _Row:
        mean, raw, lower, shares = (numbers[part] for part in head.parts)
        unit = []
        for i, (centre, log_scale) in enumerate(zip(mean, raw, strict=True)):
            correlated, start = z[i], i * (i - 1) // 2
            for j in range(i):
                correlated += lower[start + j] * z[j]
            # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
            unit.append(centre + (_MIN_SCALE + math.exp(log_scale)) * correlated)
        factor, p = head.factor, self._dims
        if not shares or factor.slides is None or self.event.duration is None:
            return unit
        scale = values[self.event.duration] * values[factor.slides] / factor.step
        velocities = [motion[p : 2 * p], motion[2 * p :]]
        if p == 2:
            velocities[1:1] = [[-motion[p + 1], motion[p]]]
        for share, velocity in zip(shares, velocities, strict=True):
            unit = [x + share * scale * v for x, v in zip(unit, velocity, strict=True)]
        return unit


def _flag(logit: float, u: float, temperature: float) -> float:
    if temperature < COLD:
        return float(logit > 0)
    return float(u < 0.5 + 0.5 * math.tanh(logit / (2 * temperature)))


def _choose(head: _SingleHead, u: float, temperature: float) -> list[float]:
    """Choose a component by its weight; return its numbers."""
    k = head.factor.components
    logits: list[float] = head.out[:k].tolist()
    highest = max(logits)
    if temperature < COLD:
        chosen = logits.index(highest)
    else:
        raised = [math.exp((logit - highest) / temperature) for logit in logits]
        cumulative = list(accumulate(raised))
        chosen = min(bisect_right(cumulative, u * cumulative[-1]), k - 1)
    numbers: list[float] = head.out[head.component_index[chosen]].tolist()
    return numbers


def _to_event(factor: Factor, unit: _Row, values: _Row, motion: _Row) -> None:
    """Write a value drawn in a factor's units to the factor's columns of an event."""
    last = motion[: factor.dims]
    slides = factor.slides is not None and values[factor.slides] > 0.5 and last[0] == last[0]
    for i, column in enumerate(factor.columns):
        if slides:
            values[column] = last[i] + unit[i] * factor.step
            continue
        drawn = unit[i] * factor.scale + factor.centre
        if factor.kind == "duration":
            drawn = math.exp(min(max(drawn, -LONGEST), LONGEST))
        values[column] = drawn
