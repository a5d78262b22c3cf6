"""Server of the pad page for its tests: it speaks the protocol, and notes what comes."""

from __future__ import annotations

import json
import mimetypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from robojam.web.pad_sound import sound_tables

PAGE = Path(__file__).parents[2] / "robojam" / "web" / "page"
TOKEN = "a-token-for-tests"
COLOURS = ("#ffac28", "#ff7048", "#fade60", "#ff9e86")
PATIENCE = 60.0
mimetypes.add_type("application/manifest+json", ".webmanifest")


class PadServer:
    """Server at a free port of the loopback interface.

    received holds the messages of each connection, in the order of their first; role is that
    of the next players.
    """

    def __init__(self) -> None:
        self._server_module = pytest.importorskip("websockets.sync.server")
        self._http = pytest.importorskip("websockets.http11")
        self._headers = pytest.importorskip("websockets.datastructures").Headers
        self._closed = pytest.importorskip("websockets.exceptions").ConnectionClosed
        self.received: list[list[Any]] = []
        self.token, self.role, self.port = TOKEN, "player", 0
        self._open: dict[int, Any] = {}
        self._lock = threading.Lock()
        self.start()

    @property
    def url(self) -> str:
        """Address of the page, with its token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def start(self) -> None:
        """Serve; after a stop, at the same port."""
        self._server = self._server_module.serve(
            self._handle, "127.0.0.1", self.port, process_request=self._answer,
            compression=None,
        )  # fmt: skip
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and the port."""
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self.drop_all()

    def drop_all(self, code: int = 1011, reason: str = "") -> None:
        """Close all connections."""
        with self._lock:
            sockets = list(self._open.values())
        for socket in sockets:
            socket.close(code, reason)

    def _answer(self, connection: Any, request: Any) -> Any:
        """Answer a request of HTTP; None for a socket."""
        path, _, query = request.path.partition("?")
        may = f"token={self.token}" in query.split("&")
        if path == "/v1/socket" and may:
            return None
        if path in ("/", "/v1/socket"):
            if not may:
                return connection.respond(HTTPStatus.FORBIDDEN, "wrong token\n")
            path = "/pad/index.html"
        name = path.removeprefix("/pad/")
        if name == "sound.json":
            body, kind = sound_tables(), "application/json"
        elif name in {file.name for file in PAGE.iterdir()}:
            body, kind = (PAGE / name).read_bytes(), mimetypes.guess_type(name)[0] or ""
        else:
            return connection.respond(HTTPStatus.NOT_FOUND, "not found\n")
        policy = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:"
        headers = {
            "Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close",
            "Cache-Control": "no-cache", "Content-Security-Policy": policy,
        }  # fmt: skip
        return self._http.Response(200, "OK", self._headers(headers), body)

    def _handle(self, socket: Any) -> None:
        messages: list[Any] = []
        with self._lock:
            number = len(self.received)
            self.received.append(messages)
            self._open[number] = socket
        try:
            with suppress(self._closed):
                for text in socket:
                    message = json.loads(text)
                    messages.append(message)
                    self._respond(number, socket, message)
        finally:
            with self._lock:
                del self._open[number]
            self._tell_players()

    def _respond(self, number: int, socket: Any, message: list[Any]) -> None:
        match message:
            case ["hello", 1, {"name": name}]:
                pitch = {
                    "instrument": "human=strings,ai=keys",
                    "scale": "free",
                    "range": "36-84",
                }
                socket.send(json.dumps(["welcome", 1, {
                    "id": f"web-{number}", "name": name, "color": COLOURS[number % 4],
                    "role": self.role, "pitch": pitch, "control": False,
                    "state": {"mode": "call-response", "paused": False},
                }]))  # fmt: skip
                self._tell_players()
                socket.send(json.dumps(["turn", "human"]))
            case ["t", _, events]:
                self.send("f", [[f"web-{number}", *e[:4]] for e in events], but=number)
            case ["ts", times]:
                events = [e for _, each in times for e in each]
                self.send("f", [[f"web-{number}", *e[:4]] for e in events], but=number)
            case ["ping", n]:
                socket.send(json.dumps(["pong", n]))

    def _tell_players(self) -> None:
        with self._lock:
            numbers = list(self._open)
        players = [
            {"id": f"web-{n}", "name": f"player {n}", "color": COLOURS[n % 4],
             "muted": False, "here": True}
            for n in numbers
        ]  # fmt: skip
        self.send("players", players)

    def send(self, *message: Any, but: int = -1) -> None:
        """Send a message to all connections, but for one."""
        self.send_text(json.dumps(message), but=but)

    def send_text(self, text: str | bytes, but: int = -1) -> None:
        """Send a text, which may be garbage, to all connections."""
        with self._lock:
            sockets = [socket for number, socket in self._open.items() if number != but]
        for socket in sockets:
            with suppress(self._closed):
                socket.send(text)

    def events(self, number: int = -1) -> list[tuple[float, list[Any]]]:
        """Return the touches of a connection, each with its time in ms."""
        found = []
        for message in list(self.received[number]) if self.received else []:
            times = (
                [message[1:]] if message[0] == "t" else message[1] if message[0] == "ts" else []
            )
            found += [(t, event) for t, events in times for event in events]
        return found

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.received
            time.sleep(0.01)
