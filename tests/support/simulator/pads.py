"""Pads in browsers of a simulated run: pages that people play, and what serves them.

The room of the server and the port of the engine are the real ones; the sockets between pages,
server and engine are not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import msgspec

from robojam.web import protocol
from robojam.web.protocol import Hello
from robojam.web.room import Item, Room, Visitor
from robojam.web.room_link import ATTEMPT, SILENCE
from support.simulator.musicians import PLACES, Serial
from support.simulator.network import Address, SimulatedSocket
from support.simulator.world import World

#: Address at which the engine waits for the pages' server, and its secret.
ENGINE: Final[Address] = ("127.0.0.1", 4800)
SECRET: Final = "a secret"
#: Seconds of a datagram on its way; of a page's message, at least and more on average; from one
#: death of the server to the next, on average; until it is there again.
_LOOPBACK: Final = 1e-5
_RADIO: Final = (0.002, 0.01)
_LIFE: Final = 60.0
_AWAY: Final = (0.5, 2.0, 8.0)
#: Seconds until somebody whose connection has ended is back.
_BACK: Final = (0.3, 3.0, 30.0)


class PadSocket:
    """The engine's socket for what serves the pages; see `SimulatedSocket`."""

    address = ENGINE

    def __init__(self, world: World, server: PadServer) -> None:
        self.socket = SimulatedSocket(world, ENGINE)
        self._world, self._server = world, server

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> tuple[bytes, Address] | None:
        return self.socket.receive()

    def send(self, packet: bytes, to: Address) -> bool:
        self._world.check()
        if to == ENGINE:
            self.socket.deliver(packet, ENGINE)
        else:
            self._server.deliver(packet, to)
        return True

    def close(self) -> None:
        pass


class PadServer:
    """Server of the pages, which dies now and then. `heard` are the touches it was sent."""

    def __init__(self, world: World, random: Random) -> None:
        self.socket: PadSocket | None = None  # that of the engine that listens now
        self.heard: list[tuple[PadSocket, tuple[Any, ...]]] = []
        self.pages = [Page(world, random, self) for _ in range(random.choice((1, 2, 4)))]
        self.serial = Serial()
        self.serial.last = PLACES // 2  # others have the first half
        self._world, self._random = world, random
        self._playing, self._port = True, 4900
        self._start()
        if random.random() < 0.5:
            world.after(random.expovariate(1 / _LIFE), self._die)

    def stop(self) -> None:
        """Have nobody play any more; pages are closed, or stay open."""
        self._playing = False
        for page in self.pages:
            page.stop()

    def heard_from(self, socket: PadSocket) -> list[tuple[Any, ...]]:
        """Return the touches that an engine has sent for the pages."""
        return [touch for sender, touch in self.heard if sender is socket]

    def deliver(self, packet: bytes, to: Address) -> None:
        """Deliver a packet of the engine."""
        world, socket = self._world, self.socket
        if to == (ENGINE[0], self._port) and self.room is not None and socket is not None:
            room = self.room
            world.after(_LOOPBACK, lambda: self._hear(room, socket, packet))

    def _start(self) -> None:
        self.room: Room | None = None
        self._port += 1
        self._heard_at = -math.inf
        self.room = room = Room(self._send, control=False, clock=lambda: self._world.now)
        self._look(room)
        self._report(room)

    def _die(self) -> None:
        if not self._playing:
            return
        self.room = None
        for page in self.pages:
            page.cut()
        self._world.after(self._random.choice(_AWAY), self._start)
        self._world.after(self._random.expovariate(1 / _LIFE) + _AWAY[-1], self._die)

    def _look(self, room: Room) -> None:
        """Look for the engine while it is silent."""
        if room is not self.room:
            return
        if self._world.now - self._heard_at >= SILENCE:
            self._datagram(SECRET.encode())
        self._world.after(ATTEMPT, lambda: self._look(room))

    def _report(self, room: Room) -> None:
        if room is self.room:
            room.report()
            people = {"connections": len(room), "players": room.players, "listeners": 0}
            self._send([["s", people | {"token": "a", "port": 8080, "locked": False}]])
            self._world.after(1.0, lambda: self._report(room))

    def _send(self, items: list[Item]) -> None:
        if self._world.now - self._heard_at < SILENCE:
            self._datagram(msgspec.msgpack.encode(items))

    def _datagram(self, data: bytes) -> None:
        sender = ENGINE[0], self._port

        def arrive() -> None:
            if self.socket is None:  # the system says that nobody is there
                self._heard_at = -math.inf
            else:
                self.socket.socket.deliver(data, sender)

        self._world.after(_LOOPBACK, arrive)

    def _hear(self, room: Room, socket: PadSocket, packet: bytes) -> None:
        if room is not self.room or socket is not self.socket:
            return
        message = msgspec.msgpack.decode(packet)
        if message == ["secret"]:
            self._datagram(SECRET.encode())
            return
        self._heard_at = self._world.now
        if message[0] == "f":
            self.heard += [(socket, tuple(touch)) for touch in message[1]]
        elif message[0] == "role":
            room.take_role(message[1], message[2])
        for text in room.hear(message):
            assert json.loads(text)
        if room.has_picture:
            of = room.picture()
            for visitor in room.visitors.values():
                if text := of(visitor):
                    assert json.loads(text)


@dataclass(eq=False)
class Page:
    """Page that somebody plays, whose messages all come, in their order, and late."""

    world: World
    random: Random
    server: PadServer
    visitor: Visitor | None = None
    _key: str = ""
    _arrives_at: float = 0.0
    _playing: bool = True
    _down: set[int] = field(default_factory=set)
    _connection: object = None

    def __post_init__(self) -> None:
        self._host = self.random.choice(
            ("127.0.0.1", f"10.0.1.{self.random.randrange(2, 250)}")
        )
        self.world.after(self.random.uniform(0.0, 2.0), self._open)

    def stop(self) -> None:
        """Play no more: lift, or close the page, or leave what is down as it is."""
        self._playing = False
        act = self.random.choice((self._lift_all, self._close))
        act()

    def cut(self) -> None:
        """End the connection, as the server has died."""
        self.visitor, self._connection = None, None
        self._down.clear()
        if self._playing:
            self.world.after(self.random.choice(_BACK), self._open)

    def _open(self) -> None:
        room = self.server.room
        if not self._playing or self.visitor is not None:
            return
        if room is None:
            self.world.after(self.random.choice(_BACK), self._open)
            return
        hello = Hello("A", view=False, key=self._key)
        assert not room.refusal(self._host, self.world.now, hello)
        self.visitor = room.enter(
            self._host, hello, new_key=str(self.random.random()), now=self.world.now
        )
        self._key, self._connection = self.visitor.key, object()
        self._rest(self._connection)

    def _close(self) -> None:
        """End the connection: the server notices at once."""
        room, visitor = self.server.room, self.visitor
        if room is not None and visitor is not None:
            room.leave(visitor)
        self.cut()

    def _rest(self, connection: object) -> None:
        seconds = self.random.choice((0.05, 0.5, 2.0, 8.0))
        self.world.after(seconds, lambda: self._stroke(connection))

    def _stroke(self, connection: object) -> None:
        if connection is not self._connection or not self._playing:
            return
        fingers = self.random.choice(([1], [1], [1, 2], [3, 4, 5]))
        self._touch("d", fingers)
        self._go_on(connection, self.random.choice((0, 3, 10, 40, 120)), fingers)

    def _go_on(self, connection: object, left: int, fingers: list[int]) -> None:
        if connection is not self._connection or not self._playing:
            return
        if left:
            self._touch("m", self.random.sample(fingers, self.random.randint(1, len(fingers))))
            after = self.random.uniform(0.008, 0.03)
            self.world.after(after, lambda: self._go_on(connection, left - 1, fingers))
        elif self.random.random() < 0.1:
            self._close()
        else:
            self._lift_all()
            self._rest(connection)

    def _touch(self, letter: str, fingers: list[int]) -> None:
        self._down |= set(fingers)
        self._say([[letter, finger, *self._place()] for finger in fingers])

    def _place(self) -> Iterator[float]:
        yield self.server.serial.next_x()
        yield self.random.random()

    def _lift_all(self) -> None:
        if self._down:
            self._say([["u", finger] for finger in sorted(self._down)])
            self._down.clear()

    def _say(self, touches: list[list[Any]]) -> None:
        text = json.dumps(["t", 1000 * self.world.now, touches])
        least, more = _RADIO
        at = self.world.now + least + self.random.expovariate(1 / more)
        self._arrives_at = max(self._arrives_at, at)
        connection = self._connection
        self.world.at(self._arrives_at, lambda: self._arrive(connection, text))

    def _arrive(self, connection: object, text: str) -> None:
        room, visitor = self.server.room, self.visitor
        if connection is self._connection and room is not None and visitor is not None:
            frames = protocol.parse(text)
            assert isinstance(frames, list)
            room.play(visitor, frames, self.world.now)
