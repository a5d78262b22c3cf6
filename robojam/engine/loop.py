"""Loop around an engine: it sleeps until the next packet or deadline, and wakes the engine.

Each turn listens first: packets are read, then handled for a short time, then what is due is
played, for a short time too. So the engine hears at any load; what the machine has no time to
play is delayed, and voices rest (robojam.engine.load).

Nothing here polls. An exception that nobody foresaw ends one act of a turn, and not the jam:
`Engine.failed` is given it. Each act has its try statement here, which costs nothing, where a
call of `Engine.attempt` is in the path of every touch.
"""

import math
import select
from collections.abc import Callable, Sequence
from functools import partial

from robojam.engine.engine import Engine
from robojam.engine.metrics import AFTER_ERROR
from robojam.engine.reception import Read
from robojam.ports.interface import InputPort, PacketPort
from robojam.ports.udp import Endpoint
from robojam.system.service_manager import ServiceNotifier

#: Packets of one port that are read in one turn.
_BURST = 128
#: Longest time to sleep at once, in seconds: the system refuses to sleep for years.
_LONGEST_WAIT = 3600.0


#: Function that waits until one of some files can be read, for some seconds at most (None: for
#: as long as it takes), and returns those that can be.
Wait = Callable[[Sequence[int], float | None], Sequence[int]]


def wait_for_files(files: Sequence[int], timeout: float | None) -> Sequence[int]:
    """Wait as `Wait` does. Raises OSError or ValueError for a file that is closed."""
    # Not epoll: it rounds deadlines up to whole milliseconds.
    return select.select(files, (), (), timeout)[0]


def run(
    engine: Engine, *, service: ServiceNotifier | None = None, wait_for: Wait = wait_for_files
) -> None:
    """Play until the engine is asked to stop; then finish it.

    service gets a keep-alive as long as the engine plays what is due without an error. wait_for
    waits for the engine's files, by the engine's clock.
    """
    watchdog = service if service is not None and service.interval < math.inf else None
    inputs: tuple[InputPort, ...] | None = None
    waiting = False  # whether something is left that was received
    resting: dict[int, float] = {}  # files whose handler has failed, until an instant
    engine.attempt(engine.begin_if_alone)
    try:
        while engine.stopping is None:
            try:
                wait = engine.advance()
                if watchdog is not None:
                    wait = min(wait, watchdog.alive(engine.clock()))
            except Exception as error:
                engine.failed(error)
                wait = AFTER_ERROR
            if engine.inputs is not inputs:  # at first, and when ports have been replaced
                inputs = engine.inputs
                handlers = _handlers(engine)
                files = list(handlers)
            if resting:
                now = engine.clock()
                resting = {file: until for file, until in resting.items() if until > now}
                files = [file for file in handlers if file not in resting]
                wait = min(wait, AFTER_ERROR)
            timeout = 0.0 if waiting else None if wait == math.inf else min(wait, _LONGEST_WAIT)
            try:
                ready = wait_for(files, timeout)
            except Exception as error:  # a port has closed its file
                engine.failed(error)
                files = [file for file in files if _is_open(file)]
                continue
            for file in ready:
                try:
                    handlers[file]()
                except Exception as error:
                    engine.failed(error)
                    resting[file] = engine.clock() + AFTER_ERROR
            try:
                waiting = engine.reception.listen()
            except Exception as error:
                engine.failed(error)
                waiting = False
    finally:
        if service is not None:
            service.stopping()
        engine.finish(engine.stopping or "error")


def _handlers(engine: Engine) -> dict[int, Callable[[], None]]:
    """Return what is called when a file can be read, by its descriptor.

    One that raises may have left what made its file readable.
    """
    return {
        engine.calls.fileno(): partial(engine.calls.drain, engine.attempt),
        **{
            each.fileno(): partial(_receive, engine, each, engine.reception.read)
            for each in engine.endpoint.sockets
        },
        **{
            number: (
                partial(_receive, engine, port, port.read)
                if isinstance(port, PacketPort)
                else partial(engine.reception.receive, port)
            )
            for port in engine.inputs
            for number in port.filenos()
        },
    }


def _receive(engine: Engine, port: Endpoint | PacketPort, read: Read) -> None:
    for _ in range(_BURST):
        received = port.receive()
        if received is None:
            break
        packet, sender = received
        try:
            engine.reception.take_in(packet, sender, engine.clock(), read)
        except Exception as error:
            engine.failed(error)


def _is_open(file: int) -> bool:
    try:
        select.select([file], (), (), 0)
    except (OSError, ValueError):
        return False
    return True
