"""UDP endpoint and look-up of receivers."""

import socket

import pytest
from support.engine import PATIENCE
from support.network import ipv6

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
        endpoint.send(b"hi", ("255.255.255.255", 9))  # no destination: not permitted
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


def test_unknown_host_or_interface_is_an_error():
    with pytest.raises(PortError, match=r"there is no host no\.such\.invalid to send to"):
        resolve("no.such.invalid", 5006)
    with pytest.raises(PortError, match=r"there is no network interface nosuch; there are lo"):
        resolve("fe80::1%nosuch", 5006)


def test_localhost_has_two_addresses_and_an_address_itself():
    assert resolve("localhost", 5006) == (("127.0.0.1", 5006), ("::1", 5006))
    assert resolve("2001:db8::7", 5006) == (("2001:db8::7", 5006),)
    assert resolve("192.0.2.1", 5006) == (("192.0.2.1", 5006),)


def test_name_with_addresses_of_both_families_has_those_of_ipv4_first(monkeypatch):
    def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
        v6 = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::7", 9, 0, 0))
        return [v6, v6, (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 9))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert resolve("studio.local", 9) == (("192.0.2.7", 9), ("2001:db8::7", 9))


@ipv6
def test_ipv6_endpoint_sends_and_receives():
    here, there = Endpoint("::1", 0), Endpoint("::1", 0)
    assert here.send(b"hi", there.address)
    assert there.receive() == (b"hi", here.address)
    assert here.address[0] == "::1"
    assert here.is_own(here.address)
    here.close()
    there.close()


@ipv6
def test_ipv6_endpoint_of_all_addresses_leaves_the_port_of_ipv4_free():
    six = Endpoint("::", 0)
    four = Endpoint("0.0.0.0", six.address[1])
    assert six.is_own(("::1", six.address[1]))
    four.close()
    six.close()
