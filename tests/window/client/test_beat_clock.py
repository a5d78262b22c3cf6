"""The beat as a window knows it, on a clock that the test turns."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.window import report

from robojam.window.client.beat_clock import BeatClock
from robojam.window.client.state import GLOW, NEEDS_CLOCK, WindowState


def test_beat_is_known_between_messages():
    clock = BeatClock()
    assert clock.at(1.0) is None
    clock.hear(9.0, 120.0, 4, 10.0)
    shown = clock.at(10.25)
    assert (shown.bar, shown.beat, shown.beats_per_bar) == (3, 1, 4)
    assert shown.part == pytest.approx(0.5, abs=0.01)
    assert shown.tempo == 120.0
    assert clock.at(10.5).beat == 2
    assert clock.at(11.0).beat == 3
    assert (clock.at(11.0).bar, clock.at(10.0).beat) == (3, 1)


def test_beat_is_not_known_long_after_the_last_message():
    clock = BeatClock()
    clock.hear(9.0, 120.0, 4, 10.0)
    assert clock.at(11.2) is not None
    assert clock.at(11.3) is None
    clock.hear(3.0, 20.0, 4, 20.0)  # a slow beat: the next message comes after 3 s
    assert clock.at(24.0) is not None


def test_beat_before_beat_0_is_in_a_bar_too():
    clock = BeatClock()
    clock.hear(-1.0, 60.0, 4, 10.0)
    assert (clock.at(10.0).bar, clock.at(10.0).beat) == (0, 3)
    assert (clock.at(11.0).bar, clock.at(11.0).beat) == (1, 0)


def test_jitter_of_messages_moves_the_beat_a_part_of_the_way():
    clock = BeatClock()
    for i in range(200):
        late = 0.02 if i % 2 else 0.0
        clock.hear(float(i), 120.0, 4, 10.0 + i / 2 + late)
    errors = [clock.beats.beat_at(10.0 + i / 2) - i for i in (198, 199, 200)]
    assert max(errors) - min(errors) < 0.005
    assert -0.04 < errors[0] < 0.0


def test_clock_that_jumps_is_followed_at_once():
    clock = BeatClock()
    clock.hear(1.0, 120.0, 4, 10.0)
    clock.hear(50.0, 120.0, 4, 10.5)
    assert clock.beats.beat_at(10.5) == 50.0
    clock.hear(51.0, 90.0, 4, 11.0)
    assert clock.beats.tempo == 90.0


def test_beats_left_to_the_machine_s_turn_are_counted():
    clock = BeatClock()
    clock.count_in(3.0, 9.0)  # without a beat nothing is counted
    clock.hear(9.0, 60.0, 4, 10.0)
    assert clock.at(10.0).left == 0
    clock.count_in(2.5, 10.5)
    assert [clock.at(t).left for t in (10.5, 10.9, 11.1, 12.4)] == [3, 3, 2, 1]
    clock.hear(12.0, 60.0, 4, 13.0)
    assert clock.at(13.1).left == 0
    clock.count_in(3.0, 13.1)
    assert clock.at(13.1).left == 3
    clock.count_in(0.0, 13.2)
    assert clock.at(13.2).left == 0


@given(st.floats(), st.floats(), st.floats(), st.floats(allow_infinity=False))
def test_any_numbers_leave_the_clock_with_a_beat_or_without(beat, tempo, per_bar, left):
    clock = BeatClock()
    clock.hear(beat, tempo, per_bar if math.isfinite(per_bar) else 0.0, 5.0)
    clock.count_in(left if math.isfinite(left) else 0.0, 5.0)
    shown = clock.at(5.1)
    if shown is not None:
        assert 0 <= shown.beat < shown.beats_per_bar
        assert 0 <= shown.part <= 1
        assert shown.left >= 0


def with_status(state: WindowState, now: float, **status: object) -> None:
    report(state, now, "/robojam/status", "s", json.dumps(status))


def test_messages_of_the_engine_set_the_beat_and_the_count():
    state = WindowState()
    with_status(state, 10.0, clock={"source": "link", "peers": 2})
    assert state.has_clock
    assert state.clock_peers == 2
    report(state, 10.0, "/robojam/beat", "ffi", 8.0, 60.0, 4)
    report(state, 10.0, "/robojam/count_in", "f", 4.0)
    assert state.beat_clock.at(10.1).left == 4
    assert state.is_animating(10.1)
    assert not state.is_animating(10.0 + GLOW + 0.1)  # until the next beat
    report(state, 10.5, "/robojam/clock", "s", "off")
    assert state.beat_clock.at(10.5) is None


@pytest.mark.parametrize(
    ("tags", "args"),
    [("ff", (1.0, 120.0)), ("ffi", (1.0, 0.0, 4)), ("ffi", (1.0, 120.0, 0)),
     ("fff", (math.nan, 120.0, 4.0)), ("ssi", ("1", "120", 4)), ("", ())],
)  # fmt: skip
def test_message_that_is_no_beat_changes_nothing(tags, args):
    state = WindowState()
    report(state, 10.0, "/robojam/beat", tags, *args)
    assert state.beat_clock.at(10.0) is None


def test_length_of_a_turn_in_bars_follows_the_tempo():
    state = WindowState()
    with_status(state, 10.0, clock={"source": "internal"}, bars=2, response=5.0, mode="solo")
    report(state, 10.0, "/robojam/mode", "s", "call-response")
    report(state, 10.0, "/robojam/beat", "ffi", 8.0, 120.0, 4)
    report(state, 10.0, "/robojam/turn", "s", "ai")
    assert state.turn_left(10.0) == (4.0, 4.0)


def test_lines_that_are_asked_for_without_a_clock_are_named():
    for asked in ({"quantum": "bar"}, {"grid": "1/8", "lean": 0.5}, {"bars": 2}):
        state = WindowState()
        with_status(state, 10.0, clock={"source": "off"}, **asked)
        assert NEEDS_CLOCK in state.problems
        with_status(state, 11.0, clock={"source": "internal"}, **asked)
        assert NEEDS_CLOCK not in state.problems
    with_status(state, 12.0, clock={"source": "midi:X", "problem": "the port is missing"})
    assert "clock: the port is missing" in state.problems
