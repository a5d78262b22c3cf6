"""OSC endpoints: the socket that hears and speaks, and the monitors that watch."""

from __future__ import annotations

import socket
from collections.abc import Callable

Address = tuple[str, int]

#: At most so many monitors watch; each lapses after so many seconds unless renewed.
MAX_MONITORS = 8
MONITOR_LIFE = 10.0
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
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
        self._local = {host, "127.0.0.1", self.address[0], *_own_addresses()}

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def is_own(self, sender: Address) -> bool:
        """Tell whether a packet from sender is this endpoint's own, come back."""
        return sender[1] == self.address[1] and sender[0] in self._local

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


def _own_addresses() -> set[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return set()


def _why_not(host: str, port: int, error: OSError) -> str:
    import errno

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
    return found[0][4][0], port  # type: ignore[return-value]


class Monitors:
    """Who watches the jam, and until when unless renewed."""

    def __init__(self, send: Callable[[bytes, Address], None]) -> None:
        self._send = send
        self._until: dict[Address, float] = {}

    def __len__(self) -> int:
        """How many watched when last anything was sent."""
        return len(self._until)

    def add(self, who: Address, now: float) -> bool | None:
        """Let someone watch, or go on: True when new, None when there is no place left."""
        self.lapse(now)
        if who in self._until:
            self._until[who] = now + MONITOR_LIFE
            return False
        if len(self._until) >= MAX_MONITORS:
            return None
        self._until[who] = now + MONITOR_LIFE
        return True

    def remove(self, who: Address) -> None:
        """Let someone go."""
        self._until.pop(who, None)

    def lapse(self, now: float) -> None:
        """Let those go who have not renewed."""
        if any(until <= now for until in self._until.values()):
            self._until = {who: until for who, until in self._until.items() if until > now}

    def send(self, packet: bytes) -> None:
        """Send a packet to everyone who watches."""
        for who in self._until:
            self._send(packet, who)
