"""Values of 14 bits and parameters: halves in either order, or left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.wire.midi import stream
from robojam.wire.midi.values import TOP, DataEntry, FineValue, ParameterDecoder


def play(values, *, fine_first, leave_out=False, pauses="pair"):
    """Send values by halves; return the value after each half, and after each pair."""
    value, all_places, places, last = FineValue(), [], [], None
    for sent in values:
        halves = [(value.set_coarse, sent >> 7), (value.set_fine, sent & 127)]
        if fine_first:
            halves.reverse()
        if leave_out and last is not None and last >> 7 == sent >> 7:
            halves = [(value.set_fine, sent & 127)]
        for set_half, half in halves:
            set_half(half)
            all_places.append(value.value)
            if pauses == "half":
                value.settle()
        if pauses == "pair":
            value.settle()
        places.append(value.value)
        last = sent
    return all_places, places


#: Movements of a fader from one pair to the next, which are less than half of a coarse step.
SLOW = st.lists(st.integers(-63, 63), min_size=1, max_size=80)


@given(
    st.integers(0, TOP),
    SLOW,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["half", "pair", ""]),
)
def test_slow_fader_makes_no_jump_whichever_half_comes_first(
    start, steps, fine_first, leave_out, pauses
):
    values = [start]
    for step in steps:
        values.append(min(max(values[-1] + step, 0), TOP))
    halves, pairs = play(values, fine_first=fine_first, leave_out=leave_out, pauses=pauses)
    assert pairs == values
    # On the way from one value to the next it is never farther than half a coarse step off.
    known = [place for place in halves if place is not None]
    low, high = min(values), max(values)
    first = values[0] >> 7 << 7  # the first coarse half alone may be anywhere in its step
    assert all(min(low - 64, first) <= place <= max(high + 64, first | 127) for place in known)
    assert not fine_first or all(low <= place <= high for place in known[1:])


@given(st.lists(st.integers(0, TOP), min_size=1), st.booleans(), st.booleans())
def test_pair_is_exact_however_far_the_fader_has_moved(values, fine_first, pauses):
    assert play(values, fine_first=fine_first, pauses="pair" if pauses else "")[1] == values


@given(st.lists(st.integers(0, TOP), min_size=1), st.sampled_from(["half", "pair"]))
def test_unchanged_coarse_half_may_be_left_out_where_it_comes_first(values, pauses):
    """As robojam's own output does."""
    assert play(values, fine_first=False, leave_out=True, pauses=pauses)[1] == values


def test_coarse_half_that_is_left_out_is_missed_for_one_fine_half_at_most():
    """A fine half that comes first may mean the next coarse step, or a move within this one."""
    value = FineValue()
    for set_half, half in ((value.set_fine, 0), (value.set_coarse, 10), (value.set_fine, 100)):
        set_half(half)
    assert value.value == 9 << 7 | 100  # nearer than 10 100
    value.set_fine(105)
    assert value.value == 10 << 7 | 105


@pytest.mark.parametrize("fine_first", [False, True])
def test_wrong_order_is_unlearnt_at_the_next_coarse_steps(fine_first):
    value, errors = FineValue(), []
    for n, sent in enumerate(range(8000, 9000, 10)):
        halves = [(value.set_coarse, sent >> 7), (value.set_fine, sent & 127)]
        for set_half, half in (halves[::-1] if fine_first else halves)[n == 0 :]:
            set_half(half)  # the first half of all is lost
        errors.append(abs((value.value or sent) - sent))
        value.settle()
    assert max(errors) <= 128
    assert not any(errors[50:])


def test_coarse_halves_alone_reach_both_ends():
    value = FineValue()
    for coarse in (0, 64, 127):
        assert value.set_coarse(coarse) is (coarse == 0)  # the last one had no fine half
        assert value.part == coarse / 127


def test_value_is_in_the_middle_until_it_is_known_and_steps_from_there():
    value = FineValue()
    assert value.part == 0.5
    value.set(stream.INCREMENT, 0)
    assert value.value == 65 << 7 | 65  # a step of the coarse half, as no fine half has come
    value.set_fine(3)
    value.set(stream.DECREMENT, 0)
    assert value.value == 65 << 7 | 2
    for _ in range(9):
        value.step(TOP // 4)
    assert value.value == TOP


def entries(*pairs, channel=0):
    decoder = ParameterDecoder()
    return [e for e in (decoder.read(channel, *pair) for pair in pairs) if e is not None]


def test_parameter_is_selected_by_both_halves_of_its_number_in_either_order():
    for select in ([(99, 1), (98, 2)], [(98, 2), (99, 1)]):
        assert entries((6, 9), *select, (6, 3), (38, 4), (96, 0), (97, 0)) == [
            DataEntry(0, False, 130, 6, 3),
            DataEntry(0, False, 130, 38, 4),
            DataEntry(0, False, 130, 96, 0),
            DataEntry(0, False, 130, 97, 0),
        ]
    assert entries((101, 0), (6, 3)) == []  # half of a number
    assert entries((101, 0), (100, 6), (6, 3)) == [DataEntry(0, True, 6, 6, 3)]
    # One half alone changes the number.
    assert entries((101, 0), (100, 6), (100, 0), (6, 3)) == [DataEntry(0, True, 0, 6, 3)]


@pytest.mark.parametrize(
    "pairs",
    [
        [(99, 0), (98, 6), (101, 0), (6, 15)],  # an NRPN 0:6 is no half of RPN 0:6
        [(101, 0), (98, 6), (6, 15)],
        [(100, 6), (99, 0), (6, 15)],
        [(101, 0), (100, 6), (101, 127), (100, 127), (6, 15)],
        [(99, 0), (98, 6), (101, 127), (100, 127), (6, 15)],
        [(101, 0), (100, 6), (99, 127), (98, 127), (6, 15)],
    ],
)
def test_parameters_of_both_kinds_are_never_mixed_and_the_null_selects_none(pairs):
    assert entries(*pairs) == []


def test_parameters_are_selected_for_each_channel_and_forgotten():
    decoder = ParameterDecoder()
    for channel in (3, 4):
        decoder.read(channel, 101, 0)
        decoder.read(channel, 100, 0)
    decoder.forget(3)
    assert decoder.read(3, 6, 12) is None
    assert decoder.read(4, 6, 12) == DataEntry(4, True, 0, 6, 12)
    assert decoder.read(5, 6, 12) is None


@given(st.lists(st.tuples(st.sampled_from([6, 38, 96, 97]), st.integers(0, 127))))
def test_any_data_keep_a_value_in_its_range(data):
    value = FineValue()
    for controller, number in data:
        value.set(controller, number)
        assert value.value is None or 0 <= value.value <= TOP
        assert 0 <= value.part <= 1
