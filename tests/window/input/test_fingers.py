"""Touches from pointers: ids, edges and lifts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase
from robojam.window.input.fingers import MAX_FINGERS, MOUSE, STILL, FingerInput, ForceSensors


def test_new_finger_takes_the_lowest_free_id():
    fingers = FingerInput()
    assert fingers.down(MOUSE, 0.5, 0.5, 0.0)[0].id == 1000
    assert [fingers.down(n, 0.1, 0.1, 0.0)[0].id for n in range(3)] == [1001, 1002, 1003]
    fingers.up(1)
    assert fingers.down("new", 0.1, 0.1, 0.0)[0].id == 1002


def test_eleventh_finger_plays_nothing():
    fingers = FingerInput()
    for n in range(10):
        assert fingers.down(n, 0.1, 0.1, 0.0)
    assert fingers.down(10, 0.1, 0.1, STILL - 1) == []
    assert fingers.move(10, 0.2, 0.2, 0.0) == []
    assert len(fingers.lift_all()) == 10


def test_new_finger_takes_the_place_of_the_one_that_has_been_still_for_longest():
    fingers = FingerInput()
    for n in range(MAX_FINGERS):
        fingers.down(n, 0.1, 0.1, 0.0)
    fingers.move(0, 0.2, 0.2, 2.0)
    up, down = fingers.down("new", 0.5, 0.5, STILL)
    assert (up.phase, down.phase) == (Phase.UP, Phase.DOWN)
    assert up.id == down.id == 1002  # finger 0 has moved since
    assert len(fingers.held) == MAX_FINGERS
    assert fingers.up(1) == []


def test_mouse_that_lands_again_without_a_lift_is_lifted_first():
    fingers = FingerInput()
    fingers.down(MOUSE, 0.1, 0.1, 0.0)
    assert [touch.phase for touch in fingers.down(MOUSE, 0.9, 0.9, 0.1)] == ["up", "down"]


def test_pointer_outside_the_surface_follows_its_edge():
    fingers = FingerInput()
    fingers.down(MOUSE, 0.5, 0.5, 0.0)
    assert fingers.move(MOUSE, 1.7, -3, 0.0)[0][2:4] == (1.0, 0.0)
    assert fingers.move(MOUSE, 1.9, -4, 0.0) == []  # still there
    assert fingers.up(MOUSE)[0] == (Phase.UP, 1000, 1.0, 0.0, None)
    assert fingers.up(MOUSE) == []


@given(st.lists(st.tuples(st.sampled_from("dmu"), st.integers(0, 12), st.floats(-1, 2))))
def test_every_finger_that_lands_lifts_once(steps):
    fingers = FingerInput()
    down: set[int] = set()
    touches = []
    for t, (step, pointer, x) in enumerate(steps):
        touches += (fingers.down(pointer, x, x, t) if step == "d"
                 else fingers.move(pointer, x, x, t) if step == "m"
                 else fingers.up(pointer))  # fmt: skip
    for touch in [*touches, *fingers.lift_all()]:
        assert 0 <= touch.x <= 1
        if touch.phase is Phase.DOWN:
            assert touch.id not in down
            down.add(touch.id)
        else:
            assert touch.id in down
            if touch.phase is Phase.UP:
                down.remove(touch.id)
    assert not down


def test_screen_that_reports_one_force_for_every_touch_measures_none():
    sensors = ForceSensors()
    assert {sensors.pressure("plain", force) for force in (1.0, 1.0, 0.5, 0.0)} == {None}
    assert sensors.pressure("real", 0.3) == 0.3
    assert [sensors.pressure("real", force) for force in (1.0, 0.5, 0.0)] == [1.0, 0.5, 0.0]
    assert sensors.pressure("plain", 1.0) is None
    assert sensors.pressure("real", float("nan")) is None
    assert sensors.pressure("real", 7.0) == 1.0


def test_pressure_alone_is_no_move():
    fingers = FingerInput()
    assert fingers.down("finger", 0.5, 0.5, 0.0, 0.25)[0].pressure == 0.25
    assert fingers.move("finger", 0.5, 0.5, 0.1, 0.75) == []
    assert fingers.move("finger", 0.6, 0.5, 0.2, 0.75)[0].pressure == 0.75
    assert fingers.up("finger")[0].pressure is None
