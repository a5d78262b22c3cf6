"""Small pictures drawn once and stamped often: discs, diamonds, glows.

Discs and diamonds are drawn four times too large and made small, so that their
edges are smooth, and cover what is below; a glow is light on black, to be added.
"""

from __future__ import annotations

import math

import pygame

from robojam.window.client.strokes import LEVELS
from robojam.window.view.stroke_image import diamond_corners
from robojam.window.view.theme import Colour, mix

_BLACK: Colour = (0, 0, 0)
_FINE = 4
_MAX_CACHED = 3000


class Sprites:
    """Makes and keeps the small pictures."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, Colour, int, int], pygame.Surface] = {}
        self._soft: pygame.Surface | None = None

    def disc(self, colour: Colour, radius: float) -> pygame.Surface:
        """A filled disc; radius in pixels."""
        return self._get("disc", colour, radius)

    def diamond(self, colour: Colour, radius: float) -> pygame.Surface:
        """A filled diamond, a little larger than the disc of the same radius."""
        return self._get("diamond", colour, radius)

    def glow(self, colour: Colour, radius: float, level: int) -> pygame.Surface:
        """Light that falls off to nothing at the radius; level of brightness 0..LEVELS."""
        return self._get("glow", mix(_BLACK, colour, level / LEVELS), radius)

    def gaussian(self) -> pygame.Surface:
        """A Gaussian of white light, three standard deviations to each side, 96 pixels."""
        if self._soft is None:
            self._soft = _falloff(96, (255, 255, 255))
        return self._soft

    def _get(self, kind: str, colour: Colour, radius: float) -> pygame.Surface:
        half = max(1, round(radius * 2))
        key = (kind, colour, half, 0)
        sprite = self._cache.get(key)
        if sprite is None:
            if len(self._cache) > _MAX_CACHED:
                self._cache.clear()
            sprite = self._cache[key] = _draw(kind, colour, half / 2)
        return sprite


def _draw(kind: str, colour: Colour, radius: float) -> pygame.Surface:
    if kind == "glow":
        return _falloff(max(2, round(radius * 2)), colour)
    reach = radius * 1.3 if kind == "diamond" else radius
    size = 2 * int(reach + 1.5)
    fine = pygame.Surface((size * _FINE, size * _FINE), pygame.SRCALPHA)
    fine.fill((*colour, 0))  # so that the edge fades in colour, not to black
    middle, far = size * _FINE / 2, reach * _FINE
    if kind == "disc":
        pygame.draw.circle(fine, colour, (middle, middle), far)
    else:
        pygame.draw.polygon(fine, colour, diamond_corners(middle - 0.5, middle - 0.5, far))
    return pygame.transform.smoothscale(fine, (size, size))


def _falloff(size: int, colour: Colour) -> pygame.Surface:
    """Light from the middle, as a Gaussian that reaches three deviations to the edge."""
    small = pygame.Surface((96, 96), depth=32)
    for step in range(96, 0, -1):
        from_middle = step / 96
        bright = (math.exp(-4.5 * from_middle**2) - 0.0111) / 0.9889
        pygame.draw.circle(small, mix(_BLACK, colour, max(0.0, bright)), (48, 48), step / 2)
    return pygame.transform.smoothscale(small, (size, size))
