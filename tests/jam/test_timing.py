"""Jam that keeps to a clock: turns on lines, landings on a grid, beats that change."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.players import PlanningPlayer, RandomPlayer, ScriptedPlayer, land, slide
from support.takes import Take

from robojam.beats import Beats, Grid, grid_lines, quantum_lines
from robojam.controls import Settings
from robojam.jam.events import ControlChanged, Event, TouchPending, TouchPlayed
from robojam.jam.jam import RULES, Jam
from robojam.jam.protocols import Proposal
from robojam.jam.timing import LEAD
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
#: Beats of which beat 0 is at t = 0.
AT_60, AT_120 = Beats(0.0, 0.0, 60.0).encode(), Beats(0.0, 0.0, 120.0).encode()


def landings(take: Take, who: str = "ai") -> list[float]:
    """Return when someone's fingers have landed."""
    return [t for phase, t in take.played(who) if phase == "down"]


# -- turns on lines ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantum", "opens"), [("beat", 2.0), ("bar", 4.0), ("2bars", 8.0), ("4bars", 16.0)]
)
def test_first_touch_of_an_answer_sounds_on_the_first_line_after_the_silence(quantum, opens):
    take = Take(
        land(0.3), slide(0.05), threshold=0.5, quantum=quantum, response=60.0, beats=AT_60
    )
    take.down(1.0)
    take.up(1.2)
    take.until(opens + 0.3)
    assert take.turns == [("ai", round(opens - LEAD, 9))]
    assert take.played()[:2] == [("down", opens), ("move", opens + 0.05)]
    first = take.sounded[2]
    assert first.dt == pytest.approx(LEAD)
    assert first.touch.dt == first.dt
    assert take.player.fed[0][1][2:] == (0.3, False)  # as it was drawn


def test_first_touch_on_a_line_is_announced_before_it_sounds():
    take = Take(land(0.3), threshold=0.5, quantum="beat", beats=AT_60)
    take.down(1.2)
    take.until(1.95)
    assert take.played() == []
    assert take.pending.t == pytest.approx(2.0 - LEAD)
    assert take.pending.due == pytest.approx(2.0)


def test_answer_to_a_silence_that_ends_just_before_a_line_begins_at_its_end():
    take = Take(land(0.3), threshold=0.5, quantum="beat", beats=AT_60)
    take.down(1.46)
    take.until(2.5)
    assert take.turns == [("ai", 1.96)]
    assert landings(take)[0] == 2.0


def test_first_touch_comes_a_millisecond_after_a_line_at_which_the_silence_ends():
    take = Take(land(0.3), threshold=0.5, quantum="beat", beats=AT_60)
    take.down(1.5)
    take.until(2.5)
    assert take.turns == [("ai", 2.0)]
    assert landings(take)[0] == 2.001


def test_human_touch_before_the_line_starts_the_silence_again():
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.move(3.8)
    take.until(4.5)
    assert take.turns == []
    assert take.until(9.0).turns == [("ai", 8.0 - LEAD)]


def test_human_touch_between_the_beginning_and_the_line_takes_the_turn_back():
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.move(3.95)
    take.until(4.5)
    assert take.turns == [("ai", 4.0 - LEAD), ("human", 3.95)]
    assert take.played() == []


def test_turn_waits_for_its_line_with_a_count_that_humans_end():
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.until(1.6)
    assert take.waits == [(1.5, 2.5)]
    take.move(1.7)
    assert take.waits[1:] == [(1.7, 0.0)]
    take.until(3.0)
    assert take.waits[2:] == [(2.2, 1.8)]
    take.beats(3.0, 3.5, 60.0)  # the clock has jumped
    assert take.waits[3:] == [(3.0, 0.5)]
    take.until(4.0)
    assert take.turns == [("ai", 3.5 - LEAD)]
    assert len(take.waits) == 4


def test_turn_without_a_quantum_is_not_counted_in():
    take = Take(threshold=0.5, grid="1/8", lean=1.0, bars=2, beats=AT_60)
    take.down(1.0)
    take.until(9.9)
    assert take.waits == []
    assert take.turns == [("ai", 1.5), ("human", 9.5)]  # two bars later


def test_asked_answer_comes_on_the_next_line_whatever_humans_play():
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    assert take.set(1.0, "answer")
    assert not take.set(1.1, "answer")
    assert take.waits == [(1.0, 3.0)]
    for t in (1.2, 2.0, 3.0, 3.85):
        take.down(t)
    take.until(4.2)
    assert take.turns == [("ai", 4.0 - LEAD)]
    assert landings(take)[0] == 4.0
    assert not take.set(4.3, "answer")  # it plays


@pytest.mark.parametrize("name", ["panic", "mode"])
def test_asked_answer_is_dropped_by_a_panic_and_by_another_mode(name):
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    take.down(0.5)
    take.set(1.0, "answer")
    take.set(2.0, name, "listen" if name == "mode" else 1)
    take.until(20.0)
    assert take.turns == []
    assert take.waits[-1] == (2.0, 0.0)


def test_asked_answer_comes_at_once_when_the_clock_is_lost():
    take = Take(threshold=0.5, quantum="bar", beats=AT_60)
    take.set(1.0, "answer")
    take.set(2.0, "beats", "")
    assert take.waits[-1] == (2.0, 0.0)
    assert take.until(2.1).turns == [("ai", 2.0)]


def test_shorter_quantum_is_waited_for_from_now_on():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(0.5)
    take.until(2.5)
    take.set(2.5, "quantum", "beat")
    take.until(3.5)
    assert take.turns == [("ai", 3.0 - LEAD)]
    assert landings(take)[0] == 3.0


def test_quantum_that_is_turned_off_ends_the_wait():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(0.5)
    take.until(2.5)
    take.set(2.5, "quantum", "off")
    take.until(3.5)
    assert take.turns == [("ai", 2.5)]
    assert landings(take)[0] == 2.8


@pytest.mark.parametrize(
    ("response", "quantum", "bars", "seconds"),
    [
        (5.0, "beat", 0, 5.0),  # the last line within the response
        (5.5, "beat", 0, 5.0),
        (5.5, "bar", 0, 4.0),
        (3.0, "bar", 0, 4.0),  # one quantum at least
        (0.5, "4bars", 0, 16.0),
        (5.0, "beat", 2, 8.0),
        (5.0, "4bars", 1, 4.0),
        (0.0, "bar", 3, 12.0),
    ],
)
def test_answer_ends_on_a_line(response, quantum, bars, seconds):
    take = Take(
        threshold=0.5, quantum=quantum, response=response, bars=bars, beats=AT_60
    )  # fmt: skip
    take.down(14.0)
    take.until(60.0)
    assert take.turns == [("ai", 16 - LEAD if quantum != "beat" else 15 - LEAD),
                          ("human", (16 if quantum != "beat" else 15) + seconds)]  # fmt: skip
    ups = [t for phase, t in take.played() if phase == "up"]
    assert ups[-1] == take.turns[-1][1]


def test_quantum_that_is_chosen_during_a_turn_ends_it_on_a_line():
    take = Take(threshold=0.5, bars=2, beats=AT_60)
    take.down(1.0)
    take.until(2.0)
    assert take.jam.turn_left == 7.5
    take.set(2.0, "quantum", "bar")
    take.until(30.0)
    assert take.turns == [("ai", 1.5), ("human", 8.0)]


def test_answer_without_end_goes_on_with_a_clock():
    take = Take(threshold=0.5, quantum="bar", response=0.0, beats=AT_60)
    take.down(1.0)
    take.until(500.0)
    assert take.turns == [("ai", 4.0 - LEAD)]
    assert take.jam.turn_left is None


def test_all_voices_open_a_turn_on_its_line():
    take = Take(land(0.3), slide(0.1), voices=3, threshold=0.5, quantum="beat", beats=AT_60)
    take.down(1.0)
    take.until(2.1)
    assert [landings(take, who) for who in ("ai", "ai2", "ai3")] == [[2.0]] * 3


def test_quantum_and_lean_without_beats_change_nothing():
    plain, asked = (
        Take(player=RandomPlayer(), threshold=0.5, **options)
        for options in ({}, {"quantum": "bar", "grid": "1/8", "lean": 1.0, "bars": 2})
    )
    for take in (plain, asked):
        take.down(1.0)
        take.until(8.0)
    assert asked.out == plain.out


def test_clock_that_comes_during_a_turn_ends_it_on_a_line():
    take = Take(threshold=0.5, quantum="bar", bars=2, response=60.0)
    take.down(1.0)
    take.until(2.0)
    take.beats(2.0, 2.0, 60.0)
    take.until(30.0)
    assert take.turns == [("ai", 1.5), ("human", 12.0)]


def test_clock_that_is_lost_during_a_turn_leaves_its_response():
    take = Take(threshold=0.5, quantum="bar", bars=8, response=6.0, beats=AT_60)
    take.down(1.0)
    take.until(5.0)
    take.set(5.0, "beats", "")
    take.until(60.0)
    assert take.turns == [("ai", 4.0 - LEAD), ("human", 10.0 - LEAD)]


# -- landings on a grid -----------------------------------------------------------------------


def test_landing_moves_to_the_nearest_line_and_moves_keep_their_spacing():
    script = (land(0.3), slide(0.05), slide(0.07))
    take = Take(*script, threshold=0.5, grid="1/8", lean=1.0, response=3.0, beats=AT_60)
    take.down(1.0)
    take.until(3.3)
    assert take.played() == [
        ("down", 2.0), ("move", 2.05), ("move", 2.12), ("up", 2.27),
        ("down", 2.5), ("move", 2.55), ("move", 2.62), ("up", 2.77),
        ("down", 3.0), ("move", 3.05), ("move", 3.12), ("up", 3.27),
    ]  # fmt: skip
    downs = [e for e in take.sounded if is_machine(e.touch.who) and e.touch.phase is DOWN]
    assert [e.dt for e in downs] == pytest.approx([0.5, 0.38, 0.38])
    assert [row[2] for row in take.player.fed[0][1:]] == [0.3, 0.05, 0.07] * 3


def test_landing_leans_by_a_share_of_the_way():
    take = Take(land(0.4), threshold=0.5, grid="1/4", lean=0.25, response=3.0, beats=AT_60)
    take.down(1.0)
    take.until(2.0)
    assert landings(take) == [pytest.approx(1.9 + 0.25 * 0.1)]


def test_landing_is_not_moved_before_the_touch_before_it_but_to_the_next_line():
    take = Take(land(0.03), threshold=0.5, grid="1/4", lean=1.0, response=4.4, beats=AT_60)
    take.down(1.0)
    take.until(5.2)
    assert landings(take) == [2.0, 3.0, 4.0, 5.0]


def test_landing_that_is_moved_onto_the_end_of_the_turn_is_not_played():
    take = Take(
        land(0.9), slide(0.4), threshold=0.5, quantum="beat", grid="1/4", lean=1.0,
        response=3.0, beats=AT_60,
    )  # fmt: skip
    take.down(1.0)
    take.until(9.0)
    assert take.turns[-1] == ("human", 5.0)
    assert landings(take) == [2.0, 3.0, 4.0]


def test_answer_in_whose_turn_there_is_no_line_has_its_first_touch_as_drawn():
    take = Take(land(0.2), threshold=0.5, grid="1/4", lean=1.0, response=0.45, beats=AT_60)
    take.down(1.52)
    take.until(9.0)
    assert take.turns == [("ai", 2.02), ("human", 2.47)]
    assert landings(take) == [2.22]  # the next would be at 3.0


def test_grid_follows_swing_and_bars_of_three():
    take = Take(
        land(0.45), threshold=0.5, grid="1/8", swing=0.75, lean=1.0, quantum="bar", bars=2,
        beats=Beats(0.0, 0.0, 60.0, 3).encode(),
    )  # fmt: skip
    take.down(0.5)
    take.until(12.0)
    assert take.turns == [("ai", 3.0 - LEAD), ("human", 9.0)]
    assert landings(take)[:4] == [3.0, 3.75, 4.0, 4.75]


def test_lean_goes_by_the_time_that_sounds_where_time_is_stretched():
    take = Take(
        land(0.2), slide(0.05), threshold=0.5, timescale=2.0, grid="1/8", lean=1.0, beats=AT_60
    )
    take.down(1.0)
    take.until(2.2)
    downs = [e for e in take.sounded if is_machine(e.touch.who) and e.touch.phase is DOWN]
    assert [e.t for e in downs] == [2.0]
    assert downs[0].dt == pytest.approx(0.5)
    assert downs[0].touch.dt == pytest.approx(0.25)
    assert take.player.fed[0][1][2] == 0.2


def test_landing_is_not_moved_beyond_the_longest_dt():
    slow = Beats(0.0, 0.0, 20.0).encode()  # a line each 3 seconds
    take = Take(land(4.9), threshold=0.5, grid="1/4", lean=1.0, response=60.0, beats=slow)
    take.down(0.5)
    take.until(30.0)
    assert all(e.touch.dt <= 5.0 for e in take.sounded)
    assert landings(take)[:3] == [6.0, 9.0, 12.0]


def test_duet_s_answer_leans_to_the_grid():
    take = Take(land(0.2), mode="duet", grid="1/8", lean=1.0, beats=AT_60)
    take.down(1.2)
    take.until(1.6)
    assert landings(take) == [1.5]
    assert take.player.fed[0][1][2] == 0.2


def test_lean_and_grid_that_change_move_what_is_pending_and_draw_nothing():
    take = Take(land(0.3), threshold=0.5, response=60.0, beats=AT_60)
    take.down(1.0)
    take.until(1.6)
    assert take.pending.due == pytest.approx(1.8)
    take.set(1.6, "grid", "1/4")
    take.set(1.6, "lean", 1.0)
    assert take.pending.due == pytest.approx(2.0)
    take.set(1.65, "lean", 0.5)
    assert take.pending.due == pytest.approx(1.9)
    take.set(1.7, "lean", 0.0)
    assert take.pending.due == pytest.approx(1.8)
    assert landings(take.until(2.0)) == [1.8]
    assert take.player.counts == [1]


# -- beats that change ------------------------------------------------------------------------


def test_tempo_that_changes_while_a_turn_waits_moves_its_line():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.until(2.0)
    take.beats(2.0, 2.0, 120.0)
    take.until(4.0)
    assert take.turns == [("ai", 3.0 - LEAD)]
    assert landings(take)[0] == 3.0


def test_tempo_that_changes_just_before_the_line_moves_the_touch_and_draws_nothing():
    take = Take(land(0.3), slide(5.0), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.until(3.95)
    counts = list(take.player.counts)
    take.beats(3.95, 3.95, 50.0)
    assert take.player.counts == counts
    take.until(4.5)
    assert landings(take) == [pytest.approx(3.95 + 0.05 * 60 / 50)]


def test_tempo_that_changes_during_a_turn_moves_landings_and_the_end():
    take = Take(
        land(0.9), threshold=0.5, quantum="bar", bars=1, grid="1/4", lean=1.0, beats=AT_60
    )
    take.down(1.0)
    take.until(4.5)
    take.beats(4.5, 4.5, 30.0)
    take.until(20.0)
    assert landings(take) == [4.0, 5.5, 7.5, 9.5]
    assert take.turns[-1] == ("human", 11.5)


def test_turn_that_is_longer_by_a_slower_tempo_goes_on():
    take = Take(land(0.9), threshold=0.5, quantum="bar", bars=1, beats=AT_60)
    take.down(1.0)
    take.until(7.8)
    assert take.jam.due == 8.0  # the next touch, at 8.5, would come after the end
    take.beats(7.8, 7.8, 15.0)
    take.until(20.0)
    assert landings(take) == [4.0, 4.9, 5.8, 6.7, 7.6, 8.5]
    assert take.turns[-1] == ("human", 8.6)
    assert take.player.counts == [6]


def test_small_correction_leaves_the_line_and_a_jump_takes_the_nearest():
    for jump, opens in ((0.01, 3.99), (1.4, 4.6)):
        take = Take(land(0.3), threshold=0.5, quantum="beat", bars=2, beats=AT_60)
        take.down(3.2)
        take.until(3.92)
        take.beats(3.92, 3.92 + jump, 60.0)
        take.until(20.0)
        assert landings(take)[0] == pytest.approx(opens if jump < 1 else 3.6 + 1.0, abs=2e-3)
        assert take.turns[1][1] == pytest.approx(landings(take)[0] + 8.0, abs=2e-3)


def test_clock_that_jumps_during_a_turn_leaves_the_length_of_the_turn():
    take = Take(threshold=0.5, quantum="bar", bars=2, beats=AT_60)
    take.down(1.0)
    take.until(6.0)
    take.beats(6.0, 1000.0, 60.0)  # 2 beats of 8 have passed
    take.until(40.0)
    assert take.turns[1][0] == "human"
    end = 1000.0 + take.turns[1][1] - 6.0
    assert end % 4 == 0
    assert abs(end - 1006.0) <= 2.0


# -- pauses, memories, other modes ------------------------------------------------------------


def test_pause_while_a_turn_waits_leaves_it_to_a_later_line():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.set(2.0, "pause", 1)
    take.until(6.0)
    assert take.turns == []
    take.set(6.3, "pause", 0)
    take.until(9.0)
    assert take.turns == [("ai", 8.0 - LEAD)]
    assert landings(take)[0] == 8.0


def test_pause_while_a_turn_opens_leaves_it_to_a_later_line():
    take = Take(land(0.3), threshold=0.5, quantum="bar", bars=1, beats=AT_60)
    take.down(1.0)
    take.set(3.95, "pause", 1)
    take.set(6.3, "pause", 0)
    take.until(20.0)
    assert landings(take)[0] == 8.0
    assert take.turns[-1] == ("human", 12.0)


def test_pause_in_a_turn_leaves_its_length_and_it_ends_on_a_line():
    take = Take(
        land(0.6), threshold=0.5, quantum="beat", bars=2, grid="1/4", lean=1.0, beats=AT_60
    )
    take.down(1.0)
    take.set(4.3, "pause", 1)  # 2.3 beats of 8 have passed
    take.until(10.0)
    assert take.jam.turn_left == pytest.approx(5.7)
    take.set(10.5, "pause", 0)
    take.until(40.0)
    assert take.turns[-1] == ("human", 17.0)
    assert all(t == round(t) for t in landings(take))


def test_jam_that_goes_back_ends_the_turn_on_a_line():
    take = Take(threshold=0.5, quantum="bar", bars=2, beats=AT_60)
    take.down(1.0)
    take.until(6.3)
    take.set(6.3, "back", 1.0)
    take.until(40.0)
    assert take.turns == [("ai", 4.0 - LEAD), ("human", 16.0)]


def test_stored_jam_with_a_turn_that_opens_is_recalled():
    take = Take(land(0.3), threshold=0.5, quantum="bar", bars=2, beats=AT_60)
    take.down(1.0)
    take.set(3.95, "store", "A")
    take.down(4.5)
    take.set(5.2, "recall", "A")
    take.until(40.0)
    assert take.turns[-2:] == [("ai", 5.2), ("human", 16.0)]


def test_solo_starts_on_a_line():
    take = Take(land(0.3), slide(0.1), mode="solo", quantum="bar", beats=AT_60)
    assert landings(take.until(0.5))[0] == 0.001  # beat 0 is a line
    take = Take(land(0.3), slide(0.1), mode="listen", quantum="bar", beats=AT_60)
    take.set(1.0, "mode", "solo")
    assert take.waits == [(1.0, 3.0)]
    take.set(2.0, "pause", 1)
    take.set(5.0, "pause", 0)
    take.until(9.0)
    assert landings(take)[0] == 8.0


def test_ensemble_enters_on_a_line_and_humans_play_on_meanwhile():
    take = Take(land(0.3), slide(0.1), mode="ensemble", quantum="bar", beats=AT_60)
    for i in range(20):
        take.down(1.0 + 0.1 * i)  # somebody stops at 2.9
    take.move(3.6, who="human2")
    take.until(5.0)
    assert take.turns[0] == ("ai", 4.0 - LEAD)
    assert landings(take)[0] == 4.0


def test_ensemble_that_is_asked_enters_on_the_next_line():
    take = Take(land(0.3), mode="ensemble", quantum="beat", beats=AT_60)
    assert take.set(1.2, "answer")
    assert take.waits == [(1.2, 0.8)]
    take.until(2.5)
    assert landings(take)[0] == 2.0


def test_visitor_does_not_keep_a_host_from_its_answer_on_a_line():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.set(0.5, "visitor", "human2")
    take.down(1.0)
    for i in range(1, 400):
        take.down(1.0 + 0.1 * i, who="human2")
    opened = [t for whose, t in take.turns if whose == "ai"]
    assert opened, "the host waits for ever"
    assert opened[0] == 12.0 - LEAD  # 10.5 seconds of patience, and the next line
    assert landings(take)[0] == 12.0


def test_panic_while_a_turn_opens_leaves_nothing():
    take = Take(land(0.3), threshold=0.5, quantum="bar", beats=AT_60)
    take.down(1.0)
    take.until(3.95)
    take.set(3.95, "panic")
    take.until(20.0)
    assert take.played() == []
    assert take.turns == [("ai", 4.0 - LEAD), ("human", 3.95)]


def test_planned_phrase_leans_and_opens_on_a_line():
    take = Take(
        player=PlanningPlayer(), threshold=0.5, quantum="bar", grid="1/16", lean=1.0,
        response=8.0, beats=AT_60,
    )  # fmt: skip
    take.down(1.0)
    drive(take, 20.0)
    assert take.counts.planned
    first = landings(take)[0]
    assert first == 4.0
    planned = [e for e in take.out if isinstance(e, ControlChanged) and e.name == "planned"]
    assert next(e.t for e in planned) == pytest.approx(4.0 - LEAD)
    assert all(abs(4 * t - round(4 * t)) < 1e-6 for t in landings(take))


def test_plan_with_a_lead_is_taken_up_where_touches_were_moved():
    take = Take(
        player=PlanningPlayer(plan_steps=2), mode="solo", grid="1/8", lean=0.7, beats=AT_60
    )
    take.set(0.5, "mode", "call-response")
    take.down(1.0)
    take.set(2.0, "response", 0.0)
    drive(take, 12.0)
    assert take.counts.planned >= 1


def drive(take: Take, until: float) -> None:
    """Play until a time, with the steps of plans that an idle loop makes."""
    while (t := take.jam.t) < until:
        wait = take.jam.prepare(t)
        due = take.jam.due
        at = min(t + max(wait, 0.0005), math.inf if due is None else max(due, t), until)
        take.until(max(at, math.nextafter(t, math.inf)))


# -- nothing changes without a clock ----------------------------------------------------------

Act = tuple[Any, ...]

ACTS = st.lists(
    st.tuples(
        st.floats(0.01, 1.5),
        st.one_of(
            st.tuples(st.just("down"), st.integers(0, 2), st.sampled_from(["human", "human2"])),
            st.tuples(st.just("move"), st.integers(0, 2), st.sampled_from(["human", "human2"])),
            st.tuples(st.just("answer"), st.just(1)),
            st.tuples(st.just("pause"), st.integers(0, 1)),
            st.tuples(st.just("temperature"), st.sampled_from([0.5, 1.0])),
            st.tuples(st.just("back"), st.sampled_from([0.5, 2.0])),
            st.tuples(st.just("panic"), st.just(1)),
            st.tuples(st.just("mode"), st.sampled_from(["call-response", "duet", "solo",
                                                        "ensemble"])),
            st.tuples(st.just("bars"), st.integers(0, 2)),
            st.tuples(st.just("quantum"), st.sampled_from(["off", "beat", "bar", "2bars"])),
            st.tuples(st.just("grid"), st.sampled_from(["off", "1/4", "1/8t", "1/32"])),
            st.tuples(st.just("lean"), st.sampled_from([0.0, 0.5, 1.0])),
            st.tuples(st.just("swing"), st.sampled_from([0.5, 0.6])),
            st.tuples(st.just("beats"), st.floats(30, 300), st.floats(-0.2, 0.2)),
            st.tuples(st.just("no beats")),
        ),
    ),
    max_size=25,
)  # fmt: skip


def play(jam: Jam, acts: list[tuple[float, Act]]) -> None:
    """Play acts into a jam, each some seconds after the one before."""
    t = 0.0
    for wait, (name, *arguments) in acts:
        t += wait
        if name in ("down", "move"):
            phase = DOWN if name == "down" else MOVE
            jam.finger(t, arguments[1], arguments[0], phase, 0.25, 0.5)
        elif name == "no beats":
            jam.control(t, "beats", "")
        elif name == "beats":
            tempo, jump = arguments
            beat = jump if jam.beats is None else jam.beats.beat_at(t) + jump
            jam.control(t, "beats", Beats(t, beat, tempo).encode())
        else:
            jam.control(t, name, arguments[0])
    jam.finish(t + 10.0)


def recorded(out: list[Event], *, without: tuple[str, ...] = ()) -> list[SessionEvent]:
    """Return what a recording holds of events, without some controls."""
    events: list[SessionEvent] = []
    for event in out:
        if isinstance(event, TouchPlayed):
            events.append(TouchEvent(event.t, event.touch))
        elif isinstance(event, ControlChanged) and event.name not in without:
            events.append(SetEvent(event.t, {event.name: event.value}))
    return events


def new_jam(out: list[Event], beats: str = "", **options: Any) -> Jam:
    jam = Jam(RandomPlayer(), Settings(**options), out.append)
    jam.begin(5, beats)
    return jam


@settings(max_examples=150, deadline=None)
@given(acts=ACTS)
def test_clock_without_quantum_lean_and_bars_changes_nothing(acts):
    """The recordings are the same bit for bit, but for the beats."""
    quiet = [a for a in acts if a[1][0] not in ("bars", "quantum", "lean")]
    silent = [
        (wait, act if act[0] not in ("beats", "no beats") else ("volume", 0.7))
        for wait, act in quiet
    ]
    with_clock: list[Event] = []
    without: list[Event] = []
    play(new_jam(with_clock, AT_120), quiet)
    play(new_jam(without), silent)
    assert recorded(with_clock, without=("beats",)) == recorded(without)
    pending = [e for e in with_clock if isinstance(e, TouchPending)]
    assert pending == [e for e in without if isinstance(e, TouchPending)]


@settings(max_examples=300, deadline=None)
@given(acts=ACTS, beats=st.sampled_from(["", AT_60, AT_120]))
def test_jam_that_keeps_to_a_clock_is_regenerated_touch_for_touch(acts, beats):
    options = {"quantum": "beat", "grid": "1/16", "lean": 0.8, "threshold": 0.3}
    out: list[Event] = []
    play(new_jam(out, beats, **options), acts)
    events = recorded(out)
    session = Session(header(**options), (*events, EndEvent(out_end(out), "done")))
    made = list(regenerate(session, RandomPlayer(), no_model))
    assert first_difference(session, made) is None


def out_end(out: list[Event]) -> float:
    return max((e.t for e in out if isinstance(e, TouchPlayed | ControlChanged)), default=0.0)


def no_model(_reference: dict[str, Any]) -> Any:
    raise AssertionError


def header(**options: Any) -> Header:
    return Header(
        started="2026-11-20T10:30:00+00:00", model=ModelRef("m.safetensors", "0" * 64),
        device="cpu", build="test", seed=5, options=options | {"follow": 0.5}, rules=RULES,
    )  # fmt: skip


# -- answers and landings, counted ------------------------------------------------------------


class TappingPlayer(RandomPlayer):
    """RandomPlayer whose touches are more often landings, and come sooner."""

    def choose(self, voice: int) -> Proposal:
        p = super().choose(voice)
        return Proposal(p.x, p.y, min(p.dt, 0.4), p.moving and self.counts[voice] % 2 == 0)


class Ramp:
    """Musical time of a clock whose tempo changes in steps of an eighth of a beat.

    Beat 0 is at t = 0. tempo_of returns the tempo of a beat.
    """

    STEP = 0.125

    def __init__(self, tempo_of: Any, beats: int) -> None:
        self.tempi = [tempo_of(i * self.STEP) for i in range(round(beats / self.STEP))]
        self.times = [0.0]
        for tempo in self.tempi:
            self.times.append(self.times[-1] + self.STEP * 60 / tempo)

    def at(self, t: float) -> Beats:
        """Return the beats at a time: exact until the next step."""
        i = min(bisect_right(self.times, t) - 1, len(self.tempi) - 1)
        return Beats(self.times[i], i * self.STEP, self.tempi[i])

    def error(self, t: float, lines: Grid) -> float:
        """Return how many seconds an instant is from the nearest line, by this clock."""
        beat = self.at(t).beat_at(t)
        line = lines.beat_of(lines.nearest(beat))
        i = max(0, min(math.floor(line / self.STEP), len(self.tempi) - 1))
        return t - (self.times[i] + (line - i * self.STEP) * 60 / self.tempi[i])


def follow(take: Take, clock: Ramp, acts: list[tuple[float, str]]) -> None:
    """Play acts at their times, with the beats whenever they leave what was predicted."""
    steps = [(t, "beats") for t in clock.times[1:-1]]
    for t, act in sorted([*steps, *acts]):
        if act == "beats":
            beats = clock.at(t)
            known = take.jam.beats
            if known is None or abs(known.beat_at(t) - beats.beat_at(t)) > 1e-9 or (
                known.tempo != beats.tempo
            ):  # fmt: skip
                take.beats(t, beats.beat_at(t), beats.tempo)
        elif act == "down":
            take.down(t)
        else:
            take.set(t, "pause", int(act == "pause"))
    take.until(clock.times[-1])


@pytest.mark.parametrize("quantum", ["beat", "bar"])
@pytest.mark.parametrize("pauses", [False, True])
def test_answers_and_landings_are_on_their_lines_from_40_to_240_bpm_with_ramps(quantum, pauses):
    """Every answer begins within 3 ms of a line, and every landing is within 2 ms of one."""
    rng = random.Random(quantum)
    answers: list[float] = []
    landed: list[float] = []
    for tempo in (40, 60, 84.3, 96, 120, 133.7, 180, 240):
        for direction in (-0.2, 0.0, 0.2):

            def tempo_of(beat: float, tempo: float = tempo, by: float = direction) -> float:
                # 20 % in 4 bars, and back in the next 4, again and again.
                part = (beat / 16) % 2
                return tempo * (1 + by * (part if part < 1 else 2 - part))

            clock = Ramp(tempo_of, 400)
            options = {"grid": rng.choice(["1/4", "1/8", "1/8t", "1/16", "1/16t", "1/32"]),
                       "swing": rng.choice([0.5, 0.6])}  # fmt: skip
            take = Take(
                player=TappingPlayer(), threshold=0.3, quantum=quantum, lean=1.0,
                bars=rng.choice([1, 2]), beats=clock.at(0.0).encode(), **options,
            )  # fmt: skip
            acts, t = [], 0.0
            while t < clock.times[-1] - 5:
                t += rng.uniform(0.2, 30 * 60 / tempo)
                acts += [(t + rng.uniform(0, 0.2), "down")]
                if pauses:
                    began = t + rng.uniform(0.2, 20 * 60 / tempo)
                    acts += [(began, "pause"), (began + rng.uniform(0.01, 3), "go on")]
                    t = began + 3
            follow(take, clock, acts)
            lines, grid = quantum_lines(quantum, 4), grid_lines(**options)
            assert lines is not None
            assert grid is not None
            opens = False
            for event in take.out:
                if isinstance(event, TouchPlayed) and is_machine(event.touch.who):
                    if event.touch.phase is DOWN:
                        (answers if opens else landed).append(
                            clock.error(event.t, lines if opens else grid)
                        )
                    opens = False
                elif getattr(event, "whose", "") == "ai":
                    opens = True
    assert len(answers) > 150
    assert len(landed) > 1500
    assert all(abs(error) <= 0.003 for error in answers)
    assert all(abs(error) <= 0.002 for error in landed)


@settings(max_examples=200, deadline=None)
@given(
    tempo=st.floats(40, 240),
    touched=st.floats(0.0, 20.0),
    threshold=st.floats(0.02, 2.0),
    quantum=st.sampled_from(["beat", "bar", "2bars", "4bars"]),
    phase=st.floats(0, 16),
)
def test_answer_at_a_steady_tempo_begins_on_its_line(tempo, touched, threshold, quantum, phase):
    beats = Beats(0.0, phase, tempo)
    take = Take(
        ScriptedPlayer().script[0], threshold=threshold, quantum=quantum, beats=beats.encode()
    )
    take.down(touched)
    over = touched + threshold
    take.until(over + 16 * 60 / tempo + 1)
    lines = quantum_lines(quantum, 4)
    line = beats.time_of(lines.beat_of(lines.at_or_after(beats.beat_at(over))))
    first = landings(take)[0]
    assert -1e-6 <= first - line <= 0.00101
