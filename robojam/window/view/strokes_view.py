"""Drawing of strokes: landings, slides and fingers; round for humans, angular for machines.

In the dark themes strokes are light, and show where they are brighter than what is below.
In the light theme they are ink, and show where they are darker.
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
    draw_shape,
    supersampled,
)
from robojam.window.view.theme import Colour, Metrics, Theme, mix
from robojam.window.view.tiles import TileLayer

#: A touch that is due sooner than this, in seconds, is not announced: slides would flicker.
MIN_WAIT = 0.06
#: Number of pictures of an opening ring.
RING_STEPS = 33
#: A layer is drawn in this many frames, and is shown for at most this many seconds.
LAYER_FRAMES, LAYER_AGE = 6, 0.3
#: A diamond reaches this much further than the disc of the same radius.
DIAMOND = 1.3


class StrokesView:
    """Draws strokes and pending touches on the surface, and caches their pictures.

    Finished segments are drawn on a layer. A new layer is drawn behind it, a part in each
    frame, and replaces it when it is complete. So no frame has to draw all segments, and
    each segment fades in steps too small to notice.
    """

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._images: dict[int, StrokeImage] = {}
        self._landings: dict[tuple[Colour, bool], pygame.Surface] = {}
        self._rings: dict[tuple[Colour, bool, int], pygame.Surface] = {}
        self._drawn_for: tuple[object, ...] = ()
        self._queue: list[StrokeImage] = []

    def draw(
        self, surface: pygame.Surface, strokes: Strokes, now: float, metrics: Metrics,
        theme: Theme,
    ) -> None:  # fmt: skip
        """Draw all strokes on a surface of these metrics."""
        drawn_for = (metrics, theme, id(strokes))
        if self._drawn_for != drawn_for:
            self._drawn_for = drawn_for
            self._images.clear()
            self._landings.clear()
            self._rings.clear()
            self._front, self._back = (TileLayer(surface.get_size(), theme.blank) for _ in "fb")
            self._front_began = self._back_began = -LAYER_AGE
        if not strokes.visible:
            return
        for stroke in strokes:
            self._extend_image(stroke, metrics, theme)
        flag = pygame.BLEND_RGB_MIN if theme.dark_on_light else pygame.BLEND_RGB_MAX
        self._update_layers(now, flag)
        surface.fblits(self._front.blits(), flag)
        blits: list[Blit] = []
        glows: list[Blit] = []
        heads: list[Blit] = []
        for stroke in strokes:
            blits += self._images[stroke.serial].unlayered_blits(now)
            if now - stroke.landed.t < RING:
                blits.append(self._ring(stroke, now, metrics, theme))
            if stroke.lifted is None or stroke.head_brightness(now) > 0:
                self._add_head(heads, glows, stroke, now, metrics, theme)
        surface.fblits(blits, flag)
        glow_flag = pygame.BLEND_RGB_SUB if theme.dark_on_light else pygame.BLEND_RGB_ADD
        surface.fblits(glows, glow_flag)
        surface.fblits(heads)
        if len(self._images) > 2 * len(strokes.visible) + 16:
            serials = {stroke.serial for stroke in strokes}
            self._images = {n: image for n, image in self._images.items() if n in serials}

    def _update_layers(self, now: float, flag: int) -> None:
        """Draw a part of the back layer; all of it if the front layer is too old."""
        front_is_old = not 0 <= now - self._front_began < LAYER_AGE
        if front_is_old or not self._queue:
            self._back_began = now
            self._back.clear()
            self._queue = list(self._images.values())
            for image in self._queue:
                image.back_count = 0
        count = len(self._queue) if front_is_old else -(-len(self._images) // LAYER_FRAMES)
        images, self._queue = self._queue[:count], self._queue[count:]
        blits: list[Blit] = []
        for image in images:
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
        self, surface: pygame.Surface, touches: Iterable[PendingTouch], now: float,
        metrics: Metrics, theme: Theme,
    ) -> None:  # fmt: skip
        """Draw a faint diamond for each pending touch; it shrinks until the touch is due."""
        width = round(max(2, round(metrics.finger_radius / 6)) * 1.4)
        for touch in touches:
            wait = min(1.0, touch.due - touch.announced_at)
            if wait < MIN_WAIT:
                continue
            left = min(1.0, max(0.0, (touch.due - now) / wait))
            colour = mix(theme.surface, theme.player_colour(touch.who), 0.5 - 0.25 * left)
            reach = metrics.finger_radius * (1.35 + 1.4 * left) * DIAMOND
            corners = diamond_corners(*metrics.from_surface(touch.x, touch.y), reach)
            for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
                pygame.draw.aaline(surface, colour, start, end, width)

    def _landing(self, stroke: Stroke, metrics: Metrics, theme: Theme) -> StrokeSegment:
        """Return the disc or diamond at the place where a finger landed."""
        colour, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
        reach = metrics.finger_radius * 0.8 * (DIAMOND if machine else 1)
        size = 2 * int(reach + 2)

        def draw(canvas: pygame.Surface) -> None:
            draw_shape(canvas, colour, reach * canvas.get_width() / size, machine=machine)

        if (colour, machine) not in self._landings:
            self._landings[colour, machine] = supersampled((size, size), theme.blank, draw)
        x, y = metrics.from_surface(stroke.landed.x, stroke.landed.y)
        position = (round(x - size / 2), round(y - size / 2))
        return StrokeSegment(self._landings[colour, machine], position, stroke.landed.t)

    def _ring(self, stroke: Stroke, now: float, metrics: Metrics, theme: Theme) -> Blit:
        """Return the ring of a landing at its present size; each size is drawn once."""
        step = round(max(0.0, now - stroke.landed.t) / RING * RING_STEPS)
        colour, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
        ring = self._rings.get((colour, machine, step))
        if ring is None:
            share = step / RING_STEPS
            radius = metrics.finger_radius * (1 + 3.2 * (1 - (1 - share) ** 3))
            faded = mix(theme.surface, colour, (1 - share) ** 1.5)
            width = max(1.5, metrics.finger_radius / 6)
            ring = _ring_picture(faded, theme.blank, radius, width, machine=machine)
            self._rings[colour, machine, step] = ring
        x, y = metrics.from_surface(stroke.landed.x, stroke.landed.y)
        half = ring.get_width() // 2
        return ring, (round(x) - half, round(y) - half)

    def _add_head(
        self, heads: list[Blit], glows: list[Blit], stroke: Stroke,
        now: float, metrics: Metrics, theme: Theme,
    ) -> None:  # fmt: skip
        """Add the mark of a finger that is down, and its glow, which outlasts the lift."""
        colour, radius = theme.player_colour(stroke.who), metrics.finger_radius
        position = metrics.from_surface(stroke.last.x, stroke.last.y)
        if theme.dark_on_light:  # the glow is subtracted
            inverse = (255 - colour[0], 255 - colour[1], 255 - colour[2])
            halo = mix((0, 0, 0), inverse, 0.25)
        else:
            halo = mix((0, 0, 0), colour, 0.4)
        brightness = round(stroke.head_brightness(now) * LEVELS)
        _add_centred(glows, self._sprites.glow(halo, radius * 4.5, brightness), position)
        if stroke.lifted is not None:
            return
        shape = self._sprites.diamond if is_machine(stroke.who) else self._sprites.disc
        _add_centred(heads, shape(colour, radius), position)
        _add_centred(heads, shape(mix(colour, (255, 255, 255), 0.75), radius * 0.5), position)


def _ring_picture(
    colour: Colour, blank: Colour, radius: float, width: float, *, machine: bool
) -> pygame.Surface:
    """Return a ring for a human, an open diamond for the machine; sizes in pixels."""
    reach = radius * (DIAMOND if machine else 1)
    size = 2 * math.ceil(reach + width)

    def draw(canvas: pygame.Surface) -> None:
        scale = canvas.get_width() / size
        draw_shape(canvas, colour, (reach + width / 2) * scale, machine=machine)
        draw_shape(canvas, blank, (reach - width / 2) * scale, machine=machine)

    return supersampled((size, size), blank, draw)


def _add_centred(
    blits: list[Blit], picture: pygame.Surface, centre: tuple[float, float]
) -> None:
    half = picture.get_width() / 2
    blits.append((picture, (round(centre[0] - half), round(centre[1] - half))))
