"""Plans: what they choose, what they share with ordinary play, and what bounds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.matchers import alike
from support.models import TOUCHES, filed, rows, small

from robojam.controls import Settings
from robojam.jam.events import Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.protocols import Proposal
from robojam.model.file import ModelFile
from robojam.player import planner
from robojam.player.descriptors import VERSION, describe
from robojam.player.planner import MAX_CANDIDATES, Plan
from robojam.player.player import ModelPlayer
from robojam.touch import MAX_DT, MIN_DT, Phase

FILE = replace(filed(small(TOUCHES)), matcher=alike())
OPTIONS = {"seconds": 1.5, "follow": 0.5, "memory": 0.0}


def heard(file: ModelFile = FILE, *, count: int = 30, voices: int = 1) -> ModelPlayer:
    """Return a player that has been fed a call."""
    player = ModelPlayer(file, seed=3, voices=voices)
    for x, y, dt, moving in rows(TOUCHES, count, np.random.default_rng(1)).tolist():
        player.feed(x, y, dt, moving > 0.5)
    return player


def made(plan: Plan | None) -> list[list[Proposal]]:
    assert plan is not None
    while not plan.step():
        pass
    return plan.touches()


def ordinary(player: ModelPlayer, seconds: float) -> list[Proposal]:
    """Return what a player plays by itself, as it sounds."""
    phrase, total, down = [], 0.0, False
    while total < seconds:
        (p,) = player.sample([0])
        x, y = min(max(p.x, 0.0), 1.0), min(max(p.y, 0.0), 1.0)
        dt = min(max(p.dt, MIN_DT), MAX_DT)
        phrase.append(Proposal(x, y, dt, p.moving and down))
        player.commit(0, x, y, dt, p.moving and down)
        down, total = True, total + dt
    return phrase


def test_same_state_and_seed_give_the_same_plan():
    assert made(heard().plan([0], **OPTIONS)) == made(heard().plan([0], **OPTIONS))


def test_plan_changes_nothing_of_the_player():
    player, other = heard(), heard()
    made(player.plan([0], **OPTIONS))
    assert ordinary(player, 1.0) == ordinary(other, 1.0)


def test_plan_that_follows_nothing_is_the_ordinary_draw():
    (phrase,) = made(heard().plan([0], seconds=1.5, follow=0.0, memory=0.0, dwell=60.0))
    played = ordinary(heard(), 1.5)
    assert len(phrase) == len(played)
    for touch, other in zip(phrase, played, strict=True):
        assert touch.moving == other.moving
        assert (touch.x, touch.y) == pytest.approx((other.x, other.y), abs=1e-4)
        assert touch.dt == pytest.approx(other.dt, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_lead_draws_again_what_an_ordinary_voice_does_with_the_same_numbers(seed):
    played: list[Proposal] = []

    def sink(event: Event) -> None:
        if isinstance(event, TouchPlayed) and event.touch.phase is not Phase.UP:
            touch = event.touch
            played.append(Proposal(touch.x, touch.y, touch.dt, touch.phase is Phase.MOVE))

    player, skipped = heard(), []
    player.skip = lambda voice: skipped.append(ModelPlayer.skip(player, voice))  # type: ignore
    player.reset()
    jam = Jam(player, Settings(mode="solo", dwell=0.05, follow=0.0, memory=0.0), sink)
    jam.begin(seed)
    jam.advance(6.0)
    assert skipped
    other = heard()
    other.reset()
    other.seed(seed)
    options = {"seconds": 7.0, "follow": 0.5, "memory": 0.0}
    (phrase,) = made(other.plan([0], **options, lead=6.0, dwell=0.05))
    assert sum(touch.dt for touch in phrase) >= 6.0
    assert len(played) > 5
    for touch, own in zip(phrase, played, strict=False):
        assert touch.moving == own.moving
        assert (touch.x, touch.y) == pytest.approx((own.x, own.y), abs=1e-4)
        assert touch.dt == pytest.approx(own.dt, rel=1e-3)


def test_lead_is_the_ordinary_draw():
    (phrase,) = made(heard().plan([0], **OPTIONS, lead=0.7, dwell=60.0))
    total = 0.0
    for touch, other in zip(phrase, ordinary(heard(), 0.7), strict=False):
        assert (touch.x, touch.y) == pytest.approx((other.x, other.y), abs=1e-4)
        total += touch.dt
    assert total >= 0.7


def test_phrases_keep_the_limits_of_play():
    for count in (1, 2, 30):
        (phrase,) = made(heard(count=count).plan([0], **OPTIONS))
        assert not phrase[0].moving
        assert sum(touch.dt for touch in phrase[:-1]) < 1.5
        assert sum(touch.dt for touch in phrase) > 0.5
        for touch in phrase:
            assert 0 <= touch.x <= 1
            assert 0 <= touch.y <= 1
            assert MIN_DT <= touch.dt <= MAX_DT


def test_closer_following_scores_higher_and_contrast_lower():
    scores = {}
    for follow in (-1.0, 0.0, 1.0):
        total = 0.0
        for seed in range(6):
            player = heard()
            player.seed(seed)
            (phrase,) = made(player.plan([0], seconds=2.0, follow=follow, memory=0.0))
            answer = np.array([[t.x, t.y, t.dt, t.moving] for t in phrase])
            call = player._present_call()
            matcher = FILE.matcher
            assert matcher is not None
            place = matcher.place(describe([call])[0])
            total += float(matcher.score(place, describe([answer]), closeness=0.5)[0])
        scores[follow] = total
    assert scores[-1.0] < scores[0.0] < scores[1.0]


def test_voices_have_phrases_of_their_own_up_to_a_bound():
    player = heard(voices=40)
    plan = player.plan(range(40), **OPTIONS)
    phrases = made(plan)
    planned = MAX_CANDIDATES // planner.FEWEST_CANDIDATES
    assert len(phrases) == 40
    assert not any(phrases[planned:])
    assert len({str(phrase) for phrase in phrases[:planned]}) == planned


def test_phrase_of_too_many_touches_ends_early(monkeypatch):
    monkeypatch.setattr(planner, "MAX_STEPS", 20)
    (phrase,) = made(heard().plan([0], **{**OPTIONS, "seconds": 10.0}))
    assert 0 < len(phrase) <= 20


@pytest.mark.parametrize("matcher", [None, alike(version=VERSION + 1, descriptors=3)])
def test_model_without_a_matcher_that_fits_has_no_plan(matcher):
    assert heard(replace(FILE, matcher=matcher)).plan([0], **OPTIONS) is None


def test_call_is_what_was_played_since_the_own_last_touch():
    player = heard(count=5)
    player.commit(0, 0.5, 0.5, 0.1, False)
    assert len(player._present_call()) == 5
    player.feed(0.25, 0.25, 0.1, False)
    player.feed(0.25, 0.5, 0.1, True)
    assert player._present_call()[:, 1].tolist() == [0.25, 0.5]


def test_snapshot_holds_the_call():
    player = heard()
    expected = made(player.plan([0], **OPTIONS))
    snapshot = player.snapshot()
    player.commit(0, 0.5, 0.5, 0.1, False)
    player.feed(0.25, 0.25, 0.1, False)
    player.restore(snapshot)
    assert made(player.plan([0], **OPTIONS)) == expected
    player.reset()
    assert not len(player._present_call())


def test_another_player_takes_the_call_over():
    player, other = ModelPlayer(FILE), heard()
    player.take_over(other)
    assert made(player.plan([0], **OPTIONS)) == made(other.plan([0], **OPTIONS))


@pytest.mark.parametrize("call", ["held finger", "noise", "none"])
def test_strange_call_gets_a_phrase(call):
    player = ModelPlayer(FILE)
    rng = np.random.default_rng(0)
    for i in range({"held finger": 2000, "noise": 3000, "none": 0}[call]):
        held = call == "held finger"
        x, y = (0.5, 0.5) if held else rng.random(2).tolist()
        player.feed(x, y, 0.002, i > 0 and (held or rng.random() < 0.5))
    (phrase,) = made(player.plan([0], **OPTIONS))
    assert phrase
