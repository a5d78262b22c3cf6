"""One voice stepped on the CPU, at little more than the cost of its arithmetic.

The mathematics is that of robojam.player.reference, which is written for batches. For one
voice the products are small and most of the time goes into calls: so the few numbers are
Python's own, and the rest is a product and a handful of numpy calls a layer, into arrays
that exist already. A voice's state is a row (robojam.player.state_layout).

Half of a step's weights multiply the last output of the layer that they belong to, which is
known before the event. `prepare` computes those products ahead, between two events: then only
the other half is read from memory while an event waits for its answer. The sum of the halves
has the same bits, whenever they were computed.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Unpack

import numpy as np

from robojam.model.event import EventSpec, Factor
from robojam.model.features import (
    FLOOR,
    LEAST_WEIGHT,
    LOG_EPSILON,
    LONG,
    MAX_SPEED,
    MEANS_START,
    MIN_DURATION,
    MOVE_NUMBERS,
    REST,
    SLOW,
    STROKE_NUMBERS,
    TURN,
    Floats,
    summarised,
    summary_count,
)
from robojam.player.cpu_batch import BatchStepper
from robojam.player.reference import COLD, LONGEST, Network, RandomNumbers, Sampling
from robojam.player.state_layout import LayerLayout, StateLayout
from robojam.touch import KNOB_RESTS

_HALF = np.array(0.5, np.float32)
#: The least deviation of a component.
_MIN_SCALE = math.exp(FLOOR)

_Row = list[float]


class _SingleHead:
    """One factor's head, and the arrays that it computes in.

    trunk and later are views of the trunk's output: the part that belongs to the head, and
    that of the later heads, to which the factor's value adds context. hidden is a view of all
    of hidden_and_one but the one at its end, which multiplies the bias.
    """

    def __init__(self, network: Network, i: int, trunk: Floats) -> None:
        head = network.heads[i]
        self._head = head
        self.factor, self.trunk, self.later = head.factor, trunk[head.trunk], trunk[head.later]
        self.component_index: list[list[int]] = head.component_index.tolist()
        self.parts, self.context = head.parts, head.later_context
        self._added = np.zeros(len(self.later), np.float32)
        self.weight = np.concatenate([head.weight, head.bias[None]])
        self.hidden_and_one = np.ones(len(self.weight), np.float32)
        self.hidden = self.hidden_and_one[:-1]
        self.out = np.zeros(self.weight.shape[1], np.float32)

    def output(self) -> list[float]:
        """Return the head's output."""
        np.tanh(self.trunk, out=self.hidden)
        np.dot(self.hidden_and_one, self.weight, out=self.out)
        numbers: list[float] = self.out.tolist()
        return numbers

    def given_rest(self, absent: slice) -> list[float]:
        """Return the components' logits given that absent columns rest, after `output`."""
        out = self.out[None]
        logits = out[:, : self.factor.components] + self._head.log_rest(np, out, absent)
        numbers: list[float] = logits[0].tolist()
        return numbers

    def add_context(self, unit: _Row) -> None:
        """Add the factor's value to the trunk's output for the later heads."""
        if self.context is None:
            return
        for value, row in zip(unit, self.context, strict=True):
            np.multiply(row, value, out=self._added)
            np.add(self.later, self._added, out=self.later)


class _SingleLayer:
    """One layer, its weights in two halves, and its product that is computed ahead."""

    def __init__(self, layout: LayerLayout) -> None:
        self.new_weight = layout.weight[: layout.new]
        self._known_weight = layout.weight[layout.new :]
        self._product = np.zeros(self.new_weight.shape[1], np.float32)
        self._product_of = b""  # the layer's output by which it was computed

    def known_product(self, known: Floats) -> Floats:
        """Return the product of what is known before an event: 1, and the last output."""
        output = known.tobytes()  # compared: to compute it takes a hundred times as long
        if output != self._product_of:
            np.dot(known, self._known_weight, out=self._product)
            self._product_of = output
        return self._product


class SingleStepper:
    """A network stepped for one voice at a time; a robojam.player.stepper.Stepper.

    What concerns several voices goes to `batch`, a BatchStepper over the same rows, which is
    None where there is only one voice. Voices of events that follow (robojam.model.event) are
    stepped one after the other.
    """

    def __init__(self, network: Network, voices: int) -> None:
        """Lay out the weights of a network made with numpy, for V voices."""
        self.event = network.event
        self.layout = layout = StateLayout(network)
        follows = self.event.position is not None and self.event.position.follows
        batched = voices > 1 and not follows
        self.batch = BatchStepper(network, voices, layout=layout) if batched else None
        self.rows = layout.initial(voices) if self.batch is None else self.batch.rows
        self.state = layout.state(self.rows)
        self._initial = layout.initial(1)
        n = network.units
        self._trunk_weight = layout.trunk
        self._trunk = np.zeros(layout.trunk.shape[1], np.float32)
        self._heads = [_SingleHead(network, i, self._trunk) for i in range(len(network.heads))]
        self._z = z = np.zeros(4 * n, np.float32)
        self._opened = s = np.zeros(4 * n, np.float32)
        self._candidate, self._scratch = z[2 * n : 3 * n], z[:n]
        self._input_gate, self._forget_gate, self._output_gate = s[:n], s[n : 2 * n], s[3 * n :]
        self._absent = network.absent
        self._dims = self.event.position.dims if self.event.position else 0
        self._summary = SingleSummary(self.event) if self.event.summarises else None
        layers = [_SingleLayer(la) for la in layout.layers]
        # Views of each voice's row, made once: to make one costs as much as a small product.
        self._feature_views = [row[layout.features] for row in self.rows]
        self._motion_views = [row[layout.motion] for row in self.rows]
        self._head_inputs = [row[layout.head_input] for row in self.rows]
        self._layer_views = [
            [
                (layer, *np.split(row[la.reads], [la.new]), row[la.cell], row[la.writes])
                for layer, la in zip(layers, layout.layers, strict=True)
            ]
            for row in self.rows
        ]

    def reset(self) -> None:
        """Return every voice to the state before its first event."""
        self.rows[:] = self._initial

    def feed_all(self, event: Sequence[float], voices: int | None = None) -> None:
        """Advance the first voices, or every one, by the same event (C)."""
        if self.batch is None:
            for voice in range(len(self.rows[:voices])):
                self._feed(voice, event, heard=True)
        else:
            self.batch.feed_all(event, voices)

    def feed(self, voice: int, event: Sequence[float]) -> None:
        """Advance one voice by an event (C) of its own."""
        self._feed(voice, event, heard=False)

    def _feed(self, voice: int, event: Sequence[float], *, heard: bool) -> None:
        features = self._feature_views[voice]
        if self._summary is None:
            features[:] = self._features(self._motion_views[voice], event)
        else:
            old = features[: self._summary.count].tolist(), self._motion_views[voice].tolist()
            new = self._features(self._motion_views[voice], event)
            motion = self._motion_views[voice]
            features[:] = self._summary.update(*old, motion, event, heard=heard) + new
        z, s = self._z, self._opened
        for layer, new, known, cell, writes in self._layer_views[voice]:
            product = layer.known_product(known)
            np.dot(new, layer.new_weight, out=z)
            np.add(z, product, out=z)
            np.tanh(z, out=z)
            np.multiply(z, _HALF, out=s)
            np.add(s, _HALF, out=s)
            np.multiply(cell, self._forget_gate, out=cell)
            np.multiply(self._candidate, self._input_gate, out=self._candidate)
            np.add(cell, self._candidate, out=cell)
            np.tanh(cell, out=self._scratch)
            np.multiply(self._scratch, self._output_gate, out=writes)

    def feed_some(self, voices: Sequence[int], events: Sequence[Sequence[float]]) -> None:
        """Advance N voices by an event (C) each, which humans played."""
        if self.batch is None or len(voices) == 1:
            for voice, event in zip(voices, events, strict=True):
                self._feed(voice, event, heard=True)
        else:
            self.batch.feed_some(voices, events)

    def prepare(self) -> None:
        """Compute what the next event of a single voice needs and does not change."""
        if len(self.rows) == 1:
            for layer, _, known, _, _ in self._layer_views[0]:
                layer.known_product(known)

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
        if factor.follows:
            slid = [
                _way(factor, values[c] - x) for c, x in zip(factor.columns, last, strict=True)
            ]
        else:
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
        if self.batch is None:
            each = zip(voices, numbers, strict=True)
            return [self._sample(voice, own, **sampling) for voice, own in each]
        return self.batch.sample(voices, numbers, **sampling)

    def _sample(
        self, voice: int, numbers: Sequence[float] | Floats, temperature: float, spread: float
    ) -> list[float]:
        np.dot(self._head_inputs[voice], self._trunk_weight, out=self._trunk)
        motion = self._motion_views[voice].tolist()
        gauss = numbers[len(self._heads) :]
        values = [0.0] * len(gauss)
        for head, u in zip(self._heads, numbers, strict=False):
            factor, out = head.factor, head.output()
            if factor.kind == "flag":
                unit = [_flag(out[0], u, temperature)]
                values[factor.columns[0]] = unit[0]
            else:
                absent = self._absent if factor.follows else None
                logits = out[: factor.components] if absent is None else head.given_rest(absent)
                index = _choose(logits, u, temperature)
                component = [out[i] for i in head.component_index[index]]
                z = [gauss[column] * spread for column in factor.columns]
                unit = self._unit(head, component, z, values, motion)
                _to_event(factor, unit, values, motion)
                for column in factor.columns[absent] if absent is not None else ():
                    values[column] = KNOB_RESTS + factor.noise / 2
            head.add_context(unit)
        return values

    def _unit(
        self, head: _SingleHead, numbers: _Row, z: _Row, values: _Row, motion: _Row
    ) -> _Row:
        mean, raw, lower, shares = (numbers[part] for part in head.parts)
        unit = []
        for i, (centre, log_scale) in enumerate(zip(mean, raw, strict=True)):
            correlated, start = z[i], i * (i - 1) // 2
            for j in range(i if lower else 0):
                correlated += lower[start + j] * z[j]
            # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
            unit.append(centre + (_MIN_SCALE + math.exp(log_scale)) * correlated)
        factor, p = head.factor, self._dims
        if not shares or factor.slides is None or self.event.duration is None:
            return unit
        scale = values[self.event.duration] * values[factor.slides] / factor.step
        velocities = [motion[p : 2 * p], motion[2 * p :]]
        if len(shares) == 3:
            velocities[1:1] = [[-motion[p + 1], motion[p]]]
        for share, velocity in zip(shares, velocities, strict=True):
            unit = [x + share * scale * v for x, v in zip(unit, velocity, strict=True)]
        return unit


class SingleSummary:
    """Update of one summary: robojam.model.features.summarise, with Python's numbers."""

    def __init__(self, event: EventSpec) -> None:
        place, self._duration = summarised(event)
        self._place, self._event = place, event
        self.count = summary_count(event)
        self._landings = MEANS_START + (1 + MOVE_NUMBERS) * len(event.move_means)

    def update(
        self,
        summary: _Row,
        before: _Row,
        motion: Floats,
        values: Sequence[float],
        *,
        heard: bool,
    ) -> _Row:
        """Return a summary after an event (C), given a voice's motion before and after it."""
        assert self._place.slides is not None
        if math.isnan(before[0]):  # the first event only sets the place
            return summary
        dt = values[self._duration.columns[0]]
        x, y = (values[column] for column in self._place.columns)
        slid = x - before[0], y - before[1]
        rest = (math.log(max(dt, LOG_EPSILON)) - self._duration.centre) / self._duration.scale
        unit = [(v - self._place.centre) / self._place.scale for v in (x, y)]
        places = [*unit, unit[0] ** 2 / 2, unit[1] ** 2 / 2]
        if values[self._place.slides] > 0.5:
            scale = self._place.scale
            ends = [
                math.log1p((math.expm1(summary[0]) * LONG + dt) / LONG),
                math.log1p((math.expm1(summary[1]) * LONG + math.hypot(*slid)) / LONG),
                (summary[2] * scale + slid[0]) / scale,
                (summary[3] * scale + slid[1]) / scale,
            ]
            speed, *turn, change = self._turn(motion.tolist())
            numbers = [rest, speed, *turn, *places, rest * rest / 2, speed * speed / 2, change]
            flag, at, decays = STROKE_NUMBERS, MEANS_START, self._event.move_means
        else:
            scale = self._place.scale
            ends = [0.0] * STROKE_NUMBERS
            jump = [distance / scale for distance in slid]
            stroke = [*summary[:2], math.hypot(*summary[2:4])]
            rest, way = (rest - REST) / 2, math.hypot(*jump)
            squares = rest * rest / 2, way * way / 2
            numbers = [rest, *jump, way, *places, *stroke, *squares]
            flag, at, decays = STROKE_NUMBERS + 1, self._landings, self._event.landing_means
        summary[:STROKE_NUMBERS] = ends
        if not heard and not summary[flag] and decays and summary[at]:
            return summary
        summary[flag] = 0.0 if heard else 1.0
        for decay in decays:
            added = 1 - decay
            summary[at] += added * (1 - summary[at])
            share, at = added / max(summary[at], LEAST_WEIGHT), at + 1
            stop = at + len(numbers)
            means = zip(summary[at:stop], numbers, strict=True)
            summary[at:stop] = [mean + share * (number - mean) for mean, number in means]
            at = stop
        return summary

    def _turn(self, motion: _Row) -> _Row:
        """Return a move's speed, the cosine, sine and its size of its turn, speed's change."""
        vx, vy, ux, uy = motion[2:6]
        full = self._event.speed
        speed, before = math.hypot(vx, vy), math.hypot(ux, uy)
        scale = TURN / (speed * before + (SLOW * full) ** 2)
        cosine, sine = (vx * ux + vy * uy) * scale, (ux * vy - uy * vx) * scale
        change = abs(speed - before) / (speed + before + SLOW * full)
        return [math.asinh(speed / full), cosine, sine, abs(sine), change]


def _flag(logit: float, u: float, temperature: float) -> float:
    if temperature < COLD:
        return float(logit > 0)
    return float(u < 0.5 + 0.5 * math.tanh(logit / (2 * temperature)))


def _choose(logits: list[float], u: float, temperature: float) -> int:
    """Choose a component by its weight."""
    highest = max(logits)
    if temperature < COLD:
        return logits.index(highest)
    raised = [math.exp((logit - highest) / temperature) for logit in logits]
    cumulative = list(accumulate(raised))
    return min(bisect_right(cumulative, u * cumulative[-1]), len(logits) - 1)


def _way(factor: Factor, change: float) -> float:
    """Return how far a column that follows has moved: 0 for no more than the noise."""
    return change if abs(change) > factor.noise else 0.0


def _to_event(factor: Factor, unit: _Row, values: _Row, motion: _Row) -> None:
    """Write a value drawn in a factor's units to the factor's columns of an event."""
    last = motion[: factor.dims]
    slides = factor.slides is not None and last[0] == last[0]
    if slides and not factor.follows:
        slides = values[factor.slides or 0] > 0.5
    for i, column in enumerate(factor.columns):
        if slides:
            way = unit[i] * factor.step
            values[column] = last[i] + (_way(factor, way) if factor.follows else way)
            continue
        drawn = unit[i] * factor.scale + factor.centre
        if factor.kind == "duration":
            drawn = math.exp(min(max(drawn, -LONGEST), LONGEST))
        values[column] = drawn
