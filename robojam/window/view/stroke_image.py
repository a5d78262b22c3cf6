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
from robojam.window.view.tiles import Tiles, tiles_of

#: The speed, in screen units a second, at which a line is half as wide as it gets.
HALF_SPEED = 1.2
#: Points nearer than this to the last one, in pixels, do not bend the line.
NEAR = 2.0
#: A piece is closed when it is wider or higher than this, in pixels.
PIECE = 64
#: Pixels between the bends of a smooth line.
STEP = 6.0
#: Pieces are drawn so many times larger, and made small: smooth edges.
FINE = 2


Stamp = tuple[pygame.Surface, tuple[int, int]]


class Spot(NamedTuple):
    """One bend of the line: where and half how wide, in pixels; when (s); bead or none."""

    x: float
    y: float
    half: float
    t: float
    bead: bool = False


@dataclass(slots=True)
class Piece:
    """A picture of part of a stroke, of what instant, and how bright it is now.

    stamp is that picture with where it goes, as pygame's fblits takes it.
    """

    full: pygame.Surface
    at: tuple[int, int]
    t: float
    level: int = LEVELS
    stamp: Stamp = field(init=False)
    tiles: Tiles = field(init=False)

    def __post_init__(self) -> None:
        self.stamp = (self.full, self.at)
        self.tiles = tiles_of((*self.at, *self.full.get_size()))

    def dim(self, bright: int, *, ink: bool) -> None:
        """Make it as bright as a level 1..LEVELS."""
        self.level = bright
        self.stamp = (dimmed(self.full, bright / LEVELS, ink=ink), self.at)


def dimmed(picture: pygame.Surface, share: float, *, ink: bool) -> pygame.Surface:
    """Return a picture with a share of its light; in ink, of its darkness."""
    if share >= 1:
        return picture
    kept = round(255 * share)
    less = picture.copy()
    less.fill((kept, kept, kept), special_flags=pygame.BLEND_RGB_MULT)
    if ink:
        less.fill((255 - kept,) * 3, special_flags=pygame.BLEND_RGB_ADD)
    return less


def half_width(speed: float, head: float) -> float:
    """How far a line reaches to each side, in pixels; speed in screen units a second."""
    return head * (0.16 + 0.6 * speed / (speed + HALF_SPEED))


@dataclass(slots=True)
class StrokeImage:
    """The pieces of one stroke on a surface of these sizes."""

    metrics: Metrics
    colour: Colour
    blank: Colour
    machine: bool
    closed: list[Piece] = field(default_factory=list)
    open: Piece | None = None
    #: Of all pieces ever closed: how many were let go, and how many lie in the layer that
    #: is shown, and in the one that is being laid (robojam.window.view.strokes_view).
    gone: int = 0
    laid: int = 0
    laying: int = 0
    _taken: int = 0
    _knots: list[Spot] = field(default_factory=list)
    _spots: list[Spot] = field(default_factory=list)
    _run: float = 0.0

    def lit(self, now: float, *, first: int) -> list[Stamp]:
        """Return the closed pieces from the first-th of all on, as bright as they are."""
        ink = self.blank[0] > 0
        stamps: list[Stamp] = []
        faded = 0
        for piece in self.closed[max(0, first - self.gone) :]:
            bright = level(now - piece.t)
            if not bright:
                faded += 1
                continue
            if bright != piece.level:
                piece.dim(bright, ink=ink)
            stamps.append(piece.stamp)
        if faded and first <= self.gone:  # the oldest come first
            del self.closed[:faded]
            self.gone += faded
        return stamps

    def fresh(self, now: float) -> list[Stamp]:
        """Return what does not lie in the layer that is shown."""
        stamps = (
            self.lit(now, first=max(self.laid, self.gone + 1))
            if self.laid
            else (self.lit(now, first=0))
        )
        if self.open is not None and (bright := level(now - self.open.t)):
            if bright != self.open.level:
                self.open.dim(bright, ink=self.blank[0] > 0)
            stamps.append(self.open.stamp)
        return stamps

    def follow(self, stroke: Stroke) -> None:
        """Draw what the stroke has grown by."""
        total = stroke.dropped + len(stroke.points)
        if total == self._taken:
            return
        for point in stroke.points[max(0, self._taken - stroke.dropped) :]:
            self._point(point)
        self._taken = total
        tail = self._curve(self._knots[-3:-2], self._knots[-2:], []) if self._two else []
        self.open = self._render([*self._spots, *tail])

    @property
    def _two(self) -> bool:
        return len(self._knots) > 1

    def _point(self, point: Point) -> None:
        half = half_width(point.speed, self.metrics.head) * (0.5 if self.machine else 1.0)
        knot = Spot(*self.metrics.from_surface(point.x, point.y), half, point.t)
        if not self._knots:
            self._knots.append(knot)
            self._spots.append(knot)
            return
        last = self._knots[-1]
        if abs(knot.x - last.x) + abs(knot.y - last.y) < NEAR:
            return
        if self._two:  # now it is known how the last stretch goes on
            for spot in self._curve(self._knots[-3:-2], self._knots[-2:], [knot]):
                self._lay(self._beaded(spot))
        self._knots = [*self._knots[-2:], knot]

    def _curve(self, before: list[Spot], pair: list[Spot], after: list[Spot]) -> list[Spot]:
        """Return the bends from one point (left out) to the next."""
        a, b = pair
        length = math.hypot(b.x - a.x, b.y - a.y)
        ax, ay = _tangent((before or [a])[0], b, length)
        bx, by = _tangent(a, (after or [b])[0], length)
        count = max(1, math.ceil(length / STEP))
        found = []
        for i in range(1, count + 1):
            u = i / count
            w = u * u * (3 - 2 * u)  # of b; 1 - w of a
            p, q = u * (1 - u) * (1 - u), u * u * (u - 1)
            found.append(
                Spot(
                    a.x + (b.x - a.x) * w + p * ax + q * bx,
                    a.y + (b.y - a.y) * w + p * ay + q * by,
                    a.half + (b.half - a.half) * u,
                    a.t + (b.t - a.t) * u,
                )
            )
        return found

    def _beaded(self, spot: Spot) -> Spot:
        """The machine's line carries diamonds, evenly."""
        last = self._spots[-1]
        self._run += math.hypot(spot.x - last.x, spot.y - last.y)
        if not self.machine or self._run < self.metrics.head * 2.4:
            return spot
        self._run = 0.0
        return spot._replace(bead=True)

    def _lay(self, spot: Spot) -> None:
        self._spots.append(spot)
        xs, ys = [s.x for s in self._spots], [s.y for s in self._spots]
        if max(max(xs) - min(xs), max(ys) - min(ys)) > PIECE:
            piece = self._render(self._spots)
            if piece is not None:
                self.closed.append(piece)
            self._spots = [spot._replace(bead=False)]

    def _render(self, spots: Sequence[Spot]) -> Piece | None:
        if len(spots) < 2:
            return None
        bead = self.metrics.head * 0.6
        reach = max([s.half for s in spots] + [bead * 1.3 if s.bead else 0 for s in spots]) + 2
        left, top = (math.floor(min(s[i] for s in spots) - reach) for i in (0, 1))
        right, low = (math.ceil(max(s[i] for s in spots) + reach) for i in (0, 1))

        def draw(fine: pygame.Surface) -> None:
            # pygame takes a pixel's number for its middle
            line = [((s.x - left + 0.5) * FINE - 0.5, (s.y - top + 0.5) * FINE - 0.5,
                     max(0.5, s.half * FINE)) for s in spots]  # fmt: skip
            for x, y, half in line:
                pygame.draw.circle(fine, self.colour, (x, y), half)
            for (ax, ay, a), (bx, by, b) in itertools.pairwise(line):
                length = math.hypot(bx - ax, by - ay) or 1.0
                nx, ny = (ay - by) / length, (bx - ax) / length
                sides = [(ax + nx * a, ay + ny * a), (bx + nx * b, by + ny * b),
                         (bx - nx * b, by - ny * b), (ax - nx * a, ay - ny * a)]  # fmt: skip
                pygame.draw.polygon(fine, self.colour, sides)
            for (x, y, _), spot in zip(line, spots, strict=True):
                if spot.bead:
                    pygame.draw.polygon(fine, self.colour, diamond(x, y, bead * 1.3 * FINE))

        picture = fine_picture((right - left, low - top), self.blank, draw)
        return Piece(picture, (left, top), spots[len(spots) // 2].t)


def _tangent(before: Spot, after: Spot, longest: float) -> tuple[float, float]:
    """Return the direction of the line between two points, no longer than the stretch."""
    dx, dy = (after.x - before.x) / 2, (after.y - before.y) / 2
    length = math.hypot(dx, dy)
    short = min(1.0, longest / length) if length else 0.0
    return dx * short, dy * short


def diamond(x: float, y: float, far: float) -> list[tuple[float, float]]:
    """Return the corners of a diamond."""
    return [(x, y - far), (x + far, y), (x, y + far), (x - far, y)]


def fine_picture(
    size: tuple[int, int], blank: Colour, draw: Callable[[pygame.Surface], None]
) -> pygame.Surface:
    """Return a picture drawn FINE times larger and made small."""
    fine = pygame.Surface((size[0] * FINE, size[1] * FINE), depth=32)
    fine.fill(blank)
    draw(fine)
    return pygame.transform.smoothscale(fine, size)
