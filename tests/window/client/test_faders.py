"""Knobs and pressures as the window keeps them."""

import json
import math

import pytest
from support.window import UTC_NOW

from robojam.touch import Phase
from robojam.window.client.faders import MAX_PLAYERS, MAX_POINTS, Faders
from robojam.window.client.state import WindowState
from robojam.window.client.strokes import FADE
from robojam.wire.osc import Message


def faders(count: int = 3) -> Faders:
    made = Faders()
    made.use(count)
    return made


def test_knobs_begin_in_the_middle_and_nobody_has_moved_them():
    made = faders()
    assert made.values == [0.5] * 3
    assert made.movers == [""] * 3
    assert not made.is_animating()


def test_movement_says_who_and_leaves_a_trail_at_that_knob_alone():
    made = faders()
    assert made.hear("human", [0.5, 0.75, 0.5], 1.0)
    assert made.hear("ai", [0.5, 0.75, 0.25], 2.0)
    assert made.values == [0.5, 0.75, 0.25]
    assert made.movers == ["", "human", "ai"]
    assert [[(p.t, p.value) for p in trail] for trail in made.trails["human"]] == [
        [], [(1.0, 0.5), (1.0, 0.75)], [],
    ]  # fmt: skip
    assert [p.value for p in made.trails["ai"][2]] == [0.5, 0.25]
    assert made.is_animating()


def test_trail_fades_and_the_value_stays():
    made = faders()
    made.hear("human", [0.5, 0.75, 0.5], 1.0)
    made.fade(1.0 + FADE)
    assert made.is_animating()
    made.fade(1.01 + FADE)
    assert not made.is_animating()
    assert made.values[1] == 0.75
    assert made.movers[1] == "human"


@pytest.mark.parametrize("values", [[], [0.5] * 2, [0.5] * 4])
def test_another_number_of_values_changes_nothing(values):
    made = faders()
    assert not made.hear("human", values, 1.0)
    assert not made.is_animating()


def test_all_is_bounded():
    made = faders(1)
    for i in range(3 * MAX_POINTS):
        made.hear("human", [i % 2], i * 1e-4)
    for i in range(2 * MAX_PLAYERS):
        made.hear(f"human{i + 2}", [0.25 + i % 2 / 2], 1.0)
    assert len(made.trails["human"][0]) == MAX_POINTS
    assert len(made.trails) == MAX_PLAYERS


@pytest.mark.parametrize("count", [None, "3", 0, -1, 17, 2.5, [3], True])
def test_what_is_no_number_of_knobs_is_a_surface(count):
    made = Faders()
    made.use(count)
    assert made.count == 0


def test_own_finger_holds_the_knob_on_which_it_landed():
    made = faders(4)
    assert made.touch(Phase.DOWN, 1000, 0.3, 0.25) == (1, 0.75)
    assert made.touch(Phase.MOVE, 1000, 0.9, 0.5) == (1, 0.5)
    assert made.touch(Phase.MOVE, 1000, 0.0, 0.5) is None  # it is there already
    assert made.own == {1: 0.5}
    assert made.touch(Phase.UP, 1000, 0.9, 0.5) is None
    assert made.own == {}
    assert made.touch(Phase.DOWN, 1000, 1.0, 0.0) == (3, 1.0)


def state(knobs: object = 3) -> WindowState:
    made = WindowState()
    send(made, "/robojam/status", json.dumps({"knobs": knobs}))
    return made


def send(to: WindowState, address: str, *args: object, now: float = 1.0) -> None:
    tags = "".join("s" if isinstance(a, str) else "f" for a in args)
    to.handle_message(Message(address, tags, args), now, UTC_NOW)


def test_window_hears_what_the_engine_says_of_knobs():
    shown = state()
    send(shown, "/robojam/human/knobs", 0.0, 0.5, 0.5, 0.75)
    send(shown, "/robojam/ai2/knobs", 0.02, 0.25, 0.5, 0.75)
    assert shown.faders.values == [0.25, 0.5, 0.75]
    assert shown.faders.movers == ["ai2", "", "human"]
    assert shown.has_played
    assert shown.machine_playing(1.1)
    assert shown.is_animating(1.1)


@pytest.mark.parametrize(
    "args", [(), (0.02,), (0.02, 0.5), (0.02, 0.5, math.nan, 0.5), (0.02, 0.5, "a", 0.5)]
)
def test_window_ignores_what_are_no_knobs(args):
    shown = state()
    send(shown, "/robojam/human/knobs", *args)
    assert not shown.has_played
    assert shown.faders.values == [0.5] * 3


def test_another_engine_with_a_surface_ends_the_faders():
    shown = state()
    send(shown, "/robojam/human/knobs", 0.0, 0.5, 0.5, 0.75)
    send(shown, "/robojam/status", json.dumps({"voices": 1}))
    assert shown.faders.count == 0
    assert not shown.faders.is_animating()


def test_pressure_is_of_the_touch_that_comes_next():
    shown = WindowState()
    for message in (
        ("/robojam/human/pressure", 3.0, 0.75),
        ("/robojam/human/down", 3.0, 0.5, 0.25, 0.0),
        ("/robojam/human/move", 3.0, 0.5, 0.5, 0.01),
        ("/robojam/human/pressure", 3.0, 7.0),
        ("/robojam/human/pressure", 4.0, math.nan),
        ("/robojam/human/move", 3.0, 0.5, 0.75, 0.01),
    ):
        send(shown, *message)
    (stroke,) = shown.strokes.visible
    assert [point.pressure for point in stroke.points] == [0.75, 0.0, 1.0]
    for finger in range(1000):
        send(shown, "/robojam/human/pressure", float(finger), 0.5)
    assert len(shown._pressures) == 256
