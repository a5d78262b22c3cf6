"""Mathematics of one event: its features, its motion, and the mixture that a head outputs.

Written once for numpy arrays and torch tensors: ``xp`` is the module that made them.
Training runs it over whole sequences with torch, play runs it event by event
(robojam.player.reference). The last axis is columns or features, those before it are batch
axes: (…, C). P is the number of a position's columns, K of a mixture's components, D of a
factor's columns.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robojam.model.event import EventSpec, Factor

#: A numpy array or a torch tensor; each has operators that the other's types do not know.
Array = Any
#: The module that made the arrays, numpy or torch, for the functions that both have.
ArrayModule = Any
#: Numbers of 32 bits, in numpy.
Floats = NDArray[np.float32]

#: The least logarithm of a component's deviation (robojam.mixture.FLOOR).
FLOOR = -7.0
#: Velocities are limited to this many times EventSpec.speed; more is a screen's glitch.
MAX_SPEED = 12.0
#: The least duration by which a velocity is computed, in seconds.
MIN_DURATION = 1e-3
#: The least duration whose logarithm is taken, in seconds.
LOG_EPSILON = 1e-7


def concat(xp: ArrayModule, arrays: list[Array]) -> Array:
    """Return arrays joined along the last axis."""
    return arrays[0] if len(arrays) == 1 else xp.concatenate(arrays, -1)


@cache
def column_index(columns: tuple[int, ...]) -> slice | list[int]:
    """Return an index of columns: a slice, which copies nothing, if they are adjacent."""
    adjacent = range(columns[0], columns[-1] + 1)
    return slice(columns[0], columns[-1] + 1) if columns == tuple(adjacent) else [*columns]


def pick(values: Array, columns: tuple[int, ...]) -> Array:
    """Return some columns (…, dims) of events."""
    return values[..., column_index(columns)]


def clipped(array: Array, low: float, high: float = math.inf) -> Array:
    """Return an array limited to a range; NaN stays NaN."""
    if hasattr(array, "clamp"):
        return array.clamp(low, high)
    array = np.maximum(array, low)  # a third of np.clip's time
    return array if high == math.inf else np.minimum(array, high)


def feature_count(event: EventSpec) -> int:
    """Return the number of features of one event."""
    return sum(f.dims if f.slides is None else 4 * f.dims for f in event.factors)


def normalise(xp: ArrayModule, factor: Factor, values: Array) -> Array:
    """Return a factor's columns (…, D) of events, scaled to about unit size."""
    columns = pick(values, factor.columns)
    if factor.kind == "flag":
        return columns
    if factor.kind == "duration":
        columns = xp.log(clipped(columns, LOG_EPSILON))
    return (columns - factor.centre) / factor.scale


def slide(factor: Factor, values: Array, last: Array) -> Array:
    """Return how far (…, P) events slid from the last positions; 0 where they landed."""
    assert factor.slides is not None
    return (pick(values, factor.columns) - last) * pick(values, (factor.slides,))


def velocity(event: EventSpec, values: Array, slid: Array) -> Array:
    """Return the velocity (…, P) of events that slid by so much (…, P)."""
    if event.duration is None:
        return slid
    seconds = clipped(pick(values, (event.duration,)), MIN_DURATION)
    limit = MAX_SPEED * event.speed
    return clipped(slid / seconds, -limit, limit)


def features(
    xp: ArrayModule, event: EventSpec, values: Array, slid: Array, now: Array, before: Array
) -> Array:
    """Return the features (…, feature_count) of events.

    values (…, C) are the events; slid (…, P) is how far they slid; now and before (…, P)
    are their velocities and those of the events before them.
    """
    parts: list[Array] = []
    for factor in event.factors:
        unit = normalise(xp, factor, values)
        parts.append(xp.arcsinh(unit) if factor.kind == "offset" else unit)
        if factor.slides is not None:
            velocities = [xp.arcsinh(speed / event.speed) for speed in (now, before)]
            parts += [xp.arcsinh(slid / factor.step), *velocities]
    return concat(xp, parts)


def motion_terms(event: EventSpec, factor: Factor) -> int:
    """Return how many weights of motion each component of a factor has."""
    if factor.slides is None or event.duration is None:
        return 0
    return 3 if factor.dims == 2 else 2


def motion(
    xp: ArrayModule, event: EventSpec, factor: Factor, values: Array, now: Array, before: Array
) -> Array:
    """Return the slides that the last velocities predict, (…, motion_terms, P) in steps.

    These are the last velocity, the same turned by a right angle (so that a curve goes on
    curving), and the velocity before, each times the new duration; 0 for a landing.
    """
    assert event.duration is not None
    assert factor.slides is not None
    bases = [now, before]
    if factor.dims == 2:
        bases[1:1] = [-now[..., 1:], now[..., :1]]
    scale = pick(values, (event.duration,)) * pick(values, (factor.slides,)) / factor.step
    return concat(xp, bases).reshape(*now.shape[:-1], -1, factor.dims) * scale[..., None]


def output_count(event: EventSpec, factor: Factor) -> int:
    """Return the number of a factor's head outputs."""
    if factor.kind == "flag":
        return 1
    numbers: int = component_parts(event, factor)[-1].stop
    return factor.components * (1 + numbers)


def component_parts(event: EventSpec, factor: Factor) -> tuple[slice, ...]:
    """Return the parts of a component's numbers: mean, raw log scale, lower, motion weights."""
    d = factor.dims
    ends = [0, *accumulate((d, d, d * (d - 1) // 2, motion_terms(event, factor)))]
    return tuple(slice(start, end) for start, end in pairwise(ends))


class Components(NamedTuple):
    """Parameters of a mixture in units of its factor, shaped as in robojam.mixture.

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
    """Return the mixture that a head outputs; values (…, C) hold the earlier factors."""
    k = factor.components
    mean, raw, lower, shares = (
        out[..., k * (1 + p.start) : k * (1 + p.stop)].reshape(
            *out.shape[:-1], k, p.stop - p.start
        )
        for p in component_parts(event, factor)
    )
    raw = raw - FLOOR
    log_scale = FLOOR + xp.logaddexp(raw, xp.zeros_like(raw))
    if motion_terms(event, factor):
        mean = mean + shares @ motion(xp, event, factor, values, now, before)
    return Components(out[..., :k], mean, log_scale, lower)
