"""What the window knows, on a clock that the test turns: no pixels, no sockets."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.controls import CONTROLS
from robojam.touch import Phase
from robojam.window.client.state import EngineState, WindowState
from robojam.window.client.strokes import FADE, MAX_POINTS, Strokes, brightness
from robojam.window.view.frame import frame_text
from robojam.wire.osc import Message, decode, encode

UTC_NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)


def tell(state: WindowState, t: float, address: str, tags: str = "", *args: object) -> None:
    """The engine tells something, over its own bytes."""
    (message,) = decode(encode(address, tags, *args))[0]
    state.handle_message(message, t, UTC_NOW)


def status(state: WindowState, t: float, **fields: object) -> None:
    state.handle_message(Message("/robojam/status", "s", (json.dumps(fields),)), t, UTC_NOW)


def said(state: WindowState, t: float) -> str:
    frame = frame_text(state, t)
    runs = [
        run.text for row in (*frame.top, *frame.bottom) for label in row for run in label.runs
    ]
    return " | ".join([*runs, *(notice.text for notice in frame.notices)])


# Touches


def test_own_touch_shows_at_once_without_an_engine():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    state.add_own_touch(Phase.MOVE, 1000, 0.4, 0.3, 1.1)
    (stroke,) = state.strokes
    assert [(p.x, p.y) for p in stroke.points] == [(0.2, 0.3), (0.4, 0.3)]
    assert stroke.who == "human"
    assert stroke.lifted is None
    state.add_own_touch(Phase.UP, 1000, 0.4, 0.3, 1.2)
    assert stroke.lifted == 1.2


def test_echo_of_own_touch_is_not_drawn_twice_and_tells_who_we_are():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    tell(state, 1.01, "/robojam/human2/down", "ifff", 1000, 0.2, 0.3, 0.0)
    state.add_own_touch(Phase.MOVE, 1000, 0.4, 0.3, 1.02)
    # an engine that had forgotten the finger tells its move as a down
    tell(state, 1.03, "/robojam/human2/down", "ifff", 1000, 0.4, 0.3, 0.0)
    tell(state, 1.04, "/robojam/human2/up", "i", 1000)
    (stroke,) = state.strokes
    assert len(stroke.points) == 2
    assert stroke.lifted is None  # our hand says when it lifts
    assert state.echo_filter.who == "human2"
    assert not state.echo_filter.pending


def test_another_window_with_the_same_ids_is_drawn():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    tell(state, 1.01, "/robojam/human/down", "ifff", 1000, 0.2, 0.3, 0.0)
    tell(state, 1.02, "/robojam/human2/down", "ifff", 1000, 0.7, 0.7, 0.0)
    tell(state, 1.03, "/robojam/human2/move", "ifff", 1000, 0.8, 0.7, 0.0)
    assert [(s.who, s.own) for s in state.strokes] == [("human", True), ("human2", False)]
    tell(state, 1.04, "/robojam/human2/up", "i", 1000)
    assert [s.lifted for s in state.strokes] == [None, 1.04]


def test_a_late_echo_is_somebody_else():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    tell(state, 9.0, "/robojam/human/down", "ifff", 1000, 0.2, 0.3, 0.0)
    assert len(list(state.strokes)) == 2


def test_machine_touch_ghost_and_playing():
    state = WindowState()
    tell(state, 1.0, "/robojam/ai/next", "ifff", 0, 0.5, 0.6, 0.2)
    pending = state.pending_touches["ai"]
    assert (pending.announced_at, pending.due) == (1.0, pytest.approx(1.2))
    assert not state.machine_playing(1.0)
    tell(state, 1.2, "/robojam/ai/down", "ifff", 0, 0.5, 0.6, 0.2)
    assert not state.pending_touches
    assert state.machine_playing(1.25)
    tell(state, 1.3, "/robojam/ai/up", "i", 0)
    assert not state.machine_playing(2.5)


def test_ghost_goes_when_the_turn_does_or_when_overdue():
    state = WindowState()
    tell(state, 1.0, "/robojam/turn", "s", "ai")
    tell(state, 1.0, "/robojam/ai/next", "ifff", 0, 0.5, 0.6, 0.2)
    tell(state, 1.1, "/robojam/turn", "s", "human")
    assert not state.pending_touches
    tell(state, 1.2, "/robojam/ai2/next", "ifff", 0, 0.5, 0.6, 0.2)
    state.advance(1.5)
    assert state.pending_touches
    state.advance(1.9)
    assert not state.pending_touches


def test_everything_fades_and_then_rests():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 0.0)
    state.add_own_touch(Phase.UP, 1000, 0.2, 0.3, 0.1)
    assert state.is_animating(1.0)
    state.advance(FADE + 0.2)
    assert not list(state.strokes)
    assert not state.is_animating(FADE + 0.2)


def test_a_held_finger_stays_and_comes_to_rest():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 0.0)
    state.advance(60.0)
    (stroke,) = state.strokes
    assert stroke.head_brightness(60.0) == 1.0
    assert not state.is_animating(60.0)


def test_brightness_falls_smoothly_from_one_to_nothing():
    values = [brightness(FADE * i / 100) for i in range(101)]
    assert values[0] == 1
    assert values[-1] == 0
    steps = [a - b for a, b in itertools.pairwise(values)]
    assert all(0 <= step < 0.05 for step in steps)


def test_a_flood_is_bounded():
    strokes = Strokes()
    for i in range(3 * MAX_POINTS):
        strokes.move("human", i % 7, i % 100 / 100, 0.5, i * 1e-4, own=False)
        if i % 5 == 0:
            strokes.down("human3", i, 0.5, 0.5, i * 1e-4, own=False)
    strokes.fade(0.9)
    assert strokes.count <= MAX_POINTS + 10


def test_speed_follows_the_slide():
    strokes = Strokes()
    for i in range(20):
        strokes.move("human", 1, i * 0.01, 0.5, i * 0.01, own=True)
    assert strokes.visible[0].last.speed == pytest.approx(1.0, rel=0.05)


def test_a_finger_whose_up_was_lost_is_lifted_by_the_status():
    state = WindowState()
    tell(state, 1.0, "/robojam/human2/down", "ifff", 3, 0.5, 0.5, 0.0)
    status(state, 1.5, fingers=0)
    assert state.strokes.visible[0].lifted is None  # it may be on its way
    status(state, 2.5, fingers=0)
    assert state.strokes.visible[0].lifted == 2.5


def test_a_machine_finger_that_waits_for_its_next_move_stays_down():
    state = WindowState()
    tell(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.0)
    for t in range(2, 9):
        status(state, t, fingers=0)
        state.advance(t)
    tell(state, 9.0, "/robojam/ai/move", "ifff", 0, 0.6, 0.5, 8.0)
    (stroke,) = state.strokes
    assert stroke.lifted is None
    assert stroke.last.x == pytest.approx(0.6)


# Engine


@pytest.mark.parametrize(
    "action", ["pause", "panic", "slide:volume", "step:volume:1", "sessions"]
)
def test_what_a_replay_takes_is_not_refused(action):
    assert {"pause", "panic", "volume"} == {n for n, row in CONTROLS.items() if row.replay}
    assert not WindowState(replaying=True).refuses(action)


@pytest.mark.parametrize("action", ["answer", "mode:duet", "slide:spread", "step:response:1"])
def test_what_it_does_not_take_is_refused_there_alone(action):
    assert WindowState(replaying=True).refuses(action)
    assert not WindowState().refuses(action)


def test_a_recording_that_plays_is_told_until_there_is_a_jam_again():
    state = WindowState()
    status(state, 1.0, mode="call-response", turn="human", replaying=True)
    assert "a recording plays" in said(state, 1.0)
    assert "pass the turn" not in said(state, 1.0)
    assert frame_text(state, 1.0).hint == ()
    status(state, 2.0, mode="call-response", turn="human", replaying=False)
    assert "listening" in said(state, 2.0)
    assert "pass the turn" in said(state, 2.0)


def test_liveness_from_starting_to_lost_and_back():
    state = WindowState(engine_name="127.0.0.1:5005", opened_at=100.0)
    assert "starting the engine…" in said(state, 101.0)
    assert "waiting for the engine at 127.0.0.1:5005" in said(state, 120.0)
    status(state, 121.0, mode="duet", turn="human")
    assert state.engine_state(121.5) is EngineState.CONNECTED
    assert "listening" in said(state, 121.5)
    assert state.engine_state(123.6) is EngineState.LOST
    assert "engine lost, waiting for it" in said(state, 123.6)
    tell(state, 124.0, "/robojam/turn", "s", "ai")
    assert state.engine_state(124.0) is EngineState.CONNECTED


def test_a_lost_engine_holds_no_fingers_but_ours():
    state = WindowState()
    state.add_own_touch(Phase.DOWN, 1000, 0.2, 0.3, 1.0)
    tell(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.6, 0.2)
    state.advance(4.0)
    assert [(s.who, s.lifted) for s in state.strokes] == [("human", None), ("ai", 4.0)]


def test_restart_is_told_with_the_new_file_for_some_seconds():
    state = WindowState()
    status(state, 1.0, started="A", recording="sessions/2026-11-20T10-00-00.jsonl")
    assert "restarted" not in said(state, 1.0)
    status(state, 2.0, started="A")
    assert "restarted" not in said(state, 2.0)
    status(state, 5.0, started="B", recording="armed")
    assert "the engine was restarted; a new recording begins with the next touch" in said(
        state, 5.1
    )
    status(state, 5.5, started="B", recording="/x/2026-11-20T10-00-29.jsonl")
    assert "the engine was restarted; recording to 2026-11-20T10-00-29.jsonl" in said(state, 6)
    status(state, 19.0, started="B")
    assert "restarted" not in said(state, 19.0)


def test_recording_light_counts_from_the_beginning():
    state = WindowState()
    status(state, 100.0, recording="sessions/2026-11-20T10-00-00.jsonl")  # began 30 s ago
    assert "0:31" in said(state, 101.0)
    status(state, 101.0, recording="")
    status(state, 102.0, recording="armed")
    assert "ready to record" in said(state, 102.0)
    status(state, 103.0, recording="/x/2026-11-20T10-00-31.jsonl")
    assert state.recording_since == 103.0
    assert "0:01" in said(state, 104.4)


def test_record_control_shows_before_the_next_status():
    state = WindowState()
    tell(state, 1.0, "/robojam/record", "i", 1)
    assert state.recording == "armed"
    tell(state, 2.0, "/robojam/record", "i", 0)
    assert state.recording == ""


def test_controls_mode_and_pause_are_shown_as_told():
    state = WindowState()
    tell(state, 1.0, "/robojam/mode", "s", "solo")
    tell(state, 1.0, "/robojam/temperature", "f", 0.7)
    tell(state, 1.0, "/robojam/spread", "f", 1.25)
    tell(state, 1.0, "/robojam/timescale", "f", 1.1)
    tell(state, 1.0, "/robojam/turn", "s", "ai")
    tell(state, 1.0, "/robojam/pause", "i", 1)
    shown = said(state, 1.1)
    for words_ in ("solo", "0.70", "1.25", "×1.1", "machine", "paused"):
        assert words_ in shown


def test_a_panic_in_solo_holds_the_machine_until_it_may_go_on():
    state = WindowState()
    tell(state, 1.0, "/robojam/mode", "s", "solo")
    tell(state, 1.0, "/robojam/turn", "s", "ai")
    tell(state, 1.1, "/robojam/panic")
    status(state, 1.2, mode="solo", turn="ai", paused=False)
    tell(state, 1.3, "/robojam/human/down", "ifff", 0, 0.5, 0.5, 0.1)
    assert state.paused
    assert "silent until p is pressed" in said(state, 1.3)
    assert "paused" in said(state, 1.3)
    tell(state, 2.0, "/robojam/pause", "i", 0)
    assert not state.paused
    assert "answering" in said(state, 2.0)
    tell(state, 3.0, "/robojam/panic")
    tell(state, 3.1, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.1)  # another let it go on
    assert not state.paused


def test_a_panic_elsewhere_holds_until_the_next_touch():
    state = WindowState()
    tell(state, 1.0, "/robojam/mode", "s", "call-response")
    tell(state, 1.1, "/robojam/panic")
    assert not state.paused
    assert "silence until the next touch" in said(state, 1.1)
    tell(state, 1.2, "/robojam/mode", "s", "solo")  # and is silent there too
    assert state.paused
    tell(state, 1.3, "/robojam/mode", "s", "call-response")
    state.add_own_touch(Phase.DOWN, 1000, 0.5, 0.5, 1.4)
    tell(state, 1.5, "/robojam/mode", "s", "solo")
    assert not state.paused


def test_trouble_and_drops_are_shown_only_when_they_matter():
    state = WindowState()
    status(state, 1.0, dropped={"malformed": 3}, late_ms_p99=1.2, trouble=[])
    assert "dropped" not in said(state, 1.0)
    assert "late" not in said(state, 1.0)
    status(state, 2.0, dropped={"malformed": 3, "type": 2}, late_ms_p99=12.4,
           trouble=["recording stopped: disk full"])  # fmt: skip
    shown = said(state, 2.0)
    assert "2 dropped" in shown
    assert "12 ms late" in shown
    assert "recording stopped: disk full" in shown
    status(state, 20.0, dropped={"malformed": 3, "type": 2}, late_ms_p99=0.2)
    assert "dropped" not in said(state, 20.0)


@pytest.mark.parametrize(
    ("tags", "args"),
    [("s", ("not json",)), ("s", ("[1]",)), ("s", ("null",)), ("", ()), ("i", (3,)),
     ("s", ('{"dropped": 3, "trouble": 7, "recording": null, "mode": 5, "turn": []}',)),
     ("s", ('{"late_ms_p99": 1' + "0" * 400 + ', "fingers": null}',))],
)  # fmt: skip
def test_a_status_that_makes_no_sense_hurts_nobody(tags, args):
    state = WindowState(texts={"mode": "duet"})
    state.handle_message(Message("/robojam/status", tags, args), 1.0, UTC_NOW)
    assert state.mode == "duet"
    said(state, 1.0)


def test_forecast_holds_for_a_while_and_is_bounded():
    state = WindowState()
    group = (0.5, 0.2, 0.3, 0.05, 0.06, 0.1)
    tell(state, 1.0, "/robojam/forecast", "f" * 120, *(group * 20))
    assert len(state.current_forecast(1.1)) == 12
    assert state.current_forecast(1.1)[0].sd_y == pytest.approx(0.06)
    assert not state.current_forecast(9.0)
    tell(state, 10.0, "/robojam/forecast", "f" * 5, *group[:5])
    assert not state.current_forecast(10.0)


ADDRESSES = ["/robojam/ai/down", "/robojam/ai2/move", "/robojam/human/up", "/robojam/ai/next",
             "/robojam/turn", "/robojam/forecast", "/robojam/mode", "/robojam/temperature",
             "/robojam/record", "/robojam/pause", "/robojam/panic", "/robojam/humanx/down",
             "/robojam", "/", "/robojam/ai/down/x", "/robojam/status"]  # fmt: skip


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
def test_no_message_can_hurt(messages):
    state = WindowState()
    for t, (address, args) in enumerate(messages):
        tags = "s" if args and isinstance(args[0], str) else "f" * len(args)
        state.handle_message(Message(address, tags, tuple(args)), float(t), UTC_NOW)
        state.advance(float(t))
        frame_text(state, float(t))
    for stroke in state.strokes:
        assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in stroke.points)


# Connections, memories, the turn


def lights(state: WindowState, t: float) -> dict[str, str]:
    labels = (label for row in frame_text(state, t).top for label in row)
    return {
        label.runs[0].text: label.icon.value for label in labels if "li" in label.icon.value
    }


def test_a_light_for_each_connection_that_is_there():
    state = WindowState()
    status(state, 1.0)
    assert lights(state, 1.0) == {"osc": "light"}
    port = {"wanted": "Keys", "connected": True, "messages": 3, "idle_s": 1.0}
    status(state, 2.0, midi={"in": [port], "out": [], "trouble": None},
           sound={"state": "playing", "unsent": 0, "rate": 48000})  # fmt: skip
    assert lights(state, 2.0) == {"osc": "light", "midi": "light", "sound": "light"}
    status(
        state,
        3.0,
        midi={"in": [{**port, "idle_s": 2.0}], "out": []},
        sound={"state": "starting"},
    )
    assert lights(state, 3.0)["midi"] == "light"  # nothing came
    status(state, 4.0, midi={"in": [{**port, "messages": 4}], "out": []})
    assert lights(state, 4.0) == {"osc": "light", "midi": "lit"}
    status(state, 5.0, midi={"in": [], "out": [], "trouble": None})
    assert lights(state, 5.0) == {"osc": "light"}


def test_sound_that_fails_is_told_for_a_while_and_stays_marked():
    state = WindowState()
    for t in (1.0, 2.0, 20.0):
        status(state, t, sound={"state": "no sound: no device; the jam goes on without"})
        assert ("no sound: no device" in said(state, t)) is (t < 9)
    assert "sound" in lights(state, 20.0)


def test_memories_are_those_the_engine_has():
    state = WindowState()
    status(state, 1.0, memories=["A"])
    assert "recall A" in said(state, 1.0)
    tell(state, 1.1, "/robojam/store", "s", "B")
    assert "recall B" in said(state, 1.1)
    tell(state, 1.2, "/robojam/back", "f", 10.0)
    assert "as it was 10 seconds ago" in said(state, 1.2)
    status(state, 2.0, memories=[])  # another recording has begun
    assert "recall" not in said(state, 2.0)


def test_the_turn_counts_down_at_once_and_by_the_status():
    state = WindowState()
    tell(state, 1.0, "/robojam/response", "f", 5.0)
    tell(state, 1.0, "/robojam/turn", "s", "ai")
    assert state.turn_left(3.0) == pytest.approx((3.0, 5.0))
    status(state, 3.5, turn="ai", turn_left=1.5)
    assert state.turn_left(4.0) == pytest.approx((1.0, 5.0))
    assert "1 s left" in said(state, 4.0)
    tell(state, 4.5, "/robojam/turn", "s", "human")
    assert state.turn_left(4.5) is None
    tell(state, 5.0, "/robojam/response", "f", 0.0)
    tell(state, 5.0, "/robojam/turn", "s", "ai")
    assert state.turn_left(5.0) is None


def test_a_machine_finger_whose_up_was_lost_is_lifted_when_its_turn_ends():
    state = WindowState()
    tell(state, 1.0, "/robojam/turn", "s", "ai")
    tell(state, 1.0, "/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.0)
    tell(state, 1.5, "/robojam/turn", "s", "human")
    assert state.strokes.visible[0].lifted == 1.5
