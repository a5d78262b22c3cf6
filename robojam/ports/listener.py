"""Listener of an engine: the sockets at which it receives, and from which it answers."""

import logging
import math
import socket
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from robojam.config.addresses import is_group, is_loopback, is_wildcard
from robojam.ports.destination import Destination
from robojam.ports.udp import Address, Endpoint, PortError, is_local, resolve

log = logging.getLogger("robojam")

#: Attempts to find a port that is free in both families.
_ATTEMPTS: Final = 10
#: Seconds between looks for interfaces on which a group is to be joined, and after which this
#: machine may have other addresses.
_LOOK: Final = 10.0
#: Whether the system drops what comes from another machine with an IPv4 address of this one as
#: its sender. Linux does so, but not for IPv6; every system does so for loopback addresses.
_DROPS_FORGED: Final = sys.platform == "linux"
#: Most hosts of which it is remembered whether they are this machine.
_MAX_HOSTS: Final = 256


class Listener:
    """Sockets of an engine, at one port: one for each family that it listens in.

    127.0.0.1, localhost and 0.0.0.0 are listened at together with ::1, if there is one:
    localhost is either to programs on this machine. :: is listened at together with 0.0.0.0,
    and another address, or a multicast group, with 127.0.0.1 or ::1, for the own window. What
    comes to 127.0.0.1 and ::1 has a socket of its own: no flood from beyond fills its buffer.
    `address` is the address that was asked for, with its port; `destinations` are the receivers
    of what is sent otherwise than in answer.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen at an address or a name; port 0 is a free one. Raises PortError."""
        ((host, _), *_) = resolve(host, port, to="listen at")
        required, optional = [host], []
        if host == "127.0.0.1":
            optional = ["::1"]
        elif is_wildcard(host):
            required = list(dict.fromkeys((host, "0.0.0.0")))
            optional = ["127.0.0.1", "::1"]
        elif is_group(host):
            required.append("127.0.0.1")
            optional = ["::1"]
        elif not is_loopback(host):
            required.append("::1" if ":" in host else "127.0.0.1")
        self.sockets = _open(required, optional, port)
        self.address = self.sockets[0].address
        self._destinations: tuple[Destination, ...] = ()
        self._unanswered = 0
        self._endpoints = self.sockets
        self._is_local = lru_cache(maxsize=_MAX_HOSTS)(is_local)
        self._look_at = math.inf if is_loopback(host) else -math.inf
        if is_group(host):  # not every system sends from a socket of a group
            self._endpoints += (Endpoint("::" if ":" in host else "0.0.0.0", 0),)
        elif not is_wildcard(host) and _is_broadcast(host):
            self.close()
            raise PortError(
                f"{host} reaches everybody in a network, and is no address to listen at: "
                f"0.0.0.0:{port} hears what is sent to it"
            )
        every = ((of_6, here) for of_6 in (False, True) for here in (False, True))
        self._answering = {each: self._find_answering(*each) for each in every}

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The destinations that have not been closed."""
        return tuple(each for each in self._destinations if not each.closed)

    def filenos(self) -> list[int]:
        """Return the sockets' descriptors, for a selector."""
        return [each.fileno() for each in self.sockets]

    def open_destination(
        self,
        addresses: Sequence[Address],
        *,
        name: str,
        dialect: str,
        optional: bool,
        look_up: Callable[[], Sequence[Address]] | None = None,
    ) -> Destination:
        """Return a destination, as `Destination` describes it, that is closed with this.

        May be called on any thread.
        """
        made = Destination(
            addresses, name=name, dialect=dialect, optional=optional, look_up=look_up
        )
        self._destinations = (*self.destinations, made)
        return made

    def advance(self, now: float) -> float:
        """Look at this machine's interfaces when it is time; return the seconds until then.

        A group is joined on new ones: one that has been unplugged and comes back is new, too.
        """
        if now >= self._look_at:
            self._look_at = now + _LOOK
            self._is_local.cache_clear()
            if is_group(self.address[0]):
                self.sockets[0].join_again()
        return self._look_at - now

    def _senders(self) -> list[Endpoint | Destination]:
        return [*self._endpoints, *self._destinations]

    def is_own(self, sender: Address) -> bool:
        """Return whether a packet's sender is one of the engine's own sockets."""
        port = sender[1]  # in the path of every packet: no call where it is another's
        for endpoint in self._endpoints:
            if port == endpoint.address[1] and endpoint.is_own(sender):
                return True
        for destination in self._destinations:
            if port in destination.own_ports and destination.is_own(sender):
                return True
        return False

    def is_here(self, host: str) -> bool:
        """Return whether a sender's host is this machine, for certain: nobody can forge it."""
        if is_loopback(host):
            return True
        return _DROPS_FORGED and ":" not in host and self._is_local(host)

    def receives(self, address: Address) -> bool:
        """Return whether what is sent to an address comes to the listener."""
        return any(each.is_own(address) for each in self.sockets)

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender's address, or None when none waits."""
        for each in self.sockets:
            if (received := each.receive()) is not None:
                return received
        return None

    def send(self, packet: bytes, to: Address) -> bool:
        """Send an answer from the socket at which its receiver expects it.

        Returns whether it was sent; what was not is counted.
        """
        host, _ = to
        answering = self._answering[":" in host, is_loopback(host)]
        if answering is None:  # nothing can have come from there
            self._unanswered += 1
            return False
        return answering.send(packet, to)

    def _find_answering(self, of_6: bool, here: bool) -> Endpoint | None:  # noqa: FBT001
        """Return the endpoint that answers hosts of a family, here or beyond; None for none."""
        hosts = {each.address[0]: each for each in self._endpoints}
        hosts = {h: e for h, e in hosts.items() if (":" in h) is of_6 and not is_group(h)}
        best = min(hosts, key=lambda host: is_loopback(host) is not here, default=None)
        return None if best is None else hosts[best]

    def status(self) -> dict[str, object]:
        """Return the outputs, and how many packets could not be sent, with those in answer."""
        return {
            "unsent": self._unanswered + sum(each.unsent for each in self._senders()),
            "outputs": [each.status() for each in self.destinations],
        }

    def close(self) -> None:
        """Close all sockets, those of the destinations too."""
        for each in self._senders():
            each.close()


def _open(required: Sequence[str], optional: Sequence[str], port: int) -> tuple[Endpoint, ...]:
    """Listen at hosts with one port; 0 is one that is free at all of them. Raises PortError."""
    attempts = 1 if port else _ATTEMPTS
    while True:
        attempts -= 1
        sockets: list[Endpoint] = []
        for host in (*required, *optional):
            try:
                wildcard = "::" if ":" in host else "0.0.0.0"
                beside = next((s for s in sockets if s.address[0] == wildcard), None)
                shared = sockets[0].address[1] if sockets else port
                sockets.append(Endpoint(host, shared, beside=beside))
            except PortError as error:
                if attempts and sockets:
                    break
                if host in optional:
                    log.debug("%s; going on without", error)
                    continue
                _close(sockets)
                raise
        else:
            return tuple(sockets)
        _close(sockets)


def _close(sockets: Sequence[Endpoint]) -> None:
    for each in sockets:
        each.close()


def _is_broadcast(host: str) -> bool:
    """Return whether an address is a network's broadcast address, where the system tells."""
    if ":" in host:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((host, 9))  # sends nothing; only a broadcast is not permitted
        except PermissionError:
            return True
        except OSError:
            return False
    return False
