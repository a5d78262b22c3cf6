"""OSC outputs: receivers of the machine's touches, each in a dialect."""

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

#: Function that writes a touch, played at an instant of the engine's clock, as packets.
Write = Callable[[TouchPlayed, float], Sequence[bytes]]


class OscOutput:
    """Receiver of OSC in one dialect."""

    def __init__(
        self, endpoint: Endpoint, address: Address, write: Write, *, everyone: bool
    ) -> None:
        """Send from an endpoint to an address; everyone: the humans' touches too."""
        self._endpoint, self._address, self._everyone = endpoint, address, everyone
        self._write = write

    def handle(self, event: Event, at: float) -> None:
        """Send a touch."""
        if isinstance(event, TouchPlayed) and (self._everyone or is_machine(event.touch.who)):
            for packet in self._write(event, at):
                self._endpoint.send(packet, self._address)

    def advance(self, now: float) -> float:
        """Do nothing; return infinity."""
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        """Return nothing: unsent packets are the endpoint's to report."""
        return {}

    def close(self) -> None:
        """Do nothing: the endpoint belongs to the engine."""


class TuioOutput(OscOutput):
    """Receiver of TUIO, which expects the fingers that are down once a second."""

    def __init__(
        self, endpoint: Endpoint, address: Address, source: str, *, everyone: bool
    ) -> None:
        """Send under a source name, from an endpoint to an address."""
        self._writer = tuio.TuioWriter(source)
        self._last_sent = -math.inf
        super().__init__(endpoint, address, self._write_touch, everyone=everyone)

    def _write_touch(self, event: TouchPlayed, at: float) -> list[bytes]:
        self._last_sent = at
        return [self._writer.write(event.touch, at)]

    def advance(self, now: float) -> float:
        """Repeat the last state if a second has passed; return the seconds until the next."""
        if now - self._last_sent >= tuio.REPEAT_INTERVAL:
            self._endpoint.send(self._writer.repeat(now), self._address)
            self._last_sent = now
        return self._last_sent + tuio.REPEAT_INTERVAL - now


def tuio_source() -> str:
    """Return this engine's name as a source of TUIO."""
    return f"robojam:{os.getpid()}@{socket.gethostname()}"


def make_outputs(
    options: Options,
    endpoint: Endpoint,
    reader: dialects.OscReader | None = None,
    *,
    everyone: bool = False,
) -> list[OutputPort]:
    """Return the outputs that --osc-out names. Raises PortError for an unknown host.

    Packets that could be taken for a human's when they return are reported to reader, whose
    pads are those the machine plays on. everyone: the humans' touches are sent too.
    """
    reader = reader or dialects.OscReader()

    def echoing(write: Callable[[Touch], list[bytes]], *addresses: str) -> Write:
        """Report what a dialect writes to the reader, also as it may return at addresses."""

        def write_and_report(event: TouchPlayed, at: float) -> list[bytes]:
            packets = write(event.touch)
            reader.remember_sent(packets, at)
            for address in addresses if packets else ():
                echo = osc.encode(address, "ff", event.touch.x, event.touch.y)
                reader.remember_sent([echo], at)
            return packets

        return write_and_report

    writers: dict[str, Write] = {
        "native": lambda event, _: [native.encode_touch(event.touch, event.dt)],
        "touchosc": echoing(reader.pads.write),
        "microjam": echoing(microjam.encode_touch),
        "impsy": echoing(impsy.encode_touch),
        # IMPSY may send on what it receives (its input_thru), as its own.
        "interface": echoing(impsy.encode_interface, "/impsy"),
    }

    def make(host: str, port: int, dialect: str) -> OutputPort:
        address = resolve(host, port)
        if dialect == "native" and options.osc_ahead and not everyone:
            ahead, scale = options.osc_ahead / 1000, options.settings().timescale
            return ScheduledOscOutput(endpoint, address, ahead=ahead, timescale=scale)
        if dialect == "tuio":
            return TuioOutput(endpoint, address, tuio_source(), everyone=everyone)
        return OscOutput(endpoint, address, writers[dialect], everyone=everyone)

    return [make(*parse_output(text)) for text in options.osc_out]
