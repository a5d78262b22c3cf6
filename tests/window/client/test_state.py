"""State of the window, on a clock that the test turns: no pixels, no sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.window import UTC_NOW, report, report_status, shown_text

from robojam.controls import CONTROLS
from robojam.touch import Phase
from robojam.window.client.state import (
    MAX_RECALLS,
    RECALL_SHOWN,
    RecalledStroke,
    WindowState,
)
from robojam.window.view.frame import frame_text
from robojam.wire.osc import Message


def test_own_touch_is_drawn_without_an_engine():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    state.add_own_touch(Phase.MOVE, 1000, 0.4, 0.3, 1.1)
    (stroke,) = state.strokes
    assert [(p.x, p.y) for p in stroke.points] == [(0.2, 0.3), (0.4, 0.3)]
    assert stroke.who == "human"
    assert stroke.lifted is None
    state.add_own_touch(Phase.UP, 1000, 0.4, 0.3, 1.2)
    assert stroke.lifted == 1.2


def test_pending_touch_goes_when_the_machine_plays_it():
    state = WindowState()
    report(state, 1.0, "/robojam/ai/next", "ifff", 0, 0.5, 0.6, 0.2)
    pending = state.pending_touches["ai"]
    assert (pending.announced_at, pending.due) == (1.0, pytest.approx(1.2))
    assert not state.machine_playing(1.0)
    report(state, 1.2, "/robojam/ai/down", "ifff", 0, 0.5, 0.6, 0.2)
    assert not state.pending_touches
    assert state.machine_playing(1.25)
    report(state, 1.3, "/robojam/ai/up", "i", 0)
    assert not state.machine_playing(2.5)


def test_pending_touch_goes_at_the_end_of_the_turn_or_when_overdue():
    state = WindowState()
    report(state, 1.0, "/robojam/turn", "s", "ai")
    report(state, 1.0, "/robojam/ai/next", "ifff", 0, 0.5, 0.6, 0.2)
    report(state, 1.1, "/robojam/turn", "s", "human")
    assert not state.pending_touches
    report(state, 1.2, "/robojam/ai2/next", "ifff", 0, 0.5, 0.6, 0.2)
    state.advance(1.5)
    assert state.pending_touches
    state.advance(1.9)
    assert not state.pending_touches


def test_finger_whose_up_was_lost_is_lifted_by_the_status():
    state = WindowState()
    report(state, 1.0, "/robojam/human2/down", "ifff", 3, 0.5, 0.5, 0.0)
    report_status(state, 1.5, fingers=0)
    assert state.strokes.visible[0].lifted is None  # its up may still arrive
    report_status(state, 2.5, fingers=0)
    assert state.strokes.visible[0].lifted == 2.5


def test_machine_finger_that_waits_for_its_next_move_stays_down():
    state = WindowState()
    report(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.0)
    for t in range(2, 9):
        report_status(state, t, fingers=0)
        state.advance(t)
    report(state, 9.0, "/robojam/ai/move", "ifff", 0, 0.6, 0.5, 8.0)
    (stroke,) = state.strokes
    assert stroke.lifted is None
    assert stroke.last.x == pytest.approx(0.6)


@pytest.mark.parametrize(
    "action", ["pause", "panic", "slide:volume", "step:volume:1", "sessions"]
)
def test_actions_that_a_replay_takes_are_not_refused(action):
    assert {"pause", "panic", "volume"} == {n for n, row in CONTROLS.items() if row.replay}
    assert not WindowState(replaying=True).refuses(action)


@pytest.mark.parametrize("action", ["answer", "mode:duet", "slide:spread", "step:response:1"])
def test_other_actions_are_refused_in_a_replay_alone(action):
    assert WindowState(replaying=True).refuses(action)
    assert not WindowState().refuses(action)


@pytest.mark.parametrize(
    ("role", "action", "refused"),
    [
        ("player", "mode:duet", "only play; start the engine with --control 10.0.0.9"),
        ("player", "slide:volume", "only play"),
        ("player", "setup", "only play"),
        ("player", "instrument:ai", "only play"),
        ("player", "instrument:", ""),
        ("player", "sessions", ""),
        ("watcher", "instrument:", "only watch; start the engine with --control 10.0.0.9"),
        ("host", "mode:duet", ""),
        (7, "mode:duet", ""),
    ],
)
def test_window_says_what_its_role_does_not_allow_and_what_to_type(role, action, refused):
    state = WindowState()
    report_status(state, 1.0, mode="call-response", role=role, address="10.0.0.9")
    assert refused in state.refuses(action)
    assert bool(state.refuses(action)) is bool(refused)
    report_status(state, 2.0, mode="call-response", role="host", address="10.0.0.9")
    assert not state.refuses(action)


def test_lost_engine_lifts_all_fingers_but_the_windows_own():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    report(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.6, 0.2)
    state.advance(4.0)
    assert [(s.who, s.lifted) for s in state.strokes] == [("human", None), ("ai", 4.0)]


def test_record_control_takes_effect_before_the_next_status():
    state = WindowState()
    report(state, 1.0, "/robojam/record", "i", 1)
    assert state.recording == "armed"
    report(state, 2.0, "/robojam/record", "i", 0)
    assert state.recording == ""


def test_panic_in_solo_mode_pauses_the_machine_until_it_may_go_on():
    state = WindowState()
    report(state, 1.0, "/robojam/mode", "s", "solo")
    report(state, 1.0, "/robojam/turn", "s", "ai")
    report(state, 1.1, "/robojam/panic")
    report_status(state, 1.2, mode="solo", turn="ai", paused=False)
    report(state, 1.3, "/robojam/human/down", "ifff", 0, 0.5, 0.5, 0.1)
    assert state.paused
    assert "silent until you press p or touch 'go on'" in shown_text(state, 1.3)
    assert "paused" in shown_text(state, 1.3)
    report(state, 2.0, "/robojam/pause", "i", 0)
    assert not state.paused
    assert "answering" in shown_text(state, 2.0)
    report(state, 3.0, "/robojam/panic")
    # another client ended the panic
    report(state, 3.1, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.1)
    assert not state.paused


def test_panic_in_other_modes_ends_with_the_next_touch():
    state = WindowState()
    report(state, 1.0, "/robojam/mode", "s", "call-response")
    report(state, 1.1, "/robojam/panic")
    assert not state.paused
    assert "silent until the next touch" in shown_text(state, 1.1)
    report(state, 1.2, "/robojam/mode", "s", "solo")  # the panic goes on there
    assert state.paused
    report(state, 1.3, "/robojam/mode", "s", "call-response")
    state.add_own_touch(Phase.DOWN, 1000, 0.5, 0.5, 1.4)
    report(state, 1.5, "/robojam/mode", "s", "solo")
    assert not state.paused


@pytest.mark.parametrize(
    ("tags", "args"),
    [("s", ("not json",)), ("s", ("[1]",)), ("s", ("null",)), ("", ()), ("i", (3,)),
     ("s", ('{"dropped": 3, "trouble": 7, "recording": null, "mode": 5, "turn": []}',)),
     ("s", ('{"late_ms_p99": 1' + "0" * 400 + ', "fingers": null}',))],
)  # fmt: skip
def test_invalid_status_changes_nothing(tags, args):
    state = WindowState(texts={"mode": "duet"})
    state.handle_message(Message("/robojam/status", tags, args), 1.0, UTC_NOW)
    assert state.mode == "duet"
    shown_text(state, 1.0)


def test_forecast_is_bounded_and_expires():
    state = WindowState()
    group = (0.5, 0.2, 0.3, 0.05, 0.06, 0.1)
    report(state, 1.0, "/robojam/forecast", "f" * 120, *(group * 20))
    assert len(state.current_forecast(1.1)) == 12
    assert state.current_forecast(1.1)[0].sd_y == pytest.approx(0.06)
    assert not state.current_forecast(9.0)
    report(state, 10.0, "/robojam/forecast", "f" * 5, *group[:5])
    assert not state.current_forecast(10.0)


def test_motif_that_comes_back_is_kept_for_a_while_and_bounded():
    state = WindowState()
    path = (0.25, 0.5, 0.75, 0.5)
    for _ in range(99):
        report(state, 1.0, "/robojam/motif", "ssf" + "f" * 4, "ai", "human2", 61.0, *path)
    assert len(state.recalled) == MAX_RECALLS
    assert state.recalled[0] == RecalledStroke("human2", ((0.25, 0.5), (0.75, 0.5)), 61.0, 1.0)
    assert state.is_animating(1.1)
    state.advance(1.0 + RECALL_SHOWN)
    assert not state.recalled
    for args in (
        ("ai",),
        ("ai", "human", 1.0),
        ("ai", "human", 1.0, *[0.5] * 400),
        (1, 2, "x"),
    ):
        state.handle_message(Message("/robojam/motif", "", args), 2.0, UTC_NOW)
    assert not state.recalled


ADDRESSES = ["/robojam/ai/down", "/robojam/ai2/move", "/robojam/human/up", "/robojam/ai/next",
             "/robojam/turn", "/robojam/forecast", "/robojam/mode", "/robojam/temperature",
             "/robojam/record", "/robojam/pause", "/robojam/panic", "/robojam/humanx/down",
             "/robojam", "/", "/robojam/ai/down/x", "/robojam/status",
             "/robojam/motif"]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ADDRESSES),
            st.lists(
                st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.booleans(),
                          st.none()),
                max_size=7,
            ),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_any_message_leaves_a_state_that_can_be_drawn(messages):
    state = WindowState()
    for t, (address, args) in enumerate(messages):
        tags = "s" if args and isinstance(args[0], str) else "f" * len(args)
        state.handle_message(Message(address, tags, tuple(args)), float(t), UTC_NOW)
        state.advance(float(t))
        frame_text(state, float(t))
    for stroke in state.strokes:
        assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in stroke.points)


def test_turn_counts_down_from_its_start_and_by_the_status():
    state = WindowState()
    report(state, 1.0, "/robojam/response", "f", 5.0)
    report(state, 1.0, "/robojam/turn", "s", "ai")
    assert state.turn_left(3.0) == pytest.approx((3.0, 5.0))
    report_status(state, 3.5, turn="ai", turn_left=1.5)
    assert state.turn_left(4.0) == pytest.approx((1.0, 5.0))
    assert "1 s left" in shown_text(state, 4.0)
    report(state, 4.5, "/robojam/turn", "s", "human")
    assert state.turn_left(4.5) is None
    report(state, 5.0, "/robojam/response", "f", 0.0)
    report(state, 5.0, "/robojam/turn", "s", "ai")
    assert state.turn_left(5.0) is None


def test_machine_finger_whose_up_was_lost_is_lifted_at_the_end_of_its_turn():
    state = WindowState()
    report(state, 1.0, "/robojam/turn", "s", "ai")
    report(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.0)
    report(state, 1.5, "/robojam/turn", "s", "human")
    assert state.strokes.visible[0].lifted == 1.5


def test_players_who_are_not_waited_for_are_named() -> None:
    state = WindowState()
    players = [{"name": f"human{n}", "out": n % 2 == 0} for n in range(2, 12)]
    report_status(state, 1.0, players=players)
    said = "human2, human4, human6, … never pauses: the others are answered meanwhile"
    assert state.problems == (said,)
    report_status(state, 2.0, players=[{"name": "human2", "out": False}, 7])
    assert state.problems == ()


def test_voices_that_rest_are_named() -> None:
    state = WindowState()
    report_status(state, 1.0, voices=64, resting=24)
    assert state.problems == ("24 of 64 voices rest: the machine has no time for them",)
    report_status(state, 2.0, voices=64, resting=0)
    assert state.problems == ()


def test_model_that_follows_no_call_is_said_once() -> None:
    state = WindowState()
    report_status(state, 1.0, plans=False, model="old.safetensors", follow=0.5)
    assert "follow and memory change nothing" in state.notice
    state.notify("", 2.0)
    report_status(state, 3.0, plans=False, model="old.safetensors", follow=0.5)
    assert state.notice == ""
    report_status(state, 4.0, plans=False, model="older.safetensors", follow=0.0, memory=0.0)
    assert state.notice == ""
    report_status(state, 5.0, plans=False, model="older.safetensors", follow=-1.0)
    assert "follow and memory change nothing" in state.notice
