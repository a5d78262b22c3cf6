"""Sockets of programs that listen to addresses by OSCQuery, and get their values as OSC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import WSMsgType

from robojam.limits import RateLimiter, network_of
from robojam.web import limits, osc_listening, protocol
from robojam.web.bounded_socket import BoundedSocket
from robojam.web.osc_listening import Listener
from robojam.web.osc_query import Jam
from robojam.web.protocol import MalformedError


class OscSockets:
    """Programs that listen; all are sent what is due by one task, in its order."""

    def __init__(
        self, *, on_change: Callable[[], None], drop: Callable[[str, str], None]
    ) -> None:
        """Start with nobody.

        on_change is called when a program comes or goes, drop with a source and a reason when
        something is not taken.
        """
        self._on_change, self._drop = on_change, drop
        self._programs: dict[BoundedSocket, tuple[Listener, str]] = {}
        self._jam = Jam()
        self._values = osc_listening.values(self._jam)
        self._touches: list[tuple[str, bytes]] = []
        self._changed: str | None = None
        self._due = asyncio.Event()
        self._closing = set[asyncio.Task[None]]()

    @property
    def open(self) -> list[BoundedSocket]:
        """The sockets that are open."""
        return list(self._programs)

    def refusal(self, host: str) -> str:
        """Return why another program of a host may not listen, or ""."""
        network = network_of(host)
        of_host = sum(network_of(other) == network for _, other in self._programs.values())
        if of_host >= limits.MAX_LISTENERS_OF_A_HOST or len(self) >= limits.MAX_LISTENERS:
            return "All places of programs that listen are taken."
        return ""

    def __len__(self) -> int:
        """Return how many programs listen."""
        return len(self._programs)

    async def serve(self, socket: BoundedSocket, host: str) -> None:
        """Let a program listen until its socket ends."""
        listener, limiter = Listener(), RateLimiter(*limits.COMMANDS)
        self._programs[socket] = listener, host
        self._on_change()
        try:
            while True:
                received = await socket.socket.receive()
                if received.type is WSMsgType.BINARY:  # OSC is for the port of HOST_INFO
                    self._drop(f"web:{host}/osc", "wrong port")
                elif received.type is WSMsgType.TEXT:
                    listener.hear(received.data, self._jam)
                    self._due.set()
                else:
                    return
                limiter.charge(time.monotonic(), 1)
                if delay := limiter.wait(time.monotonic()):
                    await asyncio.sleep(delay)  # the rest waits in the network
        except MalformedError as error:
            await socket.close(protocol.MALFORMED, str(error))
        finally:
            del self._programs[socket]
            self._on_change()

    # -- what they are sent ----------------------------------------------------------------

    def show(self, jam: Jam) -> None:
        """Take the state of the jam."""
        changed = osc_listening.path_changed(self._jam, jam)
        self._changed, self._jam = changed or self._changed, jam
        self._values = osc_listening.values(jam)
        self._due.set()

    def hear(self, touches: Sequence[Sequence[Any]]) -> None:
        """Take touches that were played, as `osc_listening.played` does."""
        if self._programs and len(self._touches) < limits.MAX_WAITING:
            self._touches += osc_listening.played(touches)
            self._due.set()

    async def run(self) -> None:
        """Send what is due, without end."""
        while True:
            await self._due.wait()
            self._due.clear()
            touches, self._touches = self._touches, []
            changed, self._changed = self._changed, None
            for socket, (listener, _) in list(self._programs.items()):
                await self._send(socket, listener, touches, changed)

    async def _send(
        self,
        socket: BoundedSocket,
        listener: Listener,
        touches: list[tuple[str, bytes]],
        changed: str | None,
    ) -> None:
        now = time.monotonic()
        if changed is not None:
            listener.forget(self._jam)
            await socket.send(changed, now)
        for address, message in list(listener.due(self._values)):
            if await socket.send(message, now):
                listener.note(address, message)
        for address, message in touches:
            if listener.listens_to(address):
                await socket.send(message, now)

    def tick(self) -> None:
        """Close what is stuck, and send again what a slow program has missed."""
        now = time.monotonic()
        for socket in self.open:
            if socket.is_stuck(now):
                closing = asyncio.create_task(socket.close(protocol.TOO_SLOW, "too slow"))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
        self._due.set()
