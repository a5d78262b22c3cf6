"""Fairness of turns: who waits for an answer gets it, whatever visitors play."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.players import land, slide
from support.takes import Take

from robojam.jam.fair_turns import ANSWERED, PATIENCE, REGAINED
from robojam.jam.modes import EARLIER_MODES

HOST, VISITOR, OTHER = "human", "human2", "human3"


def take_with_visitors(*visitors: str, **options: object) -> Take:
    take = Take(land(0.1), slide(0.1), **{"threshold": 0.5, "response": 5.0, **options})
    for who in visitors:
        take.set(0.0, "visitor", who)
    return take


def play(take: Take, *touches: tuple[float, str]) -> None:
    """Land one finger after another, each at its time; fingers stay down."""
    for number, (t, who) in enumerate(sorted(touches)):
        take.down(t, number % 3, who)


def every(step: float, begin: float, end: float, who: str = VISITOR) -> list[tuple[float, str]]:
    return [(begin + i * step, who) for i in range(int((end - begin) / step) + 1)]


def answers(take: Take) -> list[tuple[float, float]]:
    """Return the machine's turns: when each began, and how long it was."""
    times = [t for _, t in take.turns] + [take.jam.t]
    begins = [(t, i) for i, (whose, t) in enumerate(take.turns) if whose == "ai"]
    return [(t, round(times[i + 1] - t, 9)) for t, i in begins]


# -- a visitor that does not pause ------------------------------------------------------------


def test_visitor_that_never_pauses_delays_the_first_answer_and_no_later_one() -> None:
    take = take_with_visitors(VISITOR)
    phrases = [(1.0, HOST), (30.0, HOST), (60.0, HOST)]
    play(take, *every(0.15, 0.0, 80.0), *phrases)
    assert answers(take) == [(1.0 + 0.5 + PATIENCE, 5.0), (30.5, 5.0), (60.5, 5.0)]


@pytest.mark.parametrize("who", [HOST, OTHER])
def test_player_who_tries_again_every_few_seconds_is_answered_after_as_much_waiting(
    who: str,
) -> None:
    take = take_with_visitors(VISITOR, OTHER)
    play(take, *every(0.15, 0.0, 60.0), *every(3.0, 1.0, 60.0, who))
    # Four times 2.5 s beyond the threshold, of which 2.5 s are regained, and what is left.
    assert next(begin for begin, _ in answers(take)) == pytest.approx(15.5, abs=0.5)
    assert len([length for _, length in answers(take) if length >= ANSWERED]) > 12


def test_host_who_cuts_its_own_answers_short_uses_up_nobody_s_time() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(1.0, 1.0, 30.0, HOST), *every(0.15, 30.3, 38.0))
    assert not take.jam.is_out(VISITOR)


def test_answer_without_end_goes_on_until_the_host_plays() -> None:
    take = take_with_visitors(VISITOR, response=0)
    play(take, *every(0.15, 0.0, 80.0), (1.0, HOST), (60.0, HOST))
    assert take.turns == [("ai", 11.5), ("human", 60.0), ("ai", 60.5)]


def test_two_visitors_in_turn_are_as_one() -> None:
    take = take_with_visitors(VISITOR, OTHER)
    touches = every(0.3, 0.0, 80.0) + every(0.3, 0.15, 80.0, OTHER)
    play(take, *touches, (1.0, HOST), (30.0, HOST))
    assert answers(take) == [(11.5, 5.0), (30.5, 5.0)]


def test_visitors_that_touch_once_each_delay_an_answer_for_a_while_and_do_not_end_it() -> None:
    crowd = [f"human{n}" for n in range(2, 400)]
    take = take_with_visitors(*crowd)
    play(take, *((0.15 * i, who) for i, who in enumerate(crowd)), (1.0, HOST), (30.0, HOST))
    given = [(at, length) for at, length in answers(take) if length >= ANSWERED]
    assert given[0] == (11.5, 2.6)
    assert [at for at, _ in given if 30.5 <= at <= 40.5]
    assert [at for at, _ in given if 11.5 < at <= 14.1 + 0.5 + PATIENCE]  # of the crowd itself


def crowd(begin: float, end: float) -> list[tuple[float, str]]:
    """Return touches every 0.15 s, each of another visitor: so each pauses for 45 s."""
    times = every(0.15, begin, end)
    return [(t, f"human{2 + i % 300}") for i, (t, _) in enumerate(times)]


CROWD = sorted({who for _, who in crowd(0.0, 60.0)})


def test_crowd_in_which_each_touches_once_delays_one_answer_and_then_a_share_of_the_time() -> (
    None
):
    take = take_with_visitors(*CROWD)
    # A host who plays one touch, and another after each answer.
    asked, delays = 0.0, []
    take.down(asked)
    for t, who in crowd(0.1, 400.0):
        take.down(t, 1, who)
        given = [at for at, length in answers(take) if at > asked and length >= ANSWERED]
        if given and take.jam.turn == "human":
            delays.append(given[0] - asked - 0.5)
            asked = t + 0.01
            take.down(asked)
    assert delays[0] == pytest.approx(PATIENCE)
    assert max(delays[1:]) < PATIENCE / 4
    assert sum(delays[1:]) < REGAINED * 400
    assert len(delays) > 25


def test_patience_with_visitors_comes_back_after_a_while() -> None:
    take = take_with_visitors(VISITOR)
    phrases = [(1.0, HOST), (30.0, HOST), (100.0, HOST)]
    stays = [*every(0.15, 0.0, 12.0), *every(0.15, 29.0, 45.0), *every(0.15, 99.0, 112.0)]
    play(take, *stays, *phrases)
    begins = [at for at, length in answers(take.until(120.0)) if length >= ANSWERED]
    regained = REGAINED * (30.0 - 11.5)
    for begin in (11.5, 30.5 + regained, 110.5):
        assert [at for at in begins if at == pytest.approx(begin)], begins


def test_second_in_which_several_visitors_wait_counts_once() -> None:
    crowd_of = [f"human{n}" for n in range(2, 30)]
    take = take_with_visitors(*crowd_of)
    # All wait for 4 s, for one who then pauses; each plays on.
    play(take, *((1.0 + i / 100, who) for i, who in enumerate(crowd_of[1:])))
    play(take, *every(0.15, 1.0, 5.8, crowd_of[0]), *((5.5, who) for who in crowd_of[1:]))
    begin = take.until(6.3).turns[-1]
    assert begin == ("ai", pytest.approx(6.3, abs=0.2))
    play(take, (20.0, HOST), *every(0.15, 19.0, 40.0, crowd_of[0]))
    waited = next(at for at, _ in answers(take) if at > 20.5) - 20.5
    assert waited > 8.0


def test_visitor_that_cuts_every_answer_short_does_so_for_a_while() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.6, 0.0, 30.0), (1.0, HOST))
    begun = dict(answers(take))
    assert max(length for begin, length in begun.items() if begin < 11.4) < 0.2
    assert [length for begin, length in begun.items() if 11.4 <= begin <= 12.0] == [5.0]


def test_visitor_alone_may_play_as_long_as_it_likes() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 60.0))
    assert take.turns == []
    assert take.until(61.0).turns == [("ai", 60.5)]


def test_visitors_together_may_play_as_long_as_they_like() -> None:
    take = take_with_visitors(VISITOR, OTHER)
    play(take, *every(0.3, 0.0, 60.0), *every(0.4, 0.0, 60.0, OTHER))
    assert take.turns == []


def test_visitor_s_first_touch_is_answered_and_takes_the_turn_back() -> None:
    take = take_with_visitors(VISITOR, OTHER, response=0)
    play(take, (1.0, VISITOR), (3.0, OTHER), (30.0, VISITOR))
    take.until(31.0)
    assert take.turns == [
        ("ai", 1.5), ("human", 3.0), ("ai", 3.5), ("human", 30.0), ("ai", 30.5),
    ]  # fmt: skip


def test_visitor_that_waits_is_answered_beside_one_that_never_pauses() -> None:
    take = take_with_visitors(VISITOR, OTHER)
    play(take, *every(0.15, 0.0, 80.0), (1.0, OTHER), (40.0, OTHER))
    assert answers(take) == [(11.5, 5.0), (40.5, 5.0)]


def test_host_who_plays_is_not_interrupted_for_a_visitor_who_waits() -> None:
    take = take_with_visitors(VISITOR)
    play(take, (1.0, VISITOR), *every(0.15, 1.0, 60.0, HOST))
    assert take.turns == []


def test_hosts_have_no_such_rule() -> None:
    take = take_with_visitors()
    play(take, *every(0.15, 0.0, 60.0, HOST), (1.0, OTHER))
    assert take.turns == []


def test_visitor_that_has_paused_takes_its_turns_again() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 20.0), (1.0, HOST))
    assert take.jam.is_out(VISITOR)
    play(take, (40.0, HOST), (41.0, VISITOR))  # within the answer
    assert not take.jam.is_out(VISITOR)
    assert take.turns[-1] == ("human", 41.0)


def test_visitor_that_becomes_a_host_is_in_the_jam() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 12.0), (1.0, HOST))
    assert take.turns[-1] == ("ai", 11.5)
    take.set(12.1, "host", VISITOR)
    take.down(12.2, 0, VISITOR)
    assert take.turns[-1] == ("human", 12.2)
    assert not take.jam.is_out(VISITOR)


def test_answer_on_request_is_not_taken_by_a_visitor_that_is_out() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 20.0), (1.0, HOST))
    take.set(20.1, "answer")
    play(take, *every(0.15, 20.2, 40.0))
    assert answers(take)[-1] == (20.1, 5.0)


def test_time_while_paused_is_no_waiting() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 2.0), (1.0, HOST))
    take.set(2.0, "pause", 1)
    take.set(102.0, "pause", 0)
    play(take, *every(0.15, 102.0, 120.0))
    assert answers(take) == [(111.5, 5.0)]


@pytest.mark.parametrize("mode", ["listen", "solo"])
def test_modes_without_turns_hear_and_play_as_before(mode: str) -> None:
    takes = [take_with_visitors(*visitors, mode=mode) for visitors in ((), (VISITOR,))]
    for take in takes:
        play(take, *every(0.15, 0.0, 20.0), (1.0, HOST))
    assert takes[0].player.fed == takes[1].player.fed
    assert takes[0].order == takes[1].order[1:]


times = st.lists(st.floats(0.0, 60.0), max_size=150)


@given(
    visitor=times,
    steps=st.lists(st.floats(0.01, 0.49), max_size=10),
    threshold=st.floats(0.5, 3.0),
)
@settings(deadline=None, max_examples=150)
def test_host_who_leaves_room_is_answered_in_time_whatever_a_visitor_plays(
    visitor: list[float], steps: Iterable[float], threshold: float
) -> None:
    take = take_with_visitors(VISITOR, threshold=threshold)
    phrase = list(itertools.accumulate(steps, initial=1.0))
    play(take, *((t, VISITOR) for t in visitor), *((t, HOST) for t in phrase))
    take.until(100.0)
    end = phrase[-1]
    given = [at for at, length in answers(take) if at >= end and length >= ANSWERED]
    assert given
    assert given[0] <= end + threshold + PATIENCE + 1e-6
    # Nor does the machine play over the host's phrase.
    assert not [t for _, t in take.played() if phrase[0] < t < end]


# -- what the model hears ---------------------------------------------------------------------


def test_model_is_fed_no_touch_of_a_visitor_that_is_out_while_others_wait() -> None:
    take = take_with_visitors(VISITOR)
    play(take, *every(0.15, 0.0, 20.0), (1.0, HOST))
    fed = take.jam.counts.heard
    play(take, *every(0.15, 20.1, 22.0))  # nobody waits
    assert take.jam.counts.heard == fed + 13
    take.down(22.1, 7)
    fed = take.jam.counts.heard
    play(take, *every(0.15, 22.2, 27.0))
    assert take.jam.counts.heard == fed
    take.move(27.1, 7)  # and its fingers take nobody's place
    assert take.jam.counts.heard == fed + 1


def test_finger_that_slides_without_end_is_heard_again_when_nobody_waits() -> None:
    take = take_with_visitors(VISITOR, response=1.0)
    take.down(1.0, 1)
    take.up(1.1, 1)
    take.down(1.2, 0, VISITOR)
    slides = every(0.15, 1.3, 20.0)
    for t, who in slides:
        take.move(t, 0, who)
    unheard = len(slides) + 2 - take.jam.counts.heard
    assert 6 <= unheard <= 7  # in the answer's second


# -- duet, as earlier recordings have it ------------------------------------------------------


def test_earlier_duet_answers_a_host_between_a_visitor_s_touches() -> None:
    take = Take(land(0.4), mode="duet", modes=EARLIER_MODES)
    take.set(0.0, "visitor", VISITOR)
    play(take, *every(0.15, 0.0, 0.9), (1.0, HOST), *every(0.15, 1.1, 1.9))
    assert [t for phase, t in take.played() if phase == "down"] == [1.4]


def test_earlier_duet_answers_a_visitor_between_the_touches_of_one_that_never_pauses() -> None:
    take = Take(land(0.4), mode="duet", modes=EARLIER_MODES)
    for who in (VISITOR, OTHER):
        take.set(0.0, "visitor", who)
    play(take, *every(0.15, 0.0, 1.9), (1.0, OTHER))
    assert [t for phase, t in take.played() if phase == "down"] == [1.4]


def test_earlier_duet_of_hosts_answers_the_last_touch() -> None:
    take = Take(land(0.4), mode="duet", modes=EARLIER_MODES)
    play(take, (1.0, HOST), (1.3, OTHER))
    assert take.until(2.0).played()[:1] == [("down", 1.7)]


# -- panic ------------------------------------------------------------------------------------


def test_panic_is_not_ended_by_a_visitor_where_a_host_plays() -> None:
    take = take_with_visitors(VISITOR)
    play(take, (0.5, HOST))
    take.set(1.2, "panic")
    play(take, *every(0.15, 1.3, 5.0))
    assert take.until(20.0).jam.silenced
    assert take.turns == [("ai", 1.0), ("human", 1.2)]
    take.down(20.0)
    assert take.until(21.0).turns[-1] == ("ai", 20.5)


def test_panic_is_ended_by_a_visitor_where_no_host_plays() -> None:
    take = take_with_visitors(VISITOR)
    take.down(0.5, 0, VISITOR)
    take.set(0.7, "panic")
    take.down(1.0, 0, VISITOR)
    assert not take.jam.silenced
    assert take.until(2.0).turns == [("ai", 1.5)]
