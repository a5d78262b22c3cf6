"""What is plugged into the engine: inputs that bring touches in, outputs that let them out."""

from __future__ import annotations

from typing import Protocol

from robojam.jam.events import Event
from robojam.wire.native import Input


class Port(Protocol):
    """Anything that is plugged in."""

    def status(self) -> dict[str, object]:
        """Say how it does, for the status."""

    def close(self) -> None:
        """Silence what sounds there, and give the port back."""


class InputPort(Port, Protocol):
    """A port that brings in touches and controls. Nothing here blocks or raises."""

    def fileno(self) -> int:
        """What a selector waits for."""

    def receive(self) -> list[tuple[str, Input]]:
        """Return what came in since the last call, each with a text that names its source.

        Each source is a player of its own, human, human2, … in the order of its first touch.
        """


class OutputPort(Port, Protocol):
    """Where events go: receivers of OSC, a MIDI port, the synthesiser.

    It is called on the loop's thread, in the path of a deadline: nothing here blocks
    or raises, and what could not be sent is counted.
    """

    def handle(self, what: Event, at: float) -> None:
        """Let it be heard; at is the clock's instant of what.t, in seconds."""

    def advance(self, now: float) -> float:
        """Do what is due by itself; return the seconds until the next, infinity for never."""
