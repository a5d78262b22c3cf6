"""Listener of an engine: families, groups, answers, and packets that are its own."""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import pytest
from pythonosc.udp_client import SimpleUDPClient
from support.engine import PATIENCE
from support.network import ipv6, second_host

from robojam.config.addresses import canonical_host
from robojam.ports.listener import Listener
from robojam.ports.udp import Address, PortError, sockaddr
from robojam.wire import osc

GROUP, GROUP6 = "239.77.1.2", "ff02::77"


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Make listeners, which are closed after the test."""
    made: list[Listener] = []

    def listen(host: str, port: int = 0) -> Listener:
        made.append(Listener(host, port))
        return made[-1]

    yield listen
    for each in made:
        each.close()


def client(host: str) -> socket.socket:
    """Return a socket of this machine for packets to a host."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE)
    return made


def receive(listener: Listener) -> tuple[bytes, Address]:
    """Wait for a packet."""
    assert select.select(listener.filenos(), [], [], PATIENCE)[0]
    received = listener.receive()
    assert received is not None
    return received


@ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::"])
def test_listener_hears_both_families_and_answers_a_connected_socket(host, listen):
    listener = listen(host)
    for to in ("127.0.0.1", "::1"):
        with client(to) as asking:
            asking.connect((to, listener.address[1]))
            asking.send(b"hello")
            packet, sender = receive(listener)
            assert (packet, sender) == (b"hello", asking.getsockname()[:2])
            assert listener.send(b"hi", sender)
            assert asking.recv(9) == b"hi"
    assert listener.receive() is None


@ipv6
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_python_osc_is_heard_whatever_localhost_means_to_it(host, listen):
    listener = listen("127.0.0.1")
    SimpleUDPClient(host, listener.address[1]).send_message("/touch", [0.5, 0.25])
    assert receive(listener)[0] == osc.encode("/touch", "ff", 0.5, 0.25)


@ipv6
def test_taken_port_of_the_other_loopback_address_is_gone_without(listen):
    with client("::1") as other:
        other.bind(("::1", 0))
        listener = listen("127.0.0.1", other.getsockname()[1])
    assert [each.address[0] for each in listener.sockets] == ["127.0.0.1"]
    assert not listener.send(b"hi", ("::1", 9))
    assert listener.status()["unsent"] == 1


@ipv6
def test_taken_port_of_ipv4_is_refused_where_both_are_asked_for(listen):
    with client("127.0.0.1") as other:
        other.bind(("0.0.0.0", 0))
        with pytest.raises(PortError, match=r"of 0\.0\.0\.0 is in use"):
            listen("::", other.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("255.255.255.255", r"0\.0\.0\.0:5999 hears what is sent to it"),
        ("203.0.113.9", r"0\.0\.0\.0:5999 listens at all it has"),
        ("no.such.invalid", r"there is no host no\.such\.invalid to listen at"),
        pytest.param("2001:db8::7", r"\[::\]:5999 listens at all it has", marks=ipv6),
        pytest.param("ff02::77%nosuch", "no network interface nosuch; there are", marks=ipv6),
    ],
)
def test_address_that_cannot_be_listened_at_is_refused_with_what_is_right(host, right, listen):
    with pytest.raises(PortError, match=right):
        listen(host, 5999)


def test_packets_of_all_own_sockets_are_recognised_and_no_others(listen):
    listener, everywhere = listen("127.0.0.1"), listen("0.0.0.0")
    port = everywhere.address[1]
    output = everywhere.open_destination(
        [listener.address], name="here", dialect="native", optional=False
    )
    output.send(b"hello")
    packet, sender = receive(listener)
    assert packet == b"hello"
    assert everywhere.is_own(sender)
    assert everywhere.is_own(("127.0.0.2", sender[1]))  # by another way
    assert not listener.is_own(sender)
    assert everywhere.is_own(("127.0.0.1", port))
    assert not everywhere.is_own(("127.0.0.1", port - 1 if sender[1] != port - 1 else port - 2))
    assert not everywhere.is_own(("203.0.113.9", sender[1]))  # another machine
    output.close()
    assert not everywhere.is_own(sender)
    assert everywhere.destinations == ()


def test_own_programs_reach_a_listener_of_one_address_at_loopback_and_are_here(listen):
    with second_host() as host:
        for address, own in ((host.here, "127.0.0.1"), (host.here6, "::1")):
            listener = listen(address)
            heard_at = [each.address[0] for each in listener.sockets]
            assert heard_at == [canonical_host(address), own]
            with client(own) as asking:
                asking.sendto(b"hello", (own, listener.address[1]))
                _, sender = receive(listener)
            assert listener.is_here(sender[0])
            assert not listener.is_here(host.address)
            assert not listener.is_here(host.address6)
    assert listen("127.0.0.1").is_here("::1")


@pytest.mark.parametrize("everywhere", [False, True])
def test_second_host_and_own_programs_are_answered_each_from_where_they_sent_to(
    listen, everywhere
):
    with second_host() as host:
        for there, here, every in (
            (host.address, host.here, "0.0.0.0"),
            (host.address6, host.here6, "::"),
        ):
            listener = listen(every if everywhere else here)
            port = listener.address[1]
            own = "::1" if ":" in here else "127.0.0.1"
            for asking, to in ((host.socket(there), here), (client(own), own)):
                with asking:
                    asking.connect((to, port))
                    asking.send(b"hello")
                    packet, sender = receive(listener)
                    assert listener.send(packet, sender)
                    assert asking.recv(9) == b"hello"


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_flood_from_beyond_takes_no_room_of_this_machine_s_packets(listen, everywhere):
    listener = listen(everywhere)
    port = listener.address[1]
    with second_host() as host:
        for there, here in ((host.address, host.here), (host.address6, host.here6)):
            if ":" in here and everywhere == "0.0.0.0":
                continue
            with host.socket(there) as flooding:
                for _ in range(200):
                    flooding.sendto(bytes(60_000), (here, port))
        for own in ("127.0.0.1", "::1"):
            with client(own) as window:
                window.sendto(b"window", (own, port))
        received = iter(listener.receive, None)
        assert [packet for packet, _ in received if packet == b"window"] == [b"window"] * 2


def test_port_of_all_addresses_is_shared_with_no_other_program(listen):
    port = listen("0.0.0.0").address[1]
    for host in ("127.0.0.1", "0.0.0.0"):
        with client(host) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, port))


@pytest.mark.skipif(sys.platform != "linux", reason="not known of other systems")
def test_forged_sender_is_never_taken_for_this_machine(listen):
    with second_host() as host:
        for everywhere, here, forged in (
            ("0.0.0.0", host.here, ("127.0.0.1", "127.0.0.9", host.here, host.address)),
            ("::", host.here6, ("::1", host.here6, host.address6)),
        ):
            listener = listen(everywhere)
            received = []
            for sender in forged:
                host.forge(sender, (here, listener.address[1]), b"hello")
            while not received or received[-1] != forged[-1]:  # the last one is real
                packet, (sender, _) = receive(listener)
                assert packet == b"hello"
                assert not listener.is_here(sender)
                received.append(sender)
        assert listen("0.0.0.0").is_here(host.here)  # no other machine can send from it


def test_address_that_is_no_longer_this_machine_s_is_not_here(listen):
    with second_host() as host:
        listener = listen("0.0.0.0")
        listener.advance(0.0)
        assert listener.is_here(host.here) is (sys.platform == "linux")
    assert listener.advance(5.0) == 5.0
    listener.advance(10.0)
    assert not listener.is_here(host.here)


def test_status_has_each_output_and_all_that_was_not_sent(listen):
    listener = listen("127.0.0.1")
    output = listener.open_destination(
        [("127.0.0.1", 9)], name="a.local:9", dialect="tuio", optional=False
    )
    output.unsent = 2
    listener.send(b"x", ("255.255.255.255", 9))
    assert listener.status() == {
        "unsent": 3,
        "outputs": [
            {"address": "a.local:9", "dialect": "tuio", "sent": 0, "unsent": 2, "error": None}
        ],
    }


def test_groups_of_both_families_are_heard_from_a_second_host_and_answered(listen):
    with second_host() as host:
        for group, address in (
            (GROUP, host.address),
            (f"{GROUP6}%{host.interface}", host.address6),
        ):
            listener = listen(group)
            port = listener.address[1]
            with host.socket(address) as phone:
                phone.sendto(b"hello", (group.partition("%")[0], port))
                packet, sender = receive(listener)
                assert packet == b"hello"
                assert listener.send(b"hi", sender)
                assert phone.recv(9) == b"hi"
            with client("127.0.0.1") as window:  # the window of the same machine
                window.sendto(b"window", ("127.0.0.1", port))
                assert receive(listener) == (b"window", ("127.0.0.1", window.getsockname()[1]))
            with client(group) as other:  # another program that listens to the group
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(sockaddr((group, port)))


def test_group_is_heard_on_an_interface_that_comes_later(listen):
    listener = listen(GROUP)
    assert listener.advance(100.0) == 10.0
    assert listen("127.0.0.1").advance(100.0) == float("inf")
    with second_host() as host:  # its interface has just come
        for now, is_heard in ((109.9, False), (110.0, True), (130.0, True)):
            listener.advance(now)
            with host.socket() as sending:
                sending.sendto(b"hello", (GROUP, listener.address[1]))
            assert bool(select.select(listener.filenos(), [], [], 0.2)[0]) == is_heard
            assert (listener.receive() is not None) == is_heard


@pytest.mark.parametrize("to", [GROUP, pytest.param(GROUP6, marks=ipv6), "255.255.255.255"])
def test_group_and_everybody_are_sent_to_by_every_interface(to):
    with second_host() as host, client(to) as joined:
        joined.bind(("", 0))
        if to == GROUP:
            request = socket.inet_aton(GROUP) + socket.inet_aton(host.here)
            joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        elif to == GROUP6:
            index = struct.pack("@I", socket.if_nametoindex(host.interface))
            request = socket.inet_pton(socket.AF_INET6, GROUP6) + index
            joined.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        port = joined.getsockname()[1]
        code = (
            "import sys; from robojam.ports.destination import Destination\n"
            "d = Destination([(sys.argv[1], int(sys.argv[2]))], name='group')\n"
            "sys.exit(not d.send(b'hello'))"
        )
        assert host.run(sys.executable, "-c", code, to, str(port)).returncode == 0
        assert joined.recv(9) == b"hello"
