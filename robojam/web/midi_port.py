"""Port of the engine for MIDI by WebSocket, which a process of its own serves.

Each socket is a player of its own, as a host of the network is: roles and limits are those of
its address.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from robojam.config.addresses import format_address, parse_websocket
from robojam.config.options import Options
from robojam.jam.events import Event
from robojam.ports.mapped_midi import MappedInput, MappedOutput
from robojam.ports.process_client import ProcessClient
from robojam.system.process_messages import DROPPED, GONE, MESSAGE, NO_PORT, OPENED
from robojam.web import limits
from robojam.wire.echo import EchoDetector
from robojam.wire.native import Dropped, Input

log = logging.getLogger("robojam")

_PROGRAM: Final = "robojam.web.midi_program"
#: Name by which rows of the map name it.
NAME: Final = "websocket"


class MidiSocketPort:
    """All sockets of one server, as one DevicePort and OutputPort."""

    latency, schedules = 0.0, False

    def __init__(
        self,
        options: Options,
        *,
        echo: EchoDetector,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Serve at the address of the options; echo is the engine's."""
        address = parse_websocket(options.midi_websocket)
        assert address is not None
        self._options, self._echoes, self._clock = options, echo, clock
        self._address = address
        self._inputs: dict[int, MappedInput] = {}
        self._output = MappedOutput(options, NAME, echo)
        host, port = address
        wanted = {"host": host, "listen": port, "origins": options.allow_origin}
        numbers = range(limits.MAX_MIDI_SOCKETS)
        self._client = ProcessClient(
            _PROGRAM, wanted, clock, ports=numbers, what="MIDI WebSocket"
        )

    def filenos(self) -> list[int]:
        """Return the client's descriptor, for a selector."""
        return [self._client.fileno()]

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs since the last call, each with the source of its socket."""
        now = self._clock()
        received: list[tuple[str, Input]] = []
        for letter, number, data in self._client.receive():
            if letter == OPENED and number == NO_PORT:
                self._up(int(data))
            elif letter == OPENED:
                self._open(number, data.decode(), now)
            elif (socket := self._inputs.get(number)) is None:
                continue
            elif letter == MESSAGE:
                received += [(socket.source, item) for item in socket.read(data, now)]
            elif letter == DROPPED:
                received.append((socket.source, Dropped(data.decode())))
            elif letter == GONE:
                log.info("MIDI WebSocket: %s has left", socket.source)
                received += [(socket.source, item) for item in socket.lose()]
                del self._inputs[number]
        for socket in self._inputs.values():
            received += [(socket.source, item) for item in socket.take_moves(now)]
        return received

    def _up(self, port: int) -> None:
        self._address = self._address[0], port
        log.info("MIDI WebSocket at ws://%s", format_address(*self._address))

    def _open(self, number: int, host: str, now: float) -> None:
        source = f"web:{host}/midi{number}"
        self._inputs[number] = MappedInput(self._options, NAME, source, self._echoes)
        log.info("MIDI WebSocket: %s has come", source)
        if values := self._output.again(now):  # which it has missed
            self._client.put(MESSAGE, number, values)

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return nothing: who has no phases lifts by itself."""
        return []

    def handle(self, event: Event, at: float) -> None:
        """Send what an event moves."""
        self._send(self._output.hear(event, at, self._clock()))

    def _send(self, messages: bytes) -> None:
        if messages and self._inputs:
            self._client.put(MESSAGE, NO_PORT, messages)

    def advance(self, now: float) -> float:
        """Send what goes on moving, watch the process; return the seconds until the next."""
        self._client.watch(now)
        self._send(self._output.take(now))
        flush_at = min((socket.flush_at for socket in self._inputs.values()), default=now + 1.0)
        if flush_at <= now:
            self._client.poke()
            flush_at = now + 1.0
        return min(1.0, self._output.wait(now), flush_at - now)

    def status(self) -> dict[str, object]:
        """Return where it is served, and who is there."""
        return {
            "midi_websocket": {
                "address": format_address(*self._address),
                "sources": [socket.source for socket in self._inputs.values()],
                "restarts": self._client.restarts,
                "trouble": self._client.trouble,
            }
        }

    def close(self) -> None:
        """End the notes that sound, and the process; on any thread."""
        self._send(self._output.release())
        self._client.close()
