"""Musicians of a simulated run: they play over bad networks, vanish, and turn controls."""

from __future__ import annotations

from random import Random
from typing import Final

from robojam.controls import MODES
from robojam.touch import Phase, Touch
from robojam.wire import osc
from robojam.wire.tuio import TuioWriter
from support.simulator.network import LOOPBACK, TUIO, Address, Link, Network
from support.simulator.world import World

#: Places that tell touches apart: each touch has an x of its own, so that it is known again.
PLACES = 1 << 22
#: Touches of one run, at most.
MAX_TOUCHES = PLACES - 1


class Serial:
    """Numbers of touches, each of which is an x that 32 bits hold exactly."""

    def __init__(self) -> None:
        self.last = 0

    def next_x(self) -> float:
        self.last += 1
        return (self.last % PLACES) / PLACES

    @staticmethod
    def of(x: float) -> int:
        return round(x * PLACES)


class Musician:
    """Host that plays strokes, rests between them, and may vanish in the middle of one.

    Each message is a touch with an x of its own. `sent` are the numbers of its landings and
    slides, in their order.
    """

    def __init__(
        self, world: World, network: Network, address: Address, link: Link, serial: Serial,
        *, random: Random, vanishes: float,
    ) -> None:  # fmt: skip
        """Play from now on. vanishes is the share of strokes that end without a lift."""
        self._world, self._network, self._address, self._link = world, network, address, link
        self._serial, self._random, self._vanishes = serial, random, vanishes
        self._style = random.choice(("phases", "phases", "phases", "plain", "two"))
        self._playing = self._is_there = True
        self.sent: list[int] = []
        world.after(random.uniform(0.0, 2.0), self._begin_stroke)

    def stop(self) -> None:
        """Play no more; what is down stays so."""
        self._playing = False

    def _send(self, address: str, tags: str, *args: float) -> None:
        packet = osc.encode(address, tags, *args)
        self._network.to_engine(packet, self._address, self._link)

    def _touch(self, phase: str, finger: int) -> None:
        x, y = self._serial.next_x(), self._random.random()
        self.sent.append(self._serial.last)
        if self._style == "plain":
            self._send("/touch", "ff", x, y)
        else:
            self._send(f"/robojam/{phase}", "iff", finger, x, y)

    def _lift(self, finger: int) -> None:
        if self._style != "plain":
            self._send("/robojam/up", "i", finger)

    def _begin_stroke(self) -> None:
        if not self._playing or self._serial.last > MAX_TOUCHES - 1000:
            return
        self._is_there = True
        count = self._random.choice((0, 3, 10, 40, 120))
        fingers = [1, 2] if self._style == "two" else [1]
        for finger in fingers:
            self._touch("down", finger)
        self._go_on(count, fingers)

    def _go_on(self, left: int, fingers: list[int]) -> None:
        random, world = self._random, self._world
        if not self._playing:
            return
        if left:
            self._touch("move", random.choice(fingers))
            world.after(random.uniform(0.008, 0.03), lambda: self._go_on(left - 1, fingers))
            return
        if random.random() < self._vanishes:  # it is back later, or not
            self._is_there = False
            if random.random() < 0.7:
                world.after(random.choice((1.0, 5.0, 12.0, 40.0)), self._begin_stroke)
            return
        for finger in fingers:
            self._lift(finger)
        world.after(random.choice((0.05, 0.3, 0.8, 3.0, 8.0)), self._begin_stroke)


#: Beginning of the name of a tracker whose packets all come, once and in order.
NEAR: Final = "near"
#: Seconds after which a tracker says again what is down.
_REPEAT: Final = 1.0


class Tracker(Musician):
    """Musician whose fingers a tracker reports by TUIO, in frames that it also repeats."""

    def __init__(
        self, world: World, network: Network, address: Address, link: Link, serial: Serial,
        *, random: Random, vanishes: float,
    ) -> None:  # fmt: skip
        """Play from now on. A tracker that vanishes sends nothing until its next stroke."""
        name = NEAR if link is LOOPBACK else "far"
        self._writer, self._sent_at = TuioWriter(f"{name} {address[1]}@{address[0]}"), 0.0
        super().__init__(
            world, network, address, link, serial, random=random, vanishes=vanishes
        )
        self._style = random.choice(("phases", "two"))
        world.after(_REPEAT, self._repeat)

    def _frame(self, packet: bytes) -> None:
        self._sent_at = self._world.now
        self._network.to_engine(packet, self._address, self._link, TUIO)

    def _touch(self, phase: str, finger: int) -> None:
        x, y = self._serial.next_x(), self._random.random()
        self.sent.append(self._serial.last)
        touch = Touch(x, y, 0.0, Phase(phase), finger)
        self._frame(self._writer.write(touch, self._world.now))

    def _lift(self, finger: int) -> None:
        self._frame(self._writer.write(Touch(0.0, 0.0, 0.0, Phase.UP, finger), self._world.now))

    def _repeat(self) -> None:
        if self._playing and self._is_there:
            self._frame(self._writer.repeat(self._world.now))
        self._world.after(_REPEAT, self._repeat)


#: Controls that a host turns, each with the tags and values that it sends.
_CONTROLS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("mode", "s", MODES),
    ("mode", "s", ("call-response", "duet", "solo")),
    ("temperature", "f", (0.0, 0.5, 1.0, 2.0)),
    ("spread", "f", (0.0, 1.0, 3.0)),
    ("timescale", "f", (0.1, 0.5, 1.0, 3.0)),
    ("threshold", "f", (0.1, 0.5, 2.0)),
    ("response", "f", (0.0, 1.0, 5.0)),
    ("follow", "f", (0.0, 0.5, 1.0)),
    ("memory", "f", (0.0, 0.4, 1.0)),
    ("dwell", "f", (0.0, 0.5)),
    ("pause", "i", (0, 0, 1)),
    ("answer", "", ()),
    ("reset", "", ()),
    ("panic", "", ()),
    ("back", "f", (0.5, 5.0, 40.0)),
    ("store", "s", ("A", "B")),
    ("recall", "s", ("A", "B")),
    ("undo_store", "s", ("A", "B")),
    ("seed", "i", (1, 2, 3)),
    ("record", "i", (0, 1, 1)),
    ("instrument", "s", ("ai=drums", "human=keys")),
    ("clock", "s", ("off", "internal")),
    ("tempo", "f", (60.0, 133.0)),
    ("quantum", "s", ("off", "beat", "bar")),
    ("grid", "s", ("off", "1/8", "1/16")),
    ("lean", "f", (0.0, 1.0)),
    ("tap", "", ()),
)


class Host:
    """Program on the engine's machine that turns controls, at random instants."""

    ADDRESS: Address = ("127.0.0.1", 4000)

    def __init__(
        self, world: World, network: Network, link: Link, *, random: Random, every: float
    ) -> None:
        """Turn a control each `every` seconds, on average, from now on."""
        self._world, self._network, self._link = world, network, link
        self._random, self._every = random, every
        self._turning = True
        self._plan()

    def stop(self) -> None:
        """Turn no more."""
        self._turning = False

    def send(self, name: str, tags: str = "", *args: object) -> None:
        packet = osc.encode(f"/robojam/{name}", tags, *args)
        self._network.to_engine(packet, self.ADDRESS, self._link)

    def _plan(self) -> None:
        self._world.after(self._random.expovariate(1 / self._every), self._turn)

    def _turn(self) -> None:
        if not self._turning:
            return
        name, tags, values = self._random.choice(_CONTROLS)
        self.send(name, tags, *([self._random.choice(values)] if tags else []))
        self._plan()
