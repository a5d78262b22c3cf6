"""OSC endpoints: the socket that hears and speaks."""

from __future__ import annotations

import errno
import socket
from functools import lru_cache

Address = tuple[str, int]

#: A burst of packets waits here, in bytes, while a touch is played.
_BUFFER = 1 << 20
_LARGEST = 65536


class PortError(ValueError):
    """A port that cannot be had; the text says which, why, and what to do."""


class Endpoint:
    """One UDP socket that receives and sends, and never blocks."""

    def __init__(self, host: str, port: int) -> None:
        """Bind it. Raises PortError."""
        self.unsent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise PortError(_why_not(host, port, error)) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if hasattr(socket, "SIO_UDP_CONNRESET"):
            # Windows reports an unreachable receiver by failing the next receive.
            self._socket.ioctl(socket.SIO_UDP_CONNRESET, 0)  # type: ignore[attr-defined]
        self.address: Address = self._socket.getsockname()

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def is_own(self, sender: Address) -> bool:
        """Tell whether a packet from sender is this endpoint's own, come back."""
        if sender[1] != self.address[1]:
            return False
        here = self.address[0]
        return sender[0] == here or (here == "0.0.0.0" and _is_of_this_machine(sender[0]))

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and who sent it; None when there is no more for now."""
        while True:
            try:
                return self._socket.recvfrom(_LARGEST)
            except ConnectionError:
                continue  # an earlier packet reached nobody: no harm
            except OSError:  # among them BlockingIOError: nothing is there
                return None

    def send(self, packet: bytes, to: Address) -> None:
        """Send a packet, or count it as unsent: a cut cable is no reason to stop."""
        try:
            self._socket.sendto(packet, to)
        except OSError:
            self.unsent += 1


@lru_cache(maxsize=64)
def _is_of_this_machine(host: str) -> bool:
    """Tell whether an address is one of this machine's: only there can a port be had."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, 0))
        except OSError:
            return False
    return True


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
        return (
            f"port {port} of {host} is in use: another robojam, or another program, listens "
            f"there. Close it, or choose another with --osc-in {host}:PORT"
        )
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def resolve(host: str, port: int) -> Address:
    """Look a receiver's address up, once. Raises PortError."""
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise PortError(f"there is no host {host} to send to: {error.strerror}") from error
    return str(found[0][4][0]), port
