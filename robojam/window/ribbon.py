"""A slide as a ribbon: a line through its points, as wide as it was fast. Pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from robojam.window.sprites import LEVELS
from robojam.window.strokes import Point, brightness

#: The speed, in screen units a second, at which a line is half as wide as it gets.
HALF_SPEED = 1.2
#: Points nearer than this to the last one, in pixels, do not bend the line.
NEAR = 2.0
#: So many bends a ribbon has at most: a longer one could cross itself, and have holes.
MOST = 4
Pixels = list[tuple[float, float]]


class Spot(NamedTuple):
    """One bend of the line, in pixels: where, half its width there, its brightness.

    ``turns`` where a ribbon needs a round end or elbow.
    """

    x: float
    y: float
    half: float
    level: int
    turns: bool


def along(
    points: Sequence[Point], now: float, size: tuple[int, int], head: float
) -> list[Spot]:
    """Lay a stroke's points onto a surface of this size; head is a finger's radius (px)."""
    width, height = size
    spots: list[Spot] = []
    last = len(points) - 1
    for index, point in enumerate(points):
        x, y = point.x * width, point.y * height
        if spots:
            near = abs(x - spots[-1].x) + abs(y - spots[-1].y) < NEAR
            if near and (index < last or len(spots) == 1):
                continue
            if near:
                spots.pop()
        level = round(brightness(now - point.t) * LEVELS)
        half = head * (0.16 + 0.6 * point.speed / (point.speed + HALF_SPEED))
        spots.append(Spot(x, y, half, level, index == 0 or index == last))
    for index in range(1, len(spots) - 1):
        before, here, after = spots[index - 1 : index + 2]
        ax, ay, bx, by = (
            here.x - before.x,
            here.y - before.y,
            after.x - here.x,
            after.y - here.y,
        )
        if ax * bx + ay * by < 0.75 * math.hypot(ax, ay) * math.hypot(bx, by):
            spots[index] = here._replace(turns=True)
    return spots


def ribbons(line: Sequence[Spot]) -> Iterable[tuple[int, Pixels, Pixels]]:
    """Cut a line into ribbons of one brightness each: its level, left and right edge."""
    left: Pixels = []
    right: Pixels = []
    last = len(line) - 1
    level = line[0].level
    for index, spot in enumerate(line):
        before, after = line[max(0, index - 1)], line[min(last, index + 1)]
        dx, dy = after.x - before.x, after.y - before.y
        length = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / length * spot.half, dx / length * spot.half
        left.append((spot.x + nx, spot.y + ny))
        right.append((spot.x - nx, spot.y - ny))
        full = len(left) > MOST or spot.level != level or index == last
        if len(left) > 1 and full:
            if level:
                yield level, left, right
            left, right, level = left[-1:], right[-1:], spot.level
