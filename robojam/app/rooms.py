"""Host of many jams on this machine: an engine for each room, and the gateway before them."""

from __future__ import annotations

import json
import math
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.app import assemble
from robojam.app.spare_engine import SpareEngine
from robojam.app.supervisor import ControlMonitor, EngineProgram, Supervisor
from robojam.config.addresses import is_loopback, parse_web
from robojam.config.options import BY_FIELD, Options
from robojam.ports.udp import family_of, sockaddr
from robojam.system.call_queue import CallQueue
from robojam.system.child_process import ChildProcess
from robojam.web import certificate
from robojam.web import port as web_port
from robojam.web.port import GATEWAY

#: Rooms of one host, and letters of a room's name.
MAX_ROOMS, MAX_NAME = 256, 32
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
#: Names that some system has for devices: no folder has one.
_RESERVED: Final = frozenset("aux con nul prn".split())
#: Options of one jam, whose ports and devices rooms cannot share.
_OF_ONE_JAM: Final = (
    "midi_in", "midi_out", "serial", "serial_midi", "midi_websocket", "touchosc",
)  # fmt: skip
_PROGRAM: Final = "robojam.web.gateway_program"
#: Seconds until a gateway that died is started again, after which a silent one is taken for
#: hung, and that it has to end.
_RESTART_DELAY, _SILENCE, _PATIENCE = 0.5, 15.0, 3.0


class RoomsError(ValueError):
    """Rooms that cannot be hosted; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """Rooms to be hosted: by name, the places of each, and the options of all.

    resumes: each room goes on from its newest recording, if that was cut off.
    """

    names: tuple[str, ...]
    places: int
    options: Options
    resumes: bool = False


def check_names(names: Sequence[str]) -> None:
    """Check the names of rooms, which are folders and parts of addresses. Raises RoomsError."""
    taken: dict[str, str] = {}
    for name in names:
        if not 0 < len(name) <= MAX_NAME or not _LETTERS.issuperset(name):
            raise RoomsError(
                f"{name!r:.60} names no room: up to {MAX_NAME} letters (a to z), digits, - "
                "and _"
            )
        if name.lower() in _RESERVED:
            raise RoomsError(f"{name!r} names no room: some systems have no such folder")
        other = taken.setdefault(name.lower(), name)
        if other is not name or names.count(name) > 1:
            raise RoomsError(f"two rooms are named {name} (A and a are the same in a name)")
    if len(names) > MAX_ROOMS:
        raise RoomsError(f"{len(names)} rooms are more than a host has ({MAX_ROOMS})")


def options_of_rooms(options: Options) -> Options:
    """Return the options of all rooms: those of a jam, without what only one jam can have.

    Raises RoomsError for a port that rooms cannot share.
    """
    for field in _OF_ONE_JAM:
        if getattr(options, field) != BY_FIELD[field].default:
            raise RoomsError(
                f"--{BY_FIELD[field].name} is for one jam: the rooms of a host are played in "
                "browsers"
            )
    return msgspec.structs.replace(
        options, osc_in="127.0.0.1:0", osc_out=(), tuio_in="none", sound=False, announce=False
    )


def prepare(hosted: Hosted) -> tuple[Hosted, Callable[[str], str]]:
    """Check that all can start, without starting anything.

    Returns what is hosted, with absolute paths, and a function from the name of a model to a
    value of --model. Raises RoomsError and assemble.AssemblyError.
    """
    check_names(hosted.names)
    options = options_of_rooms(hosted.options)
    options, find = assemble.prepare_jam(options)
    return replace(hosted, options=options), find


def make_folders(hosted: Hosted) -> None:
    """Make the folders of all rooms' recordings. Raises RoomsError."""
    folder = Path(hosted.options.sessions)
    for name in hosted.names:
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RoomsError(f"{folder / name}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class LocalRoom:
    """Room on this machine: the ports at which its engine listens to OSC and to the gateway."""

    name: str
    osc: int
    port: int
    secret: str

    def options(self, options: Options) -> Options:
        """Return the options of this room's engine, from those of all."""
        log_file = options.log
        if log_file is not None:
            path = Path(log_file)
            log_file = str(path.with_name(f"{path.stem}-{self.name}{path.suffix}"))
        return msgspec.structs.replace(
            options, osc_in=f"127.0.0.1:{self.osc}", web="none", log=log_file,
            sessions=str(Path(options.sessions) / self.name),
        )  # fmt: skip


def free_ports(hosts: Sequence[str]) -> list[int]:
    """Return a port for each of some addresses of this machine that no program has now."""
    with ExitStack() as stack:
        ports = []
        for host in hosts:
            made = stack.enter_context(socket.socket(family_of(host), socket.SOCK_DGRAM))
            made.bind(sockaddr((host, 0)))
            ports.append(made.getsockname()[1])
    return ports


def local_rooms(names: Sequence[str]) -> list[LocalRoom]:
    """Return rooms with free ports of this machine."""
    ports = free_ports(["127.0.0.1"] * 2 * len(names))
    return [
        LocalRoom(name, osc, port, secrets.token_hex(16))
        for name, osc, port in zip(names, ports[::2], ports[1::2], strict=True)
    ]


def run(hosted: Hosted, say: Callable[[str], None]) -> int:
    """Host rooms until a signal asks for the end; return the exit status.

    say is called with each line for the terminal. Raises RoomsError and
    assemble.AssemblyError.
    """
    hosted, find = prepare(hosted)
    make_folders(hosted)
    rooms, calls = local_rooms(hosted.names), CallQueue()
    spare = SpareEngine(lambda: hosted.options, stdout=subprocess.DEVNULL)
    engines = []
    for room in rooms:
        options = room.options(hosted.options)
        monitor = ControlMonitor(("127.0.0.1", room.osc), options, find=find)
        engines.append(
            EngineProgram(
                monitor, calls.put, env={GATEWAY: f"{room.port}:{room.secret}:127.0.0.1"},
                launch=spare.launch, name=f"the engine of room {room.name}", stays=True,
                arguments=["--resume", "last"] if hosted.resumes else [],
            )
        )  # fmt: skip
    supervisor = Supervisor(engines, calls, spare)
    spoken = {
        room.name: {
            "host": "127.0.0.1", "port": room.port, "secret": room.secret, "osc": room.osc,
            "place": "this machine",
        }
        for room in rooms
    }  # fmt: skip
    supervisor.add(GatewayProgram(hosted, spoken, say))
    return supervisor.run()


class GatewayProgram:
    """The gateway as a child process, which is started again when it dies or hangs."""

    def __init__(
        self, hosted: Hosted, rooms: dict[str, dict[str, Any]], say: Callable[[str], None]
    ) -> None:
        """Start it; rooms says where each is, say is called with lines for the terminal."""
        options = hosted.options
        address = parse_web(options.web)
        assert address is not None
        host, port = address
        found = None if options.web_cert is None else certificate.load(options.web_cert)
        name, scheme = host or web_port.best_address(), "http"
        if found is not None:
            name, scheme = found.host_for(name), "https"
        self._given: dict[str, Any] = {
            "token": secrets.token_urlsafe(12), "host_token": secrets.token_urlsafe(12),
            "hosts": [host] if host else ["0.0.0.0", "::"], "port": port, "name": name,
            "scheme": scheme, "places": hosted.places, "control": options.web_control,
            "certificate": found and [found.path, found.key_path], "rooms": rooms,
        }  # fmt: skip
        self._say, self._said = say, ""
        self._ended = threading.Event()
        self._heard_at = math.inf
        self._program: ChildProcess | None = None
        # Messages to the gateway that wait: the newest of each kind and room.
        self._news: dict[tuple[str, str], dict[str, Any]] = {}
        self._has_news = threading.Condition()
        threading.Thread(target=self._tell_news, name="gateway's news", daemon=True).start()
        self._thread = threading.Thread(target=self._keep, name="gateway", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="gateway's watch", daemon=True).start()

    def tell(self, room: str, kind: str, news: dict[str, Any]) -> None:
        """Send the gateway a message about a room; a newer one of its kind takes its place."""
        with self._has_news:
            self._given["rooms"][room] |= news  # for the next gateway
            self._news[kind, room] = {"room": room, **news}
            self._has_news.notify()

    def _tell_news(self) -> None:
        while not self._ended.is_set():
            with self._has_news:
                self._has_news.wait_for(lambda: self._news or self._ended.is_set())
                news, self._news = self._news, {}
                program = self._program
            for each in news.values():
                with suppress(OSError):  # it has ended, and the next one knows
                    if program is not None:
                        program.write_line(json.dumps(each).encode())

    def _keep(self) -> None:
        """Run the program again and again."""
        while not self._ended.is_set():
            try:
                with self._has_news:  # later messages go to this program
                    program = ChildProcess(
                        _PROGRAM, first_line=json.dumps(self._given).encode(),
                        stdout=subprocess.PIPE,
                    )  # fmt: skip
                    self._program, self._heard_at = program, time.monotonic()
            except OSError as error:
                self._say(f"the gateway could not be started ({error}); trying again")
                self._ended.wait(_RESTART_DELAY)
                continue
            assert program.stdout is not None
            for line in program.stdout:
                self._heard_at = time.monotonic()
                with suppress(ValueError):
                    self._take(json.loads(line))
            self._heard_at = math.inf
            status = program.wait()
            if not self._ended.is_set():
                self._say(f"the gateway has ended ({status}); it is started again")
                self._ended.wait(_RESTART_DELAY)

    def _take(self, about: dict[str, Any]) -> None:
        if "error" in about:
            self._say(f"nothing can be served: {about['error']}")
        if "token" in about:
            self._given["token"] = about["token"]
        if "port" in about:
            self._given["port"], self._given["url"] = about["port"], about["url"]
        url = self._given.get("url", "")
        said = f"{url}/?token={self._given['token']}"
        if not url or said == self._said:
            return
        self._said = said
        count = len(self._given["rooms"])
        self._say(f"{count} rooms on {said} for everybody who has this link")
        self._say(f"the host's page: {url}/host?token={self._given['host_token']}")
        if is_loopback(self._given["name"]):
            self._say("(this address leads to this machine alone)")

    def _watch(self) -> None:
        """Kill the program when it hangs: it is started again."""
        while not self._ended.wait(1.0):
            if time.monotonic() - self._heard_at > _SILENCE and self._program is not None:
                self._heard_at = math.inf
                self._program.kill()

    def close(self) -> None:
        """End it, for good."""
        self._ended.set()
        with self._has_news:
            self._has_news.notify()
        if self._program is not None:
            self._program.end(_PATIENCE, terminate=True)
        self._thread.join(_PATIENCE)
