"""Connection of a gateway to the engine of a room, by datagrams.

It looks for the engine until that answers, and again when it is silent, so that a room whose
engine was started again keeps its visitors. On a cluster a room also moves: to another address,
from which moment nothing is heard of the engine before.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from robojam.ports import engine_status
from robojam.web.room import Item

#: Seconds between two attempts to reach an engine, and after which a silent one is looked for.
ATTEMPT, SILENCE = 0.1, 3.0
#: Seconds between two questions for the status.
STATUS: Final = 2.0


class RoomLink(Protocol):
    """Connection to the engine of a room; lost counts what could not be sent to it.

    on_message is called with what the engine says, on_up before that where it was away, or is
    another one; status is the last that it has told. replaced_after is how long (s) the one
    before had been silent, where that was not noticed; who has seen it sets it to None.
    """

    on_message: Callable[[Any], None]
    on_up: Callable[[], None]
    status: dict[str, Any]
    lost: int
    replaced_after: float | None

    @property
    def is_up(self) -> bool:
        """Whether the engine is there."""

    def send(self, items: list[Item]) -> None:
        """Send items to the engine."""

    async def run(self) -> None:
        """Keep the connection."""


class _Datagrams(asyncio.DatagramProtocol):
    """Connected socket; received is called with each datagram, failed when nobody is there."""

    def __init__(self, received: Callable[[bytes], None], failed: Callable[[], None]) -> None:
        self._received, self._failed = received, failed

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        self._received(data)

    def error_received(self, exc: Exception) -> None:
        del exc
        self._failed()


async def _connect(
    address: tuple[str, int], received: Callable[[bytes], None], failed: Callable[[], None]
) -> asyncio.DatagramTransport:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(received, failed), remote_addr=address
    )
    return transport


class EngineLink:
    """Connection to an engine that is at one address, and at another later."""

    def __init__(
        self, address: tuple[str, int] | None, secret: str, osc_port: int | None
    ) -> None:
        """Reach the engine's gateway port, by a secret; None: it is nowhere yet.

        Its status is asked for at osc_port of this machine; None: somebody else sets it.
        """
        self.on_message: Callable[[Any], None] = lambda _message: None
        self.on_up: Callable[[], None] = lambda: None
        self.status: dict[str, Any] = {}
        self.lost = 0
        self.replaced_after: float | None = None
        self._is_another = False  # it has asked for the secret
        self._address, self._osc_port, self._secret = address, osc_port, secret.encode()
        self._heard_at = -math.inf
        self._moved = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def is_up(self) -> bool:
        """Whether the engine is there."""
        return asyncio.get_running_loop().time() - self._heard_at < SILENCE

    def send(self, items: list[Item]) -> None:
        """Send items to the engine; count them where it is not there."""
        if self._transport is None or not self.is_up:
            self.lost += touches_of(items)
        else:
            self._transport.sendto(msgspec.msgpack.encode(items))

    def move(self, address: tuple[str, int] | None, secret: str) -> None:
        """Reach another engine from now on; None: there is none for now."""
        self._address, self._secret = address, secret.encode()
        self._heard_at = -math.inf
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._moved.set()

    async def run(self) -> None:
        """Look for the engine whenever it is silent, and ask for its status, for ever."""
        loop = asyncio.get_running_loop()
        asking, asked_at = None, -math.inf
        if self._osc_port is not None:
            at = "127.0.0.1", self._osc_port
            asking = await _connect(at, self._take_status, lambda: None)
        try:
            while True:
                self._moved.clear()
                if self._transport is None and self._address is not None:
                    await self._open(self._address)
                if self._transport is not None and not self.is_up:
                    self._transport.sendto(self._secret)
                elif asking is not None and loop.time() - asked_at >= STATUS:
                    asked_at = loop.time()
                    asking.sendto(engine_status.REQUEST)
                with suppress(TimeoutError):
                    async with asyncio.timeout(ATTEMPT):
                        await self._moved.wait()
        finally:
            for each in (self._transport, asking):
                if each is not None:
                    each.close()

    async def _open(self, address: tuple[str, int]) -> None:
        """Open a socket to an address, unless the engine has moved meanwhile."""
        with suppress(OSError):  # no network leads there: it is tried again
            made = await _connect(address, self._receive, self._fail)
            if self._address == address and self._transport is None:
                self._transport = made
            else:
                made.close()

    def _receive(self, data: bytes) -> None:
        message, now = msgspec.msgpack.decode(data), asyncio.get_running_loop().time()
        if message == ["secret"]:  # of one that has taken another's place
            if self._transport is not None:
                self._transport.sendto(self._secret)
            self._is_another = True
            return
        if self._is_another and self.is_up:
            self.replaced_after = now - self._heard_at
        is_new = self._is_another or not self.is_up
        self._heard_at, self._is_another = now, False
        if is_new:
            self.on_up()
        self.on_message(message)

    def _fail(self) -> None:
        self._heard_at = -math.inf

    def _take_status(self, data: bytes) -> None:
        self.status = engine_status.read(data) or self.status


def touches_of(items: list[Item]) -> int:
    """Return the number of touches in items for an engine."""
    return sum(len(item[2]) for item in items if item[0] == "t")
