"""Tap tempo."""

import random

import pytest

from robojam.clock.tap import FASTEST, SLOWEST, TapTempo


def tapped(*times):
    """Return the tempo after taps at these times."""
    tap, tempo = TapTempo(), None
    for t in times:
        tempo = tap.tap(t)
    return tempo


def test_one_tap_is_no_tempo_and_two_are():
    assert tapped(1.0) is None
    assert tapped(1.0, 1.5) == pytest.approx(120)


@pytest.mark.parametrize("tempo", [20, 40, 96, 120, 240, 400])
def test_tempo_is_right_however_unsteady_the_taps(tempo):
    rng = random.Random(tempo)
    beat = 60 / tempo
    times = [(n + rng.uniform(-0.04, 0.04)) * beat for n in range(12)]
    assert tapped(*times) == pytest.approx(tempo, rel=0.05)


def test_tap_that_was_left_out_counts_as_two_beats():
    assert tapped(0, 0.5, 1.0, 1.5, 2.5, 3.0) == pytest.approx(120)


def test_stray_tap_changes_nothing():
    assert tapped(0, 0.5, 1.0, 1.5, 1.7, 2.0, 2.5, 3.0) == pytest.approx(120)


def test_bouncing_switch_is_one_tap():
    assert tapped(0, 0.02, 0.5, 0.51, 1.0, 1.03) == pytest.approx(120)


def test_another_tempo_is_followed_from_its_second_interval_on():
    tap = TapTempo()
    for t in (0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        tap.tap(t)
    assert tap.tap(3.8) == pytest.approx(120)
    assert tap.tap(4.6) == pytest.approx(75)


def test_series_begins_again_after_a_pause():
    tap = TapTempo()
    for t in (0, 0.5, 1.0):
        tap.tap(t)
    assert tap.tap(10.0) is None
    assert tap.tap(11.0) == pytest.approx(60)


def test_tempo_is_within_its_range():
    assert tapped(0, 3.2) == SLOWEST
    assert tapped(0, 60 / FASTEST) == pytest.approx(FASTEST)
