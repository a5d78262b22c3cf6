"""Host of many jams on a cluster: Ray places programs for its rooms, which they play.

The placer is a program of its own. This one mirrors the recordings, gives rooms to programs,
and runs the gateway.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from robojam.app import rooms
from robojam.app.rooms import GatewayProgram, Hosted, RoomsError
from robojam.cluster.room_server import RoomServer
from robojam.config.options import Options
from robojam.model import file as model_file
from robojam.system.child_process import ChildProcess, termination_signals
from robojam.system.install import require

_PROGRAM: Final = "robojam.cluster.room_placer"
#: Seconds until a placer that has ended is started again, and that it or all rooms have to
#: end.
_RESTART_DELAY, _PATIENCE = 10.0, 12.0


class Placer:
    """The placer as a child process, which is started again when it dies."""

    def __init__(
        self, address: str, hosted: Hosted, *, model: str, say: Callable[[str], None]
    ) -> None:
        """Connect to a cluster. Raises RoomsError where it cannot be used for these rooms."""
        self._first = {
            "address": address, "rooms": len(hosted.names), "model": model,
            "gpu": hosted.options.device == "cuda",
        }  # fmt: skip
        self._say = say
        self._ended = threading.Event()
        self._count: Callable[[], int] = lambda: 0
        self._wanted: dict[str, Any] = {}
        self._thread: threading.Thread | None = None
        self._start()
        about = self._next()
        if "host" not in about:
            self._program.kill()
            raise RoomsError(about.get("error", "Ray has ended without a reason"))
        #: Address of this machine in the cluster, and how many programs are beside the rooms.
        self.host, self.spares = about["host"], about["spares"]

    def _start(self) -> None:
        self._program = ChildProcess(
            _PROGRAM, first_line=json.dumps(self._first).encode(), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _next(self) -> dict[str, Any]:
        """Return the next line of the program; nothing at its end."""
        assert self._program.stdout is not None
        for line in self._program.stdout:
            with suppress(ValueError):  # Ray prints, too
                if isinstance(about := json.loads(line), dict):
                    return about
        return {}

    def place(
        self, server: tuple[str, int], secret: bytes, options: Options, count: Callable[[], int]
    ) -> None:
        """Have programs placed that connect to a server; count says how many are missing."""
        self._count = count
        self._wanted = {
            "server": server, "secret": secret.hex(), "options": msgspec.to_builtins(options),
        }  # fmt: skip
        self._thread = threading.Thread(target=self._keep, name="placer", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        """Keep the program running, and say when the cluster goes and comes."""
        while True:
            wanted = self._wanted | {"count": self._count()}
            self._program.write_line(json.dumps(wanted).encode())
            about = self._next()
            self._program.wait()
            if self._ended.is_set():
                return
            reason = about.get("gone") or about.get("error") or "Ray has ended"
            self._say(f"{reason}: rooms play on, and no more is started until it is there")
            about = {}
            while "host" not in about:
                if self._ended.wait(_RESTART_DELAY):
                    return
                with suppress(OSError):  # no process more just now
                    self._start()
                about = self._next()
            self._say("the cluster is there again")

    def close(self) -> None:
        """End it, for good."""
        self._ended.set()
        self._program.end(_PATIENCE)


def run(hosted: Hosted, address: str, say: Callable[[str], None]) -> int:
    """Host rooms on a cluster until a signal asks for the end; return the exit status.

    address is that of the cluster, as `robojam.cluster.connect.connected` takes it. say is
    called with each line for the terminal. Raises RoomsError, assemble.AssemblyError, and
    ModuleNotFoundError without Ray.
    """
    require("ray")
    if hosted.options.log is not None:
        raise RoomsError("--log is for rooms of this machine: leave it out with --ray")
    device = hosted.options.device
    here = msgspec.structs.replace(hosted.options, device="cpu")  # others may have a GPU
    hosted, _ = rooms.prepare(Hosted(hosted.names, hosted.places, here, hosted.resumes))
    options = msgspec.structs.replace(hosted.options, device=device)
    hosted = Hosted(hosted.names, hosted.places, options, hosted.resumes)
    model = model_file.find(options.model, of_knobs=bool(options.knobs))
    placer = Placer(address, hosted, model=str(model), say=say)
    try:
        rooms.make_folders(hosted)
        return asyncio.run(_host(hosted, placer, say))
    finally:
        placer.close()


async def _host(hosted: Hosted, placer: Placer, say: Callable[[str], None]) -> int:
    nowhere = {"host": "", "port": 0, "secret": "", "place": "nowhere yet"}
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in termination_signals():
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    gateway = GatewayProgram(hosted, {name: dict(nowhere) for name in hosted.names}, say)
    server = RoomServer(
        hosted.names, hosted.options, resumes=hosted.resumes, spares=placer.spares,
        news=gateway, say=say,
    )  # fmt: skip
    try:
        try:
            port = await server.listen(placer.host)
        except OSError as error:
            raise RoomsError(f"no port at {placer.host}: {error.strerror or error}") from error
        count = len(hosted.names) + placer.spares
        placer.place(
            (placer.host, port), server.secret, hosted.options, lambda: count - server.count
        )
        await ended.wait()
    finally:
        await server.close(_PATIENCE)
        await asyncio.to_thread(gateway.close)
    return 0
