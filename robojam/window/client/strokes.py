"""Strokes: what fingers leave on the surface, and how it fades. Pure; times in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from robojam.touch import is_machine

#: A point has faded this long after it was touched, in seconds: longer than the wait for
#: an answer, so that call and answer are seen together.
FADE = 8.0
#: Most of its light has gone this long after, in seconds; what stays is its share.
GLARE = 2.5
AFTERGLOW = 0.55
#: Brightness is kept in so many steps.
LEVELS = 24
#: The ring of a landing opens for this long, in seconds.
RING = 0.55
#: The head of a stroke has gone this long after its finger lifted, in seconds.
HEAD = 0.35
#: So many points are kept at most: a stranger may send any number.
MAX_POINTS = 6000
#: How much of a new speed shows at once; the rest is the speed before.
SPEED_SMOOTHING = 0.35


@dataclass(frozen=True, slots=True)
class Point:
    """Where a finger was: the instant, place in screen units, screen units a second."""

    t: float
    x: float
    y: float
    speed: float


@dataclass(slots=True)
class Stroke:
    """One finger from landing to lift. ``mine`` when it is of this window's own hands."""

    who: str
    id: int
    own: bool
    landed: Point
    points: list[Point]
    lifted: float | None = None
    #: Tells it from every other; and how many of its first points were let go.
    serial: int = 0
    dropped: int = 0

    @property
    def last(self) -> Point:
        """Where the finger was last."""
        return self.points[-1]

    def head_brightness(self, now: float) -> float:
        """How bright its head is, 0..1: full while the finger is down."""
        if self.lifted is None:
            return 1.0
        return max(0.0, 1 - (now - self.lifted) / HEAD)


def brightness(age: float) -> float:
    """How bright a point of this age (seconds) is: 1 at first, smoothly to 0 at FADE."""
    return (1 - AFTERGLOW) * _ease(1 - age / GLARE) + AFTERGLOW * _ease(1 - age / FADE)


def level(age: float) -> int:
    """How bright a point of this age (seconds) is, in whole steps of LEVELS."""
    tick = int(age * _TICKS)
    return _LEVELS[max(0, tick)] if tick < len(_LEVELS) else 0


def _ease(left: float) -> float:
    left = min(1.0, max(0.0, left))
    return left * left * (3 - 2 * left)


#: The brightness of every age, looked up: it is asked for thousands of times a frame.
_TICKS = 120
_LEVELS = tuple(round(brightness(tick / _TICKS) * LEVELS) for tick in range(int(FADE * _TICKS)))


@dataclass(slots=True)
class Strokes:
    """Every stroke that can still be seen, in the order of landing."""

    visible: list[Stroke] = field(default_factory=list)
    count: int = 0
    #: The serials of the first stroke and of the latest.
    first: int = 1
    latest: int = field(init=False)

    def __post_init__(self) -> None:
        self.latest = self.first - 1

    def __iter__(self) -> Iterator[Stroke]:
        return iter(self.visible)

    def held(self, who: str, finger: int, *, own: bool) -> Stroke | None:
        """Return the stroke that this finger is drawing, if it is down."""
        for stroke in reversed(self.visible):
            if (
                stroke.lifted is None
                and stroke.id == finger
                and stroke.own is own
                and (own or stroke.who == who)
            ):
                return stroke
        return None

    def down(self, who: str, finger: int, x: float, y: float, now: float, *, own: bool) -> None:
        """A finger lands; if it was down already, it was lifted first."""
        self.up(who, finger, now, own=own)
        point = Point(now, x, y, 0.0)
        self.latest += 1
        self.visible.append(Stroke(who, finger, own, point, [point], serial=self.latest))
        self.count += 1
        if self.count > MAX_POINTS:
            self.fade(now)
        while self.count > MAX_POINTS and len(self.visible) > 1:
            self.count -= len(self.visible.pop(0).points)

    def move(self, who: str, finger: int, x: float, y: float, now: float, *, own: bool) -> None:
        """A finger slides; if it was not down, it lands."""
        stroke = self.held(who, finger, own=own)
        if stroke is None:
            self.down(who, finger, x, y, now, own=own)
            return
        last = stroke.last
        passed = max(0.004, now - last.t)
        speed = math.hypot(x - last.x, y - last.y) / passed
        speed = last.speed + (speed - last.speed) * SPEED_SMOOTHING
        stroke.points.append(Point(now, x, y, speed))
        self.count += 1
        if len(stroke.points) > MAX_POINTS:
            del stroke.points[: MAX_POINTS // 2]
            stroke.dropped += MAX_POINTS // 2
            self.count -= MAX_POINTS // 2

    def up(self, who: str, finger: int, now: float, *, own: bool) -> None:
        """A finger lifts; one that was not down is none of ours."""
        stroke = self.held(who, finger, own=own)
        if stroke is not None:
            stroke.lifted = now

    def lift_others(
        self, now: float, *, still_for: float = 0.0, machine: bool = True, humans: bool = True
    ) -> None:
        """Lift every finger but one's own that has been still for ``quiet`` seconds.

        Without ``machine``, those of its voices stay down; without ``humans``, the others.
        """
        for stroke in self.visible:
            theirs = not stroke.own and (machine if is_machine(stroke.who) else humans)
            if theirs and stroke.lifted is None and now - stroke.last.t >= still_for:
                stroke.lifted = now

    def fade(self, now: float) -> None:
        """Let go of what can no longer be seen."""
        for stroke in self.visible:
            gone = 0
            while gone < len(stroke.points) - 1 and now - stroke.points[gone + 1].t > FADE:
                gone += 1
            if gone:
                del stroke.points[:gone]
                stroke.dropped += gone
        self.visible = [
            stroke
            for stroke in self.visible
            if stroke.lifted is None
            or now - max(stroke.last.t, stroke.lifted - FADE + HEAD) < FADE
        ]
        self.count = sum(len(stroke.points) for stroke in self.visible)

    def is_animating(self, now: float) -> bool:
        """Tell whether anything will look different a moment later."""
        return any(
            stroke.lifted is not None or now - stroke.last.t <= FADE for stroke in self.visible
        )
