"""Knobs: range, curve, smoothing, steps and scale; when a value is sent, and which."""

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.mapping.bank import KnobBank
from robojam.mapping.knob import INTERVAL, KnobSpec, Shape, morphed, smoothed
from robojam.music import SCALES, key_semitone
from robojam.touch import Phase, Touch

UNIT = Shape(0, 1, 0, 127)
NUMBERS = st.floats(-1e6, 1e6)
TIMES = st.floats(0, 10)


def spec(source="x", *shapes, whole=True, who="machine", **more) -> KnobSpec:
    return KnobSpec(source, who, shapes or (UNIT,), whole, **more)


def at(bank: KnobBank, now: float, x: float, phase=Phase.MOVE, who="ai") -> list:
    """Have a bank hear a touch; return the values that are sent with it."""
    bank.touch(Touch(x, 0.5, 0.0, phase, 0, who), 0.0, now, now)
    return [value for _, value in bank.take(now)]


def run(bank: KnobBank, now: float, until: float) -> list[tuple[float, float]]:
    """Take all values that a bank sends by itself until an instant, each with its time."""
    sent = []
    while (now := now + bank.wait(now)) <= until:
        sent += [(now, value) for _, value in bank.take(now)]
    return sent


# -- shape ---------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(-10, 10), NUMBERS)
def test_value_of_a_shape_is_within_its_ends(from_low, from_high, low, high, curve, feature):
    value = Shape(from_low, from_high, low, high, curve).value(feature)
    least, most = sorted((low, high))
    slack = 1e-9 * max(abs(least), abs(most), 1)
    assert least - slack <= value <= most + slack


@given(st.floats(-10, 10), st.lists(st.floats(0, 1), min_size=2))
def test_curve_rises_and_keeps_the_ends(curve, features):
    shape = Shape(0, 1, 0, 1, curve)
    values = [shape.value(feature) for feature in sorted(features)]
    assert values == sorted(values)
    assert shape.value(0) == 0
    assert shape.value(1) == pytest.approx(1)


def test_curve_above_zero_is_slow_at_first_and_below_fast():
    middle = [Shape(0, 1, 0, 1, curve).value(0.5) for curve in (-4, 0, 4)]
    assert middle == pytest.approx([0.8808, 0.5, 0.1192], abs=1e-4)


def test_range_that_falls_inverts():
    assert Shape(0, 1, 127, 0).value(0.25) == 95.25
    assert Shape(1, 0, 0, 127).value(0.25) == 95.25


@given(st.lists(st.builds(Shape, *[st.floats(-9, 9)] * 4), min_size=1, max_size=5))
def test_morph_has_each_scene_at_its_place_and_none_beyond(shapes):
    shapes = tuple(shapes)
    for number, shape in enumerate(shapes):
        place = number / max(1, len(shapes) - 1)
        near = morphed(shapes, place)
        for end in ("from_low", "from_high", "low", "high"):
            assert getattr(near, end) == pytest.approx(getattr(shape, end), abs=1e-9)
    assert morphed(shapes, -1) == shapes[0]
    assert morphed(shapes, 2) == shapes[-1]


def test_morph_goes_evenly_between_two_scenes():
    between = morphed((Shape(0, 1, 0, 100, 0, 0.1), Shape(0, 2, 50, 0, 4, 0.3)), 0.25)
    assert between == Shape(0, 1.25, 12.5, 75, 1, pytest.approx(0.15))


# -- smoothing -----------------------------------------------------------------------------


@given(NUMBERS, NUMBERS, TIMES, TIMES, st.floats(0.001, 60))
def test_smoothing_over_two_intervals_is_that_over_their_sum(value, goal, one, two, time):
    parts = smoothed(smoothed(value, goal, one, time), goal, two, time)
    assert parts == pytest.approx(smoothed(value, goal, one + two, time), rel=1e-6, abs=1e-6)


@given(NUMBERS, NUMBERS, TIMES, st.floats(0, 60))
def test_smoothing_never_overshoots(value, goal, elapsed, time):
    result = smoothed(value, goal, elapsed, time)
    low, high = sorted((value, goal))
    assert low - 1e-6 <= result <= high + 1e-6


def test_smoothing_has_gone_63_percent_after_its_time():
    assert smoothed(0, 1, 0.2, 0.2) == pytest.approx(1 - 1 / math.e)


def test_smoothed_knob_moves_between_touches_and_ends_exactly():
    bank = KnobBank([spec("x", Shape(0, 1, 0, 127, smooth=0.05))])
    assert at(bank, 0.0, 0.0, Phase.DOWN) == [0]  # the first is no way from anywhere
    assert at(bank, 1.0, 1.0) == []  # it begins now
    sent = run(bank, 1.0, 9.0)
    values = [value for _, value in sent]
    assert values == sorted(set(values))
    assert values[-1] == 127
    assert dict(sent)[min(t for t, _ in sent if t >= 1.05)] == pytest.approx(80, abs=4)
    assert bank.wait(9.0) == math.inf


def test_knob_at_rest_for_long_does_not_jump_at_the_next_touch():
    bank = KnobBank([spec("x", Shape(0, 1, 0, 127, smooth=0.5))])
    at(bank, 0.0, 0.0, Phase.DOWN)
    at(bank, 100.0, 1.0)
    assert run(bank, 100.0, 100.01)[0][1] <= 2


# -- what is sent --------------------------------------------------------------------------


def test_value_is_sent_at_once_and_only_where_it_changes():
    bank = KnobBank([spec()])
    assert at(bank, 0.0, 0.5, Phase.DOWN) == [64]
    assert at(bank, 0.1, 0.501) == []
    assert at(bank, 0.2, 0.6) == [76]
    assert bank.wait(0.2) == math.inf  # nothing more moves


def test_value_within_the_interval_waits_and_the_last_one_is_sent():
    bank = KnobBank([spec()])
    assert at(bank, 1.0, 0.0, Phase.DOWN) == [0]
    assert at(bank, 1.001, 0.2) == []
    assert at(bank, 1.002, 1.0) == []
    assert run(bank, 1.002, 2.0) == [(pytest.approx(1.004), 127)]


@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.floats(0, 1)), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.01, 0.2]),
    st.booleans(),
)
def test_values_come_at_most_250_times_a_second_and_the_last_is_never_lost(
    touches, smooth, whole
):
    bank = KnobBank([spec("x", Shape(0, 1, 0, 127, 0, smooth), whole=whole)])
    now, sent = 0.0, []
    for dt, x in touches:
        sent += run(bank, now, now + dt)
        now += dt
        sent += [(now, value) for value in at(bank, now, x)]
    sent += run(bank, now, now + 60)
    assert all(
        later - earlier >= INTERVAL - 1e-9 for (earlier, _), (later, _) in pairwise(sent)
    )
    assert all(one != two for (_, one), (_, two) in pairwise(sent))
    last = 127 * touches[-1][1]
    expected = round(last) if whole else struct.unpack(">f", struct.pack(">f", last))[0]
    assert sent[-1][1] == expected
    assert bank.wait(now + 60) == math.inf


def test_fader_at_60_hz_makes_no_step_larger_than_its_smoothing_allows():
    """A fader goes through its whole range in a second, in 60 steps of 2.1."""
    smooth = 0.03
    bank = KnobBank([spec("x", Shape(0, 1, 0, 16383, 0, smooth))])
    now, sent = 0.0, []
    for n in range(61):
        sent += run(bank, now, n / 60)
        now = n / 60
        sent += [
            (now, value) for value in at(bank, now, n / 60, Phase.MOVE if n else Phase.DOWN)
        ]
    sent += run(bank, now, 3.0)
    steps = [abs(two - one) / 16383 for (_, one), (_, two) in pairwise(sent)]
    assert max(steps) < 0.006  # a third of the fader's own steps
    assert sent[-1][1] == 16383


# -- steps and scales ----------------------------------------------------------------------


@given(st.floats(0, 1), st.integers(2, 200), st.booleans())
def test_value_held_to_steps_is_one_of_them(x, steps, falls):
    low, high = (100.0, 20.0) if falls else (20.0, 100.0)
    bank = KnobBank([spec("x", Shape(0, 1, low, high), whole=False, steps=steps)])
    (value,) = at(bank, 0.0, x, Phase.DOWN)
    part = (value - 20) / 80 * (steps - 1)
    assert part == pytest.approx(round(part), abs=1e-3)
    assert abs(value - Shape(0, 1, low, high).value(x)) <= 40 / (steps - 1) + 1e-3


@given(st.floats(0, 1), st.sampled_from([s for s in SCALES if s != "free"]), st.booleans())
def test_value_held_to_a_scale_is_a_note_of_it_and_the_nearest(x, scale, falls):
    shape = Shape(0, 1, 84, 36) if falls else Shape(0, 1, 36, 84)
    (value,) = at(KnobBank([spec("x", shape, scale=scale, key="D")]), 0.0, x, Phase.DOWN)
    notes = [n for n in range(36, 85) if (n - key_semitone("D")) % 12 in SCALES[scale]]
    assert value in notes
    aim = shape.value(x)
    assert abs(value - aim) <= min(abs(note - aim) for note in notes) + 1e-9


def test_smooth_way_between_two_notes_goes_over_those_between():
    bank = KnobBank([spec("x", Shape(0, 1, 60, 72, 0, 0.05), scale="major")])
    at(bank, 0.0, 0.0, Phase.DOWN)
    at(bank, 1.0, 1.0)
    assert [value for _, value in run(bank, 1.0, 5.0)] == [62, 64, 65, 67, 69, 71, 72]


# -- banks ---------------------------------------------------------------------------------


def test_knob_hears_whom_it_names_and_nothing_is_sent_before():
    bank = KnobBank([spec(), spec(who="human2"), spec(who="all")])
    bank.morph(1.0, 0.0)
    assert bank.wait(0.0) == math.inf
    bank.touch(Touch(1.0, 0.5, 0.0, Phase.DOWN, 0, "human"), 0.0, 0.0, 0.0)
    assert bank.take(0.0) == [(2, 127)]
    bank.touch(Touch(0.5, 0.5, 0.0, Phase.DOWN, 0, "human2"), 0.0, 1.0, 1.0)
    assert bank.take(1.0) == [(1, 64), (2, 64)]
    assert bank.values == [None, 64, 64]


def test_turn_moves_its_knob_without_a_touch():
    bank = KnobBank([spec("turn")])
    bank.pass_turn("ai", 0.0)
    assert bank.take(0.0) == [(0, 127)]
    bank.pass_turn("human", 1.0)
    assert bank.take(1.0) == [(0, 0)]


def test_time_since_landing_goes_on_by_itself_and_stops():
    bank = KnobBank([spec("since-landing", Shape(0, 0.5, 0, 127))])
    assert at(bank, 0.0, 0.5, Phase.DOWN) == [0]
    sent = run(bank, 0.0, 5.0)
    assert len(sent) == 125  # of 127 values; one in 4 ms
    assert sent[-1] == (pytest.approx(0.5, abs=0.005), 127)
    assert bank.wait(5.0) == math.inf


def test_morph_moves_a_knob_that_has_been_heard_by_its_smoothing():
    shapes = Shape(0, 1, 0, 100), Shape(0, 1, 100, 0, smooth=0.1)
    bank = KnobBank([spec("x", *shapes)])
    assert at(bank, 0.0, 0.25, Phase.DOWN) == [25]
    bank.morph(1.0, 1.0)
    sent = run(bank, 0.999, 5.0)
    assert sent[-1][1] == 75
    assert len(sent) > 20


# -- amounts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "expected"), [(1.0, [20, 65, 110]), (0.5, [20, 42, 65]), (0.0, [20])]
)
def test_amount_is_the_part_of_the_way_to_the_high_end_that_a_knob_goes(amount, expected):
    bank = KnobBank([spec("x", Shape(0, 1, 20, 110))], amounts=[amount])
    values = at(bank, 0.0, 0.0, Phase.DOWN) + at(bank, 1.0, 0.5) + at(bank, 2.0, 1.0)
    assert values == expected


def test_knob_goes_to_another_amount_at_once_and_keeps_it_in_another_scene():
    bank = KnobBank([spec("x", Shape(0, 1, 0, 100), Shape(0, 1, 0, 10)), spec("y")])
    at(bank, 0.0, 1.0, Phase.DOWN)
    bank.adjust([0.5, 1.0], 1.0)
    assert bank.take(1.0) == [(0, 50.0)]  # and the other is not sent
    bank.morph(1.0, 2.0)
    assert bank.take(2.0)[0] == (0, 5.0)


def test_knob_of_any_amount_is_held_to_the_steps_of_its_full_range():
    bank = KnobBank([spec("x", Shape(0, 1, 0, 100), steps=5)], amounts=[0.6])
    values = [value for i in range(21) for value in at(bank, i, i / 20, Phase.MOVE)]
    assert values == [0, 25, 50]
