"""The walk over recorded strokes, and the stream of them that the model is fed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import EXAMPLES
from support.recordings import HEADER, down, move, up

from robojam.sessions.session import EndEvent, Session, SetEvent, TouchEvent, read
from robojam.sessions.strokes import RecordedFingers, model_stream, strokes, touches, walk
from robojam.touch import Phase, Touch

recorded = st.builds(
    Touch,
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 5),
    st.sampled_from(list(Phase)),
    st.integers(0, 2),
    st.sampled_from(["human", "human2", "ai"]),
)


def outline(events: list[TouchEvent]) -> list[tuple[float, str, int]]:
    return [(e.t, str(e.touch.phase), e.touch.id) for e in events]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_walk_changes_nothing_in_a_recording_of_the_engine(path: Path) -> None:
    session = read(path)
    assert list(walk(session)) == list(session.events)


@given(st.lists(recorded, max_size=30))
def test_walk_yields_complete_strokes_for_any_recording(rows: list[Touch]) -> None:
    events = tuple(TouchEvent(float(t), touch) for t, touch in enumerate(rows))
    held: dict[tuple[str, int], Touch] = {}
    before = 0.0
    for event in touches(Session(HEADER, events)):
        assert event.t >= before
        before, touch = event.t, event.touch
        last = held.pop((touch.who, touch.id), None)
        assert (last is None) == (touch.phase is Phase.DOWN)
        if touch.phase is not Phase.UP:
            held[touch.who, touch.id] = touch
    assert not held


def test_walk_lifts_fingers_at_the_end_or_where_a_recording_is_cut_off() -> None:
    end = EndEvent(3.0, "record 0")
    for last in ((end,), ()):
        events = (down(0.0, 1, 0.2), SetEvent(1.0, {"mode": "duet"}), move(2.0, 1, 0.3), *last)
        walked = list(walk(Session(HEADER, events)))
        t = 3.0 if last else 2.0
        lifted = TouchEvent(t, Touch(0.3, 0.5, t - 2.0, Phase.UP, 1))
        assert walked == [*events[:3], lifted, *last]


def test_fingers_complete_a_move_without_a_down_and_a_down_without_an_up() -> None:
    fingers = RecordedFingers()
    assert outline(fingers.take(up(0.0, 1))) == []
    assert outline(fingers.take(move(1.0, 1))) == [(1.0, "down", 1)]
    assert outline(fingers.take(move(2.0, 2))) == [(2.0, "down", 2)]
    assert outline(fingers.take(down(3.0, 1))) == [(3.0, "up", 1), (3.0, "down", 1)]
    assert fingers.latest == ("human", 1)
    assert outline(fingers.lift(4.0)) == [(4.0, "up", 2), (4.0, "up", 1)]
    assert (len(fingers), fingers.latest) == (0, None)


def test_strokes_are_in_the_order_of_landing_without_their_ups() -> None:
    events = (down(0, 1), down(1, 2), move(2, 1), up(3, 1), down(4, 1), move(5, 2))
    found = strokes(Session(HEADER, events))
    assert [[e.t for e in stroke] for stroke in found] == [[0, 2], [1, 5], [4]]


def test_model_stream_of_one_finger_keeps_recorded_dt() -> None:
    # The recorded dt is taken, to the last bit: t differences would be a little off.
    stream = model_stream(
        [
            down(10, 0, 0.1),
            move(10.1, 0, 0.2, dt=0.07),
            up(10.3, 0),
            down(10.5, 0, 0.3, dt=0.4),
            down(10.75, 0, 0.4, dt=0.25),
        ]
    )
    assert [row[:4] for row in stream] == [
        (0.1, 0.5, 0.0, 0.0),
        (0.2, 0.5, 0.07, 1.0),
        (0.3, 0.5, 0.4, 0.0),
        (0.4, 0.5, 0.25, 0.0),
    ]


def test_model_stream_follows_the_finger_that_landed_last() -> None:
    stream = model_stream(
        [
            down(0.0, 1, 0.1),
            down(0.5, 2, 0.2, dt=0.5),
            move(1.0, 1, 0.11, dt=0.5),  # not followed now
            move(1.5, 2, 0.21, dt=0.5),  # dt in the stream: 1 s since 2's landing
            up(1.75, 2),
            move(2.0, 1, 0.12, dt=0.5),  # followed again: heard as a landing
            move(2.5, 1, 0.13, dt=0.5),
            up(2.75, 1),
            down(3.0, 2, 0.3, dt=0.5),
        ]
    )
    assert [row[:4] for row in stream] == [
        (0.1, 0.5, 0.0, 0.0),
        (0.2, 0.5, 0.5, 0.0),
        (0.21, 0.5, 1.0, 1.0),
        (0.12, 0.5, 0.5, 0.0),
        (0.13, 0.5, 0.5, 1.0),
        (0.3, 0.5, 0.5, 0.0),
    ]


def test_model_stream_forgets_a_finger_lifted_while_another_is_followed() -> None:
    stream = model_stream([down(0, 1), down(1, 2, dt=1), up(2, 1), up(3, 2), move(4, 3, dt=3)])
    assert [(dt, moving) for _, _, dt, moving, _ in stream] == [(0, 0), (1, 0), (3, 0)]


def test_model_stream_joins_two_humans_without_the_machine() -> None:
    stream = model_stream(
        [
            down(1.0, 0, 0.1),
            down(1.5, 0, 0.2, "human2"),  # the same id, another finger
            down(1.75, 0, 0.9, "ai"),
            move(2.0, 0, 0.21, "human2", dt=0.5),
            up(2.0, 0, "human2"),
            move(2.5, 0, 0.11, dt=1.5),  # 0.5 s after human2's
        ]
    )
    assert [row[:4] for row in stream] == [
        (0.1, 0.5, 0.0, 0.0),
        (0.2, 0.5, 0.5, 0.0),
        (0.21, 0.5, 0.5, 1.0),
        (0.11, 0.5, 0.5, 0.0),
    ]
