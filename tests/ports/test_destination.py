"""Destinations of packets: errors, and when they are over."""

from __future__ import annotations

import errno
import logging
import select
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from support.engine import PATIENCE
from support.network import ipv6, second_host

from robojam.ports import destination as module
from robojam.ports.destination import Destination
from robojam.ports.udp import Address, PortError

#: A port at which nobody listens: that of discard.
NOBODY = ("127.0.0.1", 9)


class Clock:
    """Clock that the test sets, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeSocket:
    """Connected socket whose sends fail with the errors in a list, in order."""

    def __init__(self, errors: list[int]) -> None:
        self.errors, self.sent, self.closed = errors, 0, False

    def send(self, packet: bytes) -> int:
        if self.errors and (number := self.errors.pop(0)):
            raise OSError(number, errno.errorcode[number])
        self.sent += 1
        return len(packet)

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 40000)

    def close(self) -> None:
        self.closed = True


Make = Callable[..., tuple[Destination, list[int], Clock]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a destination whose socket fails with given errors."""

    def make(*errors: int, optional: bool = False) -> tuple[Destination, list[int], Clock]:
        waiting, clock = list(errors), Clock()
        monkeypatch.setattr(module, "_connected", lambda *_: FakeSocket(waiting))
        made = Destination([("192.0.2.1", 9)], name="phone:9", optional=optional, clock=clock)
        return made, waiting, clock

    return make


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Return the list to which the messages that are logged are added."""
    messages: list[str] = []
    handler, log = logging.Handler(), logging.getLogger("robojam")
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield messages
    log.removeHandler(handler)
    log.setLevel(level)


def test_answer_to_an_earlier_packet_is_named_once_and_the_packet_is_sent(failing, logged):
    destination, errors, _ = failing(0, errno.ECONNREFUSED, 0, errno.ECONNREFUSED, 0)
    assert [destination.send(b"x") for _ in range(3)] == [True] * 3
    assert not errors
    assert (destination.sent, destination.unsent) == (3, 0)
    assert destination.error == "nobody listens there"
    assert logged == ["cannot send to phone:9: nobody listens there"]


def test_error_is_over_when_no_answer_has_come_for_five_seconds_of_sending(failing, logged):
    destination, errors, clock = failing(errno.EHOSTUNREACH)
    destination.send(b"x")
    clock.now += 60  # nothing was sent meanwhile: nothing is known
    destination.send(b"x")
    assert destination.error == "the host does not answer"
    clock.now += 3
    errors.append(errno.EHOSTUNREACH)
    destination.send(b"x")
    clock.now += 3
    destination.send(b"x")
    assert destination.error == "the host does not answer"
    clock.now += 5
    destination.send(b"x")
    assert destination.error is None
    assert logged == [
        "cannot send to phone:9: the host does not answer",
        "sending to phone:9 works again",
    ]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENETUNREACH, "no network leads there"),
        (errno.ENETDOWN, "the network is down"),
        (errno.EACCES, "the system forbids it; is it a firewall?"),
        (errno.EPERM, "the system forbids it; is it a firewall?"),
        (errno.EMSGSIZE, "the packet is too long"),
        (errno.EIO, "EIO"),
    ],
)
def test_packet_that_cannot_leave_is_unsent_until_the_first_that_can(
    number, reason, failing, logged
):
    destination, _, _ = failing(*[number] * 4)  # each packet is tried twice
    assert [destination.send(b"x") for _ in range(2)] == [False, False]
    assert destination.status() == {
        "address": "phone:9",
        "dialect": "native",
        "sent": 0,
        "unsent": 2,
        "error": reason,
    }
    assert destination.send(b"x")
    assert destination.error is None
    assert logged == [f"cannot send to phone:9: {reason}", "sending to phone:9 works again"]


def test_packet_that_leaves_from_a_new_socket_is_no_error(failing, logged):
    destination, _, _ = failing(errno.EINVAL)
    assert destination.send(b"x")
    assert (destination.sent, destination.unsent, destination.error) == (1, 0, None)
    assert logged == []


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS])
def test_full_buffer_is_counted_and_is_no_error(number, failing, logged):
    destination, _, _ = failing(number)
    assert not destination.send(b"x")
    assert (destination.unsent, destination.error, logged) == (1, None, [])


def test_nobody_at_an_optional_destination_is_a_note_and_no_error(failing, logged):
    destination, _, clock = failing(errno.ECONNREFUSED, 0, *[errno.ENETDOWN] * 2, optional=True)
    destination.send(b"x")
    status = destination.status()
    assert (status["error"], status["note"]) == (None, "nobody listens there")
    assert logged == []
    destination.send(b"x")  # another error is one
    assert destination.error == "the network is down"
    destination.send(b"x")
    clock.now += 5
    destination.send(b"x")
    assert "note" not in destination.status()


class Network:
    """Network of a test: hosts that are reached, and what the others answer.

    An answer comes with the next packet; "none" stands for a host that no route leads to.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: dict[str, str] = {}
        self.received: list[str] = []
        monkeypatch.setattr(module, "_connected", self.connect)

    def connect(self, address: Address, *_: int) -> FakeSocket:
        host = address[0]
        if self.state[host] == "none":
            raise OSError(errno.ENETUNREACH, "unreachable")
        made, pending = FakeSocket([]), [False]

        def send(packet: bytes) -> int:
            if pending[0]:
                pending[0] = False
                raise OSError(errno.ECONNREFUSED, "refused")
            pending[0] = self.state[host] == "refused"
            if self.state[host] == "here":
                self.received.append(host)
            return len(packet)

        made.send = send  # type: ignore[method-assign]
        return made


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


@pytest.mark.parametrize("first", ["refused", "none"])
def test_name_with_two_addresses_is_sent_to_at_the_one_that_answers(first, network, logged):
    network.state = {"192.0.2.7": first, "2001:db8::7": "here"}
    made = Destination([("192.0.2.7", 9), ("2001:db8::7", 9)], name="studio.local:9")
    for _ in range(4):
        assert made.send(b"x")
    assert set(network.received[-3:]) == {"2001:db8::7"}
    assert (made.error, logged) == (None, [])
    network.state["2001:db8::7"] = "none"
    network.state["192.0.2.7"] = "none"
    made._disconnect()
    assert not made.send(b"x")
    assert not made.send(b"x")
    assert made.error == "no network leads there"


def test_name_whose_host_has_another_address_is_looked_up_again(network, logged, monkeypatch):
    threads: list[Callable[[], None]] = []

    class WaitingThread:
        def __init__(self, target: Callable[[], None], **_: object) -> None:
            self.start = lambda: threads.append(target)

    def look_up() -> list[Address]:
        if not found:
            raise PortError("there is no host ipad.local to send to")
        return found

    monkeypatch.setattr(module, "threading", SimpleNamespace(Thread=WaitingThread))
    network.state = {"192.0.2.7": "refused", "192.0.2.8": "here"}
    clock, found = Clock(), list[Address]()
    made = Destination([("192.0.2.7", 9)], name="ipad.local:9", look_up=look_up, clock=clock)
    for _ in range(3):
        made.send(b"x")
    assert made.error == "nobody listens there"
    clock.now += 20
    made.send(b"x")
    assert len(threads) == 1  # the first has not ended
    threads.pop()()  # it finds nothing
    made.send(b"x")
    threads.pop()()
    for _ in range(3):
        made.send(b"x")
    assert not threads  # ten seconds must pass
    clock.now += 10
    made.send(b"x")
    found.append(("192.0.2.8", 9))
    threads.pop()()
    assert network.received == []
    for _ in range(2):
        assert made.send(b"x")
    assert network.received == ["192.0.2.8"] * 2
    clock.now += 6
    made.send(b"x")
    assert made.error is None
    assert logged[-1] == "sending to ipad.local:9 works again"


def test_name_that_is_not_known_yet_is_looked_up_until_it_is(network, logged, monkeypatch):
    looked_up: list[str] = []

    class AtOnce:
        def __init__(self, target: Callable[[], None], **_: object) -> None:
            self.start = target

    def look_up() -> list[Address]:
        looked_up.append("")
        if len(looked_up) < 3:
            raise PortError("there is no host ipad.local to send to")
        return [("192.0.2.8", 9)]

    monkeypatch.setattr(module, "threading", SimpleNamespace(Thread=AtOnce))
    network.state = {"192.0.2.8": "here"}
    clock = Clock()
    made = Destination([], name="ipad.local:9", look_up=look_up, clock=clock)
    assert made.status()["error"] == "its name is not known"
    assert logged == ["cannot send to ipad.local:9: its name is not known"]
    assert not made.is_own(("127.0.0.1", 40000))
    sent = 0
    for _ in range(100):  # 25 s
        clock.now += 0.25
        sent += made.send(b"x")
    assert len(looked_up) == 3
    assert (sent, made.unsent) == (len(network.received), 100 - sent)
    assert sent > 10
    assert made.error is None
    assert logged[-1] == "sending to ipad.local:9 works again"


def test_socket_is_made_again_at_its_port_after_a_packet_could_not_leave():
    destination = Destination([NOBODY], name="discard")
    (before,) = destination._ports.values()
    destination._disconnect()
    assert destination.send(b"x")
    assert list(destination._ports.values()) == [before]
    assert destination.is_own(("127.0.0.1", before))
    assert not destination.is_own(("127.0.0.1", before + 1))
    assert not destination.is_own(("203.0.113.9", before))  # another machine
    destination.close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows does not say")
def test_system_says_that_nobody_listens(logged):
    destination = Destination([NOBODY], name="discard")
    for _ in range(4):
        assert destination.send(b"x")
    assert logged == ["cannot send to discard: nobody listens there"]
    destination.close()


@ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_the_address_at_which_somebody_listens(host, logged):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as program:
        program.bind((host, 0))
        program.settimeout(PATIENCE)
        port = program.getsockname()[1]
        destination = Destination([("127.0.0.1", port), ("::1", port)], name="localhost")
        for number in range(4):
            assert destination.send(b"%d" % number)
        first = 0 if host == "127.0.0.1" else 1  # the first one found that nobody listens
        assert [program.recv(9) for _ in range(4 - first)] == [b"0", b"1", b"2", b"3"][first:]
        assert (destination.address, destination.error, logged) == ((host, port), None, [])
        destination.close()


@pytest.mark.parametrize("host", ["255.255.255.255", "224.0.0.251", "ff02::fb"])
@pytest.mark.parametrize("absent", [0x10_00_80, 0x10_00_FF])
def test_interface_of_any_index_may_be_gone_when_it_is_sent_by(host, absent, monkeypatch):
    """A machine that has had many networks, as of containers, has high indexes."""
    monkeypatch.setattr(module, "interfaces", lambda: [absent])
    destination = Destination([(host, 9000)], name="everybody")
    assert not destination.send(b"1")
    assert (destination.sent, destination.unsent) == (0, 1)
    destination.close()


def test_group_is_sent_to_by_the_interfaces_that_work_and_by_the_others_when_they_do(
    monkeypatch, logged
):
    clock, present = Clock(), [1, 2]
    waiting: dict[int, list[int]] = {1: [], 2: [0, errno.ENETDOWN], 3: []}
    opened: dict[int, FakeSocket] = {}

    def connect(_: object, index: int, port: int) -> FakeSocket:
        assert port == (40000 if index in opened else 0)
        opened[index] = FakeSocket(waiting[index])
        return opened[index]

    monkeypatch.setattr(module, "_connected", connect)
    monkeypatch.setattr(module, "interfaces", lambda: list(present))
    destination = Destination([("239.1.2.3", 9)], name="group", clock=clock)
    first = dict(opened)
    assert destination.send(b"1")
    assert destination.send(b"2")  # interface 2 is down
    assert first[2].closed
    clock.now += 10
    present.append(3)
    assert destination.send(b"3")
    assert {index: each.sent for index, each in opened.items()} == {1: 3, 2: 1, 3: 1}
    present.remove(1)
    clock.now += 10
    assert destination.send(b"4")
    assert opened[1].closed
    assert (destination.sent, destination.error, logged) == (4, None, [])


def test_second_host_is_reached_by_address_broadcast_and_ipv6():
    with second_host() as host:
        for to, at in (
            (host.address, host.address),
            (host.broadcast, host.broadcast),
            (host.address6, host.address6),
        ):
            with host.socket(at, 9000) as phone:
                destination = Destination([(to, 9000)], name=to)
                assert destination.send(b"hello")
                assert phone.recv(9) == b"hello"
                destination.close()


def test_cut_cable_is_said_and_the_plugged_one_too(logged):
    with second_host() as host, host.socket(port=9000) as phone:
        host.block_elsewhere()
        destination = Destination([(host.address, 9000)], name="phone:9000")
        host.set_link(up=False)
        assert not destination.send(b"lost")
        assert destination.error is not None
        host.set_link(up=True)
        assert destination.send(b"hello")
        assert phone.recv(9) == b"hello"
        assert destination.error is None
        assert len(logged) == 2
        destination.close()


def test_host_that_is_not_there_is_said(logged):
    with second_host() as host:
        destination = Destination([(host.absent, 9000)], name="phone:9000")
        assert destination.send(b"lost")  # the system looks for the host now, for 3 s
        watched = select.poll()
        (waiting,) = destination._sockets.values()
        watched.register(waiting, 0)  # its errors
        assert watched.poll(1000 * PATIENCE)
        destination.send(b"lost too")
        assert logged == ["cannot send to phone:9000: the host does not answer"]
        destination.close()


def test_program_that_is_not_there_on_a_second_host_is_said(logged):
    with second_host() as host, host.socket(port=9000) as phone:
        destination = Destination([(host.address, 9001)], name="phone:9001")
        reachable = Destination([(host.address, 9000)], name="phone:9000")
        destination.send(b"nobody")
        reachable.send(b"after")  # the answer to the first comes before this one arrives
        assert phone.recv(9) == b"after"
        destination.send(b"nobody")
        assert logged == ["cannot send to phone:9001: nobody listens there"]
        destination.close()
        reachable.close()
