"""The mathematics of one event: features, recurrent cell, heads, sampling.

Written once for numpy arrays and torch tensors alike: ``xp`` is the module that
made them. Training runs it over whole sequences with torch, play runs it event by
event, with numpy on the CPU (a third of torch's cost a step, and no second of
importing) and with torch on a GPU. The last axis is features, all before it batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from robojam.event import Event, Factor

Array = Any  # a numpy array or a torch tensor

#: log s of a component never falls below this (robojam.mixture.FLOOR).
FLOOR = -7.0
#: Velocities count up to this many times Event.speed; more is a screen's glitch.
MAX_SPEED = 12.0
#: Durations count from here, in seconds: a velocity needs some time to be one.
MIN_DURATION = 1e-3
#: Logarithms of durations are taken from here, in seconds.
TINY = 1e-7


def concat(xp: Any, arrays: list[Array]) -> Array:
    """Join along the last axis."""
    return arrays[0] if len(arrays) == 1 else xp.concatenate(arrays, -1)


def feature_count(event: Event) -> int:
    """How many features describe one event that was heard."""
    return sum(
        f.dims * (4 if f.slides is not None else 1) if f.kind == "position" else f.dims
        for f in event.factors
    )


def normal(xp: Any, factor: Factor, values: Array) -> Array:
    """Bring a factor's columns (…, dims) of an event to about unit size."""
    columns = concat(xp, [values[..., c : c + 1] for c in factor.columns])
    if factor.kind == "flag":
        return columns
    if factor.kind == "duration":
        columns = xp.log(xp.clip(columns, TINY, None))
    return (columns - factor.centre) / factor.scale


def place(xp: Any, event: Event, values: Array) -> Array:
    """Return the columns (…, P) of the place that an event has."""
    assert event.position is not None
    return concat(xp, [values[..., c : c + 1] for c in event.position.columns])


def velocity(xp: Any, event: Event, values: Array, last: Array) -> Array:
    """Velocity (…, P) with which an event slid from the place last, 0 where it landed."""
    factor = event.position
    assert factor is not None
    moved = (place(xp, event, values) - last) * values[..., factor.slides : factor.slides + 1]
    if event.duration is None:
        return moved
    seconds = xp.clip(values[..., event.duration : event.duration + 1], MIN_DURATION, None)
    limit = MAX_SPEED * event.speed
    return xp.clip(moved / seconds, -limit, limit)


def features(
    xp: Any, event: Event, values: Array, last: Array, now: Array, before: Array
) -> Array:
    """Return the features (…, feature_count) of events that were heard.

    values (…, C) are the events; last (…, P) the places before them; now and
    before (…, P) their velocities and those of the events before them.
    """
    parts: list[Array] = []
    for factor in event.factors:
        unit = normal(xp, factor, values)
        if factor.slides is None:
            parts.append(xp.arcsinh(unit) if factor.kind == "offset" else unit)
            continue
        slid = (place(xp, event, values) - last) * values[
            ..., factor.slides : factor.slides + 1
        ]
        parts += [
            unit,
            xp.arcsinh(slid / factor.step),
            xp.arcsinh(now / event.speed),
            xp.arcsinh(before / event.speed),
        ]
    return concat(xp, parts)


def carries(event: Event, factor: Factor) -> int:
    """How many shares of motion each component of a factor carries on."""
    if factor.slides is None or event.duration is None:
        return 0
    return 3 if factor.dims == 2 else 2


def motion(
    xp: Any, event: Event, factor: Factor, values: Array, now: Array, before: Array
) -> Array:
    """What the last velocities would make of this event, (…, carries, P) in steps.

    The last velocity, the same turned by a right angle (so that a curve goes on
    curving), and the velocity before, each times the new duration; 0 for a landing.
    """
    assert event.duration is not None
    bases = [now, before]
    if factor.dims == 2:
        turned = concat(xp, [-now[..., 1:2], now[..., 0:1]])
        bases = [now, turned, before]
    seconds = values[..., event.duration : event.duration + 1]
    scale = seconds * values[..., factor.slides : factor.slides + 1] / factor.step
    return xp.stack([base * scale for base in bases], -2)


def outputs(event: Event, factor: Factor) -> int:
    """How many numbers a factor's head gives."""
    if factor.kind == "flag":
        return 1
    d = factor.dims
    return factor.components * (1 + 2 * d + d * (d - 1) // 2 + carries(event, factor))


@dataclass(frozen=True, slots=True)
class Components:
    """A mixture's parameters in units of its factor: logits (…, K), mean (…, K, D),
    log_scale (…, K, D), lower (…, K, D(D-1)/2), as in robojam.mixture.
    """

    logits: Array
    mean: Array
    log_scale: Array
    lower: Array


def components(
    xp: Any,
    event: Event,
    factor: Factor,
    out: Array,
    values: Array,
    now: Array,
    before: Array,
) -> Components:
    """Read a head's output as a mixture; values holds the factors that came before."""
    k, d = factor.components, factor.dims
    batch = out.shape[:-1]
    ends = [k, k * (1 + d), k * (1 + 2 * d), k * (1 + 2 * d + d * (d - 1) // 2)]
    mean = out[..., ends[0] : ends[1]].reshape(*batch, k, d)
    raw = out[..., ends[1] : ends[2]].reshape(*batch, k, d) - FLOOR
    log_scale = FLOOR + xp.logaddexp(raw, xp.zeros_like(raw))
    lower = out[..., ends[2] : ends[3]].reshape(*batch, k, d * (d - 1) // 2)
    if carries(event, factor):
        shares = out[..., ends[3] :].reshape(*batch, k, -1)
        mean = mean + shares @ motion(xp, event, factor, values, now, before)
    return Components(out[..., : ends[0]], mean, log_scale, lower)


@dataclass(slots=True)
class Memory:
    """What a model at play remembers, a row for each of V voices.

    hidden and cell: a (V, units) for each layer; last, now, before (V, P): the last
    place (NaN when nothing was heard) and the last two velocities; heard (V, F).
    """

    hidden: list[Array]
    cell: list[Array]
    last: Array
    now: Array
    before: Array
    heard: Array

    def rows(self, rows: slice) -> Memory:
        """Return some voices' part of it: a view, not a copy."""
        return Memory(
            [h[rows] for h in self.hidden],
            [c[rows] for c in self.cell],
            self.last[rows],
            self.now[rows],
            self.before[rows],
            self.heard[rows],
        )

    def write(self, rows: slice, part: Memory) -> None:
        """Replace some voices' part of it."""
        for mine, its in zip(
            [*self.hidden, *self.cell, self.last, self.now, self.before, self.heard],
            [*part.hidden, *part.cell, part.last, part.now, part.before, part.heard],
            strict=True,
        ):
            mine[rows] = its


class Network:
    """A model's weights, laid out for one event at a time.

    Each layer's gates are one product over joined weights; the sigmoids are taken
    as 0.5 + 0.5 tanh(z / 2), the half folded into the weights, so that one tanh
    serves all four gates.
    """

    def __init__(self, xp: Any, event: Event, weights: dict[str, Array], layers: int) -> None:
        self.xp, self.event = xp, event
        self.start = weights["start"]
        self.gates: list[tuple[Array, Array]] = []
        for layer in range(layers):
            get = {
                k: weights[f"rnn.{layer}.{k}_l0"]
                for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            joined = concat(xp, [get["weight_ih"], get["weight_hh"]])
            bias = get["bias_ih"] + get["bias_hh"]
            units = bias.shape[0] // 4
            half = xp.ones_like(bias) * 0.5
            half[2 * units : 3 * units] = 1.0  # the candidate's tanh is taken whole
            self.gates.append((_transposed(xp, joined * half[:, None]), bias * half))
        self.units = units
        self.trunk = (_transposed(xp, weights["trunk.weight"]), weights["trunk.bias"])
        self.context: list[Array | None] = []
        self.heads: list[tuple[Array, Array]] = []
        for i in range(len(event.factors)):
            context = weights.get(f"context.{i}.weight")
            self.context.append(None if context is None else _transposed(xp, context))
            self.heads.append(
                (_transposed(xp, weights[f"head.{i}.weight"]), weights[f"head.{i}.bias"])
            )

    def initial(self, voices: int) -> Memory:
        """Return the memory of V voices that have heard nothing."""
        xp, start = self.xp, self.start
        places = self.event.position.dims if self.event.position else 0
        blank = xp.concatenate([start[0, 0, :1][None] * 0] * voices)  # (V, 1)
        still = xp.concatenate([blank] * (places + 1), -1)[:, 1:]
        return Memory(
            [blank + start[0, layer] for layer in range(start.shape[1])],
            [blank + start[1, layer] for layer in range(start.shape[1])],
            still + math.nan,
            still,
            still + 0,
            xp.concatenate([blank] * feature_count(self.event), -1),
        )

    def hear(self, memory: Memory, values: Array) -> Memory:
        """Hear one event (V, C) each: return the memory after it."""
        xp, event = self.xp, self.event
        last, now, before = memory.last, memory.now, memory.before
        here = last
        if event.position is not None:
            here = place(xp, event, values)
            last = xp.where(xp.isnan(last), here, last)
            before = now
            now = velocity(xp, event, values, last)
        heard = x = features(xp, event, values, last, now, before)
        hidden: list[Array] = []
        cell: list[Array] = []
        n = self.units
        for (weight, bias), h, c in zip(self.gates, memory.hidden, memory.cell, strict=True):
            gates = xp.tanh(concat(xp, [x, h]) @ weight + bias)
            opened = 0.5 + 0.5 * gates
            c = opened[:, n : 2 * n] * c + opened[:, :n] * gates[:, 2 * n : 3 * n]
            x = opened[:, 3 * n :] * xp.tanh(c)
            hidden.append(x)
            cell.append(c)
        return Memory(hidden, cell, here, now, before, heard)

    def inner(self, memory: Memory) -> Array:
        """What the heads of all factors begin from, (V, sum of their hidden)."""
        seen = concat(self.xp, [*memory.hidden, memory.heard])
        return seen @ self.trunk[0] + self.trunk[1]

    def head(self, index: int, inner: Array, known: list[Array]) -> Array:
        """Output of one factor's head, given the factors before it as unit values (V, ·)."""
        at = sum(f.hidden for f in self.event.factors[:index])
        inner = inner[:, at : at + self.event.factors[index].hidden]
        context = self.context[index]
        if context is not None:
            inner = inner + concat(self.xp, known) @ context
        return self.xp.tanh(inner) @ self.heads[index][0] + self.heads[index][1]

    def sample(
        self,
        memory: Memory,
        uniform: Array,
        gauss: Array,
        *,
        temperature: float,
        spread: float,
    ) -> Array:
        """Draw the next event (V, C) of each voice from given random numbers.

        uniform (V, factors) in [0, 1) chooses flags and components, gauss (V, C) is
        standard normal. temperature divides logits (0: the likeliest); spread
        multiplies every deviation (0: the mean).
        """
        xp, event = self.xp, self.event
        inner = self.inner(memory)
        values = xp.zeros_like(gauss)
        known: list[Array] = []
        for i, factor in enumerate(event.factors):
            out = self.head(i, inner, known)
            u = uniform[:, i : i + 1]
            columns = list(factor.columns)
            if factor.kind == "flag":
                drawn = self._flag(out, u, temperature)
                values[:, columns] = drawn
                known.append(drawn)
                continue
            mixture = components(xp, event, factor, out, values, memory.now, memory.before)
            unit = self._component(mixture, u, gauss[:, columns], temperature, spread)
            drawn = unit * factor.scale + factor.centre
            if factor.kind == "duration":
                drawn = xp.exp(drawn)
            if factor.slides is not None:
                slides = values[:, factor.slides : factor.slides + 1] > 0.5
                last = xp.where(xp.isnan(memory.last), drawn, memory.last)
                drawn = xp.where(slides, last + unit * factor.step, drawn)
            values[:, columns] = drawn
            known.append(normal(xp, factor, values))
        return values

    def _flag(self, logit: Array, u: Array, temperature: float) -> Array:
        if temperature == 0:
            return (logit > 0) * (logit * 0 + 1)
        chance = 0.5 + 0.5 * self.xp.tanh(logit / (2 * temperature))
        return (u < chance) * (logit * 0 + 1)

    def _component(
        self, mixture: Components, u: Array, z: Array, temperature: float, spread: float
    ) -> Array:
        xp = self.xp
        rows = xp.arange(len(u))
        if temperature == 0:
            chosen = mixture.logits.argmax(-1)
        else:
            logits = mixture.logits / temperature
            highest = logits[rows, logits.argmax(-1)][:, None]
            below = xp.cumsum(xp.exp(logits - highest), -1)
            chosen = (u * below[:, -1:] >= below).sum(-1).clip(0, logits.shape[-1] - 1)
        d = _coloured(xp, z, mixture.lower[rows, chosen])
        return mixture.mean[rows, chosen] + spread * xp.exp(mixture.log_scale[rows, chosen]) * d


def _transposed(xp: Any, weight: Array) -> Array:
    """Return weight.T, laid out in memory as it is read."""
    return (
        xp.ascontiguousarray(weight.T)
        if hasattr(xp, "ascontiguousarray")
        else weight.T.contiguous()
    )


def _coloured(xp: Any, z: Array, lower: Array) -> Array:
    """(I + C) z, for z (V, D) and the rows of C one after another, (V, D(D-1)/2)."""
    columns = []
    at = 0
    for i in range(z.shape[-1]):
        column = z[:, i]
        for j in range(i):
            column = column + lower[:, at + j] * z[:, j]
        at += i
        columns.append(column)
    return xp.stack(columns, -1)
