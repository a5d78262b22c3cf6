"""Strokes made visible: landings, slides and heads, round for humans, angular for machines.

On dark themes a stroke is light and shows where it is brighter than what is below; on the
light one it is ink, and shows where it is darker.
"""

from __future__ import annotations

from collections.abc import Iterable

import pygame

from robojam.touch import is_machine
from robojam.window.ink import LEVELS, Ink, Piece, diamond, fine_picture
from robojam.window.sprites import Sprites
from robojam.window.state import Ghost
from robojam.window.strokes import RING, Stroke, Strokes, brightness
from robojam.window.theme import Colour, Metrics, Theme, mix

#: A touch due sooner than this, in seconds, is not announced: a slide would flicker.
SOON = 0.06
Stamps = list[tuple[pygame.Surface, tuple[float, float]]]


class Trails:
    """Draws strokes and ghosts onto the play surface; keeps their pieces."""

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._inks: dict[int, Ink] = {}
        self._dots: dict[tuple[object, ...], list[pygame.Surface]] = {}
        self._for: tuple[object, ...] = ()

    def draw(
        self, play: pygame.Surface, strokes: Strokes, now: float, m: Metrics, look: Theme
    ) -> None:
        """Draw every stroke on a play surface of these sizes."""
        here = (m, look)
        if self._for != here:
            self._for = here
            self._inks.clear()
            self._dots.clear()
        flag = pygame.BLEND_RGB_MIN if look.ink else pygame.BLEND_RGB_MAX
        stamps: Stamps = []
        for stroke in strokes:
            stamps += self._line(stroke, now, m, look)
            dot = self._landing(stroke, now, m, look)
            if dot is not None:
                stamps.append(dot)
        play.fblits(stamps, flag)
        glows: Stamps = []
        heads: Stamps = []
        for stroke in strokes:
            if now - stroke.landed.t < RING:
                self._ring(play, stroke, now, m, look)
            if stroke.lifted is None or stroke.head(now) > 0:
                self._head(heads, glows, stroke, now, m, look)
        play.fblits(glows, pygame.BLEND_RGB_SUB if look.ink else pygame.BLEND_RGB_ADD)
        play.fblits(heads)
        if len(self._inks) > 2 * len(strokes.seen) + 16:
            there = {stroke.serial for stroke in strokes}
            self._inks = {n: ink for n, ink in self._inks.items() if n in there}

    def ghosts(
        self,
        play: pygame.Surface,
        ghosts: Iterable[Ghost],
        now: float,
        m: Metrics,
        look: Theme,
    ) -> None:
        """Draw, faintly, where the pending touches will be; it closes in until then."""
        for ghost in ghosts:
            wait = min(1.0, ghost.due - ghost.told)
            if wait < SOON:
                continue
            left = min(1.0, max(0.0, (ghost.due - now) / wait))
            colour = mix(look.surface, look.shade(ghost.who), 0.5 - 0.25 * left)
            middle = m.from_surface(ghost.x, ghost.y)
            outline(play, colour, middle, m.head * (1.35 + 1.4 * left), m.head, machine=True)

    def _line(self, stroke: Stroke, now: float, m: Metrics, look: Theme) -> Stamps:
        if len(stroke.points) < 2 and stroke.serial not in self._inks:
            return []
        ink = self._inks.get(stroke.serial)
        if ink is None:
            machine = is_machine(stroke.who)
            ink = Ink(m, look.shade(stroke.who), look.blank, machine)
            self._inks[stroke.serial] = ink
        ink.follow(stroke)
        stamps: Stamps = []
        gone = 0
        for piece in ink.closed:
            level = round(brightness(now - piece.t) * LEVELS)
            if level:
                stamps.append(piece.stamp(level, ink=look.ink))
            else:
                gone += 1
        if gone:  # the oldest come first
            del ink.closed[:gone]
        if ink.open is not None and (level := _level(ink.open, now)):
            stamps.append(ink.open.stamp(level, ink=look.ink))
        return stamps

    def _landing(
        self, stroke: Stroke, now: float, m: Metrics, look: Theme
    ) -> tuple[pygame.Surface, tuple[float, float]] | None:
        level = round(brightness(now - stroke.landed.t) * LEVELS)
        if not level:
            return None
        dots = self._dot(look.shade(stroke.who), m.head * 0.8, look, is_machine(stroke.who))
        dot = dots[level - 1]
        half = dot.get_width() / 2
        x, y = m.from_surface(stroke.landed.x, stroke.landed.y)
        return dot, (round(x - half), round(y - half))

    def _dot(
        self,
        colour: Colour,
        radius: float,
        look: Theme,
        machine: bool,  # noqa: FBT001
    ) -> list[pygame.Surface]:
        """Return a disc or a diamond at each brightness; kept."""
        key = (colour, machine)
        if key not in self._dots:
            size = 2 * int(radius * (1.3 if machine else 1) + 2)

            def draw(fine: pygame.Surface) -> None:
                middle, by = fine.get_width() / 2, fine.get_width() / size
                if machine:
                    corners = diamond(middle - 0.5, middle - 0.5, radius * 1.3 * by)
                    pygame.draw.polygon(fine, colour, corners)
                else:
                    pygame.draw.circle(fine, colour, (middle, middle), radius * by)

            full = Piece(fine_picture((size, size), look.blank, draw), (0, 0), 0.0)
            self._dots[key] = [
                full.stamp(level, ink=look.ink)[0] for level in range(1, LEVELS + 1)
            ]
        return self._dots[key]

    def _ring(
        self, play: pygame.Surface, stroke: Stroke, now: float, m: Metrics, look: Theme
    ) -> None:
        opening = max(0.0, now - stroke.landed.t) / RING
        at = (
            stroke.landed.x * (play.get_width() - 1),
            stroke.landed.y * (play.get_height() - 1),
        )
        lit = mix(look.surface, look.shade(stroke.who), (1 - opening) ** 1.5)
        radius = m.head * (1 + 3.2 * (1 - (1 - opening) ** 3))
        outline(play, lit, at, radius, m.head, machine=is_machine(stroke.who))

    def _head(
        self, heads: Stamps, glows: Stamps, stroke: Stroke,
        now: float, m: Metrics, look: Theme,
    ) -> None:  # fmt: skip
        lit = stroke.head(now)
        down = stroke.lifted is None
        colour = look.shade(stroke.who)
        at = m.from_surface(stroke.last.x, stroke.last.y)
        inverse = (255 - colour[0], 255 - colour[1], 255 - colour[2]) if look.ink else colour
        halo = mix((0, 0, 0), inverse, 0.25 if look.ink else 0.4)
        _stamp(glows, self._sprites.glow(halo, m.head * 4.5, round(lit * LEVELS)), at)
        machine = is_machine(stroke.who)
        shape = self._sprites.diamond if machine else self._sprites.disc
        if not down:
            return
        _stamp(heads, shape(colour, m.head), at)
        _stamp(heads, shape(mix(colour, (255, 255, 255), 0.75), m.head * 0.5), at)


def _level(piece: Piece, now: float) -> int:
    return round(brightness(now - piece.t) * LEVELS)


def outline(
    play: pygame.Surface, colour: Colour, at: tuple[float, float], radius: float,
    head: float, *, machine: bool,
) -> None:  # fmt: skip
    """Draw a ring for a human, an open diamond for the machine; sizes in pixels."""
    broad = max(2, round(head / 6))
    if not machine:
        pygame.draw.aacircle(play, colour, at, radius, broad)
        return
    corners = diamond(*at, radius * 1.3)
    for one, other in zip(corners, (*corners[1:], corners[0]), strict=True):
        pygame.draw.aaline(play, colour, one, other, round(broad * 1.4))


def _stamp(stamps: Stamps, picture: pygame.Surface, at: tuple[float, float]) -> None:
    half = picture.get_width() / 2
    stamps.append((picture, (round(at[0] - half), round(at[1] - half))))
