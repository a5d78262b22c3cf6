"""Whether the date is synchronised, as the systems tell it."""

import pytest

from robojam.config.options import Options
from robojam.doctor import clock
from robojam.doctor.clock import check_clock, windows_synchronised


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Leap Indicator: 0(no warning)\nStratum: 3 (secondary reference)\n", True),
        ("Sprungindikator: 3(nicht synchronisiert)\r\nStratum: 0 (nicht angegeben)\r\n", False),
        (
            "The following error occurred: The service has not been started. (0x80070426)\n",
            None,
        ),
        ("", None),
    ],
)
def test_state_of_windows_is_read_in_any_language(printed, expected):
    assert windows_synchronised(printed) is expected


@pytest.mark.parametrize(
    ("is_synchronised", "ahead", "status"),
    [
        (True, 0.0, "ok"), (True, 20.0, "ok"), (None, 20.0, "ok"),
        (False, 0.0, "ok"), (False, 20.0, "warning"),
    ],
)  # fmt: skip
def test_date_matters_where_touches_are_sent_with_their_time(
    monkeypatch, is_synchronised, ahead, status
):
    monkeypatch.setattr(clock, "synchronised", lambda: is_synchronised)
    found = check_clock(Options(osc_ahead=ahead))
    assert found.status == status
    assert ("not synchronised" in found.found) == (is_synchronised is False)


def test_this_system_tells_or_does_not_know():
    assert clock.synchronised() in (True, False, None)


def test_clock_that_jumps_or_was_never_set_is_a_warning(monkeypatch):
    class Never(clock.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(1970, 1, 1, tzinfo=tz)

    with monkeypatch.context() as patch:
        patch.setattr(clock, "datetime", Never)
        found = check_clock(Options())
    assert (found.status, "1970-01-01" in found.found) == ("warning", True)
    info = clock.time.get_clock_info("perf_counter")
    info.resolution = 1 / 64
    monkeypatch.setattr(clock.time, "get_clock_info", lambda _: info)
    assert check_clock(Options()).status == "warning"
