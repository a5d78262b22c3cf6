"""TUIO input, at the port to which trackers send."""

import math
from collections.abc import Iterator

from robojam.config.addresses import format_address
from robojam.ports.listener import Listener
from robojam.ports.udp import Address
from robojam.wire import osc, tuio
from robojam.wire.native import NOTHING, Input


class TuioInput:
    """Input of any number of TUIO sources, each a player of its own."""

    def __init__(self, listener: Listener, reader: tuio.TuioReader) -> None:
        """Read from a listener, which `close` closes."""
        self._listener, self._reader = listener, reader

    def filenos(self) -> list[int]:
        """Return the listener's descriptors, for a selector."""
        return self._listener.filenos()

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender's address, or None when none waits."""
        return self._listener.receive()

    def read(
        self, packet: bytes, sender: Address, arrival: float
    ) -> Iterator[tuple[str, Input]]:
        """Yield the inputs of a packet, as `PacketPort.read` does."""
        host, port = sender
        for part in osc.parts(packet):
            if isinstance(part, osc.Dropped):
                yield format_address(host, port), part
            elif part.address.startswith(tuio.PREFIX):
                inputs = self._reader.read(part, host, arrival, port)
                yield from inputs or ((host, NOTHING),)
            else:
                about = f"{part.address!r:.80} at the port for TUIO"
                drop = osc.Dropped("unknown address", about, part.address)
                yield format_address(host, port), drop

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of the fingers of all sources."""
        return self._reader.expire(math.inf)[0]

    def status(self) -> dict[str, object]:
        """Return the address that it listens at."""
        return {"tuio": format_address(*self._listener.address)}

    def close(self) -> None:
        """Close the listener."""
        self._listener.close()
