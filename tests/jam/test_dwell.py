"""Limit of how long a finger of the machine stays in its place."""

from __future__ import annotations

import numpy as np
import pytest
from support.players import land, slide
from support.takes import Take

from robojam.jam.dwell import LONG, NEAR, DwellLimiter


def stays(*touches: tuple[float, float, float, bool]) -> list[bool]:
    """Return, for each touch (t, x, y, moving), whether the finger then stays too long."""
    limiter, too_long = DwellLimiter(), []
    for t, x, y, moving in touches:
        too_long.append(limiter.too_long(t, x, y, moving=moving))
        limiter.touch(t, x, y, moving=moving)
    return too_long


def test_finger_held_still_is_too_long_after_the_limit():
    too_long = stays(*((t / 10, 0.5, 0.5, t > 0) for t in range(13)))
    assert too_long == [t / 10 > LONG for t in range(13)]


def test_finger_that_moves_by_less_than_two_pixels_is_too_long_after_the_limit():
    rng = np.random.default_rng(0)
    places = 0.5 + rng.uniform(-NEAR, NEAR, (60, 2))
    assert stays(*((0.02 * i, x, y, True) for i, (x, y) in enumerate(places)))[-1]


def test_finger_that_moves_slowly_is_never_too_long():
    assert not any(stays(*((i / 10, 0.2 + i * NEAR / 2, 0.5, True) for i in range(99))))


def test_places_before_the_last_square_do_not_count():
    """The square is of the touches near to the last one, wherever the stay began."""
    to_and_fro = [(0.1 * i, 0.5 + 3 * NEAR * (i % 2), 0.5, True) for i in range(30)]
    assert not any(stays(*to_and_fro))
    assert not any(
        stays((0, 0.1, 0.1, False), *((5 + i / 10, 0.5, 0.5, True) for i in range(8)))
    )


def test_taps_at_one_place_and_touches_after_rests_are_never_too_long():
    assert not any(stays(*((0.3 * i, 0.5, 0.5, False) for i in range(20))))
    assert not any(stays(*((1.5 * i, 0.5, 0.5, True) for i in range(20))))


@pytest.mark.parametrize("edge", [0, 1, 2, 3])
def test_slides_and_taps_along_an_edge_are_too_long_after_the_limit(edge):
    def at(i: int) -> tuple[float, float]:
        along = 0.1 + i / 100
        return [(0.0, along), (1.0, along), (along, NEAR / 2), (along, 1 - NEAR / 2)][edge]

    for moving in (False, True):
        too_long = stays(*((0.1 * i, *at(i), moving) for i in range(12)))
        assert too_long == [0.1 * i > LONG for i in range(12)]


def test_leaving_an_edge_restarts_its_limit():
    places = [0.0 if i % 5 else 0.3 for i in range(40)]
    assert not any(stays(*((0.1 * i, x, 0.5, True) for i, x in enumerate(places))))


def test_off_edges_moves_a_place_off_an_edge_after_the_limit_alone():
    limiter = DwellLimiter()
    for i in range(9):
        assert limiter.off_edges(i / 10, 0.3, 1.0) == (0.3, 1.0)
        limiter.touch(i / 10, 0.3, 1.0, moving=True)
    assert limiter.off_edges(0.9, 0.3, 1.0) == (0.3, 1 - 2 * NEAR)
    assert limiter.off_edges(0.9, 0.0, NEAR) == (0.0, NEAR)
    limiter.touch(0.9, 0.3, 1 - 2 * NEAR, moving=True)
    assert limiter.off_edges(1.0, 0.3, 1.0) == (0.3, 1.0)


def test_touch_of_the_jam_that_would_stay_too_long_is_drawn_again():
    held = [slide(0.2, 0.5, 0.5)] * 6
    take = Take(land(0.2, 0.5, 0.5), *held, slide(0.2, 0.9, 0.9), mode="solo").until(3.0)
    machine = [(h.touch.x, round(h.t, 6)) for h in take.sounded if h.touch.phase.name != "UP"]
    assert machine[:6] == [
        (0.5, 0.2),
        (0.5, 0.4),
        (0.5, 0.6),
        (0.5, 0.8),
        (0.5, 1.0),
        (0.9, 1.2),
    ]


def test_player_that_never_moves_still_plays():
    take = Take(slide(0.25, 0.5, 0.5), mode="solo").until(9.0)
    assert take.counts.played > 30


def test_player_that_only_slides_along_an_edge_is_moved_off_after_the_limit():
    script = [slide(0.125, 1.0, (i % 50) / 50) for i in range(200)]
    take = Take(*script, mode="solo").until(9.0)
    xs = [h.touch.x for h in take.sounded]
    runs = "".join("1" if x == 1.0 else " " for x in xs).split()
    assert {x for x in xs if x != 1.0} == {1 - 2 * NEAR}
    assert max(len(run) for run in runs) * 0.125 <= LONG + 0.125
