"""The input for TUIO, at the port where its trackers send."""

from __future__ import annotations

import time
from collections.abc import Callable

from robojam.ports.udp import Endpoint
from robojam.wire import osc, tuio
from robojam.wire.native import Dropped, Input

#: Packets that are read before others have their turn.
_BURST = 32


class TuioInput:
    """TUIO from any number of sources, each a player."""

    def __init__(
        self,
        endpoint: Endpoint,
        listener: tuio.TuioReader,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Listen at an endpoint, which is closed with it; clock is the engine's."""
        self._endpoint, self._listener, self._clock = endpoint, listener, clock

    def fileno(self) -> int:
        """For a selector."""
        return self._endpoint.fileno()

    def receive(self) -> list[tuple[str, Input]]:
        """Return what came in, each with its player's source."""
        out: list[tuple[str, Input]] = []
        for _ in range(_BURST):
            got = self._endpoint.receive()
            if got is None:
                break
            packet, (host, _port) = got
            messages, dropped = osc.decode(packet)
            out += [(host, Dropped(reason)) for reason in dropped]
            for message in messages:
                if message.address == tuio.ADDRESS:
                    out += self._listener.read(message, host, self._clock())
                elif not message.address.startswith("/tuio"):
                    told = f"{message.address!r:.80} at the port for TUIO"
                    out.append((host, Dropped("unknown address", told)))
        return out

    def status(self) -> dict[str, object]:
        """Say where it listens."""
        host, port = self._endpoint.address
        return {"tuio": f"{host}:{port}"}

    def close(self) -> None:
        """Give the port back."""
        self._endpoint.close()
