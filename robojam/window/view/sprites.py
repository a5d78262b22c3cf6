"""Small pictures that are drawn once and blitted often: discs, diamonds and glows.

Discs and diamonds are drawn larger and scaled down, so that their edges are smooth; they
cover what is below. Glows are light on black, to be added to what is below.
"""

from __future__ import annotations

import math

import pygame

from robojam.window.client.strokes import LEVELS
from robojam.window.view.stroke_image import draw_shape
from robojam.window.view.theme import Colour, mix

_BLACK: Colour = (0, 0, 0)
_SUPERSAMPLING = 4
_MAX_CACHED = 3000


class Sprites:
    """Cache of small pictures."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, Colour, int], pygame.Surface] = {}
        self._gaussian: pygame.Surface | None = None

    def disc(self, colour: Colour, radius: float) -> pygame.Surface:
        """Return a filled disc; radius in pixels."""
        return self._get("disc", colour, radius)

    def diamond(self, colour: Colour, radius: float) -> pygame.Surface:
        """Return a filled diamond, a little larger than the disc of the same radius."""
        return self._get("diamond", colour, radius)

    def glow(self, colour: Colour, radius: float, level: int) -> pygame.Surface:
        """Return light that falls to nothing at the radius, in a brightness of 0..LEVELS."""
        return self._get("glow", mix(_BLACK, colour, level / LEVELS), radius)

    def gaussian(self) -> pygame.Surface:
        """Return white light that falls as a Gaussian, 96 pixels and six deviations wide."""
        if self._gaussian is None:
            self._gaussian = _falloff(96, (255, 255, 255))
        return self._gaussian

    def _get(self, kind: str, colour: Colour, radius: float) -> pygame.Surface:
        half_pixels = max(1, round(radius * 2))
        key = (kind, colour, half_pixels)
        sprite = self._cache.get(key)
        if sprite is None:
            if len(self._cache) > _MAX_CACHED:
                self._cache.clear()
            sprite = self._cache[key] = _draw(kind, colour, half_pixels / 2)
        return sprite


def _draw(kind: str, colour: Colour, radius: float) -> pygame.Surface:
    if kind == "glow":
        return _falloff(max(2, round(radius * 2)), colour)
    reach = radius * 1.3 if kind == "diamond" else radius
    size = 2 * int(reach + 1.5)
    fine_size = size * _SUPERSAMPLING
    canvas = pygame.Surface((fine_size, fine_size), pygame.SRCALPHA)
    canvas.fill((*colour, 0))  # so that the edge fades in colour, not to black
    draw_shape(canvas, colour, reach * _SUPERSAMPLING, machine=kind == "diamond")
    return pygame.transform.smoothscale(canvas, (size, size))


def _falloff(size: int, colour: Colour) -> pygame.Surface:
    """Return light that falls as a Gaussian from the middle to three deviations at the edge."""
    small = pygame.Surface((96, 96), depth=32)
    for step in range(96, 0, -1):
        from_middle = step / 96
        bright = (math.exp(-4.5 * from_middle**2) - 0.0111) / 0.9889
        pygame.draw.circle(small, mix(_BLACK, colour, max(0.0, bright)), (48, 48), step / 2)
    return pygame.transform.smoothscale(small, (size, size))
