"""Continuous batching: takes join and leave a running batch, and are as if they were alone."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from msgspec import structs
from support.models import TOUCHES, filed, rows, small

from robojam.model.features import Floats
from robojam.player.batch_generator import BatchGenerator, Take, exact_sizes
from robojam.player.cpu_batch import MAX_BATCH, BatchStepper
from robojam.player.generate import generate
from robojam.player.player import ModelPlayer

FILE = filed(small(TOUCHES))
PLAYER = ModelPlayer(FILE)


def call(count: int, seed: int = 0) -> np.ndarray:
    return rows(TOUCHES, count, np.random.default_rng(seed)).astype(np.float64)


def take(**more) -> Take:
    return Take(**{"call": call(12), "seconds": 1.0, "seed": 7, **more})


def finish(generator: BatchGenerator, takes: list[Take]) -> None:
    """Generate takes, which join as there is room."""
    waiting = deque(takes)
    while waiting or len(generator):
        while waiting and generator.room:
            generator.add(waiting.popleft())
        generator.step()


def alone(one: Take) -> list[list[float]]:
    generator = BatchGenerator(PLAYER.network)
    finish(generator, [one])
    return one.touches


def test_take_is_bit_for_bit_the_same_in_any_company():
    wanted = [
        alone(take(number=n, temperature=t, spread=s, silence=w))
        for n, t, s, w in [(0, 1, 1, 0), (1, 1, 1, 0), (0, 0.4, 1.7, 0), (0, 0, 0, 0.03)]
    ]
    assert len({str(touches) for touches in wanted}) == len(wanted)
    random = np.random.default_rng(3)
    for size in (1, 2, 7, 19, MAX_BATCH):
        generator = BatchGenerator(PLAYER.network, rows=size)
        same = [
            take(number=n, temperature=t, spread=s, silence=w)
            for n, t, s, w in [(0, 1, 1, 0), (1, 1, 1, 0), (0, 0.4, 1.7, 0), (0, 0, 0, 0.03)]
        ]
        others = [
            take(
                call=call(int(random.integers(0, 30)), seed=i),
                seed=i,
                seconds=float(random.uniform(0.05, 1.5)),
                temperature=float(random.choice([0.0, 1.0, 2.5])),
                spread=float(random.uniform(0, 2)),
                silence=float(random.choice([0.0, 0.5])),
            )
            for i in range(60)
        ]
        mixed = [*same, *others]
        random.shuffle(mixed)
        waiting, running = deque(mixed), []
        while waiting or len(generator):
            for _ in range(int(random.integers(0, 4))):  # they come while others play
                if waiting and generator.room:
                    running.append(waiting.popleft())
                    generator.add(running[-1])
            if running and random.random() < 0.02:
                gone = running.pop(int(random.integers(len(running))))
                if gone not in same:
                    generator.discard(gone)
            generator.step()
        assert [each.touches for each in same] == wanted


def test_short_take_does_not_wait_for_a_long_one():
    generator = BatchGenerator(PLAYER.network)
    long, short = take(seconds=5.0), take(seconds=0.1, call=call(2))
    generator.add(long)
    for _ in range(3):
        generator.step()
    generator.add(short)
    ended: list[Take] = []
    while not ended:
        ended = generator.step()
    assert ended == [short]
    assert len(generator) == 1


def test_discarded_take_plays_no_more_and_makes_room():
    generator = BatchGenerator(PLAYER.network, rows=2)
    dropped, stays = take(seconds=9.0), take(seconds=9.0, seed=8)
    generator.add(dropped)
    generator.add(stays)
    with pytest.raises(ValueError, match="full"):
        generator.add(take())
    for _ in range(15):
        assert not generator.step()
    played = len(dropped.touches)
    generator.discard(dropped)
    generator.discard(dropped)
    assert generator.room == 1
    finish(generator, [])
    assert len(dropped.touches) == played
    assert stays.touches == alone(take(seconds=9.0, seed=8))


def test_take_of_a_model_with_a_summary_is_what_a_player_plays():
    """Of its means, what humans played and what it played itself are told apart."""
    summary = structs.replace(TOUCHES, move_means=(0.9,), landing_means=(0.0, 0.6))
    player = ModelPlayer(filed(small(summary)), seed=7)
    generator, other, one = BatchGenerator(player.network), take(call=call(30)), take()
    generator.add(other)  # which still hears while the one plays
    generator.add(one)
    finish(generator, [])
    player.set_sampling(temperature=1.0, spread=1.0)
    for x, y, dt, moving in one.call:
        player.feed(x, y, dt, moving > 0.5)
    for x, y, dt, moving in one.touches[:40]:
        (made,) = player.sample([0])
        wanted = min(max(made.x, 0), 1), min(max(made.y, 0), 1)
        assert (x, y) == pytest.approx(wanted, abs=1e-4)
        player.commit(0, x, y, dt, moving > 0.5)


def test_takes_equal_those_of_generate():
    takes = [take(number=i) for i in range(5)]
    finish(BatchGenerator(PLAYER.network), takes)
    wanted = generate(FILE, [call(12)] * 5, seconds=1.0, seed=7, temperature=1.0, spread=1.0)
    for one, other in zip(takes, wanted, strict=True):
        np.testing.assert_array_equal(one.array(), other)


def test_overflowing_take_ends_alone():
    generator = BatchGenerator(PLAYER.network)
    lost, stays = take(call=np.full((3, 4), 1e38)), take()
    generator.add(lost)
    generator.add(stays)
    finish(generator, [])
    assert lost.overflowed
    assert not stays.overflowed
    assert stays.touches == alone(take())


class Dependent(BatchStepper):
    """Stepper whose results depend on the number of rows."""

    def feed_rows(self, rows: Floats, events: Floats, **more) -> None:
        super().feed_rows(rows, events, **more)
        rows[:, self.layout.layers[0].cell] += np.float32(1e-4) * len(rows)


def test_rows_are_stepped_alone_where_results_depend_on_company():
    stepper = Dependent(PLAYER.network, MAX_BATCH)
    by_itself = exact_sizes(BatchStepper(PLAYER.network, MAX_BATCH), 3, 4)
    # By the number of rows, not their place: MAX_BATCH, if that is so on this processor.
    assert exact_sizes(stepper, 3, 4) == by_itself[-1:]

    class ByPlace(BatchStepper):
        def feed_rows(self, rows: Floats, events: Floats, **more) -> None:
            super().feed_rows(rows, events, **more)
            rows[:, self.layout.layers[0].cell] += np.arange(len(rows), dtype=np.float32)[
                :, None
            ]

    assert exact_sizes(ByPlace(PLAYER.network, MAX_BATCH), 3, 4) == (1,)


def test_generator_is_exact_with_each_set_of_sizes(monkeypatch):
    exact = exact_sizes(BatchStepper(PLAYER.network, MAX_BATCH), 3, 4)  # on this processor
    for sizes in ((1,), (4, MAX_BATCH), (MAX_BATCH,)):
        if not {*sizes} <= {*exact}:
            continue
        monkeypatch.setattr("robojam.player.batch_generator.exact_sizes", lambda *_, s=sizes: s)
        one, other = take(), take()
        generator = BatchGenerator(PLAYER.network)
        generator.add(take(seed=3))
        generator.add(one)
        for _ in range(6):
            generator.add(take(seed=9, call=call(3)))
        finish(generator, [])
        finish(BatchGenerator(PLAYER.network), [other])
        assert one.touches == other.touches
