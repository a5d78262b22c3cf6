"""Strokes: brightness, speed and bounds."""

from __future__ import annotations

import itertools

import pytest

from robojam.touch import Phase
from robojam.window.client.state import WindowState
from robojam.window.client.strokes import FADE, MAX_POINTS, Strokes, brightness


def test_lifted_stroke_fades_and_comes_to_rest():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 0.0)
    state.add_own_touch(Phase.UP, 1000, 0.2, 0.3, 0.1)
    assert state.is_animating(1.0)
    state.advance(FADE + 0.2)
    assert not list(state.strokes)
    assert not state.is_animating(FADE + 0.2)


def test_held_finger_stays_bright_and_comes_to_rest():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 0.0)
    state.advance(60.0)
    (stroke,) = state.strokes
    assert stroke.head_brightness(60.0) == 1.0
    assert not state.is_animating(60.0)


def test_brightness_falls_smoothly_from_one_to_zero():
    values = [brightness(FADE * i / 100) for i in range(101)]
    assert values[0] == 1
    assert values[-1] == 0
    steps = [a - b for a, b in itertools.pairwise(values)]
    assert all(0 <= step < 0.05 for step in steps)


def test_flood_of_touches_keeps_a_bounded_number_of_points():
    strokes = Strokes()
    for i in range(3 * MAX_POINTS):
        strokes.move("human", i % 7, i % 100 / 100, 0.5, i * 1e-4, own=False)
        if i % 5 == 0:
            strokes.down("human3", i, 0.5, 0.5, i * 1e-4, own=False)
    strokes.fade(0.9)
    assert strokes.count <= MAX_POINTS + 10
    for finger in range(3 * MAX_POINTS):  # each lands and is never lifted
        strokes.down("ai", finger, 0.5, 0.5, 1.0, own=False)
    down = [stroke for stroke in strokes if stroke.lifted is None]
    assert len(down) <= MAX_POINTS
    for stroke in down:
        assert strokes.held(stroke.who, stroke.id, own=False) is stroke
    strokes.move("ai", 0, 0.6, 0.5, 1.1, own=False)  # the first was forgotten: it lands again
    assert strokes.visible[-1].id == 0
    strokes.lift_others(1.2)
    assert strokes.held("ai", 0, own=False) is None


def test_speed_of_a_point_follows_the_slide():
    strokes = Strokes()
    for i in range(20):
        strokes.move("human", 1, i * 0.01, 0.5, i * 0.01, own=True)
    assert strokes.visible[0].last.speed == pytest.approx(1.0, rel=0.05)
