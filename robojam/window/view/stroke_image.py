"""A stroke as small pictures, each drawn once: a smooth line, as wide as it was fast.

The line goes through the points by cubic Hermite pieces with Catmull-Rom tangents, and
is cut into pieces of a few dozen pixels. A frame then only stamps pieces, each as bright
as it is old: what a stroke costs does not depend on how it is shaped. Overlapping ends do
not show, because of two pieces the brighter (or in ink the darker) one wins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pygame

from robojam.window.client.strokes import LEVELS, Point, Stroke, level
from robojam.window.view.theme import Colour, Metrics
from robojam.window.view.tiles import Tiles, tiles_under

#: The speed, in screen units a second, at which a line is half as wide as it gets.
HALF_SPEED = 1.2
#: Points nearer than this to the last one, in pixels, do not bend the line.
MIN_DISTANCE = 2.0
#: A piece is closed when it is wider or higher than this, in pixels.
SEGMENT_SIZE = 64
#: Pixels between the bends of a smooth line.
CURVE_STEP = 6.0
#: Pieces are drawn so many times larger, and made small: smooth edges.
SUPERSAMPLING = 2


Blit = tuple[pygame.Surface, tuple[int, int]]


class LinePoint(NamedTuple):
    """One bend of the line: where and half how wide, in pixels; when (s); bead or none."""

    x: float
    y: float
    half_width: float
    t: float
    has_bead: bool = False


@dataclass(slots=True)
class StrokeSegment:
    """A picture of part of a stroke, of what instant, and how bright it is now.

    stamp is that picture with where it goes, as pygame's fblits takes it.
    """

    picture: pygame.Surface
    at: tuple[int, int]
    t: float
    level: int = LEVELS
    blit: Blit = field(init=False)
    tiles: Tiles = field(init=False)

    def __post_init__(self) -> None:
        self.blit = (self.picture, self.at)
        self.tiles = tiles_under((*self.at, *self.picture.get_size()))

    def set_level(self, bright: int, *, dark_on_light: bool) -> None:
        """Make it as bright as a level 1..LEVELS."""
        self.level = bright
        self.blit = (
            dimmed(self.picture, bright / LEVELS, dark_on_light=dark_on_light),
            self.at,
        )


def dimmed(picture: pygame.Surface, share: float, *, dark_on_light: bool) -> pygame.Surface:
    """Return a picture with a share of its light; in ink, of its darkness."""
    if share >= 1:
        return picture
    kept = round(255 * share)
    less = picture.copy()
    less.fill((kept, kept, kept), special_flags=pygame.BLEND_RGB_MULT)
    if dark_on_light:
        less.fill((255 - kept,) * 3, special_flags=pygame.BLEND_RGB_ADD)
    return less


def line_half_width(speed: float, finger_radius: float) -> float:
    """How far a line reaches to each side, in pixels; speed in screen units a second."""
    return finger_radius * (0.16 + 0.6 * speed / (speed + HALF_SPEED))


@dataclass(slots=True)
class StrokeImage:
    """The pieces of one stroke on a surface of these sizes."""

    metrics: Metrics
    colour: Colour
    blank: Colour
    machine: bool
    segments: list[StrokeSegment] = field(default_factory=list)
    open_segment: StrokeSegment | None = None
    #: Of all pieces ever closed: how many were let go, and how many lie in the layer that
    #: is shown, and in the one that is being laid (robojam.window.view.strokes_view).
    discarded: int = 0
    front_count: int = 0
    back_count: int = 0
    _consumed: int = 0
    _samples: list[LinePoint] = field(default_factory=list)
    _line: list[LinePoint] = field(default_factory=list)
    _since_bead: float = 0.0

    def visible_blits(self, now: float, *, first: int) -> list[Blit]:
        """Return the closed pieces from the first-th of all on, as bright as they are."""
        dark_on_light = self.blank[0] > 0
        blits: list[Blit] = []
        faded = 0
        for segment in self.segments[max(0, first - self.discarded) :]:
            bright = level(now - segment.t)
            if not bright:
                faded += 1
                continue
            if bright != segment.level:
                segment.set_level(bright, dark_on_light=dark_on_light)
            blits.append(segment.blit)
        if faded and first <= self.discarded:  # the oldest come first
            del self.segments[:faded]
            self.discarded += faded
        return blits

    def unlayered_blits(self, now: float) -> list[Blit]:
        """Return what does not lie in the layer that is shown."""
        blits = (
            self.visible_blits(now, first=max(self.front_count, self.discarded + 1))
            if self.front_count
            else (self.visible_blits(now, first=0))
        )
        if self.open_segment is not None and (bright := level(now - self.open_segment.t)):
            if bright != self.open_segment.level:
                self.open_segment.set_level(bright, dark_on_light=self.blank[0] > 0)
            blits.append(self.open_segment.blit)
        return blits

    def extend(self, stroke: Stroke) -> None:
        """Draw what the stroke has grown by."""
        total = stroke.dropped + len(stroke.points)
        if total == self._consumed:
            return
        for point in stroke.points[max(0, self._consumed - stroke.dropped) :]:
            self._add_point(point)
        self._consumed = total
        tail = (
            self._interpolate(self._samples[-3:-2], self._samples[-2:], [])
            if self._has_two
            else []
        )
        self.open_segment = self._render([*self._line, *tail])

    @property
    def _has_two(self) -> bool:
        return len(self._samples) > 1

    def _add_point(self, point: Point) -> None:
        half_width = line_half_width(point.speed, self.metrics.finger_radius) * (
            0.5 if self.machine else 1.0
        )
        sample = LinePoint(*self.metrics.from_surface(point.x, point.y), half_width, point.t)
        if not self._samples:
            self._samples.append(sample)
            self._line.append(sample)
            return
        last = self._samples[-1]
        if abs(sample.x - last.x) + abs(sample.y - last.y) < MIN_DISTANCE:
            return
        if self._has_two:  # now it is known how the last stretch goes on
            for bend in self._interpolate(self._samples[-3:-2], self._samples[-2:], [sample]):
                self._append(self._with_bead(bend))
        self._samples = [*self._samples[-2:], sample]

    def _interpolate(
        self, before: list[LinePoint], pair: list[LinePoint], after: list[LinePoint]
    ) -> list[LinePoint]:
        """Return the bends from one point (left out) to the next."""
        a, b = pair
        length = math.hypot(b.x - a.x, b.y - a.y)
        ax, ay = _tangent((before or [a])[0], b, length)
        bx, by = _tangent(a, (after or [b])[0], length)
        count = max(1, math.ceil(length / CURVE_STEP))
        found = []
        for i in range(1, count + 1):
            u = i / count
            w = u * u * (3 - 2 * u)  # of b; 1 - w of a
            p, q = u * (1 - u) * (1 - u), u * u * (u - 1)
            found.append(
                LinePoint(
                    a.x + (b.x - a.x) * w + p * ax + q * bx,
                    a.y + (b.y - a.y) * w + p * ay + q * by,
                    a.half_width + (b.half_width - a.half_width) * u,
                    a.t + (b.t - a.t) * u,
                )
            )
        return found

    def _with_bead(self, point: LinePoint) -> LinePoint:
        """The machine's line carries diamonds, evenly."""
        last = self._line[-1]
        self._since_bead += math.hypot(point.x - last.x, point.y - last.y)
        if not self.machine or self._since_bead < self.metrics.finger_radius * 2.4:
            return point
        self._since_bead = 0.0
        return point._replace(has_bead=True)

    def _append(self, point: LinePoint) -> None:
        self._line.append(point)
        xs, ys = [s.x for s in self._line], [s.y for s in self._line]
        if max(max(xs) - min(xs), max(ys) - min(ys)) > SEGMENT_SIZE:
            segment = self._render(self._line)
            if segment is not None:
                self.segments.append(segment)
            self._line = [point._replace(has_bead=False)]

    def _render(self, points: Sequence[LinePoint]) -> StrokeSegment | None:
        if len(points) < 2:
            return None
        has_bead = self.metrics.finger_radius * 0.6
        reach = (
            max(
                [s.half_width for s in points]
                + [has_bead * 1.3 if s.has_bead else 0 for s in points]
            )
            + 2
        )
        left, top = (math.floor(min(s[i] for s in points) - reach) for i in (0, 1))
        right, low = (math.ceil(max(s[i] for s in points) + reach) for i in (0, 1))

        def draw(canvas: pygame.Surface) -> None:
            # pygame takes a pixel's number for its middle
            line = [
                (
                    (s.x - left + 0.5) * SUPERSAMPLING - 0.5,
                    (s.y - top + 0.5) * SUPERSAMPLING - 0.5,
                    max(0.5, s.half_width * SUPERSAMPLING),
                )
                for s in points
            ]
            for x, y, half_width in line:
                pygame.draw.circle(canvas, self.colour, (x, y), half_width)
            for (ax, ay, a), (bx, by, b) in itertools.pairwise(line):
                length = math.hypot(bx - ax, by - ay) or 1.0
                nx, ny = (ay - by) / length, (bx - ax) / length
                sides = [(ax + nx * a, ay + ny * a), (bx + nx * b, by + ny * b),
                         (bx - nx * b, by - ny * b), (ax - nx * a, ay - ny * a)]  # fmt: skip
                pygame.draw.polygon(canvas, self.colour, sides)
            for (x, y, _), point in zip(line, points, strict=True):
                if point.has_bead:
                    pygame.draw.polygon(
                        canvas,
                        self.colour,
                        diamond_corners(x, y, has_bead * 1.3 * SUPERSAMPLING),
                    )

        picture = supersampled((right - left, low - top), self.blank, draw)
        return StrokeSegment(picture, (left, top), points[len(points) // 2].t)


def _tangent(before: LinePoint, after: LinePoint, longest: float) -> tuple[float, float]:
    """Return the direction of the line between two points, no longer than the stretch."""
    dx, dy = (after.x - before.x) / 2, (after.y - before.y) / 2
    length = math.hypot(dx, dy)
    short = min(1.0, longest / length) if length else 0.0
    return dx * short, dy * short


def diamond_corners(x: float, y: float, far: float) -> list[tuple[float, float]]:
    """Return the corners of a diamond."""
    return [(x, y - far), (x + far, y), (x, y + far), (x - far, y)]


def supersampled(
    size: tuple[int, int], blank: Colour, draw: Callable[[pygame.Surface], None]
) -> pygame.Surface:
    """Return a picture drawn FINE times larger and made small."""
    canvas = pygame.Surface((size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), depth=32)
    canvas.fill(blank)
    draw(canvas)
    return pygame.transform.smoothscale(canvas, size)
