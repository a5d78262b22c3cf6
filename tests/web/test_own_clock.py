"""Spacing of touches by the clock of a page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.web.own_clock import MAX_LAG, OwnClock

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1.0, 2.0)


def spacing(*times: tuple[float, float]) -> list[float | None]:
    """Return the spacing of frames, each with the page's time and its arrival."""
    clock = OwnClock()
    return [clock.since_last(told, arrival) for told, arrival in times]


def test_bunch_keeps_the_spacing_that_its_page_gave_it():
    times = [(7.0 + i / 64, 100.0 + (0.0 if not i else 0.25)) for i in range(10)]
    assert spacing(*times) == [None, *[1 / 64] * 9]


def test_frames_of_one_message_keep_their_spacing_from_the_first_on():
    clock, newest = OwnClock(), 7.0 + 9 / 64
    times = [7.0 + i / 64 for i in range(10)]
    result = [clock.since_last(told, 100.0, newest=newest) for told in times]
    assert result == [None, *[1 / 64] * 9]


def test_first_frame_has_no_spacing_and_a_pause_is_that_of_the_arrivals():
    assert spacing((1.0, 10.0), (1.5, 13.0)) == [None, 3.0]


@pytest.mark.parametrize("told", [0.0, -5.0, math.nan, math.inf, -math.inf])
def test_clock_that_is_set_back_or_says_nothing_leaves_the_spacing_of_arrivals(told):
    assert spacing((1.0, 10.0), (told, 10.25)) == [None, 0.25]


def test_clock_that_is_set_back_is_believed_again_after_it():
    assert spacing((9.0, 10.0), (1.0, 10.25), (1.125, 10.5)) == [None, 0.25, 0.125]


def test_clock_that_runs_ahead_never_overtakes_the_arrivals():
    assert spacing((1.0, 10.0), (90.0, 10.25)) == [None, 0.25]


def test_clock_that_stands_still_lags_by_no_more_than_its_bound():
    result = spacing(*((1.0, 10.0 + i / 8) for i in range(9)))
    assert result[1:5] == [0.0] * 4
    assert result[5:] == [1 / 8] * 4


@given(st.lists(st.tuples(numbers, st.floats(0.0, 3.0), numbers), min_size=1, max_size=40))
def test_sum_of_the_spacing_stays_behind_the_arrivals_by_its_bound(frames):
    clock, arrival, total = OwnClock(), 100.0, 0.0
    for told, wait, newest in frames:
        arrival += wait
        passed = clock.since_last(told, arrival, newest=newest)
        if passed is None:
            begin = clock._at
            continue
        assert passed >= 0.0
        total += passed
        assert -1e-9 <= arrival - begin - total <= MAX_LAG + 1e-9
