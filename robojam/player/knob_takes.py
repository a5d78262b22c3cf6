"""Offline generation of knobs: takes one after the other, from nothing or going on.

As robojam.player.generate for touches. The random numbers of a take depend on the seed, on its
number and on how many events it has had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.model.event import count_knobs
from robojam.model.file import ModelFile, ModelFileError
from robojam.player.cpu_single import SingleStepper
from robojam.player.random_streams import RandomStreams
from robojam.player.reference import Network
from robojam.touch import KNOB_RESTS, MAX_DT, MIN_DT, PAUSE_IS_DOWN

_Doubles = NDArray[np.float64]

#: Sampled numbers beyond this have overflowed.
_OVERFLOW = 1e9
#: An event in which no knob moves is drawn again at most this many times: nothing is to be
#: heard of it, and a model that hears many of them, which people do not play, rests on.
_REDRAWN = 4
#: Most events of a take for each second, as many as MIN_DT allows.
_MOST_EVENTS = 1 / MIN_DT


def generate_knobs(
    file: ModelFile,
    performances: Iterable[NDArray[Any]],
    *,
    knobs: int,
    seconds: float,
    seed: int,
    temperature: float,
    spread: float,
) -> list[_Doubles]:
    """Continue performances with a model of knobs; return a take for each.

    knobs is how many the rig has; performances are clean arrays (n, knobs + 2) of values, dt
    in seconds and moving, one of no events starts a take from nothing. Takes (n, knobs + 2)
    have the same form; the first dt counts from the last event of the performance. A take
    lasts less than seconds, but has one event at least. A knob that is not turned keeps its
    value exactly. Raises ModelFileError for a model of another number of knobs, or whose
    numbers overflow.
    """
    try:
        network = Network(np, file.event, file.weights, knobs=knobs)
    except ValueError as error:
        raise ModelFileError(f"{file.path}: {error}") from error
    event = file.event
    stepper = SingleStepper(network, 1)
    streams = RandomStreams(1, uniform=len(event.factors), normal=len(event.columns))
    takes: list[_Doubles] = []
    for number, performance in enumerate(performances):
        streams.seed(seed)
        stepper.reset()
        rig = _Rig(stepper, knobs)
        for row in np.asarray(performance, np.float64).tolist():
            rig.feed(row[:knobs], row[knobs])
        sampled = _events(rig, streams, number, temperature, spread)
        take: list[list[float]] = []
        elapsed = 0.0
        try:
            with np.errstate(all="ignore"):
                for values, dt in islice(sampled, int(seconds * _MOST_EVENTS) + 1):
                    elapsed += dt
                    if take and elapsed >= seconds:
                        break
                    moving = bool(take or len(performance)) and dt <= PAUSE_IS_DOWN
                    take.append([*values, dt, float(moving)])
        except (OverflowError, ValueError) as error:
            raise ModelFileError(
                f"{file.path} cannot be played: its numbers overflow"
            ) from error
        takes.append(np.array(take).reshape(-1, knobs + 2))
    return takes


class _Rig:
    """Knobs of a rig, and the stepper that is fed what they do."""

    def __init__(self, stepper: SingleStepper, knobs: int) -> None:
        self.stepper, self._knobs = stepper, knobs
        self._missing = count_knobs(stepper.event.columns) - knobs
        self._half = [width / 2 for width in stepper.event.noise]
        self.values: list[float] = []

    def feed(self, values: Sequence[float], dt: float) -> None:
        """Feed the stepper an event of the rig."""
        moving = bool(self.values) and dt <= PAUSE_IS_DOWN
        row = [*values, *[KNOB_RESTS] * self._missing, dt, float(moving)]
        self.stepper.feed(0, [x + half for x, half in zip(row, self._half, strict=True)])
        self.values = list(values)

    def read(self, drawn: Sequence[float]) -> tuple[list[float], float]:
        """Return a drawn event as values (knobs,) and dt. Raises OverflowError."""
        if not all(abs(number) < _OVERFLOW for number in drawn):  # NaN, too
            raise OverflowError
        row = [x - half for x, half in zip(drawn, self._half, strict=True)]
        values = [min(max(value, 0.0), 1.0) for value in row[: self._knobs]]
        for i, last in enumerate(self.values):
            if abs(values[i] - last) < self._half[i]:  # rounded, at most: it rests
                values[i] = last
        return values, min(max(row[-2], MIN_DT), MAX_DT)


def _events(
    rig: _Rig, streams: RandomStreams, number: int, temperature: float, spread: float
) -> Iterator[tuple[list[float], float]]:
    """Yield the events of a take, each of which has been fed."""
    still = 0
    for block in count():
        for numbers in streams.block(number, block).tolist():
            [drawn] = rig.stepper.sample([0], [numbers], temperature=temperature, spread=spread)
            values, dt = rig.read(drawn)
            still = still + 1 if values == rig.values else 0
            if 0 < still <= _REDRAWN:
                continue
            rig.feed(values, dt)
            still = 0
            yield values, dt
