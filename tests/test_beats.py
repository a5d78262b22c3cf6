"""Beats as a function of time, their text, and the lines of quanta and grids."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.beats import (
    GRIDS,
    MAX_BEAT,
    MAX_BEATS_PER_BAR,
    QUANTA,
    TEMPI,
    Beats,
    Grid,
    grid_lines,
    parse_text,
    quantum_lines,
)
from robojam.controls import RECORDED, check_recorded

BEATS = st.builds(
    Beats,
    t=st.floats(-1e6, 1e6),
    beat=st.floats(-MAX_BEAT, MAX_BEAT),
    tempo=st.floats(*TEMPI),
    beats_per_bar=st.integers(1, MAX_BEATS_PER_BAR),
)
LINES = st.sampled_from(
    [quantum_lines(name, bar) for name in QUANTA[1:] for bar in (3, 4, 7)]
    + [grid_lines(name, swing) for name in GRIDS[1:] for swing in (0.5, 0.58, 2 / 3, 0.75)]
)


def test_beats_pass_with_the_tempo():
    beats = Beats(t=2.0, beat=8.0, tempo=90.0)
    assert beats.beat_at(4.0) == 11.0
    assert beats.time_of(11.0) == 4.0
    assert beats.beat_at(0.0) == 5.0
    later = beats.shifted(10.0)
    assert later.beat_at(14.0) == 11.0
    assert later.tempo == 90.0


@given(BEATS, st.floats(-1e4, 1e4))
def test_time_of_a_beat_is_when_it_is(beats, beat):
    assert beats.beat_at(beats.time_of(beat)) == pytest.approx(beat, abs=1e-5)


@given(BEATS)
def test_text_of_beats_is_read_exactly(beats):
    text = beats.encode()
    assert Beats.parse(text, beats.t) == beats
    assert parse_text(text) == text
    assert check_recorded("beats", text) == text


def test_whole_numbers_in_the_text_of_beats_get_their_canonical_form():
    assert parse_text("12 120 4") == "12.0 120.0 4"
    assert parse_text("") == ""
    assert Beats(0.0, 12, 120).encode() == "12.0 120.0 4"


@pytest.mark.parametrize(
    "text",
    [
        "1.0 120.0", "1.0 120.0 4 4", "nan 120.0 4", "inf 120.0 4", "1.0 inf 4",
        "1.0 120.0 4.5", "1.0 120.0 0", "1.0 120.0 65", "1.0 120.0 -4", "1.0 0.0 4",
        "1.0 -120.0 4", "1.0 5 4",
        "1.0 1001 4", "2e9 120 4", "1e999 120 4", "1_0 120 4", " 1.0 120.0 4", "1,0 120 4",
        "1.0  120.0 4", "x" * 10_000,
    ],
)  # fmt: skip
def test_text_that_is_no_beats_is_refused(text):
    with pytest.raises(ValueError, match=r"(?i)beat"):
        parse_text(text)
    with pytest.raises(ValueError, match=r"^beats: "):
        check_recorded("beats", text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_beats_of_no_finite_number_are_refused(number):
    for field in ("t", "beat", "tempo"):
        with pytest.raises(ValueError, match="allowed: "):
            Beats(**{"t": 0.0, "beat": 0.0, "tempo": 120.0, field: number})


def test_control_beats_is_set_by_the_engine_alone():
    assert "beats" in RECORDED
    with pytest.raises(ValueError, match="no control"):
        check_recorded("beat", "1.0 120.0 4")


def test_quantum_is_a_beat_or_some_bars():
    assert quantum_lines("off", 4) is None
    assert [quantum_lines(name, 3).beat_of(5) for name in QUANTA[1:]] == [5, 15, 30, 60]


def test_grid_has_the_lines_of_a_note():
    assert grid_lines("off", 0.5) is None
    lines = {name: grid_lines(name, 0.5) for name in GRIDS[1:]}
    per_beat = {"1/4": 1, "1/8": 2, "1/8t": 3, "1/16": 4, "1/16t": 6, "1/32": 8}
    assert set(lines) == set(per_beat)
    for name, grid in lines.items():
        count = per_beat[name]
        assert [grid.beat_of(i) for i in range(-count, 2 * count)] == pytest.approx(
            [i / count for i in range(-count, 2 * count)]
        )
        assert [grid.beat_of(count * i) for i in (-3, 0, 1000)] == [-3, 0, 1000]  # exactly


def test_swing_moves_every_other_line_of_a_grid():
    eighths, sixteenths = grid_lines("1/8", 0.625), grid_lines("1/16", 0.625)
    assert [eighths.beat_of(i) for i in range(4)] == [0, 0.625, 1, 1.625]
    assert [sixteenths.beat_of(i) for i in range(5)] == [0, 0.3125, 0.5, 0.8125, 1]
    for name in ("1/4", "1/8t", "1/16t"):
        assert grid_lines(name, 0.75) == grid_lines(name, 0.5)


@given(LINES, st.floats(-1e5, 1e5))
def test_line_at_or_after_a_beat_is_the_first(lines, beat):
    line = lines.at_or_after(beat)
    assert lines.beat_of(line) >= beat - 1e-6
    assert lines.beat_of(line - 1) < beat
    assert lines.at_or_after(lines.beat_of(line)) == line


@given(LINES, st.floats(-1e5, 1e5))
def test_nearest_line_has_none_nearer_beside_it(lines, beat):
    line = lines.nearest(beat)
    distance = abs(lines.beat_of(line) - beat)
    assert distance <= min(abs(lines.beat_of(line + i) - beat) for i in (-1, 1)) + 1e-6
    assert lines.nearest(lines.beat_of(line)) == line


@given(st.integers(-(10**6), 10**6))
def test_lines_of_bars_are_lines_of_every_grid(bar):
    for name in GRIDS[1:]:
        grid, beat = grid_lines(name, 0.6), 4.0 * bar
        assert grid.beat_of(grid.nearest(beat)) == beat


def test_grid_of_one_place_counts_units():
    assert [Grid(4.0).at_or_after(beat) for beat in (-4.0, 0.0, 0.1, 4.0, 4.0000001)] == [
        -1, 0, 1, 1, 1,
    ]  # fmt: skip
