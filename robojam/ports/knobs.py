"""Knobs at the engine's outputs: values made from touches (robojam.mapping), as bytes.

`Knobs` are those of one output; a MIDI port has them beside its notes (robojam.ports.midi).
`OscKnobs` is the output of knobs at one receiver of OSC.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from robojam.config.addresses import format_address, parse_output
from robojam.config.map_table import Map, OscReceiver, OutputKnob, osc_receivers
from robojam.config.options import Options
from robojam.controls import Settings, amounts_of
from robojam.jam.events import ControlChanged, Event, TouchPlayed, TurnChanged
from robojam.mapping.bank import KnobBank
from robojam.mapping.features import FEATURES
from robojam.mapping.knob import INTERVAL
from robojam.ports.destination import Destination
from robojam.ports.interface import OutputPort
from robojam.ports.listener import Listener
from robojam.ports.udp import Address, PortError, resolve
from robojam.touch import Phase
from robojam.wire.knob_target import encode
from robojam.wire.midi import stream

#: Dialect of a destination of knobs, as the status names it.
DIALECT: Final = "knobs"


class Knobs:
    """Knobs of one output; times are in seconds of the engine's clock.

    A knob that is a note plays one at a time: its last note ends before the next, and with the
    stroke of the player who moved it.
    """

    def __init__(self, table: Map, knobs: Sequence[OutputKnob], settings: Settings) -> None:
        """Make knobs of a table, with the values of the controls `morph` and `amount`."""
        self._knobs = tuple(knobs)
        self._encoders: list[Callable[[float], bytes]] = [
            partial(encode, knob.target, knob.channel) for knob in knobs
        ]
        specs = [table.spec(knob.name) for knob in knobs]
        self._bank = KnobBank(specs, settings.morph, self._amounts(settings.amount))
        self._sounding: dict[int, tuple[int, int]] = {}  # channel and note, by the knob
        self._player = ""  # who played the last touch that was no lift
        self._ends: list[bytes] = []

    def hear(self, event: Event, at: float, now: float) -> None:
        """Hear an event of the instant at; `take` returns what follows from it now."""
        if isinstance(event, TouchPlayed):
            self._bank.touch(event.touch, event.dt, at, now)
            if event.touch.phase is not Phase.UP:
                self._player = event.touch.who
            elif event.touch.who == self._player:
                self._ends += self.release()
        elif isinstance(event, TurnChanged):
            self._bank.pass_turn(event.whose, now)
        elif isinstance(event, ControlChanged) and event.name == "morph":
            self._bank.morph(float(event.value), now)
        elif isinstance(event, ControlChanged) and event.name == "amount":
            self._bank.adjust(self._amounts(str(event.value)), now)

    def _amounts(self, text: str) -> list[float]:
        amounts = amounts_of(text)
        return [amounts.get(knob.name, 1.0) for knob in self._knobs]

    def take(self, now: float) -> list[bytes]:
        """Return the values that are to be sent now, each as its messages."""
        values, self._ends = self._ends, []
        for number, value in self._bank.take(now):
            if self._knobs[number].target.kind == "note":
                values += self._strike(number, int(value), now)
            else:
                values.append(self._encoders[number](value))
        return values

    def _strike(self, number: int, note: int, now: float) -> list[bytes]:
        """Return the end of a knob's note, if no other knob holds it, and its next one."""
        knob, ends = self._knobs[number], []
        before = self._sounding.pop(number, None)
        if before is not None and before not in self._sounding.values():
            ends.append(stream.note_off(*before))
        self._sounding[number] = knob.channel, note
        return [*ends, stream.note_on(knob.channel, note, self._velocity(number, now))]

    def _velocity(self, number: int, now: float) -> int:
        velocity = self._knobs[number].velocity
        if isinstance(velocity, int):
            return velocity
        value, row = self._bank.feature(number, velocity, now) or 0.0, FEATURES[velocity]
        part = min(max((value - row.low) / (row.high - row.low), 0.0), 1.0)
        return max(1, round(127 * part))  # 0 would end the note

    def release(self) -> list[bytes]:
        """Return the ends of the notes that sound."""
        notes = dict.fromkeys(self._sounding.values())
        self._sounding.clear()
        return [stream.note_off(*note) for note in notes]

    def wait(self, now: float) -> float:
        """Return the seconds until `take` is to be called again, or infinity."""
        return self._bank.wait(now)

    def again(self) -> list[bytes]:
        """Return the last values again, for a receiver that has lost them."""
        rows = zip(self._knobs, self._encoders, self._bank.values, strict=True)
        return [
            encoder(value)
            for knob, encoder, value in rows
            if value is not None and knob.target.kind != "note"
        ]


class OscKnobs:
    """Output of knobs to one receiver of OSC: a message with one float for each value."""

    schedules = False

    def __init__(
        self,
        destination: Destination,
        knobs: Knobs,
        *,
        latency: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Send to a destination; latency is as of an OutputPort, in seconds."""
        self.destination, self.latency = destination, latency
        self._knobs, self._clock = knobs, clock

    def handle(self, event: Event, at: float) -> None:
        """Send what an event moves."""
        now = self._clock()
        self._knobs.hear(event, at, now)
        self._send(now)

    def _send(self, now: float) -> None:
        for packet in self._knobs.take(now):
            self.destination.send(packet)

    def advance(self, now: float) -> float:
        """Send what goes on moving; return the seconds until the next value, or infinity."""
        self._send(now)
        return self._knobs.wait(now)

    def status(self) -> dict[str, object]:
        """Return nothing: the listener reports its destinations."""
        return {}

    def close(self) -> None:
        """Send the last values, and close the destination: the knobs stay where they are."""
        self._send(self._clock() + INTERVAL)
        self.destination.close()


def make_osc_knobs(
    options: Options,
    listener: Listener,
    *,
    clock: Callable[[], float] = time.perf_counter,
    on_unknown: Callable[[PortError], None] | None = None,
) -> list[OutputPort]:
    """Return the outputs of the options' knobs of OSC, one for each receiver.

    Raises PortError for an unknown host. With on_unknown, that is called instead, and the
    host is looked up again while there is something to send.
    """
    settings = options.settings()

    def addresses_of(host: str, port: int) -> Sequence[Address]:
        try:
            return resolve(host, port)
        except PortError as error:
            if on_unknown is None:
                raise
            on_unknown(error)
            return ()

    def make(receiver: OscReceiver, addresses: Sequence[Address]) -> OutputPort:
        host, port = receiver.host, receiver.port
        is_name = host not in ("localhost", *(known for known, _ in addresses[:1]))
        destination = listener.open_destination(
            addresses,
            name=format_address(host, port),
            dialect=DIALECT,
            optional=receiver.gets_touches,  # that output says it
            look_up=partial(resolve, host, port) if is_name else None,
        )
        knobs = Knobs(options.map, receiver.knobs, settings)
        return OscKnobs(destination, knobs, latency=receiver.latency, clock=clock)

    receivers = osc_receivers(options.map, map(parse_output, options.osc_out))
    addresses = [addresses_of(receiver.host, receiver.port) for receiver in receivers]
    return [make(*pair) for pair in zip(receivers, addresses, strict=True)]
