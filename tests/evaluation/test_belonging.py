"""Belonging: which call an answer belongs to, by descriptors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robojam.evaluation import belonging

#: Answers of the machine to each call.
EACH = 2


def performance(rng: Any, *, dt: float, width: float, stroke: int, touches: int = 60) -> Any:
    """Return strokes of a length, dt seconds apart, over a square of some width."""
    moving = np.arange(touches) % stroke > 0
    xy = 0.5 + width * (rng.random((touches, 2)) - 0.5)
    return np.column_stack([xy, dt * rng.uniform(0.9, 1.1, touches), moving])


def manner(rng: Any) -> dict[str, Any]:
    return {
        "dt": float(rng.uniform(0.01, 0.08)),
        "width": float(rng.uniform(0.1, 1)),
        "stroke": int(rng.integers(2, 30)),
    }


def play(rng: Any, manners: Any) -> list[Any]:
    return [performance(rng, **m) for m in manners]


@pytest.fixture(scope="module")
def people() -> tuple[list[dict[str, Any]], list[tuple[Any, Any]]]:
    """Forty players, each of a manner of its own, which its call and its answer have."""
    rng = np.random.default_rng(1)
    manners = [manner(rng) for _ in range(40)]
    return manners, list(zip(play(rng, manners), play(rng, manners), strict=True))


def test_answers_in_the_manner_of_their_calls_belong_to_them(people: Any) -> None:
    manners, pairs = people
    takes = play(np.random.default_rng(2), [m for m in manners for _ in range(EACH)])
    report = belonging.compare(pairs, takes)
    assert report.calls == 40
    for measured in (report.machine, report.people):
        assert measured.first > 0.5
        assert measured.first_ten > 0.9
        assert measured.rho["dt, 50 %"] > 0.9
        assert measured.rho["area"] > 0.5


def test_answers_in_one_manner_to_all_calls_belong_by_chance(people: Any) -> None:
    manners, pairs = people
    takes = play(np.random.default_rng(2), [manners[0]] * EACH * len(pairs))
    report = belonging.compare(pairs, takes)
    assert report.machine.first < 0.1
    assert report.machine.first_ten < 0.4
    assert abs(report.machine.mean_rho) < 0.2


def test_peoples_answers_to_other_calls_belong_by_chance(people: Any) -> None:
    _, pairs = people
    report = belonging.compare(pairs, [after for _, after in pairs])
    assert report.shuffled.first < 0.15
    assert abs(report.shuffled.rho["dt, 50 %"]) < 0.5
    assert report.machine.first == pytest.approx(report.people.first, abs=0.1)
    assert report.machine.mean_rho == pytest.approx(report.people.mean_rho, abs=0.05)


def test_answers_in_the_opposite_manner_correlate_negatively(people: Any) -> None:
    manners, pairs = people
    opposite = [m | {"dt": 0.09 - m["dt"]} for m in manners]
    takes = play(np.random.default_rng(2), [m for m in opposite for _ in range(EACH)])
    assert belonging.compare(pairs, takes).machine.rho["dt, 50 %"] < -0.9


def test_judge_that_learnt_from_other_players_knows_the_call(people: Any) -> None:
    rng = np.random.default_rng(3)
    others = [manner(rng) for _ in range(200)]
    learnt = list(zip(play(rng, others), play(rng, others), strict=True))
    manners, pairs = people
    takes = play(rng, [m for m in manners for _ in range(EACH)])
    report = belonging.compare(pairs, takes, learnt=learnt)
    assert report.machine.first > 0.5
    assert report.shuffled.first < 0.15


def test_few_performances_are_refused(people: Any) -> None:
    _, pairs = people
    with pytest.raises(ValueError, match="20 performances, not 19"):
        belonging.compare(pairs[:19], [after for _, after in pairs[:19]])
    with pytest.raises(ValueError, match="20 performances, not 3"):
        belonging.compare(pairs, [after for _, after in pairs], learnt=pairs[:3])


def test_correlation_is_spearmans_with_ties_and_undefined_values():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    count = len(belonging.likeness.NAMES)
    calls = rng.integers(0, 6, (30, count)).astype(float)
    answers = calls + rng.integers(0, 9, (30, count))
    calls[3, 0] = answers[5, 0] = np.nan
    answers[:, 1] = 2.0
    rho = belonging.correlations(calls, answers)
    names = belonging.likeness.NAMES
    assert set(rho) == set(names) - {names[1]}
    for i, name in enumerate(names):
        known = ~np.isnan(calls[:, i] + answers[:, i])
        if name in rho:
            expected = stats.spearmanr(calls[known, i], answers[known, i]).statistic
            assert rho[name] == pytest.approx(expected)
