"""Image of a stroke in segments: a smooth line, wider where the finger was faster.

The line passes through the touches as cubic Hermite curves with Catmull-Rom tangents. It
is drawn once, in segments of a few dozen pixels. A frame only blits the segments, each as
bright as its age allows, so the cost does not depend on the stroke's shape. Overlapping
ends of segments do not show, because the brighter of two pixels wins (the darker one in
the light theme).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pygame

from robojam.window.client.strokes import LEVELS, Point, Stroke, level
from robojam.window.view.sprites import DIAMOND, SUPERSAMPLING, diamond_corners, fine_canvas
from robojam.window.view.theme import Colour, Metrics

#: Speed at which a line has half of its greatest additional width, in screen units a second.
HALF_SPEED = 1.2
#: Touches nearer than this to the one before, in pixels, are left out of the line.
MIN_DISTANCE = 2.0
#: A segment is finished when it is wider or higher than this, in pixels.
SEGMENT_SIZE = 64
#: Distance between the points of the curve, in pixels.
CURVE_STEP = 6.0
#: Side of a tile of the surface, in pixels.
TILE = 128

#: Picture and its position, as pygame's fblits takes them.
Blit = tuple[pygame.Surface, tuple[int, int]]


class LinePoint(NamedTuple):
    """Point of the line: position and half width in pixels, time in seconds.

    has_bead: a diamond is drawn there.
    """

    x: float
    y: float
    half_width: float
    t: float
    has_bead: bool = False


@dataclass(slots=True)
class StrokeSegment:
    """Picture of a part of a stroke, with its position and time.

    tiles are the row and column of each tile of the surface that it touches.
    """

    picture: pygame.Surface
    position: tuple[int, int]
    t: float
    _level: int = LEVELS
    _blit: Blit = field(init=False)
    tiles: frozenset[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._blit = (self.picture, self.position)
        (left, top), (width, height) = self.position, self.picture.get_size()
        columns = range(left // TILE, (left + width - 1) // TILE + 1)
        rows = range(top // TILE, (top + height - 1) // TILE + 1)
        self.tiles = frozenset(itertools.product(rows, columns))

    def blit_at(self, now: float, *, dark_on_light: bool) -> Blit | None:
        """Return the picture as bright (or as dark) as its age allows; None: it has faded."""
        new_level = level(now - self.t)
        if new_level not in (0, self._level):
            self._level, picture = new_level, self.picture
            if new_level < LEVELS:
                factor = round(255 * (new_level / LEVELS))
                picture = picture.copy()
                picture.fill((factor,) * 3, special_flags=pygame.BLEND_RGB_MULT)
                if dark_on_light:
                    picture.fill((255 - factor,) * 3, special_flags=pygame.BLEND_RGB_ADD)
            self._blit = (picture, self.position)
        return self._blit if new_level else None


def line_half_width(point: Point, finger_radius: float) -> float:
    """Return half the width of a line at a point, in pixels: what is louder is wider."""
    force = max(point.speed / (point.speed + HALF_SPEED), point.pressure)
    return finger_radius * (0.16 + 0.6 * force)


@dataclass(slots=True)
class StrokeImage:
    """Finished segments of one stroke, and the open one that still grows.

    discarded counts the finished segments that have faded. front_count and back_count
    count those, discarded ones included, that are drawn on the layer that is shown and on
    the one that is being drawn (see `robojam.window.view.strokes_view`).
    """

    metrics: Metrics
    colour: Colour
    blank: Colour
    machine: bool
    segments: list[StrokeSegment] = field(default_factory=list)
    open_segment: StrokeSegment | None = None
    discarded: int = 0
    front_count: int = 0
    back_count: int = 0
    _consumed: int = 0
    _samples: list[LinePoint] = field(default_factory=list)
    _line: list[LinePoint] = field(default_factory=list)
    _since_bead: float = 0.0

    def visible_blits(self, now: float, *, first: int) -> list[Blit]:
        """Return the finished segments in their brightness, from number first on.

        Discarded segments count; segments that have faded are discarded.
        """
        dark_on_light = self.blank[0] > 0
        blits: list[Blit] = []
        faded = 0
        for segment in self.segments[max(0, first - self.discarded) :]:
            if (blit := segment.blit_at(now, dark_on_light=dark_on_light)) is None:
                faded += 1
            else:
                blits.append(blit)
        if faded and first <= self.discarded:  # the oldest come first
            del self.segments[:faded]
            self.discarded += faded
        return blits

    def unlayered_blits(self, now: float) -> list[Blit]:
        """Return the segments that are not on the layer that is shown."""
        first = max(self.front_count, self.discarded + 1) if self.front_count else 0
        blits = self.visible_blits(now, first=first)
        if self.open_segment is not None:
            blit = self.open_segment.blit_at(now, dark_on_light=self.blank[0] > 0)
            blits += [blit] if blit is not None else []
        return blits

    def extend(self, stroke: Stroke) -> None:
        """Draw the touches that were added to the stroke since the last call."""
        total = stroke.dropped + len(stroke.points)
        if total == self._consumed:
            return
        for point in stroke.points[max(0, self._consumed - stroke.dropped) :]:
            self._add_point(point)
        self._consumed = total
        if len(self._samples) > 1:
            tail = _interpolate(self._samples[-3:-2], self._samples[-2:], [])
            self.open_segment = self._render([*self._line, *tail])

    def _add_point(self, point: Point) -> None:
        half_width = line_half_width(point, self.metrics.finger_radius)
        half_width *= 0.5 if self.machine else 1.0
        sample = LinePoint(*self.metrics.from_surface(point.x, point.y), half_width, point.t)
        if not self._samples:
            self._samples, self._line = [sample], [sample]
            return
        last = self._samples[-1]
        if abs(sample.x - last.x) + abs(sample.y - last.y) < MIN_DISTANCE:
            return
        if len(self._samples) > 1:  # the tangent at the last sample is known now
            for bend in _interpolate(self._samples[-3:-2], self._samples[-2:], [sample]):
                self._append(bend)
        self._samples = [*self._samples[-2:], sample]

    def _append(self, point: LinePoint) -> None:
        """Add a point to the line; at even distances along the machine's, with a diamond."""
        last = self._line[-1]
        self._since_bead += math.hypot(point.x - last.x, point.y - last.y)
        if self.machine and self._since_bead >= self.metrics.finger_radius * 2.4:
            self._since_bead, point = 0.0, point._replace(has_bead=True)
        self._line.append(point)
        xs, ys, *_ = zip(*self._line, strict=True)
        if max(max(xs) - min(xs), max(ys) - min(ys)) > SEGMENT_SIZE:
            self.segments.append(self._render(self._line))
            self._line = [point._replace(has_bead=False)]

    def _render(self, points: Sequence[LinePoint]) -> StrokeSegment:
        bead = self.metrics.finger_radius * 0.6 * DIAMOND
        reach = max(max(p.half_width, bead if p.has_bead else 0) for p in points) + 2
        left, top = (math.floor(min(p[i] for p in points) - reach) for i in (0, 1))
        right, low = (math.ceil(max(p[i] for p in points) + reach) for i in (0, 1))
        size, scale = (right - left, low - top), SUPERSAMPLING
        canvas = fine_canvas(size, self.blank)
        # pygame's coordinates are those of pixel centres
        line = [((p.x - left + 0.5) * scale - 0.5, (p.y - top + 0.5) * scale - 0.5,
                 max(0.5, p.half_width * scale)) for p in points]  # fmt: skip
        for *place, half_width in line:
            pygame.draw.circle(canvas, self.colour, place, half_width)
        for (ax, ay, a), (bx, by, b) in itertools.pairwise(line):
            length = math.hypot(bx - ax, by - ay) or 1.0
            nx, ny = (ay - by) / length, (bx - ax) / length
            sides = [(ax + nx * a, ay + ny * a), (bx + nx * b, by + ny * b),
                     (bx - nx * b, by - ny * b), (ax - nx * a, ay - ny * a)]  # fmt: skip
            pygame.draw.polygon(canvas, self.colour, sides)
        for x, y, _ in itertools.compress(line, (p.has_bead for p in points)):
            pygame.draw.polygon(canvas, self.colour, diamond_corners(x, y, bead * scale))
        picture = pygame.transform.smoothscale(canvas, size)
        return StrokeSegment(picture, (left, top), points[len(points) // 2].t)


def _interpolate(
    before: list[LinePoint], pair: list[LinePoint], after: list[LinePoint]
) -> list[LinePoint]:
    """Return the curve between two samples, without the first."""
    a, b = pair
    length = math.hypot(b.x - a.x, b.y - a.y)

    def tangent(p: LinePoint, q: LinePoint) -> tuple[float, float]:
        """Return the tangent between two points, at most as long as the stretch."""
        dx, dy = (q.x - p.x) / 2, (q.y - p.y) / 2
        reach = math.hypot(dx, dy)
        factor = min(1.0, length / reach) if reach else 0.0
        return dx * factor, dy * factor

    ax, ay = tangent((before or [a])[0], b)
    bx, by = tangent(a, (after or [b])[0])
    count = max(1, math.ceil(length / CURVE_STEP))
    curve = []
    for i in range(1, count + 1):
        u = i / count
        w = u * u * (3 - 2 * u)  # of b; 1 - w of a
        p, q = u * (1 - u) * (1 - u), u * u * (u - 1)
        curve.append(LinePoint(
            a.x + (b.x - a.x) * w + p * ax + q * bx, a.y + (b.y - a.y) * w + p * ay + q * by,
            a.half_width + (b.half_width - a.half_width) * u, a.t + (b.t - a.t) * u,
        ))  # fmt: skip
    return curve
