"""Drawing of the beat: its marks, in every theme, size and rotation."""

from __future__ import annotations

import pygame
import pytest

from robojam.window.client.state import WindowState
from robojam.window.view.scene import Scene
from robojam.window.view.theme import DARK, THEMES, Metrics

pytestmark = pytest.mark.usefixtures("fonts")


def drawn(
    beat: float | None, *, size=(640, 400), left: float = 0.0, per_bar: int = 4, turns: int = 0,
    theme: str = "dark",
) -> pygame.Surface:  # fmt: skip
    """Return the picture of a window at a beat."""
    state = WindowState(last_message_at=10.0)
    state.view.quarter_turns, state.view.theme = turns, theme
    if beat is not None:
        state.beat_clock.hear(beat, 60.0, per_bar, 10.0)
        state.beat_clock.count_in(left, 10.0)
    screen = pygame.Surface(size, depth=32)
    Scene().draw(screen, state, 10.0)
    return screen


def changed(a: pygame.Surface, b: pygame.Surface) -> pygame.Rect:
    """Return the box of what differs between two pictures."""
    mask = pygame.mask.from_threshold(a, (0, 0, 0), (1, 1, 1, 255), b)
    mask.invert()
    boxes = mask.get_bounding_rects()
    return boxes[0].unionall(boxes[1:]) if boxes else pygame.Rect(0, 0, 0, 0)


def test_beat_is_drawn_at_the_upper_edge_of_the_surface_and_nowhere_else():
    _, top, width, height = Metrics.for_size((640, 400)).surface_box
    box = changed(drawn(9.0), drawn(None))
    assert box.top > top
    assert box.bottom < top + height / 6
    assert width / 6 < box.width < width / 2


def test_each_beat_lights_another_mark():
    places = [changed(drawn(float(i)), drawn(float(i + 1))) for i in range(3)]
    assert places[0].left < places[1].left < places[2].left


def test_count_in_is_a_large_number_in_the_machine_s_colour():
    counted, plain = drawn(9.0, left=3.0), drawn(9.0)
    box = changed(counted, plain)
    assert box.height > 400 / 9
    colours = {tuple(counted.get_at((x, y))[:3]) for x in range(box.left, box.right)
               for y in range(box.top, box.bottom)}  # fmt: skip
    assert any(b > 1.5 * r and b > 140 for r, _, b in colours)


def test_count_in_without_text_is_the_colour_of_the_marks():
    counted, plain = (drawn(9.0, left=left, theme="stage") for left in (3.0, 0.0))
    assert 0 < changed(counted, plain).height < 400 / 12


@pytest.mark.parametrize("turns", range(4))
def test_beat_is_at_the_upper_edge_of_a_rotated_window(turns):
    box = changed(drawn(9.0, turns=turns), drawn(None, turns=turns))
    near = [box.top, 640 - box.right, 400 - box.bottom, box.left][turns]
    assert near < 100
    assert (box.width > box.height) == (turns % 2 == 0)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [(1, 1), (240, 180), (300, 900), (1900, 300)])
@pytest.mark.parametrize("per_bar", [1, 3, 16, 64])
def test_any_bar_is_drawn_in_any_size(theme, size, per_bar):
    drawn(1000.0, size=size, per_bar=per_bar, theme=theme, left=98.5)


def test_marks_stand_out_from_the_surface():
    picture = drawn(8.0, size=(1280, 800))
    box = changed(picture, drawn(None, size=(1280, 800)))
    brightest = max(
        sum(picture.get_at((x, y))[:3])
        for x in range(box.left, box.right)
        for y in range(box.top, box.bottom)
    )
    assert brightest > 3 * sum(DARK.surface)
