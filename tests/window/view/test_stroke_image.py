"""Images of strokes: width, segments and caching."""

from __future__ import annotations

import math

import pygame
import pytest

from robojam.window.client.state import WindowState
from robojam.window.client.strokes import Point
from robojam.window.view.scene import Scene
from robojam.window.view.stroke_image import line_half_width

pytestmark = pytest.mark.usefixtures("fonts")


def test_faster_slide_has_a_wider_line():
    halves = [line_half_width(Point(0, 0, 0, speed), 12.0) for speed in (0.0, 0.5, 3.0)]
    assert 1 < halves[0] < halves[1] < halves[2] < 12


def test_harder_press_has_a_wider_line_than_its_speed_alone():
    halves = [line_half_width(Point(0, 0, 0, 0.5, p), 12.0) for p in (0.0, 0.1, 0.75, 1.0)]
    assert halves[0] == halves[1] < halves[2] < halves[3] < 12


def test_slide_drawn_frame_by_frame_equals_slide_drawn_at_once():
    frame_by_frame, at_once = Scene(), Scene()
    screens = [pygame.Surface((640, 400)) for _ in range(2)]
    states = [WindowState(has_played=True, last_message_at=1.0) for _ in range(2)]
    for i in range(60):
        for state in states:
            x, y = 0.5 + 0.4 * math.cos(i / 6), 0.5 + 0.4 * math.sin(i / 7)
            state.strokes.move("human", 1, x, y, 0.9 + i * 0.001, own=False)
        frame_by_frame.draw(screens[0], states[0], 1.0)
    frame_by_frame.draw(screens[0], states[0], 1.6)
    at_once.draw(screens[1], states[1], 1.6)
    assert pygame.image.tobytes(screens[0], "RGB") == pygame.image.tobytes(screens[1], "RGB")


def test_finished_line_is_not_drawn_again_while_it_fades(monkeypatch):
    from robojam.window.view import stroke_image

    calls = []
    canvas = stroke_image.fine_canvas
    monkeypatch.setattr(stroke_image, "fine_canvas", lambda *a: calls.append(a) or canvas(*a))
    state, scene = WindowState(has_played=True), Scene()
    screen = pygame.Surface((1280, 800))
    for i in range(200):
        state.strokes.move("human", 1, i / 200, 0.5, 1.0 + i * 0.01, own=False)
    scene.draw(screen, state, 3.0)
    first = len(calls)
    for i in range(100):
        scene.draw(screen, state, 3.0 + i * 0.02)
    assert first > 10
    assert len(calls) == first
