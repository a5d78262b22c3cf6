"""Monitors: subscription, expiry, echoes of controls, forecasts."""

import math

import pytest

from robojam.controls import RefusedError
from robojam.engine.monitors import Monitors

HERE = ("127.0.0.1", 7000)


@pytest.fixture
def sent():
    return []


@pytest.fixture
def monitors(sent):
    return Monitors(lambda packet, to: sent.append((packet, to)))


def test_monitor_expires_after_ten_seconds_unless_renewed(monitors, sent):
    assert monitors.add(HERE, 0.0) is True
    assert monitors.add(HERE, 6.0) is False
    monitors.expire(15.9)
    monitors.send(b"a")
    monitors.expire(16.0)
    monitors.send(b"b")
    assert sent == [(b"a", HERE)]
    assert monitors.add(HERE, 17.0) is True


def test_ninth_monitor_is_refused_until_another_expires(monitors):
    for port in range(8):
        assert monitors.add(("127.0.0.1", port), port / 10) is True
    with pytest.raises(RefusedError, match="too many monitors"):
        monitors.add(("127.0.0.1", 8), 9.9)
    assert monitors.add(("127.0.0.1", 8), 10.0) is True
    assert len(monitors) == 8
    monitors.remove(("127.0.0.1", 8))
    monitors.remove(("127.0.0.1", 8))
    assert len(monitors) == 7


def test_control_that_comes_back_at_once_more_than_eight_times_is_an_echo(monitors):
    monitors.add(HERE, 0.0)
    now = 0.0
    for _ in range(8):
        monitors.control("reset", 1, now)
        now += 0.01
        assert not monitors.is_echo("reset", 1, HERE[0], now)
    monitors.control("reset", 1, now)
    assert monitors.is_echo("reset", 1, HERE[0], now + 0.01)
    assert not monitors.is_echo("reset", 1, "10.0.0.1", now + 0.01)  # no monitor is there
    assert not monitors.is_echo("answer", 1, HERE[0], now + 0.01)
    assert not monitors.is_echo("reset", 1, HERE[0], now + 0.11)  # too late for an echo


def test_forecast_is_sent_after_new_touches_at_most_30_times_a_second_when_there_is_time(
    monitors, sent
):
    def forecast():
        return [(1.0, 0.5, 0.5, 0.1, 0.1, 0.0)]

    assert monitors.send_forecast(1, forecast, 0.0, 1.0) == math.inf
    assert not sent  # no monitor
    monitors.add(HERE, 0.0)
    assert monitors.send_forecast(1, forecast, 0.0, 0.001) == math.inf
    assert not sent  # something is due
    assert monitors.send_forecast(1, forecast, 0.0, math.inf) == math.inf
    assert len(sent) == 1
    assert monitors.send_forecast(1, forecast, 1.0, math.inf) == math.inf
    assert len(sent) == 1  # nothing new was fed
    assert monitors.send_forecast(2, forecast, 0.01, math.inf) == pytest.approx(1 / 30 - 0.01)
    assert monitors.send_forecast(2, list, 1.0, math.inf) == math.inf
    assert len(sent) == 1  # the forecast is empty
    assert monitors.send_forecast(3, forecast, 2.0, math.inf) == math.inf
    assert len(sent) == 2
