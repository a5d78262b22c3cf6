"""Synthetic performances of knobs, played as people turn them.

Recordings of knobs are rare, and of rigs of every size there are none. So the default model
of knobs learns from these beside real ones (models/knobs.md). A performance is a series of
gestures: mostly of one knob, at times of two at once. A gesture is made of strokes with the
speed profile of a hand that reaches for a target, which is a minimum jerk (Flash & Hogan
1985): ramps, sweeps to and fro, wobbles, repeated figures, quick steps and small corrections.
Between gestures the hand holds still or rests, and at times another knob answers with the
figure of the last one. What the controller reports is on the lattice of MIDI's 128 values, or
finer, at 20 to 100 events a second, knob by knob or all at once.

A seed gives the same performances again, on any machine with the same numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import Corpus, join, knob_corpus, widened
from robojam.touch import MAX_KNOBS

Floats = NDArray[np.float64]
#: Times (n,) in seconds from a gesture's start, and a knob's values (n,) there.
#: A figure returns what a gesture does to a knob that stands at a value, given the beat.
Points = tuple[list[float], list[float]]
Figure = Callable[[np.random.Generator, float, float], Points]

#: Seconds between two points of a hand's path.
_STEP = 0.002
#: Lattices of controllers, lines from 0 to 1, and their shares: MIDI, 10 bits, floats.
_LATTICES, _LATTICE_SHARES = (127, 1023, 65535), (0.55, 0.2, 0.25)
#: Shares of numbers of knobs: every one from 1 to 16, those of common controllers more often.
_RIGS = np.array([3, 4, 3, 6, 2, 3, 2, 10, 3, 1, 1, 2, 1, 1, 1, 8], float)
#: Chance of a second knob beside the first, and of one that answers with its figure.
_BOTH, _ANSWERS = 0.14, 0.25
#: Medians in seconds of a hold between two gestures and of a rest, and the share of rests.
_HOLD, _REST, _RESTS = 0.18, 1.6, 0.22


@dataclass(frozen=True, slots=True)
class _Player:
    """A player and the controller: how fast the hand is, what it likes, what is reported."""

    pace: float  # all times are multiplied by it
    beat: float  # seconds of a beat
    interval: float  # seconds between two reports of a moving knob
    lines: int  # of the controller's lattice
    polled: bool  # whether all knobs are reported at once
    figures: Floats  # share of each figure
    knobs: Floats  # share of each knob


def minimum_jerk(start: float, end: float, points: int) -> Floats:
    """Return a reach from start to end, with no velocity or acceleration at both: (points,)."""
    t = np.linspace(0, 1, points)
    return start + (end - start) * t**3 * (10 - 15 * t + 6 * t * t)


def _target(rng: np.random.Generator, value: float) -> float:
    """Return where a hand turns a knob to: an end at times, else anywhere."""
    if rng.random() < 0.25:
        return float(rng.random() < 0.5) if 0.1 < value < 0.9 else float(value < 0.5)
    return float(rng.beta(1.1, 1.1))


def _ramp(rng: np.random.Generator, value: float, beat: float) -> Points:
    target = _target(rng, value)
    seconds = (0.25 + 1.5 * abs(target - value)) * rng.lognormal(0, 0.5)
    if rng.random() < 0.3:  # in time
        seconds = beat * rng.integers(1, 5)
    times, values = [0.0, seconds], [value, target]
    if rng.random() < 0.3:  # the hand corrects itself
        times.append(seconds + rng.uniform(0.15, 0.4))
        values.append(float(np.clip(target + rng.normal(0, 0.04), 0, 1)))
    return times, values


def _sweep(rng: np.random.Generator, value: float, beat: float) -> Points:
    far = _target(rng, value)
    half = beat / 2 * rng.choice([1, 1, 2, 2, 4]) if rng.random() < 0.5 else rng.uniform(0.2, 1)
    times, values = [0.0], [value]
    for i in range(int(rng.integers(2, 9))):
        times.append(times[-1] + half * rng.lognormal(0, 0.05))
        end = (far, value)[i % 2]
        values.append(float(np.clip(end + rng.normal(0, 0.03), 0, 1)))
    return times, values


def _wobble(rng: np.random.Generator, value: float, beat: float) -> Points:
    del beat
    size, half = rng.uniform(0.02, 0.12), 0.5 / rng.uniform(1.5, 5)
    times, values, count = [0.0], [value], int(rng.integers(4, 16))
    for i in range(count):
        times.append(times[-1] + half * rng.lognormal(0, 0.08))
        way = size * (-1) ** i * (1 - i / count if rng.random() < 0.7 else 1)
        values.append(float(np.clip(value + way * rng.lognormal(0, 0.15), 0, 1)))
    return [*times, times[-1] + half], [*values, value]


def _repeat(rng: np.random.Generator, value: float, beat: float) -> Points:
    """Return short pushes away and back, one on each beat."""
    far, rise = _target(rng, value), beat * rng.uniform(0.15, 0.35)
    times, values = [0.0], [value]
    for i in range(int(rng.integers(3, 9))):
        start = i * beat + rng.normal(0, 0.01)
        start = max(start, times[-1])
        times += [start, start + rise, start + rise * rng.uniform(2, 2.4)]
        peak = float(np.clip(far + rng.normal(0, 0.03), 0, 1))
        values += [values[-1], peak, float(np.clip(value + rng.normal(0, 0.01), 0, 1))]
    return times, values


def _step(rng: np.random.Generator, value: float, beat: float) -> Points:
    """Return quick turns from place to place, with holds."""
    times, values = [0.0], [value]
    for _ in range(int(rng.integers(1, 5))):
        times.append(times[-1] + rng.uniform(0.06, 0.16))
        values.append(_target(rng, values[-1]))
        times.append(times[-1] + (beat / 2 * rng.integers(1, 4)))
        values.append(values[-1])
    return times[:-1], values[:-1]


def _nudge(rng: np.random.Generator, value: float, beat: float) -> Points:
    del beat
    way = rng.choice([-1, 1]) * rng.uniform(0.01, 0.08)
    return [0.0, rng.uniform(0.15, 0.6)], [value, float(np.clip(value + way, 0, 1))]


_FIGURES: tuple[Figure, ...] = (_ramp, _sweep, _wobble, _repeat, _step, _nudge)
_FIGURE_SHARES = np.array([5, 3, 1.5, 1.2, 1.5, 2.5])


def _path(times: list[float], values: list[float], pace: float) -> Floats:
    """Return the values (n,) of a hand that reaches from each value to the next, each _STEP."""
    parts = [np.array(values[:1])]
    for (start, end), (low, high) in zip(pairwise(times), pairwise(values), strict=True):
        points = max(2, round((end - start) * pace / _STEP) + 1)
        parts.append(minimum_jerk(low, high, points)[1:])
    return np.concatenate(parts)


def _player(rng: np.random.Generator, knobs: int) -> _Player:
    return _Player(
        pace=rng.lognormal(0, 0.3),
        beat=60 / rng.uniform(70, 150),
        interval=1 / rng.uniform(20, 100),
        lines=int(rng.choice(_LATTICES, p=_LATTICE_SHARES)),
        polled=bool(rng.random() < 0.3),
        figures=rng.dirichlet(_FIGURE_SHARES),
        knobs=rng.dirichlet(np.full(knobs, 0.8)),
    )


def _gestures(
    rng: np.random.Generator, player: _Player, knobs: int, seconds: float
) -> tuple[Floats, list[tuple[int, int, Floats]]]:
    """Return the values (knobs,) at first, and gestures: first step, knob and path of each."""
    first = np.round(_first_values(rng, knobs) * player.lines) / player.lines
    values, made, now, knob = first.copy(), [], 0, int(rng.choice(knobs, p=player.knobs))
    last: Points | None = None
    while now * _STEP < seconds:
        if rng.random() > 0.45:  # else the same knob goes on
            knob = int(rng.choice(knobs, p=0.9 * player.knobs + 0.1 / knobs))
        if last is not None and rng.random() < _ANSWERS:
            times, shape = last[0], np.array(last[1])
            way = (shape - shape[0]) * rng.choice([1, 1, -1]) * rng.lognormal(0, 0.2)
            figure = times, np.clip(values[knob] + way, 0, 1).tolist()
        else:
            make = _FIGURES[int(rng.choice(len(_FIGURES), p=player.figures))]
            figure = make(rng, float(values[knob]), player.beat)
        last = figure
        path = _path(*figure, player.pace)
        made.append((now, knob, path))
        values[knob], length = path[-1], len(path)
        if knobs > 1 and rng.random() < _BOTH:
            other = int(rng.choice(np.delete(np.arange(knobs), knob)))
            make = _FIGURES[int(rng.choice(len(_FIGURES), p=player.figures))]
            path = _path(*make(rng, float(values[other]), player.beat), player.pace)
            late = int(rng.uniform(0, 0.3) / _STEP)
            made.append((now + late, other, path))
            values[other], length = path[-1], max(length, late + len(path))
        median = _REST if rng.random() < _RESTS else _HOLD
        pause = median * rng.lognormal(0, 0.7) * player.pace
        if rng.random() < 0.25:  # on the beat
            pause = player.beat * max(1, round(pause / player.beat))
        now += length + int(pause / _STEP)
    return first, made


def _first_values(rng: np.random.Generator, knobs: int) -> Floats:
    """Return where the knobs (knobs,) stand at first: in the middle, at 0, or anywhere."""
    same = rng.choice([0.5, 0.0, 1.0, np.nan], p=[0.35, 0.25, 0.1, 0.3])
    return rng.random(knobs) if np.isnan(same) else np.full(knobs, same)


def performance(rng: np.random.Generator, knobs: int, seconds: float) -> Floats:
    """Return a performance of some knobs (T, knobs + 1): their values, and dt in seconds.

    The first event is at the beginning of the first gesture.
    """
    player = _player(rng, knobs)
    values, gestures = _gestures(rng, player, knobs, seconds)
    reports: list[tuple[float, int, float]] = []  # time, knob, value
    for start, knob, path in gestures:
        stride = max(1, round(player.interval / _STEP))
        offset = 0 if player.polled else int(rng.integers(stride))
        # All knobs of a polled controller are read at the same times.
        ticks = np.arange((-start if player.polled else offset) % stride, len(path), stride)
        ticks = np.append(ticks, len(path) - 1)
        read = np.round(path[ticks] * player.lines) / player.lines
        late = 0 if player.polled else rng.uniform(0, 0.2 * player.interval, len(ticks))
        times = (start + ticks) * _STEP + late
        changed = np.flatnonzero(np.diff(read, prepend=path[:1]))
        reports += [(times[i], knob, read[i]) for i in changed.tolist()]
    reports.sort()
    events: list[Floats] = []
    before = -1.0
    for time, knob, value in reports:
        if values[knob] == value:
            continue
        values[knob] = value
        if player.polled and events and time - before < _STEP / 2:
            events[-1][:-1] = values
            continue
        # Several messages of one instant are heard one after the other.
        at = max(time, before + 5e-4)
        events.append(np.append(values, 0.0 if before < 0 else at - before))
        before = at
    return np.array(events).reshape(-1, knobs + 1)


def performances(
    count: int, *, seed: int, seconds: float = 60.0, knobs: int | None = None
) -> Corpus:
    """Return performances by `count` players on rigs of 1 to MAX_KNOBS knobs, of MAX_KNOBS.

    What a rig does not have rests at KNOB_RESTS. With knobs, all rigs and the corpus are of as
    many. Each lasts from half of seconds to one and a half times as long.
    """
    made: list[Corpus] = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        size = knobs or int(rng.choice(MAX_KNOBS, p=_RIGS / _RIGS.sum())) + 1
        events = performance(rng, size, seconds * rng.uniform(0.5, 1.5))
        lengths = np.array([len(events)], np.int64)
        corpus = knob_corpus(events, lengths, f"{count} synthetic players", "synthetic")
        made.append(widened(corpus, knobs or MAX_KNOBS))
    return replace(join(made), name=made[0].name, sha256="", source="synthetic")
