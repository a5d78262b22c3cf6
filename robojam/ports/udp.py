"""UDP endpoint of OSC, and the look-up of receivers."""

import errno
import socket
from functools import lru_cache
from ipaddress import ip_address

Address = tuple[str, int]

#: Bytes of packets that may wait while a touch is played.
_BUFFER = 1 << 20
#: Bytes of the largest UDP packet.
_LARGEST = 65536


class PortError(ValueError):
    """A port that cannot be opened; the text says which, why, and what to do."""


class Endpoint:
    """UDP socket that receives and sends, and never blocks.

    `address` is where it listens; `unsent` counts the packets that could not be sent.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen at an address; port 0 is a free one. Raises PortError."""
        self.unsent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
            if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
                reason = (
                    f"port {port} of {host} is in use: another robojam, or another program, "
                    f"listens there. Close it, or choose another with --osc-in {host}:PORT"
                )
            raise PortError(reason) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if hasattr(socket, "SIO_UDP_CONNRESET"):
            # Windows reports an unreachable receiver by failing the next receive.
            self._socket.ioctl(socket.SIO_UDP_CONNRESET, 0)  # type: ignore[attr-defined]
        self.address: Address = self._socket.getsockname()

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def is_own(self, sender: Address) -> bool:
        """Return whether a sender's address is this endpoint's own."""
        (host, port), (here, own_port) = sender, self.address
        return port == own_port and (host == here or (here == "0.0.0.0" and _is_local(host)))

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender's address, or None when none waits."""
        while True:
            try:
                return self._socket.recvfrom(_LARGEST)
            except ConnectionError:
                continue  # an earlier packet reached nobody
            except OSError:  # BlockingIOError when none waits
                return None

    def send(self, packet: bytes, to: Address) -> bool:
        """Send a packet, or count it as unsent (as with a cut cable); return which."""
        try:
            self._socket.sendto(packet, to)
        except OSError:
            self.unsent += 1
            return False
        return True


@lru_cache(maxsize=64)
def _is_local(host: str) -> bool:
    """Return whether an address is one of this machine's: only such can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, 0))
        except OSError:
            return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a sender's address is one of this machine's own, of its loopback."""
    return ip_address(host.partition("%")[0]).is_loopback


def resolve(host: str, port: int) -> Address:
    """Return the IPv4 address and port of a receiver. Raises PortError for an unknown host."""
    try:
        addresses = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise PortError(f"there is no host {host} to send to: {error.strerror}") from error
    return str(addresses[0][4][0]), port
