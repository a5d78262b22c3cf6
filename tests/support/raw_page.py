"""Socket of a page without a library of WebSockets: cheap, and free to misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

_PING, _TEXT, _CLOSE = 0x89, 0x81, 0x88
#: Any key will do: what the server makes of it is not looked at.
_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class RawPage(asyncio.Protocol):
    """Page that answers pings and reads nothing else but its welcome; its frames are masked
    with zeros.

    welcomed gets the message with which it is welcomed, ended is set when the connection ends,
    and messages counts what was received.
    """

    def __init__(self, url: str, hello: dict[str, Any]) -> None:
        """Say hello to the pad at an address, with its token."""
        parts = urlsplit(url)
        path = f"{parts.path}v1/socket?{parts.query}"
        self._request = _REQUEST.format(path=path, host=parts.netloc).encode()
        self._hello, self._data, self._open = hello, b"", False
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.ended = asyncio.Event()
        self.silent = False  # no ping is answered any more
        self.messages = 0

    @classmethod
    async def connect(cls, url: str, *, host: str = "127.0.0.1", **hello: Any) -> RawPage:
        """Open a page from an address of this machine. Raises ConnectionError."""
        parts = urlsplit(url)
        _, page = await asyncio.get_running_loop().create_connection(
            lambda: cls(url, hello), parts.hostname, parts.port, local_addr=(host, 0)
        )
        return page

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a socket."""
        self.transport: Any = transport
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it has ended."""
        self.ended.set()
        if not self.welcomed.done():
            self.welcomed.set_exception(exc or ConnectionError("not welcomed"))
            self.welcomed.exception()  # nobody may be waiting for it

    def data_received(self, data: bytes) -> None:
        """Answer pings, and note the welcome."""
        data = self._data + data
        if not self._open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._data = head
                return
            if b" 101 " not in head:
                self.transport.abort()
                return
            self._open = True
            self.send("hello", 1, self._hello)
        while len(data) >= 2:
            size, at = data[1], 2
            if size == 126:
                size, at = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, at = int.from_bytes(data[2:10], "big"), 10
            if len(data) < at + size:
                break
            self._take(data[0], data[at : at + size])
            data = data[at + size :]
        self._data = data

    def _take(self, kind: int, body: bytes) -> None:
        self.messages += 1
        if kind == _PING and not self.silent:
            self.transport.write(frame(body, kind=0x8A))
        elif kind == _CLOSE:
            self.transport.close()
        elif kind == _TEXT and not self.welcomed.done() and body.startswith(b'["welcome"'):
            self.welcomed.set_result(json.loads(body)[2])

    def send(self, *message: Any) -> None:
        """Send a message."""
        self.transport.write(frame(json.dumps(message, separators=(",", ":")).encode()))

    def reset(self) -> None:
        """End the connection by a reset, as a system does whose program is gone."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.abort()


def frame(body: bytes, *, kind: int = _TEXT) -> bytes:
    """Return a frame, masked with zeros."""
    if len(body) < 126:
        size = bytes((0x80 | len(body),))
    else:
        size = b"\xfe" + len(body).to_bytes(2, "big")
    return bytes((kind,)) + size + bytes(4) + body
