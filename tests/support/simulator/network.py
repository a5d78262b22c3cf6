"""Network of a simulated run: links that lose, double and delay packets, and the endpoint."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from robojam.config.addresses import is_loopback
from robojam.engine.senders import DOUBLED
from support.simulator.world import World

Address = tuple[str, int]

#: Addresses at which the engine listens, for OSC and for TUIO, and that of its output.
ENGINE: Address = ("127.0.0.1", 5005)
TUIO: Address = ("127.0.0.1", 3333)
OUTPUT: Address = ("127.0.0.1", 9000)
_NUMBERS = count(1_000_000)  # of files: no real one has so high a number


@dataclass(frozen=True, slots=True)
class Link:
    """Way of packets: the shares that are lost and doubled, and the delay in seconds.

    delay is of all packets, jitter the mean of what is added to that of each: with it, one
    packet overtakes another. The second copy of one follows the first within DOUBLED.
    """

    lost: float = 0.0
    doubled: float = 0.0
    delay: float = 1e-5
    jitter: float = 0.0


LOOPBACK = Link()


class SimulatedSocket:
    """Socket at which packets arrive; `received` has when each was read, by content."""

    def __init__(self, world: World, address: Address = ENGINE) -> None:
        self.address = address
        self._world, self._number = world, next(_NUMBERS)
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self.received: dict[bytes, list[float]] = {}
        world.add_file(self._number, lambda: bool(self._waiting))

    def fileno(self) -> int:
        return self._number

    def deliver(self, packet: bytes, sender: Address) -> None:
        if len(self._waiting) < 10_000:  # a system drops what finds its buffer full
            self._waiting.append((packet, sender))

    def receive(self) -> tuple[bytes, Address] | None:
        if not self._waiting:
            return None
        packet, sender = self._waiting.popleft()
        self.received.setdefault(packet, []).append(self._world.now)
        return packet, sender


class SimulatedListener:
    """Listener of a port beside the engine's endpoint, without a system."""

    def __init__(self, world: World, address: Address) -> None:
        self.address, self.socket = address, SimulatedSocket(world, address)

    def filenos(self) -> list[int]:
        return [self.socket.fileno()]

    def receive(self) -> tuple[bytes, Address] | None:
        return self.socket.receive()

    def close(self) -> None:
        pass


class SimulatedEndpoint:
    """Endpoint of the engine of one process: a listener without a system."""

    address = ENGINE

    def __init__(self, network: Network) -> None:
        self._network = network
        self.sockets = (SimulatedSocket(network.world),)
        self.tuio = SimulatedListener(network.world, TUIO)

    def is_own(self, sender: Address) -> bool:
        return sender == ENGINE

    def is_here(self, host: str) -> bool:
        return is_loopback(host)

    def advance(self, now: float) -> float:
        del now
        return math.inf

    def send(self, packet: bytes, to: Address) -> bool:
        self._network.world.check()
        self._network.from_engine(packet, to)
        return True

    def open_destination(self, addresses: Sequence[Address], **_: object) -> Destination:
        return Destination(self, addresses[0])

    def status(self) -> dict[str, object]:
        return {"unsent": 0, "outputs": []}

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Destination:
    """Receiver of what the machine plays."""

    endpoint: SimulatedEndpoint
    address: Address

    def send(self, packet: bytes) -> None:
        self.endpoint.send(packet, self.address)

    def close(self) -> None:
        pass


class Network:
    """All links, and the receivers beyond them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.endpoint: SimulatedEndpoint | None = None  # None while no process listens
        self._receivers: dict[Address, tuple[Link, Callable[[bytes], None]]] = {}

    def listen(self) -> SimulatedEndpoint:
        """Have a process listen."""
        self.endpoint = SimulatedEndpoint(self)
        return self.endpoint

    def connect(self, address: Address, link: Link, receive: Callable[[bytes], None]) -> None:
        """Have what the engine sends to an address received there."""
        self._receivers[address] = link, receive

    def to_engine(
        self, packet: bytes, sender: Address, link: Link, to: Address = ENGINE
    ) -> None:
        """Send a packet to the engine; it is lost where no process listens when it arrives."""

        def arrive() -> None:
            if self.endpoint is not None:
                tuio = self.endpoint.tuio.socket
                (tuio if to == TUIO else self.endpoint.sockets[0]).deliver(packet, sender)

        self._send(link, arrive)

    def from_engine(self, packet: bytes, to: Address) -> None:
        """Send a packet of the engine."""
        found = self._receivers.get(to)
        if found is None:
            return
        link, receive = found
        if link is LOOPBACK:  # in order, and at once
            receive(packet)
        else:
            self._send(link, lambda: receive(packet))

    def _send(self, link: Link, arrive: Callable[[], None]) -> None:
        random = self.world.random
        if random.random() < link.lost:
            return
        jitter = random.expovariate(1 / link.jitter) if link.jitter else 0.0
        self.world.after(link.delay + jitter, arrive)
        if random.random() < link.doubled:
            again = random.uniform(0.0, 0.9 * DOUBLED)
            self.world.after(link.delay + jitter + again, arrive)
