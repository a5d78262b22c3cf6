"""Drawing of an instrument's knobs as faders: where they are, and how they moved.

Each knob is a lane. Its movements run from right to left, as on a strip chart, and fade: the
humans' lines are warm and end in a disc, the machine's are cool and end in a diamond. The
lane is filled up to where the knob is now, in the colour of who moved it last.
"""

from __future__ import annotations

from itertools import pairwise

import pygame

from robojam.touch import clip, is_machine
from robojam.window.client.faders import Faders, Trail
from robojam.window.client.strokes import FADE, LEVELS, level
from robojam.window.view.sprites import glow_sprite, shape_sprite
from robojam.window.view.text import TextRenderer
from robojam.window.view.theme import Colour, Metrics, Theme, inverse, mix

#: Share of a lane that is free between it and the next, and share in which movements run.
GAP, RUN = 0.14, 0.86
#: Seconds since a player moved a knob for which its mark shines.
SHINES = 0.35


class FadersView:
    """Draws the faders of a window."""

    def __init__(self, text: TextRenderer) -> None:
        self._text = text

    def draw(
        self, surface: pygame.Surface, faders: Faders, now: float, metrics: Metrics,
        theme: Theme,
    ) -> None:  # fmt: skip
        """Draw all lanes, movements and marks; now is in seconds."""
        surface.fill(theme.surface)
        for knob in range(faders.count):
            self._draw_lane(surface, faders, knob, metrics, theme)
        for who, trails in faders.trails.items():
            colour = theme.player_colour(who)
            for knob, trail in enumerate(trails):
                _draw_trail(surface, trail, _Lane(knob, faders.count), now, colour,
                            metrics, theme)  # fmt: skip
        for who, trails in faders.trails.items():
            for knob, trail in enumerate(trails):
                if trail and faders.movers[knob] == who:
                    age = now - trail[-1].t
                    _draw_mark(surface, who, trail[-1].value, _Lane(knob, faders.count),
                               clip(1 - age / SHINES, 0.0, 1.0), metrics, theme)  # fmt: skip

    def _draw_lane(
        self, surface: pygame.Surface, faders: Faders, knob: int, metrics: Metrics,
        theme: Theme,
    ) -> None:  # fmt: skip
        """Draw the bed of a knob, filled up to where it is."""
        lane = _Lane(knob, faders.count)
        value, who = faders.own.get(knob, faders.values[knob]), faders.movers[knob]
        radius = round(metrics.finger_radius * 0.5)
        bed = _box(metrics, lane.left, 0.0, lane.right, 1.0)
        pygame.draw.rect(surface, mix(theme.surface, theme.edge, 0.35), bed, 0, radius)
        colour = theme.player_colour(who) if who else theme.edge
        level_box = _box(metrics, lane.left, 1 - value, lane.right, 1.0)
        pygame.draw.rect(surface, mix(theme.surface, colour, 0.22), level_box, 0, radius)
        left, right = (metrics.from_surface(x, 1 - value) for x in (lane.left, lane.right))
        pygame.draw.line(surface, mix(theme.surface, colour, 0.8), left, right,
                         max(2, round(metrics.finger_radius * 0.3)))  # fmt: skip
        if metrics.text and theme.has_text and not metrics.quarter_turns:
            name, size = str(knob + 1), max(10, round(metrics.text * 0.8))
            x, y = metrics.from_surface((lane.left + lane.right) / 2, 1.0)
            place = round(x) - self._text.width(name, size) // 2, round(y) - size
            self._text.write(surface, name, place, size, theme.muted)


class _Lane:
    """Part of the surface that is one knob's, from left to right in screen units."""

    def __init__(self, knob: int, count: int) -> None:
        width = 1 / count
        self.left = (knob + GAP / 2) * width
        self.right = (knob + 1 - GAP / 2) * width

    def x(self, age: float) -> float:
        """Return where a movement of this age (seconds) is."""
        run = (self.right - self.left) * RUN
        return self.left + run * max(0.0, 1 - age / FADE)


def _box(metrics: Metrics, left: float, top: float, right: float, low: float) -> pygame.Rect:
    """Return the box in pixels of a part of the surface in screen units."""
    corners = metrics.from_surface(left, top), metrics.from_surface(right, low)
    (x1, y1), (x2, y2) = corners
    return pygame.Rect(
        round(min(x1, x2)), round(min(y1, y2)),
        max(1, round(abs(x2 - x1))), max(1, round(abs(y2 - y1))),
    )  # fmt: skip


def _draw_trail(
    surface: pygame.Surface, trail: Trail, lane: _Lane, now: float, colour: Colour,
    metrics: Metrics, theme: Theme,
) -> None:  # fmt: skip
    """Draw the way of a knob as a line, which fades with age."""
    width = max(1, round(metrics.finger_radius * 0.3))
    for before, point in pairwise(trail):
        if not point.moved:
            continue
        brightness = level(now - point.t) / LEVELS
        shade = mix(theme.surface, colour, 0.25 + 0.75 * brightness)
        start = metrics.from_surface(lane.x(now - before.t), 1 - before.value)
        corner = metrics.from_surface(lane.x(now - point.t), 1 - before.value)
        end = metrics.from_surface(lane.x(now - point.t), 1 - point.value)
        if now - before.t > now - point.t + 0.1:  # after a rest it jumps
            pygame.draw.line(surface, shade, corner, end, width)
        else:
            pygame.draw.line(surface, shade, start, end, width)


def _draw_mark(
    surface: pygame.Surface, who: str, value: float, lane: _Lane, shine: float,
    metrics: Metrics, theme: Theme,
) -> None:  # fmt: skip
    """Draw the mark of who moved a knob last; shine is 1 just after a movement, then less."""
    colour, machine = theme.player_colour(who), is_machine(who)
    x, y = metrics.from_surface((lane.left + (lane.right - lane.left) * RUN), 1 - value)
    radius = metrics.finger_radius * 0.75
    if shine > 0:
        light, share = (inverse(colour), 0.25) if theme.dark_on_light else (colour, 0.4)
        halo = mix((0, 0, 0), light, round(share * shine * LEVELS) / LEVELS)
        flag = pygame.BLEND_RGB_SUB if theme.dark_on_light else pygame.BLEND_RGB_ADD
        glow = glow_sprite(halo, max(2, round(radius * 6)))
        half = glow.get_width() / 2
        surface.blit(glow, (round(x - half), round(y - half)), special_flags=flag)
    for shade, reach in ((colour, radius), (mix(colour, (255, 255, 255), 0.75), radius * 0.5)):
        shape = shape_sprite(shade, reach, machine=machine)
        half = shape.get_width() / 2
        surface.blit(shape, (round(x - half), round(y - half)))
