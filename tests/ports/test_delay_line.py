"""Delay lines: what the machine plays meets in all outputs, and silence comes at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.jam.events import BeatCame, ControlChanged, TouchPlayed, TurnChanged
from robojam.ports.delay_line import DelayLine
from robojam.touch import Phase, Touch

LAG = 0.04


def played(t: float, who: str = "ai", phase: Phase = Phase.DOWN) -> TouchPlayed:
    return TouchPlayed(t, Touch(0.5, 0.5, 0.1, phase, 0, who), 0.1)


class Line(DelayLine):
    """Delay line that keeps what it has handed on."""

    def __init__(self, lag: float = LAG, *, everyone: bool = False) -> None:
        self.got: list[tuple[object, float]] = []
        super().__init__(lambda event, at: self.got.append((event, at)), lag, everyone=everyone)

    @property
    def events(self) -> list[object]:
        return [event for event, _ in self.got]


def test_machine_waits_and_human_does_not():
    line = Line()
    line.handle(played(1.0), 1.0)
    line.handle(played(1.01, "human"), 1.01)
    assert line.got == [(played(1.01, "human"), 1.01)]
    assert line.advance(1.0 + LAG / 2) == pytest.approx(LAG / 2)
    assert line.advance(1.0 + LAG) == float("inf")
    assert line.got[1:] == [(played(1.0), 1.0 + LAG)]


def test_everyone_waits_in_a_replay():
    line = Line(everyone=True)
    line.handle(played(1.0, "human"), 1.0)
    assert not line.got
    line.advance(2.0)
    assert line.events == [played(1.0, "human")]


def test_without_a_lag_nothing_waits():
    line = Line(0.0)
    line.handle(played(1.0), 1.0)
    assert line.got == [(played(1.0), 1.0)]


def test_silence_comes_after_all_that_waits_and_at_once():
    for name in ("panic", "mode", "pause"):
        line = Line()
        line.handle(played(1.0), 1.0)
        silence = ControlChanged(1.01, name, 1)
        line.handle(silence, 1.01)
        assert line.events == [played(1.0), silence]


def test_other_controls_do_not_wait_and_hurry_nothing():
    line = Line()
    line.handle(played(1.0), 1.0)
    line.handle(ControlChanged(1.01, "volume", 0.5), 1.01)
    assert line.events == [ControlChanged(1.01, "volume", 0.5)]


def test_human_who_takes_the_turn_back_ends_the_answer_at_once():
    line = Line()
    line.handle(played(1.0), 1.0)
    up, turn = played(1.02, phase=Phase.UP), TurnChanged(1.02, "human")
    human = played(1.02, "human")
    for event in (up, turn, human):
        line.handle(event, 1.02)
    assert line.events == [played(1.0), up, turn, human]


def test_human_beside_the_machine_hurries_nothing():
    line = Line()
    line.handle(played(1.0), 1.0)
    line.handle(played(1.0, "human"), 1.0)
    line.handle(TurnChanged(1.01, "human"), 1.01)  # the answer has ended by itself
    line.handle(played(1.02, "human"), 1.02)
    assert line.events == [played(1.0, "human"), played(1.02, "human")]


def test_output_that_schedules_gets_events_at_once_with_a_later_instant():
    line = Line()
    line.schedules = True
    line.handle(played(1.0), 1.0)
    assert line.got == [(played(1.0), 1.0 + LAG)]


@given(
    st.lists(st.tuples(st.floats(0.0, 0.05), st.booleans()), min_size=1, max_size=50),
    st.floats(0.001, 0.5),
)
def test_nothing_is_lost_and_the_machine_stays_in_order(steps, lag):
    line, t, machine = Line(lag), 0.0, []
    for wait, human in steps:
        t += wait
        line.advance(t)
        event = played(t, "human" if human else "ai")
        line.handle(event, t)
        machine += [] if human else [event]
    line.advance(t + 2 * lag)
    assert [e for e in line.events if e.touch.who == "ai"] == machine
    assert len(line.events) == len(steps)


def test_beat_waits_as_what_the_machine_plays():
    got = []
    line = DelayLine(lambda event, at: got.append((event, at)), 0.04)
    beat = BeatCame(1.0, 3.0, 120.0, 4)
    line.handle(beat, 1.0)
    line.advance(1.03)
    assert got == []
    line.advance(1.05)
    assert got == [(beat, 1.04)]
