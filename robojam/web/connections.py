"""Connections of an HTTP server: how many there may be, and for how long they may be silent."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from robojam.config.addresses import canonical_host, is_loopback
from robojam.limits import network_of
from robojam.web import limits

_NO_LOG: Final = logging.getLogger(f"{__name__}.requests")
_NO_LOG.disabled = True
#: Seconds that a client has to end https.
_CLOSING: Final = 1.0


class Connections:
    """Count of the connections that are open: in all, and of each host."""

    def __init__(self) -> None:
        self._opened = Counter[str]()

    def opened(self, host: str) -> bool:
        """Count a connection; return whether it may stay."""
        network, here = network_of(host), is_loopback(host)
        most = limits.MAX_CONNECTIONS - (0 if here else limits.MAX_OF_A_HOST)
        of_host = 2 * limits.MAX_OF_A_HOST
        if self._opened.total() >= most or self._opened[network] >= of_host:
            return False
        self._opened[network] += 1
        return True

    def closed(self, host: str) -> None:
        """Count a connection that has ended."""
        network = network_of(host)
        self._opened[network] -= 1
        if self._opened[network] <= 0:
            del self._opened[network]


class Application(Protocol):
    """What answers the requests of a server."""

    connections: Connections

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""


class Handler(RequestHandler):
    """Connection of a client, which is closed where it asks for nothing."""

    __slots__ = ("_connections", "_counted", "asked", "host", "task")

    _connections: Connections
    host: str
    asked: bool
    #: What ends with the connection: it works for this client alone.
    task: asyncio.Task[object] | None
    _counted: bool

    def count(self, transport: asyncio.BaseTransport) -> bool:
        """Count a new connection; abort it and return False where there are too many."""
        peer = transport.get_extra_info("peername") or ("", 0)
        self.host, self.asked, self.task = canonical_host(str(peer[0])), False, None
        self._counted = self._connections.opened(self.host)
        if not self._counted:
            transport.abort()  # type: ignore[attr-defined]
        return self._counted

    def uncount(self) -> None:
        """Count that the connection has ended."""
        if self._counted:
            self._counted = False
            self._connections.closed(self.host)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if self._counted or self.count(transport):
            asyncio.get_running_loop().call_later(limits.PATIENCE, self._expire)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, with what is done for this client."""
        self.uncount()
        if self.task is not None:
            self.task.cancel()
        super().connection_lost(exc)

    def _expire(self) -> None:
        if not self.asked and self.transport is not None:
            self.transport.abort()


class _Handshake(asyncio.Protocol):
    """Connection of a client before the handshake of https, which is counted as one, too."""

    def __init__(self, serve: Callable[[], Handler], context: ssl.SSLContext) -> None:
        self._serve, self._context = serve, context
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse what is too much; shake hands, and pass the connection on."""
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()  # what comes is for the handshake
        handler = self._serve()
        if handler.count(transport):
            self._task = asyncio.create_task(self._shake_hands(transport, handler))

    async def _shake_hands(self, transport: asyncio.Transport, handler: Handler) -> None:
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, handler, self._context, server_side=True,
                ssl_handshake_timeout=limits.PATIENCE, ssl_shutdown_timeout=_CLOSING,
            )  # fmt: skip
        except (OSError, ssl.SSLError):
            handler.uncount()
            transport.abort()
        else:
            if encrypted is None:  # it has ended meanwhile
                handler.uncount()
            else:
                handler.connection_made(encrypted)


def handler_of(request: web.BaseRequest) -> Handler:
    """Return the connection of a request, of which it is noted that it asks for something."""
    handler = request.protocol
    assert isinstance(handler, Handler)
    handler.asked = True
    return handler


class Server(web.Server):
    """Factory of the connections of an application."""

    def __init__(self, application: Application) -> None:
        super().__init__(application.answer)
        self._application = application

    def __call__(self) -> Handler:
        """Return the handler of a new connection."""
        handler = Handler(
            self, loop=self._loop, access_log=_NO_LOG, keepalive_timeout=limits.PATIENCE,
            max_line_size=2048, max_field_size=4096, max_headers=64, lingering_time=1.0,
            read_bufsize=limits.MAX_MESSAGE,
        )  # fmt: skip
        handler._connections, handler._counted = self._application.connections, False
        return handler


async def listen(
    application: Application,
    hosts: list[str],
    port: int,
    secure: ssl.SSLContext | None = None,
) -> tuple[list[asyncio.Server], int]:
    """Listen at a port of some addresses; return the servers, and the port. Raises OSError.

    secure: all is served by https, with this context.
    """
    loop, served = asyncio.get_running_loop(), Server(application)
    factory = served if secure is None else lambda: _Handshake(served, secure)
    servers: list[asyncio.Server] = []
    for number, host in enumerate(hosts):
        try:
            server = await loop.create_server(factory, host, port, backlog=256)
        except OSError:
            if not number or host != "::":  # a system without IPv6
                raise
            continue
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
    return servers, port
