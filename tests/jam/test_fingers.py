"""Fingers of the humans: landing, lifting, and the stream that the model is fed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.jam.fingers import FingerEvent, Fingers
from robojam.touch import LIFT_AFTER, Phase, Touch

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


def play(
    fingers: Fingers,
    t: float,
    phase: Phase,
    finger: int = 0,
    who: str = "human",
    x: float = 0.5,
) -> list[FingerEvent]:
    events = fingers.finger(t, who, finger, phase, x, 1 - x)
    assert not isinstance(events, str), events
    return events


def only(events: list[FingerEvent]) -> FingerEvent:
    assert len(events) == 1
    return events[0]


def phases(events: list[FingerEvent]) -> list[Phase]:
    return [event.touch.phase for event in events]


# -- one finger ------------------------------------------------------------------------


def test_dt_is_the_time_since_the_last_down_or_move_and_0_for_the_first() -> None:
    fingers = Fingers()
    assert only(play(fingers, 3.0, DOWN)).touch == Touch(0.5, 0.5, 0.0, DOWN)
    assert only(play(fingers, 3.25, MOVE, x=0.25)).touch == Touch(0.25, 0.75, 0.25, MOVE)


def test_up_has_the_last_place_and_its_own_dt_and_does_not_reset_dt() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN, x=0.25)
    lifted = only(play(fingers, 1.5, UP, x=0.9))
    assert lifted.touch == Touch(0.25, 0.75, 0.5, UP)
    assert lifted.fed_as_move is None  # never fed to the model
    assert only(play(fingers, 2.0, DOWN)).touch.dt == 1.0


def test_dt_counts_from_the_last_touch_of_any_finger_of_the_same_player() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN, finger=1)
    assert only(play(fingers, 1.5, DOWN, 1, "human2")).touch.dt == 0.0
    assert only(play(fingers, 1.75, DOWN, 2)).touch.dt == 0.75
    assert only(play(fingers, 2.0, MOVE, 1)).touch.dt == 0.25
    assert only(play(fingers, 2.0, MOVE, 1, "human2")).touch.dt == 0.5


def test_move_of_an_absent_finger_is_a_down() -> None:
    assert only(play(Fingers(), 1.0, MOVE)).touch.phase is DOWN


def test_down_of_a_present_finger_lifts_it_first() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN, x=0.25)
    lifted, landed = play(fingers, 1.5, DOWN, x=0.75)
    assert lifted.touch == Touch(0.25, 0.75, 0.5, UP)
    assert landed.touch == Touch(0.75, 0.25, 0.5, DOWN)
    assert len(fingers) == 1


def test_up_of_an_absent_finger_is_dropped_with_a_reason() -> None:
    fingers = Fingers()
    assert fingers.finger(1.0, "human", 3, UP, 0.0, 0.0) == "absent finger"
    assert only(play(fingers, 2.0, DOWN)).touch.dt == 0.0


def test_fingers_are_kept_apart_by_player_and_id() -> None:
    fingers = Fingers()
    for who in ("human", "human2"):
        for finger in (0, 1000):
            assert only(play(fingers, 1.0, DOWN, finger, who)).touch.phase is DOWN
    assert len(fingers) == 4
    play(fingers, 2.0, UP, 1000, "human2")
    assert fingers.finger(2.0, "human2", 1000, UP, 0, 0) == "absent finger"
    assert only(play(fingers, 2.0, MOVE, 1000)).touch.phase is MOVE


def test_lift_all_lifts_every_finger_once() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN, 0)
    fingers.plain(1.5, "human2", 0.5, 0.5, None)
    assert {(f.touch.who, f.touch.phase, f.touch.dt) for f in fingers.lift_all(2.0)} == {
        ("human", UP, 1.0),
        ("human2", UP, 0.5),
    }
    assert len(fingers) == 0
    assert fingers.lift_due is None
    assert list(fingers.lift_all(3.0)) == []


# -- touches that are fed to the model ---------------------------------------------------


def test_single_finger_is_fed_as_it_plays() -> None:
    fingers = Fingers()
    fed = [
        only(play(fingers, t, p)).fed_as_move
        for t, p in ((1, DOWN), (2, MOVE), (3, UP), (4, MOVE))
    ]
    assert fed == [False, True, None, False]


def test_finger_that_landed_last_is_fed_whichever_player_s_it_is() -> None:
    fingers = Fingers()
    assert only(play(fingers, 1.0, DOWN, 1)).fed_as_move is False
    assert only(play(fingers, 2.0, DOWN, 1, "human2")).fed_as_move is False
    assert only(play(fingers, 3.0, MOVE, 1)).fed_as_move is None
    assert only(play(fingers, 4.0, MOVE, 1, "human2")).fed_as_move is True


def test_after_a_lift_the_most_recent_finger_still_down_is_fed_as_a_down() -> None:
    fingers = Fingers()
    for finger in (1, 2, 3):
        play(fingers, finger, DOWN, finger)
    play(fingers, 4.0, UP, 3)
    assert only(play(fingers, 5.0, MOVE, 1)).fed_as_move is None
    assert only(play(fingers, 6.0, MOVE, 2)).fed_as_move is False
    assert (
        only(play(fingers, 6.5, MOVE, 2)).touch.phase is MOVE
    )  # the touch itself stays a move
    assert only(play(fingers, 7.0, MOVE, 2)).fed_as_move is True
    play(fingers, 8.0, UP, 2)
    assert only(play(fingers, 9.0, MOVE, 1)).fed_as_move is False
    assert only(play(fingers, 9.5, MOVE, 1)).fed_as_move is True


def test_lift_of_a_finger_that_is_not_fed_changes_nothing() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN, 1)
    play(fingers, 2.0, DOWN, 2)
    play(fingers, 3.0, UP, 1)
    assert only(play(fingers, 4.0, MOVE, 2)).fed_as_move is True


def test_finger_that_landed_again_is_fed_before_those_that_landed_earlier() -> None:
    fingers = Fingers()
    for t, finger in enumerate((1, 2, 3, 1)):  # 1 lands again, after 3
        play(fingers, t, DOWN, finger)
    assert only(play(fingers, 5.0, MOVE, 1)).fed_as_move is True
    play(fingers, 6.0, UP, 2)
    play(fingers, 7.0, UP, 1)
    assert only(play(fingers, 8.0, MOVE, 3)).fed_as_move is False


def test_next_touch_after_forget_fed_is_fed_as_a_down() -> None:
    fingers = Fingers()
    play(fingers, 1.0, DOWN)
    fingers.forget_fed()
    assert [only(play(fingers, t, MOVE)).fed_as_move for t in (2.0, 3.0)] == [False, True]


Step = tuple[str, int, Phase]
steps = st.lists(
    st.tuples(
        st.sampled_from(["human", "human2"]), st.integers(0, 2), st.sampled_from(list(Phase))
    ),
    max_size=40,
)


@given(steps)
def test_fed_stream_of_any_touches_follows_the_contract(steps: list[Step]) -> None:
    fingers = Fingers()
    landed: list[tuple[str, int]] = []  # fingers that are down, in order of landing
    stream: tuple[str, int] | None = None  # the finger that was fed last, if still down
    for t, (who, finger, phase) in enumerate(steps):
        key = (who, finger)
        events = fingers.finger(float(t), who, finger, phase, 0.5, 0.5)
        if phase is UP:
            assert (events == "absent finger") == (key not in landed)
            landed = [k for k in landed if k != key]
            stream = None if stream == key else stream
            continue
        assert not isinstance(events, str)
        lands = phase is DOWN or key not in landed
        assert phases(events) == ([UP] if lands and key in landed else []) + [
            DOWN if lands else MOVE
        ]
        if lands:
            landed = [k for k in landed if k != key] + [key]
        expected = None
        if key == landed[-1]:
            expected = not lands and stream == key
            stream = key
        assert events[-1].fed_as_move is expected
        assert len(fingers) == len(landed)


# -- players without phases ------------------------------------------------------------------


def plain(
    fingers: Fingers, t: float, dt: float | None = None, who: str = "human", x: float = 0.5
) -> list[FingerEvent]:
    events = fingers.plain(t, who, x, 0.5, dt)
    assert not isinstance(events, str)
    return events


def test_phaseless_touch_later_than_a_tenth_of_a_second_is_a_down_else_a_move() -> None:
    fingers = Fingers()
    assert phases(plain(fingers, 1.0)) == [DOWN]
    assert phases(plain(fingers, 1.09)) == [MOVE]
    assert phases(plain(fingers, 1.18)) == [MOVE]
    lifted, landed = plain(fingers, 1.29, x=0.75)  # the implied up goes before it
    assert lifted.touch == Touch(0.5, 0.5, pytest.approx(0.11), UP)
    assert landed.touch == Touch(0.75, 0.5, pytest.approx(0.11), DOWN)
    assert (lifted.t, landed.t) == (1.29, 1.29)


def test_phaseless_touches_with_ids_are_fingers_of_their_own() -> None:
    fingers = Fingers()
    for t in (0.0, 0.05):
        for finger in (2001, 2002):
            events = fingers.plain(t, "human", 0.5, 0.5, None, finger)
            assert not isinstance(events, str)
            assert phases(events) == [MOVE if t else DOWN]
    assert {f.touch.id for f in fingers.lift(1.0)} == {2001, 2002}


def test_phaseless_touch_after_exactly_a_tenth_of_a_second_is_a_move() -> None:
    fingers = Fingers()
    plain(fingers, 0.0)
    assert phases(plain(fingers, 0.1)) == [MOVE]


def test_phaseless_finger_lifts_at_its_instant_without_another_touch() -> None:
    fingers = Fingers()
    plain(fingers, 1.0)
    plain(fingers, 1.05, x=0.25)
    assert fingers.lift_due == 1.05 + LIFT_AFTER
    assert list(fingers.lift(1.19)) == []
    lifted = only(list(fingers.lift(5.0)))
    assert lifted.touch == Touch(0.25, 0.5, pytest.approx(0.15), UP)
    assert lifted.t == 1.05 + LIFT_AFTER  # its own instant, however late the call
    assert fingers.lift_due is None


def test_phaseless_fingers_lift_in_the_order_of_their_instants() -> None:
    fingers = Fingers()
    plain(fingers, 1.0, who="human2")
    plain(fingers, 1.01, who="human")
    plain(fingers, 1.02, who="human2")
    assert [f.touch.who for f in fingers.lift(2.0)] == ["human", "human2"]


def test_phaseless_finger_0_moved_by_a_player_with_phases_does_not_lift_by_itself() -> None:
    fingers = Fingers()
    assert only(plain(fingers, 1.0)).touch.id == 0
    assert only(play(fingers, 1.05, MOVE, 0)).touch.phase is MOVE
    assert fingers.lift_due is None


def test_own_clock_of_a_phaseless_player_decides_the_phase() -> None:
    fingers = Fingers()
    plain(fingers, 1.0, 0.0)
    late = only(plain(fingers, 1.12, 0.02))
    assert (late.touch.phase, late.touch.dt, late.own_dt) == (MOVE, 0.02, 0.02)
    assert phases(plain(fingers, 1.13, 0.5)) == [UP, DOWN]
    assert phases(plain(fingers, 1.14, 0.1)) == [MOVE]


def test_first_touch_with_an_own_clock_has_dt_0() -> None:
    event = only(plain(Fingers(), 1.0, 0.75))
    assert (event.touch.phase, event.touch.dt, event.own_dt) == (DOWN, 0.0, None)


def test_own_clock_that_agrees_with_arrival_is_ignored() -> None:
    """A recording holds one dt, from which a regeneration infers which clock gave it."""
    fingers = Fingers()
    plain(fingers, 1.0, 0.0)
    assert only(plain(fingers, 1.0625, 0.0625)).own_dt is None


def test_arrival_decides_the_lift_of_a_player_with_an_own_clock() -> None:
    fingers = Fingers()
    plain(fingers, 1.0, 0.0)
    assert len(list(fingers.lift(1.0 + LIFT_AFTER))) == 1
    landing = only(plain(fingers, 1.4, 0.02))  # a move of an absent finger
    assert (landing.touch.phase, landing.fed_as_move, landing.own_dt) == (DOWN, False, 0.02)


# -- a player's own clock ----------------------------------------------------------------------


def own_clock(
    fingers: Fingers, t: float, finger: int, dt: float, who: str = "human"
) -> FingerEvent:
    events = fingers.finger(t, who, finger, MOVE, 0.5, 0.5, own_dt=dt)
    assert not isinstance(events, str), events
    return only(events)


def test_own_clock_counts_from_the_touch_that_was_fed_last() -> None:
    fingers = Fingers()
    own_clock(fingers, 1.0, 1, 0.0)
    own_clock(fingers, 1.0, 2, 0.0)  # lands, and is fed from now on
    # Two frames that arrive at once, each of both fingers.
    own_clock(fingers, 2.0, 1, 0.25)
    assert own_clock(fingers, 2.0, 2, 0.0).own_dt == 0.25
    own_clock(fingers, 2.0, 1, 0.5)
    assert own_clock(fingers, 2.0, 2, 0.0).own_dt == 0.5


def test_own_clock_of_a_player_is_none_after_another_was_fed() -> None:
    fingers = Fingers()
    own_clock(fingers, 1.0, 1, 0.0)
    own_clock(fingers, 1.5, 1, 0.0, "human2")
    play(fingers, 1.75, DOWN, 2)
    assert own_clock(fingers, 2.0, 2, 0.125).own_dt == 0.125
    fingers.fed_who = None
    assert own_clock(fingers, 2.5, 2, 0.25).own_dt is None
    assert own_clock(fingers, 3.0, 2, 0.25).own_dt == 0.25


def test_own_clock_of_earlier_rules_counts_from_the_last_touch_of_any_finger() -> None:
    fingers = Fingers(since_fed=False)
    own_clock(fingers, 1.0, 1, 0.0)
    own_clock(fingers, 1.0, 2, 0.0)
    assert own_clock(fingers, 2.0, 1, 0.25).own_dt == 0.25
    assert own_clock(fingers, 2.0, 2, 0.0).own_dt is None
