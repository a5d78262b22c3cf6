"""WebSocket that drops messages where the other side is too slow, and so never waits for it."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Final

from aiohttp import web

from robojam.web import limits

#: Seconds that the other side has to answer the end of its socket.
CLOSING: Final = 1.0


class BoundedSocket:
    """Open socket of a page or a program."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket, self._transport = socket, transport
        self._full_since: float | None = None

    def has_room(self, now: float) -> bool:
        """Return whether a message can be sent without a wait."""
        if self._transport.get_write_buffer_size() < limits.MAX_UNSENT:
            self._full_since = None
            return True
        if self._full_since is None:
            self._full_since = now
        return False

    def is_stuck(self, now: float) -> bool:
        """Return whether the other side has been too slow for too long."""
        return self._full_since is not None and now - self._full_since > limits.MAX_SLOW

    async def send(self, message: str | bytes, now: float) -> bool:
        """Send a text or binary message, unless the other side is too slow; return whether."""
        if self.socket.closed or not self.has_room(now):
            return False
        with suppress(ConnectionError, RuntimeError):
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)
            return True
        return False

    async def close(self, code: int, reason: str) -> None:
        """Say why, and close the socket, whether the other side answers or not."""
        with suppress(ConnectionError, RuntimeError, asyncio.TimeoutError):
            async with asyncio.timeout(2 * CLOSING):
                if self.has_room(time.monotonic()):
                    await self.socket.send_str(json.dumps(["refused", reason]))
                await self.socket.close(code=code, message=reason.encode()[:120])
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:  # the reason may be read later
            self._transport.close()
