"""Server of a host to which programs on a cluster connect to play its rooms.

A room is given to a program that is warm, and to one on another machine when its program is
gone: with its recording, which is mirrored here as it grows. A program is gone when its
connection ends or is silent; whatever it does then, nobody hears it.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from robojam.cluster import room_frames
from robojam.cluster.mirror import Mirror, parts_of
from robojam.cluster.room_frames import SECRET, Hello, Place, Task
from robojam.config.options import Options
from robojam.engine.twin_frames import FrameError
from robojam.sessions import checkpoint
from robojam.sessions.library import newest

#: Seconds between two looks for programs that are silent, and between two requests for what
#: could not be written.
_LOOK, _AGAIN = 0.1, 5.0
#: Seconds for a connection to say the secret and what it is.
_HELLO: Final = 5.0
#: Seconds from the first program that is warm until rooms are given out, where some are not.
_GATHERING: Final = 20.0
#: A room that loses its program this many times within these seconds starts from nothing: what
#: it has heard may be the cause.
_LOSSES, _WITHIN = 3, 30.0
#: Connections beyond those that are expected: programs that are lost and not known to be.
MAX_MORE: Final = 64


class News(Protocol):
    """Taker of what becomes of rooms, as the gateway's program is."""

    def tell(self, room: str, kind: str, news: dict[str, Any]) -> None:
        """Take news of a kind of a room."""


@dataclass(slots=True, eq=False)
class _Room:
    """A room, and the program that plays it, if one does."""

    name: str
    folder: Path
    options: Options
    recording: Path | None
    program: _Program | None = None
    lost_node: str | None = None
    heard_at: float = 0.0
    mirror: Mirror | None = None
    again_at: float = 0.0
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=_LOSSES))
    said: str | None = None
    is_refused: bool = False


class _Program(asyncio.Protocol):
    """Connection of a program."""

    def __init__(self, server: RoomServer) -> None:
        self._server = server
        self._greeting = b""
        self._frames = room_frames.new_frames()
        self.hello: Hello | None = None
        self.is_warm = False
        self.room: _Room | None = None
        self.began = self.heard_at = time.monotonic()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.add(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        missing = SECRET - len(self._greeting)
        self._greeting, data = self._greeting + data[:missing], data[missing:]
        try:
            if len(self._greeting) < SECRET:
                return
            if not hmac.compare_digest(self._greeting, self._server.secret):
                raise FrameError("a stranger")
            for kind, content in self._frames.feed(data):
                self._server.take(self, kind, content)
        except FrameError:
            self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._server.lose(self)

    def send(self, *frames: bytes) -> None:
        """Send frames."""
        if self.transport is not None:
            self.transport.writelines(frames)

    def drop(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()


class RoomServer:
    """Rooms of a host, and the programs on a cluster that play them."""

    def __init__(
        self,
        names: Sequence[str],
        options: Options,
        *,
        resumes: bool,
        spares: int,
        news: News,
        say: Callable[[str], None],
    ) -> None:
        """Have rooms played with options, of which the sessions' folder is that of all.

        resumes: each goes on from its newest recording, if that was cut off. spares: programs
        beside those of the rooms. news gets messages about rooms, say lines for the terminal.
        """
        self.secret = secrets.token_bytes(SECRET)
        self._rooms: dict[str, _Room] = {}
        for name in names:
            folder = Path(options.sessions) / name
            found = newest(folder) if resumes else None
            self._rooms[name] = _Room(name, folder, options, found)
        self._news, self._say = news, say
        self._expected = len(names) + spares
        self._programs: list[_Program] = []
        self._gathered_by: float | None = None
        self._gathered = False
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ends = False

    async def listen(self, host: str) -> int:
        """Listen at a free port of an address; return the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Program(self), host, 0)
        self._watching = asyncio.create_task(self._watch())
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def count(self) -> int:
        """Number of programs that are connected."""
        return sum(each.hello is not None for each in self._programs)

    async def close(self, patience: float) -> None:
        """Have all rooms end, and wait for their recordings' ends for some seconds at most."""
        self._ends = True
        if self._watching is not None:
            self._watching.cancel()
        if self._server is not None:
            self._server.close()
        for program in self._programs:
            program.send(room_frames.encode(room_frames.END))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(each.hello is not None for each in self._programs):
                    await asyncio.sleep(0.02)
        for program in list(self._programs):
            program.drop()

    # -- programs --------------------------------------------------------------------------

    def add(self, program: _Program) -> None:
        """Take a connection, unless there are too many."""
        self._programs.append(program)
        if len(self._programs) > 2 * self._expected + MAX_MORE or self._ends:
            program.drop()

    def take(self, program: _Program, kind: bytes, content: bytes) -> None:
        """Take a frame of a program. Raises FrameError."""
        room = program.room
        if kind == room_frames.HELLO:
            program.hello = room_frames.decode(content, Hello)
            program.send(room_frames.encode(room_frames.BEAT))
        elif kind == room_frames.WARM:
            program.is_warm = True
            self._give()
        elif kind == room_frames.END:
            if room is not None and program.hello is not None and not self._ends:
                room.is_refused = True
                self._say(
                    f"room {room.name} cannot go on from its recording on "
                    f"{program.hello.name}, where Ray's log says why; it starts from nothing"
                )
            program.drop()
        elif room is None or room.mirror is None:
            return
        elif kind == room_frames.PART:
            room.mirror.take_part(*room_frames.decode_part(content))
            self._say_failure(room, room.mirror)
        elif kind == room_frames.COMPLETE:
            room.mirror.complete(room_frames.name_of(content))
        elif kind == room_frames.GONE:
            room.mirror.remove(room_frames.name_of(content))
        elif kind == room_frames.OPTIONS:
            options = room_frames.decode(content, Options)
            room.options = msgspec.structs.replace(
                room.options, controls=options.controls, record=options.record
            )
        elif kind == room_frames.STATUS:
            self._news.tell(room.name, "status", {"status": room_frames.decode(content, dict)})
        elif kind == room_frames.PLACE:
            place = room_frames.decode(content, Place)
            silent = time.monotonic() - room.heard_at if room.heard_at else 0.0
            self._tell_place(room, place, silent)

    def _say_failure(self, room: _Room, mirror: Mirror) -> None:
        if mirror.failed != room.said:
            room.said = mirror.failed
            why = mirror.failed and f"is not written here ({mirror.failed}); it is tried again"
            self._say(f"the recording of room {room.name} {why or 'is written here again'}")

    def _tell_place(self, room: _Room, place: Place, silent: float) -> None:
        program = room.program
        name = program.hello.name if program is not None and program.hello else "nowhere"
        news = {
            "host": place.host, "port": place.port, "secret": place.secret, "place": name,
            "silent": silent,
        }  # fmt: skip
        self._news.tell(room.name, "place", news)

    def lose(self, program: _Program) -> None:
        """Give the room of a program that is gone to another."""
        if program not in self._programs:
            return
        self._programs.remove(program)
        room, program.room = program.room, None
        if room is None:
            return
        room.program, room.heard_at = None, program.heard_at
        if room.mirror is not None:
            room.recording = _newest(room.mirror.newest, room.recording)
            room.mirror.close()
            room.mirror = None
        if self._ends:
            return
        assert program.hello is not None
        room.lost_node = program.hello.node
        room.losses.append(time.monotonic())
        self._tell_place(room, Place("", 0, ""), time.monotonic() - room.heard_at)
        self._say(f"room {room.name} has lost its engine on {program.hello.name}")
        self._give()

    async def _watch(self) -> None:
        """Drop programs that are silent, and send beats to the others."""
        beat = room_frames.encode(room_frames.BEAT)
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for program in list(self._programs):
                silence = room_frames.PROGRAM_SILENCE if program.hello else _HELLO
                if now - program.heard_at > silence or (
                    program.hello is None and now - program.began > _HELLO
                ):
                    program.drop()
                    self.lose(program)
                elif program.hello is not None:
                    program.send(beat)
            self._give()
            for room in self._rooms.values():
                self._ask_again(room, now)

    def _ask_again(self, room: _Room, now: float) -> None:
        """Ask for what could not be written."""
        if room.mirror is None or room.program is None or not room.mirror.behind:
            return
        if now - room.again_at < _AGAIN:
            return
        room.again_at = now
        for name, at in room.mirror.behind.items():
            data = msgspec.json.encode((at, name))
            room.program.send(room_frames.encode(room_frames.AGAIN, data))

    # -- rooms -----------------------------------------------------------------------------

    def _give(self) -> None:
        """Give rooms that have no program to programs that have no room."""
        if self._ends or not self._is_gathered():
            return
        for room in self._rooms.values():
            if room.program is None and (program := self._choose(room)) is not None:
                self._start(room, program)

    def _is_gathered(self) -> bool:
        """Return whether enough programs are warm to spread the rooms over their machines."""
        warm = sum(each.is_warm for each in self._programs)
        if not self._gathered and warm:
            now = time.monotonic()
            self._gathered_by = self._gathered_by or now + _GATHERING
            self._gathered = warm >= self._expected or now >= self._gathered_by
        return self._gathered

    def _choose(self, room: _Room) -> _Program | None:
        """Return a program for a room; warm, elsewhere, where there are few rooms."""
        idle = [each for each in self._programs if each.hello and each.room is None]
        if not idle:
            return None
        playing = [each.hello.node for each in self._programs if each.hello and each.room]

        def cost(program: _Program) -> tuple[bool, bool, int]:
            assert program.hello is not None
            node = program.hello.node
            return not program.is_warm, node == room.lost_node, playing.count(node)

        return min(idle, key=cost)

    def _start(self, room: _Room, program: _Program) -> None:
        """Have a program play a room, from its recording on if there is one."""
        assert program.hello is not None
        again = room.heard_at > 0.0
        arguments = ["--again"] if again else []
        recording = room.recording
        now = time.monotonic()
        is_cause = len(room.losses) == _LOSSES and now - room.losses[0] < _WITHIN
        if room.is_refused or is_cause:
            room.is_refused = False
            recording = None
        if again and not room.options.record:
            recording = None
        task, frames = Task(room.name, _encoded(room.options), arguments), list[bytes]()
        if recording is not None:
            try:
                room_frames.name_of(recording.name.encode())
                frames += parts_of(recording.name, recording.read_bytes())
                age = max(0.0, time.time() - recording.stat().st_mtime)
                task = msgspec.structs.replace(task, resume=recording.name, age=age)
                saved = checkpoint.path_of(recording)
                with suppress(OSError):
                    frames += parts_of(saved.name, saved.read_bytes())
                    frames.append(room_frames.encode(room_frames.COMPLETE, saved.name.encode()))
            except (OSError, FrameError) as error:
                self._say(f"room {room.name} starts from nothing ({error})")
        program.room, room.program = room, program
        room.mirror = Mirror(room.folder)
        program.send(*frames, room_frames.encode(room_frames.TASK, task))
        if again:
            self._say(f"room {room.name} goes on at {program.hello.name}")


def _newest(path: Path | None, before: Path | None) -> Path | None:
    """Return the recording to go on from; one that goes on from another is whole, or that is.

    Such a recording begins with all of the other one, which may not all have come.
    """
    if path is None or before is None:
        return path or before
    with suppress(OSError), path.open("rb") as file:
        header = file.readline()
        is_whole = path.stat().st_size >= before.stat().st_size
        return path if is_whole or b'"resumes":' not in header else before
    return before


def _encoded(options: Options) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(options))
