"""Beats of JACK's transport."""

import pytest

from robojam.clock.transport import Transport, TransportProblem


def position(t, beat, tempo=120.0, per_bar=4, per_beat=1920.0):
    """Return a position as JACK-Client gives it."""
    bar, rest = divmod(beat, per_bar)
    return {
        "usecs": round(t * 1e6),
        "bar": int(bar) + 1,
        "beat": int(rest) + 1,
        "tick": int(rest % 1 * per_beat),
        "beats_per_bar": float(per_bar),
        "ticks_per_beat": per_beat,
        "beats_per_minute": tempo,
    }


def test_transport_that_rolls_gives_its_beats_to_the_tick():
    transport = Transport()
    for n in range(100):
        t = 10 + n * 0.02
        transport.take(position(t, (t - 10) * 2, per_bar=3), rolling=True)
        assert transport.beats.beat_at(t) == pytest.approx((t - 10) * 2, abs=2 / 1920)
    assert transport.beats.beats_per_bar == 3
    assert transport.rolling


def test_beats_go_on_where_the_transport_stands_still():
    transport = Transport()
    transport.take(position(10, 8), rolling=True)
    transport.take(position(12, 8), rolling=False)
    assert not transport.rolling
    assert transport.beats.beat_at(12) == pytest.approx(12)
    transport.take(position(12, 8, tempo=60.0), rolling=False)
    assert transport.beats.beat_at(13) == pytest.approx(13)


def test_jump_of_the_transport_is_followed_also_backwards():
    transport = Transport()
    transport.take(position(10, 8), rolling=True)
    transport.take(position(10.02, 2.5), rolling=True)
    assert transport.beats.beat_at(10.02) == pytest.approx(2.5, abs=0.001)


def test_transport_without_a_master_has_no_beats_and_says_so():
    transport = Transport()
    transport.take({"usecs": 1, "frame": 0}, rolling=True)
    assert transport.beats is None
    assert transport.problem is TransportProblem.NO_MASTER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beats_per_minute", float("nan")),
        ("beats_per_minute", 600.0),
        ("beats_per_minute", -120.0),
        ("beats_per_bar", 0.0),
        ("beats_per_bar", 1000.0),
        ("beats_per_bar", float("nan")),
        ("ticks_per_beat", 0.0),
        ("ticks_per_beat", float("nan")),
    ],
)
def test_numbers_that_make_no_sense_leave_the_last_beats(name, value):
    transport = Transport()
    transport.take(position(10, 8), rolling=True)
    before = transport.beats
    transport.take(position(11, 99) | {name: value}, rolling=True)
    assert transport.beats == before
    assert transport.problem is TransportProblem.RANGE
