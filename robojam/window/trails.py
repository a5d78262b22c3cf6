"""Strokes made visible: landings, slides and heads, round for humans, angular for machines.

Everything is drawn as light on a black layer, and shows where it is brighter than the surface.
"""

from __future__ import annotations

import pygame

from robojam.touch import is_machine
from robojam.window.ribbon import Spot, along, ribbons
from robojam.window.sprites import LEVELS, Sprites
from robojam.window.state import Ghost
from robojam.window.strokes import RING, Stroke, Strokes, brightness
from robojam.window.theme import Colour, mix, shade

_BLACK: Colour = (0, 0, 0)
#: A touch due sooner than this, in seconds, is not announced: a slide would flicker.
SOON = 0.06
Stamps = list[tuple[pygame.Surface, tuple[float, float]]]


class Trails:
    """Draws strokes and ghosts onto a layer of the size of the play surface."""

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites

    def draw(self, layer: pygame.Surface, strokes: Strokes, now: float, head: float) -> None:
        """Draw every stroke; head is the radius of a finger, in pixels."""
        stamps: Stamps = []
        glows: Stamps = []
        for stroke in strokes:
            self._ring(layer, stroke, shade(stroke.who), now, head)
        for stroke in strokes:
            colour = shade(stroke.who)
            self._landing(layer, stroke, colour, now, head)
            beads = self._line(layer, stroke, colour, now, head)
            layer.fblits(beads)
            self._head(stamps, glows, stroke, colour, now, head, layer)
        layer.fblits(glows, pygame.BLEND_RGB_MAX)
        layer.fblits(stamps)

    def ghosts(
        self, layer: pygame.Surface, ghosts: list[Ghost], now: float, head: float
    ) -> None:
        """Draw, faintly, where the pending touches will be; it closes in until then."""
        width, height = layer.get_size()
        for ghost in ghosts:
            wait = min(1.0, ghost.due - ghost.told)
            if wait < SOON:
                continue
            left = min(1.0, max(0.0, (ghost.due - now) / wait))
            colour = mix(_BLACK, shade(ghost.who), 0.5 - 0.25 * left)
            middle = (ghost.x * (width - 1), ghost.y * (height - 1))
            outline(layer, colour, middle, head * (1.35 + 1.4 * left), head, machine=True)

    def _line(
        self, layer: pygame.Surface, stroke: Stroke, colour: Colour, now: float, head: float
    ) -> Stamps:
        stamps: Stamps = []
        machine = is_machine(stroke.who)
        size = layer.get_width() - 1, layer.get_height() - 1
        line = along(stroke.points, now, size, head * (0.5 if machine else 1.0))
        if len(line) < 2:
            return stamps
        for level, left, right in ribbons(line):
            lit = mix(_BLACK, colour, level / LEVELS)
            fill = [(round(x), round(y)) for x, y in left + right[::-1]]
            pygame.draw.polygon(layer, lit, fill)
            pygame.draw.aalines(layer, lit, False, left)
            pygame.draw.aalines(layer, lit, False, right)
        bead, run = head * 0.6, 0.0
        before = line[0]
        for spot in line:
            run += abs(spot.x - before.x) + abs(spot.y - before.y)
            if spot.turns:
                _stamp(stamps, self._sprites.disc(colour, spot.half, spot.level), spot)
            if machine and (run > bead * 3.6 or spot is line[-1]):
                run = 0.0
                _stamp(stamps, self._sprites.diamond(colour, bead, spot.level), spot)
            before = spot
        return stamps

    def _landing(
        self, layer: pygame.Surface, stroke: Stroke, colour: Colour, now: float, head: float
    ) -> None:
        age = now - stroke.landed.t
        level = round(brightness(age) * LEVELS)
        if not level:
            return
        machine = is_machine(stroke.who)
        at = (stroke.landed.x * (layer.get_width() - 1),
              stroke.landed.y * (layer.get_height() - 1))  # fmt: skip
        shape = self._sprites.diamond if machine else self._sprites.disc
        dot: Stamps = []
        _stamp(dot, shape(colour, head * 0.8, level), at)
        layer.fblits(dot)

    def _ring(
        self, layer: pygame.Surface, stroke: Stroke, colour: Colour, now: float, head: float
    ) -> None:
        opening = max(0.0, now - stroke.landed.t) / RING
        if opening >= 1:
            return
        at = (
            stroke.landed.x * (layer.get_width() - 1),
            stroke.landed.y * (layer.get_height() - 1),
        )
        lit = mix(_BLACK, colour, (1 - opening) ** 1.5)
        radius = head * (1 + 3.2 * (1 - (1 - opening) ** 3))
        outline(layer, lit, at, radius, head, machine=is_machine(stroke.who))

    def _head(
        self, stamps: Stamps, glows: Stamps, stroke: Stroke, colour: Colour,
        now: float, head: float, layer: pygame.Surface,
    ) -> None:  # fmt: skip
        lit = stroke.head(now)
        if not lit:
            return
        down = stroke.lifted is None
        at = (stroke.last.x * (layer.get_width() - 1), stroke.last.y * (layer.get_height() - 1))
        halo = self._sprites.glow(mix(_BLACK, colour, 0.4), head * 4.5, round(lit * LEVELS))
        _stamp(glows, halo, at)
        machine = is_machine(stroke.who)
        shape = self._sprites.diamond if machine else self._sprites.disc
        level = LEVELS if down else round(brightness(now - stroke.last.t) * LEVELS)
        _stamp(stamps, shape(colour, head * (1 if down else 0.8 * lit), level), at)
        if down:
            core = mix(colour, (255, 255, 255), 0.75)
            _stamp(stamps, shape(core, head * 0.5, LEVELS), at)


def outline(
    layer: pygame.Surface, colour: Colour, at: tuple[float, float], radius: float,
    head: float, *, machine: bool,
) -> None:  # fmt: skip
    """Draw a ring for a human, an open diamond for the machine; sizes in pixels."""
    broad = max(2, round(head / 6))
    if not machine:
        pygame.draw.aacircle(layer, colour, at, radius, broad)
        return
    x, y, far = *at, radius * 1.3
    corners = ((x, y - far), (x + far, y), (x, y + far), (x - far, y))
    for one, other in zip(corners, (*corners[1:], corners[0]), strict=True):
        pygame.draw.aaline(layer, colour, one, other, round(broad * 1.4))


def _stamp(stamps: Stamps, picture: pygame.Surface, at: tuple[float, float] | Spot) -> None:
    half = picture.get_width() / 2
    x, y = at[0], at[1]
    stamps.append((picture, (round(x - half), round(y - half))))
