"""Duet and ensemble on a clock that the test sets. Their rules are in robojam.jam.modes."""

from __future__ import annotations

import pytest
from support.players import ScriptedPlayer, land, slide
from support.takes import Take

from robojam.touch import Phase, is_machine, nth

OTHER = "human2"


def landings(take: Take) -> list[float]:
    return [t for phase, t in take.played() if phase == "down"]


def first_landings(take: Take) -> dict[str, float]:
    """Return when each voice landed first."""
    first: dict[str, float] = {}
    for event in take.sounded:
        if is_machine(event.touch.who) and event.touch.phase is Phase.DOWN:
            first.setdefault(event.touch.who, event.t)
    return first


# -- duet -------------------------------------------------------------------------------------


def test_duet_answers_a_landing_with_a_line_that_ends_after_the_human_stops() -> None:
    take = Take(land(0.25), slide(0.125), slide(0.125), mode="duet")
    take.down(1.0)
    played = take.until(60.0).played()
    assert played[:3] == [("down", 1.25), ("move", 1.375), ("move", 1.5)]
    assert max(t for phase, t in played if phase != "up") < 2.0
    assert played[-1][0] == "up"
    assert take.jam.due is None


def test_duet_answer_that_would_come_after_the_next_landing_comes_before_it() -> None:
    take = Take(land(0.9), mode="duet")
    for i in range(8):
        take.down(1.0 + 0.4 * i)
        take.up(1.05 + 0.4 * i)
    answers = landings(take.until(3.8))
    assert all(
        any(0 < t - (1.0 + 0.4 * i) < 0.4 for t in answers) for i in range(7)
    )  # fmt: skip


def test_duet_answer_that_is_drawn_much_too_late_is_not_drawn_again() -> None:
    take = Take(land(3.0), land(0.125), mode="duet")  # none is played 1 s after the landing
    take.down(1.0)
    take.until(1.3)
    assert landings(take) == [1.25]
    assert take.player.counts == [1]
    assert take.player.fed[0][1] == (0.25, 0.75, 3.0, False)  # as it was drawn


def test_duet_slide_does_not_replace_the_machine_s_line() -> None:
    take = Take(land(0.1), slide(0.05), mode="duet")
    take.down(1.0)
    for i in range(1, 60):
        take.move(1.0 + i / 60)
    take.until(2.0)
    assert take.counts.replaced == 0
    assert sum(phase != "up" for phase, t in take.played() if t <= 2.0) >= 10


def test_duet_landing_replaces_the_pending_answer_and_lifts_the_machine_s_finger() -> None:
    take = Take(land(0.1), slide(0.3), mode="duet")
    take.down(1.0)
    take.until(1.2)
    take.down(1.2)
    assert take.played() == [("down", 1.1), ("up", 1.2)]
    assert take.counts.replaced == 1


def test_duet_touches_of_the_machine_are_fed_as_its_own() -> None:
    take = Take(land(0.25), slide(0.125), mode="duet")
    take.down(1.0)
    take.until(1.4)
    assert take.player.fed[0] == [
        *[(0.5, 0.5, 0.0, False), (0.25, 0.75, 0.25, False), (0.5, 0.5, 0.125, True)]
    ]
    assert take.player.human_touches == take.player.fed[0][:1]


def test_duet_feeds_each_landing_with_the_time_since_any_human_s_last_touch() -> None:
    take = Take(land(0.9), mode="duet")
    for i in range(6):
        take.down(1.0 + 0.4 * i, 0, OTHER if i % 2 else "human")
    dts = [row[2] for row in take.player.human_touches]
    assert dts == pytest.approx([0.0, *[0.4] * 5])


def test_duet_finger_held_still_is_silence() -> None:
    take = Take(land(0.1), slide(0.1), mode="duet")
    take.down(1.0)
    assert max(t for _, t in take.until(600.0).played()) < 2.2


def test_duet_of_many_voices_hears_and_answers_some_at_a_time() -> None:
    take = Take(land(0.25), voices=70, mode="duet")
    take.down(1.0)
    assert [len(fed) for fed in take.player.fed] == [*[1] * 32, *[0] * 38]
    take.until(1.003)
    assert [len(fed) for fed in take.player.fed] == [*[1] * 64, *[0] * 6]
    take.until(1.005)
    assert take.player.fed == [[(0.5, 0.5, 0.0, False)]] * 70
    take.until(1.25)
    # Due their dt after the touch, whenever they heard it.
    assert first_landings(take) == {nth("ai", voice): 1.25 for voice in range(70)}


def test_duet_voices_that_hear_later_hear_all_touches_in_order() -> None:
    take = Take(land(0.25), voices=70, mode="duet")
    for i in range(20):  # more than may wait
        take.jam.finger(1.0 + i / 1000, "human", i, Phase.DOWN, 0.5 + i / 64, 0.5)
    take.until(1.2)
    heard = [[row[0] for row in fed if row[0] >= 0.5] for fed in take.player.fed]
    assert heard == [[0.5 + i / 64 for i in range(20)]] * 70
    assert take.counts.replaced > 0


def test_duet_voices_that_have_not_heard_a_touch_do_not_hear_it_after_a_reset() -> None:
    take = Take(land(0.25), voices=70, mode="duet")
    take.down(1.0)
    take.set(1.001, "reset")
    take.until(2.0)
    assert not any(take.player.fed[69])


def test_duet_pause_delays_the_voices_that_hear_later() -> None:
    take = Take(land(0.25), voices=70, mode="duet")
    take.down(1.0)
    take.set(1.001, "pause", 1)
    take.set(5.001, "pause", 0)
    take.until(6.0)
    assert first_landings(take) == {nth("ai", voice): 5.25 for voice in range(70)}


# -- ensemble ---------------------------------------------------------------------------------


def slides(take: Take, who: str, start: float, end: float, rate: float = 30.0) -> None:
    """Slide a finger of a player that is down, without end."""
    for i in range(int((end - start) * rate)):
        take.move(start + i / rate, 0, who)


def test_ensemble_is_silent_where_nobody_has_played() -> None:
    take = Take(land(0.1), mode="ensemble")
    assert take.until(600.0).played() == []


def test_ensemble_takes_over_from_somebody_who_stops_while_another_plays_on() -> None:
    take = Take(land(0.1), slide(0.1), mode="ensemble", threshold=0.5)
    take.down(0.0, 0, OTHER)
    take.down(0.1)
    slides(take, "human", 0.1, 1.0)
    assert take.turns[0] == ("ai", 0.5)
    assert take.played()[0] == ("down", 0.6)


def test_ensemble_ends_its_phrase_where_everybody_has_stopped() -> None:
    take = Take(land(0.1), slide(0.1), mode="ensemble", threshold=0.5, response=3.0)
    take.down(0.0)
    slides(take, "human", 0.0, 20.0, 60.0)
    last = max(t for _, t in take.until(600.0).played())
    assert 20.0 < last <= 23.5 + 1e-6  # it entered at 20.5
    assert take.jam.turn == "human"
    assert take.jam.due is None


def test_ensemble_rests_and_hears_people_who_play_more_densely_than_it_can() -> None:
    take = Take(land(0.2), land(0.2), mode="ensemble", response=4.0)
    take.down(0.0)
    slides(take, "human", 0.0, 60.0, 60.0)
    began = [t for whose, t in take.turns if whose == "ai"]
    ended = [t for whose, t in take.turns if whose == "human"]
    phrases = list(zip(began, ended, strict=False))
    assert len(phrases) >= 8
    assert max(b - a for a, b in phrases) <= 6.5
    assert len(take.player.human_touches) > 0.1 * 60 * 60


def test_ensemble_plays_as_densely_as_the_mean_of_the_others() -> None:
    take = Take(*[land(0.05)] * 3, mode="ensemble")
    for i in range(60 * 8):
        take.down(i / 8, 0, ("human", OTHER, "human3", "human4")[i % 4])
    assert take.counts.played == pytest.approx(60 * 2, rel=0.3)


def test_ensemble_hears_the_next_soloist_s_slide_while_the_last_one_holds_still() -> None:
    take = Take(land(0.01), mode="ensemble", threshold=0.5)
    take.down(0.0)
    take.down(0.1, 0, OTHER)
    take.down(0.2)  # landed last, and holds still
    slides(take, OTHER, 0.25, 8.0)
    assert len(take.player.human_touches) > 50


def test_ensemble_counts_visitors_only_where_no_host_is_present() -> None:
    alone = Take(land(0.1), mode="ensemble")
    beside = Take(land(0.1), mode="ensemble")
    for take in (alone, beside):
        take.set(0.0, "visitor", OTHER)
    beside.down(0.0)
    beside.until(10.0)
    before = beside.counts.played
    for take in (alone, beside):
        for i in range(100):
            take.down(11.0 + i / 10, 0, OTHER)
    assert alone.counts.played > 50
    assert beside.counts.played == before


@pytest.mark.parametrize("voices", [1, 8])
def test_ensemble_pause_loses_no_time(voices: int) -> None:
    def play(pause: float) -> list[tuple[str, float]]:
        take = Take(player=ScriptedPlayer(land(0.1), voices=voices), mode="ensemble")
        take.down(0.0)
        take.until(0.55)
        if pause:
            take.set(0.55, "pause", 1)
            take.set(0.55 + pause, "pause", 0)
        return [(p, round(t - pause, 6)) for p, t in take.until(30.0).played()]

    assert play(7.0) == play(0.0)
