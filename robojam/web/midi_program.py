"""Program of the WebSocket for MIDI, which the engine starts.

It exchanges datagrams with the engine (robojam.system.process_messages): each socket is a port
by its number. What is malformed or too fast is stopped here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from robojam.config.addresses import is_host, is_loopback
from robojam.limits import RateLimiter, network_of
from robojam.system.process_messages import (
    ALIVE,
    DROPPED,
    ERROR,
    GONE,
    HOPELESS,
    MESSAGE,
    NO_PORT,
    OPENED,
    packet,
)
from robojam.web import child_program, limits
from robojam.web.bounded_socket import BoundedSocket
from robojam.web.connections import Connections, handler_of, listen
from robojam.wire.midi import slash_text, stream

#: Seconds between two signs of life to the engine.
_ALIVE_EVERY: Final = 1.0
#: Seconds for which it tries to listen.
_TRYING: Final = 10.0
#: The close codes of a socket that is too slow, and of one at the end.
_TOO_SLOW, _GOING_AWAY = 1013, 1001
#: Seconds that the sockets have at the end.
_CLOSING: Final = 1.0


class _Engine(asyncio.DatagramProtocol):
    """Connection to the engine."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._transport: asyncio.DatagramTransport | None = None
        self.server: MidiServer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.send(packet(ALIVE, data=self._token))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        if self.server is not None and chr(data[0]) == MESSAGE:
            self.server.hear(data[1], data[2:])

    def error_received(self, exc: Exception) -> None:
        """Do nothing: the engine has gone, and standard input ends."""

    def send(self, datagram: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(datagram)


class MidiServer:
    """Sockets that are open, by the numbers by which the engine knows them."""

    def __init__(self, engine: _Engine, origins: frozenset[str]) -> None:
        """Serve nobody yet; origins are those of pages elsewhere that may come, * is all."""
        self._engine, self._origins = engine, origins
        self.connections = Connections()
        self._sockets: dict[int, tuple[BoundedSocket, str]] = {}
        self._unsent: asyncio.Queue[tuple[int, str]] = asyncio.Queue(limits.MAX_WAITING)

    # -- from the engine --------------------------------------------------------------------

    def hear(self, number: int, data: bytes) -> None:
        """Take messages for a socket, or for all."""
        for message in stream.MidiParser().feed(data)[0]:
            if not self._unsent.full():
                self._unsent.put_nowait((number, slash_text.write(message)))

    async def send(self) -> None:
        """Send what the engine says, without end. A socket that is too slow misses some."""
        while True:
            number, text = await self._unsent.get()
            now = time.monotonic()
            for key, (socket, _) in list(self._sockets.items()):
                if number in (NO_PORT, key):
                    await socket.send(text, now)
                    if socket.is_stuck(now):
                        await socket.close(_TOO_SLOW, "too slow")

    async def close(self) -> None:
        """Send what is left, and close all sockets."""
        async with asyncio.timeout(_CLOSING):
            while not self._unsent.empty():
                await asyncio.sleep(0.01)
            sockets = [bounded.socket for bounded, _ in self._sockets.values()]
            await asyncio.gather(*(each.close(code=_GOING_AWAY) for each in sockets))

    # -- from the network -------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Open a socket, whatever its path; say what is here to what asks for none."""
        handler = handler_of(request)
        if "Upgrade" not in request.headers:
            return web.Response(status=426, text="Here is a WebSocket for MIDI.\n")
        if not may_come(request.headers.get("Origin"), request.host, self._origins):
            text = "Pages of this origin may not play here (--allow-origin).\n"
            return web.Response(status=403, text=text)
        number = self._place(handler.host)
        if number is None:
            return web.Response(status=503, text="All places are taken.\n")
        socket = web.WebSocketResponse(
            heartbeat=limits.HEARTBEAT, max_msg_size=limits.MAX_MIDI_TEXT, compress=False,
            timeout=1.0,
        )  # fmt: skip
        # Its place is taken before it is open: others may come meanwhile.
        assert request.transport is not None
        bounded = BoundedSocket(socket, request.transport)
        self._sockets[number] = bounded, handler.host
        try:
            await socket.prepare(request)
            self._engine.send(packet(OPENED, number, handler.host))
            await self._receive(number, socket)
        finally:
            del self._sockets[number]
            self._engine.send(packet(GONE, number))
        return socket

    def _place(self, host: str) -> int | None:
        """Return a number that is free, or None where a host, or all, have no more places."""
        network = network_of(host)
        of_host = sum(network_of(other) == network for _, other in self._sockets.values())
        if of_host >= limits.MAX_MIDI_OF_A_HOST:
            return None
        numbers = range(limits.MAX_MIDI_SOCKETS)
        return next((n for n in numbers if n not in self._sockets), None)

    async def _receive(self, number: int, socket: web.WebSocketResponse) -> None:
        limiter = RateLimiter(*limits.MESSAGES)
        while True:
            received = await socket.receive()
            if received.type is WSMsgType.TEXT:
                message = slash_text.parse(received.data)
                if message is None:
                    self._engine.send(packet(DROPPED, number, "no MIDI"))
                else:
                    self._engine.send(packet(MESSAGE, number, message))
            elif received.type is WSMsgType.BINARY:
                self._engine.send(packet(DROPPED, number, "no MIDI"))
            else:
                return
            limiter.charge(time.monotonic(), 1)
            if delay := limiter.wait(time.monotonic()):
                await asyncio.sleep(delay)  # the rest waits in the network


def may_come(origin: str | None, asked: str, origins: frozenset[str]) -> bool:
    """Return whether a socket may be opened for a page of an origin, None: for a program.

    asked is the host at which it was asked for. A page of the same host may, at any port, if
    the host is an address or this machine: a name could be another's that leads here.
    """
    if origin is None or "*" in origins or origin in origins:
        return True
    page, here = urlsplit(origin).hostname, urlsplit(f"//{asked}").hostname
    if page is None or page != here:
        return False
    is_address = ":" in page or (is_host(page) and page.rpartition(".")[2].isdecimal())
    return is_address or page == "localhost" or is_loopback(page)


async def _serve(given: dict[str, Any], ended: asyncio.Event) -> int:
    loop = asyncio.get_running_loop()
    _, engine = await loop.create_datagram_endpoint(
        lambda: _Engine(given["token"]), remote_addr=("127.0.0.1", given["port"])
    )
    server = MidiServer(engine, frozenset(given["origins"]))
    end = time.monotonic() + _TRYING
    while True:
        try:
            servers, port = await listen(server, [given["host"]], given["listen"])
            break
        except OSError as error:  # the program of an engine before may not have ended yet
            if ended.is_set() or time.monotonic() > end:
                engine.send(packet(ERROR, data=error.strerror or str(error)))
                return HOPELESS
        engine.send(packet(ALIVE))
        await asyncio.sleep(_ALIVE_EVERY)
    engine.server = server
    engine.send(packet(OPENED, data=str(port)))
    sending = asyncio.create_task(server.send())
    async for _ in child_program.beats(ended, _ALIVE_EVERY):
        engine.send(packet(ALIVE))
    for each in servers:
        each.close()
    await asyncio.sleep(0.02)  # what the engine said last is received
    with suppress(TimeoutError):
        await server.close()
    sending.cancel()
    return 0


def main() -> int:
    """Serve until standard input ends."""
    return child_program.run(_serve)


if __name__ == "__main__":
    sys.exit(main())
