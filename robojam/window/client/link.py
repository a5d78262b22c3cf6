"""The window's end of the wire: one UDP socket, and a thread that waits at it."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from robojam.wire.osc import Message, decode, encode

#: The engine lets a monitor lapse after 10 s; it is renewed every so many seconds.
RENEW_INTERVAL = 2.0
#: The engine is asked how it is every so many seconds: several times in the time after
#: which it counts as lost, so that lost packets say nothing.
STATUS_INTERVAL = 0.7
#: Nothing heard for so many seconds: perhaps packets get lost, and it is asked more often.
QUIET_AFTER, RETRY_INTERVAL = 0.9, 0.12
#: So many packets wait at most while the window is busy; then the oldest go.
MAX_WAITING = 8192

_STATUS = b"/robojam/status\0,s\0\0"


def decode_packet(packet: bytes) -> list[Message]:
    """Read a packet from the engine. Never raises: what cannot be read is nothing.

    A status is read here, for its JSON is longer than a string from a stranger
    may be.
    """
    if packet.startswith(_STATUS):
        text = packet[len(_STATUS) :].split(b"\0", 1)[0].decode("utf-8", "replace")
        return [Message("/robojam/status", "s", (text,))]
    return decode(packet)[0]


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.split("%", 1)[0]).is_loopback


class MessageSender(Protocol):
    """Sender of OSC messages to the engine."""

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send one message."""


class EngineConnection:
    """Sends to the engine, and holds what came from it with the instant it came.

    engine is its host and port; ``wake`` is called from the listening thread when
    something has come and nothing was waiting. Raises OSError when the host has
    no address.
    """

    def __init__(self, engine: tuple[str, int], *, wake: Callable[[], None]) -> None:
        found = socket.getaddrinfo(*engine, type=socket.SOCK_DGRAM)
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        family, self._engine = found[0][0], found[0][4]
        host = str(self._engine[0])
        self._loopback = _is_loopback(host)
        self._local_host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        everywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
        self._wake = wake
        self._arrived: deque[tuple[float, bytes]] = deque(maxlen=MAX_WAITING)
        self._woken = False
        self._closed = threading.Event()
        self._renew_at = self._ask_at = float("-inf")
        self._received_at = time.monotonic()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((self._local_host if self._loopback else everywhere, 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, name="window-link", daemon=True)
        self._thread.start()

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send one message. An engine that is not there does no harm."""
        with suppress(OSError):  # unreachable, refused, no route: the frame tells of it
            self._socket.sendto(encode(address, tags, *args), self._engine)

    def advance(self, now: float) -> float:
        """Subscribe and ask for the status when it is time; return when it is next (s)."""
        if now >= self._renew_at:
            self._renew_at = now + RENEW_INTERVAL
            self.send("/robojam/subscribe", "i", self.port)
        if now >= self._ask_at:
            self._ask_at = now + (
                RETRY_INTERVAL if now - self._received_at > QUIET_AFTER else STATUS_INTERVAL
            )
            self.send("/robojam/status")
        return min(self._renew_at, self._ask_at)

    def resubscribe(self) -> None:
        """Subscribe at the next tick: another engine has taken the place of the first."""
        self._renew_at = float("-inf")

    def receive(self) -> list[tuple[float, Message]]:
        """Take what has come: the instant (monotonic seconds) and the message."""
        self._woken = False  # before looking: what comes from now on wakes again
        messages: list[tuple[float, Message]] = []
        while self._arrived:
            t, packet = self._arrived.popleft()
            messages += [(t, message) for message in decode_packet(packet)]
        return messages

    def close(self) -> None:
        """Leave the engine's monitors and close the socket."""
        if self._closed.is_set():
            return
        self.send("/robojam/unsubscribe", "i", self.port)
        self._closed.set()
        with suppress(OSError):
            self._socket.sendto(b"", (self._local_host, self.port))  # wakes the thread
        self._thread.join(timeout=1.0)
        self._socket.close()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                packet, source = self._socket.recvfrom(65536)
            except ConnectionError:
                continue  # Windows tells here that an earlier packet was refused
            except OSError:
                self._closed.wait(0.05)
                continue
            if not packet or not self._is_engine(str(source[0])):
                continue
            self._received_at = time.monotonic()
            self._arrived.append((self._received_at, packet))
            if not self._woken:
                self._woken = True
                self._wake()

    def _is_engine(self, host: str) -> bool:
        """Only the engine draws here; on loopback it may answer from any address."""
        return self._loopback or host == self._engine[0]
