"""Monitors: subscription, expiry, echoes of controls, forecasts."""

import math
from collections import Counter

import pytest

from robojam.controls import RefusedError
from robojam.engine.monitors import Monitors

HERE = ("127.0.0.1", 7000)


@pytest.fixture
def sent():
    return []


@pytest.fixture
def monitors(sent):
    return Monitors(
        lambda packet, to: sent.append((packet, to)), is_here=lambda host: host == HERE[0]
    )


def receivers(monitors, sent):
    """Return the hosts and ports of all monitors."""
    sent.clear()
    monitors.send(b"x", 0.0)
    return [to for _, to in sent]


def test_monitor_expires_after_ten_seconds_unless_renewed(monitors, sent):
    assert monitors.add(HERE, 0.0) is True
    assert monitors.add(HERE, 6.0) is False
    monitors.expire(15.9)
    monitors.send(b"a", 15.9)
    monitors.expire(16.0)
    monitors.send(b"b", 16.0)
    assert sent == [(b"a", HERE)]
    assert monitors.add(HERE, 17.0) is True


def test_ninth_monitor_takes_the_place_of_the_one_that_has_not_renewed_for_longest(
    monitors, sent
):
    for port in range(8):
        assert monitors.add((HERE[0], port), port / 10) is True
    assert monitors.add((HERE[0], 0), 0.9) is False
    assert monitors.add((HERE[0], 8), 1.0) is True
    assert sorted(port for _, port in receivers(monitors, sent)) == [0, 2, 3, 4, 5, 6, 7, 8]
    monitors.remove((HERE[0], 8))
    monitors.remove((HERE[0], 8))
    assert len(monitors) == 7


def test_other_hosts_have_six_monitors_and_three_of_each_and_never_the_newest_leaves(
    monitors, sent
):
    for i in range(24):
        monitor = (f"10.0.0.{i // 8}", i)
        assert monitors.add(monitor, i / 100) is True
        assert monitor in receivers(monitors, sent)
        places = Counter(host for host, _ in receivers(monitors, sent))
        assert max(places.values()) <= 3
    assert places == {"10.0.0.0": 2, "10.0.0.1": 2, "10.0.0.2": 2}
    for port in range(3):
        assert monitors.add((HERE[0], port), 1.0) is True
    assert len(monitors) == 8
    assert [host for host, _ in receivers(monitors, sent)].count(HERE[0]) == 3


def test_one_monitor_of_a_host_keeps_its_place_whatever_a_host_with_several_does(
    monitors, sent
):
    assert monitors.add(("10.0.0.9", 1), 0.0) is True
    for i in range(40):
        for host in ("10.0.0.1", "10.0.0.2"):
            monitors.add((host, i), 1.0 + i / 100)
    assert ("10.0.0.9", 1) in receivers(monitors, sent)


def test_neighbour_with_a_network_of_ipv6_has_the_monitors_of_one_host(monitors, sent):
    for host in ("10.0.0.1", "10.0.0.2", "2001:db8:0:1::1"):
        assert monitors.add((host, 1), 0.0) is True
    for i in range(1000):
        monitors.add((f"2001:db8::{i:x}", 4000), 1.0 + i / 1000)
    hosts = [host for host, _ in receivers(monitors, sent)]
    assert len(hosts) == 6
    assert {"10.0.0.1", "10.0.0.2", "2001:db8:0:1::1", "2001:db8::3e7"} <= set(hosts)


def test_monitor_renews_without_a_cookie_for_a_short_time_only(monitors, sent):
    far = ("10.0.0.1", 7000)
    assert monitors.renew(far, 0.0) is False
    assert len(monitors) == 0
    monitors.add(far, 0.0)
    for now in (9.0, 18.0, 27.0, 29.9):
        assert monitors.renew(far, now) is True
    assert monitors.renew(far, 30.0) is False
    monitors.add(far, 40.0)  # its cookie has come
    assert monitors.renew(far, 45.0) is True
    monitors.expire(54.9)
    assert receivers(monitors, sent) == [far]


def test_monitor_beyond_this_machine_gets_a_bounded_number_of_bytes(monitors, sent):
    far = ("10.0.0.1", 7000)
    monitors.add(far, 0.0)
    monitors.add(HERE, 0.0)
    for _ in range(5000):
        monitors.send(bytes(1000), 1.0)
    assert sum(len(packet) for packet, to in sent if to == far) == 2_000_000
    assert sum(to == HERE for _, to in sent) == 5000
    assert monitors.unsent == 3000
    sent.clear()
    for _ in range(5000):
        monitors.send(bytes(1000), 1.5)
    assert sum(to == far for _, to in sent) == 1000


def test_no_monitor_of_this_machine_leaves_for_another_machine(monitors, sent):
    for port in range(7):
        monitors.add((HERE[0], port), 0.0)
    assert monitors.add(("10.0.0.1", 1), 1.0) is True
    assert monitors.add(("10.0.0.2", 1), 2.0) is True  # in the place of 10.0.0.1
    assert len(monitors) == 8
    monitors.add((HERE[0], 7), 3.0)
    with pytest.raises(RefusedError, match="too many monitors") as refused:
        monitors.add(("10.0.0.1", 1), 4.0)
    assert "a place is free 10 s after one of them stops" in refused.value.about
    assert {host for host, _ in receivers(monitors, sent)} == {HERE[0]}


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


def test_controls_that_go_round_a_slow_loop_are_found(monitors):
    monitors.add(HERE, 0.0)
    dropped = []
    for i in range(60):
        name, value = ("temperature", 0.5 + i % 3 / 4)
        monitors.control(name, value, i * 0.1)
        monitors.add(HERE, i * 0.1 + 0.3)
        dropped.append(monitors.is_echo(name, value, HERE[0], i * 0.1 + 0.3))
    assert dropped == [False] * 32 + [True] * 28


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
