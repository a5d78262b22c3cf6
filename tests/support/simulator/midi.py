"""MIDI of a simulated run: a synthesiser whose cable is pulled, and the client of its port."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random

from robojam.system.process_messages import GONE, OPENED, OUTPUTS
from robojam.wire.midi import stream
from support.simulator.world import World

_NUMBERS = count(2_000_000)  # of files: no real one, and no socket, has so high a number
#: Seconds after which the engine has looked at a port that came back, and seconds that a cable
#: is in its place, on average, and is not.
_SETTLED = 0.5
_PLUGGED, _PULLED = 15.0, (0.05, 0.5, 5.0)


class Synthesiser:
    """Device that goes on sounding while its cable is pulled: `on` are its notes."""

    def __init__(self, world: World, *, random: Random, alive: Callable[[float], bool]) -> None:
        """Be there from now on; alive says whether an engine has run since an instant."""
        self.is_there = True
        self.on: dict[tuple[int, int], float] = {}  # by channel and key: since when
        self._world, self._random, self._alive = world, random, alive
        self._client: SimulatedMidiClient | None = None
        if random.random() < 0.5:
            self._plan()

    def connect(self, client: SimulatedMidiClient) -> None:
        """Have another engine's client for the port.

        The process of the one before has ended the notes, unless it was killed, too.
        """
        if self._client is not None and self._random.random() < 0.5:
            self._client.release()
        self._client = client
        if self.is_there:
            self._open()

    def take(self, data: bytes) -> None:
        """Sound what comes: MIDI messages."""
        for message in stream.MidiParser().feed(data)[0]:
            kind, note = message[0] & 0xF0, (message[0] & 0x0F, message[1])
            if kind == stream.NOTE_ON and message[2]:
                self.on.setdefault(note, self._world.now)
            elif kind in (stream.NOTE_ON, stream.NOTE_OFF):
                self.on.pop(note, None)
            elif kind == stream.CONTROL and message[1] in (120, 123):
                self.on = {n: at for n, at in self.on.items() if n[0] != note[0]}

    def _plan(self) -> None:
        self._world.after(self._random.expovariate(1 / _PLUGGED), self._pull)

    def _pull(self) -> None:
        self.is_there = False
        self._tell(GONE)
        self._world.after(self._random.choice(_PULLED), self._plug)

    def _plug(self) -> None:
        self.is_there = True
        if self._client is not None:
            self._client.release()
        self._open()
        self._plan()

    def _open(self) -> None:
        """Tell the client that the port is there, and look soon at what goes on."""
        self._tell(OPENED)
        now = self._world.now
        self._world.after(_SETTLED, lambda: self._check(now))

    def _check(self, since: float) -> None:
        """Check that no note of before has gone on, if the engine has run since an instant."""
        if self.is_there and self._alive(since):
            stuck = [note for note, at in self.on.items() if at < since]
            assert not stuck, f"notes go on from before the port was opened: {stuck}"

    def _tell(self, letter: str) -> None:
        if self._client is not None:
            self._client.tell(letter)


class SimulatedMidiClient:
    """Client of the process of MIDI ports, and that: it has one output.

    As robojam.ports.midi_process does, it ends the notes that sounded when a port was pulled.
    """

    trouble, restarts, begun = None, 0, True

    def __init__(self, world: World, synthesiser: Synthesiser) -> None:
        self._world, self._synthesiser, self._number = world, synthesiser, next(_NUMBERS)
        self._waiting: deque[tuple[str, int, bytes]] = deque()
        self._sounding = stream.SoundingNotes()
        world.add_file(self._number, lambda: bool(self._waiting))
        synthesiser.connect(self)

    def tell(self, letter: str) -> None:
        """Have the engine told that the port is there, or gone."""
        self._waiting.append((letter, OUTPUTS, b"Synthesiser:midi"))

    def fileno(self) -> int:
        return self._number

    def receive(self) -> list[tuple[str, int, bytes]]:
        received, self._waiting = list(self._waiting), deque()
        return received

    def send(self, number: int, data: bytes) -> bool:
        del number
        self._world.check()
        if self._synthesiser.is_there:
            for message in stream.MidiParser().feed(data)[0]:
                self._sounding.sent(message)
                self._synthesiser.take(message)
        return True

    def release(self) -> None:
        """End what sounds."""
        if self._synthesiser.is_there:
            self._synthesiser.take(self._sounding.release())

    send_knobs = send

    def watch(self, now: float) -> None:
        del now

    def poke(self) -> None:
        pass

    def close(self) -> None:
        pass
