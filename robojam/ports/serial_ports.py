"""Serial ports of the engine: lines of values (robojam.wire.value_lines), and MIDI of knobs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from robojam.config.addresses import SerialRequest, parse_serial, parse_serial_midi
from robojam.config.options import Options
from robojam.jam.events import Event, TouchPlayed
from robojam.ports.mapped_midi import MappedInput, MappedOutput
from robojam.ports.midi import ECHO, MISSED
from robojam.ports.serial_link import LOST, OPENED, TORN, SerialLink
from robojam.ports.thru import Thru
from robojam.system.shell import printable
from robojam.touch import Phase, is_machine
from robojam.wire.echo import EchoDetector, Kind, Origin
from robojam.wire.native import Dropped, Input, PhaselessTouch
from robojam.wire.value_lines import LineReader, write_line

log = logging.getLogger("robojam")

#: What shows that a line is one that robojam sent: a device may print what it receives.
_LINE: Final = Kind(least=5, slow=5, at_once=ECHO, alone=True)


class SerialPorts:
    """Every serial device of an engine, as one InputPort and OutputPort."""

    latency, schedules = 0.0, False

    def __init__(
        self,
        options: Options,
        *,
        echo: EchoDetector,
        thru: Thru | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Open the devices of the options; echo is the engine's. Raises SerialError.

        thru knows where what humans play came from, for the devices that ask for it.
        """
        self._clock = clock
        self._values = [
            _Values(
                SerialDevice(request := parse_serial(text), "values", clock),
                echo,
                thru if request.thru else None,
            )
            for text in options.serial
        ]
        self._midi = [
            _Midi(SerialDevice(parse_serial_midi(text), "MIDI", clock), options, echo)
            for text in options.serial_midi
        ]
        self._ports: list[_Values | _Midi] = [*self._values, *self._midi]

    def filenos(self) -> list[int]:
        """Return the links' descriptors, for a selector."""
        return [port.device.link.fileno() for port in self._ports]

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs since the last call."""
        now = self._clock()
        return [(port.source, item) for port in self._ports for item in port.receive(now)]

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return nothing: who has no phases lifts by itself."""
        return []

    def handle(self, event: Event, at: float) -> None:
        """Send what follows from an event."""
        now = self._clock()
        for values in self._values:
            values.handle(event, now)
        for midi in self._midi:
            midi.handle(event, at, now)

    def advance(self, now: float) -> float:
        """Send what goes on moving; return the seconds until the next call."""
        waits = [midi.advance(now) for midi in self._midi]
        return min(waits + [port.device.report_missing(now) for port in self._ports])

    def status(self) -> dict[str, object]:
        """Return the devices and what was not sent."""
        return {"serial": [port.device.describe() for port in self._ports]}

    def close(self) -> None:
        """End the notes that sound, and close the devices; on any thread."""
        for port in self._ports:
            port.device.link.close(port.end())


def serial_names(options: Options) -> list[str]:
    """Return the names by which rows of the map name the serial ports of MIDI."""
    return [_name(parse_serial_midi(text).port) for text in options.serial_midi]


def _name(port: str) -> str:
    return f"serial:{port}"


class SerialDevice:
    """Device of a serial port: its link, and what is said about it."""

    def __init__(self, request: SerialRequest, kind: str, clock: Callable[[], float]) -> None:
        """Open the device of an option; kind is what it speaks."""
        self.link = SerialLink(request, clock=clock)
        self.port, self._kind = request.port, kind
        self._is_open = False
        self._missed_at = clock() + MISSED

    def opened(self) -> None:
        """Note that it is there."""
        self._is_open = True
        log.info("serial: %s is there (%s)", printable(self.port), self._kind)

    def lost(self) -> None:
        """Note that it is gone."""
        self._is_open = False
        text = "serial: %s is gone; it is taken again when it returns"
        log.warning(text, printable(self.port))

    def report_missing(self, now: float) -> float:
        """Log once that it is not there; return the seconds until that is to be done."""
        if now < self._missed_at:
            return self._missed_at - now
        if self._missed_at < math.inf and not self._is_open:
            log.warning(
                "serial: %s is not there (%s); taken when it comes",
                printable(self.port), printable(self.link.error or "not opened yet"),
            )  # fmt: skip
        self._missed_at = math.inf
        return math.inf

    def describe(self) -> dict[str, object]:
        """Return its row of the status."""
        return {
            "wanted": self.port,
            "style": self._kind,
            "connected": self._is_open,
            "problem": None if self._is_open else self.link.error,
            "unsent": self.link.unsent,
        }


class _Values:
    """Device of lines of values.

    The machine's are sent where they change, and with thru those of others. A line that cannot
    be sent in time gives way to the next.
    """

    def __init__(self, device: SerialDevice, echo: EchoDetector, thru: Thru | None) -> None:
        self.device, self._echoes, self._thru = device, echo, thru
        self.source = _name(device.port)
        self._reader = LineReader()
        self._last = b""

    def receive(self, now: float) -> list[Input]:
        inputs: list[Input] = []
        for received in self.device.link.receive():
            if received.kind == OPENED:
                self.device.opened()
                self._reader = LineReader()
                if self._last:  # what it has missed
                    self._send(self._last, now)
            elif received.kind == LOST:
                self.device.lost()
            else:
                if received.kind == TORN:
                    self._reader.skip_line()
                inputs += self._reader.feed(received.data)
        return [self._unless_echo(item, now) for item in inputs]

    def _unless_echo(self, item: Input, now: float) -> Input:
        if isinstance(item, PhaselessTouch) and self._echoes.is_echo(
            self.source, _key(item.knobs), now, kind=_LINE
        ):
            return Dropped("echo")
        return item

    def handle(self, event: Event, now: float) -> None:
        if isinstance(event, TouchPlayed):
            touch, origin = event.touch, None
            if touch.phase is Phase.UP:
                return
            if not is_machine(touch.who):
                origin = self._thru.origin(touch) if self._thru is not None else None
                if origin is None or origin.source == self.source:
                    return
            line = write_line(touch)
            if line != self._last:
                self._last = line
                self._send(line, now, origin)

    def _send(self, line: bytes, now: float, origin: Origin | None = None) -> None:
        if self.device.link.send(line, only_newest=True):
            values = tuple(map(float, line.split(b",")))
            self._echoes.sent(_key(values), now, series=self.source, origin=origin)

    def end(self) -> bytes:
        return b""


class _Midi:
    """Device of MIDI, of which the mapped knobs alone are heard and sent."""

    def __init__(self, device: SerialDevice, options: Options, echo: EchoDetector) -> None:
        self.device, name = device, _name(device.port)
        self.source = f"midi:{name}"
        self._input = MappedInput(options, name, self.source, echo)
        self._output = MappedOutput(options, name, echo)

    def receive(self, now: float) -> list[Input]:
        inputs: list[Input] = []
        for received in self.device.link.receive():
            if received.kind == OPENED:
                self.device.opened()
                self._send(self._output.again(now))
            elif received.kind == LOST:
                self.device.lost()
                self._output.release()  # nothing sounds there any more
                inputs += self._input.lose()
            else:
                inputs += self._input.read(received.data, now)
        return inputs + self._input.take_moves(now)

    def handle(self, event: Event, at: float, now: float) -> None:
        self._send(self._output.hear(event, at, now))

    def _send(self, messages: bytes) -> None:
        if messages:
            self.device.link.send(messages)

    def advance(self, now: float) -> float:
        self._send(self._output.take(now))
        wait, flush_at = self._output.wait(now), self._input.flush_at
        if flush_at <= now:
            self.device.link.poke()
            return wait
        return min(wait, flush_at - now)

    def end(self) -> bytes:
        return self._output.release()


def _key(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return what an echo of values has too, which may have been rounded."""
    return tuple(round(value, 2) for value in values)
