"""Planned phrases in a live jam: when plans are made, what is played, and what ends them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from support.players import PlanningPlayer, ScriptedPlan, ScriptedPlayer, land, slide
from support.takes import Take

from robojam.controls import MEMORY, Settings
from robojam.jam.events import ControlChanged, MotifReturned, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.phrases import ROOM
from robojam.jam.protocols import Proposal, Recall
from robojam.touch import Phase

#: A phrase of landings, every 0.25 s, and the ordinary draws, every 0.1 s.
PHRASE = [land(0.25, 0.1 * n, 0.9) for n in range(1, 9)]
ORDINARY = (land(0.1, 0.3, 0.3), slide(0.1, 0.6, 0.6))


class Planning(ScriptedPlayer):
    """Player of a script that plans one phrase, after a lead of ordinary draws."""

    plans = True

    def __init__(self, phrase: list[Proposal] | None = None, **more: Any) -> None:
        super().__init__(*ORDINARY, voices=more.get("voices", 1))
        self.phrase, self.steps = phrase or PHRASE, more.get("steps", 3)
        self.asked: list[dict[str, Any]] = []
        self.begun: list[ScriptedPlan] = []

    def plan(self, voices: Any, **wanted: Any) -> Any:
        self.asked.append({"voices": list(voices), **wanted})
        phrases = []
        for voice in voices:
            shared: list[Proposal] = []
            while sum(p.dt for p in shared) < wanted["lead"]:
                shared.append(self.script[(self.counts[voice] + len(shared)) % 2])
            phrases.append(shared + [self.of(voice, touch) for touch in self.phrase])
        self.begun.append(ScriptedPlan(phrases, self.steps))
        return self.begun[-1]

    def of(self, voice: int, touch: Proposal) -> Proposal:
        y = touch.y - voice / 8
        return Proposal(touch.x, y, touch.dt, touch.moving, touch.recall)

    def take_over(self, other: ScriptedPlayer) -> bool:
        self.fed = [list(rows) for rows in other.fed]
        self.continue_from(other)
        return True


def call(player: ScriptedPlayer | None = None, **options: Any) -> Take:
    """Return a take in which a human has just landed, at 1 s, and lifted."""
    options = {"threshold": 0.4, "response": 2.05, "dwell": 60, **options}
    take = Take(player=player or Planning(), **options)
    take.down(1.0)
    take.up(1.01)
    return take


def idle(take: Take, t: float, turns: int = 99) -> float:
    """Let the loop be idle at t for some turns, or until it waits; return how long it would."""
    wait = 0.0
    for _ in range(turns):
        wait = take.jam.prepare(t)
        if wait:
            break
    return wait


def told(take: Take) -> list[tuple[str, object, float]]:
    names = ("planned", "planning")
    changes = [e for e in take.out if isinstance(e, ControlChanged) and e.name in names]
    return [(e.name, e.value, round(e.t, 9)) for e in changes]


def places(take: Take, who: str = "ai") -> list[tuple[float, float]]:
    """Return the places of a voice's landings and slides."""
    touches = [s.touch for s in take.sounded if s.touch.who == who]
    return [(t.x, round(t.y, 9)) for t in touches if t.phase is not Phase.UP]


def planned(take: Take) -> Take:
    """Have the answer planned in the silence, and begun."""
    idle(take, 1.25)
    return take.until(1.4)


IN_PHRASE = [(touch.x, touch.y) for touch in PHRASE]


# -- in the silence ---------------------------------------------------------------------------


def test_answer_planned_in_the_silence_is_played_and_announced_when_its_turn_begins() -> None:
    take = planned(call())
    assert told(take) == [("planned", 0.0, 1.4)]
    assert take.order[-2:] == ["planned 0.0", "turn ai"]
    take.until(5.0)
    assert take.played()[0] == ("down", 1.65)  # the phrase's own dt after the threshold
    assert places(take) == IN_PHRASE
    assert take.player.counts == [8]  # each touch is committed as it is played
    assert take.counts.planned == 1


@pytest.mark.parametrize(
    ("threshold", "begins"), [(0.4, 1.2), (0.15, 1.05), (0.08, 1.05), (60.0, 1.25)]
)
def test_plan_begins_in_time_for_the_threshold_and_not_within_a_slide(
    threshold: float, begins: float
) -> None:
    take = call(threshold=threshold)  # a plan is expected to take 0.1 s
    assert idle(take, 1.02) == pytest.approx(begins - 1.02)
    assert take.player.asked == []
    idle(take, begins + 1e-9, turns=1)
    (asked,) = take.player.asked
    assert asked == {
        "voices": [0], "seconds": 2.05, "follow": 0.5, "memory": MEMORY, "lead": 0.0,
        "dwell": 60, "down": [],
    }  # fmt: skip


def test_plan_is_made_one_step_for_each_idle_turn() -> None:
    take = call(Planning(steps=4))
    assert idle(take, 1.25, turns=1) == 0.0
    plan = take.player.begun[0]
    for left in (3, 2, 1, 0):
        assert idle(take, 1.25, turns=1) == 0.0
        assert plan.left == left
    assert idle(take, 1.25, turns=1) == math.inf  # it waits for the turn


def test_no_step_is_made_just_before_something_is_due() -> None:
    take = call(Planning(steps=4))
    idle(take, 1.25, turns=2)
    left = take.player.begun[0].left
    assert take.jam.prepare(1.4 - ROOM / 2) > ROOM / 2
    assert take.player.begun[0].left == left


@pytest.mark.parametrize("mode", ["duet", "listen"])
def test_mode_that_plays_no_phrases_plans_none(mode: str) -> None:
    take = call(mode=mode)
    idle(take, 1.25)
    idle(take.until(3.0), 3.0)
    assert take.player.asked == []


def test_nothing_is_planned_at_follow_0_and_memory_0_and_the_play_is_the_ordinary_one() -> None:
    take, plain = call(follow=0, memory=0), call(ScriptedPlayer(*ORDINARY))
    for each in (take, plain):
        idle(each, 1.25)
        idle(each.until(2.0), 2.0)
        each.until(9.0)
    assert take.player.asked == []
    assert take.out == plain.out
    memory = call(follow=0, memory=0.5)
    idle(memory, 1.25)
    assert len(memory.player.asked) == 1


def test_player_without_a_matcher_plays_ordinary_draws() -> None:
    take = call(ScriptedPlayer(*ORDINARY))
    assert idle(take, 1.25) == math.inf
    assert not take.jam.plans
    assert take.until(1.5).played() == [("down", 1.5)]


def test_human_s_touch_takes_back_the_plan_at_once_and_the_next_silence_has_another() -> None:
    for turns in (1, 2, 99):  # begun, in progress, finished
        take = call()
        idle(take, 1.25, turns)
        take.down(1.3)
        assert idle(take, 1.45) == pytest.approx(0.05)
        idle(take, 1.55)
        assert len(take.player.asked) == 2
        take.until(1.8)
        assert told(take) == [("planned", 0.0, 1.7)]


def test_human_s_touch_ends_the_phrase_and_the_turn_at_once() -> None:
    take = planned(call())
    take.until(2.0)
    take.down(2.05)
    assert take.order[-3:] == ["ai up", "turn human", "human down"]
    take.until(2.44)
    assert places(take) == IN_PHRASE[:2]
    take.until(2.6)  # nothing was planned in this silence: the answer is an ordinary one
    assert places(take)[2:] == [(0.3, 0.3), (0.6, 0.6)][: len(places(take)) - 2]
    assert len(told(take)) == 1


# -- in the turn ------------------------------------------------------------------------------


def test_turn_that_begins_before_the_plan_is_finished_plays_the_ordinary_draw_in_time() -> None:
    take = call()
    idle(take, 1.25, turns=2)
    take.until(1.5)
    assert take.played() == [("down", 1.5)]
    assert told(take) == []
    assert take.counts.plans_late == 1


@pytest.mark.parametrize("asks", ["late", "answer"])
def test_plan_with_a_lead_goes_on_from_what_was_played_meanwhile(asks: str) -> None:
    take = call(response=4.0)
    if asks == "answer":
        take.set(1.05, "answer")
        began = 1.05
    else:
        began = 1.4
        take.until(began)
    idle(take, began + 0.01, turns=2)  # it begins, and one of three steps is made
    assert told(take) == [("planning", 0.3, began + 0.01)]
    assert take.player.asked[-1]["lead"] == 0.3
    take.until(began + 0.22)  # two touches of the lead
    idle(take, began + 0.22)
    assert told(take)[1:] == [("planned", 0.3, round(began + 0.22, 9))]
    take.until(began + 3.5)
    assert places(take)[:11] == [(0.3, 0.3), (0.6, 0.6), (0.3, 0.3), *IN_PHRASE]
    assert take.counts.planned == 1


@pytest.mark.parametrize("gone", [1.5, 2.5])
def test_plan_of_a_jam_that_is_gone_is_played_by_its_twin_or_given_up(gone: float) -> None:
    take = call(response=4.0)
    take.jam.follows = True
    take.until(1.4)
    take.set(1.41, "planning", 0.3)
    idle(take, 1.42)  # all steps are made
    take.until(gone)  # and the other jam never says that it is planned
    take.jam.go_on(take.jam.sink, take.counts)
    idle(take, gone, turns=1)
    is_in_time = gone < 1.71
    assert told(take) == [("planning", 0.3, 1.41), *[("planned", 0.3, 1.5)] * is_in_time]
    assert take.counts.plans_late == (not is_in_time)
    assert take.jam._planning.plan is None, "it would keep the jam from being saved"


def test_answer_on_request_plays_the_plan_if_it_is_finished() -> None:
    take = call()
    idle(take, 1.25)
    take.set(1.3, "answer")
    assert take.order[-3:] == ["planned 0.0", "answer 1", "turn ai"]
    assert take.until(1.56).played() == [("down", 1.55)]
    assert places(take) == IN_PHRASE[:1]


def test_plan_with_a_lead_that_is_not_finished_in_time_is_dropped_and_the_next_is_longer() -> (
    None
):
    take = call(response=0.0)
    take.until(1.4)
    idle(take, 1.41, turns=2)
    take.until(1.72)
    assert take.jam.prepare(1.72) == pytest.approx(1.0)  # when it tries again
    assert take.counts.plans_late == 1
    assert told(take) == [("planning", 0.3, 1.41)]
    take.until(2.75)
    idle(take, 2.75)
    assert told(take)[1] == ("planning", pytest.approx(0.62), 2.75)
    assert told(take)[2] == ("planned", pytest.approx(0.62), 2.75)


def test_plan_that_does_not_go_on_from_what_was_played_is_dropped() -> None:
    take = call()
    take.until(1.4)
    idle(take, 1.41, turns=2)
    take.until(1.95)  # beyond the lead
    planning = take.jam._planning
    planning._began = 1.9  # as if it had begun later
    idle(take, 1.95, turns=9)
    assert told(take) == [("planning", 0.3, 1.41)]
    assert take.until(2.05).played()[-1] == ("move", 2.0)


def test_lead_of_a_slow_machine_is_twice_as_long_as_a_plan_took() -> None:
    take = call(response=8.0)
    idle(take, 1.21, turns=3)
    idle(take, 1.39)  # 0.18 s for a plan
    take.down(1.395)
    take.until(1.795)
    idle(take, 1.8, turns=1)
    assert told(take)[-1][:2] == ("planning", pytest.approx(0.36))


def test_machine_that_never_finishes_in_time_tries_more_and_more_rarely() -> None:
    take = call(Planning(steps=10**9), mode="solo", response=0.0)
    take.set(0.9, "mode", "listen")
    take.down(1.0)
    take.set(1.0, "mode", "solo")
    t = 1.0
    while t < 300:
        t += 0.05
        take.until(t)
        take.jam.prepare(t + 0.003)
    begun = [at for name, _, at in told(take) if name == "planning"]
    assert 8 <= len(begun) <= 20
    assert max(b - a for a, b in pairwise(begun)) == pytest.approx(32, abs=1)


def test_plan_that_takes_long_is_begun_sooner_in_the_next_silence() -> None:
    take = call()
    idle(take, 1.2, turns=3)
    idle(take, 1.37)  # 0.17 s for a plan
    take.down(1.38)
    assert idle(take, 1.39) == pytest.approx(1.38 + 0.06 - 1.39)


def test_turn_that_is_short_or_time_that_is_fast_gets_no_plan_with_a_lead() -> None:
    for options in ({"response": 0.5}, {"timescale": 0.1, "response": 60}):
        take = call(**options)
        idle(take.until(1.41), 1.41)
        assert told(take) == []


def test_lead_is_in_the_machine_s_time_and_the_phrase_in_the_model_s() -> None:
    take = call(timescale=2.0, response=30.0, dwell=2.0)
    idle(take, 1.25)
    assert (take.player.asked[0]["seconds"], take.player.asked[0]["dwell"]) == (5.0, 1.0)
    late = call(timescale=2.0)
    idle(late.until(1.41), 1.41)
    assert late.player.asked[0]["lead"] == 0.15
    assert late.player.asked[0]["seconds"] == pytest.approx((1.4 + 2.05 - 1.41) / 2)


def test_phrase_that_is_over_is_followed_by_ordinary_draws_and_another_phrase() -> None:
    for options in ({"response": 0.0}, {"response": 30.0}):
        take = planned(call(**options))
        take.until(3.41)  # the last touch of eight
        assert places(take) == IN_PHRASE
        assert idle(take, 3.42) == math.inf
        assert [what[:2] for what in told(take)] == [
            ("planned", 0.0), ("planning", 0.3), ("planned", 0.3),
        ]  # fmt: skip
        take.until(5.75)
        assert places(take)[8:] == [(0.3, 0.3), (0.6, 0.6), (0.3, 0.3), *IN_PHRASE]


def test_solo_plans_what_goes_on_from_a_call_and_nothing_before_one() -> None:
    alone = Take(player=Planning(), mode="solo")
    idle(alone.until(1.0), 1.0)
    assert alone.player.asked == []
    take = call(mode="listen")
    take.set(2.0, "mode", "solo")
    idle(take, 2.01)
    assert told(take) == [("planning", 0.3, 2.01), ("planned", 0.3, 2.01)]
    take.down(2.05)  # solo does not hear it
    take.until(3.0)
    assert places(take)[3:] == IN_PHRASE[: len(places(take)) - 3]
    take.set(3.1, "reset")
    idle(take.until(3.2), 3.2)
    assert len(take.player.asked) == 1  # the call is forgotten


def test_ensemble_plans_how_its_phrase_goes_on_and_others_do_not_end_it() -> None:
    take = Take(player=Planning(), mode="ensemble", threshold=0.4, response=4.0, dwell=60)
    take.down(0.0)
    for i in range(1, 30):
        take.move(i / 30)
        idle(take, i / 30)
    take.up(1.0)
    began = 29 / 30 + 0.4
    take.until(began)
    assert take.player.asked == []
    idle(take, began + 0.01, turns=2)
    take.down(began + 0.02, 0, "human2")
    idle(take, began + 0.03)
    at = [("planning", round(began + 0.01, 9)), ("planned", round(began + 0.03, 9))]
    assert [(name, t) for name, _, t in told(take)] == at
    take.until(began + 2.0)
    assert len(places(take)) > 6
    assert places(take)[3:] == IN_PHRASE[: len(places(take)) - 3]


# -- what ends a plan and a phrase ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.5), ("spread", 0.5), ("timescale", 2.0), ("dwell", 50.0),
        ("response", 9.0), ("threshold", 0.3), ("follow", 0.0), ("memory", 1.0), ("seed", 9),
        ("reset", 1), ("panic", 1), ("mode", "solo"), ("resting", 0), ("recall", "A"),
        ("back", 0.0),
    ],
)  # fmt: skip
def test_control_drops_the_plan(name: str, value: float | str) -> None:
    take = call()
    take.set(1.02, "store", "A")
    idle(take, 1.25)
    assert take.set(1.26, name, value)
    take.until(1.45)
    assert told(take) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.5), ("spread", 0.5), ("timescale", 2.0), ("dwell", 50.0),
        ("response", 9.0), ("threshold", 0.3), ("follow", 0.0), ("memory", 1.0), ("seed", 9),
        ("reset", 1),
    ],
)  # fmt: skip
def test_control_ends_the_phrase_and_the_pending_touch_is_an_ordinary_draw(
    name: str, value: float
) -> None:
    take = planned(call()).until(2.0)
    assert places(take) == IN_PHRASE[:2]
    take.set(2.01, name, value)
    take.until(2.35)
    assert set(places(take)[2:]) <= {(0.3, 0.3), (0.6, 0.6)}
    assert places(take)[2:]


@pytest.mark.parametrize("name", ["volume", "scale"])
def test_control_of_the_sound_ends_neither_plan_nor_phrase(name: str) -> None:
    value = {"volume": 0.1, "scale": "minor"}[name]
    take = call()
    idle(take, 1.25)
    take.set(1.26, name, value)
    take.until(1.9)
    take.set(1.91, name, {"volume": 0.2, "scale": "free"}[name])
    assert places(take.until(2.5)) == IN_PHRASE[:4]


def test_follow_that_is_turned_within_an_answer_plans_how_it_goes_on() -> None:
    take = planned(call(response=9.0)).until(2.0)
    take.set(2.01, "follow", 1.0)
    idle(take.until(2.02), 2.02)
    assert take.player.asked[-1]["follow"] == 1.0
    assert told(take)[-1] == ("planned", 0.3, 2.02)


def test_pause_keeps_the_phrase_and_a_plan_waits() -> None:
    take = planned(call()).until(2.0)
    take.set(2.05, "pause", 1)
    assert take.jam.prepare(2.5) == math.inf
    take.set(3.05, "pause", 0)
    take.until(6.0)
    assert places(take) == IN_PHRASE
    assert take.played()[-2][1] == pytest.approx(1.4 + 8 * 0.25 + 1.0)
    silent = call()
    idle(silent, 1.25, turns=2)
    silent.set(1.26, "pause", 1)
    assert silent.jam.prepare(1.3) == math.inf
    silent.set(5.26, "pause", 0)
    idle(silent, 5.27)
    assert len(silent.player.asked) == 1  # the same plan
    assert told(silent.until(5.5)) == [("planned", 0.0, 5.4)]


def test_plan_with_a_lead_outlasts_a_pause() -> None:
    take = call(response=9.0)
    take.until(1.4)
    idle(take, 1.41, turns=2)
    take.set(1.45, "pause", 1)
    take.set(9.45, "pause", 0)
    idle(take, 9.46)
    assert told(take)[1:] == [("planned", 0.3, 9.46)]


def test_delay_keeps_the_phrase() -> None:
    take = planned(call(response=3.0)).until(2.0)
    take.set(2.0, "held_up", 0.5)
    take.until(6.0)
    assert places(take)[:8] == IN_PHRASE
    assert ("down", 2.65) in take.played()


@pytest.mark.parametrize("name", ["back", "recall"])
def test_going_back_into_an_answer_plays_the_same_phrase_again(name: str) -> None:
    take = planned(call()).until(2.0)
    take.set(2.0, "store", "A")
    take.until(2.3)
    take.set(2.31, name, {"back": 0.31, "recall": "A"}[name])
    take.until(2.9)
    assert places(take) == [*IN_PHRASE[:3], *IN_PHRASE[2:5]][: len(places(take))]
    assert len(places(take)) >= 5


def test_going_back_with_another_follow_plays_ordinary_draws() -> None:
    take = planned(call()).until(2.0)
    take.set(2.0, "store", "A")
    take.set(2.01, "follow", 0.0)
    take.set(2.02, "memory", 0.0)
    take.set(2.03, "recall", "A")
    take.until(2.5)
    assert set(places(take)[2:]) == {(0.3, 0.3), (0.6, 0.6)}


def test_another_model_ends_plan_and_phrase_and_the_next_call_is_planned_by_it() -> None:
    take = planned(call()).until(2.0)
    other = Planning([land(0.2, 0.7, 0.7)] * 4)
    take.jam.swap(2.01, other, "b.safetensors")
    take.until(2.3)
    assert set(places(take)[2:]) == {(0.3, 0.3), (0.6, 0.6)}
    take.down(2.5)
    idle(take, 2.75)
    take.until(3.2)
    assert places(take)[-1] == (0.7, 0.7)


@pytest.mark.parametrize("act", ["recover", "hold", "move"])
def test_error_and_a_player_that_is_replaced_end_plan_and_phrase(act: str) -> None:
    for begun in (False, True):
        take = call(response=9.0)
        idle(take, 1.25)
        take.until(2.0 if begun else 1.3)
        jam, t = take.jam, take.jam.t + 0.01
        if act == "hold":
            jam.hold(t)
            assert jam.prepare(t + 0.01) == math.inf
            jam.recover(t + 0.02)
        elif act == "recover":
            jam.recover(t)
        else:
            jam.move(t, Planning())
        take.until(2.4)
        planned_places = IN_PHRASE[: 2 * begun]
        assert places(take)[: len(planned_places)] == planned_places
        assert set(places(take)[len(planned_places) :]) == {(0.3, 0.3), (0.6, 0.6)}


def test_finger_that_would_stay_for_too_long_ends_the_phrase() -> None:
    still = [land(0.25, 0.5, 0.5), *[slide(0.25, 0.5, 0.5)] * 9]
    take = planned(call(Planning(still), dwell=0.6))
    take.until(4.0)
    assert places(take).count((0.5, 0.5)) == 3
    assert set(places(take)[3:]) == {(0.3, 0.3), (0.6, 0.6)}


def test_phrase_that_begins_after_the_turn_s_end_is_not_played() -> None:
    take = planned(call(Planning([land(3.5)])))
    assert take.until(1.5).played() == [("down", 1.5)]
    assert places(take) == [(0.3, 0.3)]


def test_empty_phrase_is_not_adopted() -> None:
    take = call()
    take.player.phrase = []
    planned(take)
    assert told(take) == []
    assert take.until(1.5).played() == [("down", 1.5)]


# -- several voices ---------------------------------------------------------------------------


def of(voice: int) -> list[tuple[float, float]]:
    return [(x, round(y - voice / 8, 9)) for x, y in IN_PHRASE]


def test_each_voice_plays_a_phrase_of_its_own() -> None:
    take = planned(call(Planning(voices=3)))
    assert take.player.asked[0]["voices"] == [0, 1, 2]
    take.until(5.0)
    assert [places(take, who) for who in ("ai", "ai2", "ai3")] == [of(0), of(1), of(2)]


def test_voices_that_rest_lose_their_phrases_and_come_back_to_ordinary_draws() -> None:
    take = planned(call(Planning(voices=3))).until(2.0)
    take.set(2.01, "resting", 1)
    take.until(2.5)
    take.set(2.51, "resting", 0)
    take.until(3.0)
    assert places(take) == of(0)[: len(places(take))]
    assert places(take, "ai2") == of(1)[: len(places(take, "ai2"))]
    assert places(take, "ai3")[:2] == of(2)[:2]
    assert set(places(take, "ai3")[2:]) == {(0.3, 0.3), (0.6, 0.6)}


def test_voices_that_rest_are_not_planned() -> None:
    take = Take(player=Planning(voices=3), threshold=0.4, dwell=60)
    take.set(0.0, "resting", 1)
    take.down(1.0)
    idle(take, 1.25)
    assert take.player.asked[0]["voices"] == [0, 1]
    take.until(1.66)
    assert (places(take, "ai2"), places(take, "ai3")) == (of(1)[:1], [])


def test_voice_whose_phrase_ends_goes_on_while_the_others_play_theirs() -> None:
    class Uneven(Planning):
        def plan(self, voices: Any, **wanted: Any) -> Any:
            plan = super().plan(voices, **wanted)
            del plan.phrases[1][2:]
            return plan

    take = planned(call(Uneven(voices=2)))
    take.until(3.0)
    idle(take, 3.01)
    assert len(take.player.asked) == 1  # one of the phrases goes on
    assert places(take) == of(0)[:6]
    assert places(take, "ai2")[:2] == of(1)[:2]
    assert set(places(take, "ai2")[2:]) == {(0.3, 0.3), (0.6, 0.6)}


# -- a machine without time -------------------------------------------------------------------


def test_machine_without_time_drops_its_plan_counts_it_and_goes_on_later() -> None:
    take = call(response=9.0)
    idle(take, 1.25, turns=2)
    assert take.jam.prepare(1.26, plans=False) > 0.01
    assert take.counts.plans_dropped == 1
    assert take.jam.prepare(1.27, plans=False) > 0.01
    assert take.counts.plans_dropped == 1
    take.until(1.41)
    idle(take, 1.41)
    assert told(take) == []  # it is not tried again at once
    idle(take.until(2.55), 2.55)
    assert [what[0] for what in told(take)] == ["planning", "planned"]


def test_finished_plan_is_played_whatever_the_machine_has_time_for() -> None:
    take = call()
    idle(take, 1.25)
    assert take.jam.prepare(1.3, plans=False) == math.inf
    assert told(take.until(1.4)) == [("planned", 0.0, 1.4)]


def test_plan_that_fails_is_dropped_and_not_tried_again_at_once() -> None:
    take = call(Planning(steps=4))
    idle(take, 1.25, turns=2)

    def fail() -> bool:
        raise FloatingPointError

    take.player.begun[0].step = fail
    with pytest.raises(FloatingPointError):
        take.jam.prepare(1.26)
    assert take.jam.prepare(1.27) > 0.1
    assert take.until(1.5).played() == [("down", 1.5)]


# -- recordings -------------------------------------------------------------------------------


def test_recorded_plan_that_fits_nothing_is_ignored() -> None:
    take = Take(player=PlanningPlayer(), threshold=0.4)
    assert not take.set(0.0, "planned", 0.3)
    assert not take.set(0.0, "planning", 0.3)  # nobody plays
    take.set(0.1, "planned", 0.0)
    take.down(1.0)
    take.until(1.45)
    assert told(take) == []
    take.set(1.46, "planned", 0.0)  # the turn has begun without it
    take.set(1.47, "planned", 0.7)
    assert told(take) == []


def test_plan_of_a_recording_is_made_when_its_turn_begins_and_no_sooner() -> None:
    live, again = call(), call()
    idle(live, 1.25)
    live.until(3.0)
    again.set(1.4, "planned", 0.0)
    assert again.player.asked == []
    again.until(3.0)
    assert again.player.asked == live.player.asked
    assert again.out == live.out


def test_take_that_has_not_begun_plans_nothing() -> None:
    jam = Jam(Planning(), Settings(mode="solo"), lambda _: None)
    assert jam.prepare(0.0) == math.inf


# -- motifs that come back ---------------------------------------------------------------------


def test_stroke_that_brings_a_motif_back_is_announced_with_who_played_it_and_when() -> None:
    path = (0.2, 0.2, 0.4, 0.4)
    known, unknown = Recall(path, landings_ago=1), Recall(path, landings_ago=9)
    first, second = (Proposal(0.1, 0.9, 0.25, False, recall) for recall in (known, unknown))
    take = Take(player=Planning([first, slide(0.1, 0.2, 0.9), second]), threshold=0.4, dwell=60)
    take.down(0.5, who="human2")
    take.up(0.6, who="human2")
    take.down(1.0)
    take.up(1.01)
    planned(take).until(2.4)
    motif, other = [event for event in take.out if isinstance(event, MotifReturned)]
    assert motif == MotifReturned(1.65, "ai", Recall(path, 1, "human2", 0.5))
    assert other.recall.who == ""
    touches = [e for e in take.out if isinstance(e, TouchPlayed | MotifReturned)]
    assert isinstance(touches[touches.index(motif) - 1], TouchPlayed)  # it has sounded
