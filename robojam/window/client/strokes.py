"""Strokes: the paths of fingers on the surface, and how they fade. Pure; times in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from robojam.touch import is_machine

#: A point has faded this many seconds after it was touched. It is longer than the wait
#: for an answer, so that call and answer are seen together.
FADE = 8.0
#: A point loses its first brightness within GLARE seconds, down to the share AFTERGLOW.
GLARE = 2.5
AFTERGLOW = 0.55
#: Number of brightness steps.
LEVELS = 24
#: Duration of the ring that opens where a finger lands, in seconds.
RING = 0.55
#: Duration for which the mark of a finger fades after its lift, in seconds.
HEAD = 0.35
#: Points kept at most, because any number may arrive from the network.
MAX_POINTS = 6000
#: Share of a new speed in the smoothed speed.
SPEED_SMOOTHING = 0.35


@dataclass(frozen=True, slots=True)
class Point:
    """Position of a finger at a time. x, y in screen units, speed in screen units a second.

    pressure is 0..1 where it is measured, else 0.
    """

    t: float
    x: float
    y: float
    speed: float
    pressure: float = 0.0


@dataclass(slots=True)
class Stroke:
    """Path of one finger from landing to lift; own if it is this window's own finger.

    serial is the stroke's number, unique in its `Strokes`. dropped is how many of its
    first points were discarded.
    """

    who: str
    id: int
    own: bool
    landed: Point
    points: list[Point]
    lifted: float | None = None
    serial: int = 0
    dropped: int = 0

    @property
    def last(self) -> Point:
        """Last point of the stroke."""
        return self.points[-1]

    def head_brightness(self, now: float) -> float:
        """Return the brightness of the finger's mark, 0..1: 1 while the finger is down."""
        return 1.0 if self.lifted is None else max(0.0, 1 - (now - self.lifted) / HEAD)


def brightness(age: float) -> float:
    """Return the brightness of a point of this age (seconds): 1 at first, 0 from FADE on."""
    glare, afterglow = _smoothstep(1 - age / GLARE), _smoothstep(1 - age / FADE)
    return (1 - AFTERGLOW) * glare + AFTERGLOW * afterglow


def level(age: float) -> int:
    """Return the brightness of a point of this age (seconds), in steps 0..LEVELS."""
    tick = int(age * _TICKS_PER_SECOND)
    return _LEVELS[max(0, tick)] if tick < len(_LEVELS) else 0


def _smoothstep(value: float) -> float:
    value = min(1.0, max(0.0, value))
    return value * value * (3 - 2 * value)


#: Table of the level for each age, because a frame asks for thousands of them.
_TICKS_PER_SECOND = 120
_LEVELS = tuple(
    round(brightness(tick / _TICKS_PER_SECOND) * LEVELS)
    for tick in range(int(FADE * _TICKS_PER_SECOND))
)


def _key(who: str, finger: int, *, own: bool) -> tuple[str, int]:
    """Return the key of a finger; own fingers are one player's, whatever its name is."""
    return ("" if own else who, finger)


@dataclass(slots=True)
class Strokes:
    """Strokes that are still visible, in the order of landing.

    latest is the serial of the last stroke, count the number of points.
    """

    visible: list[Stroke] = field(default_factory=list)
    count: int = 0
    latest: int = 0
    #: Strokes of fingers that are down; see `_key`.
    _held: dict[tuple[str, int], Stroke] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Stroke]:
        return iter(self.visible)

    def held(self, who: str, finger: int, *, own: bool) -> Stroke | None:
        """Return the stroke that this finger is drawing, if the finger is down."""
        return self._held.get(_key(who, finger, own=own))

    def down(
        self,
        who: str,
        finger: int,
        x: float,
        y: float,
        now: float,
        *,
        own: bool,
        pressure: float = 0.0,
    ) -> None:
        """Begin a stroke; a finger that was down is lifted first."""
        self.up(who, finger, now, own=own)
        point = Point(now, x, y, 0.0, pressure)
        self.latest += 1
        stroke = Stroke(who, finger, own, point, [point], serial=self.latest)
        self.visible.append(stroke)
        self._held[_key(who, finger, own=own)] = stroke
        self.count += 1
        if self.count > MAX_POINTS:
            self.fade(now)
        if self.count > MAX_POINTS:  # half of them go, so that this is seldom done
            while self.count > MAX_POINTS // 2 and len(self.visible) > 1:
                oldest = self.visible.pop(0)
                self.count -= len(oldest.points)
                self._forget(oldest)

    def move(
        self,
        who: str,
        finger: int,
        x: float,
        y: float,
        now: float,
        *,
        own: bool,
        pressure: float = 0.0,
    ) -> None:
        """Extend a finger's stroke; a finger that was not down lands."""
        stroke = self.held(who, finger, own=own)
        if stroke is None:
            self.down(who, finger, x, y, now, own=own, pressure=pressure)
            return
        last = stroke.last
        speed = math.hypot(x - last.x, y - last.y) / max(0.004, now - last.t)
        speed = last.speed + (speed - last.speed) * SPEED_SMOOTHING
        stroke.points.append(Point(now, x, y, speed, pressure))
        self.count += 1
        if len(stroke.points) > MAX_POINTS:
            del stroke.points[: MAX_POINTS // 2]
            stroke.dropped += MAX_POINTS // 2
            self.count -= MAX_POINTS // 2

    def up(self, who: str, finger: int, now: float, *, own: bool) -> None:
        """Lift a finger; one that was not down is ignored."""
        stroke = self._held.pop(_key(who, finger, own=own), None)
        if stroke is not None:
            stroke.lifted = now

    def _forget(self, stroke: Stroke) -> None:
        """Forget that a stroke's finger is down, if it is."""
        key = _key(stroke.who, stroke.id, own=stroke.own)
        if self._held.get(key) is stroke:
            del self._held[key]

    def lift_others(
        self, now: float, *, still_for: float = 0.0, machine: bool = True, humans: bool = True
    ) -> None:
        """Lift all fingers but this window's own that have been still for still_for seconds.

        machine and humans choose whose fingers are lifted.
        """
        for stroke in self.visible:
            chosen = not stroke.own and (machine if is_machine(stroke.who) else humans)
            if chosen and stroke.lifted is None and now - stroke.last.t >= still_for:
                stroke.lifted = now
                self._forget(stroke)

    def fade(self, now: float) -> None:
        """Discard points and strokes that have faded."""
        for stroke in self.visible:
            faded = 0
            while faded < len(stroke.points) - 1 and now - stroke.points[faded + 1].t > FADE:
                faded += 1
            if faded:
                del stroke.points[:faded]
                stroke.dropped += faded
        self.visible = [
            s for s in self.visible
            if s.lifted is None or now - max(s.last.t, s.lifted - FADE + HEAD) < FADE
        ]  # fmt: skip
        self.count = sum(len(stroke.points) for stroke in self.visible)

    def is_animating(self, now: float) -> bool:
        """Return whether a stroke changes with time alone."""
        return any(s.lifted is not None or now - s.last.t <= FADE for s in self.visible)
