"""HTTP server of the API: alone, without a jam; and what it shares with the server of pads."""

from __future__ import annotations

import asyncio
import hmac
import ssl
import time
from typing import Any, Final

import msgspec
from aiohttp import web

from robojam import __version__
from robojam.config.addresses import is_loopback
from robojam.limits import HostLimiter
from robojam.web import limits, metrics
from robojam.web.api import Api, fault
from robojam.web.connections import Connections, Handler, handler_of, listen

_WAIT: Final = 0.05


def has_token(request: web.BaseRequest, token: str) -> bool:
    """Return whether a request has a token: in its address, or as a bearer."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    given = bearer or request.query.get("token", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def answer_api(
    api: Api, request: web.BaseRequest, handler: Handler, token: str
) -> web.Response:
    """Answer a request for the API, unless it lacks the token; "" stands for no token.

    The work is dropped when the client goes.
    """
    if token and request.method != "OPTIONS" and not has_token(request, token):
        reason = "the token is missing or wrong: ?token=… or Authorization: Bearer …"
        return fault(401, reason, **{"WWW-Authenticate": "Bearer"})
    handler.task = asyncio.current_task()
    try:
        return await api.answer(request, handler.host)
    finally:
        handler.task = None


class ApiServer:
    """Server of the API, by a token or without one."""

    def __init__(self, api: Api, *, token: str = "") -> None:
        """Serve an API; "" stands for no token."""
        self._api, self._token = api, token
        self.connections = Connections()
        self._requests = HostLimiter(*limits.REQUESTS, limits.MAX_HOSTS)
        self._servers: list[asyncio.Server] = []
        self._open = 0
        self._ends = False
        self._began = time.monotonic()

    async def listen(
        self, hosts: list[str], port: int, secure: ssl.SSLContext | None = None
    ) -> int:
        """Listen at a port of some addresses; return the port. Raises OSError.

        secure: all is served by https, with this context.
        """
        self._servers, port = await listen(self, hosts, port, secure)
        return port

    async def close(self, patience: float) -> None:
        """Take no more connections, and end when what is asked for is answered.

        What is not answered after `patience` seconds is dropped.
        """
        self._ends = True
        for server in self._servers:
            server.close()
        until = time.monotonic() + patience
        while self._open and time.monotonic() < until:
            await asyncio.sleep(_WAIT)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""
        handler = handler_of(request)
        self._open += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self._open -= 1
        if self._ends:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, handler: Handler) -> web.Response:
        here = is_loopback(handler.host)  # a proxy, perhaps, which asks for many
        if not here and not self._requests.take(handler.host, time.monotonic()):
            return fault(429, "this host asks too often: try again", **{"Retry-After": "1"})
        if request.path == "/v1/health" and request.method in ("GET", "HEAD"):
            return health(self._api, seconds=round(time.monotonic() - self._began))
        if request.path == "/metrics" and request.method in ("GET", "HEAD"):
            text = metrics.prometheus(self._api.report())
            return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})
        if not self._api.answers(request.path):
            return fault(404, f"there is nothing at {request.path:.60}: see /v1/openapi.json")
        return await answer_api(self._api, request, handler, self._token)


def health(api: Api, **more: Any) -> web.Response:
    """Return what is up, and what it does; more goes before it."""
    about = {"status": "ok", "version": __version__, **more, "api": api.report()}
    return web.Response(body=msgspec.json.encode(about), content_type="application/json")
