"""What the engine counts, how late it is, and when it warns."""

import pytest

from robojam.status import Lateness, Tally


def test_what_is_dropped_is_counted_and_told_once_a_second_at_most(caplog):
    now = [0.0]
    tally = Tally(lambda: now[0])
    for step in range(300):
        now[0] = step / 100
        tally.drop("malformed" if step % 2 else "nested", "what was in it")
    assert tally.dropped == {"nested": 150, "malformed": 150}
    assert [r.message for r in caplog.records] == [
        "dropped 1 so far (1 nested); what was in it",
        "dropped 101 so far (51 nested, 50 malformed); what was in it",
        "dropped 201 so far (101 nested, 100 malformed); what was in it",
    ]
    assert tally.played == tally.heard == 0


def test_lateness_is_that_which_99_of_100_stay_below_of_the_last_thousand():
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
