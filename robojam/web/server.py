"""Web server of the pads: the page, its files and its socket (aiohttp)."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from robojam.config.addresses import is_loopback, is_wildcard
from robojam.limits import HostLimiter
from robojam.web import limits, osc_query, protocol
from robojam.web.api import Api
from robojam.web.api_server import answer_api, health
from robojam.web.connections import Connections, handler_of, listen
from robojam.web.osc_sockets import OscSockets
from robojam.web.pads import (
    HEADERS,
    OTHER_ORIGIN,
    Pads,
    answer_file,
    is_same_origin,
    open_socket,
    plain,
)
from robojam.web.room import Room


class WebServer:
    """Pages and sockets of one jam, by one token, which can be revoked."""

    def __init__(
        self,
        room: Room,
        *,
        token: str,
        osc: tuple[str, int],
        api: Api,
        on_change: Callable[[], None],
    ) -> None:
        """Serve a room; on_change is called when token, door or number of pages change.

        osc is where the engine listens, as OSCQuery tells it to programs that can reach it.
        api is the HTTP API, which is served beside the pads.
        """
        self._api = api
        self._osc = osc
        self._listeners = OscSockets(on_change=on_change, drop=room.drop_of)
        self.room = room
        self.pads = Pads(room, token=token, on_change=on_change, on_tick=self._listeners.tick)
        self.connections = Connections()
        self._requests = HostLimiter(*limits.REQUESTS, limits.MAX_HOSTS)
        self._task: asyncio.Task[None] | None = None
        self._servers: list[asyncio.Server] = []

    async def listen(
        self, hosts: list[str], port: int, secure: ssl.SSLContext | None = None
    ) -> int:
        """Listen at a port of some addresses; return the port. Raises OSError.

        secure: all is served by https, with this context.
        """
        self._servers, port = await listen(self, hosts, port, secure)
        self.pads.start()
        self._task = asyncio.create_task(self._listeners.run())
        return port

    async def close(self) -> None:
        """Close all sockets."""
        if self._task is not None:
            self._task.cancel()
        for server in self._servers:
            server.close()
        closing = [each.close(1001, "the jam has ended") for each in self._listeners.open]
        await asyncio.gather(self.pads.close(), *closing, return_exceptions=True)

    def hear(self, message: Any) -> None:
        """Take a message of the engine."""
        self.pads.hear(message)
        if message[0] == "f":
            self._listeners.hear(message[1])
        elif message[0] == "state":
            self._listeners.show(self.room.jam)

    @property
    def listeners(self) -> int:
        """Number of programs that listen by OSCQuery."""
        return len(self._listeners)

    # -- requests --------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""
        handler = handler_of(request)
        if not self._requests.take(handler.host, time.monotonic()):
            return plain(429, "Too many requests.\n")
        if self._api.answers(request.path):
            return await answer_api(self._api, request, handler, self.pads.token)
        if request.method not in ("GET", "HEAD"):
            return plain(405, "Only GET is answered here.\n")
        if request.path == "/v1/health":
            return health(
                self._api,
                protocol=protocol.VERSION,
                connections=len(self.room),
                players=self.room.players,
            )
        if request.path.startswith("/pad/"):
            return await answer_file(request.path.removeprefix("/pad/"))
        if request.path not in ("/", "/v1/socket") or _is_osc_query(request):
            if is_loopback(self._osc[0]) and not is_loopback(handler.host):
                return plain(403, "The engine listens to its own machine alone (--osc-in).\n")
            if "Upgrade" in request.headers:
                return await self._osc_listen(request, handler.host)
            return self._osc_query(request)
        return await self.pads.answer(request, handler, request.path)

    def _osc_query(self, request: web.BaseRequest) -> web.Response:
        """Answer OSCQuery, for machines that the engine listens to."""
        osc_host, port = self._osc
        node = osc_query.node(request.path, self.room.jam)
        if node is None:
            return plain(404, "There is nothing here.\n")
        asked = request.query_string
        if asked == "HOST_INFO":
            named = "" if is_wildcard(osc_host) else osc_host
            node = osc_query.host_info((named, port), "robojam")
        elif asked:
            if asked not in osc_query.ATTRIBUTES:
                return plain(400, "No such attribute.\n")
            if asked not in node:
                return web.Response(status=204, headers=HEADERS)
            node = {asked: node[asked]}
        return web.json_response(node, headers=HEADERS)

    async def _osc_listen(self, request: web.BaseRequest, host: str) -> web.StreamResponse:
        """Let a program listen to addresses, for as long as its socket is open."""
        if not is_same_origin(request):
            return plain(403, OTHER_ORIGIN)
        if refusal := self._listeners.refusal(host):
            return plain(503, f"{refusal}\n")
        socket, opened = await open_socket(request)
        if opened is not None:
            await self._listeners.serve(opened, host)
        return socket


def _is_osc_query(request: web.BaseRequest) -> bool:
    """Return whether a request for the root is one of OSCQuery, and not for the page."""
    asked = request.query_string
    by_hand = "text/html" in request.headers.get("Accept", "")
    is_query = asked in ("HOST_INFO", *osc_query.ATTRIBUTES)
    return request.path == "/" and (is_query or (not asked and not by_hand))
