"""Program on a machine of a cluster that plays a room of a host elsewhere, or is ready to.

The first line of standard input, JSON, says where the host is. The engine is started again here
when it dies; its recording goes to the host as it grows. All ends with the connection to the
host, and with nothing else: not with the process of Ray that has started it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import selectors
import shutil
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.app.rooms import free_ports
from robojam.app.spare_engine import SpareEngine
from robojam.app.supervisor import ControlMonitor, EngineProgram
from robojam.cluster import room_frames
from robojam.cluster.mirror import GrowingFolder, Mirror
from robojam.cluster.room_frames import Hello, Place, Task
from robojam.config.options import Options
from robojam.engine.model_loader import Models
from robojam.engine.twin_frames import FrameError
from robojam.model.file import ModelFileError
from robojam.ports import engine_status
from robojam.ports.udp import family_of, sockaddr
from robojam.system.call_queue import CallQueue
from robojam.system.child_process import read_first_line
from robojam.web.port import GATEWAY

#: Seconds between two looks at the recording while somebody plays, and while nobody does; after
#: which nobody does; and between two questions for the status, where it has been told and where
#: not.
_LOOK, _IDLE_LOOK, _IDLE = 0.02, 0.1, 1.0
_STATUS, _FIRST_STATUS = 2.0, 0.2
#: Seconds for a connection to the host, for the engine to end, and for what is left to be sent.
_CONNECT, _PATIENCE, _SENDING = 5.0, 6.0, 2.0
#: Bytes that wait to be sent, beyond which the recording is not read on.
_MAX_WAITING: Final = 1 << 18
_READ: Final = 1 << 18


class _HostGoneError(Exception):
    """The host has ended, or does not answer."""


class _RefusedError(Exception):
    """The engine cannot play what it is given: starting it again would not help."""


class _Connection:
    """Connection to the host that never blocks."""

    def __init__(self, address: tuple[str, int], secret: bytes) -> None:
        """Connect. Raises OSError."""
        self._socket = socket.socket(family_of(address[0]), socket.SOCK_STREAM)
        self._socket.settimeout(_CONNECT)
        self._socket.connect(sockaddr(address))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self.waiting = bytearray(secret)
        self._frames = room_frames.new_frames()
        self._heard_at = self._beat_at = time.monotonic()

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    def send(self, *frames: bytes) -> None:
        """Send frames with the next `flush`."""
        for each in frames:
            self.waiting += each

    def flush(self, now: float) -> None:
        """Send what waits, and a beat when it is time. Raises _HostGoneError."""
        if now - self._beat_at >= room_frames.BEAT_INTERVAL and not self.waiting:
            self._beat_at = now
            self.send(room_frames.encode(room_frames.BEAT))
        try:
            while self.waiting:
                del self.waiting[: self._socket.send(self.waiting)]
        except BlockingIOError:
            pass
        except OSError as error:
            raise _HostGoneError from error
        if now - self._heard_at > room_frames.HOST_SILENCE:
            raise _HostGoneError

    def receive(self) -> list[tuple[bytes, bytes]]:
        """Return the frames that have come. Raises _HostGoneError."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise _HostGoneError from error
        if not data:
            raise _HostGoneError
        self._heard_at = time.monotonic()
        return self._frames.feed(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Room:
    """The room that is played: its engine, what that tells, and its recordings."""

    def __init__(self, program: _Program, task: Task, folder: Path) -> None:
        self._program, self._connection = program, program.connection
        options = msgspec.json.decode(task.options, type=Options)
        osc, port = free_ports(["127.0.0.1", program.host])
        options = msgspec.structs.replace(
            options, osc_in=f"127.0.0.1:{osc}", sessions=str(folder), model=program.model,
            web="none", log=None,
        )  # fmt: skip
        models = Models([Path(program.model).parent], device="cpu")

        def find(name: str) -> str:
            try:
                return str(models.find(name))
            except ModelFileError:  # the engine says so
                return name

        place = Place(program.host, port, secrets.token_hex(16))
        arguments = list(task.arguments)
        if task.resume:
            arguments += ["--resume", "last"]
            written = time.time() - task.age
            with suppress(OSError):
                os.utime(folder / task.resume, (written, written))
        self.monitor = ControlMonitor(("127.0.0.1", osc), options, find=find)
        self._told_options = options
        self.engine = EngineProgram(
            self.monitor, program.calls.put,
            env={GATEWAY: f"{place.port}:{place.secret}:{place.host}"},
            name=f"the engine of room {task.room}", stays=True, arguments=arguments,
            launch=program.spare.launch, others=(),
        )  # fmt: skip
        self.recordings = GrowingFolder(folder, task.resume)
        self.asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.asking.connect(("127.0.0.1", osc))
        self.asking.setblocking(False)
        self._asked_at, self._status = -math.inf, False
        self._looked_at = self._played_at = -math.inf
        self._connection.send(room_frames.encode(room_frames.PLACE, place))

    def advance(self, now: float) -> float:
        """Do what is due; return the seconds until the next call. Raises _RefusedError."""
        wait = self.engine.advance(now)
        if self.engine.status is not None:
            raise _RefusedError
        options = self.monitor.options_to_go_on()
        if options is not self._told_options:
            self._told_options = options
            data = msgspec.json.encode(options)
            self._connection.send(room_frames.encode(room_frames.OPTIONS, data))
        interval = _LOOK if now - self._played_at < _IDLE else _IDLE_LOOK
        if now - self._looked_at >= interval:
            self._looked_at = now
            self.look()
        if now - self._asked_at >= (_STATUS if self._status else _FIRST_STATUS):
            self._asked_at = now
            with suppress(OSError):  # there is no engine now
                self.asking.send(engine_status.REQUEST)
        return min(wait, interval)

    def receive(self) -> None:
        """Take what the engine tells of what is played and set."""
        self._played_at = time.monotonic()
        self.monitor.receive()

    def look(self) -> None:
        """Send what recordings have more."""
        if (room := _MAX_WAITING - len(self._connection.waiting)) > 0:
            self._connection.send(*self.recordings.read(room))

    def take_status(self) -> None:
        """Send the status that has come."""
        with suppress(OSError):
            status = engine_status.read(self.asking.recv(_READ))
            if status is not None:
                self._status = True
                data = msgspec.json.encode(status)
                self._connection.send(room_frames.encode(room_frames.STATUS, data))


class _Program:
    """The program: warm for a room at first, and then that of the room."""

    def __init__(self, given: dict[str, Any]) -> None:
        """Connect to the host. Raises OSError."""
        self.host, self.model = given["host"], given["model"]
        self.calls = CallQueue()
        self.connection = _Connection(tuple(given["server"]), bytes.fromhex(given["secret"]))
        self.connection.send(
            room_frames.encode(room_frames.HELLO, Hello(given["node"], given["name"]))
        )
        self._folder = Path(given["folder"])
        self._sessions = self._folder / "sessions"
        self._sessions.mkdir()
        self._came = Mirror(self._sessions)  # what comes before a task
        self._room: _Room | None = None
        self._ends = False
        options = msgspec.json.decode(json.dumps(given["options"]), type=Options)
        options = msgspec.structs.replace(options, model=self.model)
        # For the first start alone: with one for each room, memory would double.
        self.spare = SpareEngine(lambda: options, on_prepared=self._say_warm)
        self.spare.prepare()

    def _say_warm(self) -> None:
        self.calls.put(lambda: self.connection.send(room_frames.encode(room_frames.WARM)))

    def run(self) -> None:
        """Play until the host asks for the end, or is gone."""
        try:
            with suppress(_HostGoneError, _RefusedError, FrameError):
                self._loop()
        finally:
            self._end()

    def _loop(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            selector.register(self.calls, selectors.EVENT_READ)
            registered = False
            while not self._ends:
                now = time.monotonic()
                wait = room_frames.BEAT_INTERVAL
                if self._room is not None:
                    if not registered:
                        registered = True
                        selector.register(self._room.monitor, selectors.EVENT_READ)
                        selector.register(self._room.asking, selectors.EVENT_READ)
                    wait = min(wait, self._room.advance(now))
                self.connection.flush(now)
                if self.connection.waiting:
                    wait = 0.002
                ready = {key.fileobj for key, _ in selector.select(max(0.0, wait))}
                self.calls.drain()
                if self.connection in ready:
                    for kind, content in self.connection.receive():
                        self._take(kind, content)
                if self._room is not None and registered:
                    if self._room.monitor in ready:
                        self._room.receive()
                    if self._room.asking in ready:
                        self._room.take_status()

    def _take(self, kind: bytes, content: bytes) -> None:
        """Take a frame of the host. Raises FrameError."""
        if kind == room_frames.END:
            self._ends = True
        elif kind == room_frames.TASK and self._room is None:
            self._came.close()
            self._room = _Room(self, room_frames.decode(content, Task), self._sessions)
        elif kind == room_frames.AGAIN and self._room is not None:
            at, name = room_frames.decode(content, tuple[int, str])
            self._room.recordings.read_again(name, at)
        elif kind == room_frames.PART:
            self._came.take_part(*room_frames.decode_part(content))
        elif kind == room_frames.COMPLETE:
            self._came.complete(room_frames.name_of(content))

    def _end(self) -> None:
        """End the engine, send the last of its recording, and remove what is here."""
        if self._room is not None:
            self._room.engine.end(_PATIENCE)
        self.spare.close()
        with suppress(_HostGoneError):
            until = time.monotonic() + _SENDING
            if self._ends and self._room is not None:
                while time.monotonic() < until:
                    frames = self._room.recordings.read(_MAX_WAITING)
                    self.connection.send(*frames)
                    self.connection.flush(time.monotonic())
                    if not frames and not self.connection.waiting:
                        break
                    time.sleep(0.002)
            self.connection.send(room_frames.encode(room_frames.END))
            self.connection.flush(time.monotonic())
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> int:
    """Play a room until its host ends."""
    if not (line := read_first_line()):
        return 0
    # A process of its own is no child of Ray's: Ray ends its children with itself, and where
    # its head is gone it ends itself.
    if hasattr(os, "fork") and (child := os.fork()):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        _Program(json.loads(line)).run()
    except OSError as error:
        print(f"robojam: the host cannot be reached: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
