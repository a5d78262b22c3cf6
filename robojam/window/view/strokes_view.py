"""Drawing of strokes: landings, slides and fingers; round for humans, angular for machines.

In the dark themes strokes are light, and show where they are brighter than what is below.
In the light theme they are ink, and show where they are darker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import pygame

from robojam.touch import is_machine
from robojam.window.client.state import RECALL_SHOWN, PendingTouch, RecalledStroke
from robojam.window.client.strokes import LEVELS, RING, Strokes
from robojam.window.view.sprites import (
    DIAMOND,
    diamond_corners,
    glow_sprite,
    hollow_shape,
    shape_sprite,
)
from robojam.window.view.stroke_image import TILE, Blit, StrokeImage, StrokeSegment
from robojam.window.view.theme import Colour, Metrics, Theme, inverse, mix

#: A touch that is due sooner than this, in seconds, is not announced: slides would flicker.
MIN_WAIT = 0.06
#: Seconds in which a stroke that comes back appears, and its greatest brightness.
RECALL_RISE, RECALL_SHARE = 0.6, 0.55
#: Number of pictures of an opening ring.
RING_STEPS = 33
#: A layer is drawn in this many frames, and is shown for at most this many seconds.
LAYER_FRAMES, LAYER_AGE = 6, 0.3


class StrokesView:
    """Draws strokes and pending touches on the surface, and caches their pictures.

    Finished segments are drawn on a layer. A new layer is drawn behind it, a part in each
    frame, and replaces it when it is complete. So no frame has to draw all segments, and
    each segment fades in steps too small to notice.
    """

    def __init__(self) -> None:
        self._images: dict[int, StrokeImage] = {}
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
            self._front, self._back = (TileLayer(surface.get_size(), theme.blank) for _ in "fb")
            self._front_began = self._back_began = -LAYER_AGE
        if not strokes.visible:
            return
        radius, blank = metrics.finger_radius, theme.blank
        for stroke in strokes:
            image = self._images.get(stroke.serial)
            if image is None:
                colour, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
                image = StrokeImage(metrics, colour, blank, machine)
                reach = radius * 0.8 * (DIAMOND if machine else 1)
                landing = hollow_shape(colour, blank, int(reach + 2), reach, 0, machine=machine)
                place = metrics.from_surface(stroke.landed.x, stroke.landed.y)
                image.segments.append(StrokeSegment(*_centred(landing, place), stroke.landed.t))
                self._images[stroke.serial] = image
            image.extend(stroke)
        add, flag = (
            (pygame.BLEND_RGB_SUB, pygame.BLEND_RGB_MIN) if theme.dark_on_light
            else (pygame.BLEND_RGB_ADD, pygame.BLEND_RGB_MAX)
        )  # fmt: skip
        self._update_layers(now, flag)
        surface.fblits(self._front.blits(), flag)
        blits: list[Blit] = []
        glows: list[Blit] = []
        heads: list[Blit] = []
        for stroke in strokes:
            blits += self._images[stroke.serial].unlayered_blits(now)
            age, brightness = now - stroke.landed.t, stroke.head_brightness(now)
            if age >= RING and brightness <= 0:
                continue
            colour, machine = theme.player_colour(stroke.who), is_machine(stroke.who)
            if age < RING:
                share = round(max(0.0, age) / RING * RING_STEPS) / RING_STEPS
                x, y = metrics.from_surface(stroke.landed.x, stroke.landed.y)
                reach = radius * (1 + 3.2 * (1 - (1 - share) ** 3))
                reach, width = reach * (DIAMOND if machine else 1), max(1.5, radius / 6)
                faded = mix(theme.surface, colour, (1 - share) ** 1.5)
                ring = hollow_shape(faded, blank, math.ceil(reach + width), reach + width / 2,
                              reach - width / 2, machine=machine)  # fmt: skip
                blits.append(_centred(ring, (round(x), round(y))))
            place = metrics.from_surface(stroke.last.x, stroke.last.y)
            if brightness > 0:  # the glow outlasts the lift
                light, share = (inverse(colour), 0.25) if theme.dark_on_light else (colour, 0.4)
                halo = mix((0, 0, 0), light, share)
                halo = mix((0, 0, 0), halo, round(brightness * LEVELS) / LEVELS)
                glows.append(_centred(glow_sprite(halo, max(2, round(radius * 9))), place))
            if stroke.lifted is None:
                middle = mix(colour, (255, 255, 255), 0.75)
                for shape in ((colour, radius), (middle, radius * 0.5)):
                    heads.append(_centred(shape_sprite(*shape, machine=machine), place))
        surface.fblits(blits, flag)
        surface.fblits(glows, add)
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
            self._back.mark_used(image.segments)
        self._back.picture.fblits(blits, flag)
        if not self._queue:
            self._front, self._back = self._back, self._front
            self._front_began = self._back_began
            for image in self._images.values():
                image.front_count = image.back_count

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


def draw_recalled(
    surface: pygame.Surface, strokes: Iterable[RecalledStroke], now: float, metrics: Metrics,
    theme: Theme,
) -> None:  # fmt: skip
    """Draw each stroke that comes back as a thin line of beads, where it was played.

    It appears from its beginning to its end, in the time of RECALL_RISE, and fades as a whole.
    """
    width = max(2, round(metrics.finger_radius * 0.22))
    for stroke in strokes:
        age, last = now - stroke.at, len(stroke.path) - 1
        fade = min(1.0, max(0.0, (RECALL_SHOWN - age) / (RECALL_SHOWN - RECALL_RISE)))
        step = round(RECALL_SHARE * fade * LEVELS) / LEVELS
        lit = min(last, int(age / RECALL_RISE * last))
        if not step or lit < 0:
            continue
        colour = mix(theme.surface, theme.player_colour(stroke.whose or "human"), step)
        places = [metrics.from_surface(x, y) for x, y in stroke.path[: lit + 1]]
        for start, end in pairwise(places):
            pygame.draw.aaline(surface, colour, start, end, width)
        for i, place in enumerate(places):
            reach = metrics.finger_radius * (0.6 if i in (0, last) else 0.25)
            surface.blit(*_centred(shape_sprite(colour, reach, machine=False), place))


class TileLayer:
    """Picture of a size, blank at first, that knows which of its tiles are drawn on.

    Empty tiles are neither cleared nor blitted: a frame's cost is the memory that it touches.
    """

    def __init__(self, size: tuple[int, int], blank: Colour) -> None:
        self.picture = pygame.Surface(size, depth=32)
        self.picture.fill(blank)
        self._blank = blank
        self._tiles: set[tuple[int, int]] = set()
        self._blits: list[Blit] | None = []

    def clear(self) -> None:
        """Make the layer blank again."""
        for part, _ in self.blits():
            part.fill(self._blank)
        self._tiles.clear()
        self._blits = None

    def mark_used(self, segments: Iterable[StrokeSegment]) -> None:
        """Note that segments were drawn on the layer."""
        self._tiles.update(*(segment.tiles for segment in segments))
        self._blits = None

    def blits(self) -> list[Blit]:
        """Return the used parts of the layer, each with its position."""
        if self._blits is None:
            boxes: list[pygame.Rect] = []
            for row, column in sorted(self._tiles):
                box = pygame.Rect(column * TILE, row * TILE, TILE, TILE)
                if boxes and boxes[-1].top == box.top and boxes[-1].right == box.left:
                    boxes[-1].width += TILE  # tiles side by side are one part
                else:
                    boxes.append(box)
            within = self.picture.get_rect()
            boxes = [box for box in (box.clip(within) for box in boxes) if box]
            self._blits = [(self.picture.subsurface(box), box.topleft) for box in boxes]
        return self._blits


def _centred(picture: pygame.Surface, centre: tuple[float, float]) -> Blit:
    half = picture.get_width() / 2
    return picture, (round(centre[0] - half), round(centre[1] - half))
