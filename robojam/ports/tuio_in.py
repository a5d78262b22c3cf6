"""TUIO input, at the port to which trackers send."""

import math
import time
from collections.abc import Callable

from robojam.config.addresses import format_address
from robojam.ports.listener import Listener
from robojam.wire import osc, tuio
from robojam.wire.native import Input

#: Packets that one call of `receive` reads at most.
_BURST = 32


class TuioInput:
    """Input of any number of TUIO sources, each a player of its own."""

    def __init__(
        self,
        listener: Listener,
        reader: tuio.TuioReader,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Read from a listener, which `close` closes; clock is the engine's, in seconds."""
        self._listener, self._reader, self._clock = listener, reader, clock

    def filenos(self) -> list[int]:
        """Return the listener's descriptors, for a selector."""
        return self._listener.filenos()

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs that came since the last call, each with its source."""
        inputs: list[tuple[str, Input]] = []
        for _ in range(_BURST):
            received = self._listener.receive()
            if received is None:
                break
            packet, (host, port) = received
            messages, dropped = osc.decode(packet)
            sender = format_address(host, port)
            inputs += [(sender, part) for part in dropped]
            for message in messages:
                if message.address.startswith(tuio.PREFIX):
                    inputs += self._reader.read(message, host, self._clock(), port)
                else:
                    about = f"{message.address!r:.80} at the port for TUIO"
                    drop = osc.Dropped("unknown address", about, message.address)
                    inputs.append((sender, drop))
        return inputs

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of the fingers of all sources."""
        return self._reader.expire(math.inf)[0]

    def status(self) -> dict[str, object]:
        """Return the address that it listens at."""
        return {"tuio": format_address(*self._listener.address)}

    def close(self) -> None:
        """Close the listener."""
        self._listener.close()
