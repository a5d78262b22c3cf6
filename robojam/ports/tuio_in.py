"""TUIO input, at the port to which trackers send."""

import math
import time
from collections.abc import Callable

from robojam.ports.udp import Endpoint
from robojam.wire import osc, tuio
from robojam.wire.native import Dropped, Input

#: Packets that one call of `receive` reads at most.
_BURST = 32


class TuioInput:
    """Input of any number of TUIO sources, each a player of its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        reader: tuio.TuioReader,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Read from an endpoint, which `close` closes; clock is the engine's, in seconds."""
        self._endpoint, self._reader, self._clock = endpoint, reader, clock

    def fileno(self) -> int:
        """Return the endpoint's descriptor, for a selector."""
        return self._endpoint.fileno()

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs that came since the last call, each with its source."""
        inputs: list[tuple[str, Input]] = []
        for _ in range(_BURST):
            received = self._endpoint.receive()
            if received is None:
                break
            packet, (host, _port) = received
            messages, dropped = osc.decode(packet)
            inputs += [(host, Dropped(reason)) for reason in dropped]
            for message in messages:
                if message.address == tuio.ADDRESS:
                    inputs += self._reader.read(message, host, self._clock())
                elif not message.address.startswith("/tuio"):  # TUIO's other profiles
                    about = f"{message.address!r:.80} at the port for TUIO"
                    inputs.append((host, Dropped("unknown address", about)))
        return inputs

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of the fingers of all sources."""
        return self._reader.expire(math.inf)[0]

    def status(self) -> dict[str, object]:
        """Return the address that it listens at."""
        host, port = self._endpoint.address
        return {"tuio": f"{host}:{port}"}

    def close(self) -> None:
        """Close the endpoint."""
        self._endpoint.close()
