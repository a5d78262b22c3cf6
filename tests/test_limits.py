"""Limits: rates, and tables with a bound and an expiry."""

import math
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.limits import (
    ExpiringTable,
    HostLimiter,
    RateLimiter,
    host_of,
    network_of,
    of_largest,
    source_network,
)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::6", "2001:db8:1:3::/64"),
        ("fd00::1", "fd00::/64"),
        ("fe80::1%eth0", "fe80::%eth0/64"),
        ("fe80::2%eth1", "fe80::%eth1/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("::ffff:a00:7", "10.0.0.7"),
        ("midi:Seaboard", "midi:Seaboard"),
        ("", ""),
    ],
)
def test_host_counts_as_its_address_of_ipv4_and_its_64_bits_of_ipv6(host, network):
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("source", "host", "network"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::%eth0/64"),
        ("tuio:10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("tuio:10.0.0.1/a/b", "10.0.0.1", "10.0.0.1"),
        ("tuio:fd00::1/name", "fd00::1", "fd00::/64"),
        ("tuio:10.0.0.1/(2)", "10.0.0.1", "10.0.0.1"),
        ("web:10.0.0.1/3", "10.0.0.1", "10.0.0.1"),
        ("web:fd00::1/3", "fd00::1", "fd00::/64"),
        ("midi:Seaboard", None, ""),
    ],
)
def test_source_names_its_host_and_network(source, host, network):
    assert (host_of(source), source_network(source)) == (host, network)


def test_host_limiter_counts_all_addresses_of_a_network_of_ipv6_as_one_host():
    limiter = HostLimiter(10, 5, 100)
    taken = [limiter.take(f"2001:db8::{i:x}", 1.0) for i in range(1000)]
    assert taken == [True] * 5 + [False] * 995
    assert len(limiter) == 1
    assert limiter.take("2001:db8:0:1::1", 1.0)
    limiter.charge("2001:db8:0:1::2", 1.0, 9)
    assert not limiter.take("2001:db8:0:1::3", 1.4)


def test_table_with_owners_removes_an_entry_of_the_one_that_has_most():
    left = []
    table = ExpiringTable[tuple[str, int], int](
        4, on_leave=lambda key, _: left.append(key), owner_of=lambda key: key[0]
    )
    for key in (("a", 1), ("b", 1), ("b", 2), ("a", 2)):
        table.put(key, 0)
    assert table.use(("a", 1)) == 0
    table.put(("b", 3), 0)
    assert left == [("b", 1)]  # of b, the least recently used
    table.put(("b", 4), 0)
    table.put(("c", 1), 0)
    assert left[1:] == [("b", 2), ("a", 2)]  # a and b had two each
    assert table.pop(("b", 3)) == 0
    table.clear()
    for i in range(9):
        table.put(("d", i), 0)
    assert left[3:] == [("d", i) for i in range(5)]


def test_table_with_owners_counts_what_expires_no_more():
    left = []
    table = ExpiringTable[str, int](
        3, 10.0, on_leave=lambda key, _: left.append(key), owner_of=lambda key: key[0]
    )
    for key, now in (("a1", 0.0), ("a2", 0.0), ("b1", 5.0), ("b2", 11.0), ("a3", 12.0)):
        table.put(key, 0, now)
    table.put("c1", 0, 12.0)
    assert left == ["a1", "a2", "b1"]


def test_rate_limiter_allows_a_burst_and_then_its_rate():
    limiter = RateLimiter(10, 3)
    assert [limiter.take(5.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert sum(limiter.take(5.0 + i / 100) for i in range(1, 101)) == 10


def test_rate_limiter_counts_what_a_request_costs_and_nothing_for_a_refused_one():
    limiter = RateLimiter(100, 100)
    assert limiter.take(0.0, 90)
    assert not limiter.take(0.0, 11)
    assert limiter.take(0.0, 10)
    assert not limiter.take(0.5, 51)
    assert limiter.take(0.5, 50)


def test_rate_limiter_gives_nothing_for_an_instant_before_the_last_one():
    limiter = RateLimiter(1, 2)
    assert limiter.take(10.0)
    assert limiter.take(9.0)
    assert not limiter.take(0.0)
    assert not limiter.take(10.9)
    assert limiter.take(11.0)


def test_table_removes_the_least_recently_used_where_there_is_no_room_and_says_so():
    left = []
    table = ExpiringTable[str, int](2, on_leave=lambda *entry: left.append(entry))
    for key, value in (("a", 1), ("b", 2)):
        table.put(key, value)
    assert table.use("a") == 1
    assert table.get("b") == 2  # this is no use
    table.put("c", 3)
    assert (left, list(table), list(table.items())) == (
        [("b", 2)],
        ["a", "c"],
        [("a", 1), ("c", 3)],
    )
    table.put("a", 4)
    assert (left, list(table), "b" in table) == ([("b", 2)], ["c", "a"], False)
    assert table.pop("c") == 3
    assert table.pop("c") is None
    assert left == [("b", 2)]


def test_table_forgets_what_has_not_been_used_for_its_life():
    left = []
    table = ExpiringTable[str, int](9, 10.0, on_leave=lambda *entry: left.append(entry))
    table.put("a", 1, 0.0)
    table.put("b", 2, 4.0)
    assert table.expire(9.0) == 1.0
    assert table.use("a", 9.5) == 1
    assert table.expire(14.0) == 5.5  # b expires at 14
    assert (left, list(table)) == ([("b", 2)], ["a"])
    assert table.use("a", 19.5) is None
    assert (left, len(table), table.expire(20.0)) == ([("b", 2), ("a", 1)], 0, math.inf)


@given(st.lists(st.tuples(st.sampled_from("puxe"), st.integers(0, 6), st.floats(0, 3))))
def test_table_is_a_bounded_dictionary_in_the_order_of_use(operations):
    table, model, now = ExpiringTable[int, float](4, 5.0), OrderedDict(), 0.0
    for what, key, wait in operations:
        now += wait
        if what != "x":
            model = OrderedDict((k, v) for k, v in model.items() if v[1] + 5.0 > now)
        if what == "p":
            table.put(key, now, now)
            model[key] = now, now
            model.move_to_end(key)
            while len(model) > 4:
                model.popitem(last=False)
        elif what == "u":
            expected = model.get(key)
            assert table.use(key, now) == (expected and expected[0])
            if expected:
                model[key] = expected[0], now
                model.move_to_end(key)
        elif what == "x":
            expected = model.pop(key, None)
            assert table.pop(key) == (expected and expected[0])
        else:
            table.expire(now)
        assert list(table) == list(model)


def test_each_host_has_a_rate_of_its_own_and_all_of_them_one_together():
    limiter = HostLimiter(1, 2, 100)
    assert [limiter.take("10.0.0.1", 0.0) for _ in range(3)] == [True, True, False]
    assert limiter.take("10.0.0.2", 0.0)
    together = HostLimiter(1, 2, 100, of_all=RateLimiter(1, 5))
    assert sum(together.take(f"10.0.0.{i}", 0.0) for i in range(100)) == 5


def test_hosts_of_a_limiter_are_bounded_and_forgotten_when_their_bucket_is_full_again():
    limiter = HostLimiter(1, 2, 100)
    for i in range(10_000):
        limiter.take(f"10.0.{i // 256}.{i % 256}", 0.0)
    assert len(limiter) == 100
    assert not limiter.take("10.0.39.15", 0.5, 1.6)  # it is known: 1.5 are left
    limiter.take("10.0.0.1", 2.5)
    assert len(limiter) == 1


def test_owner_of_most_entries_gives_up_a_place():
    entries = [(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "b")]
    assert of_largest(entries) == [1, 2, 3, 5]
    assert of_largest([]) == []
