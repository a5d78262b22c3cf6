"""Strokes made visible: landings, slides and heads, round for humans, angular for machines.

On dark themes a stroke is light and shows where it is brighter than what is below; on the
light one it is ink, and shows where it is darker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pygame

from robojam.touch import is_machine
from robojam.window.client.state import Ghost
from robojam.window.client.strokes import LEVELS, RING, Stroke, Strokes
from robojam.window.view.sprites import Sprites
from robojam.window.view.stroke_image import Piece, Stamp, StrokeImage, diamond, fine_picture
from robojam.window.view.theme import Colour, Metrics, Theme, mix
from robojam.window.view.tiles import TileLayer

Stamps = list[tuple[pygame.Surface, tuple[float, float]]]
#: A touch due sooner than this, in seconds, is not announced: a slide would flicker.
SOON = 0.06
#: The ring of a landing opens in so many steps.
RINGS = 33
#: The layer of what fades is laid over so many frames, and never older than this (s).
SPREAD, STALE = 6, 0.3


class StrokesView:
    """Draws strokes and ghosts onto the play surface; keeps their pieces.

    What has been drawn and only fades lies in a layer. Another is laid behind it, a part
    in each frame, and takes its place when it is whole: so no frame has to look at
    everything that is seen, and each fades in steps too small to notice.
    """

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._inks: dict[int, StrokeImage] = {}
        self._dots: dict[tuple[object, ...], pygame.Surface] = {}
        self._rings: dict[tuple[Colour, bool, int], pygame.Surface] = {}
        self._for: tuple[object, ...] = ()
        self._queue: list[StrokeImage] = []

    def draw(
        self, play: pygame.Surface, strokes: Strokes, now: float, m: Metrics, look: Theme
    ) -> None:
        """Draw every stroke on a play surface of these sizes."""
        here = (m, look, id(strokes))
        if self._for != here:
            self._for = here
            self._inks.clear()
            self._dots.clear()
            self._front, self._back = (TileLayer(play.get_size(), look.blank) for _ in "fb")
            self._rings.clear()
            self._laid_at = self._lay_began = -STALE
        if not strokes.seen:
            return
        for stroke in strokes:
            self._follow(stroke, m, look)
        flag = pygame.BLEND_RGB_MIN if look.ink else pygame.BLEND_RGB_MAX
        self._lay(now, flag)
        play.fblits(self._front.covered(), flag)
        stamps: list[Stamp] = []
        glows: Stamps = []
        heads: Stamps = []
        for stroke in strokes:
            stamps += self._inks[stroke.serial].fresh(now)
            if now - stroke.landed.t < RING:
                stamps.append(self._ring(stroke, now, m, look))
            if stroke.lifted is None or stroke.head(now) > 0:
                self._head(heads, glows, stroke, now, m, look)
        play.fblits(stamps, flag)
        play.fblits(glows, pygame.BLEND_RGB_SUB if look.ink else pygame.BLEND_RGB_ADD)
        play.fblits(heads)
        if len(self._inks) > 2 * len(strokes.seen) + 16:
            there = {stroke.serial for stroke in strokes}
            self._inks = {n: ink for n, ink in self._inks.items() if n in there}

    def _lay(self, now: float, flag: int) -> None:
        """Lay a part of the next layer; all of it when the one that is shown is old."""
        if not 0 <= now - self._laid_at < STALE:
            self._queue = []
        at_once = not self._queue and not 0 <= now - self._laid_at < STALE
        if not self._queue:
            self._lay_began = now
            self._back.clear()
            self._queue = list(self._inks.values())
            for ink in self._queue:
                ink.laying = 0
        count = len(self._queue) if at_once else -(-len(self._inks) // SPREAD)
        part, self._queue = self._queue[:count], self._queue[count:]
        stamps: list[Stamp] = []
        for ink in part:
            stamps += ink.lit(now, first=0)
            ink.laying = ink.gone + len(ink.closed)
            self._back.cover(piece.tiles for piece in ink.closed)
        self._back.picture.fblits(stamps, flag)
        if not self._queue:
            self._front, self._back = self._back, self._front
            self._laid_at = self._lay_began
            for ink in self._inks.values():
                ink.laid = ink.laying

    def _follow(self, stroke: Stroke, m: Metrics, look: Theme) -> None:
        ink = self._inks.get(stroke.serial)
        if ink is None:
            machine = is_machine(stroke.who)
            ink = StrokeImage(m, look.shade(stroke.who), look.blank, machine)
            ink.closed.append(self._landing(stroke, m, look))
            self._inks[stroke.serial] = ink
        ink.follow(stroke)

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

    def _landing(self, stroke: Stroke, m: Metrics, look: Theme) -> Piece:
        """Return the disc or the diamond where a finger landed."""
        colour, machine = look.shade(stroke.who), is_machine(stroke.who)
        radius = m.head * 0.8
        size = 2 * int(radius * (1.3 if machine else 1) + 2)

        def draw(fine: pygame.Surface) -> None:
            middle, by = fine.get_width() / 2, fine.get_width() / size
            if machine:
                corners = diamond(middle - 0.5, middle - 0.5, radius * 1.3 * by)
                pygame.draw.polygon(fine, colour, corners)
            else:
                pygame.draw.circle(fine, colour, (middle, middle), radius * by)

        if (colour, machine) not in self._dots:
            self._dots[colour, machine] = fine_picture((size, size), look.blank, draw)
        x, y = m.from_surface(stroke.landed.x, stroke.landed.y)
        at = (round(x - size / 2), round(y - size / 2))
        return Piece(self._dots[colour, machine], at, stroke.landed.t)

    def _ring(self, stroke: Stroke, now: float, m: Metrics, look: Theme) -> Stamp:
        """Return the ring of a landing, as far as it has opened; each is drawn once."""
        opened = round(max(0.0, now - stroke.landed.t) / RING * RINGS)
        shade, machine = look.shade(stroke.who), is_machine(stroke.who)
        ring = self._rings.get((shade, machine, opened))
        if ring is None:
            share = opened / RINGS
            radius = m.head * (1 + 3.2 * (1 - (1 - share) ** 3))
            lit = mix(look.surface, shade, (1 - share) ** 1.5)
            ring = _hollow(lit, look.blank, radius, m.head, machine=machine)
            self._rings[shade, machine, opened] = ring
        x, y = m.from_surface(stroke.landed.x, stroke.landed.y)
        half = ring.get_width() // 2
        return ring, (round(x) - half, round(y) - half)

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


def _hollow(
    colour: Colour, blank: Colour, radius: float, head: float, *, machine: bool
) -> pygame.Surface:
    """Return a ring for a human, an open diamond for the machine; sizes in pixels."""
    reach, broad = radius * (1.3 if machine else 1), max(1.5, head / 6)
    size = 2 * math.ceil(reach + broad)

    def draw(fine: pygame.Surface) -> None:
        middle, by = fine.get_width() / 2, fine.get_width() / size
        for far, lit in ((reach + broad / 2, colour), (reach - broad / 2, blank)):
            if machine:
                corners = diamond(middle - 0.5, middle - 0.5, far * by)
                pygame.draw.polygon(fine, lit, corners)
            else:
                pygame.draw.circle(fine, lit, (middle, middle), far * by)

    return fine_picture((size, size), blank, draw)


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
