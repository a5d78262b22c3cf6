"""Loop around an engine: it sleeps until the next packet or deadline, and wakes the engine.

Nothing here polls.
"""

import math
import select
from collections.abc import Callable
from functools import partial

from robojam.engine.engine import Engine
from robojam.ports.interface import InputPort
from robojam.ports.udp import Endpoint

#: Packets that are read before what is due is looked at again.
_BURST = 32


def run(engine: Engine) -> None:
    """Play until the engine is asked to stop; then finish it."""
    inputs: tuple[InputPort, ...] | None = None
    engine.begin_if_alone()
    try:
        while engine.stopping is None:
            wait = engine.advance()
            if engine.inputs is not inputs:  # at first, and when ports have been replaced
                inputs = engine.inputs
                handlers = _handlers(engine)
                files = list(handlers)
            # Not epoll: it rounds deadlines up to whole milliseconds.
            ready, _, _ = select.select(files, (), (), None if wait == math.inf else wait)
            for file in ready:
                handlers[file]()
    finally:
        engine.finish(engine.stopping or "error")


def _handlers(engine: Engine) -> dict[int, Callable[[], None]]:
    """Return what is called when a file can be read, by its descriptor."""
    return {
        engine.calls.fileno(): engine.calls.drain,
        **{each.fileno(): partial(_receive, engine, each) for each in engine.endpoint.sockets},
        **{
            number: partial(engine.receive, port)
            for port in engine.inputs
            for number in port.filenos()
        },
    }


def _receive(engine: Engine, endpoint: Endpoint) -> None:
    for _ in range(_BURST):
        packet = endpoint.receive()
        if packet is None:
            return
        engine.packet(*packet, engine.clock())
