"""Strokes made visible: landings, slides and heads, round for humans, angular for machines.

On dark themes a stroke is light and shows where it is brighter than what is below; on the
light one it is ink, and shows where it is darker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pygame

from robojam.touch import is_machine
from robojam.window.client.state import PendingTouch
from robojam.window.client.strokes import LEVELS, RING, Stroke, Strokes
from robojam.window.view.sprites import Sprites
from robojam.window.view.stroke_image import (
    Blit,
    StrokeImage,
    StrokeSegment,
    diamond_corners,
    supersampled,
)
from robojam.window.view.theme import Colour, Metrics, Theme, mix
from robojam.window.view.tiles import TileLayer

Blits = list[tuple[pygame.Surface, tuple[float, float]]]
#: A touch due sooner than this, in seconds, is not announced: a slide would flicker.
MIN_WAIT = 0.06
#: The ring of a landing opens in so many steps.
RING_STEPS = 33
#: The layer of what fades is laid over so many frames, and never older than this (s).
LAYER_FRAMES, LAYER_AGE = 6, 0.3


class StrokesView:
    """Draws strokes and ghosts onto the play surface; keeps their pieces.

    What has been drawn and only fades lies in a layer. Another is laid behind it, a part
    in each frame, and takes its place when it is whole: so no frame has to look at
    everything that is seen, and each fades in steps too small to notice.
    """

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._images: dict[int, StrokeImage] = {}
        self._dots: dict[tuple[object, ...], pygame.Surface] = {}
        self._rings: dict[tuple[Colour, bool, int], pygame.Surface] = {}
        self._drawn_for: tuple[object, ...] = ()
        self._queue: list[StrokeImage] = []

    def draw(
        self,
        surface: pygame.Surface,
        strokes: Strokes,
        now: float,
        metrics: Metrics,
        theme: Theme,
    ) -> None:
        """Draw every stroke on a play surface of these sizes."""
        here = (metrics, theme, id(strokes))
        if self._drawn_for != here:
            self._drawn_for = here
            self._images.clear()
            self._dots.clear()
            self._front, self._back = (TileLayer(surface.get_size(), theme.blank) for _ in "fb")
            self._rings.clear()
            self._front_began = self._back_began = -LAYER_AGE
        if not strokes.visible:
            return
        for stroke in strokes:
            self._extend_image(stroke, metrics, theme)
        flag = pygame.BLEND_RGB_MIN if theme.dark_on_light else pygame.BLEND_RGB_MAX
        self._update_layers(now, flag)
        surface.fblits(self._front.blits(), flag)
        blits: list[Blit] = []
        glows: Blits = []
        heads: Blits = []
        for stroke in strokes:
            blits += self._images[stroke.serial].unlayered_blits(now)
            if now - stroke.landed.t < RING:
                blits.append(self._ring(stroke, now, metrics, theme))
            if stroke.lifted is None or stroke.head_brightness(now) > 0:
                self._add_head(heads, glows, stroke, now, metrics, theme)
        surface.fblits(blits, flag)
        surface.fblits(
            glows, pygame.BLEND_RGB_SUB if theme.dark_on_light else pygame.BLEND_RGB_ADD
        )
        surface.fblits(heads)
        if len(self._images) > 2 * len(strokes.visible) + 16:
            there = {stroke.serial for stroke in strokes}
            self._images = {n: image for n, image in self._images.items() if n in there}

    def _update_layers(self, now: float, flag: int) -> None:
        """Lay a part of the next layer; all of it when the one that is shown is old."""
        if not 0 <= now - self._front_began < LAYER_AGE:
            self._queue = []
        at_once = not self._queue and not 0 <= now - self._front_began < LAYER_AGE
        if not self._queue:
            self._back_began = now
            self._back.clear()
            self._queue = list(self._images.values())
            for image in self._queue:
                image.back_count = 0
        count = len(self._queue) if at_once else -(-len(self._images) // LAYER_FRAMES)
        part, self._queue = self._queue[:count], self._queue[count:]
        blits: list[Blit] = []
        for image in part:
            blits += image.visible_blits(now, first=0)
            image.back_count = image.discarded + len(image.segments)
            self._back.mark_used(segment.tiles for segment in image.segments)
        self._back.picture.fblits(blits, flag)
        if not self._queue:
            self._front, self._back = self._back, self._front
            self._front_began = self._back_began
            for image in self._images.values():
                image.front_count = image.back_count

    def _extend_image(self, stroke: Stroke, metrics: Metrics, theme: Theme) -> None:
        image = self._images.get(stroke.serial)
        if image is None:
            machine = is_machine(stroke.who)
            image = StrokeImage(metrics, theme.player_colour(stroke.who), theme.blank, machine)
            image.segments.append(self._landing(stroke, metrics, theme))
            self._images[stroke.serial] = image
        image.extend(stroke)

    def draw_pending(
        self,
        surface: pygame.Surface,
        pending_touches: Iterable[PendingTouch],
        now: float,
        metrics: Metrics,
        theme: Theme,
    ) -> None:
        """Draw, faintly, where the pending touches will be; it closes in until then."""
        for pending in pending_touches:
            wait = min(1.0, pending.due - pending.announced_at)
            if wait < MIN_WAIT:
                continue
            left = min(1.0, max(0.0, (pending.due - now) / wait))
            colour = mix(theme.surface, theme.player_colour(pending.who), 0.5 - 0.25 * left)
            middle = metrics.from_surface(pending.x, pending.y)
            outline(
                surface,
                colour,
                middle,
                metrics.finger_radius * (1.35 + 1.4 * left),
                metrics.finger_radius,
                machine=True,
            )

    def _landing(self, stroke: Stroke, metrics: Metrics, theme: Theme) -> StrokeSegment:
        """Return the disc or the diamond where a finger landed."""
        colour, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
        radius = metrics.finger_radius * 0.8
        size = 2 * int(radius * (1.3 if machine else 1) + 2)

        def draw(canvas: pygame.Surface) -> None:
            middle, by = canvas.get_width() / 2, canvas.get_width() / size
            if machine:
                corners = diamond_corners(middle - 0.5, middle - 0.5, radius * 1.3 * by)
                pygame.draw.polygon(canvas, colour, corners)
            else:
                pygame.draw.circle(canvas, colour, (middle, middle), radius * by)

        if (colour, machine) not in self._dots:
            self._dots[colour, machine] = supersampled((size, size), theme.blank, draw)
        x, y = metrics.from_surface(stroke.landed.x, stroke.landed.y)
        at = (round(x - size / 2), round(y - size / 2))
        return StrokeSegment(self._dots[colour, machine], at, stroke.landed.t)

    def _ring(self, stroke: Stroke, now: float, metrics: Metrics, theme: Theme) -> Blit:
        """Return the ring of a landing, as far as it has opened; each is drawn once."""
        opened = round(max(0.0, now - stroke.landed.t) / RING * RING_STEPS)
        shade, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
        ring = self._rings.get((shade, machine, opened))
        if ring is None:
            share = opened / RING_STEPS
            radius = metrics.finger_radius * (1 + 3.2 * (1 - (1 - share) ** 3))
            lit = mix(theme.surface, shade, (1 - share) ** 1.5)
            ring = _ring_picture(
                lit, theme.blank, radius, metrics.finger_radius, machine=machine
            )
            self._rings[shade, machine, opened] = ring
        x, y = metrics.from_surface(stroke.landed.x, stroke.landed.y)
        half = ring.get_width() // 2
        return ring, (round(x) - half, round(y) - half)

    def _add_head(
        self, heads: Blits, glows: Blits, stroke: Stroke,
        now: float, metrics: Metrics, theme: Theme,
    ) -> None:  # fmt: skip
        lit = stroke.head_brightness(now)
        down = stroke.lifted is None
        colour = theme.player_colour(stroke.who)
        at = metrics.from_surface(stroke.last.x, stroke.last.y)
        inverse = (
            (255 - colour[0], 255 - colour[1], 255 - colour[2])
            if theme.dark_on_light
            else colour
        )
        halo = mix((0, 0, 0), inverse, 0.25 if theme.dark_on_light else 0.4)
        _add_centred(
            glows,
            self._sprites.glow(halo, metrics.finger_radius * 4.5, round(lit * LEVELS)),
            at,
        )
        machine = is_machine(stroke.who)
        shape = self._sprites.diamond if machine else self._sprites.disc
        if not down:
            return
        _add_centred(heads, shape(colour, metrics.finger_radius), at)
        _add_centred(
            heads, shape(mix(colour, (255, 255, 255), 0.75), metrics.finger_radius * 0.5), at
        )


def _ring_picture(
    colour: Colour, blank: Colour, radius: float, finger_radius: float, *, machine: bool
) -> pygame.Surface:
    """Return a ring for a human, an open diamond for the machine; sizes in pixels."""
    reach, broad = radius * (1.3 if machine else 1), max(1.5, finger_radius / 6)
    size = 2 * math.ceil(reach + broad)

    def draw(canvas: pygame.Surface) -> None:
        middle, by = canvas.get_width() / 2, canvas.get_width() / size
        for far, lit in ((reach + broad / 2, colour), (reach - broad / 2, blank)):
            if machine:
                corners = diamond_corners(middle - 0.5, middle - 0.5, far * by)
                pygame.draw.polygon(canvas, lit, corners)
            else:
                pygame.draw.circle(canvas, lit, (middle, middle), far * by)

    return supersampled((size, size), blank, draw)


def outline(
    surface: pygame.Surface, colour: Colour, at: tuple[float, float], radius: float,
    finger_radius: float, *, machine: bool,
) -> None:  # fmt: skip
    """Draw a ring for a human, an open diamond for the machine; sizes in pixels."""
    broad = max(2, round(finger_radius / 6))
    if not machine:
        pygame.draw.aacircle(surface, colour, at, radius, broad)
        return
    corners = diamond_corners(*at, radius * 1.3)
    for one, other in zip(corners, (*corners[1:], corners[0]), strict=True):
        pygame.draw.aaline(surface, colour, one, other, round(broad * 1.4))


def _add_centred(blits: Blits, picture: pygame.Surface, at: tuple[float, float]) -> None:
    half = picture.get_width() / 2
    blits.append((picture, (round(at[0] - half), round(at[1] - half))))
