"""Pages of a running engine, as sockets without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMessage, WSMsgType

from support.engine import PATIENCE, RunningEngine, first_line, serving


@contextmanager
def serving_web(
    folder: Path, *options: str, web: str = "127.0.0.1:0"
) -> Iterator[tuple[RunningEngine, str]]:
    """Start an engine with a pad; yield it and the pad's address, with the token."""
    with serving(folder, "--web", web, *options) as engine:
        yield engine, url_of(first_line(engine.process))


def url_of(line: str) -> str:
    """Return the address in the line that says where the pad is."""
    assert line.startswith(("pad on http://", "pad on https://")), line
    return line.removeprefix("pad on ").split()[0]


Play = Callable[[RunningEngine, str], Coroutine[Any, Any, None]]


def playing(folder: Path, play: Play, *options: str, web: str = "127.0.0.1:0") -> None:
    """Let some pages play with an engine."""
    with serving_web(folder, *options, web=web) as (engine, url):
        asyncio.run(play(engine, url))
        assert engine.end() == 0


async def status(
    engine: RunningEngine, condition: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    return await asyncio.to_thread(engine.out.ask, condition)


async def get(url: str, **more: Any) -> tuple[int, str, str]:
    """Return the status of an answer, its type and its text."""
    async with ClientSession() as session, session.get(url, **more) as answer:
        return answer.status, answer.headers.get("Content-Type", ""), await answer.text()


class Page:
    """Socket of a page; `received` holds what it was sent and a test has looked at."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received: list[list[Any]] = []
        self.now = 0.0
        self._messages: asyncio.Queue[WSMessage] = asyncio.Queue()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        """Receive all, as a browser does: what asks whether it is there gets an answer."""
        closed = WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR
        while True:
            message = await self.socket.receive()
            self._messages.put_nowait(message)
            if message.type in closed:
                return

    async def stop(self) -> None:
        """Receive nothing more."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    async def send(self, *message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def touch(self, *events: Any, after: float = 16.0) -> None:
        """Send events of one instant, some milliseconds of the page's clock after the last."""
        self.now += after
        await self.send("t", self.now, events)

    async def until(self, condition: Callable[[list[Any]], Any]) -> list[Any]:
        """Receive until a message fulfils a condition; return it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._messages.get()
                assert message.type is WSMsgType.TEXT, (message, self.socket.close_code)
                self.received.append(json.loads(message.data))
                if condition(self.received[-1]):
                    return self.received[-1]

    async def kind(self, kind: str) -> list[Any]:
        """Receive until a message of a kind comes; return it."""
        return await self.until(lambda message: message[0] == kind)

    async def end(self) -> tuple[int | None, str]:
        """Receive until the socket is closed; return its code, and why it was refused."""
        reason = ""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._messages.get()
                if message.type is WSMsgType.CLOSE:  # our answer to it may be too late
                    return message.data, reason
                if message.type is not WSMsgType.TEXT:
                    return self.socket.close_code, reason
                content = json.loads(message.data)
                if content[0] == "refused":
                    reason = content[1]


@asynccontextmanager
async def opened(url: str, *, host: str = "127.0.0.1", **connect: Any) -> AsyncIterator[Page]:
    """Open a socket of a page at a pad's address, from an address of this machine."""
    address = "ws" + url.removeprefix("http").replace("/?", "/v1/socket?")
    connector = TCPConnector(local_addr=(host, 0))
    async with (
        ClientSession(connector=connector) as session,
        session.ws_connect(address, **connect) as socket,
    ):
        opening = Page(socket)
        try:
            yield opening
        finally:
            await opening.stop()


@asynccontextmanager
async def page(
    url: str, name: str = "", *, view: bool = False, host: str = "127.0.0.1", **connect: Any
) -> AsyncIterator[Page]:
    """Open a page at a pad's address, and come in."""
    async with opened(url, host=host, **connect) as opening:
        await opening.send("hello", 1, {"name": name, "view": view})
        await opening.kind("welcome")
        yield opening
