"""OSC outputs: receivers of the machine's touches, each in a dialect."""

import math
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from robojam.config.addresses import Output, format_address, parse_output
from robojam.config.options import Options
from robojam.jam.events import Event, TouchPlayed
from robojam.ports.destination import Destination
from robojam.ports.interface import OutputPort
from robojam.ports.listener import Listener
from robojam.ports.osc_scheduled import ScheduledOscOutput
from robojam.ports.thru import Thru
from robojam.ports.udp import Address, PortError, resolve
from robojam.touch import Phase, Touch, is_machine
from robojam.wire import dialects, impsy, microjam, native, tuio

#: Function that writes a touch, played at an instant of the engine's clock, as packets.
Write = Callable[[TouchPlayed, float], Sequence[bytes]]
#: Outputs of everybody who has named none: often nobody listens there.
_OPTIONAL: Final = Options().osc_out


class OscOutput:
    """Receiver of OSC in one dialect."""

    latency, schedules = 0.0, False

    def __init__(self, destination: Destination, write: Write, *, everyone: bool) -> None:
        """Send to a destination; everyone: the humans' touches too."""
        self.destination, self._everyone, self._write = destination, everyone, write
        #: Rule by which touches of humans are sent, too; None: they are not.
        self.thru: Thru | None = None
        self._down: dict[tuple[str, int], tuple[TouchPlayed, float]] = {}

    def handle(self, event: Event, at: float) -> None:
        """Send a touch; a move is a landing if the receiver has not seen the finger land."""
        if isinstance(event, TouchPlayed) and (
            is_machine(event.touch.who)
            or self._everyone
            or (self.thru is not None and self._passes(event.touch, self.thru))
        ):
            touch = event.touch
            finger = touch.who, touch.id
            if touch.phase is Phase.UP:
                self._down.pop(finger, None)
            else:
                if touch.phase is Phase.MOVE and finger not in self._down:
                    event = replace(event, touch=replace(touch, phase=Phase.DOWN))
                self._down[finger] = event, at
            self._send(event, at)

    def _passes(self, touch: Touch, thru: Thru) -> bool:
        """Return whether a human's touch is to be sent; a lift is where its finger is down."""
        if touch.phase is Phase.UP:
            return (touch.who, touch.id) in self._down
        return thru.passes(touch, self.destination.address)

    def take_over(self, event: TouchPlayed, at: float) -> None:
        """Note a touch that another engine has sent to the receiver."""
        finger = event.touch.who, event.touch.id
        if event.touch.phase is Phase.UP:
            self._down.pop(finger, None)
        else:
            self._down[finger] = event, at

    def hand_over(self) -> None:
        """Leave the fingers that are down to another engine."""
        self._down.clear()

    def _send(self, event: TouchPlayed, at: float) -> None:
        for packet in self._write(event, at):
            self.destination.send(packet)

    def advance(self, now: float) -> float:
        """Do nothing; return infinity."""
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        """Return nothing: the listener reports its destinations."""
        return {}

    def close(self) -> None:
        """Lift the fingers that are down at the receiver, and close the destination."""
        for event, at in self._down.values():
            self._send(replace(event, touch=replace(event.touch, phase=Phase.UP)), at)
        self._down.clear()
        self.destination.close()


class TuioOutput(OscOutput):
    """Receiver of TUIO, which expects the fingers that are down once a second."""

    def __init__(self, destination: Destination, source: str, *, everyone: bool) -> None:
        """Send to a destination under a source name."""
        self._writer = tuio.TuioWriter(source)
        self._last_sent = -math.inf
        super().__init__(destination, self._write_touch, everyone=everyone)

    def _write_touch(self, event: TouchPlayed, at: float) -> list[bytes]:
        self._last_sent = at
        return [self._writer.write(event.touch, at)]

    def advance(self, now: float) -> float:
        """Repeat the last state if a second has passed; return the seconds until the next."""
        if now - self._last_sent >= tuio.REPEAT_INTERVAL:
            self.destination.send(self._writer.repeat(now))
            self._last_sent = now
        return self._last_sent + tuio.REPEAT_INTERVAL - now


def tuio_source() -> str:
    """Return this engine's name as a source of TUIO."""
    return f"robojam:{os.getpid()}@{socket.gethostname()}"


def _native(event: TouchPlayed, _at: float) -> list[bytes]:
    """Return the native messages of a touch; none for a lift of knobs."""
    touch = event.touch
    if touch.knobs and touch.phase is Phase.UP:
        return []
    pressed = [] if touch.pressure is None else [native.encode_pressure(touch)]
    return [*pressed, native.encode_touch(touch, event.dt)]


def make_outputs(
    options: Options,
    listener: Listener,
    reader: dialects.OscReader | None = None,
    *,
    everyone: bool = False,
    present: Sequence[OutputPort] = (),
    thru: Thru | None = None,
    on_unknown: Callable[[PortError], None] | None = None,
) -> list[OutputPort]:
    """Return the outputs that --osc-out names. Raises PortError for an unknown host.

    With on_unknown, that is called instead, and the host is looked up again while there is
    something to send. The listener recognises their packets as the engine's own. The machine
    plays on the pads of reader. everyone: the humans' touches are sent too. An output that is
    present is not made again. thru knows where what humans play came from, for the outputs
    that ask for it: these are sent nothing ahead of time, as of humans nothing is known before.
    """
    reader = reader or dialects.OscReader()

    def is_thru(port: OutputPort) -> bool:
        return isinstance(port, OscOutput) and port.thru is not None

    made = {
        (each.destination.name, each.destination.dialect, is_thru(each)): each
        for each in present
        if isinstance(each, OscOutput | ScheduledOscOutput)
    }

    writers: dict[str, Write] = {
        "native": _native,
        "touchosc": lambda event, _: reader.pads.write(event.touch),
        "microjam": lambda event, _: microjam.encode_touch(event.touch),
        "impsy": lambda event, _: impsy.encode_touch(event.touch),
        "interface": lambda event, _: impsy.encode_interface(event.touch),
    }

    def make(output: Output, addresses: Sequence[Address]) -> OutputPort:
        host, port, dialect, *_ = output
        name = _name(output)
        is_name = host != "localhost" and host not in (known for known, _ in addresses[:1])
        destination = listener.open_destination(
            addresses,
            name=name,
            dialect=dialect,
            optional=name in _OPTIONAL,
            look_up=partial(resolve, host, port) if is_name else None,
        )
        if dialect == "native" and options.osc_ahead and not everyone and not output.thru:
            ahead, scale = options.osc_ahead / 1000, options.settings().timescale
            return ScheduledOscOutput(
                destination, ahead=ahead, timescale=scale, echo=reader.echo
            )
        if dialect == "tuio":
            return TuioOutput(destination, tuio_source(), everyone=everyone)
        return OscOutput(destination, writers[dialect], everyone=everyone)

    def addresses_of(output: Output) -> Sequence[Address]:
        try:
            return resolve(output.host, output.port)
        except PortError as error:
            if on_unknown is None:
                raise
            on_unknown(error)
            return ()

    outputs = [parse_output(text) for text in options.osc_out]
    present_of = [made.get((_name(output), output.dialect, output.thru)) for output in outputs]
    addresses = [
        () if found else addresses_of(output)
        for output, found in zip(outputs, present_of, strict=True)
    ]
    ports = [
        found or make(output, resolved)
        for output, found, resolved in zip(outputs, present_of, addresses, strict=True)
    ]
    for port, output in zip(ports, outputs, strict=True):
        port.latency = output.latency
        if isinstance(port, OscOutput) and output.thru:
            port.thru = thru
    return ports


def _name(output: Output) -> str:
    return format_address(output.host, output.port)
