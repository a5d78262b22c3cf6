"""Back, and memories of how the jam was: what is kept, what is put back, what is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.engine import CORPUS, MODEL, Driven
from support.players import Scripted, Whimsical, land
from support.takes import Take

from robojam.jam.history import _INTERVAL, History, JamSnapshot
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.touch import MAX_BACK


def moment(t: float) -> JamSnapshot:
    return JamSnapshot(t, None, None, "human", 0.0, ())


# -- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize("voices", [1, 16, 64, 4096])
def test_what_is_kept_is_bounded_however_long_and_however_many(voices):
    past = History(voices)
    kept = []
    for i in range(20_000):
        if past.wants(i * 0.01):
            past.add(moment(i * 0.01))
            kept.append(i * 0.01)
    found = {past.at(t).t for t in kept}
    assert 2 <= len(found) * max(1, voices / 16) <= 2 * MAX_BACK / _INTERVAL + voices
    assert all(b - a > past.interval - 1e-6 for a, b in itertools.pairwise(kept))


def test_the_moment_found_is_the_first_no_earlier_and_else_the_last():
    past = History(1)
    assert past.at(0.0) is None
    for t in (1.0, 2.0, 5.0):
        past.add(moment(t))
    assert [past.at(t).t for t in (0.0, 1.0, 1.1, 4.9, 5.0, 9.0)] == [
        1.0,
        1.0,
        2.0,
        5.0,
        5.0,
        5.0,
    ]


# -- what is put back -------------------------------------------------------------------------


def phrase(take: Take, t: float, count: int = 10) -> float:
    for i in range(count):
        (take.down if i == 0 else take.move)(t + i * 0.05)
    take.up(t + count * 0.05)
    return t + count * 0.05


def test_back_puts_the_player_back_to_what_it_knew_then():
    take = Take(player=Whimsical(), mode="listen")
    phrase(take, 1.0)
    take.until(10.0)
    then = take.player.snapshot()
    phrase(take, 11.0)
    take.until(18.0)
    assert take.player.snapshot() != then
    assert take.jam.control(20.0, "back", 10.0)
    assert take.player.snapshot() == then


def test_time_passes_for_the_model_as_it_would_have_then():
    take = Take(mode="listen")
    phrase(take, 1.0, 1)  # fed at 1.0, and again at 4.0
    take.down(4.0)
    take.jam.control(10.0, "back", 7.0)  # to 3.0, which is heard as 4.0, before it was fed
    take.down(10.5)
    assert take.player.heard[-1][2] == pytest.approx(3.0 + 0.5)
    assert take.player.heard[-1][3] is False  # a landing, though the finger never lifted


def test_back_into_the_machines_turn_plays_the_rest_of_it_again():
    take = Take(land(0.3), threshold=0.5, response=3.0)
    take.down(0.0)
    take.until(2.0)
    began = len(take.out)
    take.down(2.0)
    take.up(2.1)
    take.jam.control(2.2, "back", 1.0)
    assert take.jam.turn == "ai"
    take.until(10.0)
    played = [
        w.t for w in take.out[began:] if getattr(w, "touch", None) and w.touch.who == "ai"
    ]
    assert played[0] < 2.2 + 0.31
    # the turn had begun at 0.5: 0.7 to 1.0 s of its three were over
    assert 2.2 + 1.5 < max(played) < 2.2 + 2.6
    assert take.jam.turn == "human"


def test_back_into_the_humans_turn_waits_for_them():
    take = Take(threshold=0.5, response=1.0)
    phrase(take, 0.0)
    take.until(1.5)
    take.jam.control(1.6, "back", 1.5)
    assert take.jam.turn == "human"
    assert not take.jam.fingers
    assert take.jam.due is None


def test_controls_stay_as_they_are():
    take = Take(mode="listen")
    phrase(take, 0.0)
    take.jam.control(3.0, "temperature", 0.3)
    take.jam.control(4.0, "back", 4.0)
    assert take.settings.temperature == 0.3
    assert take.player.tempered == (0.3, 1.0)


def test_back_can_be_taken_back():
    take = Take(player=Whimsical(), mode="listen")
    phrase(take, 0.0)
    phrase(take, 5.0)
    take.until(9.0)
    before = take.player.snapshot()
    take.jam.control(10.0, "back", 8.0)
    assert take.player.snapshot() != before
    take.jam.control(11.0, "back", 1.0)
    assert take.player.snapshot() == before


def test_a_reset_can_be_taken_back():
    take = Take(player=Whimsical(), mode="listen")
    phrase(take, 0.0)
    before = take.player.snapshot()
    take.jam.control(3.0, "reset")
    assert take.player.snapshot() != before
    take.jam.control(4.0, "back", 1.0)
    assert take.player.snapshot() == before


def test_the_same_memory_gives_the_same_answer_and_another_seed_another():
    take = Take(player=Whimsical(), threshold=0.3, response=2.0)
    phrase(take, 0.0)
    take.jam.control(0.6, "store", "A")
    answers = []
    for t in (1.0, 5.0, 9.0):
        take.jam.control(t, "recall", "A")
        if t == 9.0:
            take.jam.control(t, "seed", 99)
        began = len(take.out)
        take.jam.control(t, "answer")
        take.until(t + 3)
        answers.append(
            [
                (w.touch.x, w.touch.y, w.touch.dt)
                for w in take.out[began:]
                if hasattr(w, "touch") and w.touch.phase != "up"
            ]
        )
    assert answers[0] == answers[1] != answers[2]
    assert len(answers[0]) > 2


def test_what_was_never_stored_changes_nothing_and_is_counted():
    take = Take()
    take.down(0.0)
    assert not take.jam.control(1.0, "recall", "B")
    assert take.counts.dropped == {"nothing stored there": 1}


def test_another_model_cannot_go_on_from_the_memories_of_the_last():
    take = Take(mode="listen")
    phrase(take, 0.0)
    take.jam.control(1.0, "store", "A")
    take.jam.swap(2.0, Scripted(), "b.safetensors")
    assert not take.jam.memories
    assert not take.jam.control(3.0, "recall", "A")


@pytest.mark.parametrize("mode", ["solo", "duet", "listen", "call-response"])
def test_a_panic_is_not_undone_by_going_back(mode):
    take = Take(mode=mode, threshold=0.3)
    phrase(take, 0.0)
    take.until(3.0)
    take.jam.control(3.0, "panic")
    take.jam.control(3.1, "back", 1.0)
    before = len(take.out)
    take.until(10.0)
    assert not [w for w in take.out[before:] if hasattr(w, "touch")]


# -- over OSC, recorded, and made anew ------------------------------------------------


def test_before_a_take_has_begun_there_is_nothing_to_go_back_to(tmp_path):
    driven = Driven(tmp_path)
    for name, tags, value in (("back", "f", 5.0), ("store", "s", "A"), ("recall", "s", "A")):
        driven.send(f"/robojam/{name}", tags, value)
    assert sum(driven.status()["dropped"].values()) == 3
    assert driven.status()["memories"] == []


def test_it_is_told_to_monitors_and_in_the_status_and_recorded(tmp_path):
    driven = Driven(tmp_path, mode="listen")
    driven.send("/robojam/subscribe", "i", 4001)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.wait(1.0)
    driven.take()
    driven.send("/robojam/store", "s", "a")
    driven.send("/robojam/back", "f", 0.5)
    driven.send("/robojam/recall", "s", "A")
    told = [(m.name, m.args) for m in driven.take() if m.to[1] == 4001]
    assert told == [("store", ("A",)), ("back", (0.5,)), ("recall", ("A",))]
    assert driven.status()["memories"] == ["A"]
    session = driven.end()
    sets = [e.values for e in session.events if hasattr(e, "values")]
    assert sets == [{"store": "A"}, {"back": 0.5}, {"recall": "A"}]


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.skipif(not CORPUS.exists(), reason=f"no {CORPUS}")
@pytest.mark.parametrize("voices", [1, 3, 9])
def test_a_real_jam_that_goes_back_is_made_anew_bit_for_bit(voices, tmp_path):
    from robojam.engine.model_loader import load, one_thread

    one_thread()

    def real():
        return load(MODEL, device="cpu", voices=voices).player

    with np.load(CORPUS) as data:
        touches = data["touches"][:60]
    driven = Driven(tmp_path, real(), voices=voices, threshold=0.2, response=2.0)
    steps = (("store", "s", "A"), ("back", "f", 1.0), ("recall", "s", "A"), ("back", "f", 4.0))
    for name, tags, value in steps:
        for x, y, dt, moving in touches:
            driven.wait(min(max(float(dt), 0.001), 0.3))
            driven.send(
                f"/robojam/{'move' if moving else 'down'}", "iff", 0,
                min(max(float(x), 0.0), 1.0), min(max(float(y), 0.0), 1.0),
            )  # fmt: skip
        driven.send("/robojam/up", "i", 0)
        driven.wait(1.0)
        driven.send(f"/robojam/{name}", tags, value)
        driven.wait(1.5)
        driven.send("/robojam/answer")
        driven.wait(1.5)
    session = driven.end()
    made = list(regenerate(session, real(), lambda ref: real()))
    assert first_difference(session, made) is None
    assert sum(e.touch.who.startswith("ai") for e in session.touches()) > 50
