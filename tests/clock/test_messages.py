"""Messages of the programs of clocks, and what departs from what was said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.beats import MAX_BEAT, TEMPI, Beats
from robojam.clock.messages import INTERVAL, ClockReport, ClockRequest, Departures

BEATS = st.builds(
    Beats,
    st.floats(-1e9, 1e9),
    st.floats(-MAX_BEAT, MAX_BEAT),
    st.floats(*TEMPI),
    st.integers(1, 64),
)


@given(
    st.none() | BEATS,
    st.none() | st.booleans(),
    st.booleans(),
    st.integers(0, 99),
    st.text(max_size=9),
)
def test_report_is_read_as_it_was_written(beats, playing, aligned, peers, problem):
    report = ClockReport(beats, playing, aligned, peers, problem)
    assert ClockReport.decode(report.encode()) == report


@given(st.none() | st.floats(20, 400), st.none() | BEATS, st.booleans())
def test_request_is_read_as_it_was_written(tempo, beats, playing):
    request = ClockRequest(tempo, beats, playing)
    assert ClockRequest.decode(request.encode()) == request


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"nonsense", b"\xff", b"null",
        b'{"beats": [1, 2, NaN, 4], "playing": 1, "aligned": 1, "peers": 0, "problem": ""}',
        b'{"beats": [1, 2, 1e9, 4], "playing": 1, "aligned": 1, "peers": 0, "problem": ""}',
        b'{"beats": [1, 2], "playing": 1, "aligned": 1, "peers": 0, "problem": ""}',
        b'{"tempo": Infinity, "beats": null, "playing": true}',
    ],
)  # fmt: skip
def test_what_is_no_message_is_none(data):
    assert ClockReport.decode(data) is None
    assert ClockRequest.decode(data) is None


def test_beats_that_go_on_are_said_once():
    departures, beats = Departures(), Beats(0.0, 0.0, 120.0)
    assert departures.take(beats, 0.0)
    for now in range(1, 100):
        same = Beats(float(now), beats.beat_at(now), 120.0)
        assert not departures.take(same, float(now))
    assert departures.wait(100.0) == math.inf


@pytest.mark.parametrize(
    ("other", "departs"),
    [
        (Beats(0.0, 0.0005, 120.0), False),  # by 0.25 ms
        (Beats(0.0, 0.0007, 120.0), True),  # by 0.35 ms
        (Beats(1.0, 2.0, 120.01), False),  # by less than 0.01 %
        (Beats(1.0, 2.0, 120.02), True),
        (Beats(0.0, 0.0, 120.0, 3), True),
        (None, True),
    ],
)
def test_beats_are_said_again_from_0_3_ms_or_a_hundredth_of_a_percent_on(other, departs):
    departures = Departures()
    assert departures.take(Beats(0.0, 0.0, 120.0), 0.0)
    assert departures.take(other, 1.0) == departs


def test_beats_that_always_depart_are_said_twenty_times_a_second():
    departures, said = Departures(), 0
    for n in range(1000):
        said += departures.take(Beats(n / 1000, n / 400, 150.0 + n % 7), n / 1000)
    assert 1 / INTERVAL - 1 <= said <= 1 / INTERVAL + 1
    assert departures.wait(1.0) <= INTERVAL
