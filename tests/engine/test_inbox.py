"""Inbox: fair order, bounds, and packets in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from robojam.engine.inbox import MAX_BYTES, MAX_PACKETS, MAX_SENDERS, PIECE, Inbox, Packet
from robojam.wire.native import Input
from robojam.wire.osc import Dropped


def packet(count: int = 1, name: str = "a", size: int = 0, arrival: float = 0.0) -> Packet:
    requests: Iterator[tuple[str, Input]] = ((name, Dropped("x")) for _ in range(count))
    return Packet(lambda: requests, ("10.0.0.7", 1), arrival, size)


def handled(inbox: Inbox, at_once: int = PIECE) -> list[str]:
    """Handle all that waits; return the sources in order."""
    sources: list[str] = []

    def handle(item: Packet) -> bool:
        requests = item.read()
        for _ in range(at_once):
            following = next(requests, None)
            if following is None:
                return True
            sources.append(following[0])
        return False

    while inbox.waiting:
        inbox.handle(handle)
    return sources


def test_long_packet_delays_no_other_sender():
    inbox = Inbox()
    inbox.add("flood", packet(3 * PIECE, "flood"), is_here=False)
    inbox.add("player", packet(1, "player"), is_here=False)
    assert handled(inbox) == ["flood"] * PIECE + ["player"] + ["flood"] * (2 * PIECE)


def test_packets_of_one_sender_stay_in_order():
    inbox = Inbox()
    for name in "abc":
        inbox.add("one", packet(PIECE + 1, name), is_here=True)
    assert handled(inbox) == [name for name in "abc" for _ in range(PIECE + 1)]


def test_this_machine_has_every_second_turn():
    inbox = Inbox()
    for host in range(MAX_SENDERS):
        inbox.add(host, packet(1, "far"), is_here=False)
    for port in range(3):
        inbox.add(port, packet(1, "here"), is_here=True)
    assert handled(inbox)[:6].count("here") == 3


def test_packets_of_a_sender_are_bounded_in_number_and_bytes():
    inbox = Inbox()
    assert all(inbox.add("a", packet(), is_here=False) for _ in range(MAX_PACKETS))
    assert not inbox.add("a", packet(), is_here=False)
    large = [inbox.add("b", packet(size=32_000), is_here=False) for _ in range(5)]
    assert large == [True] * 4 + [False]
    assert inbox.add("a", packet(), is_here=True)  # this machine has its own places
    assert len(handled(inbox)) == MAX_PACKETS + 5
    assert inbox.add("b", packet(size=32_000), is_here=False)


@pytest.mark.parametrize("is_here", [True, False])
def test_flood_from_many_senders_takes_no_place_of_one_that_is_known(is_here):
    inbox = Inbox()
    inbox.add("player", packet(), is_here=is_here)
    handled(inbox)
    added = [inbox.add(i, packet(1, "flood"), is_here=is_here) for i in range(2000)]
    assert added.count(True) == MAX_SENDERS - 1 + MAX_PACKETS  # further ones share a queue
    assert inbox.add("player", packet(1, "player"), is_here=is_here)
    assert "player" in handled(inbox)[: MAX_SENDERS + 1]


def test_senders_who_are_silent_give_up_their_places():
    inbox = Inbox()
    for i in range(MAX_SENDERS):
        inbox.add(i, packet(), is_here=True)
    for name in ("a", "b"):
        full = [inbox.add(name, packet(arrival=60.0), is_here=True) for _ in range(600)]
        assert full.count(True) == MAX_PACKETS  # each has a queue of its own


def test_packet_whose_handling_fails_is_gone_and_its_sender_is_not():
    inbox = Inbox()
    inbox.add("a", packet(1, "first"), is_here=True)
    inbox.add("a", packet(1, "second"), is_here=True)

    def fail(_: Packet) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inbox.handle(fail)
    assert handled(inbox) == ["second"]


def test_packet_that_no_queue_has_room_for_leaves_nothing_behind():
    inbox = Inbox()
    large = packet()
    large.size = MAX_BYTES + 1
    assert not inbox.add("a", large, is_here=True)
    assert not inbox.waiting
    assert inbox.add("b", packet(1, "b"), is_here=True)
    assert handled(inbox) == ["b"]
