"""Light of a show's health: legible from the stage, and without a word for the audience.

Its shape says the same as its colour: a small disc is well, a triangle a fault with which the
jam plays, a square one that needs somebody.
"""

from __future__ import annotations

from typing import Final

import pygame

from robojam.window.view.theme import Colour, Metrics, Theme, mix

#: Sizes of the light, as shares of the window's shorter side.
_SIZES: Final = {"ok": 1 / 70, "warn": 1 / 24, "bad": 1 / 20}
_COLOURS: Final[dict[str, Colour]] = {
    "ok": (64, 170, 100),
    "warn": (255, 190, 40),
    "bad": (255, 64, 64),
}
#: Share of the surface's colour in the light while all is well: it is not to be looked at.
_FAINT: Final = 0.35


def draw_health_light(
    screen: pygame.Surface, state: str, metrics: Metrics, theme: Theme
) -> None:
    """Draw the light in the upper right corner of the surface."""
    left, top, width, _ = metrics.surface_box
    unit = min(metrics.width, metrics.height)
    side = max(6, round(unit * _SIZES[state]))
    gap = max(4, round(unit / 40))
    at = (left + width - gap - side, top + gap, side, side)
    box = pygame.Rect(metrics.rotate_box(at))
    colour = _COLOURS[state]
    outline = max(1, side // 12)
    match state:
        case "ok":
            faint = mix(colour, theme.surface, _FAINT)
            pygame.draw.aacircle(screen, faint, box.center, side / 2)
        case "warn":  # it points upwards for who reads the picture
            corners = [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)]
            places = [_turned(x, y, box, metrics.quarter_turns) for x, y in corners]
            pygame.draw.polygon(screen, colour, places)
            pygame.draw.polygon(screen, theme.surface, places, outline)
        case _:
            pygame.draw.rect(screen, colour, box)
            pygame.draw.rect(screen, theme.surface, box, outline)


def _turned(x: float, y: float, box: pygame.Rect, quarter_turns: int) -> tuple[float, float]:
    """Return a place (0..1) of a square box that is turned clockwise by quarter turns."""
    for _ in range(quarter_turns % 4):
        x, y = 1 - y, x
    return box.left + x * box.width, box.top + y * box.height
