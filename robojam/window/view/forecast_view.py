"""What the machine expects, as light: the forecast drawn as the mixture it is.

Painted small, each component an ellipse of light turned along its correlation, and
made large at once; a new forecast takes the old one's place softly.
"""

from __future__ import annotations

import math

import pygame

from robojam.window.client.state import Component
from robojam.window.view.sprites import Sprites
from robojam.window.view.theme import Theme, mix

#: The longer side of the small picture, in pixels.
SMALL = 200
#: How fast the light follows a new forecast: its time constant, in seconds.
FOLLOW = 0.12
#: Light is soft, and made anew no more often than this, in seconds.
OFTEN = 0.045
#: After so long, in seconds, it has come to rest.
SETTLED = 1.2
#: Deviations smaller than this, in screen units, are drawn as this.
LEAST = 0.02


class ForecastView:
    """Keeps the light of the last frame, and leads it to what is expected now."""

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._light: pygame.Surface | None = None
        self._target: pygame.Surface | None = None
        self._ground: pygame.Surface | None = None
        self._look: Theme | None = None
        self._unpainted = False
        self._expected: tuple[Component, ...] = ()
        self._changed = -math.inf
        self._drawn = -math.inf

    def restless(self, expected: tuple[Component, ...], now: float) -> bool:
        """Whether the light will look different a moment later."""
        return expected != self._expected or now - self._changed < SETTLED

    def draw(
        self, play: pygame.Surface, expected: tuple[Component, ...], now: float, look: Theme
    ) -> None:
        """Fill the play surface with its colour and the light on it."""
        width, height = play.get_size()
        scale = SMALL / max(width, height)
        size = max(2, round(width * scale)), max(2, round(height * scale))
        new = expected != self._expected
        if new:
            self._expected, self._changed = expected, now
        if self._light is None or self._light.get_size() != size:
            self._light = pygame.Surface(size, depth=32)
            new = True
        if not expected and now - self._changed >= SETTLED:
            if self._drawn <= self._changed + SETTLED:
                self._light.fill((0, 0, 0))
            self._drawn = now
            play.fill(look.surface)
            return
        self._unpainted = self._unpainted or new
        if self._ground is None or self._ground.get_size() != play.get_size():
            self._ground, self._look = pygame.Surface(play.get_size(), depth=32), None
        if self._look == look and 0 <= now - self._drawn < OFTEN:
            play.blit(self._ground, (0, 0))
            return
        if self._unpainted or self._target is None or self._look != look:
            self._target, self._unpainted = self._paint(size, look), False
        share = 1 - math.exp(-max(0.0, now - self._drawn) / FOLLOW)
        self._target.set_alpha(max(6, min(255, round(255 * share))))
        self._light.blit(self._target, (0, 0))
        self._drawn = now
        ground = pygame.Surface(size, depth=32)
        ground.fill(look.surface)
        flag = pygame.BLEND_RGB_SUB if look.ink else pygame.BLEND_RGB_ADD
        ground.blit(self._light, (0, 0), special_flags=flag)
        pygame.transform.smoothscale(ground, (width, height), self._ground)
        self._look = look
        play.blit(self._ground, (0, 0))

    def _paint(self, size: tuple[int, int], look: Theme) -> pygame.Surface:
        picture = pygame.Surface(size, depth=32)
        red, green, blue = look.glow
        colour = (255 - red, 255 - green, 255 - blue) if look.ink else look.glow
        for component in self._expected:
            ellipse(picture, self._sprites.soft(), component, colour)
        return pygame.transform.box_blur(picture, 2)


def ellipse(
    picture: pygame.Surface,
    soft: pygame.Surface,
    component: Component,
    colour: tuple[int, int, int],
) -> None:
    """Add one component's light: as wide as three deviations along each of its axes."""
    width, height = picture.get_size()
    sd_x = min(1.0, max(LEAST, abs(component.sd_x))) * width
    sd_y = min(1.0, max(LEAST, abs(component.sd_y))) * height
    shared = max(-0.99, min(0.99, component.correlation)) * sd_x * sd_y
    # the axes of the covariance ((sd_x², shared), (shared, sd_y²))
    middle, half = (sd_x**2 + sd_y**2) / 2, (sd_x**2 - sd_y**2) / 2
    reach = math.hypot(half, shared)
    angle = math.degrees(0.5 * math.atan2(2 * shared, 2 * half))
    long, short = math.sqrt(middle + reach), math.sqrt(max(1.0, middle - reach))
    share = min(1.0, max(0.0, component.weight)) ** 0.85 * 0.55  # many in one place add up
    share *= min(1.0, 0.3 + 0.7 * (0.12 * SMALL) / (long + short))
    lit = soft.copy()
    lit.fill(mix((0, 0, 0), colour, share), special_flags=pygame.BLEND_RGB_MULT)
    lit = pygame.transform.smoothscale(lit, (max(3, round(6 * long)), max(3, round(6 * short))))
    lit = pygame.transform.rotozoom(lit, -angle, 1.0)
    x, y = component.x * (width - 1), component.y * (height - 1)
    picture.blit(lit, lit.get_rect(center=(x, y)), special_flags=pygame.BLEND_RGB_ADD)
