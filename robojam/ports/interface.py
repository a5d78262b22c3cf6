"""Protocols of the engine's ports: inputs bring touches in, outputs take events."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from robojam.jam.events import Event
from robojam.ports.udp import Address
from robojam.wire.native import Input


class Port(Protocol):
    """A connection of the engine to a socket, a device or a program."""

    def status(self) -> dict[str, object]:
        """Return the port's part of the engine's status, as JSON values by name."""

    def close(self) -> None:
        """Silence what sounds at the port, and close it."""


class _InputPort(Port, Protocol):
    """Port that brings in touches and controls. No method blocks or raises.

    Each source is a player of its own: human, human2, … in the order of the first touches.
    """

    def filenos(self) -> Sequence[int]:
        """Return the descriptors of which one is readable when inputs wait."""

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of all fingers that are down: the port is about to be closed."""


class DevicePort(_InputPort, Protocol):
    """Input port of a device of this machine."""

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs since the last call, each with the name of its source."""


@runtime_checkable
class PacketPort(_InputPort, Protocol):
    """Input port of a network, from which anybody may send packets."""

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender's address, or None when none waits."""

    def read(
        self, packet: bytes, sender: Address, arrival: float
    ) -> Iterator[tuple[str, Input]]:
        """Yield the inputs of a packet that arrived at an instant, each with its source.

        A message that asks for nothing yields NOTHING: reading it takes time, too.
        """


InputPort = DevicePort | PacketPort


class OutputPort(Port, Protocol):
    """Port that takes events: a receiver of OSC, a MIDI port, the synthesiser.

    Its methods are called on the loop's thread, in the path of a deadline: none blocks or
    raises, and what could not be sent is counted.

    latency is the time in seconds from `handle` until an event is heard or seen. schedules:
    `handle` may be called before the instant of an event, which waits there.
    """

    latency: float
    schedules: bool

    def handle(self, event: Event, at: float) -> None:
        """Take an event; at is its instant on the engine's clock, in seconds."""

    def advance(self, now: float) -> float:
        """Do what is due by now; return the seconds until the next call, or infinity."""
