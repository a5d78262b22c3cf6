"""Descriptors of phrases: what a call has in common with the answer that belongs to it.

Rhythm, motion, shapes of strokes and register, as numbers that are finite for every phrase:
a rate or a mean of few values is shrunk towards a usual value, and lengths and times are
taken as logarithms. The matcher (robojam.model.matcher) learns which descriptors of answers
go with which of calls.

The likeness of robojam.evaluation has features of its own: what chooses an answer is not
what measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.model.matcher import Floats

_Doubles = NDArray[np.float64]
_Integers = NDArray[np.integer[Any]]

#: Number of the set of descriptors: a matcher is of use with the set that it has learnt.
VERSION = 1
NAMES = (
    "touches a second within strokes",
    "strokes a second",
    "share of rests",
    "rest",
    "rest, deviation",
    "longest rest",
    "interval of landings, deviation",
    "dt within strokes",
    "dt within strokes, deviation",
    "longest dt within strokes",
    "dt within strokes, harmonic mean",
    "dt within strokes, weighted by itself",
    "speed",
    "speed, deviation",
    "speed, root mean square",
    "share of stillness",
    "change of speed",
    "way a second",
    "turning",
    "turning to one side",
    "turning for a length",
    "roundness",
    "horizontal share",
    "diagonal",
    "drift in x",
    "drift in y",
    "touches of a stroke",
    "duration of a stroke",
    "duration of a stroke, deviation",
    "length of a stroke",
    "length of a stroke, deviation",
    "longest stroke",
    "share of taps",
    "straightness",
    "extent of a stroke",
    "mean of x",
    "mean of y",
    "deviation of x",
    "deviation of y",
    "least x",
    "least y",
    "greatest x",
    "greatest y",
    "leap",
    "longest leap",
    "horizontal share of leaps",
    "deviation of landings",
    "share of the edge",
    "fields of the surface",
    "first x",
    "first y",
    "last x",
    "last y",
)

#: Shortest and longest dt (seconds) that counts.
_DT = 1e-3, 5.0
#: A finger slower than this (screens a second) is still; a stroke shorter than this (screens)
#: is a tap; an edge is this wide (screens).
_STILL, _TAP, _EDGE = 0.05, 0.015, 0.015
#: Fields of the surface along x and along y.
_FIELDS = 6


def describe(phrases: Sequence[Floats]) -> _Doubles:
    """Return the descriptors (P, D) of P phrases, in the order of NAMES.

    A phrase (n, 4), of one touch at least, is x and y in screens, dt in seconds, moving. Its
    first touch begins a stroke, and its first dt does not count.
    """
    count = len(phrases)
    lengths = np.array([len(phrase) for phrase in phrases])
    touches = np.concatenate(phrases).astype(np.float64)
    starts = np.cumsum(lengths) - lengths
    of = np.repeat(np.arange(count), lengths)
    x, y, dt = touches[:, 0], touches[:, 1], np.clip(touches[:, 2], *_DT)
    slides = touches[:, 3] > 0.5
    slides[starts] = False
    follows = np.ones(len(x), bool)
    follows[starts] = False
    leaps = follows & ~slides

    def total(values: Floats) -> _Doubles:
        return _sums(of, values, count)

    def moments(values: _Doubles, where: NDArray[np.bool_], usual: float) -> list[_Doubles]:
        """Return the mean and the deviation of values, with one usual value more."""
        n = total(where * 1.0) + 1
        mean = (total(values * where) + usual) / n
        square = (total(values * values * where) + usual * usual) / n
        return [mean, np.sqrt(np.maximum(square - mean * mean, 0))]

    dx, dy = np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1])
    length, both_ways = np.hypot(dx, dy), np.abs(dx) + np.abs(dy)
    log_dt = np.log(dt)
    slid, slid_time = length * slides, dt * slides
    moves, strokes = total(slides * 1.0), total(~slides * 1.0)
    stroke_time, rest_time = total(slid_time), total(dt * leaps)
    seconds, way = stroke_time + rest_time, total(slid)
    rows = [
        np.log((moves + 2.5) / (stroke_time + 0.1)),
        np.log((strokes + 0.5) / (seconds + 0.25)),
        rest_time / (seconds + 0.05),
        *moments(log_dt, leaps, np.log(0.2)),
        np.log(np.maximum.reduceat(dt * leaps, starts) + 0.02),
    ]

    # Strokes: the touches from each landing on.
    landings = np.flatnonzero(~slides)
    stroke = np.cumsum(~slides) - 1
    of_stroke, stroke_count = of[landings], len(landings)

    def by_stroke(values: _Doubles) -> _Doubles:
        return _sums(stroke, values, stroke_count)

    def stroke_moments(values: _Doubles, usual: float) -> list[_Doubles]:
        mean = (_sums(of_stroke, values, count) + usual) / (strokes + 1)
        square = _sums(of_stroke, values * values, count) + usual * usual
        return [mean, np.sqrt(np.maximum(square / (strokes + 1) - mean * mean, 0))]

    times, lengths_of_strokes = by_stroke(slid_time), by_stroke(slid)
    # From landing to landing: a stroke, and the rest after it.
    intervals = times.copy()
    intervals[:-1] += (dt * leaps)[landings[1:]]
    last_stroke = np.append(of_stroke[1:] != of_stroke[:-1], True)
    log_intervals = np.log(intervals + 0.02)
    between = _sums(of_stroke, ~last_stroke * 1.0, count) + 1
    usual = np.log(0.3)
    mean = (_sums(of_stroke, log_intervals * ~last_stroke, count) + usual) / between
    square = _sums(of_stroke, log_intervals**2 * ~last_stroke, count) + usual**2
    rows.append(np.sqrt(np.maximum(square / between - mean * mean, 0)))

    speed = length / dt
    log_speed = np.log(speed + 0.02)
    both = slides.copy()
    both[1:] &= slides[:-1]
    change = np.abs(np.diff(log_speed, prepend=log_speed[:1]))
    rows += [
        *moments(log_dt, slides, np.log(0.02)),
        np.log(np.maximum.reduceat(slid_time, starts) + 0.01),
        np.log((moves + 1) / (total(slides / dt) + 1 / 0.02)),
        np.log((total(slid_time * dt) + 0.02**2) / (stroke_time + 0.02)),
        *moments(log_speed, slides, np.log(0.3)),
        np.log(np.sqrt(total(slid * speed) / (stroke_time + 0.02)) + 0.02),
        total(slid_time * (speed < _STILL)) / (stroke_time + 0.05),
        (total(change * both) + 0.3) / (total(both * 1.0) + 1),
        np.log((way + 0.02) / (seconds + 0.1)),
    ]

    before_x, before_y = np.roll(dx, 1), np.roll(dy, 1)
    angle = np.arctan2(before_x * dy - before_y * dx, before_x * dx + before_y * dy)
    weight = np.minimum(length, np.roll(length, 1)) * both
    turned, weights = total(np.abs(angle) * weight), total(weight)
    areas = np.abs(by_stroke((x - x[landings][stroke]) * dy - (y - y[landings][stroke]) * dx))
    squares = _sums(of_stroke, lengths_of_strokes**2, count)
    rows += [
        (turned + 0.3 * 0.02) / (weights + 0.02),
        np.abs(total(angle * weight)) / (turned + 0.005),
        np.log((total(np.abs(angle) * (weight > 1e-3)) + 0.3) / (way + 0.1)),
        np.sqrt(_sums(of_stroke, areas, count) / (squares + 1e-3)),
        (total(np.abs(dx) * slides) + 0.01) / (total(both_ways * slides) + 0.02),
        total(2 * dx * dy * slides / (length + 1e-9)) / (way + 0.05),
        total(dx * slides) / (way + 0.05),
        total(dy * slides) / (way + 0.05),
    ]

    ends = np.append(landings[1:], len(x)) - 1
    chords = np.hypot(x[ends] - x[landings], y[ends] - y[landings])
    width = np.maximum.reduceat(x, landings) - np.minimum.reduceat(x, landings)
    height = np.maximum.reduceat(y, landings) - np.minimum.reduceat(y, landings)
    first_strokes = np.searchsorted(of_stroke, np.arange(count))
    is_tap = lengths_of_strokes < _TAP
    rows += [
        np.log((moves + strokes) / strokes),
        *stroke_moments(np.log(times + 0.02), np.log(0.2)),
        *stroke_moments(np.log(lengths_of_strokes + 0.01), np.log(0.15)),
        np.log(np.maximum.reduceat(lengths_of_strokes, first_strokes) + 0.01),
        (_sums(of_stroke, is_tap * 1.0, count) + 0.3) / (strokes + 1),
        _sums(of_stroke, chords, count) / (way + 0.02),
        np.log(_sums(of_stroke, np.hypot(width, height), count) / strokes + 0.01),
    ]

    n = lengths.astype(np.float64)
    mean_x, mean_y = total(x) / n, total(y) / n
    low_x, low_y = np.minimum.reduceat(x, starts), np.minimum.reduceat(y, starts)
    high_x, high_y = np.maximum.reduceat(x, starts), np.maximum.reduceat(y, starts)
    leapt = length * leaps
    leap_count = strokes - 1
    landed = ~slides
    landed_x, landed_y = total(x * landed) / strokes, total(y * landed) / strokes
    landed_square = total((x * x + y * y) * landed) / strokes
    landed_square -= landed_x * landed_x + landed_y * landed_y
    edge = (np.minimum(x, y) < _EDGE) | (np.maximum(x, y) > 1 - _EDGE)
    column = np.clip((x * _FIELDS).astype(np.intp), 0, _FIELDS - 1)
    row = np.clip((y * _FIELDS).astype(np.intp), 0, _FIELDS - 1)
    visited = np.zeros((count, _FIELDS * _FIELDS), bool)
    visited[of, row * _FIELDS + column] = True
    last = starts + lengths - 1
    rows += [
        mean_x,
        mean_y,
        np.sqrt(np.maximum(total(x * x) / n - mean_x * mean_x, 0)),
        np.sqrt(np.maximum(total(y * y) / n - mean_y * mean_y, 0)),
        low_x,
        low_y,
        high_x,
        high_y,
        np.log((total(leapt) + 0.2) / (leap_count + 1) + 0.02),
        np.log(np.maximum.reduceat(leapt, starts) + 0.02),
        (total(np.abs(dx) * leaps) + 0.1) / (total(both_ways * leaps) + 0.2),
        np.sqrt(np.maximum(landed_square, 0)),
        total(edge * 1.0) / n,
        np.log(visited.sum(1)),
        x[starts],
        y[starts],
        x[last],
        y[last],
    ]
    return np.stack(rows, 1)


def _sums(groups: _Integers, values: Floats, count: int) -> _Doubles:
    """Return the sum of the values of each of some groups, which are numbered."""
    return np.asarray(np.bincount(groups, values, count), np.float64)
