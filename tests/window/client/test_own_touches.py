"""The window's own touches, reported by the engine."""

from __future__ import annotations

from support.window import report

from robojam.touch import Phase
from robojam.window.client.state import WindowState


def test_echo_of_own_touch_is_not_drawn_and_gives_the_player_name():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    report(state, 1.01, "/robojam/human2/down", "ifff", 1000, 0.2, 0.3, 0.0)
    state.add_own_touch(Phase.MOVE, 1000, 0.4, 0.3, 1.02)
    # an engine that did not know the finger reports its move as a down
    report(state, 1.03, "/robojam/human2/down", "ifff", 1000, 0.4, 0.3, 0.0)
    report(state, 1.04, "/robojam/human2/up", "i", 1000)
    (stroke,) = state.strokes
    assert len(stroke.points) == 2
    assert stroke.lifted is None  # only the window's own event lifts it
    assert state.own_touches.who == "human2"
    assert not state.own_touches.pending


def test_touches_of_another_window_with_the_same_ids_are_drawn():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    report(state, 1.01, "/robojam/human/down", "ifff", 1000, 0.2, 0.3, 0.0)
    report(state, 1.02, "/robojam/human2/down", "ifff", 1000, 0.7, 0.7, 0.0)
    report(state, 1.03, "/robojam/human2/move", "ifff", 1000, 0.8, 0.7, 0.0)
    assert [(s.who, s.own) for s in state.strokes] == [("human", True), ("human2", False)]
    report(state, 1.04, "/robojam/human2/up", "i", 1000)
    assert [s.lifted for s in state.strokes] == [None, 1.04]


def test_echo_after_two_seconds_is_drawn_as_another_player():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    report(state, 9.0, "/robojam/human/down", "ifff", 1000, 0.2, 0.3, 0.0)
    assert len(list(state.strokes)) == 2
