"""Program of the web server, which the engine starts: pads in browsers.

Nothing here delays the engine: what pages ask for is parsed, limited and counted here, and the
engine gets touches in datagrams. It gets and sends them at a socket that is connected to the
engine alone. The first line of standard input, JSON that robojam.web.port writes, says what to
serve; standard input ends when the engine does.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import msgspec

from robojam.ports import discovery
from robojam.web import child_program
from robojam.web.certificate import CertificateError, server_context
from robojam.web.room import Item, Room

#: Exit status where the server cannot listen.
_NO_PORT = 1


class Link(asyncio.DatagramProtocol):
    """Connection to the engine; on_message is called with what it says."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._transport: asyncio.DatagramTransport | None = None
        self.on_message: Callable[[Any], None] = lambda _message: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say to the engine who this is."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._transport.sendto(self._token)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Pass on what the engine says."""
        del addr
        self.on_message(msgspec.msgpack.decode(data))

    def error_received(self, exc: Exception) -> None:
        """Do nothing: the engine has gone, and standard input ends."""

    def send(self, items: list[Item]) -> None:
        """Send items to the engine."""
        if self._transport is not None:
            self._transport.sendto(msgspec.msgpack.encode(items))


async def _serve(given: dict[str, Any], ended: asyncio.Event) -> int:
    from robojam.web import limits
    from robojam.web.api import Api
    from robojam.web.server import WebServer
    from robojam.web.workers import Workers

    gc.freeze()  # later collections skip the objects that exist now
    loop = asyncio.get_running_loop()
    _, link = await loop.create_datagram_endpoint(
        lambda: Link(given["secret"]), remote_addr=("127.0.0.1", given["engine"])
    )
    room = Room(link.send, control=given["control"], clock=time.monotonic)
    port = 0

    def report() -> None:
        link.send([["s", {
            "port": port, "token": server.pads.token, "connections": len(room),
            "players": room.players, "locked": room.locked,
            "listeners": server.listeners,
        }]])  # fmt: skip

    try:
        secure = server_context(*given["certificate"]) if given["certificate"] else None
    except CertificateError as error:
        link.send([["e", str(error)]])
        return _NO_PORT
    # Beside a jam: one process, which runs where nothing else has to, and is started when
    # somebody asks.
    workers = Workers([], processes=1, rows=limits.ROWS_BESIDE_A_JAM, quiet=True)
    server = WebServer(
        room, token=given["token"], osc=tuple(given["osc"]), api=Api(workers), on_change=report
    )

    def hear(message: Any) -> None:
        if message[0] == "model":
            paths = [Path(folder, message[1]) for folder in given["models"]]
            workers.play([path for path in paths if path.is_file()][:1] or paths[:1])
        else:
            server.hear(message)

    link.on_message = hear
    try:
        port = await server.listen(given["hosts"], given["port"], secure)
    except OSError as error:
        link.send([["e", error.strerror or str(error)]])
        return _NO_PORT
    report()
    here = given["announce"]  # the host, or "": not announced
    announcing = (
        discovery.announced(here, port, service=discovery.OSC_QUERY) if here else nullcontext()
    )
    with announcing:
        await ended.wait()
        await server.close()
        await workers.close()
    return 0


def main() -> int:
    """Serve until standard input ends."""
    return child_program.run(_serve)


if __name__ == "__main__":
    sys.exit(main())
