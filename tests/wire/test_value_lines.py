"""Lines of values: torn, long and wrong ones, and what a sketch prints."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire.native import Dropped, PhaselessTouch
from robojam.wire.value_lines import MAX_LINE, NO_VALUES, TOO_LONG, LineReader, write_line


def values(reader: LineReader, *chunks: bytes) -> list[object]:
    """Return the values of each event that comes of the chunks, and the reasons of drops."""
    inputs = [item for chunk in chunks for item in reader.feed(chunk)]
    return [
        item.knobs if isinstance(item, PhaselessTouch) else item.reason  # type: ignore[union-attr]
        for item in inputs
    ]


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b"0.25,0.5,1\n", (0.25, 0.5, 1.0)),
        (b"0.25, 0.5 ,1\r\n", (0.25, 0.5, 1.0)),
        (b"0.5\n", (0.5,)),
        (b"1e-1,.5\n", (0.1, 0.5)),
        (b",".join([b"1"] * 16) + b"\n", (1.0,) * 16),
    ],
)
def test_line_is_an_event_of_its_values(line, read):
    assert values(LineReader(), line) == [read]


def test_values_beyond_the_ends_are_clipped_and_marked():
    (event,) = LineReader().feed(b"-1,2,0.5\n")
    assert event == PhaselessTouch(0.0, 1.0, clipped=True, knobs=(0.0, 1.0, 0.5))


@pytest.mark.parametrize(
    "line",
    [b"ready", b"0.5,", b"0.5;0.5", b"0.5,nan", b"0.5,inf", b"0.5 0.5", b"\xff,0.5",
     b",".join([b"1"] * 17), b"0x1,0.5", b"1_0,0.5", b",", b"1e400"],
)  # fmt: skip
def test_line_that_is_no_list_of_numbers_is_dropped_and_the_next_is_heard(line):
    first, second = values(LineReader(), line + b"\n0.5,0.25\n")
    assert first in (NO_VALUES, "not finite")
    assert second == (0.5, 0.25)


def test_empty_lines_are_nothing():
    assert values(LineReader(), b"\n\r\n  \n0.5\n\n") == [(0.5,)]


def test_line_that_is_too_long_is_dropped_once_and_takes_no_memory():
    reader = LineReader()
    assert values(reader, *[b"0.5," * 64] * 100) == [TOO_LONG]
    assert len(reader._partial) <= MAX_LINE
    assert values(reader, b"0.5\n0.25\n") == [(0.25,)]
    assert values(reader, b"1" * (MAX_LINE + 1) + b"\n0.5\n") == [TOO_LONG, (0.5,)]


def test_part_of_a_line_that_was_begun_before_is_left_out():
    reader = LineReader()
    assert values(reader, b"0.7,0") == []
    reader.skip_line()
    assert values(reader, b"5,0.3\n0.5,0.25\n") == [(0.5, 0.25)]


lines = st.lists(
    st.lists(st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=1, max_size=16),
    max_size=8,
)


@given(lines, st.lists(st.integers(0, 400), max_size=12))
def test_lines_come_whole_however_they_are_torn(rows, cuts):
    data = b"".join(write_line(Touch(0, 0, 0, Phase.MOVE, knobs=tuple(row))) for row in rows)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in pairwise(edges)]
    assert values(LineReader(), *chunks) == [tuple(row) for row in rows]


@given(st.lists(st.binary(max_size=80), max_size=30))
def test_any_bytes_are_events_or_drops(chunks):
    reader = LineReader()
    for chunk in chunks:
        for item in reader.feed(chunk):
            assert isinstance(item, PhaselessTouch | Dropped)
        assert len(reader._partial) <= MAX_LINE


def test_touch_of_a_surface_is_written_as_its_place():
    assert write_line(Touch(0.25, 1.0, 0.1, Phase.DOWN)) == b"0.2500,1.0000\n"
