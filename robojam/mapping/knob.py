"""A knob: the value of one output, made from a feature of touches. Pure.

The feature's value is clipped to a range, bent by a curve, brought to the range of the
output, followed smoothly, and held to steps or to the notes of a scale. The output is a whole
number, or a float of 32 bits.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import Final

from robojam.mapping.features import Tracker
from robojam.music import PitchRange

#: Shortest time in seconds between two values of a knob: 250 a second at most.
INTERVAL: Final = 0.004
#: Part of a knob's range below which what is left of a smooth way is gone at once.
_REST: Final = 2.0**-14
#: Bend below which a curve is straight: the exact formula loses its digits there.
_STRAIGHT: Final = 1e-6

_SINGLE: Final = struct.Struct(">f")


@dataclass(frozen=True, slots=True)
class Shape:
    """Way from the value of a feature to that of a knob.

    The feature's from_low to from_high become low to high; beyond them it is clipped. curve
    bends the way: 0 is straight, above 0 it is slow at first (at c, the slope grows by e^c
    from end to end), below 0 fast at first. smooth is the time constant in seconds: after it
    63 % of a step has been gone, after three of them 95 %.
    """

    from_low: float
    from_high: float
    low: float
    high: float
    curve: float = 0.0
    smooth: float = 0.0

    def value(self, feature: float) -> float:
        """Return the value of the knob at a value of the feature."""
        span = self.from_high - self.from_low
        if span == 0:  # as in the middle of a morph from a way to its opposite
            part = float(feature > self.from_low)
        else:
            part = min(max((feature - self.from_low) / span, 0.0), 1.0)
        if abs(self.curve) > _STRAIGHT:
            part = math.expm1(self.curve * part) / math.expm1(self.curve)
        return self.low + (self.high - self.low) * part

    def scaled(self, amount: float) -> Shape:
        """Return the shape whose value goes a part (0..1) of the way from low to high."""
        if amount == 1:
            return self
        return replace(self, high=self.low + (self.high - self.low) * amount)

    def towards(self, other: Shape, part: float) -> Shape:
        """Return the shape between this one (part 0) and another (part 1)."""

        def between(one: float, two: float) -> float:
            return one if one == two else one + (two - one) * part

        return Shape(
            between(self.from_low, other.from_low),
            between(self.from_high, other.from_high),
            between(self.low, other.low),
            between(self.high, other.high),
            between(self.curve, other.curve),
            between(self.smooth, other.smooth),
        )


def morphed(shapes: tuple[Shape, ...], place: float) -> Shape:
    """Return the shape at a place of the way through several: the first at 0, the last at 1."""
    at = min(max(place, 0.0), 1.0) * (len(shapes) - 1)
    before = int(at)
    if at == before:
        return shapes[before]
    return shapes[before].towards(shapes[before + 1], at - before)


def smoothed(value: float, goal: float, elapsed: float, time: float) -> float:
    """Return a value that has followed a goal for a while, with a time constant in seconds.

    It is a one-pole low-pass, exact for any interval: two intervals make what their sum does.
    """
    if time <= 0 or value == goal:
        return goal
    return goal + (value - goal) * math.exp(-max(elapsed, 0.0) / time)


@dataclass(frozen=True, slots=True)
class KnobSpec:
    """Description of a knob: its feature, whose touches, and the way to its value.

    shapes has one shape for each scene, or one alone. whole: the output takes whole numbers.
    strikes: each touch sends a value, also the last one again, and a lift sends none.
    steps is the number of values that it is held to; scale (of robojam.music, with its key)
    the notes: the values are then MIDI notes. None of both holds it to nothing.
    """

    source: str
    who: str
    shapes: tuple[Shape, ...]
    whole: bool
    steps: int | None = None
    scale: str = "free"
    key: str = "C"
    strikes: bool = False

    def held(self, value: float, shape: Shape) -> float:
        """Return a value of a shape held to the steps, or to the notes of the scale."""
        low, high = sorted((shape.low, shape.high))
        if low == high:
            return value
        if self.steps is not None:
            size = (high - low) / (self.steps - 1)
            return low + round((value - low) / size) * size
        if self.scale != "free":
            return PitchRange(low, high).quantised(value, self.scale, self.key)
        return value


class Knob:
    """Value of one knob over time. Times are in seconds of one clock."""

    def __init__(
        self, spec: KnobSpec, tracker: Tracker, place: float = 0.0, amount: float = 1.0
    ) -> None:
        """Follow a tracker; place is that between the scenes, and amount as of `adjust`."""
        self.spec, self._tracker = spec, tracker
        self._amount = amount
        #: The way to the value at the place, and as much of it as the amount says.
        self.full = morphed(spec.shapes, place)
        self._shape = self.full.scaled(amount)
        self._goal: float | None = None  # what the value goes to; None before the first touch
        self._value = 0.0
        self._at = -math.inf
        #: The value that was last sent; None before the first.
        self.sent: float | None = None
        self._sent_at = -math.inf
        self._struck = False
        #: When `take` is to be called next; infinity while nothing moves.
        self.due = math.inf

    def hear(self, now: float) -> None:
        """Follow what the tracker has measured; `due` says when the value may be sent."""
        if self._aim(now):
            self._struck = self.spec.strikes
            self.due = min(self.due, max(now, self._sent_at + INTERVAL))

    def morph(self, place: float, now: float) -> None:
        """Go to a place between the scenes: 0 is the first, 1 the last."""
        self.full = morphed(self.spec.shapes, place)
        self.adjust(self._amount, now)

    def adjust(self, amount: float, now: float) -> None:
        """Go an amount (0..1) of the way from the low end of the range to the high one."""
        self._amount, shape = amount, self.full.scaled(amount)
        if shape != self._shape:
            self._aim(now)  # what went on until now did so in the old shape
            self._shape = shape
            if not self.spec.strikes:
                self.hear(now)

    def take(self, now: float) -> float | None:
        """Return the value to be sent now; None where it is the one that was sent last."""
        self._aim(now)
        value = self._output()
        resting = self._value == self._goal and not self._flows(now)
        self.due = math.inf if resting else now + INTERVAL
        if value == self.sent and not self._struck:
            return None
        self._struck = False
        self.sent, self._sent_at = value, now
        return value

    def _aim(self, now: float) -> bool:
        """Follow the goal until now, then take the next one; return whether there is one."""
        feature = self._tracker.value(self.spec.source, now)
        if feature is None:
            return False
        shape = self._shape
        goal = shape.value(feature)
        if self._goal is None or shape.smooth <= 0:
            self._value = goal
        else:
            self._value = smoothed(self._value, self._goal, now - self._at, shape.smooth)
            if abs(self._value - goal) <= _REST * abs(self.full.high - self.full.low):
                self._value = goal
        self._goal, self._at = goal, max(now, self._at)
        return True

    def _flows(self, now: float) -> bool:
        shape = self._shape
        return self._tracker.flows(self.spec.source, now, max(shape.from_low, shape.from_high))

    def _output(self) -> float:
        value = self.spec.held(self._value, self.full)
        if self.spec.whole:
            return float(round(value))
        single: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
        return single
