"""Inbox: fair order, bounds, and packets in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from robojam.engine.inbox import MAX_PACKETS, MAX_SENDERS, PIECE, Inbox, Packet
from robojam.wire.native import Input
from robojam.wire.osc import Dropped


def packet(count: int = 1, name: str = "a") -> Packet:
    requests: Iterator[tuple[str, Input]] = ((name, Dropped("x")) for _ in range(count))
    return Packet(requests, ("10.0.0.7", 1), 0.0)


def handled(inbox: Inbox, at_once: int = PIECE) -> list[str]:
    """Handle all that waits; return the sources in order."""
    sources: list[str] = []

    def handle(item: Packet) -> bool:
        for _ in range(at_once):
            following = next(item.requests, None)
            if following is None:
                return True
            sources.append(following[0])
        return False

    while inbox:
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


def test_senders_and_their_packets_are_bounded_and_this_machine_has_its_own_places():
    inbox = Inbox()
    assert all(inbox.add("a", packet(), is_here=False) for _ in range(MAX_PACKETS))
    assert not inbox.add("a", packet(), is_here=False)
    for host in range(MAX_SENDERS - 1):
        assert inbox.add(host, packet(), is_here=False)
    assert not inbox.add("newcomer", packet(), is_here=False)
    assert inbox.add("window", packet(), is_here=True)
    assert len(handled(inbox)) == MAX_PACKETS + MAX_SENDERS
    assert inbox.add("newcomer", packet(), is_here=False)


def test_packet_whose_handling_fails_is_gone_and_its_sender_is_not():
    inbox = Inbox()
    inbox.add("a", packet(1, "first"), is_here=True)
    inbox.add("a", packet(1, "second"), is_here=True)

    def fail(_: Packet) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inbox.handle(fail)
    assert handled(inbox) == ["second"]
