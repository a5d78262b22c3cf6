"""Connection of the window to the engine: one UDP socket, and a thread that reads it."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from robojam.wire.native import COOKIE
from robojam.wire.osc import Message, decode, encode

#: Seconds between renewals of the subscription, which the engine ends after 10 s.
RENEW_INTERVAL = 2.0
#: Seconds between requests for the status: several in the time after which the engine
#: counts as lost, so that lost packets do not matter.
STATUS_INTERVAL = 0.7
#: After QUIET_AFTER seconds without a packet, packets may be lost, and the status is
#: requested every RETRY_INTERVAL seconds.
QUIET_AFTER, RETRY_INTERVAL = 0.9, 0.12
#: Seconds between requests for the mapped knobs, while they are shown.
KNOBS_INTERVAL = 0.1
#: Seconds between reports of the fingers that are down. The engine lifts a finger of which
#: nothing is heard for several seconds, and at once one that a report leaves out.
ALIVE_INTERVAL = 1.0
#: Packets that wait while the window is busy; further ones replace the oldest.
MAX_WAITING = 8192

_UP = "/robojam/up"
_TOUCHES = ("/robojam/down", "/robojam/move", _UP)


class MessageSender(Protocol):
    """Sender of OSC messages to the engine."""

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send one message."""


class EngineConnection:
    """UDP connection that sends to the engine and keeps what the engine sent, with its time.

    engine is the host and port of the engine. wake is called on the receiving thread when
    a packet arrives and the last call of `receive` has been answered. Raises OSError when
    the host has no address.
    """

    def __init__(self, engine: tuple[str, int], *, wake: Callable[[], None]) -> None:
        addresses = socket.getaddrinfo(*engine, type=socket.SOCK_DGRAM)
        addresses.sort(key=lambda entry: entry[0] != socket.AF_INET)
        family, self._engine = addresses[0][0], addresses[0][4]
        self._engine_host = ipaddress.ip_address(str(self._engine[0]).partition("%")[0])
        #: Whether the engine is asked at an address of the loopback interface.
        self.is_local = self._engine_host.is_loopback
        self._local_host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        any_host = "::" if family == socket.AF_INET6 else "0.0.0.0"
        self._wake = wake
        self._arrived: deque[tuple[float, bytes]] = deque(maxlen=MAX_WAITING)
        self._woken = False
        self._closed = threading.Event()
        self._renew_at = self._ask_at = float("-inf")
        #: Whether the mapped knobs are shown, and so are to be asked for.
        self.shows_knobs = False
        self._ask_knobs_at = float("-inf")
        self._cookie: list[str] = []  # none, or the one that the engine sent last
        self._down: set[int] = set()
        self._report_at = float("inf")
        self._received_at = time.monotonic()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((self._local_host if self.is_local else any_host, 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, name="window-link", daemon=True)
        self._thread.start()

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send one message. An engine that cannot be reached is no error."""
        if address in _TOUCHES and isinstance(finger := args[0], int):
            (self._down.discard if address == _UP else self._down.add)(finger)
            if not self._down:
                self._report_at = float("-inf")  # the lift may be lost
        with suppress(OSError):  # unreachable, refused, no route: the frame shows it
            self._socket.sendto(encode(address, tags, *args), self._engine)

    def advance(self, now: float) -> float:
        """Send what is due; return when to call again.

        That is the renewal of the subscription, the requests for the status and the mapped
        knobs, and the report of the fingers that are down.
        """
        if now >= self._renew_at:
            self._renew_at = now + RENEW_INTERVAL
            self._request("/robojam/subscribe", "i", self.port)
        if now >= self._ask_at:
            is_quiet = now - self._received_at > QUIET_AFTER
            self._ask_at = now + (RETRY_INTERVAL if is_quiet else STATUS_INTERVAL)
            self._request("/robojam/status")
        if self.shows_knobs and now >= self._ask_knobs_at:
            self._ask_knobs_at = now + KNOBS_INTERVAL
            self._request("/robojam/map/knobs")
        if self._down and self._report_at == float("inf"):
            self._report_at = now + ALIVE_INTERVAL
        if now >= self._report_at:
            self._report_at = now + ALIVE_INTERVAL if self._down else float("inf")
            self.send("/robojam/alive", "i" * len(self._down), *sorted(self._down))
        ask_knobs_at = self._ask_knobs_at if self.shows_knobs else float("inf")
        return min(self._renew_at, self._ask_at, self._report_at, ask_knobs_at)

    def _request(self, address: str, tags: str = "", *args: object) -> None:
        """Send a request, with the cookie for which an engine beyond this machine asks."""
        self.send(address, tags + "s" * len(self._cookie), *args, *self._cookie)

    def resubscribe(self) -> None:
        """Subscribe at the next call of `advance`: another engine may have started."""
        self._renew_at = float("-inf")

    def receive(self) -> Iterator[tuple[float, list[Message]]]:
        """Yield the messages of each packet that waits, and its time of arrival in seconds."""
        self._woken = False  # first: a packet that comes from now on wakes again
        for _ in range(len(self._arrived)):
            t, packet = self._arrived.popleft()
            messages = decode(packet)[0]
            if messages and messages[0].address == COOKIE:
                self._take_cookie(messages[0])
                continue
            yield t, messages

    def _take_cookie(self, message: Message) -> None:
        """Use a cookie from now on, and send the requests again at the next `advance`."""
        cookie = [str(argument) for argument in message.args[:1]]
        if cookie != self._cookie:
            self._cookie = cookie
            self._renew_at = self._ask_at = float("-inf")

    def close(self) -> None:
        """Unsubscribe, stop the thread and close the socket."""
        if self._closed.is_set():
            return
        self._request("/robojam/unsubscribe", "i", self.port)
        self._closed.set()
        with suppress(OSError):
            self._socket.sendto(b"", (self._local_host, self.port))  # wakes the thread
        self._thread.join(timeout=1.0)
        self._socket.close()

    def _is_engine(self, host: str, port: int) -> bool:
        """Return whether a packet's source is the engine.

        It may answer from another address than the one that it was asked at: on the loopback
        interface, and by IPv6, of which a machine has several addresses in one network.
        """
        if self.is_local:
            return True
        source = ipaddress.ip_address(host.partition("%")[0])
        if source == self._engine_host:
            return True
        same_network = int(source) >> 64 == int(self._engine_host) >> 64
        return source.version == 6 and same_network and port == self._engine[1]

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                packet, source = self._socket.recvfrom(65536)
            except ConnectionError:
                continue  # on Windows: an earlier packet was refused
            except OSError:
                self._closed.wait(0.05)
                continue
            if not packet or not self._is_engine(source[0], source[1]):
                continue
            self._received_at = time.monotonic()
            self._arrived.append((self._received_at, packet))
            if not self._woken:
                self._woken = True
                self._wake()
