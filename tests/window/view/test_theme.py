"""Themes: contrast, and colours that colour-blind eyes tell apart; and the size of text."""

from __future__ import annotations

import math

import pytest

from robojam.window.view.theme import THEMES, Metrics


@pytest.mark.parametrize(
    "size", [(640, 400), (1280, 800), (800, 1280), (1920, 1080), (3840, 2160)]
)
def test_text_is_at_least_a_fortieth_of_the_height(size):
    assert Metrics.for_size(size).text >= size[1] / 40


#: Machado, Oliveira & Fernandes (2009), "A Physiologically-based Model for Simulation of
#: Color Vision Deficiency", severity 1.0; applied to linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}  # fmt: skip


def linear(colour: tuple[int, int, int]) -> list[float]:
    """Return the linear RGB of an sRGB colour."""
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (v / 255 for v in colour)]  # fmt: skip


def lab(colour: tuple[int, int, int], blindness: str) -> tuple[float, float, float]:
    """Return CIE L*a*b* (D65) of a colour as this kind of colour blindness shows it."""
    rgb = linear(colour)
    seen = [min(1.0, max(0.0, sum(m * v for m, v in zip(row, rgb, strict=True))))
            for row in BLINDNESS[blindness]]  # fmt: skip
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
        for t in (
            sum(m * v for m, v in zip(row, seen, strict=True)) / w
            for row, w in zip(rows, white, strict=True)
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return the WCAG 2 contrast ratio."""
    a, b = (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_every_human_colour_differs_from_every_machine_colour(blindness, theme):
    worst = min(
        math.dist(lab(human, blindness), lab(machine, blindness))
        for human in theme.humans
        for machine in theme.machines
    )
    assert worst > 40  # 2.3 is just noticeable; 40 is another colour


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_colours_differ_on_a_projector_in_a_lit_room(blindness, theme):
    """The room's light is a quarter of the projector's own white."""

    def washed(colour):
        light = [0.8 * c + 0.2 for c in linear(colour)]
        return tuple(
            round(255 * (1.055 * c ** (1 / 2.4) - 0.055 if c > 0.0031308 else 12.92 * c))
            for c in light
        )

    worst = min(
        math.dist(lab(washed(human), blindness), lab(washed(machine), blindness))
        for human in theme.humans
        for machine in theme.machines
    )
    assert worst > 15


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_contrast_of_text_and_strokes_is_enough(theme):
    for colour in (theme.text, theme.muted, theme.alert, theme.humans[0], theme.machines[0]):
        assert contrast(colour, theme.frame) >= 4.5, colour
    for colour in (theme.text, theme.muted):
        assert contrast(colour, theme.panel) >= 4.5, colour
    for colour in (theme.alert, theme.record):  # on their buttons
        assert contrast(colour, theme.panel) >= 4.5, colour
    for colour in (*theme.humans, *theme.machines):  # strokes are larger than letters
        assert contrast(colour, theme.surface) >= 3, colour


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_each_player_has_a_colour_of_its_family(theme):
    humans = ("human", "human2", "human3", "human4")
    assert len({theme.player_colour(who) for who in humans}) == 4
    assert theme.player_colour("human5") == theme.player_colour("human")
    assert theme.player_colour("ai2") == theme.machines[1]
    assert theme.player_colour("human²") in theme.humans
