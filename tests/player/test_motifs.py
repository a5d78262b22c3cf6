"""Memory of motifs: what recurs is found among noise, and what it costs is bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.matchers import alike
from support.models import TOUCHES, filed, small

from robojam.player import motifs
from robojam.player.motifs import MotifMemory, warp
from robojam.player.player import ModelPlayer
from robojam.touch import MAX_DT

Stroke = NDArray[np.float64]
FILE = replace(filed(small(TOUCHES)), matcher=alike())


def spiral(*, x: float = 0.5, y: float = 0.5, size: float = 0.2, turns: float = 2.0) -> Stroke:
    t = np.linspace(0, 1, 24)
    path = x + size * t * np.cos(turns * 6.28 * t), y + size * t * np.sin(turns * 6.28 * t)
    return np.column_stack([*path, np.full(24, 0.03), t > 0])


def walk(rng: np.random.Generator) -> Stroke:
    """Return a stroke that resembles no other."""
    path = rng.normal(0, 0.03, (20, 2)).cumsum(0).cumsum(0)
    path = 0.5 + 0.3 * path / np.abs(path).max()
    return np.column_stack([path, rng.uniform(0.01, 0.05, 20), np.arange(20) > 0])


def play(memory: MotifMemory | ModelPlayer, *strokes: Stroke) -> None:
    for stroke in strokes:
        for x, y, dt, moving in stroke.tolist():
            memory.feed(x, y, dt, moving > 0.5)


def among_noise(memory: MotifMemory | ModelPlayer) -> None:
    rng = np.random.default_rng(1)
    for x, size in ((0.3, 0.2), (0.6, 0.1), (0.5, 0.15)):
        play(memory, walk(rng), spiral(x=x, size=size), walk(rng), walk(rng))


def touches(*, most: int) -> st.SearchStrategy[list[tuple[float, float, float, bool]]]:
    place, dt = st.floats(0, 1, width=32), st.floats(0, MAX_DT, width=32)
    return st.lists(st.tuples(place, place, dt, st.booleans()), max_size=most)


def test_shape_that_recurs_among_others_is_the_heaviest_motif():
    memory = MotifMemory()
    among_noise(memory)
    found = memory.motifs()
    assert found.shapes[0].heard == 3
    near, far = found.score([spiral(x=0.4, size=0.25), walk(np.random.default_rng(9))])
    assert near > far + 3


def test_stroke_that_brings_a_motif_back_says_where_and_when_it_was_played():
    memory = MotifMemory()
    among_noise(memory)
    phrase = np.concatenate([walk(np.random.default_rng(9)), spiral(size=0.25)])
    ((first, recall),) = memory.motifs().returns(phrase)
    assert first == 20
    assert recall.landings_ago == 2  # two other strokes came after it
    assert recall.path[:2] == pytest.approx((0.5, 0.5))


def test_what_was_played_once_is_no_motif():
    memory = MotifMemory()
    rng = np.random.default_rng(1)
    play(memory, spiral(), *(walk(rng) for _ in range(6)))
    assert not memory.motifs().shapes


def test_rhythm_that_recurs_is_a_motif():
    memory = MotifMemory()
    figure = [0.2, 0.2, 0.4, 0.1, 0.8]
    for dt in (*figure, *figure, *figure):
        memory.feed(0.5, 0.5, dt, False)
    assert memory.motifs().rhythms
    taps = [
        np.array([[0.5, 0.5, dt, 0.0] for dt in (*row, *row)]) for row in (figure, [0.25] * 5)
    ]
    same, other = memory.motifs().score(taps)
    assert same > other


def test_result_does_not_depend_on_when_strokes_are_analysed():
    rested, busy = MotifMemory(), MotifMemory()
    rng = np.random.default_rng(2)
    for _ in range(20):
        stroke = walk(rng) if rng.random() < 0.6 else spiral()
        for memory in (rested, busy):
            play(memory, stroke)
        rested.settle()
    phrases = [walk(rng), spiral()]
    assert rested.motifs().score(phrases).tolist() == busy.motifs().score(phrases).tolist()


def test_asking_for_motifs_changes_nothing_that_follows():
    asked, other = MotifMemory(), MotifMemory()
    for stroke in (spiral(), walk(np.random.default_rng(1)), spiral(x=0.4)):
        for row in stroke.tolist():
            for memory in (asked, other):
                memory.feed(*row[:3], row[3] > 0.5)
            asked.motifs()
    asked.settle()
    other.settle()
    phrase = [walk(np.random.default_rng(3))]
    assert asked.motifs().score(phrase).tolist() == other.motifs().score(phrase).tolist()


def test_restored_memory_is_that_of_then_and_reset_forgets():
    memory = MotifMemory()
    among_noise(memory)
    then = memory.snapshot()
    phrases = [spiral(), walk(np.random.default_rng(4))]
    expected = memory.motifs().score(phrases).tolist()
    rng = np.random.default_rng(5)
    play(memory, *(walk(rng) for _ in range(2 * motifs.MAX_SHAPES)))
    memory.restore(then)
    assert memory.motifs().score(phrases).tolist() == expected
    memory.clear()
    assert not memory.motifs()


def test_what_has_not_recurred_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(motifs, "MAX_SHAPES", 20)
    memory = MotifMemory()
    among_noise(memory)
    rng = np.random.default_rng(5)
    play(memory, *(walk(rng) for _ in range(60)))
    memory.settle()
    remembered = memory.snapshot().shapes
    assert len(remembered) == 20
    assert remembered[0].heard == 3  # the spiral, which came before all others


def test_ten_minutes_and_noise_stay_within_the_bounds():
    memory = MotifMemory()
    rng = np.random.default_rng(6)
    for i in range(30_000):  # a stroke without an end, then noise at 500 touches a second
        moving = 0 < i < 15_000 or (i > 15_000 and rng.random() < 0.6)
        memory.feed(*rng.random(2).tolist(), 0.04 if i < 15_000 else 0.002, moving)
    state = memory.snapshot()
    assert len(state.shapes) <= motifs.MAX_SHAPES
    assert len(state.rhythms) <= motifs.MAX_RHYTHMS
    assert len(state.waiting) <= motifs.MAX_WAITING
    assert max(len(waiting[3]) for waiting in state.waiting) <= motifs.MAX_TOUCHES + 1
    assert np.isfinite(memory.motifs().score([spiral()])).all()


@settings(max_examples=30, deadline=None)
@given(heard=touches(most=80), phrase=touches(most=40))
def test_any_touches_give_finite_scores_and_quotations_on_the_surface(heard, phrase):
    memory = MotifMemory()
    for _ in range(2):
        for touch in heard:
            memory.feed(*touch)
    found = memory.motifs()
    given_phrase = np.array([*phrase, (0.5, 0.5, 0.1, False)], float)
    assert np.isfinite(found.score([given_phrase])).all()
    assert (found.score([given_phrase]) <= 1e-9).all()
    quotation = found.quotation([0.0, 0.99, 0.5, 0.0])
    if quotation is None:
        return
    x, y, dt = quotation.steer(1.0, 0.0, 0.1, moving=False)
    quotation.played(x, y, dt, moving=False)
    for _ in range(1000):
        if not quotation.moving:
            break
        x, y, dt = quotation.steer(x, y, 0.02, moving=True)
        assert -1e-9 <= x <= 1 + 1e-9
        assert -1e-9 <= y <= 1 + 1e-9
        quotation.played(x, y, dt, moving=True)
    assert quotation.moving is False


def test_warped_distance_is_that_of_the_definition():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 6, 2 * motifs.POINTS))

    def defined(a: Stroke, b: Stroke) -> float:
        cost = np.square(a.reshape(-1, 1, 2) - b.reshape(1, -1, 2)).sum(2)
        total = np.full((motifs.POINTS + 1,) * 2, np.inf)
        total[0, 0] = 0
        for i, j in np.ndindex(cost.shape):
            before = total[i, j], total[i, j + 1], total[i + 1, j]
            total[i + 1, j + 1] = cost[i, j] + min(before)
        return float(total[-1, -1]) / motifs.POINTS

    assert warp(a, b) == pytest.approx([defined(x, y) for x, y in zip(a, b, strict=True)])
    assert (warp(a, b) <= np.square(a - b).sum(1) / motifs.POINTS).all()


def planned(player: ModelPlayer, *, memory: float, seed: int = 0) -> Stroke:
    player.seed(seed)
    plan = player.plan([0], seconds=5.0, follow=0.0, memory=memory)
    assert plan is not None
    while not plan.step():
        pass
    (phrase,) = plan.touches()
    return np.array([[p.x, p.y, p.dt, p.moving] for p in phrase])


def test_plan_with_memory_comes_nearer_to_the_motif_and_copies_nothing():
    player = ModelPlayer(FILE)
    among_noise(player)
    found = player._memory.motifs()
    scores = {
        memory: [
            found.score([planned(player, memory=memory, seed=seed)])[0] for seed in range(5)
        ]
        for memory in (0.0, 1.0)
    }
    assert np.mean(scores[1.0]) > np.mean(scores[0.0]) + 1
    phrase = planned(player, memory=1.0)
    heard = {tuple(row) for row in np.round(spiral(x=0.5, size=0.15), 3)[:, :2].tolist()}
    assert not heard & {tuple(row) for row in np.round(phrase, 3)[5:, :2].tolist()}


def test_without_memory_what_was_heard_before_the_call_changes_no_plan():
    plain, other = ModelPlayer(FILE), ModelPlayer(FILE)
    among_noise(plain)
    among_noise(other)
    other._memory.clear()
    assert planned(plain, memory=0.0).tolist() == planned(other, memory=0.0).tolist()
    assert planned(plain, memory=1.0).tolist() != planned(other, memory=1.0).tolist()


def test_snapshot_of_a_player_brings_back_the_memory_of_then():
    player = ModelPlayer(FILE)
    among_noise(player)
    then, expected = player.snapshot(), planned(player, memory=1.0).tolist()
    player.reset()
    assert not player._memory.motifs()
    player.restore(then)
    assert planned(player, memory=1.0).tolist() == expected
