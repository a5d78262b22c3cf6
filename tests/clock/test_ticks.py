"""Schedule of a MIDI clock that goes out."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robojam.beats import Beats
from robojam.clock.ticks import START, STOP, TICK, TickSchedule

STEP = 0.001


def run(schedule, begin, end):
    """Return the messages that are due, taken every millisecond as a program does."""
    messages, now = [], begin
    while now < end:
        now += STEP
        messages += schedule.take(now)
    return messages


def test_ticks_are_24_a_beat_and_start_is_just_before_a_bar():
    schedule, beats = TickSchedule(), Beats(0.0, 0.0, 120.0)
    schedule.set(beats, 0.3)
    messages = run(schedule, 0.3, 6.0)
    starts = [t for t, m in messages if m == START]
    assert len(starts) == 1
    number = [m for _, m in messages].index(START)
    bar = messages[number + 1]
    assert bar == (pytest.approx(2.0), TICK)
    ticks = [t for t, m in messages if m == TICK]
    assert ticks == [pytest.approx(n / 48) for n in range(15, 15 + len(ticks))]


def test_every_tick_comes_once_though_the_tempo_changes_all_the_time():
    rng, schedule = random.Random(1), TickSchedule()
    beats = Beats(0.0, 0.0, 120.0)
    schedule.set(beats, 0.0)
    messages, now = [], 0.0
    for _ in range(300):
        messages += run(schedule, now, now + 0.1)
        now += 0.1
        tempo = beats.tempo * rng.uniform(0.97, 1.03)
        tempo = min(max(tempo, 40), 240)
        beats = Beats(now, beats.beat_at(now), tempo)
        schedule.set(beats, now)
    ticks = [t for t, m in messages if m == TICK]
    assert len(ticks) == pytest.approx(beats.beat_at(now) * 24, abs=2)
    assert [m for _, m in messages if m != TICK] == [START]


def test_small_shift_is_made_up_tick_by_tick():
    schedule = TickSchedule()
    schedule.set(Beats(0.0, 0.0, 120.0), 0.0)
    before = run(schedule, 0.0, 5.0)
    schedule.set(Beats(5.0, 10.2, 120.0), 5.0)  # a fifth of a beat later than it was
    after = run(schedule, 5.0, 7.0)
    messages = before + after
    ticks = [t for t, m in messages if m == TICK]
    assert len(ticks) == math.floor((10.2 + 4.0) * 24) + 1
    gaps = [b - a for a, b in pairwise(ticks)]
    assert min(gaps) >= 0.5 / 48 - 1e-9
    assert ticks[-1] == pytest.approx(Beats(5.0, 10.2, 120.0).time_of((len(ticks) - 1) / 24))


def test_large_shift_is_stop_and_start_at_the_next_bar():
    schedule = TickSchedule()
    schedule.set(Beats(0.0, 0.0, 120.0), 0.0)
    run(schedule, 0.0, 5.0)
    beats = Beats(5.0, 21.3, 120.0)
    schedule.set(beats, 5.0)
    messages = run(schedule, 5.0, 9.0)
    assert messages[0][1] == STOP
    number = [m for _, m in messages].index(START)
    assert beats.beat_at(messages[number + 1][0]) == pytest.approx(24.0)


def test_song_that_stops_stops_and_goes_on_at_a_bar():
    schedule, beats = TickSchedule(), Beats(0.0, 0.0, 120.0, 3)
    schedule.set(beats, 0.0, playing=False)
    assert {m for _, m in run(schedule, 0.0, 3.0)} == {TICK}
    schedule.set(beats, 3.0)
    messages = run(schedule, 3.0, 6.0)
    number = [m for _, m in messages].index(START)
    assert beats.beat_at(messages[number + 1][0]) == pytest.approx(9.0)
    schedule.set(beats, 6.0, playing=False)
    assert run(schedule, 6.0, 7.0)[0][1] == STOP
    assert [*schedule.end()] == []


def test_end_of_a_song_is_stop_and_then_nothing():
    schedule = TickSchedule()
    schedule.set(Beats(0.0, 0.0, 120.0), 0.0)
    run(schedule, 0.0, 5.0)
    assert [m for _, m in schedule.end()] == [STOP]
    assert schedule.due() == math.inf
    assert [*schedule.take(99.0)] == []


def test_program_that_slept_sends_no_burst():
    schedule = TickSchedule()
    schedule.set(Beats(0.0, 0.0, 120.0), 0.0)
    run(schedule, 0.0, 5.0)
    messages = [*schedule.take(30.0), *run(schedule, 30.0, 34.0)]
    assert messages[0][1] == STOP
    assert len(messages) <= 4 * 48 + 4
    number = [m for _, m in messages].index(START)
    assert Beats(0.0, 0.0, 120.0).beat_at(messages[number + 1][0]) % 4 == pytest.approx(0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(10, 1000), st.integers(1, 64), st.booleans()),
        max_size=12,
    )
)
def test_song_has_stop_between_two_starts_and_time_never_runs_back(changes):
    schedule, now, messages = TickSchedule(), 0.0, []
    for beat, tempo, per_bar, playing in changes:
        schedule.set(Beats(now, beat, tempo, per_bar), now, playing=playing)
        for _ in range(40):
            now += 0.01
            messages += schedule.take(now)
    messages += schedule.end()
    song = [m for _, m in messages if m != TICK]
    assert song == [START, STOP] * (len(song) // 2)
    times = [t for t, m in messages if m == TICK]
    assert times == sorted(times)
