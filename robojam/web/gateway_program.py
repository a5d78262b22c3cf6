"""Program of the gateway of many rooms, which robojam.app.rooms starts.

The first line of standard input, JSON, says what to serve, and each later line what has become
of a room of a cluster: its status, or where its engine is. Standard input ends when the host
does. Standard output has a line of JSON when something has changed, and each second.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any, Final

from robojam.config.addresses import format_address
from robojam.system.child_process import on_stdin_lines, read_first_line
from robojam.web import child_program
from robojam.web.certificate import CertificateError, server_context
from robojam.web.gateway import Gateway, HostedRoom
from robojam.web.room_link import EngineLink

#: Exit status where the gateway cannot listen.
_NO_PORT: Final = 1
_BEAT: Final = 1.0


def _say(**about: Any) -> None:
    print(json.dumps(about), flush=True)


class _Rooms:
    """Rooms of a gateway as the host tells of them."""

    def __init__(self, given: dict[str, Any], gateway: Gateway) -> None:
        self._links: dict[str, EngineLink] = {}
        self._rooms: dict[str, HostedRoom] = {}
        for name, room in given["rooms"].items():
            link = EngineLink(_address(room), room["secret"], room.get("osc"))
            link.status = room.get("status", {})
            self._links[name] = link
            self._rooms[name] = gateway.add(
                name, link, place=room["place"], places=given["places"],
                control=given["control"],
            )  # fmt: skip

    def take(self, line: bytes) -> None:
        """Take a line of the host."""
        told = json.loads(line)
        link, room = self._links[told["room"]], self._rooms[told["room"]]
        if "status" in told:
            link.status = told["status"]
        if "place" in told:
            room.place = told["place"]
            link.move(_address(told), told["secret"])
            room.go_away(told["silent"], time.monotonic())


def _address(room: dict[str, Any]) -> tuple[str, int] | None:
    """Return where a room's engine is; None: nowhere now."""
    return (room["host"], room["port"]) if room["port"] else None


async def _serve(given: dict[str, Any]) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    gateway = Gateway(
        token=given["token"], host_token=given["host_token"],
        on_change=lambda: _say(token=gateway.token),
    )  # fmt: skip
    rooms = _Rooms(given, gateway)
    on_stdin_lines(
        lambda line: loop.call_soon_threadsafe(rooms.take, line),
        lambda: loop.call_soon_threadsafe(ended.set),
    )
    try:
        secure = server_context(*given["certificate"]) if given["certificate"] else None
        port = await gateway.listen(given["hosts"], given["port"], secure)
    except (CertificateError, OSError) as error:
        _say(error=getattr(error, "strerror", None) or str(error))
        return _NO_PORT
    gateway.url = f"{given['scheme']}://{format_address(given['name'], port)}"
    _say(port=port, url=gateway.url)
    gc.freeze()  # later collections skip the objects that exist now
    async for _ in child_program.beats(ended, _BEAT):
        _say()
    await gateway.close()
    return 0


def main() -> int:
    """Serve until standard input ends."""
    given = json.loads(read_first_line() or b"null")
    return 0 if given is None else asyncio.run(_serve(given))


if __name__ == "__main__":
    sys.exit(main())
