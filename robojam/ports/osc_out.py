"""OSC outputs: who is sent the machine's touches, and in which dialect."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Sequence

from robojam.config.addresses import parse_output
from robojam.config.options import Options
from robojam.jam.events import Event, TouchPlayed
from robojam.ports.interface import OutputPort
from robojam.ports.osc_scheduled import ScheduledOscOutput
from robojam.ports.udp import Address, Endpoint, resolve
from robojam.touch import Touch, is_machine
from robojam.wire import dialects, impsy, microjam, native, osc, tuio

#: Writes a touch that sounded at an instant of the engine's clock.
Write = Callable[[TouchPlayed, float], Sequence[bytes]]


class OscOutput:
    """One receiver of OSC, in a dialect."""

    def __init__(
        self, endpoint: Endpoint, to: Address, write: Write, *, everyone: bool
    ) -> None:
        """Send to an address; everyone: the humans' touches too."""
        self._endpoint, self._to, self._everyone = endpoint, to, everyone
        self._write = write

    def handle(self, what: Event, at: float) -> None:
        """Send a touch."""
        if isinstance(what, TouchPlayed) and (self._everyone or is_machine(what.touch.who)):
            for packet in self._write(what, at):
                self._endpoint.send(packet, self._to)

    def advance(self, now: float) -> float:
        """Nothing is due by itself."""
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        """What is there to say is the endpoint's."""
        return {}

    def close(self) -> None:
        """The endpoint is not its own."""


class TuioOutput(OscOutput):
    """A receiver of TUIO, who is told once a second what is down."""

    def __init__(self, endpoint: Endpoint, to: Address, source: str, *, everyone: bool) -> None:
        """Send under a source name."""
        self._writer = tuio.TuioWriter(source)
        self._told = -math.inf
        super().__init__(endpoint, to, self._touch, everyone=everyone)

    def _touch(self, what: TouchPlayed, at: float) -> list[bytes]:
        self._told = at
        return [self._writer.touch(what.touch, at)]

    def advance(self, now: float) -> float:
        """Tell it again, if a second has passed."""
        if now - self._told >= tuio.REPEAT:
            self._endpoint.send(self._writer.repeat(now), self._to)
            self._told = now
        return self._told + tuio.REPEAT - now


def tuio_source() -> str:
    """Return the name that this engine has as a source of TUIO."""
    return f"robojam:{os.getpid()}@{socket.gethostname()}"


def make_outputs(
    options: Options,
    endpoint: Endpoint,
    reader: dialects.OscReader | None = None,
    *,
    everyone: bool = False,
) -> list[OutputPort]:
    """Make what the options name. Raises PortError when a host is not known.

    reader is told what is sent, so that it knows it when it comes back; the machine plays
    on the pad that it knows of.
    """
    reader = reader or dialects.OscReader()

    def plain(write: Callable[[Touch], list[bytes]], *also: str) -> Write:
        """Let a dialect without addresses of the machine's own be known by its numbers."""

        def written(what: TouchPlayed, at: float) -> list[bytes]:
            packets = write(what.touch)
            reader.echoes.sent(packets, at)
            for address in also if packets else ():
                place = (what.touch.x, what.touch.y)
                reader.echoes.sent([osc.encode(address, "ff", *place)], at)
            return packets

        return written

    writes: dict[str, Write] = {
        "native": lambda what, _: [native.touch(what.touch, what.dt)],
        "touchosc": plain(reader.pads.write),
        "microjam": plain(microjam.touch),
        "impsy": plain(impsy.touch),
        # IMPSY may send on what it is sent (its input_thru), as its own.
        "interface": plain(impsy.interface, "/impsy"),
    }
    made: list[OutputPort] = []
    for output in map(parse_output, options.osc_out):
        to = resolve(output.host, output.port)
        if output.dialect == "native" and options.osc_ahead and not everyone:
            ahead, scale = options.osc_ahead / 1000, options.timescale
            made.append(ScheduledOscOutput(endpoint, to, ahead=ahead, timescale=scale))
        elif output.dialect == "tuio":
            made.append(TuioOutput(endpoint, to, tuio_source(), everyone=everyone))
        else:
            made.append(OscOutput(endpoint, to, writes[output.dialect], everyone=everyone))
    return made
