"""Planned phrases in an engine: idle turns, overload, status, models that cannot plan."""

from __future__ import annotations

import pytest
from support.engine import DrivenEngine, playing
from support.players import PlanningPlayer, RandomPlayer

from robojam.sessions.session import SetEvent


def play_a_call(driven: DrivenEngine) -> None:
    driven.send("/robojam/down", "iff", 1, 0.5, 0.5)
    driven.send("/robojam/up", "i", 1)


@pytest.fixture
def driven(tmp_path) -> DrivenEngine:
    return DrivenEngine(tmp_path, PlanningPlayer(plan_steps=10), threshold=0.5)


def test_answer_is_planned_in_idle_turns_counted_and_recorded(driven):
    play_a_call(driven)
    driven.send("/robojam/subscribe", "i", 4001)
    driven.wait(0.6)
    status = driven.status()
    assert (status["plans"], status["planned"], status["plans_late"]) == (True, 1, 0)
    assert "planned" not in {message.name for message in driven.take()}
    events = [event for event in driven.end().events if isinstance(event, SetEvent)]
    assert [event.values for event in events] == [{"planned": 0.0}]


def test_packets_are_read_between_two_steps_of_a_plan(driven):
    play_a_call(driven)
    driven.now += 0.26
    waits = [driven.engine.advance() for _ in range(13)]
    assert waits[:11] == [0.0] * 11  # it begins, and has ten steps
    assert waits[-1] > 0.0


def test_plan_waits_while_something_that_was_received_is_not_handled(driven):
    play_a_call(driven)
    driven.now += 0.26
    driven.engine.reception.take_in(
        b"/x\0\0", ("127.0.0.1", 4000), driven.now, driven.engine.reception.read
    )
    assert driven.engine.advance() > 0.0
    driven.engine.reception.listen()
    assert driven.engine.advance() == 0.0


def test_overload_drops_the_plan_before_a_voice_rests(driven):
    play_a_call(driven)
    driven.now += 0.26
    driven.engine.advance()
    driven.engine.live.load.miss(0.03)
    assert driven.engine.advance() > 0.0
    status = driven.status()
    assert (status["plans_dropped"], status["resting"]) == (1, 0)
    driven.wait(0.5)
    assert driven.status()["planned"] == 0


def test_model_that_cannot_plan_plays_and_is_named_once(tmp_path, caplog):
    driven = DrivenEngine(tmp_path, RandomPlayer())
    driven.models = {
        "b.safetensors": lambda: playing(PlanningPlayer(), "b.safetensors", "0b"),
        "c.safetensors": lambda: playing(RandomPlayer(), "c.safetensors", "0c"),
    }

    def named() -> list[str]:
        return [r.args[0] for r in caplog.records if "belongs to a call" in r.message]

    for _ in range(3):
        play_a_call(driven)
        driven.wait(6.0)
        driven.send("/robojam/follow", "f", 0.7)
    status = driven.status()
    assert not status["plans"]
    assert status["planned"] == 0
    assert status["played"] > 0
    assert named() == ["a.safetensors"]
    driven.send("/robojam/model", "s", "b.safetensors")
    assert driven.status()["plans"]
    driven.send("/robojam/model", "s", "c.safetensors")
    driven.wait(1.0)
    assert named() == ["a.safetensors", "c.safetensors"]


def test_model_that_cannot_plan_is_not_named_where_nothing_is_to_follow(tmp_path, caplog):
    driven = DrivenEngine(tmp_path, RandomPlayer(), follow=0.0, memory=0.0)
    play_a_call(driven)
    driven.wait(1.0)
    assert "belongs to a call" not in caplog.text
    driven.send("/robojam/memory", "f", 0.2)
    driven.wait(1.0)
    assert "belongs to a call" in caplog.text
