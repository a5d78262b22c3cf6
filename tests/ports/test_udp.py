"""UDP endpoint and look-up of receivers."""

import socket

import pytest
from support.engine import PATIENCE

from robojam.ports.udp import Endpoint, PortError, resolve


@pytest.fixture
def endpoint():
    endpoint = Endpoint("127.0.0.1", 0)
    yield endpoint
    endpoint.close()


@pytest.fixture
def peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE)
        yield peer


def test_endpoint_sends_and_receives_without_blocking(endpoint, peer):
    assert endpoint.receive() is None
    peer.sendto(b"hello", endpoint.address)
    assert endpoint.receive() == (b"hello", peer.getsockname())
    assert endpoint.receive() is None
    endpoint.send(b"hi", peer.getsockname())
    assert peer.recvfrom(10) == (b"hi", endpoint.address)
    assert endpoint.unsent == 0


def test_endpoint_receives_the_smallest_and_largest_packets(endpoint, peer):
    for packet in (b"", b"x" * 65507):
        peer.sendto(packet, endpoint.address)
        assert endpoint.receive() == (packet, peer.getsockname())


def test_endpoint_survives_receivers_that_do_not_listen(endpoint, peer):
    nobody = ("127.0.0.1", 9)
    for _ in range(10):
        endpoint.send(b"hi", nobody)
        endpoint.send(b"hi", ("255.255.255.255", 9))  # refused: broadcasts are not enabled
    assert endpoint.unsent >= 10
    peer.sendto(b"hello", endpoint.address)
    assert endpoint.receive() == (b"hello", peer.getsockname())


def test_endpoint_knows_its_own_address(endpoint):
    port = endpoint.address[1]
    assert endpoint.is_own(("127.0.0.1", port))
    assert not endpoint.is_own(("127.0.0.1", port - 1))
    assert not endpoint.is_own(("127.0.0.2", port))
    everywhere = Endpoint("0.0.0.0", 0)
    port = everywhere.address[1]
    assert everywhere.is_own(("127.0.0.1", port))
    assert not everywhere.is_own(("127.0.0.1", port - 1))
    assert not everywhere.is_own(("203.0.113.9", port))  # another machine
    everywhere.close()


def test_port_in_use_is_an_error_that_names_the_option(endpoint):
    host, port = endpoint.address
    with pytest.raises(
        PortError, match=f"port {port} of {host} is in use.*--osc-in {host}:PORT"
    ):
        Endpoint(host, port)


def test_address_of_another_machine_is_an_error():
    with pytest.raises(PortError, match=r"cannot listen on 203\.0\.113\.9:0: "):
        Endpoint("203.0.113.9", 0)


def test_unknown_host_is_an_error():
    assert resolve("localhost", 5006) == ("127.0.0.1", 5006)
    with pytest.raises(PortError, match=r"there is no host no\.such\.invalid to send to"):
        resolve("no.such.invalid", 5006)
