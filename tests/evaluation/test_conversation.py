"""Jams of several calls: what is counted as following a change, a motif, a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.players import ScriptedPlayer

from robojam.controls import Settings
from robojam.evaluation import conversation
from robojam.jam.protocols import Proposal


def circle(count: int = 40, size: float = 0.2, x: float = 0.5) -> Any:
    angle = np.linspace(0, 2 * np.pi, count)
    xy = np.column_stack([x + size * np.cos(angle), 0.5 + size * np.sin(angle)])
    return np.column_stack([xy, np.full(count, 0.017), np.arange(count) > 0])


def line(count: int = 40) -> Any:
    xy = np.column_stack([np.linspace(0.1, 0.9, count), np.linspace(0.2, 0.3, count)])
    return np.column_stack([xy, np.full(count, 0.017), np.arange(count) > 0])


def settings() -> Settings:
    return Settings(follow=0.0, memory=0.0)


class Echo(ScriptedPlayer):
    """Player that plays again what it has been fed, from the beginning of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, float, float, bool]] = []
        self.at = 0

    def feed(self, x: float, y: float, dt: float, moving: bool, *_values: Any) -> None:
        if self.at:
            self.heard, self.at = [], 0
        self.heard.append((x, y, dt, moving))

    def sample(self, voices: Any) -> list[Proposal]:
        x, y, dt, moving = self.heard[self.at % len(self.heard)]
        return [Proposal(x, y, max(dt, 0.01), moving) for _ in voices]

    def commit(self, *_touch: Any) -> None:
        self.at += 1


def test_shape_is_near_itself_elsewhere_and_in_another_size_and_far_from_another():
    shape = conversation.normal_shape(circle())
    moved, other = circle(23, 0.05, x=0.1), line()
    known = np.array([conversation.normal_shape(stroke) for stroke in (moved, other)])
    near, far = conversation.warped_distances(shape, known).tolist()
    assert near < 0.1 < 0.5 < far


def test_warped_distance_is_symmetric_and_zero_for_the_same_shape():
    a, b = (conversation.normal_shape(stroke) for stroke in (circle(), line()))
    there = conversation.warped_distances(a, b[None])[0]
    assert conversation.warped_distances(b, a[None])[0] == pytest.approx(there)
    assert conversation.warped_distances(a, a[None])[0] == pytest.approx(0)


def test_answer_without_strokes_is_infinitely_far_from_every_shape():
    taps = np.array([[0.1, 0.2, 0.3, 0.0], [0.2, 0.3, 0.3, 0.0]])
    assert np.isinf(conversation.nearest_distances(taps, [circle()])).all()


@pytest.mark.parametrize(("repeated", "copy"), [(7, False), (8, True)])
def test_eight_touches_in_a_row_as_they_were_heard_are_a_copy(repeated, copy):
    heard = np.concatenate([line(), circle()])
    answer = np.concatenate([line(5)[::-1], heard[30 : 30 + repeated], line(6)[::-1]])
    assert conversation.is_copy(answer, heard) is copy


def test_same_places_at_another_pace_are_no_copy():
    slower = circle() * [1, 1, 2, 1]
    assert not conversation.is_copy(slower, circle())
    assert not conversation.is_copy(circle()[:0], circle())


def test_machine_that_plays_the_new_manner_at_once_has_followed_with_its_first_answer():
    result = conversation.measure_adaptation(Echo(), settings, jams=2)
    assert result.answers == [1, 1]
    assert (result.mean, result.within_two) == (1.0, 1.0)


def test_machine_that_always_taps_never_follows_slides_and_follows_taps_at_once():
    player = ScriptedPlayer(
        *[Proposal(0.2, 0.5, 0.3, False), Proposal(0.7, 0.5, 0.3, False)] * 9
    )
    result = conversation.measure_adaptation(player, settings, jams=2)
    assert result.answers == [1, conversation.AFTER + 1]
    assert result.within_two == 0.5


def test_machine_that_plays_the_shape_again_comes_closer_than_a_random_answer_and_copies():
    performances = []
    rng = np.random.default_rng(0)
    for _ in range(12):
        angles = np.cumsum(rng.normal(0, 0.5, 40))
        xy = np.cumsum(0.02 * np.column_stack([np.cos(angles), np.sin(angles)]), 0)
        xy = 0.5 + 0.6 * (xy - xy.mean(0)) / np.ptp(xy, axis=0).max()
        performances.append(np.column_stack([xy, np.full(40, 0.02), np.arange(40) > 0]))
    report = conversation.measure_motif(Echo(), settings, performances, trials=6)
    assert report is not None
    assert report.trials >= 2
    assert report.closer > 0.9
    assert report.distance < 0.2 < report.random_distance
    assert report.copies == report.trials


def test_performances_without_a_shape_have_no_motif():
    assert conversation.measure_motif(Echo(), settings, [line()] * 3) is None
