"""One process of a simulated run: the engine with its recorder, and what it has played."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from robojam.app.assemble import make_reader
from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine import loop
from robojam.engine.engine import Engine
from robojam.engine.setup import Setup
from robojam.engine.takes import LoadedPlayer, Resumed
from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.ports.midi import MidiPorts
from robojam.ports.osc_out import make_outputs
from robojam.ports.tuio_in import TuioInput
from robojam.touch import Phase, is_machine
from robojam.web.port import WebPort
from support.simulator.disk import Disk, SteppedRecorder, events_before, fingers_down
from support.simulator.midi import Keyboard, SimulatedMidiClient, Synthesiser
from support.simulator.network import SimulatedEndpoint
from support.simulator.pads import ENGINE, SECRET, PadServer, PadSocket
from support.simulator.world import KilledError, World

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Published:
    """Event that was given to the outputs: its instant, and when that was."""

    event: TouchPlayed | ControlChanged
    at: float
    now: float
    of_keyboard: bool = False


class Tape:
    """Output that keeps every touch and every control."""

    latency, schedules = 0.0, False

    def __init__(self, world: World, down: set[tuple[str, int]]) -> None:
        """Begin with these fingers down."""
        self._world = world
        self.published: list[Published] = []
        #: Whether the engine is being made; it lifts fingers then that the jam has not down.
        self.is_opening = True
        self.lifts: list[TouchPlayed] = []
        self.opened = 0  # number of events when it was made
        self._down = set(down)
        #: Return the name of the player whose source that is; None where there is none.
        self.name_of: Callable[[str], str | None] = lambda _: None

    def handle(self, event: Event, at: float) -> None:
        if isinstance(event, TouchPlayed):
            finger = event.touch.who, event.touch.id
            is_up = event.touch.phase is Phase.UP
            if self.is_opening and is_up and finger not in self._down:
                self.lifts.append(event)
                return
            (self._down.discard if is_up else self._down.add)(finger)
        if isinstance(event, TouchPlayed | ControlChanged):
            of_keyboard = isinstance(event, TouchPlayed) and event.touch.who == self.name_of(
                Keyboard.SOURCE
            )
            self.published.append(Published(event, at, self._world.now, of_keyboard))

    def advance(self, now: float) -> float:
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass

    def touches(self) -> list[TouchPlayed]:
        return [p.event for p in self.published if isinstance(p.event, TouchPlayed)]


@dataclass
class View:
    """What a receiver of the engine's packets sees: `packets` of touches, and fingers down.

    first is the number of touches of the tape when its first packet came.
    """

    packets: list[bytes] = field(default_factory=list)
    down: set[bytes] = field(default_factory=set)
    first: int | None = None

    def take(self, packet: bytes) -> None:
        """Take a packet in; only those of touches are kept."""
        address = packet[: packet.index(b"\0")]
        who, _, phase = address.removeprefix(b"/robojam/").partition(b"/")
        if phase not in (b"down", b"move", b"up"):
            return
        self.packets.append(packet)
        tag = packet.index(b",")
        finger = who + packet[tag + (4 if phase == b"up" else 8) :][:4]
        (self.down.discard if phase == b"up" else self.down.add)(finger)


class Process:
    """Engine of a run, from its start to its end: `killed_at` is when it was killed."""

    def __init__(
        self,
        world: World,
        disk: Disk,
        endpoint: SimulatedEndpoint,
        options: Options,
        settings: Settings,
        loaded: LoadedPlayer,
        resumed: Resumed | None,
        keyboard: Keyboard | None,
        synthesiser: Synthesiser | None,
        pads: PadServer | None,
        again: bool,
        load: Callable[..., None],
        register: Callable[[Process], None],
    ) -> None:
        """Start an engine; register is called before, as it may send something at once.

        again: it is started after another has died.
        """
        self.world, self.endpoint, self.options = world, endpoint, options
        self.before = () if resumed is None else events_before(resumed.header, resumed.before)
        self.tape = Tape(world, fingers_down(self.before))
        self.output, self.monitor = View(), View()
        self.killed_at: float | None = None
        self.began_at, self.resumed = world.now, resumed
        self.recorder: SteppedRecorder | None = None

        def make_recorder(*args: Any, **more: Any) -> SteppedRecorder:
            self.recorder = SteppedRecorder(
                disk, lambda: len(self.tape.published), *args, **more
            )
            return self.recorder

        self.errors: list[Exception] = []
        self.synthesiser = synthesiser
        register(self)
        reader = make_reader(options)
        self.midi_client: SimulatedMidiClient | None = None

        def make_client(*_: object) -> SimulatedMidiClient:
            self.midi_client = SimulatedMidiClient(world, keyboard, synthesiser)
            return self.midi_client

        midi = []
        if keyboard is not None or synthesiser is not None:
            midi.append(
                MidiPorts(
                    options, clock=world.clock, echo=reader.echo,
                    make_client=make_client,  # type: ignore[arg-type]
                )
            )  # fmt: skip
        self.pad_socket: PadSocket | None = None
        web = []
        if pads is not None:
            self.pad_socket = pads.socket = PadSocket(world, pads)
            web.append(self._web_port(self.pad_socket))
        self.engine = Engine(
            options,
            loaded.info,
            partial(Jam, loaded.player),
            endpoint=endpoint,  # type: ignore[arg-type]
            settings=settings,
            load=load,
            outputs=[self.tape, *make_outputs(options, endpoint, reader), *midi, *web],  # type: ignore[arg-type, list-item]
            inputs=[TuioInput(endpoint.tuio, reader.tuio_reader), *midi, *web],  # type: ignore[arg-type]
            reader=reader,
            setup=Setup(options, {}),
            resumed=resumed,
            clock=world.clock,
            make_recorder=make_recorder,
        )
        if again and resumed is None:
            self.engine.live.lift_at_outputs()
        senders = self.engine._humans.senders
        self.tape.name_of = lambda source: getattr(senders.get(source), "name", None)
        self.tape.is_opening, self.tape.opened = False, len(self.tape.published)

        self.engine._counts.error = self.errors.append  # type: ignore[method-assign, assignment]

    def _web_port(self, socket: PadSocket) -> WebPort:
        """Return the real port for pads, with a socket."""
        return WebPort(
            ENGINE, control=False, certificate=None, osc=self.endpoint.address, announce=False,
            player_of=lambda source: self.engine.player_of(source),
            role_of=lambda source: self.engine.role_of(source),
            state=lambda: (
                self.engine.jam.turn, self.engine.controls(), self.engine.options.voices
            ),
            model=lambda: self.engine.live.info.model.file, models=(),
            gateway=(ENGINE, SECRET), clock=self.world.clock,
            make_endpoint=lambda *_: socket,  # type: ignore[arg-type, return-value]
        )  # fmt: skip

    def run(self) -> bool:
        """Run until the engine ends, or is killed; return whether it has ended."""
        try:
            loop.run(self.engine, wait_for=self.world.wait)
        except KilledError:
            self.killed_at = self.world.now
            assert self.recorder is not None
            self.recorder.die()
            return False
        finally:
            self.engine.calls.close()
        return True

    def see(self, packet: bytes) -> None:
        """Take a packet to the monitor in."""
        if self.monitor.first is None:
            self.monitor.first = len(self.tape.touches())
        self.monitor.take(packet)

    def machine_touches(self) -> list[Published]:
        """Return the landings and slides of the machine."""
        return [
            p
            for p in self.tape.published
            if isinstance(p.event, TouchPlayed)
            and is_machine(p.event.touch.who)
            and p.event.touch.phase is not Phase.UP
        ]
