"""Drawing of the forecast as light: each component of the mixture is an ellipse.

The light is painted in a small picture and scaled up. A new forecast replaces the old one
gradually.
"""

from __future__ import annotations

import math

import pygame

from robojam.window.client.state import ForecastComponent
from robojam.window.view.sprites import glow_sprite
from robojam.window.view.theme import Colour, Theme, inverse, mix

#: Longer side of the small picture, in pixels.
IMAGE_SIZE = 200
#: Time constant with which the light follows a new forecast, in seconds.
TIME_CONSTANT = 0.12
#: Shortest time between two updates of the light, in seconds.
MIN_INTERVAL = 0.045
#: Time after which the light no longer changes, in seconds.
SETTLE_TIME = 1.2
#: Smallest standard deviation that is drawn, in screen units.
MIN_DEVIATION = 0.02


class ForecastView:
    """Draws the forecast, and keeps the light of the last frame to fade from it."""

    def __init__(self) -> None:
        self._image: pygame.Surface | None = None
        self._target: pygame.Surface | None = None
        self._background: pygame.Surface | None = None
        self._theme: Theme | None = None
        self._forecast: tuple[ForecastComponent, ...] = ()
        self._changed = -math.inf
        self._drawn_at = -math.inf

    def is_animating(self, forecast: tuple[ForecastComponent, ...], now: float) -> bool:
        """Return whether the light is still changing."""
        return forecast != self._forecast or now - self._changed < SETTLE_TIME

    def draw(
        self, surface: pygame.Surface, forecast: tuple[ForecastComponent, ...], now: float,
        theme: Theme,
    ) -> None:  # fmt: skip
        """Fill the surface with the theme's colour and the light of the forecast."""
        width, height = surface.get_size()
        scale = IMAGE_SIZE / max(width, height)
        size = max(2, round(width * scale)), max(2, round(height * scale))
        if forecast != self._forecast:
            self._forecast, self._changed, self._target = forecast, now, None
        if self._image is None or self._image.get_size() != size:
            self._image, self._target = pygame.Surface(size, depth=32), None
        if not forecast and now - self._changed >= SETTLE_TIME:
            if self._drawn_at <= self._changed + SETTLE_TIME:
                self._image.fill((0, 0, 0))
            self._drawn_at = now
            surface.fill(theme.surface)
            return
        if self._background is None or self._background.get_size() != surface.get_size():
            self._background, self._theme = pygame.Surface(surface.get_size(), depth=32), None
        if self._theme == theme and 0 <= now - self._drawn_at < MIN_INTERVAL:
            surface.blit(self._background, (0, 0))
            return
        if self._target is None or self._theme != theme:
            picture = pygame.Surface(size, depth=32)
            colour = inverse(theme.forecast) if theme.dark_on_light else theme.forecast
            for component in forecast:
                _add_ellipse(picture, component, colour)
            self._target = pygame.transform.box_blur(picture, 2)
        share = 1 - math.exp(-max(0.0, now - self._drawn_at) / TIME_CONSTANT)
        self._target.set_alpha(max(6, min(255, round(255 * share))))
        self._image.blit(self._target, (0, 0))
        self._drawn_at = now
        background = pygame.Surface(size, depth=32)
        background.fill(theme.surface)
        flag = pygame.BLEND_RGB_SUB if theme.dark_on_light else pygame.BLEND_RGB_ADD
        background.blit(self._image, (0, 0), special_flags=flag)
        pygame.transform.smoothscale(background, (width, height), self._background)
        self._theme = theme
        surface.blit(self._background, (0, 0))


def _add_ellipse(picture: pygame.Surface, component: ForecastComponent, colour: Colour) -> None:
    """Add a component's light, three standard deviations wide along each of its axes."""
    width, height = picture.get_size()
    sd_x = min(1.0, max(MIN_DEVIATION, abs(component.sd_x))) * width
    sd_y = min(1.0, max(MIN_DEVIATION, abs(component.sd_y))) * height
    covariance = max(-0.99, min(0.99, component.correlation)) * sd_x * sd_y
    # eigenvectors and eigenvalues of ((sd_x², covariance), (covariance, sd_y²))
    middle, half = (sd_x**2 + sd_y**2) / 2, (sd_x**2 - sd_y**2) / 2
    reach = math.hypot(half, covariance)
    angle = math.degrees(0.5 * math.atan2(2 * covariance, 2 * half))
    major, minor = math.sqrt(middle + reach), math.sqrt(max(1.0, middle - reach))
    # less than 1, because components in one place add up
    share = min(1.0, max(0.0, component.weight)) ** 0.85 * 0.55
    share *= min(1.0, 0.3 + 0.7 * (0.12 * IMAGE_SIZE) / (major + minor))
    light = glow_sprite((255, 255, 255), 96).copy()
    light.fill(mix((0, 0, 0), colour, share), special_flags=pygame.BLEND_RGB_MULT)
    size = max(3, round(6 * major)), max(3, round(6 * minor))
    light = pygame.transform.rotozoom(pygame.transform.smoothscale(light, size), -angle, 1.0)
    x, y = component.x * (width - 1), component.y * (height - 1)
    picture.blit(light, light.get_rect(center=(x, y)), special_flags=pygame.BLEND_RGB_ADD)
