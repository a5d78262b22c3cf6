"""Small pictures that are drawn once and blitted often: players' shapes and glows.

Shapes are drawn larger and scaled down, so that their edges are smooth; they cover what is
below. Glows are light on black, to be added to what is below.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pygame

from robojam.window.view.stroke_image import DIAMOND, draw_shape
from robojam.window.view.theme import Colour, mix

_SUPERSAMPLING = 4


@lru_cache(maxsize=1000)
def shape_sprite(colour: Colour, radius: float, *, machine: bool) -> pygame.Surface:
    """Return a player's shape: a disc, or a diamond for the machine; radius in pixels."""
    radius = max(1, round(radius * 2)) / 2
    reach = radius * DIAMOND if machine else radius
    size = 2 * int(reach + 1.5)
    canvas = pygame.Surface((size * _SUPERSAMPLING,) * 2, pygame.SRCALPHA)
    canvas.fill((*colour, 0))  # so that the edge fades in colour, not to black
    draw_shape(canvas, colour, reach * _SUPERSAMPLING, machine=machine)
    return pygame.transform.smoothscale(canvas, (size, size))


@lru_cache(maxsize=2000)
def glow_sprite(colour: Colour, size: int) -> pygame.Surface:
    """Return light that falls as a Gaussian from the middle to three deviations at the edge."""
    small = pygame.Surface((96, 96), depth=32)
    for step in range(96, 0, -1):
        bright = max(0.0, (math.exp(-4.5 * (step / 96) ** 2) - 0.0111) / 0.9889)
        pygame.draw.circle(small, mix((0, 0, 0), colour, bright), (48, 48), step / 2)
    return pygame.transform.smoothscale(small, (size, size))
