"""The humans' fingers, from the contract: how they land and lift, and what the model hears."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.jam.fingers import MAX_FINGERS, FingerEvent, Fingers
from robojam.touch import LIFT_AFTER, Phase, Touch

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP


def feel(
    hands: Fingers, t: float, phase: Phase, finger: int = 0, who: str = "human", x: float = 0.5
) -> list[FingerEvent]:
    felt = hands.finger(t, who, finger, phase, x, 1 - x)
    assert not isinstance(felt, str), felt
    return felt


def one(felt: list[FingerEvent]) -> FingerEvent:
    assert len(felt) == 1
    return felt[0]


def phases(felt: list[FingerEvent]) -> list[Phase]:
    return [f.touch.phase for f in felt]


# -- one finger ------------------------------------------------------------------------


def test_dt_is_the_time_since_the_last_down_or_move_and_0_for_the_first() -> None:
    hands = Fingers()
    assert one(feel(hands, 3.0, DOWN)).touch == Touch(0.5, 0.5, 0.0, DOWN)
    assert one(feel(hands, 3.25, MOVE, x=0.25)).touch == Touch(0.25, 0.75, 0.25, MOVE)


def test_an_up_carries_the_last_place_and_its_own_time_and_does_not_reset_dt() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN, x=0.25)
    lifted = one(feel(hands, 1.5, UP, x=0.9))
    assert lifted.touch == Touch(0.25, 0.75, 0.5, UP)
    assert lifted.fed_as_move is None  # never fed to the model
    assert one(feel(hands, 2.0, DOWN)).touch.dt == 1.0


def test_dt_is_of_the_same_who_whichever_finger_it_was() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN, finger=1)
    assert one(feel(hands, 1.5, DOWN, 1, "human2")).touch.dt == 0.0
    assert one(feel(hands, 1.75, DOWN, 2)).touch.dt == 0.75
    assert one(feel(hands, 2.0, MOVE, 1)).touch.dt == 0.25
    assert one(feel(hands, 2.0, MOVE, 1, "human2")).touch.dt == 0.5


def test_a_move_of_an_absent_finger_is_a_down() -> None:
    assert one(feel(Fingers(), 1.0, MOVE)).touch.phase is DOWN


def test_a_down_of_a_present_finger_lifts_it_first() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN, x=0.25)
    lifted, landed = feel(hands, 1.5, DOWN, x=0.75)
    assert lifted.touch == Touch(0.25, 0.75, 0.5, UP)
    assert landed.touch == Touch(0.75, 0.25, 0.5, DOWN)
    assert len(hands) == 1


def test_an_up_of_an_absent_finger_is_ignored_and_told() -> None:
    hands = Fingers()
    assert hands.finger(1.0, "human", 3, UP, 0.0, 0.0) == "absent finger"
    assert one(feel(hands, 2.0, DOWN)).touch.dt == 0.0


def test_fingers_are_kept_apart_by_player_and_id() -> None:
    hands = Fingers()
    for who in ("human", "human2"):
        for finger in (0, 1000):
            assert one(feel(hands, 1.0, DOWN, finger, who)).touch.phase is DOWN
    assert len(hands) == 4
    feel(hands, 2.0, UP, 1000, "human2")
    assert hands.finger(2.0, "human2", 1000, UP, 0, 0) == "absent finger"
    assert one(feel(hands, 2.0, MOVE, 1000)).touch.phase is MOVE


def test_a_flood_of_fingers_is_bounded() -> None:
    hands = Fingers()
    for finger in range(MAX_FINGERS):
        feel(hands, 1.0, DOWN, finger)
    assert hands.finger(2.0, "human2", 7, MOVE, 0.5, 0.5) == "too many fingers"
    assert hands.plain(2.0, "human3", 0.5, 0.5, None) == "too many fingers"
    assert len(hands) == MAX_FINGERS
    assert phases(feel(hands, 2.0, DOWN, 0)) == [UP, DOWN]  # those that are there play on
    feel(hands, 3.0, UP, 0)
    assert one(feel(hands, 3.0, DOWN, 7, "human2")).touch.dt == 0.0


def test_lift_all_lifts_every_finger_once() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN, 0)
    hands.plain(1.5, "human2", 0.5, 0.5, None)
    assert {(f.touch.who, f.touch.phase, f.touch.dt) for f in hands.lift_all(2.0)} == {
        ("human", UP, 1.0),
        ("human2", UP, 0.5),
    }
    assert len(hands) == 0
    assert hands.lift_due is None
    assert list(hands.lift_all(3.0)) == []


# -- what the model hears ----------------------------------------------------------------


def test_one_finger_is_heard_as_it_plays() -> None:
    hands = Fingers()
    heard = [
        one(feel(hands, t, p)).fed_as_move
        for t, p in ((1, DOWN), (2, MOVE), (3, UP), (4, MOVE))
    ]
    assert heard == [False, True, None, False]  # heard as a move?


def test_the_finger_that_last_landed_is_heard_whoevers_it_is() -> None:
    hands = Fingers()
    assert one(feel(hands, 1.0, DOWN, 1)).fed_as_move is False
    assert one(feel(hands, 2.0, DOWN, 1, "human2")).fed_as_move is False
    assert one(feel(hands, 3.0, MOVE, 1)).fed_as_move is None
    assert one(feel(hands, 4.0, MOVE, 1, "human2")).fed_as_move is True


def test_when_it_lifts_the_most_recent_one_still_down_is_heard_as_a_down() -> None:
    hands = Fingers()
    for finger in (1, 2, 3):
        feel(hands, finger, DOWN, finger)
    feel(hands, 4.0, UP, 3)
    assert one(feel(hands, 5.0, MOVE, 1)).fed_as_move is None
    assert one(feel(hands, 6.0, MOVE, 2)).fed_as_move is False
    assert one(feel(hands, 6.5, MOVE, 2)).touch.phase is MOVE  # though it is what it is
    assert one(feel(hands, 7.0, MOVE, 2)).fed_as_move is True
    feel(hands, 8.0, UP, 2)
    assert one(feel(hands, 9.0, MOVE, 1)).fed_as_move is False
    assert one(feel(hands, 9.5, MOVE, 1)).fed_as_move is True


def test_another_fingers_lift_changes_nothing() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN, 1)
    feel(hands, 2.0, DOWN, 2)
    feel(hands, 3.0, UP, 1)
    assert one(feel(hands, 4.0, MOVE, 2)).fed_as_move is True


def test_the_one_that_comes_next_is_the_one_that_landed_last_of_those_still_down() -> None:
    hands = Fingers()
    for t, finger in enumerate((1, 2, 3, 1)):  # 1 lands again, after 3
        feel(hands, t, DOWN, finger)
    assert one(feel(hands, 5.0, MOVE, 1)).fed_as_move is True
    feel(hands, 6.0, UP, 2)
    feel(hands, 7.0, UP, 1)
    assert one(feel(hands, 8.0, MOVE, 3)).fed_as_move is False


def test_what_a_forgetful_model_hears_next_is_a_landing() -> None:
    hands = Fingers()
    feel(hands, 1.0, DOWN)
    hands.forget_fed()
    assert [one(feel(hands, t, MOVE)).fed_as_move for t in (2.0, 3.0)] == [False, True]


Step = tuple[str, int, Phase]
steps = st.lists(
    st.tuples(
        st.sampled_from(["human", "human2"]), st.integers(0, 2), st.sampled_from(list(Phase))
    ),
    max_size=40,
)


@given(steps)
def test_the_stream_is_as_the_contract_says(steps: list[Step]) -> None:
    hands = Fingers()
    landed: list[tuple[str, int]] = []  # those down, in order of landing
    stream: tuple[str, int] | None = None  # whose last touch was the last that was heard
    for t, (who, finger, phase) in enumerate(steps):
        key = (who, finger)
        felt = hands.finger(float(t), who, finger, phase, 0.5, 0.5)
        if phase is UP:
            assert (felt == "absent finger") == (key not in landed)
            landed = [k for k in landed if k != key]
            stream = None if stream == key else stream
            continue
        assert not isinstance(felt, str)
        lands = phase is DOWN or key not in landed
        assert phases(felt) == ([UP] if lands and key in landed else []) + [
            DOWN if lands else MOVE
        ]
        if lands:
            landed = [k for k in landed if k != key] + [key]
        expected = None
        if key == landed[-1]:
            expected = not lands and stream == key
            stream = key
        assert felt[-1].fed_as_move is expected
        assert len(hands) == len(landed)


# -- players without phases ------------------------------------------------------------------


def plain(
    hands: Fingers, t: float, dt: float | None = None, who: str = "human", x: float = 0.5
) -> list[FingerEvent]:
    felt = hands.plain(t, who, x, 0.5, dt)
    assert not isinstance(felt, str)
    return felt


def test_more_than_a_tenth_of_a_second_after_the_last_is_a_down_else_a_move() -> None:
    hands = Fingers()
    assert phases(plain(hands, 1.0)) == [DOWN]
    assert phases(plain(hands, 1.09)) == [MOVE]
    assert phases(plain(hands, 1.18)) == [MOVE]
    lifted, landed = plain(hands, 1.29, x=0.75)  # the implied up goes before it
    assert lifted.touch == Touch(0.5, 0.5, pytest.approx(0.11), UP)
    assert landed.touch == Touch(0.75, 0.5, pytest.approx(0.11), DOWN)
    assert (lifted.t, landed.t) == (1.29, 1.29)


def test_exactly_a_tenth_is_not_more() -> None:
    hands = Fingers()
    plain(hands, 0.0)
    assert phases(plain(hands, 0.1)) == [MOVE]


def test_an_up_follows_without_another_touch() -> None:
    hands = Fingers()
    plain(hands, 1.0)
    plain(hands, 1.05, x=0.25)
    assert hands.lift_due == 1.05 + LIFT_AFTER
    assert list(hands.lift(1.19)) == []
    lifted = one(list(hands.lift(5.0)))
    assert lifted.touch == Touch(0.25, 0.5, pytest.approx(0.15), UP)
    assert lifted.t == 1.05 + LIFT_AFTER  # at its instant, however late it is asked
    assert hands.lift_due is None


def test_fingers_lift_by_themselves_in_the_order_of_their_instants() -> None:
    hands = Fingers()
    plain(hands, 1.0, who="human2")
    plain(hands, 1.01, who="human")
    plain(hands, 1.02, who="human2")
    assert [f.touch.who for f in hands.lift(2.0)] == ["human", "human2"]


def test_it_is_finger_0_and_a_player_with_phases_holds_it() -> None:
    hands = Fingers()
    assert one(plain(hands, 1.0)).touch.id == 0
    assert one(feel(hands, 1.05, MOVE, 0)).touch.phase is MOVE
    assert hands.lift_due is None


def test_its_own_clock_decides_the_phase() -> None:
    hands = Fingers()
    plain(hands, 1.0, 0.0)
    late = one(plain(hands, 1.12, 0.02))
    assert (late.touch.phase, late.touch.dt, late.own_dt) == (MOVE, 0.02, 0.02)
    assert phases(plain(hands, 1.13, 0.5)) == [UP, DOWN]
    assert phases(plain(hands, 1.14, 0.1)) == [MOVE]


def test_the_first_touch_has_dt_0_whatever_its_own_clock_says() -> None:
    felt = one(plain(Fingers(), 1.0, 0.75))
    assert (felt.touch.phase, felt.touch.dt, felt.own_dt) == (DOWN, 0.0, None)


def test_a_clock_that_agrees_is_none_of_its_own() -> None:
    """A recording holds one dt: by it a regeneration knows whose clock that was."""
    hands = Fingers()
    plain(hands, 1.0, 0.0)
    assert one(plain(hands, 1.0625, 0.0625)).own_dt is None


def test_arrival_decides_the_up_even_with_a_clock_of_its_own() -> None:
    hands = Fingers()
    plain(hands, 1.0, 0.0)
    assert len(list(hands.lift(1.0 + LIFT_AFTER))) == 1
    again = one(plain(hands, 1.4, 0.02))  # a move of an absent finger
    assert (again.touch.phase, again.fed_as_move, again.own_dt) == (DOWN, False, 0.02)
