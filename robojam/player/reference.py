"""A model's weights laid out for one event at a time: hear it, draw the next.

Written for numpy arrays and torch tensors alike (``xp`` is the module that made them):
on the CPU numpy plays, at a third of torch's cost a step and without the second that
importing torch takes; on a GPU torch does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from robojam.model.event import EventSpec, Factor
from robojam.model.features import (
    FLOOR,
    Array,
    carries,
    clipped,
    concat,
    feature_count,
    features,
    motion,
    parts_of,
    pick,
    slide,
    velocity,
    where_of,
)

#: A duration that is drawn has no logarithm beyond this: 15 years, and still finite.
LONGEST = 20.0
#: Temperatures below this are 0: a logit divided by it may not be finite.
COLD = 1e-6


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

    def rows(self, rows: slice | list[int]) -> Memory:
        """Return some voices' part of it: of a slice a view, else a copy."""
        return Memory(
            [h[rows] for h in self.hidden],
            [c[rows] for c in self.cell],
            self.last[rows],
            self.now[rows],
            self.before[rows],
            self.heard[rows],
        )

    def write(self, rows: slice | list[int], part: Memory, where: Array | None = None) -> None:
        """Replace some voices' part of it, in place; where (·, 1): only theirs."""
        # before comes ahead of now: what was just heard has this now as its before.
        for mine, its in zip(
            [*self.hidden, *self.cell, self.last, self.before, self.now, self.heard],
            [*part.hidden, *part.cell, part.last, part.before, part.now, part.heard],
            strict=True,
        ):
            mine[rows] = its if where is None else its.where(where, mine)


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed of one factor's head at play.

    columns of the event; inner, its part of what the heads begin from; weight and
    bias, its last layer; tell, what its outcome adds to what the later heads begin
    from (None: nobody asks); index (K, ·), where each component's numbers stand in
    its output, and parts, which of these are what.
    """

    columns: slice | list[int]
    inner: slice
    weight: Array
    bias: Array
    tell: Array | None
    index: Array
    parts: tuple[slice, ...]


class Network:
    """A model's weights, laid out for one event at a time.

    Each layer's gates are one product over joined weights; the sigmoids are taken
    as 0.5 + 0.5 tanh(z / 2), the half folded into the weights, so that one tanh
    serves all four gates.
    """

    def __init__(
        self, xp: Any, event: EventSpec, weights: dict[str, Array], layers: int
    ) -> None:
        self.xp, self.event, self.position = xp, event, event.position
        self.start = weights["start"]
        self.gates: list[tuple[Array, Array]] = []
        self.units = n = self.start.shape[-1]
        for layer in range(layers):
            get = {
                k: weights[f"rnn.{layer}.{k}_l0"]
                for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            joined = concat(xp, [get["weight_ih"], get["weight_hh"]])
            bias = get["bias_ih"] + get["bias_hh"]
            half = xp.ones_like(bias) * 0.5
            half[2 * n : 3 * n] = 1.0  # the candidate's tanh is taken whole
            self.gates.append((_transposed(xp, joined * half[:, None]), bias * half))
        self.trunk = (_transposed(xp, weights["trunk.weight"]), weights["trunk.bias"])
        self.heads = [self._laid_out(i, weights) for i in range(len(event.factors))]
        self._one = xp.ones_like(self.start[0, 0, :1])
        self._numbered: dict[int, Array] = {}

    def _laid_out(self, i: int, weights: dict[str, Array]) -> Head:
        xp, event = self.xp, self.event
        factor = event.factors[i]
        at = sum(f.hidden for f in event.factors[:i])
        known = sum(f.dims for f in event.factors[:i])
        told = [xp.zeros_like(self.trunk[0][: factor.dims, : at + factor.hidden])]
        for j in range(i + 1, len(event.factors)):
            context = weights[f"context.{j}.weight"][:, known : known + factor.dims]
            told.append(_transposed(xp, context))
        k, parts = factor.components, parts_of(event, factor)
        index = [
            [
                k * (1 + part.start) + component * (part.stop - part.start) + number
                for part in parts
                for number in range(part.stop - part.start)
            ]
            for component in range(k)
        ]
        return Head(
            where_of(factor.columns),
            slice(at, at + factor.hidden),
            _transposed(xp, weights[f"head.{i}.weight"]),
            weights[f"head.{i}.bias"],
            concat(xp, told) if len(told) > 1 else None,
            self._here(xp.asarray(index)),
            parts,
        )

    def here(self, rows: list[list[float]]) -> Array:
        """Return rows of numbers as an array like the weights."""
        return self._here(self.xp.asarray(rows, dtype=self.start.dtype))

    def _here(self, array: Array) -> Array:
        return array.to(self.start.device) if hasattr(array, "to") else array

    def initial(self, voices: int) -> Memory:
        """Return the memory of V voices that have heard nothing."""
        xp, start = self.xp, self.start
        places = self.position.dims if self.position else 0
        blank = xp.concatenate([start[0, 0, :1][None] * 0] * voices)  # (V, 1)
        still = xp.concatenate([blank] * (places + 1), -1)[:, 1:]
        return Memory(
            [blank + start[0, layer] for layer in range(start.shape[1])],
            [blank + start[1, layer] for layer in range(start.shape[1])],
            still + math.nan,
            still + 0,
            still + 0,
            xp.concatenate([blank] * feature_count(self.event), -1),
        )

    def feed(self, memory: Memory, values: Array) -> Memory:
        """Hear one event (V, C) each: return the memory after it."""
        xp, event = self.xp, self.event
        here = slid = memory.last
        now, before = memory.now, memory.before
        if self.position is not None:
            here = pick(values, self.position.columns)
            last = xp.where(xp.isnan(memory.last), here, memory.last)
            slid = slide(self.position, values, last)
            now, before = velocity(event, values, slid), now
        heard = x = features(xp, event, values, slid, now, before)
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

    def told(self, i: int, inner: Array, unit: Array) -> Array:
        """What the heads begin from once factor i is known, as unit values (V, dims)."""
        tell = self.heads[i].tell
        return inner if tell is None else inner + unit @ tell

    def head(self, i: int, inner: Array) -> Array:
        """Output of factor i's head, once told of the factors before it."""
        head = self.heads[i]
        return self.xp.tanh(inner[:, head.inner]) @ head.weight + head.bias

    def sample(
        self,
        memory: Memory,
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
        inner = self.inner(memory)
        values = gauss * 0
        for i, factor in enumerate(event.factors):
            head, out, u = self.heads[i], self.head(i, inner), uniform[:, i : i + 1]
            if factor.kind == "flag":
                drawn = unit = self._flag(out, u, temperature)
            else:
                chosen = self._chosen(out[:, : factor.components], u, temperature)
                numbers = out[self._rows(len(out)), head.index[chosen]]
                z = gauss[:, head.columns] * spread
                unit = self._unit(
                    factor, [numbers[:, p] for p in head.parts], z, values, memory
                )
                drawn = unit * factor.scale + factor.centre
            if factor.kind == "duration":
                drawn = xp.exp(clipped(drawn, -LONGEST, LONGEST))
            if factor.slides is not None:
                slides = (pick(values, (factor.slides,)) > 0.5) & ~xp.isnan(memory.last)
                drawn = xp.where(slides, memory.last + unit * factor.step, drawn)
            values[:, head.columns] = drawn
            inner = self.told(i, inner, unit)
        return values

    def _flag(self, logit: Array, u: Array, temperature: float | Array) -> Array:
        if _is_cold(temperature):
            return (logit > 0) * self._one
        chance = 0.5 + 0.5 * self.xp.tanh(logit / (2 * temperature))
        return (u < chance) * self._one

    def _chosen(self, logits: Array, u: Array, temperature: float | Array) -> Array:
        """Choose a component (V,) by its weight."""
        if _is_cold(temperature):
            return logits.argmax(-1)
        highest = logits[self._rows(len(logits)), logits.argmax(-1)[:, None]]
        below = self.xp.exp((logits - highest) / temperature).cumsum(-1)
        return (u * below[:, -1:] >= below[:, :-1]).sum(-1)

    def _unit(
        self, factor: Factor, numbers: list[Array], z: Array, values: Array, memory: Memory
    ) -> Array:
        """Draw (V, D) from one component of a factor, in its own units."""
        mean, raw, lower, shares = numbers
        # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
        unit = mean + (math.exp(FLOOR) + self.xp.exp(raw)) * _coloured(z, lower)
        if not carries(self.event, factor):
            return unit
        push = motion(self.xp, self.event, factor, values, memory.now, memory.before)
        return unit + (shares[:, None] @ push)[:, 0]

    def _rows(self, voices: int) -> Array:
        """Return the numbers of the voices' rows, (V, 1)."""
        if voices not in self._numbered:
            self._numbered[voices] = self._here(self.xp.arange(voices))[:, None]
        return self._numbered[voices]


def _is_cold(temperature: float | Array) -> bool:
    """Tell whether a temperature is 0; an array's is not looked at, which would wait for it."""
    return isinstance(temperature, int | float) and temperature < COLD


def _transposed(xp: Any, weight: Array) -> Array:
    """Return weight.T, laid out in memory as it is read."""
    if hasattr(xp, "ascontiguousarray"):
        return xp.ascontiguousarray(weight.T)
    return weight.T.contiguous()


def _coloured(z: Array, lower: Array) -> Array:
    """(I + C) z, for z (V, D) and the rows of C one after another, (V, D(D-1)/2)."""
    if z.shape[-1] == 1:
        return z
    coloured = z + 0  # not z itself, which is not ours to write in
    at = 0
    for i in range(1, z.shape[-1]):
        coloured[:, i] += (lower[:, at : at + i] * z[:, :i]).sum(-1)
        at += i
    return coloured
