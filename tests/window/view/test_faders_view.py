"""Faders as they are drawn: lanes, how far they are filled, and in whose colour."""

from dataclasses import replace

import pygame
import pytest
from support.window import fonts  # noqa: F401 (a fixture)

from robojam.window.client.faders import Faders
from robojam.window.view.faders_view import FadersView
from robojam.window.view.text import TextRenderer
from robojam.window.view.theme import THEMES, Metrics, mix

SIZE = (640, 400)


def draw(faders: Faders, now: float, *, theme: str = "dark", turns: int = 0) -> pygame.Surface:
    metrics = Metrics.for_size(SIZE)
    metrics = replace(metrics, quarter_turns=turns)
    size = metrics.rotate_box(metrics.surface_box)[2:]
    surface = pygame.Surface(size, depth=32)
    FadersView(TextRenderer()).draw(surface, faders, now, metrics, THEMES[theme])
    return surface


def at(surface: pygame.Surface, x: float, y: float, turns: int = 0) -> tuple[int, int, int]:
    metrics = replace(Metrics.for_size(SIZE), quarter_turns=turns)
    across, down = metrics.from_surface(x, y)
    return tuple(surface.get_at((round(across), round(down))))[:3]


def moved(count: int = 4) -> Faders:
    """Return faders of which a human moved the first, and the machine the second."""
    faders = Faders()
    faders.use(count)
    values = [0.5] * count
    for step in range(20):
        values[0] = 0.5 + 0.015 * step
        faders.hear("human", values, 1 + 0.02 * step)
    for step in range(20):
        values[1] = 0.5 - 0.015 * step
        faders.hear("ai", values, 2 + 0.02 * step)
    return faders


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("theme", ["dark", "light", "stage"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_lane_is_filled_up_to_its_value_in_the_colour_of_who_moved_it(theme, turns):
    surface = draw(moved(), 30.0, theme=theme, turns=turns)
    colours = THEMES[theme]
    human = mix(colours.surface, colours.player_colour("human"), 0.22)
    machine = mix(colours.surface, colours.player_colour("ai"), 0.22)
    bed = mix(colours.surface, colours.edge, 0.35)
    assert at(surface, 0.125, 0.5, turns) == human  # below its 0.785
    assert at(surface, 0.125, 0.1, turns) == bed
    assert at(surface, 0.375, 0.9, turns) == machine  # below its 0.215
    assert at(surface, 0.375, 0.5, turns) == bed
    assert at(surface, 0.25, 0.5, turns) == colours.surface  # between two lanes


@pytest.mark.usefixtures("fonts")
def test_movement_shines_and_fades():
    faders, colours = moved(), THEMES["dark"]
    human = colours.player_colour("human")

    def nearness(now: float) -> int:
        surface = draw(faders, now)
        width, height = surface.get_size()
        lane = [surface.get_at((x, y))[:3] for x in range(width // 4) for y in range(height)]
        return sum(all(abs(a - b) < 30 for a, b in zip(c, human, strict=True)) for c in lane)

    assert nearness(1.4) > nearness(7.0) > 0


@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("count", range(1, 17))
def test_any_number_of_knobs_is_drawn(count):
    faders = Faders()
    faders.use(count)
    faders.hear("human", [1.0] * count, 1.0)
    surface = draw(faders, 1.0)
    colours = THEMES["dark"]
    human = mix(colours.surface, colours.player_colour("human"), 0.22)
    for knob in range(count):
        assert at(surface, (knob + 0.25) / count, 0.6) == human
