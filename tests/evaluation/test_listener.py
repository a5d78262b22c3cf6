"""Listener: it hears what sums of features do not say, and nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robojam.evaluation import listener

pytest.importorskip("torch")


def walk(rng: Any, *, rising: bool) -> Any:
    """Return a stroke whose pace gets faster, or slower, and is the same on the whole."""
    count = 60
    xy = 0.5 + np.cumsum(rng.normal(0, 0.005, (count, 2)), 0)
    dt = np.linspace(0.01, 0.06, count)
    return np.column_stack([xy, dt if rising else dt[::-1], np.arange(count) > 0])


def test_listener_tells_answers_apart_by_the_order_of_their_touches(monkeypatch):
    monkeypatch.setattr(listener, "_PASSES", 12)
    rng = np.random.default_rng(0)
    people = [walk(rng, rising=True) for _ in range(40)]
    takes = [walk(rng, rising=False) for _ in range(40)]
    told, control = listener.compare(people, takes)
    assert told.auc > 0.95
    assert control.low < 0.5 < control.high


def test_listener_cannot_tell_answers_of_one_kind_apart(monkeypatch):
    monkeypatch.setattr(listener, "_PASSES", 6)
    rng = np.random.default_rng(0)
    people = [walk(rng, rising=True) for _ in range(30)]
    takes = [walk(rng, rising=True) for _ in range(60)]
    told, _ = listener.compare([*people[:-1], people[-1][:0]], takes)
    assert told.low < 0.5 < told.high


def test_listener_that_has_learnt_from_others_answers_tells_these(monkeypatch):
    monkeypatch.setattr(listener, "_PASSES", 12)
    rng = np.random.default_rng(0)
    people, others = ([walk(rng, rising=True) for _ in range(30)] for _ in range(2))
    takes, learnt = ([walk(rng, rising=False) for _ in range(30)] for _ in range(2))
    told, _ = listener.compare(people, takes, learnt=(others, learnt))
    assert told.auc > 0.95
    # It has learnt the wrong thing: that people play what the machine plays here.
    told, _ = listener.compare(people, takes, learnt=(learnt, others))
    assert told.auc < 0.05
