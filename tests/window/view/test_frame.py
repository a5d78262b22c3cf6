"""Text of the frame for a state."""

from __future__ import annotations

import pytest
from support.window import report, report_status, shown_text

from robojam.controls import MODES
from robojam.window.client.state import EngineState, WindowState
from robojam.window.input.keys import US_KEY_NAMES
from robojam.window.view.frame import frame_text
from robojam.window.view.text_fit import place_labels


def test_frame_says_that_a_recording_plays_until_a_jam_goes_on():
    state = WindowState()
    report_status(state, 1.0, mode="call-response", turn="human", replaying=True)
    assert "a recording plays" in shown_text(state, 1.0)
    assert "answer now" not in shown_text(state, 1.0)
    assert frame_text(state, 1.0).hint == ()
    report_status(state, 2.0, mode="call-response", turn="human", replaying=False)
    assert "listening" in shown_text(state, 2.0)
    assert "answer now" in shown_text(state, 2.0)


def test_frame_names_the_engine_as_starting_connected_lost_and_connected_again():
    state = WindowState(engine_name="127.0.0.1:5005", opened_at=100.0)
    assert "starting the engine…" in shown_text(state, 101.0)
    assert "waiting for the engine at 127.0.0.1:5005" in shown_text(state, 120.0)
    report_status(state, 121.0, mode="duet", turn="human")
    assert state.engine_state(121.5) is EngineState.CONNECTED
    assert "listening" in shown_text(state, 121.5)
    assert state.engine_state(123.6) is EngineState.LOST
    assert "engine lost, waiting for it" in shown_text(state, 123.6)
    report(state, 124.0, "/robojam/turn", "s", "ai")
    assert state.engine_state(124.0) is EngineState.CONNECTED


def test_restart_of_the_engine_is_shown_with_the_new_recording_for_some_seconds():
    state = WindowState()
    report_status(state, 1.0, started="A", recording="sessions/2026-11-20T10-00-00.jsonl")
    assert "restarted" not in shown_text(state, 1.0)
    report_status(state, 2.0, started="A")
    assert "restarted" not in shown_text(state, 2.0)
    report_status(state, 5.0, started="B", recording="armed")
    shown = shown_text(state, 5.1)
    assert "the engine was restarted; a new recording begins with the next touch" in shown
    report_status(state, 5.5, started="B", recording="/x/2026-11-20T10-00-29.jsonl")
    shown = shown_text(state, 6.0)
    assert "the engine was restarted; recording to 2026-11-20T10-00-29.jsonl" in shown
    report_status(state, 19.0, started="B")
    assert "restarted" not in shown_text(state, 19.0)


def test_recording_time_counts_from_the_start_of_the_file():
    state = WindowState()
    half_a_minute_ago = "sessions/2026-11-20T10-00-00.jsonl"
    report_status(state, 100.0, recording=half_a_minute_ago)
    assert "0:31" in shown_text(state, 101.0)
    report_status(state, 101.0, recording="")
    report_status(state, 102.0, recording="armed")
    assert "ready to record" in shown_text(state, 102.0)
    report_status(state, 103.0, recording="/x/2026-11-20T10-00-31.jsonl")
    assert state.recording_since == 103.0
    assert "0:01" in shown_text(state, 104.4)


def test_controls_mode_and_pause_are_shown_as_reported():
    state = WindowState()
    report(state, 1.0, "/robojam/mode", "s", "solo")
    report(state, 1.0, "/robojam/temperature", "f", 0.7)
    report(state, 1.0, "/robojam/spread", "f", 1.25)
    report(state, 1.0, "/robojam/timescale", "f", 1.1)
    report(state, 1.0, "/robojam/turn", "s", "ai")
    report(state, 1.0, "/robojam/pause", "i", 1)
    shown = shown_text(state, 1.1)
    for text in ("solo", "0.70", "1.25", "×1.1", "machine", "paused"):
        assert text in shown


def test_late_touches_and_drops_are_shown_only_while_they_matter():
    state = WindowState()
    report_status(state, 1.0, dropped={"malformed": 3}, late_ms_p99=1.2, trouble=[])
    assert "ignored" not in shown_text(state, 1.0)
    assert "late" not in shown_text(state, 1.0)
    trouble = ["recording stopped: disk full"]
    dropped = {"malformed": 3, "type": 2}
    report_status(state, 2.0, dropped=dropped, late_ms_p99=12.4, trouble=trouble)
    shown = shown_text(state, 2.0)
    assert "2 messages ignored" in shown
    assert "plays 12 ms late" in shown
    assert "recording stopped: disk full" in shown
    report_status(state, 20.0, dropped=dropped, late_ms_p99=0.2)
    assert "ignored" not in shown_text(state, 20.0)


def test_memories_are_those_that_the_engine_reports():
    state = WindowState()
    report_status(state, 1.0, memories=["A"])
    assert "recall A" in shown_text(state, 1.0)
    report(state, 1.1, "/robojam/store", "s", "B")
    assert "recall B" in shown_text(state, 1.1)
    report(state, 1.2, "/robojam/back", "f", 10.0)
    assert "back to 10 s ago" in shown_text(state, 1.2)
    report_status(state, 2.0, memories=[])  # another recording has begun
    assert "recall" not in shown_text(state, 2.0)


def test_stored_memory_can_be_taken_back_and_the_window_says_how():
    state = WindowState()
    report_status(state, 1.0, memories=[])
    report(state, 1.1, "/robojam/store", "s", "A")
    assert "memory A stored; to undo that, press u" in shown_text(state, 1.2)
    report(state, 9.0, "/robojam/store", "s", "A")
    assert "memory A stored again; to undo that, press u" in shown_text(state, 9.1)
    assert "undo store A" in shown_text(state, 20.0)
    assert "undo store A" not in shown_text(state, 40.0)
    report(state, 41.0, "/robojam/undo_store", "s", "A")
    assert "memory A is as it was before" in shown_text(state, 41.1)


def test_keys_are_named_as_in_the_layout_of_the_keyboard():
    state = WindowState()
    state.view.key_names = {**US_KEY_NAMES, "undo_store": "г", "typing": "⇥"}
    report(state, 1.0, "/robojam/store", "s", "A")
    state.view.letters_play = True
    shown = shown_text(state, 1.1)
    assert "press г" in shown
    assert "⇥ ends" in shown


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 9000])
def test_names_from_the_engine_are_escaped_and_bounded(name):
    state = WindowState()
    report_status(
        state,
        1.0,
        mode=name,
        model=name,
        device=name,
        turn=name,
        started="A",
        recording=name,
        sessions=name,
        scale=name,
        instrument=name,
        range=name,
    )
    report_status(state, 2.0, started="B", recording=name)
    shown = shown_text(state, 2.0)
    assert shown.isprintable()
    assert len(shown) < 4000
    assert {*state.texts} <= {"mode", "model", "device"}
    assert state.turn == ""


def test_number_outside_its_range_is_not_shown():
    state = WindowState()
    report_status(
        state,
        1.0,
        temperature=1e300,
        threshold=-1,
        turn_left=1e300,
        late_ms_p99=1e300,
        dropped={"x": 1e300},
    )
    report(state, 1.0, "/robojam/spread", "f", 11.0)
    assert {*state.controls} == set()
    assert len(shown_text(state, 1.0)) < 1000


def test_engine_that_is_lost_is_said_where_the_frame_has_no_text():
    state = WindowState(last_message_at=1.0)
    assert not frame_text(state, 60.0).notices  # the frame says it
    state.view.theme = "stage"
    frame = frame_text(state, 60.0)
    assert frame.trouble
    assert [notice.text for notice in frame.notices] == ["the engine does not answer"]


@pytest.mark.parametrize(("width", "dials"), [(45, 1), (66, 3), (200, 8)])
def test_every_mode_is_shown_at_any_width_and_follow_before_most_other_dials(width, dials):
    state = WindowState()
    report(state, 1.0, "/robojam/mode", "s", "ensemble")
    names = ("temperature", "spread", "timescale", "threshold", "response", "follow")
    for name in (*names, "memory", "dwell"):
        report(state, 1.0, f"/robojam/{name}", "f", 0.5)
    modes, values = frame_text(state, 1.0).bottom
    placed = place_labels(
        (*modes, *values), left=0, right=width, gap=2,
        measure=lambda _, runs: sum(len(run.text) for run in runs),
    )  # fmt: skip
    shown = {label.action for label, *_ in placed}
    assert {f"mode:{mode}" for mode in MODES} <= shown
    assert len(shown) == len(MODES) + dials
    assert ("slide:follow" in shown) == (dials >= 3)
