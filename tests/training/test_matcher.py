"""Fitting a matcher: it finds what answers have in common with calls."""

from __future__ import annotations

import numpy as np
from support.models import TOUCHES, filed, small

from robojam.player.descriptors import NAMES, describe
from robojam.training import matcher


def performance(rng: np.random.Generator) -> np.ndarray:
    """Return 4 s of strokes whose place and size are this player's own."""
    middle, size = rng.uniform(0.3, 0.7, 2), rng.uniform(0.02, 0.25)
    angle = np.cumsum(rng.normal(0.2, 0.1, 160))
    places = middle + size * np.column_stack([np.cos(angle), np.sin(angle)])
    moving = rng.random(160) > 0.05
    dt = rng.uniform(0.015, 0.035, 160)
    moving[0], dt[0] = False, 0.0
    return np.column_stack([places, dt, moving])


def test_people_answer_their_own_call_more_than_others():
    rng = np.random.default_rng(0)
    fitted = matcher.fit(filed(small(TOUCHES)), [performance(rng) for _ in range(150)])
    assert fitted is not None
    calls, answers = matcher.cut([performance(rng) for _ in range(40)])
    places = [fitted.place(call) for call in describe(calls)]
    scores = np.array([fitted.score(place, describe(answers)) for place in places])
    assert np.median((scores > np.diag(scores)).sum(0)) < len(scores) / 10


def test_too_few_performances_give_no_matcher():
    rng = np.random.default_rng(0)
    made = [performance(rng) for _ in range(9)]
    assert matcher.fit(filed(small(TOUCHES)), made) is None


def test_descriptors_are_finite_for_every_phrase():
    rng = np.random.default_rng(0)
    one = np.array([[0.5, 0.5, 0.0, 0.0]])
    held = np.tile([0.5, 0.5, 0.002, 1.0], (900, 1))
    noise = np.column_stack([rng.random((900, 2)), np.full(900, 0.002), rng.random(900) < 0.5])
    rest = np.array([[0.0, 0.0, 5.0, 0.0], [1.0, 1.0, 5.0, 0.0], [1.0, 1.0, 0.0, 1.0]])
    phrases = [one, held, noise, rest]
    together = describe(phrases)
    assert together.shape == (4, len(NAMES))
    assert np.isfinite(together).all()
    for phrase, row in zip(phrases, together, strict=True):
        np.testing.assert_allclose(describe([phrase])[0], row, atol=1e-9)
