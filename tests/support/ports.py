"""Port of an engine that is an input and an output of the test's own."""

import socket
import threading

from robojam.jam.events import Event, TouchPlayed
from robojam.touch import Phase
from robojam.wire.native import Input


class FakePort:
    """Input port of the inputs that `put` is given, and output port that keeps the events."""

    latency, schedules = 0.0, False

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.waiting: list[tuple[str, Input]] = []
        self.events: list[tuple[Event, float]] = []
        self.touched = threading.Event()
        self.advanced: list[float] = []
        self.held: list[tuple[str, Input]] = []
        self.closed = False

    def put(self, source: str, *inputs: Input) -> None:
        self.waiting += [(source, input_) for input_ in inputs]
        self.far.send(b"\0")

    def filenos(self) -> list[int]:
        return [self.near.fileno()]

    def receive(self) -> list[tuple[str, Input]]:
        self.near.recv(4096)
        received, self.waiting = self.waiting, []
        return received

    def handle(self, event: Event, at: float) -> None:
        self.events.append((event, at))
        if isinstance(event, TouchPlayed):
            self.touched.set()

    def advance(self, now: float) -> float:
        self.advanced.append(now)
        return 1.0

    def lift_all(self) -> list[tuple[str, Input]]:
        lifted, self.held = self.held, []
        return lifted

    def status(self) -> dict[str, object]:
        return {"events": len(self.events)}

    def close(self) -> None:
        self.closed = True

    @property
    def touches(self) -> list[tuple[str, Phase, float]]:
        return [
            (event.touch.who, event.touch.phase, at)
            for event, at in self.events
            if isinstance(event, TouchPlayed)
        ]
