"""Metrics: counts of drops with their warnings, and lateness."""

import pytest

from robojam.engine.metrics import DropCounter, Lateness


def counted_lines(records):
    return [record.message for record in records]


def test_drop_is_logged_with_its_sender_once_until_a_minute_without_one_has_passed(caplog):
    now = [0.0]
    counter = DropCounter(lambda: now[0])
    counter.sender = ("10.0.0.2", 9000)

    def drop_at_60_hz(seconds):
        for _ in range(60 * seconds):
            now[0] += 1 / 60
            counter.drop("malformed", "what was in it")

    drop_at_60_hz(200)
    now[0] += 61
    drop_at_60_hz(1)
    assert counted_lines(caplog.records) == [
        f"dropped from 10.0.0.2:9000: malformed (what was in it); {count} so far "
        "(the next ones are only counted)"
        for count in (1, 12_001)
    ]
    assert counter.dropped == {"malformed": 12_060}
    assert counter.played == counter.heard == 0


def test_drops_of_other_reasons_keys_and_hosts_are_logged_each_and_ports_are_not(caplog):
    counter = DropCounter(lambda: 0.0)
    senders = (
        *(("10.0.0.2", 9000), ("10.0.0.2", 9001), "10.0.0.2:9002", ("fe80::2", 9000)),
        *("LinnStrument", "tuio:10.0.0.2/table"),
    )
    for sender in senders:
        counter.sender = sender
        for reason in ("unknown address", "wrong arguments"):
            for key in ("/a", "/b"):
                counter.drop(reason, key=key)
    lines = counted_lines(caplog.records)
    assert len(lines) == 16
    assert lines[0].startswith("dropped from 10.0.0.2:9000: unknown address; 1 so far")
    assert lines[4].startswith("dropped from [fe80::2]:9000: unknown address; 7 so far")
    assert lines[8].startswith("dropped from LinnStrument: unknown address; 9 so far")


def test_warnings_of_a_flood_are_bounded_and_another_host_is_still_named(caplog):
    now = [0.0]
    counter = DropCounter(lambda: now[0])
    for step in range(5000):
        now[0] = step / 1000
        counter.sender = ("10.0.0.2", 9000)
        counter.drop("unknown address", key=f"/{step}")
    assert len(caplog.records) <= 32
    now[0] += 100
    for step in range(5000):
        counter.sender = (f"2001:db8::{step:x}", 9000)
        counter.drop("unknown address", key="/a")
    assert len(caplog.records) <= 33
    counter.sender = ("10.0.0.3", 9000)
    counter.drop("unknown address", key="/a")
    assert "from 10.0.0.3:9000" in caplog.records[-1].message
    for step in range(5000):
        counter.sender = (f"10.1.{step // 250}.{step % 250}", 9000)
        counter.drop("malformed")
    assert len(caplog.records) < 100
    assert len(counter._hosts) <= 64


def test_p99_of_lateness_is_of_the_last_1024_touches():
    late = Lateness()
    assert late.p99 == 0.0
    late.add(0.5)
    assert late.p99 == 0.5
    for i in range(200):
        late.add(i / 1000)
    assert late.p99 == pytest.approx(0.198)
    for _ in range(1024):
        late.add(0.001)
    assert late.p99 == 0.001


def test_lateness_of_a_take_is_of_its_own_touches():
    late = Lateness()
    assert late.take() is None
    for ms in range(1, 101):
        late.add(ms / 1000)
    assert late.take() == {"p50": 51.0, "p99": 100.0, "max": 100.0}
    late.add(0.002)
    assert late.take() == {"p50": 2.0, "p99": 2.0, "max": 2.0}
    assert late.worst == 0.1
    assert late.take() is None


def test_lateness_of_a_long_take_has_the_maximum_of_all_touches():
    late = Lateness()
    late.add(5.0)
    for _ in range(3000):
        late.add(0.001)
    assert late.take() == {"p50": 1.0, "p99": 1.0, "max": 5000.0}
