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
#: Turns at this share of EventSpec.speed or less count little: they are noise.
SLOW = 0.05
#: Scale of the cosine and sine of turns, which are small.
TURN = 4.0
#: The logarithm of a usual rest before a landing, in units of the duration.
REST = 3.0
#: Seconds and screens that are much for a stroke.
LONG = 0.25
#: The least weight of a running mean that is divided by.
LEAST_WEIGHT = 1e-6
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
    """Return the number of features of one event, which the recurrent layers are given."""
    return sum(f.dims if f.slides is None else 4 * f.dims for f in event.factors)


#: Numbers of a summary that describe the stroke so far, a move and a landing.
STROKE_NUMBERS, MOVE_NUMBERS, LANDING_NUMBERS = 4, 12, 13
#: Where a summary's means start; before them are the stroke, and a flag each for moves and
#: landings.
MEANS_START = STROKE_NUMBERS + 2


def summary_count(event: EventSpec) -> int:
    """Return how many numbers summarise what was played (`summarise`), for the heads."""
    if not event.summarises:
        return 0
    moves = (1 + MOVE_NUMBERS) * len(event.move_means)
    return MEANS_START + moves + (1 + LANDING_NUMBERS) * len(event.landing_means)


def normalise(xp: ArrayModule, factor: Factor, values: Array) -> Array:
    """Return a factor's columns (…, D) of events, scaled to about unit size."""
    columns = pick(values, factor.columns)
    if factor.kind == "flag":
        return columns
    if factor.kind == "duration":
        columns = xp.log(clipped(columns, LOG_EPSILON))
    return (columns - factor.centre) / factor.scale


def slide(factor: Factor, values: Array, last: Array) -> Array:
    """Return how far (…, P) events slid from the last positions; 0 where they landed.

    Where the factor follows: 0 for a column that changed by no more than the noise.
    """
    assert factor.slides is not None
    change = pick(values, factor.columns) - last
    if factor.follows:
        return change * (abs(change) > factor.noise)
    return change * pick(values, (factor.slides,))


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


def describe_moves(
    xp: ArrayModule, event: EventSpec, values: Array, now: Array, before: Array
) -> Array:
    """Return the numbers of moves (…, MOVE_NUMBERS) of which a summary keeps means.

    Of each: the logarithm of its dt, its speed, the cosine, the sine and the absolute sine of
    its turn, its place and half of its square, half of the squares of the first two, and by
    what share the speed changed.
    """
    place, duration = summarised(event)
    length, length_before = _length(xp, now), _length(xp, before)
    product = length * length_before + (SLOW * event.speed) ** 2
    cosine = (now * before)[..., :1] + (now * before)[..., 1:]
    sine = before[..., :1] * now[..., 1:] - before[..., 1:] * now[..., :1]
    unit = normalise(xp, place, values)
    turn = concat(xp, [cosine, sine, abs(sine)]) * (TURN / product)
    dt, speed = normalise(xp, duration, values), xp.arcsinh(length / event.speed)
    total = length + length_before + SLOW * event.speed
    parts = [dt, speed, turn, unit, unit * unit / 2, dt * dt / 2, speed * speed / 2]
    return concat(xp, [*parts, abs(length - length_before) / total])


def describe_landings(
    xp: ArrayModule, event: EventSpec, values: Array, last: Array, stroke: Array
) -> Array:
    """Return the numbers of landings (…, LANDING_NUMBERS) of which a summary keeps means.

    last (…, 2) is the place before, stroke (…, STROKE_NUMBERS) describes the stroke before.
    Of each: the logarithm of its dt, the way from the last place and its length, its place
    and half of its square, how long the stroke before was in time, in its path and in its
    chord, and half of the squares of dt and way.
    """
    place, duration = summarised(event)
    unit = normalise(xp, place, values)
    jump = (pick(values, place.columns) - last) / place.scale
    rest = (normalise(xp, duration, values) - REST) / 2
    way = _length(xp, jump)
    parts = [rest, jump, way, unit, unit * unit / 2, stroke[..., :2]]
    return concat(xp, [*parts, _length(xp, stroke[..., 2:]), rest * rest / 2, way * way / 2])


def describe_stroke(xp: ArrayModule, event: EventSpec, sums: Array) -> Array:
    """Return the numbers (…, STROKE_NUMBERS) of a stroke so far, given its sums.

    sums (…, STROKE_NUMBERS) are its seconds, its path and its way from the landing.
    """
    place, _ = summarised(event)
    return concat(xp, [xp.log1p(sums[..., :2] / LONG), sums[..., 2:] / place.scale])


def stroke_sums(xp: ArrayModule, event: EventSpec, stroke: Array) -> Array:
    """Return the sums of a stroke, given its numbers: the inverse of `describe_stroke`."""
    place, _ = summarised(event)
    return concat(xp, [xp.expm1(stroke[..., :2]) * LONG, stroke[..., 2:] * place.scale])


class Motion(NamedTuple):
    """How events moved, (…, P) each.

    last is the place before an event, NaN before the first one; slid how far it slid; now and
    before the velocities of it and of the event before.
    """

    last: Array
    slid: Array
    now: Array
    before: Array


def summarise(
    xp: ArrayModule,
    event: EventSpec,
    values: Array,
    motion: Motion,
    summary: Array,
    *,
    heard: bool | Array = True,
) -> Array:
    """Return the summary (…, summary_count) after an event, given the one before it.

    The numbers of the stroke so far; whether the means over moves, and those over landings,
    are of the machine's own; then, for each decay of EventSpec.move_means and of
    landing_means, the weight of a running mean and the mean itself. A mean of numbers with a
    decay d is that of an exponential moving average, divided by its weight 1 - d ** n after n
    numbers, so that it is a mean of what there is. All are 0 before the first event, which
    only sets the place.

    heard (…, 1) is 1 where a human played the event. Once a human has moved, the means over
    moves are of humans' moves alone, so that the machine's own play does not take the place
    of what it answers; until then they are of its own. The same holds for landings.
    """
    place, _ = summarised(event)
    last, slid, now, before = motion
    moving = pick(values, (place.slides or 0,))
    follows = xp.where(xp.isnan(last[..., :1]), moving * 0, moving * 0 + 1)
    last = xp.where(xp.isnan(last), pick(values, place.columns), last)
    stroke = summary[..., :STROKE_NUMBERS]
    seconds = pick(values, (event.duration or 0,))
    sums = concat(xp, [seconds, _length(xp, slid), slid]) * follows
    parts = [describe_stroke(xp, event, (stroke_sums(xp, event, stroke) + sums) * moving)]
    moves = describe_moves(xp, event, values, now, before)
    landings = describe_landings(xp, event, values, last, stroke)
    at, own = MEANS_START, summary[..., STROKE_NUMBERS:MEANS_START]
    means: list[Array] = []
    for decays, weight, flag, numbers in (
        (event.move_means, follows * moving, own[..., :1], moves),
        (event.landing_means, follows * (1 - moving), own[..., 1:], landings),
    ):
        empty = (summary[..., at : at + 1] == 0) * (flag * 0 + 1) if decays else flag
        weight = weight * (heard + (1 - heard) * clipped(flag + empty, 0, 1))
        parts.append(flag + weight * (1 - heard - flag))
        for decay in decays:
            old = summary[..., at : at + 1]
            mean = summary[..., at + 1 : at + 1 + numbers.shape[-1]]
            at += 1 + numbers.shape[-1]
            added = weight * (1 - decay)
            new = old + added * (1 - old)
            means += [new, mean + added / clipped(new, LEAST_WEIGHT) * (numbers - mean)]
    return concat(xp, parts + means)


def summarised(event: EventSpec) -> tuple[Factor, Factor]:
    """Return the factors of the place and of the duration of an event that is summarised."""
    place = event.position
    assert place is not None
    return place, next(f for f in event.factors if f.columns == (event.duration,))


def _length(xp: ArrayModule, vector: Array) -> Array:
    """Return the length (…, 1) of vectors (…, 2)."""
    return xp.hypot(vector[..., :1], vector[..., 1:])


def motion_terms(event: EventSpec, factor: Factor) -> int:
    """Return how many weights of motion each component of a factor has."""
    if factor.slides is None or event.duration is None:
        return 0
    return 3 if _turns(factor) else 2


def _turns(factor: Factor) -> bool:
    return factor.dims == 2 and not factor.follows


def motion(
    xp: ArrayModule, event: EventSpec, factor: Factor, values: Array, now: Array, before: Array
) -> Array:
    """Return the slides that the last velocities predict, (…, motion_terms, P) in steps.

    These are the last velocity, the same turned by a right angle (so that a curve goes on
    curving), and the velocity before, each times the new duration; 0 for a landing. Only
    places in two dimensions turn, and two knobs are none.
    """
    assert event.duration is not None
    assert factor.slides is not None
    bases = [now, before]
    if _turns(factor):
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
    below = 0 if factor.diagonal else d * (d - 1) // 2
    ends = [0, *accumulate((d, d, below, motion_terms(event, factor)))]
    return tuple(slice(start, end) for start, end in pairwise(ends))


class Components(NamedTuple):
    """Parameters of a mixture in units of its factor, shaped as in robojam.mixture.

    logits (…, K), mean (…, K, D), log_scale (…, K, D), lower (…, K, D(D-1)/2), or (…, K, 0)
    of a factor that is diagonal.
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
