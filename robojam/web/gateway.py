"""Gateway of many rooms: one door, at one address, by one token.

The first page lists the rooms. `/rooms/NAME/` is the pad of one: its messages go to and from
that room's engine. A page for the host shows all rooms, by a token of its own.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from robojam import __version__
from robojam.limits import HostLimiter
from robojam.web import limits
from robojam.web.api_server import has_token
from robojam.web.connections import Connections, Handler, handler_of, listen
from robojam.web.pads import HEADERS, Pads, answer_file, page_file, plain
from robojam.web.room import Room
from robojam.web.room_link import RoomLink

_NO_TOKEN: Final = "This address needs the token of this host: scan the code again.\n"
#: Values of an engine's status that the host is shown, as they are.
_SHOWN: Final = (
    "health", "late_ms_p99", "late_ms_max", "memory_mb", "played", "heard", "dropped",
    "recording", "uptime_s", "device",
)  # fmt: skip


@dataclass(slots=True, eq=False)
class HostedRoom:
    """Room behind the gateway; back_in is how long it was away last (s), or None."""

    name: str
    place: str
    room: Room
    pads: Pads
    link: RoomLink
    away_since: float | None = None
    back_in: float | None = None
    times_away: int = 0
    cpu: float = 0.0
    _has_been_up: bool = False
    _measured: tuple[float, float] = field(default=(0.0, 0.0))

    def watch(self, now: float) -> None:
        """Note whether the engine is there, and how much of a core it uses."""
        if self.link.replaced_after is not None:
            self.back_in, self.link.replaced_after = self.link.replaced_after, None
            self.times_away += 1
        if self.link.is_up:
            if self.away_since is not None:
                if self._has_been_up:
                    self.back_in = now - self.away_since
                    self.times_away += 1
                self.away_since, self._has_been_up = None, True
        elif self.away_since is None:
            self.away_since = now
        used, (before, at) = float(self.link.status.get("cpu_s", 0.0)), self._measured
        if used != before:
            if 0.0 < before < used:
                self.cpu = (used - before) / (now - at)
            self._measured = used, now

    def go_away(self, silent: float, now: float) -> None:
        """Note that the room has no engine, and for how long (s) it has been silent already."""
        if self.away_since is None:
            self.away_since = now - silent

    def tell(self) -> None:
        """Report to the engine how many pages are open; without any it sends no touches."""
        self.link.send(
            [["s", {
                "port": 0, "token": "", "connections": len(self.room),
                "players": self.room.players, "locked": self.room.locked,
            }]]
        )  # fmt: skip

    def about(self) -> dict[str, Any]:
        """Return the room's line in the list that visitors see."""
        return {
            "name": self.name, "people": self.room.people, "free": self.room.free,
            "open": self.link.is_up and not self.room.locked,
        }  # fmt: skip

    def report(self) -> dict[str, Any]:
        """Return the room's line in the page of the host."""
        status = self.link.status
        return {
            **self.about(), "up": self.link.is_up, "locked": self.room.locked,
            "watching": len(self.room) - self.room.people, "players": self.room.players,
            "place": self.place, "lost": self.link.lost, "cpu": round(self.cpu, 4),
            "times_away": self.times_away, "back_in": self.back_in,
            **{name: status.get(name) for name in _SHOWN},
        }  # fmt: skip


class Gateway:
    """The HTTP and WebSocket server of all rooms."""

    def __init__(
        self, *, token: str, host_token: str, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Serve rooms by a token, and the host's page by another.

        on_change is called when the token is another one.
        """
        self.token, self._host_token, self._on_change = token, host_token, on_change
        #: Address of the first page, without a token, once it is known.
        self.url = ""
        self.connections = Connections()
        self._rooms: dict[str, HostedRoom] = {}
        self._requests = HostLimiter(*limits.REQUESTS, limits.MAX_HOSTS)
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._renewing: asyncio.Task[None] | None = None
        self._began = time.monotonic()

    def add(
        self, name: str, link: RoomLink, *, place: str, places: int, control: bool
    ) -> HostedRoom:
        """Add a room that a link leads to, before `listen`.

        place says where it is, to the host. places: for who may play. control: pads may
        control the jam.
        """
        room = Room(link.send, control=control, clock=time.monotonic, places=places)
        pads = Pads(room, token=self.token, on_change=lambda: self._follow(hosted))
        hosted = self._rooms[name] = HostedRoom(name, place, room, pads, link)
        link.on_message, link.on_up = pads.hear, hosted.tell
        return hosted

    async def listen(
        self, hosts: list[str], port: int, secure: ssl.SSLContext | None = None
    ) -> int:
        """Listen at a port of some addresses; return the port. Raises OSError."""
        self._servers, port = await listen(self, hosts, port, secure)
        for each in self._rooms.values():
            each.pads.start()
            self._tasks.append(asyncio.create_task(each.link.run()))
        self._tasks.append(asyncio.create_task(self._watch()))
        return port

    async def close(self) -> None:
        """Close all sockets."""
        for task in self._tasks:
            task.cancel()
        for server in self._servers:
            server.close()
        closing = [each.pads.close() for each in self._rooms.values()]
        await asyncio.gather(*closing, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            now = time.monotonic()
            for each in self._rooms.values():
                each.watch(now)
            await asyncio.sleep(0.1)

    def _follow(self, changed: HostedRoom) -> None:
        """Tell a room's engine of its pages; take a token that one has renewed, for all."""
        changed.tell()
        if changed.pads.token != self.token:
            self.token = changed.pads.token
            self._on_change()
            others = [each.pads for each in self._rooms.values() if each is not changed]
            self._renewing = asyncio.create_task(self._renew(others))

    async def _renew(self, others: list[Pads]) -> None:
        for pads in others:
            await pads.renew_token(self.token)

    # -- requests --------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""
        handler = handler_of(request)
        if not self._requests.take(handler.host, time.monotonic()):
            return plain(429, "Too many requests.\n")
        if request.method not in ("GET", "HEAD"):
            return plain(405, "Only GET is answered here.\n")
        match request.path.split("/"):
            case ["", ""]:
                return page_file("rooms.html", cached="no-store")
            case ["", "rooms.json" | "give" as what]:
                if not has_token(request, self.token):
                    return plain(403, _NO_TOKEN)
                return self._list() if what == "rooms.json" else self._give()
            case ["", "rooms", name] if name in self._rooms:
                return _to(f"/rooms/{name}/?{request.query_string}")
            case ["", "rooms", name, *rest]:
                return await self._answer_room(request, handler, name, "/" + "/".join(rest))
            case ["", "host"]:
                return page_file("host.html", cached="no-store")
            case ["", "host.json" | "code.svg" as what]:
                if not hmac.compare_digest(
                    request.query.get("token", "").encode("utf-8", "replace"),
                    self._host_token.encode(),
                ):
                    return plain(403, _NO_TOKEN)
                return self._report() if what == "host.json" else self._code()
            case ["", "pad", "index.html"]:  # the app that is installed: it has no room yet
                return _to("/")
            case ["", "pad", *parts]:
                return await answer_file("/".join(parts))
            case ["", "v1", "health"]:
                return self._health()
        return plain(404, "There is nothing here.\n")

    async def _answer_room(
        self, request: web.BaseRequest, handler: Handler, name: str, path: str
    ) -> web.StreamResponse:
        hosted = self._rooms.get(name)
        if hosted is None or path not in ("/", "/v1/socket"):
            return plain(404, "There is no such room here.\n")
        return await hosted.pads.answer(request, handler, path)

    def _list(self) -> web.Response:
        return _json({"rooms": [each.about() for each in self._rooms.values()]})

    def _give(self) -> web.Response:
        """Lead to the open room with the fewest people."""
        found = [each for each in self._rooms.values() if each.about()["open"]]
        found = [each for each in found if each.room.free]
        if not found:
            return _to(f"/?token={quote(self.token)}&full")
        room = min(found, key=lambda each: each.room.people)
        return _to(f"/rooms/{room.name}/?token={quote(self.token)}")

    @property
    def link(self) -> str:
        """Address of the first page, with the token."""
        return f"{self.url}/?token={self.token}"

    def report(self) -> dict[str, Any]:
        """Return what the host is shown."""
        return {
            "version": __version__, "link": self.link,
            "uptime_s": round(time.monotonic() - self._began), "gateway_cpu_s": _cpu(),
            "rooms": [each.report() for each in self._rooms.values()],
        }  # fmt: skip

    def _report(self) -> web.Response:
        return _json(self.report())

    def _code(self) -> web.Response:
        try:
            import segno
        except ImportError:
            return plain(404, "The package segno, which makes codes, is not installed.\n")
        picture = BytesIO()
        segno.make_qr(self.link, error="m").save(picture, kind="svg", scale=4, light="#fff")
        headers = {**HEADERS, "Cache-Control": "no-store"}
        return web.Response(
            body=picture.getvalue(), content_type="image/svg+xml", headers=headers
        )

    def _health(self) -> web.Response:
        up = sum(each.link.is_up for each in self._rooms.values())
        status = "ok" if up == len(self._rooms) else "rooms are away"
        people = sum(len(each.room) for each in self._rooms.values())
        return _json(
            {
                "status": status, "version": __version__, "rooms": len(self._rooms), "up": up,
                "connections": people,
            }
        )  # fmt: skip


def _cpu() -> float:
    return round(time.process_time(), 2)


def _json(content: object) -> web.Response:
    headers = {**HEADERS, "Cache-Control": "no-store"}
    body = msgspec.json.encode(content)
    return web.Response(body=body, content_type="application/json", headers=headers)


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={**HEADERS, "Location": path})
