"""Web server of the pads: the page, its files and its socket (aiohttp)."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from robojam.config.addresses import is_loopback, is_wildcard
from robojam.config.roles import Role
from robojam.limits import HostLimiter
from robojam.web import limits, osc_query, protocol
from robojam.web.api import Api
from robojam.web.api_server import answer_api, has_token, health
from robojam.web.bounded_socket import CLOSING, BoundedSocket
from robojam.web.connections import Connections, Handler, handler_of, listen
from robojam.web.osc_sockets import OscSockets
from robojam.web.protocol import (
    ControlRequest,
    Hello,
    HostRequest,
    MalformedError,
    Name,
    Ping,
)
from robojam.web.room import Room, Visitor

_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: File that is made when a page asks for it first.
_SOUND: Final = "sound.json"
_NO_TOKEN: Final = "This address needs the token of this jam: scan the code again.\n"
_OTHER_ORIGIN: Final = "A page of another address may not play here.\n"
#: Pages that are sent a picture before touches are looked for again.
_PIECE: Final = 8
#: Seconds between two lists of who is there.
_LIST = 0.5


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
        self.room, self.token, self._on_change = room, token, on_change
        self.pads: dict[str, BoundedSocket] = {}
        self.connections = Connections()
        self._requests = HostLimiter(*limits.REQUESTS, limits.MAX_HOSTS)
        self._files: dict[str, bytes] = {
            path.relative_to(_PAGE).as_posix(): path.read_bytes()
            for path in _PAGE.rglob("*")
            if path.is_file() and path.suffix in _TYPES
        }
        self._picture_due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[asyncio.Server] = []

    async def listen(
        self, hosts: list[str], port: int, secure: ssl.SSLContext | None = None
    ) -> int:
        """Listen at a port of some addresses; return the port. Raises OSError.

        secure: all is served by https, with this context.
        """
        self._servers, port = await listen(self, hosts, port, secure)
        self._tasks = [
            asyncio.create_task(self._send_pictures()),
            asyncio.create_task(self._tick()),
            asyncio.create_task(self._listeners.run()),
        ]
        return port

    async def close(self) -> None:
        """Close all sockets."""
        for task in self._tasks:
            task.cancel()
        for server in self._servers:
            server.close()
        ended = "the jam has ended"
        pads = [pad.close(1001, ended) for pad in (*self.pads.values(), *self._listeners.open)]
        await asyncio.gather(*pads, return_exceptions=True)

    @property
    def listeners(self) -> int:
        """Number of programs that listen by OSCQuery."""
        return len(self._listeners)

    # -- requests --------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""
        handler = handler_of(request)
        if not self._requests.take(handler.host, time.monotonic()):
            return _plain(429, "Too many requests.\n")
        if self._api.answers(request.path):
            return await answer_api(self._api, request, handler, self.token)
        if request.method not in ("GET", "HEAD"):
            return _plain(405, "Only GET is answered here.\n")
        if request.path == "/v1/health":
            return health(
                self._api,
                protocol=protocol.VERSION,
                connections=len(self.room),
                players=self.room.players,
            )
        if request.path.startswith("/pad/"):
            name = request.path.removeprefix("/pad/")
            if name == _SOUND and name not in self._files:
                self._files[name] = await asyncio.to_thread(_sound_tables)
            return self._file(name, cache="no-cache")
        if request.path not in ("/", "/v1/socket") or _is_osc_query(request):
            if is_loopback(self._osc[0]) and not is_loopback(handler.host):
                return _plain(403, "The engine listens to its own machine alone (--osc-in).\n")
            if "Upgrade" in request.headers:
                return await self._osc_listen(request, handler.host)
            return self._osc_query(request)
        if not has_token(request, self.token):
            return _plain(403, _NO_TOKEN)
        if request.path == "/":
            return self._file("index.html", cache="no-store")
        if not _is_same_origin(request):
            return _plain(403, _OTHER_ORIGIN)
        return await self._socket(request, handler)

    def _osc_query(self, request: web.BaseRequest) -> web.Response:
        """Answer OSCQuery, for machines that the engine listens to."""
        osc_host, port = self._osc
        node = osc_query.node(request.path, self.room.jam)
        if node is None:
            return _plain(404, "There is nothing here.\n")
        asked = request.query_string
        if asked == "HOST_INFO":
            named = "" if is_wildcard(osc_host) else osc_host
            node = osc_query.host_info((named, port), "robojam")
        elif asked:
            if asked not in osc_query.ATTRIBUTES:
                return _plain(400, "No such attribute.\n")
            if asked not in node:
                return web.Response(status=204, headers=_HEADERS)
            node = {asked: node[asked]}
        return web.json_response(node, headers=_HEADERS)

    async def _osc_listen(self, request: web.BaseRequest, host: str) -> web.StreamResponse:
        """Let a program listen to addresses, for as long as its socket is open."""
        if not _is_same_origin(request):
            return _plain(403, _OTHER_ORIGIN)
        if refusal := self._listeners.refusal(host):
            return _plain(503, f"{refusal}\n")
        socket, opened = await self._open(request)
        if opened is not None:
            await self._listeners.serve(opened, host)
        return socket

    def _file(self, name: str, *, cache: str) -> web.Response:
        data = self._files.get(name)
        if data is None:
            return _plain(404, "There is nothing here.\n")
        headers = {
            **_HEADERS, "Cache-Control": cache, "Content-Type": _TYPES[Path(name).suffix],
        }  # fmt: skip
        return web.Response(body=data, headers=headers)

    # -- sockets ---------------------------------------------------------------------------

    async def _open(
        self, request: web.BaseRequest
    ) -> tuple[web.StreamResponse, BoundedSocket | None]:
        """Open a socket; return the answer, and the socket unless the answer is a refusal."""
        socket = web.WebSocketResponse(
            heartbeat=limits.HEARTBEAT, max_msg_size=limits.MAX_MESSAGE, compress=False,
            timeout=CLOSING,
        )  # fmt: skip
        if not socket.can_prepare(request):
            return _plain(426, "This is the address of a socket.\n"), None
        await socket.prepare(request)
        transport = request.transport
        return socket, None if transport is None else BoundedSocket(socket, transport)

    async def _socket(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        answer, pad = await self._open(request)
        if pad is None:
            return answer
        socket = pad.socket
        now = time.monotonic()
        if refusal := self.room.refusal(handler.host, now):
            await pad.close(protocol.FULL, refusal)
            return socket
        try:
            async with asyncio.timeout(limits.HELLO):
                first = await socket.receive()
        except TimeoutError:
            await pad.close(protocol.NO_HELLO, "no hello")
            return socket
        try:
            hello = _read(first)
        except MalformedError as error:
            await pad.close(protocol.MALFORMED, str(error))
            return socket
        if hello is None:
            return socket
        if not isinstance(hello, Hello):
            await pad.close(protocol.NO_HELLO, "the first message is no hello")
            return socket
        if refusal := self.room.refusal(handler.host, now):  # others may have come meanwhile
            await pad.close(protocol.FULL, refusal)
            return socket
        before = self.room.present(hello.key) if hello.key else None
        if before is not None:  # its network has changed, and nobody has closed that socket
            self.room.leave(before)
            if (old := self.pads.pop(before.id, None)) is not None:
                self._later(old.close(protocol.NOT_ALLOWED, "opened again"))
        new_key = secrets.token_urlsafe(12)
        visitor = self.room.enter(handler.host, hello, new_key=new_key, now=now)
        self.pads[visitor.id] = pad
        self._on_change()
        try:
            for text in (
                self.room.welcome(visitor), self.room.whose_turn(), self.room.who_is_here()
            ):  # fmt: skip
                await pad.send(text, now)
            self.room.players_changed = True
            await self._receive(visitor, pad)
        except MalformedError as error:
            self.room.leave(visitor)
            await pad.close(protocol.MALFORMED, str(error))
        finally:
            if self.room.visitors.get(visitor.id) is visitor:
                self.room.leave(visitor)
            if self.pads.get(visitor.id) is pad:
                del self.pads[visitor.id]
            self._on_change()
        return socket

    async def _receive(self, visitor: Visitor, pad: BoundedSocket) -> None:
        """Handle the messages of a page until its socket ends. Raises MalformedError."""
        while True:
            received = await pad.socket.receive()
            message = _read(received)
            if message is None:
                return
            now, touches = time.monotonic(), 0
            match message:
                case list():
                    touches = sum(len(each.touches) + len(each.dropped) for each in message)
                    self.room.play(visitor, message, now)
                case Ping(number):
                    await pad.send(json.dumps(["pong", number]), now)
                case Name(name):
                    self.room.name(visitor, name)
                case ControlRequest():
                    self.room.control(visitor, message)
                case HostRequest(act="token") if visitor.role is Role.HOST:
                    await self._renew_token()
                case HostRequest():
                    was_locked = self.room.locked
                    closing = self.room.host(visitor, message, now)
                    if self.room.locked != was_locked:
                        await self._send_all(self.room.door())
                    self._on_change()
                    if closing is not None and closing.id in self.pads:
                        await self.pads[closing.id].close(protocol.NOT_ALLOWED, "removed")
                case Hello():
                    raise MalformedError("a second hello")
            delay = visitor.delay(now, touches, len(received.data))
            if visitor.is_flood(now, delay):
                self.room.drop(visitor, "flood")
                self.room.leave(visitor)
                await pad.close(protocol.TOO_MANY, "too many messages")
                return
            if delay:
                await asyncio.sleep(delay)

    async def _renew_token(self) -> None:
        """Make a new token, and close the pages of all but hosts, who are sent it."""
        self.token = secrets.token_urlsafe(12)
        self._on_change()
        hosts, others = list[BoundedSocket](), list[BoundedSocket]()
        for name, pad in self.pads.items():
            visitor = self.room.visitors.get(name)
            is_host = visitor is not None and visitor.role is Role.HOST
            (hosts if is_host else others).append(pad)
        await self._send_to(hosts, json.dumps(["token", self.token]))
        closing = [pad.close(protocol.NOT_ALLOWED, "the token was revoked") for pad in others]
        await asyncio.gather(*closing, return_exceptions=True)

    # -- what all are sent -----------------------------------------------------------------

    def hear(self, message: Any) -> None:
        """Take a message of the engine."""
        for text in self.room.hear(message):
            self._later(self._send_all(text))
        if message[0] == "f":
            self._listeners.hear(message[1])
        elif message[0] == "state":
            self._listeners.show(self.room.jam)
        elif message[0] == "role" and (told := self.room.take_role(*message[1:])):
            visitor, text = told
            if visitor.id in self.pads:
                self._later(self._send_to([self.pads[visitor.id]], text))
        if self.room.has_picture:
            self._picture_due.set()

    def _later(self, act: Coroutine[Any, Any, None]) -> None:
        """Do something without waiting for it."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(act))

    async def _send_all(self, text: str) -> None:
        await self._send_to(list(self.pads.values()), text)

    async def _send_to(self, pads: list[BoundedSocket], text: str) -> None:
        now = time.monotonic()
        for pad in pads:
            await pad.send(text, now)

    async def _send_pictures(self) -> None:
        """Send what was played: at once after a pause, then at the rate of pictures."""
        while True:
            await self._picture_due.wait()
            self._picture_due.clear()
            if not self.room.has_picture:
                continue
            now, of = time.monotonic(), self.room.picture()
            for number, (name, pad) in enumerate(list(self.pads.items())):
                if number % _PIECE == _PIECE - 1:
                    await asyncio.sleep(0)  # touches come first
                visitor = self.room.visitors.get(name)
                if visitor is not None and (text := of(visitor)):
                    await pad.send(text, now)
            rate = min(limits.PICTURES, limits.ALL_PICTURES / max(1, len(self.pads)))
            await asyncio.sleep(max(0.0, 1 / rate - (time.monotonic() - now)))

    async def _tick(self) -> None:
        """Report to the engine, send who is there, and close pages that are stuck."""
        beats = 0
        while True:
            await asyncio.sleep(_LIST if self.pads else 2 * _LIST)
            now, beats = time.monotonic(), beats + 1
            if self.room.players_changed and self.pads:
                await self._send_all(self.room.who_is_here())
            if beats % 2 == 0 or not self.pads:
                self.room.report()
                self._on_change()
            for pad in list(self.pads.values()):
                if pad.is_stuck(now):
                    self._later(pad.close(protocol.TOO_SLOW, "too slow"))
            self._listeners.tick()


def _read(received: Any) -> protocol.Message | None:
    """Return what a page has sent, or None at the end. Raises MalformedError."""
    if received.type is WSMsgType.TEXT:
        return protocol.parse(received.data)
    if received.type is WSMsgType.BINARY:
        raise MalformedError("not text")
    return None


def _sound_tables() -> bytes:
    from robojam.web.pad_sound import sound_tables  # and numpy, which most jams do without here

    return sound_tables()


def _is_same_origin(request: web.BaseRequest) -> bool:
    """Return whether a socket is asked for by a page of this server, or by no page."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _is_osc_query(request: web.BaseRequest) -> bool:
    """Return whether a request for the root is one of OSCQuery, and not for the page."""
    asked = request.query_string
    by_hand = "text/html" in request.headers.get("Accept", "")
    is_query = asked in ("HOST_INFO", *osc_query.ATTRIBUTES)
    return request.path == "/" and (is_query or (not asked and not by_hand))


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers=_HEADERS)
