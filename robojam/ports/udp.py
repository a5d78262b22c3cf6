"""UDP sockets that receive and send, and the look-up of hosts and interfaces.

An address is a host and a port. The host is numeric and canonical: one text stands for one
host, so texts can be compared. An IPv6 address of one link is followed by %INTERFACE.
"""

import errno
import re
import socket
import struct
import sys
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

from robojam.config.addresses import (
    canonical_host,
    format_address,
    is_group,
    is_loopback,
    is_wildcard,
)

__all__ = [
    "Address",
    "Endpoint",
    "PortError",
    "canonical_host",
    "family_of",
    "interface_request",
    "interfaces",
    "is_local",
    "is_loopback",
    "resolve",
    "sockaddr",
]

Address = tuple[str, int]

#: Bytes of packets that may wait while a touch is played.
_BUFFER = 1 << 20
#: Bytes of the largest UDP packet.
_LARGEST = 65536
#: Most addresses of one name that are tried.
_MOST_ADDRESSES: Final = 4
#: Names of interfaces that lead to no other machine.
_LOOPBACK = re.compile(r"lo[0-9]*|loopback.*", re.IGNORECASE)
#: Errors of a port that another socket has.
_IN_USE: Final = (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1))


class PortError(ValueError):
    """A port that cannot be opened; the text says which, why, and what to do."""


class Endpoint:
    """UDP socket that receives and sends, and never blocks.

    `address` is where it listens; `unsent` counts the packets that could not be sent.
    """

    def __init__(self, host: str, port: int, *, beside: "Endpoint | None" = None) -> None:
        """Listen at an address; port 0 is a free one. Raises PortError.

        The address of a multicast group is listened at on every interface, or on the one
        that follows it; other programs may listen at it too. beside is an endpoint that
        listens at this port of all addresses; it gets no more what is sent to this one.
        """
        self.unsent = 0
        try:
            self._socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        except OSError as error:  # a system without IPv6
            raise PortError(_refusal(host, port, error)) from error
        try:
            self._bind(host, port, beside)
        except OSError as error:
            self._socket.close()
            raise PortError(_refusal(host, port, error)) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if hasattr(socket, "SIO_UDP_CONNRESET"):
            # Windows reports an unreachable receiver by failing the next receive.
            self._socket.ioctl(socket.SIO_UDP_CONNRESET, 0)  # type: ignore[attr-defined]
        bound = self._socket.getsockname()
        self.address: Address = (host, bound[1]) if is_group(host) else _address(bound)

    def _bind(self, host: str, port: int, beside: "Endpoint | None") -> None:
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if not is_group(host):
            both = [] if beside is None else [beside._socket, self._socket]
            _share(both, 1)
            try:
                self._socket.bind(sockaddr((host, port)))
            finally:
                _share(both, 0)  # with no other program
            return
        for option in ("SO_REUSEADDR", "SO_REUSEPORT"):  # each system has its own
            if hasattr(socket, option):
                self._socket.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        # Bound to the group, it hears nothing else; Windows cannot do that.
        any_host = "::" if ":" in host else "0.0.0.0"
        self._socket.bind(sockaddr((any_host if sys.platform == "win32" else host, port)))
        self._joined = _join(self._socket, host)

    def join_again(self) -> None:
        """Join the group on interfaces that have come, or come back, since it was joined."""
        with suppress(OSError):  # there is none now
            self._joined = _join(self._socket, self.address[0], self._joined)

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def is_own(self, sender: Address) -> bool:
        """Return whether a sender's address is this endpoint's own."""
        (host, port), (here, own_port) = sender, self.address
        return port == own_port and (
            host == here or ((is_wildcard(here) or is_group(here)) and is_local(host))
        )

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender's address, or None when none waits."""
        while True:
            try:
                packet, sender = self._socket.recvfrom(_LARGEST)
            except ConnectionError:
                continue  # an earlier packet reached nobody
            except OSError:  # BlockingIOError when none waits
                return None
            return packet, sender if len(sender) == 2 else _address(sender)

    def send(self, packet: bytes, to: Address) -> bool:
        """Send a packet, or count it as unsent (as with a cut cable); return which."""
        try:
            self._socket.sendto(packet, sockaddr(to))
        except OSError:
            self.unsent += 1
            return False
        return True


def _share(sockets: Collection[socket.socket], value: int) -> None:
    """Share a port with other sockets (1), or not (0). Windows shares that of all addresses."""
    for each in sockets if sys.platform != "win32" else ():
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, value)


def _refusal(host: str, port: int, error: OSError) -> str:
    """Return why an address cannot be listened at, and what to do."""
    if error.errno in _IN_USE:
        return (
            f"port {port} of {host} is in use: another robojam, or another program, "
            f"listens there. Close it, or choose another with "
            f"--osc-in {format_address(host, 'PORT')}"
        )
    reason = f"cannot listen on {format_address(host, port)}: {error.strerror or error}"
    if host == "::":
        return f"{reason}; 0.0.0.0:{port} listens without IPv6"
    if is_group(host):
        named = format_address(f"{host}%INTERFACE", port)
        return f"{reason}; name an interface too: {named}" if ":" in host else reason
    if error.errno == errno.EADDRNOTAVAIL:
        every = format_address("::" if ":" in host else "0.0.0.0", port)
        return f"{reason}: this machine has no such address; {every} listens at all it has"
    return reason


def _join(joining: socket.socket, group: str, joined: Collection[int] = ()) -> frozenset[int]:
    """Join a group on every interface, or on the one it names, but those joined already.

    Returns the indexes of the interfaces on which it is joined. Raises OSError for none.
    """
    host, _, interface = group.partition("%")
    packed = socket.inet_pton(joining.family, host)
    found = socket.if_nameindex()
    chosen = [i for i, name in found if interface in ("", name, str(i))]
    result = {index for index in chosen if index in joined}
    failed: OSError | None = None
    for index in set(chosen) - result:
        if joining.family == socket.AF_INET6:
            level, option = socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP
            request = packed + struct.pack("@I", index)
        else:
            level, option = socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP
            request = packed + interface_request(index)
        try:
            joining.setsockopt(level, option, request)
        except OSError as error:  # one without an address, or one too many
            failed = error
        else:
            result.add(index)
    if not result:
        raise failed or OSError(errno.ENODEV, "there is no network interface")
    return frozenset(result)


def interface_request(index: int) -> bytes:
    """Return the part of an IPv4 socket option that names an interface by its index."""
    if sys.platform == "win32":
        return struct.pack("!I", index)
    return bytes(4) + struct.pack("@i", index)


def interfaces() -> list[int]:
    """Return the indexes of the interfaces to other machines; loopback if there is no other."""
    found = socket.if_nameindex()
    return [i for i, name in found if not _LOOPBACK.fullmatch(name)] or [i for i, _ in found]


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def sockaddr(address: Address) -> tuple[Any, ...]:
    """Return an address as the system takes it. Raises OSError for an unknown interface."""
    host, port = address
    if ":" not in host:
        return address
    host, _, scope = host.partition("%")
    index = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0
    return host, port, 0, index


def _address(of_system: tuple[Any, ...]) -> Address:
    """Return an address as it is written here."""
    host, port, *more = of_system
    if more and more[1]:
        scope = str(more[1])
        with suppress(OSError):  # the interface may be gone
            scope = socket.if_indextoname(more[1])
        host = f"{host}%{scope}"
    return canonical_host(host) if "." in host else host, port


def is_local(host: str) -> bool:
    """Return whether a host's address is one of this machine's: only such can be bound."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(sockaddr((host, 0)))
        except OSError:
            return False
    return True


def resolve(host: str, port: int, *, to: str = "send to") -> tuple[Address, ...]:
    """Return the addresses of a host and a port, of which the first is the one to try first.

    Those of IPv4 come first, and there are at most four. Asks the network for a name, and
    waits. Raises PortError for an unknown host.
    """
    if host == "localhost":
        return ("127.0.0.1", port), ("::1", port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        _, percent, interface = host.partition("%")
        if percent:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise PortError(
                f"there is no network interface {interface}; there are {names}"
            ) from error
        raise PortError(f"there is no host {host} to {to}: {error.strerror}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return tuple(dict.fromkeys(_address(entry[4]) for entry in found))[:_MOST_ADDRESSES]
