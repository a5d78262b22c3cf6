"""History of a jam: snapshots, going back, and stored snapshots."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from support import CORPUS, has_corpus
from support.engine import MODEL, DrivenEngine
from support.players import RandomPlayer, ScriptedPlayer, land
from support.takes import Take

from robojam.jam.events import TouchPlayed
from robojam.jam.history import _INTERVAL, History, JamSnapshot
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.touch import MAX_BACK, Phase


def snapshot(t: float) -> JamSnapshot:
    return JamSnapshot(t, None, None, "human", 0.0, ())


# -- snapshots -----------------------------------------------------------------------------


@pytest.mark.parametrize("voices", [1, 16, 64, 4096])
def test_number_of_snapshots_is_bounded_for_any_length_and_voices(voices):
    history = History(voices)
    times: list[float] = []

    def taken(t: float) -> JamSnapshot:
        times.append(t)
        return snapshot(t)

    for i in range(20_000):
        history.add_when_due(i * 0.01, partial(taken, i * 0.01))
    kept = {history.at(t).t for t in times}
    assert 2 <= len(kept) * max(1, voices / 16) <= 2 * MAX_BACK / _INTERVAL + voices
    assert all(b - a > history.interval - 1e-6 for a, b in itertools.pairwise(times))


def test_snapshot_at_a_time_is_the_first_no_earlier_and_else_the_last():
    history = History(1)
    for t in (1.0, 2.0, 5.0):
        history.add_when_due(t, partial(snapshot, t))
    assert [history.at(t).t for t in (0.0, 1.0, 1.1, 4.9, 5.0, 9.0)] == [
        1.0,
        1.0,
        2.0,
        5.0,
        5.0,
        5.0,
    ]


# -- restoring -------------------------------------------------------------------------


def phrase(take: Take, t: float, count: int = 10) -> float:
    for i in range(count):
        (take.down if i == 0 else take.move)(t + i * 0.05)
    take.up(t + count * 0.05)
    return t + count * 0.05


def test_back_restores_the_state_of_the_player():
    take = Take(player=RandomPlayer(), mode="listen")
    phrase(take, 1.0)
    take.until(10.0)
    then = take.player.snapshot()
    phrase(take, 11.0)
    take.until(18.0)
    assert take.player.snapshot() != then
    assert take.jam.control(20.0, "back", 10.0)
    assert take.player.snapshot() == then


def test_dt_after_back_is_the_time_since_the_last_fed_touch_of_that_time():
    take = Take(mode="listen")
    phrase(take, 1.0, 1)  # fed at 1.0, and again at 4.0
    take.down(4.0)
    take.jam.control(10.0, "back", 7.0)  # to 3.0, the state before it was fed at 4.0
    take.down(10.5)
    assert take.player.human_touches[-1][2] == pytest.approx(3.0 + 0.5)
    # A landing, though the finger never lifted.
    assert take.player.human_touches[-1][3] is False


def test_back_into_the_machine_s_turn_plays_the_rest_of_it():
    take = Take(land(0.3), threshold=0.5, response=3.0)
    take.down(0.0)
    take.until(2.0)
    events_before = len(take.out)
    take.down(2.0)
    take.up(2.1)
    take.jam.control(2.2, "back", 1.0)
    assert take.jam.turn == "ai"
    take.until(10.0)
    played = [
        event.t
        for event in take.out[events_before:]
        if isinstance(event, TouchPlayed) and event.touch.who == "ai"
    ]
    assert played[0] < 2.2 + 0.31
    # the turn had begun at 0.5: 0.7 to 1.0 s of its three were over
    assert 2.2 + 1.5 < max(played) < 2.2 + 2.6
    assert take.jam.turn == "human"


def test_back_into_the_humans_turn_waits_for_a_touch():
    take = Take(threshold=0.5, response=1.0)
    phrase(take, 0.0)
    take.until(1.5)
    take.jam.control(1.6, "back", 1.5)
    assert take.jam.turn == "human"
    assert not take.jam.fingers
    assert take.jam.due is None


def test_back_leaves_the_controls_as_they_are():
    take = Take(mode="listen")
    phrase(take, 0.0)
    take.jam.control(3.0, "temperature", 0.3)
    take.jam.control(4.0, "back", 4.0)
    assert take.settings.temperature == 0.3
    assert take.player.sampling == (0.3, 1.0)


def test_back_after_back_restores_the_later_state():
    take = Take(player=RandomPlayer(), mode="listen")
    phrase(take, 0.0)
    phrase(take, 5.0)
    take.until(9.0)
    before = take.player.snapshot()
    take.jam.control(10.0, "back", 8.0)
    assert take.player.snapshot() != before
    take.jam.control(11.0, "back", 1.0)
    assert take.player.snapshot() == before


def test_back_after_reset_restores_the_state_before():
    take = Take(player=RandomPlayer(), mode="listen")
    phrase(take, 0.0)
    before = take.player.snapshot()
    take.jam.control(3.0, "reset")
    assert take.player.snapshot() != before
    take.jam.control(4.0, "back", 1.0)
    assert take.player.snapshot() == before


def test_recalled_snapshot_gives_the_same_answer_and_with_another_seed_another():
    take = Take(player=RandomPlayer(), threshold=0.3, response=2.0)
    phrase(take, 0.0)
    take.jam.control(0.6, "store", "A")
    answers = []
    for t in (1.0, 5.0, 9.0):
        take.jam.control(t, "recall", "A")
        if t == 9.0:
            take.jam.control(t, "seed", 99)
        events_before = len(take.out)
        take.jam.control(t, "answer")
        take.until(t + 3)
        answers.append(
            [
                (event.touch.x, event.touch.y, event.touch.dt)
                for event in take.out[events_before:]
                if isinstance(event, TouchPlayed) and event.touch.phase is not Phase.UP
            ]
        )
    assert answers[0] == answers[1] != answers[2]
    assert len(answers[0]) > 2


def test_recall_of_an_empty_name_changes_nothing_and_is_counted():
    take = Take()
    take.down(0.0)
    assert not take.jam.control(1.0, "recall", "B")
    assert take.counts.dropped == {"nothing stored there": 1}


def test_undone_store_brings_back_what_was_stored_before():
    take = Take(player=RandomPlayer(), mode="listen")
    phrase(take, 0.0)
    take.jam.control(1.0, "store", "A")
    first = take.player.snapshot()
    phrase(take, 2.0)
    take.jam.control(3.0, "store", "A")
    assert take.jam.control(4.0, "undo_store", "A")
    take.jam.control(5.0, "recall", "A")
    assert take.player.snapshot() == first
    assert not take.jam.control(6.0, "undo_store", "A")  # it can be undone once
    assert take.counts.dropped == {"nothing stored there": 1}


def test_undone_first_store_leaves_the_name_empty():
    take = Take(mode="listen")
    phrase(take, 0.0)
    take.jam.control(1.0, "store", "B")
    assert take.jam.control(1.5, "undo_store", "B")
    assert take.jam.memories == ()
    assert not take.jam.control(2.0, "recall", "B")


def test_change_of_model_clears_the_stored_snapshots():
    take = Take(mode="listen")
    phrase(take, 0.0)
    take.jam.control(1.0, "store", "A")
    take.jam.swap(2.0, ScriptedPlayer(), "b.safetensors")
    assert not take.jam.memories
    assert not take.jam.control(3.0, "recall", "A")
    assert not take.jam.control(3.0, "undo_store", "A")


@pytest.mark.parametrize("mode", ["solo", "duet", "listen", "call-response"])
def test_back_after_a_panic_does_not_end_it(mode):
    take = Take(mode=mode, threshold=0.3)
    phrase(take, 0.0)
    take.until(3.0)
    take.jam.control(3.0, "panic")
    take.jam.control(3.1, "back", 1.0)
    events_before = len(take.out)
    take.until(10.0)
    assert not [e for e in take.out[events_before:] if isinstance(e, TouchPlayed)]


# -- over OSC, recorded and regenerated ------------------------------------------------


def test_back_store_and_recall_before_the_take_are_dropped(tmp_path):
    driven = DrivenEngine(tmp_path)
    for name, tags, value in (("back", "f", 5.0), ("store", "s", "A"), ("recall", "s", "A")):
        driven.send(f"/robojam/{name}", tags, value)
    assert sum(driven.status()["dropped"].values()) == 3
    assert driven.status()["memories"] == []


def test_store_back_and_recall_are_sent_to_monitors_and_recorded(tmp_path):
    driven = DrivenEngine(tmp_path, mode="listen")
    driven.send("/robojam/subscribe", "i", 4001)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.wait(1.0)
    driven.take()
    driven.send("/robojam/store", "s", "a")
    driven.send("/robojam/back", "f", 0.5)
    driven.send("/robojam/recall", "s", "A")
    controls = [(m.name, m.args) for m in driven.take() if m.to[1] == 4001]
    assert controls == [("store", ("A",)), ("back", (0.5,)), ("recall", ("A",))]
    assert driven.status()["memories"] == ["A"]
    session = driven.end()
    sets = [e.values for e in session.events if hasattr(e, "values")]
    assert sets == [{"store": "A"}, {"back": 0.5}, {"recall": "A"}]


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@has_corpus
@pytest.mark.parametrize("voices", [1, 3, 9])
def test_jam_with_back_and_recall_is_regenerated_bit_for_bit(voices, tmp_path):
    from robojam.engine.model_loader import load, one_thread

    one_thread()

    def real():
        return load(MODEL, device="cpu", voices=voices).player

    with np.load(CORPUS / "microjam_val.npz") as data:
        touches = data["touches"][:60]
    # The plans of several voices would take half a minute.
    plain = {"follow": 0.0, "memory": 0.0} if voices > 1 else {}
    driven = DrivenEngine(tmp_path, real(), voices=voices, threshold=0.2, response=2.0, **plain)
    steps = (
        ("store", "s", "A"), ("back", "f", 1.0), ("store", "s", "A"), ("undo_store", "s", "A"),
        ("recall", "s", "A"), ("back", "f", 4.0),
    )  # fmt: skip
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
    regenerated = list(regenerate(session, real(), lambda ref: real()))
    assert first_difference(session, regenerated) is None
    assert sum(e.touch.who.startswith("ai") for e in session.touches()) > 50
