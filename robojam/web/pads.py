"""Pads of one room: the page and its files, the sockets of its pages, and their token."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from robojam.config.roles import Role
from robojam.web import limits, protocol
from robojam.web.api_server import has_token
from robojam.web.bounded_socket import CLOSING, BoundedSocket
from robojam.web.connections import Handler
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
HEADERS: Final = {
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
OTHER_ORIGIN: Final = "A page of another address may not play here.\n"
#: Pages that are sent a picture before touches are looked for again.
_PIECE: Final = 8
#: Seconds between two lists of the players.
_LIST = 0.5


class Pads:
    """Pages and sockets of one jam, by one token, which can be revoked."""

    def __init__(
        self,
        room: Room,
        *,
        token: str,
        on_change: Callable[[], None],
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve a room; on_change is called when token, door or number of pages change.

        on_tick is called about once a second.
        """
        self.room, self.token = room, token
        self._on_change, self._on_tick = on_change, on_tick
        self._open: dict[str, BoundedSocket] = {}
        self._picture_due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Send pictures and reports from now on."""
        self._tasks = [
            asyncio.create_task(self._send_pictures()),
            asyncio.create_task(self._tick()),
        ]

    async def close(self) -> None:
        """Close all sockets."""
        for task in self._tasks:
            task.cancel()
        ended = "the jam has ended"
        pads = [pad.close(1001, ended) for pad in self._open.values()]
        await asyncio.gather(*pads, return_exceptions=True)

    async def answer(
        self, request: web.BaseRequest, handler: Handler, path: str
    ) -> web.StreamResponse:
        """Answer a request for the page, at "/", or for its socket."""
        if not has_token(request, self.token):
            return plain(403, _NO_TOKEN)
        if path == "/":
            return page_file("index.html", cached="no-store")
        if not is_same_origin(request):
            return plain(403, OTHER_ORIGIN)
        return await self._socket(request, handler)

    # -- sockets ---------------------------------------------------------------------------

    async def _socket(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        answer, pad = await open_socket(request)
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
        # Others may have come meanwhile.
        if refusal := self.room.refusal(handler.host, now, hello):
            await pad.close(protocol.FULL, refusal)
            return socket
        before = self.room.present(hello.key) if hello.key else None
        if before is not None:  # its network has changed, and nobody has closed that socket
            self.room.leave(before)
            if (old := self._open.pop(before.id, None)) is not None:
                self._later(old.close(protocol.NOT_ALLOWED, "opened again"))
        new_key = secrets.token_urlsafe(12)
        visitor = self.room.enter(handler.host, hello, new_key=new_key, now=now)
        self._open[visitor.id] = pad
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
            if self._open.get(visitor.id) is pad:
                del self._open[visitor.id]
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
                    await self.renew_token(secrets.token_urlsafe(12))
                case HostRequest():
                    was_locked = self.room.locked
                    closing = self.room.host(visitor, message, now)
                    if self.room.locked != was_locked:
                        await self._send_all(self.room.door())
                    self._on_change()
                    if closing is not None and closing.id in self._open:
                        await self._open[closing.id].close(protocol.NOT_ALLOWED, "removed")
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

    async def renew_token(self, token: str) -> None:
        """Take a new token, and close the pages of all but hosts, who are sent it."""
        self.token = token
        self._on_change()
        hosts, others = list[BoundedSocket](), list[BoundedSocket]()
        for name, pad in self._open.items():
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
        if message[0] == "role" and (told := self.room.take_role(*message[1:])):
            visitor, text = told
            if visitor.id in self._open:
                self._later(self._send_to([self._open[visitor.id]], text))
        if self.room.has_picture:
            self._picture_due.set()

    def _later(self, act: Coroutine[Any, Any, None]) -> None:
        """Do something without waiting for it."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(act))

    async def _send_all(self, text: str) -> None:
        await self._send_to(list(self._open.values()), text)

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
            for number, (name, pad) in enumerate(list(self._open.items())):
                if number % _PIECE == _PIECE - 1:
                    await asyncio.sleep(0)  # touches come first
                visitor = self.room.visitors.get(name)
                if visitor is not None and (text := of(visitor)):
                    await pad.send(text, now)
            rate = min(limits.PICTURES, limits.ALL_PICTURES / max(1, len(self._open)))
            await asyncio.sleep(max(0.0, 1 / rate - (time.monotonic() - now)))

    async def _tick(self) -> None:
        """Report to the engine, send the list of players, and close pages that are stuck."""
        beats = 0
        while True:
            await asyncio.sleep(_LIST if self._open else 2 * _LIST)
            now, beats = time.monotonic(), beats + 1
            if self.room.players_changed and self._open:
                await self._send_all(self.room.who_is_here())
            if beats % 2 == 0 or not self._open:
                self.room.report()
                self._on_change()
            for pad in list(self._open.values()):
                if pad.is_stuck(now):
                    self._later(pad.close(protocol.TOO_SLOW, "too slow"))
            self._on_tick()


def _read(received: Any) -> protocol.Message | None:
    """Return what a page has sent, or None at the end. Raises MalformedError."""
    if received.type is WSMsgType.TEXT:
        return protocol.parse(received.data)
    if received.type is WSMsgType.BINARY:
        raise MalformedError("not text")
    return None


async def open_socket(
    request: web.BaseRequest,
) -> tuple[web.StreamResponse, BoundedSocket | None]:
    """Open a socket; return the answer, and the socket unless the answer is a refusal."""
    socket = web.WebSocketResponse(
        heartbeat=limits.HEARTBEAT, max_msg_size=limits.MAX_MESSAGE, compress=False,
        timeout=CLOSING,
    )  # fmt: skip
    if not socket.can_prepare(request):
        return plain(426, "This is the address of a socket.\n"), None
    await socket.prepare(request)
    transport = request.transport
    return socket, None if transport is None else BoundedSocket(socket, transport)


def is_same_origin(request: web.BaseRequest) -> bool:
    """Return whether a socket is asked for by a page of this server, or by no page."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


@cache
def _files() -> dict[str, bytes]:
    return {
        path.relative_to(_PAGE).as_posix(): path.read_bytes()
        for path in _PAGE.rglob("*")
        if path.is_file() and path.suffix in _TYPES
    }


async def answer_file(name: str) -> web.Response:
    """Answer a request for a file of the page, at /pad/NAME."""
    if name == _SOUND and name not in _files():
        _files()[name] = await asyncio.to_thread(_sound_tables)
    return page_file(name, cached="no-cache")


def page_file(name: str, *, cached: str) -> web.Response:
    """Return a file of the page as an answer; cached is its Cache-Control."""
    data = _files().get(name)
    if data is None:
        return plain(404, "There is nothing here.\n")
    headers = {
        **HEADERS, "Cache-Control": cached, "Content-Type": _TYPES[Path(name).suffix],
    }  # fmt: skip
    return web.Response(body=data, headers=headers)


def _sound_tables() -> bytes:
    from robojam.web.pad_sound import sound_tables  # and numpy, which most jams do without here

    return sound_tables()


def plain(status: int, text: str) -> web.Response:
    """Return an answer of plain text."""
    return web.Response(status=status, text=text, headers=HEADERS)
