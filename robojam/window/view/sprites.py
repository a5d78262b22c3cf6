"""Small pictures that are drawn once and blitted often: players' shapes and glows.

Shapes are drawn larger and scaled down, so that their edges are smooth; they cover what is
below. Glows are light on black, to be added to what is below.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pygame

from robojam.window.view.theme import Colour, mix

#: A diamond reaches this much further than the disc of the same radius.
DIAMOND = 1.3
#: Pictures are drawn this many times larger and scaled down, for smooth edges.
SUPERSAMPLING, SPRITE_SUPERSAMPLING = 2, 4


@lru_cache(maxsize=1000)
def shape_sprite(colour: Colour, radius: float, *, machine: bool) -> pygame.Surface:
    """Return a player's shape: a disc, or a diamond for the machine; radius in pixels."""
    radius = max(1, round(radius * 2)) / 2
    reach = radius * DIAMOND if machine else radius
    size = 2 * int(reach + 1.5)
    canvas = pygame.Surface((size * SPRITE_SUPERSAMPLING,) * 2, pygame.SRCALPHA)
    canvas.fill((*colour, 0))  # so that the edge fades in colour, not to black
    draw_shape(canvas, colour, reach * SPRITE_SUPERSAMPLING, machine=machine)
    return pygame.transform.smoothscale(canvas, (size, size))


@lru_cache(maxsize=2000)
def glow_sprite(colour: Colour, size: int) -> pygame.Surface:
    """Return light that falls as a Gaussian from the middle to three deviations at the edge."""
    small = pygame.Surface((96, 96), depth=32)
    for step in range(96, 0, -1):
        bright = max(0.0, (math.exp(-4.5 * (step / 96) ** 2) - 0.0111) / 0.9889)
        pygame.draw.circle(small, mix((0, 0, 0), colour, bright), (48, 48), step / 2)
    return pygame.transform.smoothscale(small, (size, size))


@lru_cache(maxsize=500)
def hollow_shape(
    colour: Colour, blank: Colour, half: int, reach: float, hole: float, *, machine: bool
) -> pygame.Surface:
    """Return a disc, or a diamond for the machine, with a hole of its form (0: none).

    half is half the side of the picture, which is blank elsewhere; sizes are in pixels.
    """
    canvas = fine_canvas((2 * half, 2 * half), blank)
    draw_shape(canvas, colour, reach * SUPERSAMPLING, machine=machine)
    if hole:
        draw_shape(canvas, blank, hole * SUPERSAMPLING, machine=machine)
    return pygame.transform.smoothscale(canvas, (2 * half, 2 * half))


def diamond_corners(x: float, y: float, reach: float) -> list[tuple[float, float]]:
    """Return the corners of a diamond; reach is the distance of each from its centre."""
    return [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]


def draw_shape(canvas: pygame.Surface, colour: Colour, reach: float, *, machine: bool) -> None:
    """Draw a disc, or the machine's diamond, in the middle of a canvas; reach in pixels."""
    middle = canvas.get_width() / 2
    if machine:
        pygame.draw.polygon(canvas, colour, diamond_corners(middle - 0.5, middle - 0.5, reach))
    else:
        pygame.draw.circle(canvas, colour, (middle, middle), reach)


def fine_canvas(size: tuple[int, int], blank: Colour) -> pygame.Surface:
    """Return a blank picture that is SUPERSAMPLING times larger than a size."""
    canvas = pygame.Surface((size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), depth=32)
    canvas.fill(blank)
    return canvas
