"""The socket that hears and speaks."""

import socket

import pytest
from support.engine import PATIENCE

from robojam.ports.udp import Endpoint, PortError, resolve


@pytest.fixture
def endpoint():
    made = Endpoint("127.0.0.1", 0)
    yield made
    made.close()


@pytest.fixture
def peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(PATIENCE)
        yield one


def test_it_sends_and_receives_and_never_blocks(endpoint, peer):
    assert endpoint.receive() is None
    peer.sendto(b"hello", endpoint.address)
    assert endpoint.receive() == (b"hello", peer.getsockname())
    assert endpoint.receive() is None
    endpoint.send(b"hi", peer.getsockname())
    assert peer.recvfrom(10) == (b"hi", endpoint.address)
    assert endpoint.unsent == 0


def test_a_packet_may_be_empty_and_as_large_as_they_come(endpoint, peer):
    for packet in (b"", b"x" * 65507):
        peer.sendto(packet, endpoint.address)
        assert endpoint.receive() == (packet, peer.getsockname())


def test_where_nobody_listens_no_harm_is_done(endpoint, peer):
    nobody = ("127.0.0.1", 9)
    for _ in range(10):
        endpoint.send(b"hi", nobody)
        endpoint.send(b"hi", ("255.255.255.255", 9))  # it may not: that is a broadcast
    assert endpoint.unsent >= 10
    peer.sendto(b"hello", endpoint.address)
    assert endpoint.receive() == (b"hello", peer.getsockname())


def test_its_own_packets_are_known(endpoint):
    port = endpoint.address[1]
    assert endpoint.is_own(("127.0.0.1", port))
    assert not endpoint.is_own(("127.0.0.1", port - 1))
    assert not endpoint.is_own(("127.0.0.2", port))
    everywhere = Endpoint("0.0.0.0", 0)
    port = everywhere.address[1]
    assert everywhere.is_own(("127.0.0.1", port))
    assert not everywhere.is_own(("127.0.0.1", port - 1))
    assert not everywhere.is_own(("203.0.113.9", port))  # somebody else's machine
    everywhere.close()


def test_a_port_in_use_is_told_with_what_to_do(endpoint):
    host, port = endpoint.address
    with pytest.raises(
        PortError, match=f"port {port} of {host} is in use.*--osc-in {host}:PORT"
    ):
        Endpoint(host, port)


def test_an_address_that_is_not_of_this_machine_is_told():
    with pytest.raises(PortError, match=r"cannot listen on 203\.0\.113\.9:0: "):
        Endpoint("203.0.113.9", 0)


def test_a_receiver_is_looked_up_once_and_a_wrong_one_told():
    assert resolve("localhost", 5006) == ("127.0.0.1", 5006)
    with pytest.raises(PortError, match=r"there is no host no\.such\.invalid to send to"):
        resolve("no.such.invalid", 5006)
