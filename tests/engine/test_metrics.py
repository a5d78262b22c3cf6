"""Metrics: counts of drops with their warnings, and lateness."""

import pytest

from robojam.engine.metrics import DropCounter, Lateness


def test_drops_of_one_reason_are_counted_and_logged_once_a_minute(caplog):
    now = [0.0]
    counter = DropCounter(lambda: now[0])
    for step in range(12_100):
        now[0] = step / 100
        counter.drop("malformed" if step % 2 else "nested", "what was in it", "10.0.0.2:9000")
    assert counter.dropped == {"nested": 6050, "malformed": 6050}
    begin = "dropped from 10.0.0.2:9000 (what was in it)"
    assert [r.message for r in caplog.records] == [
        f"{begin}: {reason}; {count} so far, told once a minute"
        for count in (1, 3001, 6001)
        for reason in ("nested", "malformed")
    ]
    assert counter.played == counter.heard == 0


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
