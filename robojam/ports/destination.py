"""Destinations of packets: sockets that only send, and what is known of the receiver."""

import errno
import logging
import math
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from robojam.config.addresses import is_group
from robojam.ports.udp import (
    Address,
    family_of,
    interface_request,
    interfaces,
    is_local,
    sockaddr,
)

log = logging.getLogger("robojam")

#: Seconds between looks for interfaces that a group is to be sent to, and for the addresses
#: of a name whose last ones do not answer.
_LOOK: Final = 10.0
#: Errors that tell of an earlier packet: the network has answered that it did not arrive.
_ANSWERS: Final = ("ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EHOSTDOWN")
#: Seconds without such an answer after which packets arrive again. A system looks for a host
#: for 3 s before it says that it does not answer; routers answer once a second.
_NO_ANSWER: Final = 5.0
#: Reasons, by the names of the errors.
_REASONS: Final = {
    **dict.fromkeys(("ECONNREFUSED", "ECONNRESET"), "nobody listens there"),
    **dict.fromkeys(("EHOSTUNREACH", "EHOSTDOWN"), "the host does not answer"),
    **dict.fromkeys(("ENETUNREACH", "EADDRNOTAVAIL", "EINVAL"), "no network leads there"),
    **dict.fromkeys(("ENETDOWN", "ENODEV", "ENXIO"), "the network is down"),
    **dict.fromkeys(("EACCES", "EPERM"), "the system forbids it; is it a firewall?"),
    "EMSGSIZE": "the packet is too long",
    "EDESTADDRREQ": "its name is not known",
}
#: Options by which Linux tells a socket of hosts that do not answer, too; the module socket
#: has no names for them.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
#: Socket options that send 255.255.255.255 to one interface, where the system has one.
_IP_UNICAST_IF: Final = {"linux": 50, "win32": 31, "darwin": 25}


class Destination:
    """Receiver of packets, sent to from a socket of its own that never blocks.

    The socket is connected, so that the system tells what became of its packets. A multicast
    group is sent to on every interface. `sent` and `unsent` count packets; `error` is why
    they do not arrive, None when they do or when nothing is known.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        name: str,
        dialect: str = "native",
        optional: bool = False,
        look_up: Callable[[], Sequence[Address]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send to the first of these addresses that answers; without any, to those of look_up.

        name is the address as a person knows it. optional: that nobody listens there is no
        error. look_up returns the addresses that a name has now, or raises ValueError; it may
        wait, and is called on a thread of its own while no address answers: a phone that
        returns to a network may have got another one. clock is in seconds.
        """
        self.name, self.dialect = name, dialect
        self.sent = self.unsent = 0
        self.closed = False
        self.error: str | None = None
        self._addresses, self._current = tuple(addresses), 0
        self._optional, self._look_up, self._clock = optional, look_up, clock
        self._looking_up, self._look_up_at = False, -math.inf
        self._found: tuple[Address, ...] = ()  # by the last look-up
        self._reason = ""  # why the first of the addresses cannot be sent to
        self._nobody = self._answered = False
        self._arrives_since = math.inf
        self._sockets: dict[int, socket.socket] = {}  # by their interface
        self._everywhere, self._look_at = False, math.inf
        self._ports: dict[int, int] = {}  # of the sockets, by their interface
        self.own_ports = self._ports.values()
        try:
            self._open()
        except OSError as error:  # others are said when there is something to send
            if not addresses:
                self._failed(error, answered=False)

    @property
    def address(self) -> Address:
        """Host and port that packets are sent to now; ("", 0) while none is known."""
        return self._addresses[self._current] if self._addresses else ("", 0)

    def is_own(self, sender: Address) -> bool:
        """Return whether a packet's sender is this destination's socket."""
        host, port = sender
        return port in self.own_ports and is_local(host)

    def send(self, packet: bytes) -> bool:
        """Send a packet, or count it as unsent; return which."""
        if self._found:
            self._use_found()
        try:
            self._send(packet)
        except OSError as error:
            return self._resend(packet, error)
        self.sent += 1
        if self.error is not None or self._nobody:
            self._succeeded()
        return True

    def status(self) -> dict[str, object]:
        """Return address, dialect, counts and error; a note that nobody listens."""
        status: dict[str, object] = {
            "address": self.name,
            "dialect": self.dialect,
            "sent": self.sent,
            "unsent": self.unsent,
            "error": self.error,
        }
        return {**status, "note": _REASONS["ECONNREFUSED"]} if self._nobody else status

    def close(self) -> None:
        """Close the sockets, for good."""
        self._disconnect()
        self._ports.clear()
        self.closed = True

    def _disconnect(self) -> None:
        """Close the sockets; the next packet opens them again."""
        for each in self._sockets.values():
            each.close()
        self._sockets = {}

    def _send(self, packet: bytes) -> None:
        """Send a packet from every socket. Raises OSError if none could send it."""
        if not self._sockets or (self._everywhere and self._clock() >= self._look_at):
            self._open()
        failed: dict[int, OSError] = {}
        for index, each in self._sockets.items():
            try:
                each.send(packet)
            except OSError as error:
                failed[index] = error
        if failed:
            if len(failed) == len(self._sockets):
                raise next(iter(failed.values()))
            for index in failed:  # opened again at the next look
                self._sockets.pop(index).close()

    def _resend(self, packet: bytes, error: OSError) -> bool:
        """Send a packet again, unless the buffer is full; return whether it has been sent."""
        again = False
        while not _is_full(error):
            # An answer is to an earlier packet, and this one was not sent. After another
            # error, this machine's address there may have changed.
            answered = not again and _name(error) in _ANSWERS
            if answered or again:
                self._failed(error, answered=answered)
            if not answered:
                self._disconnect()
            if again and self._current == 0:
                break
            try:
                self._send(packet)
            except OSError as another:
                again, error = True, another
            else:
                self.sent += 1
                return True
        self.unsent += 1
        return False

    def _failed(self, error: OSError, *, answered: bool) -> None:
        """Go on to the next address; after the last one, report why the first one failed.

        answered: the error is the network's answer to an earlier packet.
        """
        self._arrives_since, self._answered = math.inf, answered
        if self._current == 0:
            self._reason = _REASONS.get(_name(error), error.strerror or str(error))
        if len(self._addresses) > 1:
            self._disconnect()
        self._current = (self._current + 1) % max(1, len(self._addresses))
        if self._current:
            return
        self._start_look_up()
        if self._optional and self._reason == _REASONS["ECONNREFUSED"]:
            self._nobody = True
        elif self.error != self._reason:
            self.error = self._reason
            log.warning("cannot send to %s: %s", self.name, self._reason)

    def _start_look_up(self) -> None:
        """Look up the addresses of the name again, on a thread of its own."""
        look_up, now = self._look_up, self._clock()
        if look_up is None or self._looking_up or now < self._look_up_at:
            return

        def work() -> None:
            try:
                with suppress(ValueError):
                    self._found = tuple(look_up())
            finally:
                self._looking_up = False

        self._looking_up, self._look_up_at = True, now + _LOOK
        try:
            threading.Thread(target=work, name="look-up", daemon=True).start()
        except RuntimeError:  # there are too many threads just now
            self._looking_up = False

    def _use_found(self) -> None:
        """Send to the addresses that the last look-up found, where they are others."""
        found, self._found = self._found, ()
        if set(found) != set(self._addresses):
            self._disconnect()
            self._addresses, self._current = found, 0

    def _succeeded(self) -> None:
        """Forget an error, if enough time has passed without another."""
        now = self._clock()
        self._arrives_since = min(self._arrives_since, now)
        if self._answered and now - self._arrives_since < _NO_ANSWER:
            return
        if self.error is not None:
            log.info("sending to %s works again", self.name)
        self.error, self._nobody = None, False

    def _open(self) -> None:
        """Open the sockets that are missing. Raises OSError if there is none then."""
        if not self._addresses:
            raise OSError(errno.EDESTADDRREQ, _REASONS["EDESTADDRREQ"])
        host, _ = self.address
        self._everywhere = host == "255.255.255.255" or (is_group(host) and "%" not in host)
        self._look_at = self._clock() + _LOOK
        wanted = interfaces() if self._everywhere else [0]  # 0: as the system chooses
        for index in set(self._sockets).difference(wanted):
            self._sockets.pop(index).close()
        failed: OSError | None = None
        for index in set(wanted).difference(self._sockets):
            try:
                made = _connected(self.address, index, self._ports.get(index, 0))
            except OSError as error:
                failed = error
                continue
            self._sockets[index], self._ports[index] = made, made.getsockname()[1]
        if failed is not None and not self._sockets:
            raise failed


def _connected(address: Address, interface: int, port: int) -> socket.socket:
    """Return a socket that sends to an address, from a port if that is free. Raises OSError."""
    host, _ = address
    made = socket.socket(family_of(host), socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # nothing is read from it
        level = socket.IPPROTO_IPV6 if ":" in host else socket.IPPROTO_IP
        if sys.platform == "linux":
            made.setsockopt(level, _IPV6_RECVERR if ":" in host else _IP_RECVERR, 1)
        if interface:
            _choose_interface(made, host, interface)
        any_host = "::" if ":" in host else "0.0.0.0"
        try:
            made.bind(sockaddr((any_host, port)))
        except OSError:
            made.bind(sockaddr((any_host, 0)))
        made.connect(sockaddr(address))
    except OSError:
        made.close()
        raise
    return made


def _choose_interface(made: socket.socket, host: str, index: int) -> None:
    """Have a socket send to a group, or to everybody, on one interface. Raises OSError."""
    if ":" in host:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    elif is_group(host):
        request = interface_request(index)
        if sys.platform != "win32":
            request = bytes(4) + request
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    elif sys.platform in _IP_UNICAST_IF:
        # As bytes: in the network's order, an index from 128 on is more than an int may be.
        value = struct.pack("@I" if sys.platform == "darwin" else "!I", index)
        made.setsockopt(socket.IPPROTO_IP, _IP_UNICAST_IF[sys.platform], value)


def _is_full(error: OSError) -> bool:
    """Return whether there was no room for a packet just now."""
    return isinstance(error, BlockingIOError) or error.errno == errno.ENOBUFS


def _name(error: OSError) -> str:
    """Return the name of an error, the same on every system."""
    return errno.errorcode.get(error.errno or 0, "").removeprefix("WSA")
