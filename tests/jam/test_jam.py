"""Jam on a clock that the test sets: turns, deadlines, fed touches and random numbers.

These are the contracts of touches, modes, time and chance. Times are in seconds, and those of
events are compared to a nanosecond.
"""

from __future__ import annotations

import itertools
import math
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.players import RandomPlayer, ScriptedPlayer, land, slide
from support.takes import Take

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, Event, TouchPending, TouchPlayed, TurnChanged
from robojam.jam.jam import RULES, Jam
from robojam.jam.modes import EARLIER_MODES
from robojam.jam.protocols import Proposal
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    Session,
    SessionEvent,
    SetEvent,
    TouchEvent,
)
from robojam.touch import Phase, is_machine

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
MODES = ("call-response", "duet", "solo", "listen", "ensemble")


# -- call-response --------------------------------------------------------------------------


def test_turn_begins_threshold_after_the_last_touch_and_its_first_touch_is_due_dt_later() -> (
    None
):
    take = Take(land(0.25), slide(0.125), threshold=0.5)
    take.down(1.0)
    take.move(1.2)
    assert take.until(1.69).turns == []
    assert take.until(2.0).turns == [("ai", 1.7)]
    assert take.played() == [("down", 1.95)]
    assert take.sounded[-1].dt == 0.25
    assert take.until(2.1).played() == [("down", 1.95), ("move", 2.075)]


def test_touch_of_any_human_restarts_the_silence() -> None:
    take = Take(threshold=0.5)
    take.down(1.0, 1)
    take.down(1.3, 2, "human2")
    take.move(1.6, 1)  # not the finger that is fed, but a touch
    assert take.until(2.05).turns == []
    assert take.until(2.2).turns == [("ai", 2.1)]


def test_silence_counts_from_the_last_down_or_move_and_not_from_an_up() -> None:
    take = Take(threshold=0.5)
    take.down(1.0)
    take.up(1.4)
    assert take.until(2.0).turns == [("ai", 1.5)]
    held = Take(threshold=0.5)
    held.down(1.0)
    assert held.until(2.0).turns == [("ai", 1.5)]


def test_dropped_touch_does_not_restart_the_silence() -> None:
    take = Take(threshold=0.5)
    take.down(1.0)
    take.up(1.4, 7)
    assert take.until(2.0).turns == [("ai", 1.5)]
    assert take.counts.dropped == {"absent finger": 1}


def test_turn_ends_with_a_lift_after_response_seconds() -> None:
    take = Take(land(0.125), slide(0.125), threshold=0.5, response=1.0)
    take.down(1.0)
    take.until(100.0)
    assert take.turns == [("ai", 1.5), ("human", 2.5)]
    played = take.played()
    assert played[-1] == ("up", 2.5)
    assert all(t < 2.5 for _, t in played[:-1])
    assert take.order[-2:] == ["ai up", "turn human"]
    assert take.jam.due is None
    take.move(200.0)  # the finger that was held all the while
    assert take.until(201.0).turns[2:] == [("ai", 200.5)]


def test_touch_due_after_the_end_of_the_turn_is_not_played() -> None:
    take = Take(land(0.5), slide(0.6), threshold=0.5, response=1.0)
    take.down(1.0)
    assert take.until(100.0).played() == [("down", 2.0), ("up", 2.15)]


def test_first_touch_due_after_the_end_of_the_turn_is_drawn_again() -> None:
    take = Take(land(1.0), land(4.0), land(0.25), slide(0.5), threshold=0.5, response=1.0)
    take.down(1.0)
    assert take.until(4.0).played()[:2] == [("down", 1.75), ("move", 2.25)]
    pending = [e for e in take.out if isinstance(e, TouchPending) and e.proposal]
    assert pending[0].proposal == land(0.25)  # rejected draws are not announced


def test_of_many_voices_only_those_due_after_the_end_are_drawn_again() -> None:
    player = ScriptedPlayer(land(2.0), land(0.25), voices=3)
    player.skip(1)
    take = Take(player=player, threshold=0.5, response=1.0)
    take.down(1.0)
    take.until(1.6)
    assert player.counts == [1, 1, 1]


def test_player_whose_every_draw_is_due_after_the_end_is_silent() -> None:
    take = Take(land(1.0), threshold=0.5, response=1.0)
    take.down(1.0)
    assert take.until(4.0).played() == []
    assert take.turns == [("ai", 1.5), ("human", 2.5)]


def test_response_of_0_is_without_end() -> None:
    take = Take(land(5.0), response=0.0)
    take.down(1.0)
    take.until(1001.6)
    assert take.turns == [("ai", 1.5)]
    assert take.counts.played == 200
    assert take.jam.turn_left is None


def test_turn_left_is_the_rest_of_the_response() -> None:
    take = Take(threshold=0.5, response=2.0)
    take.down(1.0)
    assert take.until(2.25).jam.turn_left == pytest.approx(1.25)


@pytest.mark.parametrize("phase", [DOWN, MOVE])
def test_first_human_touch_takes_the_turn_back_at_once(phase: Phase) -> None:
    take = Take(land(0.125), slide(0.25), threshold=0.5)
    take.down(1.0)
    take.jam.finger(1.7, "human2", 5, phase, 0.5, 0.5)
    assert take.order[1:] == ["turn ai", "ai down", "ai up", "turn human", "human2 down"]
    assert take.until(2.1).played() == [("down", 1.625), ("up", 1.7)]


def test_phaseless_touch_takes_the_turn_back() -> None:
    take = Take(land(0.125), slide(0.25), threshold=0.5)
    take.jam.plain(1.0, "human", 0.5, 0.5)
    take.jam.plain(1.7, "human", 0.5, 0.5)
    assert take.turns == [("ai", 1.5), ("human", 1.7)]


def test_up_does_not_take_the_turn_back() -> None:
    take = Take(land(0.125), slide(0.125), threshold=0.5)
    take.down(1.0)
    take.up(1.65)
    assert take.until(1.8).turns == [("ai", 1.5)]
    assert take.played() == [("down", 1.625), ("move", 1.75)]


def test_down_of_a_present_finger_lifts_it_before_the_turn_is_taken_back() -> None:
    take = Take(land(0.125), slide(0.25), threshold=0.5)
    take.down(1.0)
    take.down(1.7)  # its up was lost on the way
    assert take.order[-5:] == ["ai down", "human up", "ai up", "turn human", "human down"]


def test_phaseless_finger_lifts_after_everything_else_due_at_its_instant() -> None:
    """The order of a regeneration, in which the recorded lift is an input."""
    take = Take(threshold=0.15)
    take.jam.plain(1.0, "human", 0.5, 0.5)
    assert take.until(1.15).order == ["human down", "turn ai", "human up"]


def test_cancelled_touch_is_not_fed_and_uses_no_random_numbers() -> None:
    take = Take(land(0.125), slide(0.25, x=0.9), threshold=0.5)
    take.down(1.0)
    take.down(1.7)
    assert take.player.counts == [1]
    assert [row[3] for row in take.player.fed[0]] == [False, False, False]
    take.until(3.0)  # the next turn, from 2.2, goes on with the cancelled touch
    assert take.played()[2] == ("down", 2.45)
    assert [s.touch.x for s in take.sounded if s.touch.who == "ai"][:3] == [0.25, 0.25, 0.9]


def test_machine_never_begins_a_jam() -> None:
    take = Take().until(10_000.0)
    assert take.out == []
    assert take.jam.due is None


def test_answer_begins_a_turn_at_once_with_nothing_fed() -> None:
    take = Take(land(0.25), slide(0.125), response=1.0)
    assert take.set(10.0, "answer")
    take.until(100.0)
    assert take.turns == [("ai", 10.0), ("human", 11.0)]
    assert take.played()[0] == ("down", 10.25)
    assert take.player.human_touches == []


def test_answer_passes_the_turn_before_the_threshold() -> None:
    take = Take(land(0.25), threshold=0.5, response=1.0)
    take.down(1.0)
    assert take.set(1.1, "answer")
    assert not take.set(1.2, "answer")  # the turn is the machine's already
    assert take.until(100.0).turns == [("ai", 1.1), ("human", 2.1)]
    assert take.order.count("answer 1") == 1


# -- duet, as earlier recordings have it ------------------------------------------------------


def test_earlier_duet_answers_every_fed_touch_its_dt_later() -> None:
    take = Take(land(0.125), slide(0.25), mode="duet", modes=EARLIER_MODES)
    take.down(1.0)
    take.move(1.5)
    take.until(10.0)
    assert take.played() == [("down", 1.125), ("up", 1.275), ("down", 1.75), ("up", 1.9)]
    assert [s.dt for s in take.sounded if s.touch.who == "ai"][::2] == [0.125, 0.25]
    assert take.turns == []


def test_earlier_duet_replaces_a_pending_answer_by_that_to_a_newer_touch() -> None:
    take = Take(land(0.25), mode="duet", modes=EARLIER_MODES)
    for t in (1.0, 1.2, 1.4):
        take.move(t)
    assert take.until(10.0).played() == [("down", 1.65), ("up", 1.8)]
    assert (take.counts.replaced, take.counts.played, take.counts.heard) == (2, 1, 3)
    assert take.player.counts == [1]  # a replaced answer uses none


def test_earlier_duet_answers_are_not_fed_and_use_random_numbers() -> None:
    take = Take(land(0.25), slide(0.125), mode="duet", modes=EARLIER_MODES)
    take.down(1.0)
    take.down(2.0)
    take.until(10.0)
    assert take.player.fed[0] == take.player.human_touches
    assert [round(row[2], 9) for row in take.player.human_touches] == [0.0, 1.0]
    assert take.player.counts == [2]


def test_earlier_duet_does_not_answer_a_finger_that_is_not_fed() -> None:
    take = Take(land(0.01), mode="duet", modes=EARLIER_MODES)
    take.down(1.0, 1)
    take.down(2.0, 2)
    take.until(3.0)
    take.move(3.0, 1)
    take.up(3.5, 2)
    assert take.until(4.0).counts.played == 2
    take.move(4.0, 1)
    assert take.until(5.0).counts.played == 3


def test_earlier_duet_answer_is_a_move_while_the_machine_s_finger_is_down() -> None:
    take = Take(land(0.1), slide(0.1), slide(0.1), mode="duet", modes=EARLIER_MODES)
    take.down(1.0)
    take.move(1.12)  # answered at 1.22, before the finger would lift by itself
    take.until(1.5)
    assert take.played() == [("down", 1.1), ("move", 1.22), ("up", 1.37)]


def test_answer_in_an_earlier_duet_plays_one_touch_with_nothing_fed() -> None:
    take = Take(land(0.25), mode="duet", modes=EARLIER_MODES)
    assert take.set(3.0, "answer")
    assert take.until(10.0).played() == [("down", 3.25), ("up", 3.4)]


# -- solo and listen ------------------------------------------------------------------------


def test_solo_plays_by_itself_and_is_fed_no_human() -> None:
    take = Take(land(0.25), slide(0.5), mode="solo")
    assert take.jam.turn == "ai"
    take.down(1.0)
    take.up(1.1)
    take.until(2.0)
    assert take.player.human_touches == []
    assert take.counts.heard == 0
    assert take.played("human") == [("down", 1.0), ("up", 1.1)]
    assert take.played() == [
        *[("down", 0.25), ("move", 0.75), ("up", 0.9), ("down", 1.0)],
        *[("move", 1.5), ("up", 1.65), ("down", 1.75)],
    ]


def test_listen_is_silent_and_is_fed() -> None:
    take = Take(mode="listen")
    take.down(1.0)
    assert not take.set(2.0, "answer")
    take.until(1000.0)
    assert take.order == ["human down"]
    assert take.player.human_touches == [(0.5, 0.5, 0.0, False)]


# -- voices ---------------------------------------------------------------------------------


def test_voices_play_in_the_machine_s_turn_with_a_finger_each() -> None:
    take = Take(land(0.25), slide(0.125), threshold=0.5, voices=3)
    take.down(1.0)
    take.until(1.8)
    for who in ("ai", "ai2", "ai3"):
        assert take.played(who) == [("down", 1.75)]
    take.down(1.8, 9)
    assert [take.played(who)[-1] for who in ("ai", "ai2", "ai3")] == [("up", 1.8)] * 3
    assert take.player.counts == [1, 1, 1]
    assert take.order.count("turn ai") == take.order.count("turn human") == 1
    assert {s.touch.id for s in take.sounded if is_machine(s.touch.who)} == {0}


def test_voices_play_different_touches_and_are_fed_their_own() -> None:
    take = Take(player=RandomPlayer(voices=2), mode="solo").until(20.0)
    assert take.played("ai")
    assert take.played("ai") != take.played("ai2")
    for voice, who in enumerate(("ai", "ai2")):
        own = [s for s in take.sounded if s.touch.who == who and s.touch.phase is not UP]
        assert len(own) == take.player.counts[voice]
        assert [s.touch.dt for s in own] == [row[2] for row in take.player.fed[voice]]


def test_all_voices_are_fed_the_same_human_touches() -> None:
    take = Take(player=RandomPlayer(voices=2), mode="listen")
    take.down(1.0)
    take.move(1.5)
    assert take.player.fed[0] == take.player.fed[1] == take.player.human_touches


# -- touches of the machine -----------------------------------------------------------------


def test_late_wake_up_moves_no_deadline() -> None:
    take = Take(land(0.1), slide(0.1), mode="solo")
    for t in (0.13, 0.21, 7.77, 50.0, 100.05):
        take.until(t)
    assert [t for phase, t in take.played() if phase != "up"] == [
        round(0.1 * n, 9) for n in range(1, 1001)
    ]


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_timescale_changes_deadlines_and_not_the_dt_that_is_fed(
    scale: float,
) -> None:
    take = Take(land(0.25), slide(0.5), mode="solo", timescale=scale).until(2.0 * scale)
    touches = [s for s in take.sounded if s.touch.phase is not UP]
    assert [s.t for s in touches] == [scale * t for t in (0.25, 0.75, 1.0, 1.5, 1.75)]
    assert [s.dt for s in touches] == [scale * dt for dt in (0.25, 0.5, 0.25, 0.5, 0.25)]
    assert [s.touch.dt for s in touches] == [0.25, 0.5, 0.25, 0.5, 0.25]
    assert [row[2] for row in take.player.fed[0]] == [0.25, 0.5, 0.25, 0.5, 0.25]


def test_timescale_changes_the_deadlines_of_an_earlier_duet() -> None:
    take = Take(land(0.25), mode="duet", modes=EARLIER_MODES, timescale=2.0)
    take.down(1.0)
    assert take.until(5.0).played()[0] == ("down", 1.5)
    assert take.sounded[1].dt == 0.5


@pytest.mark.parametrize(
    ("proposal", "clipped"),
    [
        (Proposal(-0.5, 1.5, -1.0, moving=False), (0.0, 1.0, 0.001)),
        (Proposal(7.0, -7.0, 99.0, moving=False), (1.0, 0.0, 5.0)),
        (Proposal(0.5, 0.5, math.inf, moving=False), (0.5, 0.5, 5.0)),
    ],
)
def test_touch_out_of_range_is_clipped_before_it_is_played_and_fed(
    proposal: Proposal, clipped: tuple[float, float, float]
) -> None:
    take = Take(proposal, mode="solo").until(5.0)
    first = take.sounded[0]
    assert (first.touch.x, first.touch.y, first.touch.dt) == clipped
    assert (first.t, first.dt) == (clipped[2], clipped[2])
    assert take.player.fed[0][0] == (*clipped, False)


def test_move_without_a_finger_down_is_played_and_fed_as_a_down() -> None:
    take = Take(slide(0.1), mode="solo").until(0.35)
    assert take.played() == [("down", 0.1), ("move", 0.2), ("move", 0.3)]
    assert [row[3] for row in take.player.fed[0]] == [False, True, True]


def test_machine_s_finger_lifts_when_its_next_down_is_due() -> None:
    take = Take(land(0.1), mode="solo").until(0.25)
    assert take.played() == [("down", 0.1), ("up", 0.2), ("down", 0.2)]
    up = take.sounded[1].touch
    assert (up.x, up.y, up.dt) == (0.25, 0.75, pytest.approx(0.1))


def test_machine_s_finger_lifts_after_150_ms_if_no_move_is_pending() -> None:
    take = Take(land(1.0), slide(0.5), mode="solo").until(2.9)
    assert take.played() == [
        *[("down", 1.0), ("move", 1.5), ("up", 1.65), ("down", 2.5)],
    ]
    assert take.sounded[2].touch.dt == pytest.approx(0.15)


def test_machine_s_finger_lifts_when_a_control_turns_the_pending_move_into_a_down() -> None:
    """The finger was held for a move, which a control makes another touch."""
    player = ScriptedPlayer(land(0.1), slide(2.0))
    take = Take(player=player, mode="solo").until(1.0)
    player.script = (land(0.1), land(2.0))
    take.set(1.0, "temperature", 0.5)
    assert take.until(3.0).played()[:3] == [("down", 0.1), ("up", 1.0), ("down", 2.1)]


def test_next_touch_is_sampled_as_soon_as_one_is_played() -> None:
    take = Take(land(0.1), slide(0.3), mode="solo").until(0.1)
    assert take.pending.t == 0.1
    assert take.pending.due == pytest.approx(0.4)
    assert take.pending.proposal == slide(0.3)
    assert take.jam.due == pytest.approx(0.4)


# -- touches that are fed ------------------------------------------------------------------


def test_dt_fed_is_the_time_since_the_last_fed_touch_of_anyone() -> None:
    take = Take(land(0.25), slide(10.0), threshold=0.5)
    take.down(1.0)  # the first: 0
    take.down(1.2, 1, "human2")  # 0.2
    take.move(1.4)  # not fed
    take.up(1.5)  # an up is never fed
    take.move(1.6, 1, "human2")  # 0.4
    take.until(2.36)  # the machine plays at 2.35, from 2.1: its own dt
    take.down(2.45)  # 0.1 after that
    assert [round(row[2], 9) for row in take.player.fed[0]] == [0.0, 0.2, 0.4, 0.25, 0.1]
    assert take.sounded[-1].touch.dt == pytest.approx(1.05)  # since 1.4, its own last touch


def test_long_silence_is_fed_as_the_longest_dt() -> None:
    take = Take(mode="listen")
    take.down(1.0)
    take.down(100.0, 1)
    assert take.player.human_touches[-1][2] == 5.0
    assert take.sounded[-1].touch.dt == 99.0


def test_own_clock_gives_the_dt_that_is_fed_and_arrival_the_turn() -> None:
    take = Take(land(1.0), threshold=0.5)
    take.jam.plain(1.0, "human", 0.5, 0.5, 0.0)
    take.jam.plain(1.08, "human", 0.5, 0.5, 0.02)
    take.jam.plain(1.1, "human", 0.5, 0.5, 2.0)
    assert [(row[2], row[3]) for row in take.player.human_touches] == [
        *[(0.0, False), (0.02, True), (2.0, False)]
    ]
    assert [s.touch.dt for s in take.sounded] == [0.0, 0.02, pytest.approx(0.02), 2.0]
    assert take.until(2.0).turns == [("ai", 1.6)]
    assert take.played("human")[-1] == ("up", 1.25)


def test_touch_due_at_the_time_of_an_input_is_played_before_it() -> None:
    take = Take(land(0.25), mode="duet")
    take.down(1.0)
    take.move(1.25)  # as the answer is due
    assert take.order == ["human down", "ai down", "human move"]
    assert take.counts.replaced == 0
    control = Take(land(0.25), mode="solo")
    control.set(0.25, "mode", "listen")
    assert control.order == ["ai down", "mode listen", "ai up", "turn human"]


# -- controls -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["temperature", "spread"])
def test_control_resamples_the_pending_touch_from_the_same_random_numbers(name: str) -> None:
    player = RandomPlayer()
    take = Take(player=player, mode="solo", **{name: 0.5})
    before = take.pending
    assert take.set(0.0, name, 2.0)
    sampling = (2.0, 1.0) if name == "temperature" else (1.0, 2.0)
    assert player.sampling == sampling
    assert take.pending.proposal != before.proposal
    assert player.counts == [0]
    assert take.set(0.0, name, 0.5)
    assert take.pending == before  # the same random numbers
    assert take.order == [f"{name} 2.0", f"{name} 0.5"]


def test_control_set_to_the_value_in_force_has_no_effect() -> None:
    take = Take(mode="solo")
    events_before = len(take.out)
    for name in (
        "temperature",
        "spread",
        "timescale",
        "threshold",
        "response",
        "mode",
        "pause",
    ):
        assert not take.set(0.05, name, getattr(take.settings, name))
    assert len(take.out) == events_before


def test_new_timescale_applies_to_the_pending_touch() -> None:
    take = Take(land(1.0), mode="solo")
    take.set(0.5, "timescale", 2.0)
    assert take.until(1.9).played() == []
    assert take.until(2.1).played() == [("down", 2.0)]
    take.set(3.5, "timescale", 0.5)  # it would have been due at 2.5, so it is due now
    assert take.pending.due == 3.5
    assert take.until(3.5).played()[1:] == [("up", 2.15), ("down", 3.5)]
    assert take.sounded[-1].dt == 0.5
    assert take.until(4.0).played()[-1] == ("down", 4.0)  # and on from there


def test_new_threshold_applies_to_the_present_silence() -> None:
    take = Take(threshold=10.0)
    take.down(1.0)
    take.set(2.0, "threshold", 1.5)
    assert take.until(3.0).turns == [("ai", 2.5)]
    over = Take(land(0.1), threshold=10.0)
    over.down(1.0)
    over.set(3.0, "threshold", 0.5)
    assert over.until(3.15).turns == [("ai", 3.0)]
    assert over.played() == [("down", 3.1)]


def test_new_threshold_does_not_answer_a_silence_again() -> None:
    take = Take(threshold=0.5, response=1.0)
    take.down(1.0)
    take.until(5.0)
    take.set(5.0, "threshold", 10.0)
    assert take.until(50.0).turns == [("ai", 1.5), ("human", 2.5)]


def test_new_response_applies_to_the_present_turn() -> None:
    take = Take(land(0.125), slide(0.25), threshold=0.5, response=5.0)
    take.down(1.0)
    take.set(2.0, "response", 1.0)
    assert take.until(9.0).turns == [("ai", 1.5), ("human", 2.5)]
    over = Take(land(0.125), slide(0.25), threshold=0.5, response=5.0)
    over.down(1.0)
    over.set(4.0, "response", 1.0)
    assert over.until(9.0).turns == [("ai", 1.5), ("human", 4.0)]
    assert over.played()[-1] == ("up", 4.0)


def test_longer_response_resamples_a_touch_dropped_as_too_late() -> None:
    take = Take(land(0.5), slide(1.0), threshold=0.5, response=1.0)
    take.down(1.0)
    take.until(2.1)
    take.set(2.2, "response", 0.0)
    assert take.until(3.1).played() == [("down", 2.0), ("up", 2.15), ("down", 3.0)]


def test_reset_clears_the_player_and_resamples_the_pending_touch() -> None:
    player = RandomPlayer()
    take = Take(player=player, threshold=0.5)
    take.down(1.0)
    take.down(1.2)
    take.until(1.7)
    before = take.pending
    assert take.set(1.7, "reset")
    assert player.fed == [[]]
    assert take.pending.proposal != before.proposal
    assert player.counts == [0]
    take.move(1.71)
    assert player.fed == [[(0.5, 0.5, 0.0, False)]]  # as the first touch


def test_seed_restarts_the_random_numbers() -> None:
    player = RandomPlayer()
    take = Take(player=player, mode="solo")
    first = take.pending.proposal
    take.until(30.0)
    assert player.counts[0] > 3
    take.set(30.0, "seed", 7)
    assert (player.seeded, player.counts) == (7, [0])
    take.set(30.0, "reset")
    other = take.pending.proposal
    take.set(30.0, "seed", 0)
    assert take.pending.proposal == first
    assert other != first
    assert take.set(30.0, "seed", 0)  # the same seed takes effect each time


# -- pause ----------------------------------------------------------------------------------


def test_pause_lifts_and_holds_and_resumes_with_the_wait_that_was_left() -> None:
    take = Take(land(0.25), slide(0.5), mode="solo").until(0.4)
    assert take.set(0.4, "pause", 1)
    assert take.until(100.0).played() == [("down", 0.25), ("up", 0.4)]
    assert take.jam.due is None
    take.set(100.4, "pause", 0)
    assert take.until(100.8).played()[2:] == [
        ("down", 100.75)
    ]  # a down, since its finger was lifted
    assert take.sounded[-1].dt == 0.5
    assert take.player.fed[0][-1][3] is False


def test_pending_touch_is_announced_again_after_a_pause() -> None:
    take = Take(land(0.25), slide(0.5), mode="solo").until(0.4)
    take.set(0.4, "pause", 1)
    take.set(100.4, "pause", 0)
    assert take.pending.t == 100.4
    assert take.pending.due == pytest.approx(100.75)


def test_pause_stops_the_response_clock() -> None:
    take = Take(land(0.125), slide(0.125), threshold=0.5, response=1.0)
    take.down(1.0)
    take.set(2.0, "pause", 1)
    assert take.until(50.0).turns == [("ai", 1.5)]
    assert take.jam.turn_left == pytest.approx(0.5)
    take.set(50.0, "pause", 0)
    assert take.until(99.0).turns == [("ai", 1.5), ("human", 50.5)]


def test_pause_stops_the_silence_and_a_pending_answer() -> None:
    take = Take(threshold=0.5)
    take.down(1.0)
    take.set(1.2, "pause", 1)
    take.set(9.2, "pause", 0)
    assert take.until(20.0).turns[0] == ("ai", 9.5)
    duet = Take(land(0.5), mode="duet")
    duet.down(1.0)
    duet.set(1.2, "pause", 1)
    duet.set(9.2, "pause", 0)
    assert duet.until(20.0).played()[0] == ("down", 9.5)


def test_pending_touch_in_a_pause_is_announced_with_the_wait_that_is_left() -> None:
    take = Take(land(1.0), mode="solo")
    take.set(0.25, "pause", 1)
    take.set(5.0, "seed", 3)
    assert take.pending.due - take.pending.t == 0.75


def test_human_touch_in_a_pause_is_fed_and_takes_the_turn() -> None:
    take = Take(land(0.25), slide(0.125), threshold=0.5)
    take.down(1.0)
    take.set(1.6, "pause", 1)
    take.down(5.0)
    assert take.player.human_touches[-1] == (0.5, 0.5, 4.0, False)
    assert take.until(20.0).turns == [("ai", 1.5), ("human", 5.0)]
    take.set(20.0, "pause", 0)
    assert take.until(30.0).turns[2] == ("ai", 20.5)
    assert take.played()[0] == ("down", 20.75)


def test_phaseless_finger_lifts_in_a_pause() -> None:
    take = Take()
    take.set(0.5, "pause", 1)
    take.jam.plain(1.0, "human", 0.5, 0.5)
    assert take.until(2.0).played("human") == [("down", 1.0), ("up", 1.15)]


def test_answer_requested_in_a_pause_is_played_after_it() -> None:
    take = Take(land(0.25))
    take.set(1.0, "pause", 1)
    take.set(2.0, "answer")
    assert take.until(9.0).played() == []
    take.set(9.0, "pause", 0)
    assert take.until(9.3).played() == [("down", 9.25)]


def test_control_in_a_pause_changes_the_pending_touch() -> None:
    take = Take(land(1.0), mode="solo")
    take.set(0.5, "pause", 1)
    take.set(2.0, "timescale", 2.0)
    take.set(3.0, "pause", 0)
    assert take.until(9.0).played()[0] == ("down", 4.5)


def test_silence_in_a_pause_is_answered_after_a_change_of_mode() -> None:
    take = Take(threshold=0.5, mode="listen")
    take.set(10.0, "pause", 1)
    take.down(14.0)
    take.set(15.0, "mode", "call-response")
    take.set(20.0, "pause", 0)
    assert take.until(30.0).turns[0] == ("ai", 20.5)
    before = Take(threshold=0.5, mode="listen")
    before.down(9.75)
    before.set(10.0, "pause", 1)
    before.set(20.0, "pause", 0)
    before.set(20.1, "mode", "call-response")
    assert before.until(30.0).turns[0] == ("ai", 20.25)


# -- panic ----------------------------------------------------------------------------------


def test_panic_lifts_all_and_silences_until_the_next_human_touch() -> None:
    take = Take(land(0.125), slide(0.125), threshold=0.5)
    take.down(1.0)
    assert take.set(1.7, "panic")
    assert take.order[-4:] == ["panic 1", "ai up", "human up", "turn human"]
    assert take.jam.fingers == 0
    assert not take.set(1.8, "panic")  # the jam is silent already
    assert not take.set(2.0, "answer")
    take.up(2.1)
    assert take.until(100.0).played() == [("down", 1.625), ("up", 1.7)]
    take.move(100.0)
    assert take.played("human")[-1] == ("down", 100.0)
    assert take.until(101.0).turns[-1] == ("ai", 100.5)


@pytest.mark.parametrize("mode", ["call-response", "duet"])
def test_pause_does_not_end_a_panic_and_a_touch_does(mode: str) -> None:
    take = Take(land(0.25), mode=mode, threshold=60.0)
    take.set(1.0, "panic")
    assert not take.set(1.1, "pause", 0)
    take.set(1.2, "pause", 1)
    take.set(1.3, "pause", 0)
    assert not take.set(1.4, "answer")
    take.down(2.0)
    assert take.set(2.1, "answer")
    assert take.until(3.0).played()[0] == ("down", 2.35)


def test_panic_cancels_the_answer_to_the_present_silence() -> None:
    take = Take(threshold=0.5)
    take.down(1.0)
    take.set(1.2, "panic")
    take.set(1.3, "temperature", 0.5)
    assert take.until(100.0).turns == []


def test_panic_in_duet_cancels_the_answer() -> None:
    take = Take(land(0.25), mode="duet")
    take.down(1.0)
    take.set(1.1, "panic")
    assert take.until(9.0).played() == []
    take.down(9.0)
    assert take.until(10.0).played()[0] == ("down", 9.25)


def test_panic_in_solo_lasts_until_pause_0() -> None:
    take = Take(land(0.25), mode="solo").until(0.3)
    take.set(0.3, "panic")
    take.down(1.0)
    for name, value in (("seed", 3), ("reset", 1), ("timescale", 0.5)):
        take.set(2.0, name, value)
    assert take.until(9.0).played() == [("down", 0.25), ("up", 0.3)]
    assert take.set(9.0, "pause", 0)  # though it was not paused
    assert take.until(9.2).played()[2:] == [("down", 9.125)]


def test_panic_while_paused_in_solo_lasts_until_pause_0() -> None:
    take = Take(land(0.25), mode="solo")
    take.set(0.1, "pause", 1)
    take.set(0.2, "panic")
    take.set(5.0, "pause", 0)
    assert take.until(6.0).played()[0] == ("down", 5.25)


def test_panic_holds_through_a_change_of_mode() -> None:
    take = Take(land(0.25), threshold=0.5)
    take.down(1.0)
    take.set(1.1, "panic")
    for mode in ("duet", "solo", "call-response"):
        take.set(1.2, "mode", mode)
        assert take.until(1.2).jam.due is None
    take.set(1.2, "mode", "solo")
    take.set(2.0, "pause", 0)
    assert take.until(3.0).played()[0] == ("down", 2.25)


# -- modes that change ----------------------------------------------------------------------


def playing_in(mode: str) -> Take:
    """Return a jam in which the machine's finger is down, in all modes but listen."""
    take = Take(land(0.0625), slide(0.25), mode=mode, threshold=0.5)
    take.down(1.0)
    if mode == "call-response":
        take.until(1.6)
    elif mode == "duet":
        take.move(1.1)
    else:
        take.until(1.1)
    return take


@pytest.mark.parametrize("before", MODES)
@pytest.mark.parametrize("after", MODES)
def test_change_of_mode_cancels_the_pending_touch_and_lifts(before: str, after: str) -> None:
    if before == after:
        return
    take = playing_in(before)
    now = take.jam.t
    lifted = before != "listen" and take.jam.fingers == 2
    played_before = len(take.sounded)
    assert take.set(now, "mode", after)
    assert take.jam.fingers == 1  # the human's
    assert [s.touch.phase for s in take.sounded[played_before:]] == [UP] * lifted
    assert take.jam.turn == ("ai" if after == "solo" else "human")
    after_lift = played_before + lifted
    new = take.until(now + 0.3).sounded[after_lift:]
    machine = [s for s in new if is_machine(s.touch.who)]
    if after == "solo":
        assert [s.t for s in machine][:1] == [take.sounded[after_lift].t]
        assert machine[0].touch.phase is DOWN
        assert now < machine[0].t <= now + 0.25
    else:
        assert machine == []  # duet waits for a touch, call-response for a silence
    take.until(60.0)
    answered = any(turn == "ai" for turn, t in take.turns if t > now)
    # A silence that has not been answered yet is answered.
    assert answered == (after == "call-response" and before != "call-response")
    assert take.settings.mode == after


def test_silence_is_not_answered_in_a_mode_without_turns() -> None:
    take = Take(threshold=0.5)
    take.down(1.0)
    take.set(1.2, "mode", "listen")
    assert take.until(99.0).turns == []


def test_silence_that_is_over_begins_no_turn_when_the_mode_changes() -> None:
    take = Take(threshold=0.5, mode="listen")
    take.down(1.0)
    take.set(9.0, "mode", "call-response")
    assert take.until(99.0).turns == []


# -- another model --------------------------------------------------------------------------


def test_new_model_goes_on_with_the_same_random_numbers_and_deadlines() -> None:
    take = Take(land(0.25), slide(0.5), mode="solo").until(0.4)
    new = ScriptedPlayer(land(0.25), land(1.0))
    take.jam.swap(0.4, new, "new.safetensors")
    assert take.order[-2:] == ["model new.safetensors", "ai up"]
    # With the old one's random numbers, from its last touch on, and its sampling.
    assert (new.counts, new.fed, new.sampling) == ([1], [[]], (1.0, 1.0))
    assert take.until(1.3).played() == [("down", 0.25), ("up", 0.4), ("down", 1.25)]


def test_new_model_has_been_fed_nothing() -> None:
    take = Take(mode="listen")
    take.down(1.0)
    new = ScriptedPlayer()
    take.jam.swap(2.0, new, "new.safetensors")
    take.move(3.0)
    assert new.human_touches == [(0.5, 0.5, 0.0, False)]


# -- the beginning and the end --------------------------------------------------------------


def test_nothing_is_due_before_the_take_begins() -> None:
    out: list[Event] = []
    jam = Jam(ScriptedPlayer(), Settings(mode="listen"), out.append)
    assert not jam.starts_alone
    jam.control(0.0, "mode", "solo")
    assert jam.starts_alone
    assert jam.due is None
    jam.begin(0)
    assert jam.due == pytest.approx(0.1)


def test_finish_plays_what_is_due_and_lifts_every_finger() -> None:
    take = Take(land(0.25), slide(0.5), mode="solo", voices=2)
    take.down(0.1)
    take.jam.plain(0.2, "human2", 0.5, 0.5)
    take.jam.finish(0.3)
    assert take.jam.fingers == 0
    assert take.jam.due is None
    assert sorted(take.order[-4:]) == ["ai up", "ai2 up", "human up", "human2 up"]
    assert take.played()[0] == ("down", 0.25)


# -- a machine that cannot keep up ------------------------------------------------------------


def test_what_is_pending_is_delayed_and_the_turn_is_not_longer() -> None:
    take = Take(land(0.25), slide(0.25), threshold=0.5, response=1.1)
    take.down(1.0)
    take.until(1.8)  # the turn begins at 1.5
    take.set(1.8, "held_up", 0.1)
    take.until(5.0)
    assert take.played()[:2] == [("down", 1.75), ("move", 2.1)]
    assert take.played()[2:] == [("up", 2.25), ("down", 2.35), ("up", 2.5)]
    assert take.turns == [("ai", 1.5), ("human", 2.6)]


def test_voices_that_rest_lift_are_fed_nothing_and_come_back_with_the_first_one_s_memory() -> (
    None
):
    take = Take(land(0.1), slide(0.1), voices=3, mode="solo")
    take.until(0.25)
    take.set(0.25, "resting", 2)
    assert [who for who in ("ai2", "ai3") if take.played(who)[-1] == ("up", 0.25)] == [
        "ai2",
        "ai3",
    ]
    before = len(take.player.fed[2])
    take.until(1.0)
    assert len(take.player.fed[2]) == before
    assert len(take.played()) > 8
    take.set(1.0, "resting", 1)
    assert take.player.fed[1] == take.player.fed[0]
    take.until(2.0)
    assert take.played("ai2")[-1][1] > 1.8
    assert take.played("ai3")[-1] == ("up", 0.25)


def test_voices_that_come_back_in_the_human_s_turn_wait_for_theirs() -> None:
    take = Take(land(0.1), voices=2, threshold=0.5)
    take.set(0.1, "resting", 1)
    take.down(0.2)
    take.set(0.3, "resting", 0)
    take.until(0.69)
    assert take.played("ai2") == []
    take.until(1.0)
    assert take.played("ai2")


# -- any jam -----------------------------------------------------------

whos = st.sampled_from(["human", "human2"])
unit = st.floats(0, 1)
OTHER_MODES = st.sampled_from(MODES)
fingers = st.tuples(
    st.just("finger"), whos, st.integers(0, 2), st.sampled_from(Phase), unit, unit
)
plains = st.tuples(
    st.just("plain"), whos, unit, unit, st.none() | st.sampled_from([0.0, 0.03, 0.1, 0.4])
)
controls = st.one_of(
    st.tuples(st.just("mode"), OTHER_MODES),
    st.tuples(st.just("pause"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["answer", "reset", "panic"]), st.just(1)),
    st.tuples(st.just("seed"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["temperature", "spread"]), st.sampled_from([0.0, 1.0, 2.0])),
    st.tuples(st.just("timescale"), st.sampled_from([0.2, 1.0, 3.0])),
    st.tuples(st.just("threshold"), st.sampled_from([0.05, 0.15, 0.5])),
    st.tuples(st.just("response"), st.sampled_from([0.0, 0.4, 2.0])),
    st.tuples(st.just("held_up"), st.sampled_from([0.004, 0.3])),
    st.tuples(st.just("resting"), st.integers(0, 1)),
).map(lambda named: ("control", *named))
swaps = st.just(("swap",))
gaps = st.sampled_from([0.0, 0.001, 0.02, 0.05, 0.1, 0.15, 0.3, 0.7, 1.5])
inputs = st.lists(
    st.tuples(gaps, st.one_of(fingers, fingers, plains, controls, controls, swaps)),
    min_size=5,
    max_size=40,
)
starts = st.fixed_dictionaries(
    {"mode": OTHER_MODES, "threshold": st.sampled_from([0.05, 0.15, 0.5])},
    optional={"response": st.sampled_from([0.0, 0.4, 2.0]), "voices": st.integers(1, 2)},
)
Input = tuple[float, tuple[Any, ...]]
#: How many voices hear a touch at once.
TOGETHER = st.sampled_from([1, 32])


def voices_that_hear(together: int) -> AbstractContextManager[Any]:
    """Have so many voices hear a touch at once, and the others later."""
    return patch("robojam.jam.voices._TOGETHER", together)


def play(inputs: list[Input], start: dict[str, Any], *, fine: bool = False) -> Take:
    """Play a jam to its end, waking for inputs alone, or (fine) more often than needed."""
    voices = start.get("voices", 1)
    options = {name: value for name, value in start.items() if name != "voices"}
    take = Take(player=RandomPlayer(voices=voices), **options)
    t = 0.0
    for gap, (kind, *args) in [*inputs, (2.0, ("end",))]:
        if fine:
            for part in range(1, 4):
                take.until(t + gap * part / 4)
            while (due := take.jam.due) is not None and due < t + gap:
                assert due >= take.jam.t
                take.until(due)
        t += gap
        if kind == "finger":
            who, finger, phase, x, y = args
            take.jam.finger(t, who, finger, phase, x, y)
        elif kind == "plain":
            take.jam.plain(t, *args)
        elif kind == "control":
            take.set(t, *args)
        elif kind == "swap":
            take.jam.swap(t, RandomPlayer(voices=voices), "whim.safetensors")
        else:
            take.jam.finish(t)
    return take


@given(inputs, starts, TOGETHER)
@settings(max_examples=200)
def test_events_of_any_jam_obey_the_contract(
    inputs: list[Input], start: dict[str, Any], together: int
) -> None:
    with voices_that_hear(together):
        take = play(inputs, start)
    mode, pause, silenced, turn = start["mode"], 0, False, "human"
    if mode == "solo":
        turn = "ai"
    t, fingers, last = 0.0, {}, {}
    for event in take.out:
        assert event.t >= t  # time never runs backwards
        t = event.t
        if isinstance(event, TurnChanged):
            assert event.whose != turn
            turn = event.whose
        elif isinstance(event, TouchPending):
            assert event.due >= event.t
        elif isinstance(event, ControlChanged):
            mode = event.value if event.name == "mode" else mode
            pause = event.value if event.name == "pause" else pause
            silenced |= event.name == "panic"
            if (event.name, event.value, mode) == ("pause", 0, "solo"):
                silenced = False
        else:
            touch = event.touch
            key, machine = (touch.who, touch.id), is_machine(touch.who)
            assert 0 <= touch.x <= 1
            assert 0 <= touch.y <= 1
            if touch.phase is UP:  # an up follows a down, and has its last place
                x, y, since = fingers.pop(key)
                assert (touch.x, touch.y, touch.dt) == (x, y, event.t - since)
                continue
            assert (key in fingers) == (touch.phase is MOVE)
            fingers[key] = (touch.x, touch.y, event.t)
            if machine:
                assert touch.id == 0
                assert 0.001 <= touch.dt <= 5.0
                assert not pause
                assert not silenced
                assert mode != "listen"
                assert mode == "duet" or turn == "ai"
            else:
                silenced &= mode == "solo"
                assert touch.who in last or touch.dt == 0.0
                last[touch.who] = event.t
                assert mode != "call-response" or turn == "human"
    assert fingers == {}  # every finger is lifted in the end
    assert take.jam.fingers == 0
    machine = [s for s in take.sounded if is_machine(s.touch.who) and s.touch.phase is not UP]
    assert take.counts.played == len(machine)


@given(inputs, starts, TOGETHER)
@settings(max_examples=150)
def test_waking_more_often_changes_no_event(
    inputs: list[Input], start: dict[str, Any], together: int
) -> None:
    with voices_that_hear(together):
        coarse, fine = play(inputs, start), play(inputs, start, fine=True)
    assert coarse.out == fine.out
    assert coarse.counts == fine.counts


@given(inputs, starts)
@settings(max_examples=150)
def test_random_numbers_are_used_by_played_and_by_rejected_touches_alone(
    inputs: list[Input], start: dict[str, Any]
) -> None:
    take = play(inputs, start)
    counts: dict[str, int] = {}
    may_reject = False
    for event in take.out:
        if isinstance(event, ControlChanged) and event.name == "seed":
            counts = {}
        if isinstance(event, TouchPlayed) and event.touch.phase is not UP:
            counts[event.touch.who] = counts.get(event.touch.who, 0) + 1
            may_reject |= is_machine(event.touch.who)  # a finger that stays there for too long
        may_reject |= isinstance(event, TurnChanged)  # what would come after the turn
    played = [counts.get(who, 0) for who in ("ai", "ai2")[: start.get("voices", 1)]]
    used = take.jam.player.counts  # type: ignore[attr-defined]
    assert all(more >= least for more, least in zip(used, played, strict=True))
    assert may_reject or used == played


@given(inputs, starts, TOGETHER)
@settings(max_examples=150)
def test_recording_of_any_jam_is_regenerated_exactly(
    inputs: list[Input], start: dict[str, Any], together: int
) -> None:
    with voices_that_hear(together):
        take = play(inputs, start)
    events: list[SessionEvent] = []
    for event in take.out:
        if isinstance(event, TouchPlayed):
            events.append(TouchEvent(event.t, event.touch))
        elif isinstance(event, ControlChanged):
            value = {"file": event.value} if event.name == "model" else event.value
            events.append(SetEvent(event.t, {event.name: value}))
    events.append(EndEvent(take.jam.t, "stopped"))
    header = Header(
        started="2026-11-20T10:30:00+00:00",
        model=ModelRef("whim.safetensors", ""),
        device="cpu",
        build="",
        seed=0,
        options={"follow": Settings().follow, **start},
        rules=RULES,
    )
    session = Session(header, tuple(events))
    voices = start.get("voices", 1)
    with voices_that_hear(together):
        regenerated = regenerate(
            session, RandomPlayer(voices=voices), lambda _: RandomPlayer(voices=voices)
        )
        assert first_difference(session, list(regenerated)) is None


# -- the next event, which is cached --------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_reading_due_changes_nothing_and_is_never_out_of_date(mode: str) -> None:
    """Asked within events, before and after them, it is as if it were never cached."""

    def jam(*, asking: bool) -> tuple[Take, list[Event]]:
        take = Take(player=RandomPlayer(voices=3), mode=mode, threshold=0.1, response=0.9)
        events: list[Event] = []

        def sink(event: Event) -> None:
            events.append(event)
            if asking:
                assert take.jam.due is None or take.jam.due >= take.jam.t

        take.jam.sink = take.jam.voices.sink = sink
        return take, events

    quiet, asking = jam(asking=False), jam(asking=True)
    for take, _ in (quiet, asking):
        t = 0.0
        for i in range(120):
            t += 0.01 + 0.37 * (i % 13 == 12)
            take.down(t, finger=i % 3) if i % 5 == 0 else take.move(t, finger=i % 3)
            if i % 11 == 10:
                take.jam.plain(t, "human2", 0.1, 0.2)
            if i % 17 == 16:
                name = ("pause", "pause", "panic", "reset", "timescale", "answer", "mode")[
                    i % 7
                ]
                value = {"timescale": 0.5 + i / 60, "mode": MODES[i % 5]}.get(name, i % 2)
                take.set(t, name, value)
            if take is asking[0]:
                cached, _ = take.jam._upcoming or take.jam._find_upcoming()
                assert cached == take.jam._find_upcoming()[0]
        take.jam.finish(t + 3.0)
    assert quiet[1] == asking[1]
    assert len(quiet[1]) > 100


def test_dwell_limit_in_force_bounds_how_long_the_finger_stays() -> None:
    at_one_place = [land(0.25, 0.5, 0.5), *[slide(0.25, 0.5, 0.5)] * 7, slide(0.25, 0.9, 0.1)]
    for limit, longest in ((0.5, 0.5), (1.5, 1.5)):
        take = Take(*at_one_place, mode="solo", dwell=limit)
        take.until(6.0)
        stays, since = [], 0.25
        for last, played in itertools.pairwise([s for s in take.sounded if s.touch.x]):
            if (played.touch.x, played.touch.y) != (last.touch.x, last.touch.y):
                stays.append(last.t - since)
                since = played.t
        assert max(stays) == pytest.approx(longest)


def test_player_computes_ahead_when_the_touch_has_left_and_not_while_one_is_due_at_once() -> (
    None
):
    take = Take(land(0.001), land(0.5), mode="duet")
    take.down(0.0)
    assert take.jam.prepare(0.0005) == 0.0015  # an answer is due, and would wait
    take.until(0.001)
    assert len(take.played()) == 1
    assert take.player.prepared == 0
    assert take.jam.prepare(0.002) == math.inf
    assert take.player.prepared == 1
    assert take.jam.prepare(0.003) == math.inf  # there is nothing new
    assert take.player.prepared == 1
    take.move(0.1)
    assert take.jam.prepare(0.1) == pytest.approx(0.001)
    assert take.jam.prepare(0.1011) == math.inf  # the answer is not due yet
    assert take.player.prepared == 2
