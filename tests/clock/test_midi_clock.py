"""Beats of a MIDI clock, on clocks whose ticks have jitter, gaps and worse."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robojam.clock.midi_clock import MidiClock, Problem

TICKS = 24


def ticks(tempo, beats, since=0.0, ramp=None):
    """Return the times of ticks; ramp: from which beat on, and by how much in four bars."""
    times, t = [], since
    for n in range(round(beats * TICKS)):
        times.append(t)
        now = tempo
        if ramp is not None:
            now *= 1 + ramp[1] * min(1.0, max(0.0, n / TICKS - ramp[0]) / 16)
        t += 60 / now / TICKS
    return times


def received(times, jitter, seed=1):
    """Return when ticks arrive, each by up to jitter early or late, in the order of arrival."""
    rng = random.Random(seed)
    return sorted(t + rng.uniform(-jitter, jitter) for t in times)


def feed(clock, times):
    """Give ticks to a clock; return the problems that it had, in order."""
    problems = []
    for t in times:
        clock.advance(t)
        problems.append(clock.problem)
        clock.tick(t)
        problems.append(clock.problem)
    return [p for n, p in enumerate(problems) if n == 0 or problems[n - 1] != p]


def errors(true, jitter, *, lost=(), settle=8, seed=1):
    """Return by how much each beat is wrong, in seconds, when its tick has come."""
    clock, found = MidiClock(), []
    clock.start()
    for n, t in enumerate(received(true, jitter, seed)):
        if n in lost:
            continue
        clock.tick(t)
        if n > settle * TICKS:
            assert clock.beats is not None
            found.append(abs(clock.beats.time_of(n / TICKS) - true[n]))
    return sorted(found)


def p99(values):
    return values[int(0.99 * len(values))]


@pytest.mark.parametrize("tempo", [40, 96, 120, 240])
def test_beat_is_right_within_3_ms_though_ticks_have_5_ms_of_jitter(tempo):
    assert p99(errors(ticks(tempo, 120), 0.005)) < 0.003


@pytest.mark.parametrize("tempo", [40, 96, 120, 240])
@pytest.mark.parametrize("change", [0.2, -0.2])
def test_ramp_of_a_fifth_in_four_bars_is_followed(tempo, change):
    ramp = ticks(tempo, 90, ramp=(30, change))
    assert p99(errors(ramp, 0.005)) < 0.006
    assert p99(errors(ramp, 0.0002)) < 0.0005


@pytest.mark.parametrize("tempo", [40, 120, 240])
@pytest.mark.parametrize("beats", [0.25, 1, 2])
def test_gap_of_up_to_two_beats_is_bridged(tempo, beats):
    gap = range(40 * TICKS, round((40 + beats) * TICKS))
    assert p99(errors(ticks(tempo, 80), 0.003, lost=gap)) < 0.003


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_lost_ticks_are_counted(lost):
    true = ticks(120, 60)
    late = errors(true, 0.0002, lost=range(700, 700 + lost), settle=32)
    assert late[-1] < 0.001


def test_tick_that_comes_twice_is_counted_once():
    clock, true = MidiClock(), ticks(120, 40)
    clock.start()
    feed(clock, sorted([*true, true[300] + 0.01]))
    assert clock.beats.beat_at(true[-1]) == pytest.approx((len(true) - 1) / TICKS, abs=0.001)


def test_start_begins_at_0_and_continue_goes_on_at_the_song_position():
    clock = MidiClock()
    times = ticks(120, 40)
    feed(clock, times[:100])
    assert not clock.aligned
    clock.stop()
    assert not clock.playing
    feed(clock, times[100:200])
    clock.start()
    feed(clock, times[200:300])
    assert clock.playing
    assert clock.aligned
    assert clock.beats.beat_at(times[200]) == pytest.approx(0.0, abs=0.01)
    clock.stop()
    clock.position(8)  # the third beat
    feed(clock, times[300:400])
    clock.resume()
    feed(clock, times[400:500])
    assert clock.beats.beat_at(times[400]) == pytest.approx(2.0, abs=0.01)


def test_continue_without_a_position_goes_on_where_stop_was():
    clock, times = MidiClock(), ticks(120, 40)
    clock.start()
    feed(clock, times[:97])
    clock.stop()
    feed(clock, times[97:300])
    clock.resume()
    feed(clock, times[300:400])
    assert clock.beats.beat_at(times[300]) == pytest.approx(97 / TICKS, abs=0.01)


def test_position_beyond_any_song_is_a_place_as_any_other():
    clock, times = MidiClock(), ticks(120, 20)
    clock.stop()
    clock.position(16383)
    clock.resume()
    feed(clock, times)
    assert clock.beats.beat_at(times[0]) == pytest.approx(16383 / 4, abs=0.01)
    assert clock.problem is Problem.NONE


@pytest.mark.parametrize("tempo", [70, 100, 150, 190])
@pytest.mark.parametrize("jitter", [0.0002, 0.003])
def test_jump_of_the_tempo_is_followed_and_no_beat_is_lost(tempo, jitter):
    clock, first = MidiClock(), ticks(120, 20)
    clock.start()
    true = first + ticks(tempo, 20, since=first[-1] + 60 / 120 / TICKS)
    assert feed(clock, received(true, jitter)) == [Problem.NONE]
    assert clock.beats.tempo == pytest.approx(tempo, rel=0.02)
    assert clock.beats.beat_at(true[-1]) == pytest.approx((len(true) - 1) / TICKS, abs=0.03)


@pytest.mark.parametrize("other", [95, 120, 133, 180])
def test_second_clock_is_told_and_the_first_is_followed(other):
    clock, first = MidiClock(), ticks(120, 60)
    clock.start()
    second = ticks(other, 25, since=first[240] + 0.007)
    assert Problem.TWO in feed(clock, sorted(first + second))
    beats = clock.beats
    assert beats.tempo == pytest.approx(120, rel=0.01)
    assert beats.beat_at(first[-1]) == pytest.approx((len(first) - 1) / TICKS, abs=0.02)
    assert clock.problem is Problem.NONE  # the second one has ended


def test_clock_of_twice_the_tempo_is_not_followed_until_start():
    clock, first = MidiClock(), ticks(120, 20)
    clock.start()
    double = ticks(240, 40, since=first[-1] + 60 / 120 / TICKS)
    assert feed(clock, first + double) == [Problem.NONE, Problem.TWO]
    assert clock.beats.tempo == pytest.approx(120, rel=0.01)
    clock.start()
    after = ticks(240, 8, since=double[-1] + 60 / 240 / TICKS)
    feed(clock, after)
    assert clock.problem is Problem.NONE
    assert clock.beats.tempo == pytest.approx(240, rel=0.01)
    assert clock.beats.beat_at(after[0]) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("beyond", [600, 1000, 5, 10])
def test_tempo_out_of_range_leaves_the_last_one_until_it_is_back(beyond):
    clock, first = MidiClock(), ticks(120, 20)
    clock.start()
    bad = ticks(beyond, 8, since=first[-1] + 60 / beyond / TICKS)
    assert Problem.RANGE in feed(clock, first + bad)
    assert clock.problem is Problem.RANGE
    assert clock.beats.tempo == pytest.approx(120, rel=0.01)
    back = ticks(100, 8, since=bad[-1] + 60 / 100 / TICKS)
    feed(clock, back)
    assert clock.problem is Problem.NONE
    assert clock.beats.tempo == pytest.approx(100, rel=0.01)


def test_clock_that_never_was_in_range_has_no_beats():
    clock = MidiClock()
    feed(clock, ticks(600, 40))
    assert clock.problem is Problem.RANGE
    assert clock.beats is None


def test_beats_go_on_where_a_clock_stops_and_until_it_is_back():
    clock, first = MidiClock(), ticks(120, 20)
    clock.start()
    feed(clock, first)
    end = first[-1] + 2.2 * 0.5
    wait = clock.advance(first[-1])
    assert clock.problem is Problem.NONE
    assert first[-1] + wait < end + 0.1
    clock.advance(first[-1] + wait)
    assert clock.problem is Problem.STOPPED
    assert clock.advance(first[-1] + 9) == math.inf
    assert clock.beats.beat_at(first[0] + 15.0) == pytest.approx(30, abs=0.01)
    again = ticks(120, 8, since=first[0] + 15.003)
    feed(clock, again)
    assert clock.problem is Problem.NONE
    assert clock.beats.beat_at(again[0]) == pytest.approx(30, abs=0.01)  # its nearest tick


def test_ticks_from_the_past_are_left_out():
    clock, times = MidiClock(), ticks(120, 20)
    clock.start()
    for t in times:
        clock.tick(t)
        clock.tick(t - 0.3)
        clock.tick(t)
    assert clock.beats.beat_at(times[-1]) == pytest.approx((len(times) - 1) / TICKS, abs=0.01)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.floats(-0.5, 5.0)),
        st.tuples(st.just("run"), st.floats(1e-4, 1.0)),
        st.tuples(st.sampled_from(["start", "stop", "resume"]), st.just(0.0)),
        st.tuples(st.just("position"), st.integers(0, 16383)),
        st.tuples(st.just("advance"), st.floats(0, 10)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_no_clock_however_mad_gives_a_tempo_out_of_range(events):
    clock, now = MidiClock(), 0.0
    for name, value in events:
        if name == "tick":
            now += value
            clock.tick(now)
        elif name == "run":
            for _ in range(20):
                now += value
                clock.tick(now)
        elif name == "advance":
            now += value
            assert clock.advance(now) >= 0
        elif name == "position":
            clock.position(value)
        else:
            getattr(clock, name)()
        beats = clock.beats
        assert beats is None or 20 <= beats.tempo <= 400
        assert beats is None or math.isfinite(beats.beat_at(now))
