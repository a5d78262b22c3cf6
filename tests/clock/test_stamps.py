"""Time stamps of MIDI systems as instants."""

import random

import pytest

from robojam.clock.stamps import StampedTimes


def test_late_arrivals_do_not_make_messages_late():
    rng, times = random.Random(1), StampedTimes()
    errors = []
    for n in range(400):
        t = 100.0 + n * 0.02
        arrival = t + 0.0002 + (rng.expovariate(1 / 0.003) if n else 0.0)
        errors.append(abs(times.at(arrival, 0.02 if n else 0.0) - t))
    assert max(errors) < 0.0005


def test_no_message_is_later_than_its_arrival():
    rng, times = random.Random(2), StampedTimes()
    arrival = 0.0
    for _ in range(300):
        step = rng.uniform(0, 0.05)
        arrival += step
        assert times.at(arrival, step * rng.uniform(0.5, 1.0)) <= arrival + 1e-9


@pytest.mark.parametrize("stamp", [-1.0, float("nan"), float("inf"), 1e9])
def test_stamps_that_make_no_sense_are_not_used(stamp):
    times = StampedTimes()
    times.at(5.0, 0.0)
    assert times.at(5.5, stamp) == pytest.approx(5.5, abs=0.5)
    assert times.at(6.0, stamp) == pytest.approx(6.0, abs=1.0)


def test_stamps_are_used_again_after_a_clock_was_set():
    times = StampedTimes()
    times.at(5.0, 0.0)
    times.at(5.5, 3000.0)
    assert times.at(6.0, 0.4999) == pytest.approx(6.0, abs=0.001)
