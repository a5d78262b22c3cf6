"""Compiled steps of one voice: prepare, feed and sample, each one call.

Written for numba, which compiles this module once for a machine and keeps the result on disk.
The mathematics is that of robojam.player.reference, in the steps of
robojam.player.cpu_single. robojam.player.cpu_compiled lays out what the functions are given:

- row: the voice's state (robojam.player.state_layout);
- plan: what is where, as whole numbers; the names below say what stands at which place;
- floats: biases, scales, and arrays to compute in;
- tiles: the weights as 16-bit whole numbers, in the order in which they are read.

While a processor waits for the next touch it loses what it had read, and most of the time of
a step is reading the weights again. In 16 bits there is half as much to read as in 32; a
weight is then off by a 65,000th of the greatest of its column, and a sum by 1e-4 or so.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

from robojam.model.features import (
    FLOOR,
    LANDING_NUMBERS,
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
)
from robojam.player.reference import COLD, LONGEST

#: Rows and columns of a tile of weights.
TILE_ROWS: Final = 8
TILE_COLUMNS: Final = 16

# Places in a plan. Names that end in _AT are places in floats, those in _ROW in a row.
UNITS, LAYERS, FACTORS, DIMS, FEATURES, DURATION, MOTION_ROW, HEAD_ROWS = range(8)
SPEED_AT, INPUT_AT, SUM_AT, TRUNK_AT, TRUNK, PLAN_LAYERS, PLAN_FACTORS = range(8, 15)
SUMMARY, MOVE_MEANS, LANDING_MEANS, DECAYS_AT, NUMBERS_AT, PLACE, TIME, HEADER = range(15, 23)
# Of a layer, from its beginning in the plan. NEW, KNOWN, TRUNK and HEAD are products.
NEW, KNOWN, NEW_ROW, NEW_ROWS, OUTPUT_ROW, CELL_ROW, AHEAD_AT, AHEAD_OF_AT = range(8)
LAYER_SIZE: Final = 8
# Of a factor, from its beginning.
KIND, FACTOR_DIMS, COLUMNS, COMPONENTS, NUMBERS, SHARES, SLIDES, HEAD = range(8)
PART, PART_SIZE, CONTEXT_AT, LATER_SIZE, UNIT_AT, FACTOR_SIZE = range(8, 14)
# Of a product, from its beginning.
ROW_TILES, COLUMN_TILES, TILES, SCALE_AT, BIAS_AT, PRODUCT_SIZE = range(6)
# Kinds of factors, in the order of their numbers.
KINDS: Final = ("flag", "duration", "position", "offset")
_FLAG, _LENGTH, _PLACE, _OFFSET = range(4)

_MIN_SCALE: Final = math.exp(FLOOR)
_TWO_LOG2_E: Final = np.float32(2 / math.log(2))
#: A number to which adding rounds to whole numbers.
_ROUND: Final = np.float32(1.5 * 2**23)
#: Beyond it, a hyperbolic tangent is 1 in 32 bits.
_LIMIT: Final = np.float32(10)
#: Coefficients of the series of 2 ** x, enough for 32 bits where |x| <= 1/2.
_P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 7)
)
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)

#: Arguments of the compiled functions; numba's own types are in _SIGNATURES.
_A = Any


@njit(inline="always")
def _tanh(x: _A) -> _A:
    y = min(max(x, -_LIMIT), _LIMIT) * _TWO_LOG2_E  # exp(2 x) = 2 ** y
    whole = (y + _ROUND) - _ROUND
    f = y - whole
    power = _ONE + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    exponent = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23))
    return _ONE - _TWO / (power * exponent.view(np.float32) + _ONE)


@njit(fastmath={"contract"}, error_model="numpy")
def _product(plan: _A, floats: _A, tiles: _A, product: _A, base_at: _A, out_at: _A) -> None:
    """Write the input times a product's weights, and what is at base_at, to out_at."""
    count, blocks = plan[product + ROW_TILES], plan[product + COLUMN_TILES]
    size = TILE_ROWS * TILE_COLUMNS
    start, width = plan[product + TILES], blocks * TILE_COLUMNS
    x = floats[plan[INPUT_AT] :]
    out = floats[out_at : out_at + width]
    out[:] = 0
    for t in range(count):
        a, b, c, d = x[8 * t], x[8 * t + 1], x[8 * t + 2], x[8 * t + 3]
        e, f, g, h = x[8 * t + 4], x[8 * t + 5], x[8 * t + 6], x[8 * t + 7]
        for block in range(blocks):
            at = start + (t * blocks + block) * size
            w = tiles[at : at + size]
            z = out[block * TILE_COLUMNS : (block + 1) * TILE_COLUMNS]
            for j in range(TILE_COLUMNS):
                z[j] += (
                    (a * np.float32(w[j]) + b * np.float32(w[16 + j]))
                    + (c * np.float32(w[32 + j]) + d * np.float32(w[48 + j]))
                ) + (
                    (e * np.float32(w[64 + j]) + f * np.float32(w[80 + j]))
                    + (g * np.float32(w[96 + j]) + h * np.float32(w[112 + j]))
                )
    base = floats[base_at : base_at + width]
    scale = floats[plan[product + SCALE_AT] : plan[product + SCALE_AT] + width]
    for j in range(width):
        out[j] = base[j] + scale[j] * out[j]


@njit(error_model="numpy")
def _set_input(plan: _A, floats: _A, values: _A) -> None:
    """Copy values to the input of the next product, with zeros to the end of a tile."""
    x = floats[plan[INPUT_AT] :]
    n = len(values)
    x[:n] = values
    x[n : n + TILE_ROWS] = 0


@njit(error_model="numpy")
def _prepare(plan: _A, floats: _A, tiles: _A, row: _A, layer: _A) -> None:
    """Compute the product of a layer's last output, unless it is there."""
    n = plan[UNITS]
    output = row[plan[layer + OUTPUT_ROW] : plan[layer + OUTPUT_ROW] + n]
    output_of = floats[plan[layer + AHEAD_OF_AT] : plan[layer + AHEAD_OF_AT] + n]
    is_there = True
    for i in range(n):
        is_there &= output[i] == output_of[i]
    if is_there:
        return
    _set_input(plan, floats, output)
    known = layer + KNOWN
    _product(
        plan, floats, tiles, plan[known], plan[plan[known] + BIAS_AT], plan[layer + AHEAD_AT]
    )
    output_of[:] = output


@njit(error_model="numpy", fastmath={"contract"})
def _gates(z: _A, cell: _A, output: _A) -> None:
    n = len(cell)
    for i in range(n):
        opened = _HALF + _HALF * _tanh(z[i])
        kept = _HALF + _HALF * _tanh(z[n + i])
        c = kept * cell[i] + opened * _tanh(z[2 * n + i])
        cell[i] = c
        output[i] = (_HALF + _HALF * _tanh(z[3 * n + i])) * _tanh(c)


@njit(error_model="numpy")
def _move(plan: _A, floats: _A, row: _A, event: _A) -> None:
    """Write an event's features to a row, and move its position and velocities there."""
    p, duration, speed = plan[DIMS], plan[DURATION], floats[plan[SPEED_AT]]
    motion = row[plan[MOTION_ROW] : plan[MOTION_ROW] + 3 * p]
    f = plan[SUMMARY]
    for i in range(plan[FACTORS]):
        factor = plan[PLAN_FACTORS] + i * FACTOR_SIZE
        kind, dims, at = plan[factor + KIND], plan[factor + FACTOR_DIMS], plan[factor + UNIT_AT]
        centre, scale, step = floats[at], floats[at + 1], floats[at + 2]
        for d in range(dims):
            value = event[plan[plan[factor + COLUMNS] + d]]
            if kind == _LENGTH:
                value = math.log(max(value, LOG_EPSILON))
            if kind != _FLAG:
                value = (value - centre) / scale
            row[f] = math.asinh(value) if kind == _OFFSET else value
            f += 1
        if plan[factor + SLIDES] < 0:
            continue
        landed = math.isnan(motion[0])  # the first event has not slid
        for d in range(p):
            value = event[plan[plan[factor + COLUMNS] + d]]
            slid = 0.0 if landed else (value - motion[d]) * event[plan[factor + SLIDES]]
            now, before = slid, motion[p + d]
            if duration >= 0:
                limit = MAX_SPEED * speed
                now = min(max(slid / max(event[duration], MIN_DURATION), -limit), limit)
            motion[d], motion[p + d], motion[2 * p + d] = value, now, before
            row[f + d] = math.asinh(slid / step)
            row[f + p + d] = math.asinh(now / speed)
            row[f + 2 * p + d] = math.asinh(before / speed)
        f += 3 * p


@njit(error_model="numpy")
def _summarise(
    plan: _A, floats: _A, row: _A, event: _A, last_x: _A, last_y: _A, heard: _A
) -> None:
    """Update a row's summary after an event, given the place before: features.summarise."""
    if math.isnan(last_x):
        return
    place, time = plan[PLACE], plan[TIME]
    unit, columns = plan[place + UNIT_AT], plan[place + COLUMNS]
    centre, scale = floats[unit], floats[unit + 1]
    x, y = event[plan[columns]], event[plan[columns + 1]]
    slid_x, slid_y = x - last_x, y - last_y
    dt = event[plan[DURATION]]
    unit = plan[time + UNIT_AT]
    rest = (math.log(max(dt, LOG_EPSILON)) - floats[unit]) / floats[unit + 1]
    unit_x, unit_y = (x - centre) / scale, (y - centre) / scale
    numbers = floats[plan[NUMBERS_AT] :]
    if event[plan[place + SLIDES]] > 0.5:
        count, means, decays = MOVE_NUMBERS, plan[MOVE_MEANS], plan[DECAYS_AT]
        at, flag = MEANS_START, STROKE_NUMBERS
        motion = row[plan[MOTION_ROW] + 2 : plan[MOTION_ROW] + 6]
        now_x, now_y, before_x, before_y = motion[0], motion[1], motion[2], motion[3]
        full, now = floats[plan[SPEED_AT]], math.hypot(now_x, now_y)
        slow = (SLOW * full) * (SLOW * full)
        turn = TURN / (now * math.hypot(before_x, before_y) + slow)
        sine = (before_x * now_y - before_y * now_x) * turn
        numbers[0], numbers[1] = rest, math.asinh(now / full)
        numbers[2] = (now_x * before_x + now_y * before_y) * turn
        numbers[3], numbers[4] = sine, abs(sine)
        numbers[9], numbers[10] = rest * rest / 2, numbers[1] * numbers[1] / 2
        then = math.hypot(before_x, before_y)
        numbers[11] = abs(now - then) / (now + then + SLOW * full)
        own = 5
    else:
        count, means = LANDING_NUMBERS, plan[LANDING_MEANS]
        decays = plan[DECAYS_AT] + plan[MOVE_MEANS]
        at, flag = MEANS_START + (1 + MOVE_NUMBERS) * plan[MOVE_MEANS], STROKE_NUMBERS + 1
        jump_x, jump_y = slid_x / scale, slid_y / scale
        numbers[0], numbers[1], numbers[2] = (rest - REST) / 2, jump_x, jump_y
        numbers[3] = math.hypot(jump_x, jump_y)
        numbers[8], numbers[9] = row[0], row[1]
        numbers[10] = math.hypot(row[2], row[3])
        numbers[11] = numbers[0] * numbers[0] / 2
        numbers[12] = numbers[3] * numbers[3] / 2
        own = 4
    numbers[own], numbers[own + 1] = unit_x, unit_y
    numbers[own + 2], numbers[own + 3] = unit_x * unit_x / 2, unit_y * unit_y / 2
    if event[plan[place + SLIDES]] > 0.5:
        row[0] = math.log1p((math.expm1(row[0]) * LONG + dt) / LONG)
        way = math.hypot(slid_x, slid_y)
        row[1] = math.log1p((math.expm1(row[1]) * LONG + way) / LONG)
        row[2], row[3] = row[2] + slid_x / scale, row[3] + slid_y / scale
    else:
        row[:STROKE_NUMBERS] = 0
    if heard == 0 and row[flag] == 0 and means > 0 and row[at] != 0:
        return
    row[flag] = 0 if heard else 1
    for i in range(means):
        added = 1 - floats[decays + i]
        weight = row[at] + added * (1 - row[at])
        row[at] = weight
        share = added / max(weight, LEAST_WEIGHT)
        for j in range(count):
            mean = row[at + 1 + j]
            row[at + 1 + j] = mean + share * (numbers[j] - mean)
        at += 1 + count


@njit(error_model="numpy", fastmath={"contract"})
def _hidden(plan: _A, floats: _A, part: _A) -> None:
    """Set the input of a head: the hyperbolic tangent of its part of the trunk's output."""
    x, n = floats[plan[INPUT_AT] :], len(part)
    for j in range(n):
        x[j] = _tanh(part[j])
    x[n : n + TILE_ROWS] = 0


@njit(error_model="numpy")
def _flag(logit: _A, u: _A, temperature: _A) -> _A:
    if temperature < COLD:
        return 1.0 if logit > 0 else 0.0
    return 1.0 if u < 0.5 + 0.5 * math.tanh(logit / (2 * temperature)) else 0.0


@njit(error_model="numpy")
def _choose(logits: _A, u: _A, temperature: _A) -> _A:
    """Choose a component by its weight."""
    k, likeliest = len(logits), 0
    for i in range(k):
        if logits[i] > logits[likeliest]:
            likeliest = i
    if temperature < COLD:
        return likeliest
    highest, total = logits[likeliest], 0.0
    for i in range(k):
        total += math.exp((logits[i] - highest) / temperature)
    reached = 0.0
    for i in range(k):
        reached += math.exp((logits[i] - highest) / temperature)
        if reached > u * total:
            return i
    return k - 1


@njit(error_model="numpy")
def _draw(
    plan: _A,
    floats: _A,
    row: _A,
    factor: _A,
    numbers: _A,
    gauss: _A,
    spread: _A,
    values: _A,
    unit: _A,
) -> None:
    """Draw a factor from a component, in the factor's units and in the event's."""
    dims, columns, at = (
        plan[factor + FACTOR_DIMS],
        plan[factor + COLUMNS],
        plan[factor + UNIT_AT],
    )
    centre, scale, step = floats[at], floats[at + 1], floats[at + 2]
    lower = 2 * dims
    for d in range(dims):
        correlated = gauss[plan[columns + d]] * spread
        for other in range(d):
            correlated += numbers[lower + other] * gauss[plan[columns + other]] * spread
        lower += d
        # FLOOR + softplus(raw - FLOOR) is the logarithm of this deviation.
        deviation = _MIN_SCALE + math.exp(numbers[dims + d])
        unit[d] = numbers[d] + deviation * correlated
    slides, shares, p = plan[factor + SLIDES], plan[factor + SHARES], plan[DIMS]
    motion = row[plan[MOTION_ROW] : plan[MOTION_ROW] + 3 * p]
    if shares:
        moved = values[plan[DURATION]] * values[slides] / step
        first, last = numbers[lower], numbers[lower + shares - 1]
        for d in range(dims):
            unit[d] += moved * (first * motion[p + d] + last * motion[2 * p + d])
        if dims == 2:  # and the last velocity, turned by a right angle
            unit[0] -= moved * numbers[lower + 1] * motion[p + 1]
            unit[1] += moved * numbers[lower + 1] * motion[p]
    slid = slides >= 0 and values[slides] > 0.5 and not math.isnan(motion[0])
    for d in range(dims):
        value = unit[d] * scale + centre
        if slid:
            value = motion[d] + unit[d] * step
        if plan[factor + KIND] == _LENGTH:
            value = math.exp(min(max(value, -LONGEST), LONGEST))
        values[plan[columns + d]] = value


@njit("void(i8[::1],f4[::1],i2[::1],f4[::1])", nogil=True, cache=True, error_model="numpy")
def prepare(plan: _A, floats: _A, tiles: _A, row: _A) -> None:
    """Compute what the next event needs and does not change: see cpu_single."""
    for i in range(plan[LAYERS]):
        _prepare(plan, floats, tiles, row, plan[PLAN_LAYERS] + i * LAYER_SIZE)


@njit(
    "void(i8[::1],f4[::1],i2[::1],f4[::1],f8[::1],i8)",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def feed(plan: _A, floats: _A, tiles: _A, row: _A, event: _A, heard: _A) -> None:
    """Advance a voice by an event (C), heard or its own: 1 or 0."""
    motion = plan[MOTION_ROW]
    if plan[SUMMARY]:
        last_x, last_y = row[motion], row[motion + 1]
        _move(plan, floats, row, event)
        _summarise(plan, floats, row, event, last_x, last_y, heard)
    else:
        _move(plan, floats, row, event)
    n, z_at = plan[UNITS], plan[SUM_AT]
    for i in range(plan[LAYERS]):
        layer = plan[PLAN_LAYERS] + i * LAYER_SIZE
        _prepare(plan, floats, tiles, row, layer)
        new, size = plan[layer + NEW_ROW], plan[layer + NEW_ROWS]
        _set_input(plan, floats, row[new : new + size])
        _product(plan, floats, tiles, plan[layer + NEW], plan[layer + AHEAD_AT], z_at)
        cell, output = plan[layer + CELL_ROW], plan[layer + OUTPUT_ROW]
        _gates(floats[z_at : z_at + 4 * n], row[cell : cell + n], row[output : output + n])


@njit(
    "void(i8[::1],f4[::1],i2[::1],f4[::1],f8[::1],f8,f8,f8[::1])",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def sample(
    plan: _A,
    floats: _A,
    tiles: _A,
    row: _A,
    numbers: _A,
    temperature: _A,
    spread: _A,
    drawn: _A,
) -> None:
    """Draw a voice's next event to the first C of drawn (2 C), given its random numbers."""
    count = plan[FACTORS]
    c = len(drawn) // 2
    values, unit, gauss = drawn[:c], drawn[c:], numbers[count:]
    _set_input(plan, floats, row[: plan[HEAD_ROWS]])
    product, trunk = plan[TRUNK], plan[TRUNK_AT]
    _product(plan, floats, tiles, product, plan[product + BIAS_AT], trunk)
    values[:] = 0
    for i in range(count):
        factor = plan[PLAN_FACTORS] + i * FACTOR_SIZE
        part, size = trunk + plan[factor + PART], plan[factor + PART_SIZE]
        _hidden(plan, floats, floats[part : part + size])
        product, out = plan[factor + HEAD], plan[SUM_AT]
        _product(plan, floats, tiles, product, plan[product + BIAS_AT], out)
        if plan[factor + KIND] == _FLAG:
            unit[0] = _flag(floats[out], numbers[i], temperature)
            values[plan[plan[factor + COLUMNS]]] = unit[0]
        else:
            k = plan[factor + COMPONENTS]
            chosen = _choose(floats[out : out + k], numbers[i], temperature)
            component = floats[out + k + chosen * plan[factor + NUMBERS] :]
            _draw(plan, floats, row, factor, component, gauss, spread, values, unit)
        later, context = part + size, plan[factor + CONTEXT_AT]
        for d in range(plan[factor + FACTOR_DIMS]):
            value = np.float32(unit[d])
            for j in range(plan[factor + LATER_SIZE]):
                floats[later + j] += value * floats[context + j]
            context += plan[factor + LATER_SIZE]
