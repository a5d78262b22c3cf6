"""MIDI of a simulated run: devices whose cables are pulled, and the client of their ports.

A keyboard is played by a person, a synthesiser by the machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random

from robojam.system.process_messages import GONE, MESSAGE, OPENED, OUTPUTS
from robojam.wire.midi import stream
from support.simulator.world import World

_NUMBERS = count(2_000_000)  # of files: no real one, and no socket, has so high a number
#: Seconds after which the engine has looked at a port that came back, and seconds that a cable
#: is in its place, on average, and is not.
_SETTLED = 0.5
_PLUGGED, _PULLED = 15.0, (0.05, 0.5, 5.0)


#: Seconds that a key is held, and from one key to the next.
_HELD, _NEXT = (0.03, 0.2, 1.0, 6.0), (0.0, 0.1, 0.4, 3.0, 20.0)


class _Device:
    """Device at a port of a number, whose cable may be pulled: then it is not there."""

    number: int
    name: bytes

    def __init__(self, world: World, random: Random) -> None:
        """Be there from now on."""
        self.is_there = True
        self._world, self._random = world, random
        self._client: SimulatedMidiClient | None = None
        if random.random() < 0.5:
            self._plan()

    def connect(self, client: SimulatedMidiClient) -> None:
        """Have another engine's client for the port."""
        self._client = client
        if self.is_there:
            self._open()

    def _open(self) -> None:
        self._tell(OPENED, self.name)

    def _plan(self) -> None:
        self._world.after(self._random.expovariate(1 / _PLUGGED), self._pull)

    def _pull(self) -> None:
        self.is_there = False
        self._tell(GONE, self.name)
        self._world.after(self._random.choice(_PULLED), self._plug)

    def _plug(self) -> None:
        self.is_there = True
        self._open()
        self._plan()

    def _tell(self, letter: str, data: bytes) -> None:
        if self._client is not None:
            self._client.tell(letter, self.number, data)


class Keyboard(_Device):
    """Keyboard that a person plays, and that says nothing while its cable is pulled."""

    number, name = 0, b"Keyboard:midi"
    #: Its option of a port, and its source.
    OPTION, SOURCE = "keyboard/keys", "midi:keyboard"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self._playing = True
        world.after(random.uniform(0.0, 2.0), self._press)

    def stop(self) -> None:
        """Play no more; keys that are held are released."""
        self._playing = False

    def _press(self) -> None:
        if not self._playing:
            return
        random, world = self._random, self._world
        key = random.randrange(21, 109)
        self._say(stream.note_on(0, key, random.randrange(1, 128)))
        world.after(random.choice(_HELD), lambda: self._say(stream.note_off(0, key)))
        world.after(random.choice(_NEXT), self._press)

    def _say(self, message: bytes) -> None:
        if self.is_there:
            self._tell(MESSAGE, message)


class Synthesiser(_Device):
    """Device that goes on sounding while its cable is pulled: `on` are its notes."""

    number, name = OUTPUTS, b"Synthesiser:midi"

    def __init__(self, world: World, random: Random, *, alive: Callable[[float], bool]) -> None:
        """Be there from now on; alive says whether an engine has run since an instant."""
        super().__init__(world, random)
        self.on: dict[tuple[int, int], float] = {}  # by channel and key: since when
        self._alive = alive

    def connect(self, client: SimulatedMidiClient) -> None:
        """Have another engine's client for the port.

        The process of the one before has ended the notes, unless it was killed, too.
        """
        if self._client is not None and self._random.random() < 0.5:
            self._client.release()
        super().connect(client)

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

    def _plug(self) -> None:
        if self._client is not None:
            self._client.release(is_there=True)
        super()._plug()

    def _open(self) -> None:
        """Tell the client that the port is there, and look soon at what goes on."""
        super()._open()
        now = self._world.now
        self._world.after(_SETTLED, lambda: self._check(now))

    def _check(self, since: float) -> None:
        """Check that no note of before has gone on, if the engine has run since an instant."""
        if self.is_there and self._alive(since):
            stuck = [note for note, at in self.on.items() if at < since]
            assert not stuck, f"notes go on from before the port was opened: {stuck}"


class SimulatedMidiClient:
    """Client of the process of MIDI ports, and that: of one input and one output.

    As robojam.ports.midi_process does, it ends the notes that sounded when a port was pulled.
    played is the number of keys of the keyboard that it was told of.
    """

    trouble, restarts, begun = None, 0, True

    def __init__(
        self, world: World, keyboard: Keyboard | None, synthesiser: Synthesiser | None
    ) -> None:
        self._world, self._synthesiser, self._number = world, synthesiser, next(_NUMBERS)
        self._waiting: deque[tuple[str, int, bytes]] = deque()
        self._sounding = stream.SoundingNotes()
        self.played = 0
        world.add_file(self._number, lambda: bool(self._waiting))
        for device in (keyboard, synthesiser):
            if device is not None:
                device.connect(self)

    def tell(self, letter: str, number: int, data: bytes) -> None:
        """Have the engine told something of a port."""
        self._waiting.append((letter, number, data))

    def fileno(self) -> int:
        return self._number

    def receive(self) -> list[tuple[str, int, bytes]]:
        received, self._waiting = list(self._waiting), deque()
        self.played += sum(
            letter == MESSAGE and data[0] & 0xF0 == stream.NOTE_ON
            for letter, _, data in received
        )
        return received

    def send(self, number: int, data: bytes) -> bool:
        del number
        self._world.check()
        if self._synthesiser is not None and self._synthesiser.is_there:
            for message in stream.MidiParser().feed(data)[0]:
                self._sounding.sent(message)
                self._synthesiser.take(message)
        return True

    def release(self, *, is_there: bool = False) -> None:
        """End what sounds, where the synthesiser is there."""
        if self._synthesiser is not None and (is_there or self._synthesiser.is_there):
            self._synthesiser.take(self._sounding.release())

    send_knobs = send

    def watch(self, now: float) -> None:
        del now

    def poke(self) -> None:
        pass

    def close(self) -> None:
        pass
