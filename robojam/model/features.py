"""The mathematics of one event: its features, what motion carries on, what heads mean.

Written once for numpy arrays and torch tensors alike: ``xp`` is the module that
made them. Training runs it over whole sequences with torch, play runs it event by
event (robojam.player.reference). The last axis is features, all before it batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.model.event import EventSpec, Factor

#: A numpy array or a torch tensor; each has operators that the other's types do not know.
Array = Any
#: The module that made the arrays, numpy or torch, for the functions that both have.
ArrayModule = Any
#: Numbers of 32 bits, in numpy.
Floats = NDArray[np.float32]

#: log s of a component never falls below this (robojam.mixture.FLOOR).
FLOOR = -7.0
#: Velocities count up to this many times Event.speed; more is a screen's glitch.
MAX_SPEED = 12.0
#: Durations count from here, in seconds: a velocity needs some time to be one.
MIN_DURATION = 1e-3
#: Logarithms of durations are taken from here, in seconds.
TINY = 1e-7


def concat(xp: ArrayModule, arrays: list[Array]) -> Array:
    """Join along the last axis."""
    return arrays[0] if len(arrays) == 1 else xp.concatenate(arrays, -1)


@cache
def where_of(columns: tuple[int, ...]) -> slice | list[int]:
    """Return how to index columns: by a slice, which copies nothing, where that will do."""
    side_by_side = slice(columns[0], columns[-1] + 1)
    return side_by_side if columns == tuple(range(columns[0], columns[-1] + 1)) else [*columns]


def pick(values: Array, columns: tuple[int, ...]) -> Array:
    """Return some columns (…, dims) of events."""
    return values[..., where_of(columns)]


def clipped(array: Array, low: float, high: float = math.inf) -> Array:
    """Bring numbers into a range; what is no number stays none."""
    if hasattr(array, "clamp"):
        return array.clamp(low, high)
    array = np.maximum(array, low)  # a third of np.clip's time
    return array if high == math.inf else np.minimum(array, high)


def feature_count(event: EventSpec) -> int:
    """How many features describe one event that was heard."""
    return sum(f.dims if f.slides is None else 4 * f.dims for f in event.factors)


def normal(xp: ArrayModule, factor: Factor, values: Array) -> Array:
    """Bring a factor's columns (…, dims) of an event to about unit size."""
    columns = pick(values, factor.columns)
    if factor.kind == "flag":
        return columns
    if factor.kind == "duration":
        columns = xp.log(clipped(columns, TINY))
    return (columns - factor.centre) / factor.scale


def slide(factor: Factor, values: Array, last: Array) -> Array:
    """How far (…, P) events slid from the places last: 0 where they landed."""
    assert factor.slides is not None
    return (pick(values, factor.columns) - last) * pick(values, (factor.slides,))


def velocity(event: EventSpec, values: Array, slid: Array) -> Array:
    """Velocity (…, P) with which an event slid so far."""
    if event.duration is None:
        return slid
    seconds = clipped(pick(values, (event.duration,)), MIN_DURATION)
    limit = MAX_SPEED * event.speed
    return clipped(slid / seconds, -limit, limit)


def features(
    xp: ArrayModule, event: EventSpec, values: Array, slid: Array, now: Array, before: Array
) -> Array:
    """Return the features (…, feature_count) of events that were heard.

    values (…, C) are the events; slid (…, P) how far they slid; now and before
    (…, P) their velocities and those of the events before them.
    """
    parts: list[Array] = []
    for factor in event.factors:
        unit = normal(xp, factor, values)
        parts.append(xp.arcsinh(unit) if factor.kind == "offset" else unit)
        if factor.slides is not None:
            parts += [
                xp.arcsinh(slid / factor.step),
                xp.arcsinh(now / event.speed),
                xp.arcsinh(before / event.speed),
            ]
    return concat(xp, parts)


def carries(event: EventSpec, factor: Factor) -> int:
    """How many shares of motion each component of a factor carries on."""
    if factor.slides is None or event.duration is None:
        return 0
    return 3 if factor.dims == 2 else 2


def motion(
    xp: ArrayModule, event: EventSpec, factor: Factor, values: Array, now: Array, before: Array
) -> Array:
    """What the last velocities would make of this event, (…, carries, P) in steps.

    The last velocity, the same turned by a right angle (so that a curve goes on
    curving), and the velocity before, each times the new duration; 0 for a landing.
    """
    assert event.duration is not None
    assert factor.slides is not None
    bases = [now, before]
    if factor.dims == 2:
        bases[1:1] = [-now[..., 1:], now[..., :1]]
    scale = pick(values, (event.duration,)) * pick(values, (factor.slides,)) / factor.step
    return concat(xp, bases).reshape(*now.shape[:-1], -1, factor.dims) * scale[..., None]


def outputs(event: EventSpec, factor: Factor) -> int:
    """How many numbers a factor's head gives."""
    if factor.kind == "flag":
        return 1
    d = factor.dims
    return factor.components * (1 + 2 * d + d * (d - 1) // 2 + carries(event, factor))


def parts_of(event: EventSpec, factor: Factor) -> tuple[slice, ...]:
    """Where one component's numbers stand: mean, raw log scale, lower, shares of motion."""
    d = factor.dims
    ends = [0, *accumulate((d, d, d * (d - 1) // 2, carries(event, factor)))]
    return tuple(slice(start, end) for start, end in pairwise(ends))


@dataclass(frozen=True, slots=True)
class Components:
    """A mixture's parameters in units of its factor, shaped as in robojam.mixture.

    logits (…, K), mean (…, K, D), log_scale (…, K, D), lower (…, K, D(D-1)/2).
    """

    logits: Array
    mean: Array
    log_scale: Array
    lower: Array


def components(
    xp: ArrayModule,
    event: EventSpec,
    factor: Factor,
    out: Array,
    values: Array,
    now: Array,
    before: Array,
) -> Components:
    """Read a head's output as a mixture; values holds the factors that came before."""
    k = factor.components
    mean, raw, lower, shares = (
        out[..., k * (1 + part.start) : k * (1 + part.stop)].reshape(
            *out.shape[:-1], k, part.stop - part.start
        )
        for part in parts_of(event, factor)
    )
    raw = raw - FLOOR
    log_scale = FLOOR + xp.logaddexp(raw, xp.zeros_like(raw))
    if carries(event, factor):
        mean = mean + shares @ motion(xp, event, factor, values, now, before)
    return Components(out[..., :k], mean, log_scale, lower)
