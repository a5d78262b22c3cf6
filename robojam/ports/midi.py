"""MIDI ports of the engine: one port object that is an input and an output of many devices.

Another process holds the devices (robojam.ports.midi_process says why), and no call waits for
it.
"""

import logging
import math
import select
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from robojam.config.map_table import Map, midi_input_knobs, midi_knobs
from robojam.config.options import Options
from robojam.controls import MODES, Settings
from robojam.jam.events import ControlChanged, Event, TouchPlayed, TurnChanged
from robojam.ports.delay_line import DelayLine
from robojam.ports.knobs import Knobs
from robojam.ports.midi_client import MidiClient
from robojam.system.process_messages import (
    ERROR,
    GONE,
    MESSAGE,
    NO_PORT,
    OPENED,
    OUTPUTS,
    SYSTEMS,
)
from robojam.system.shell import printable
from robojam.touch import Phase, is_machine
from robojam.wire.echo import EchoDetector, Kind
from robojam.wire.knob_inputs import MappedReader
from robojam.wire.midi import stream
from robojam.wire.midi.reader import TOGGLE, MidiReader, make_reader
from robojam.wire.midi.styles import PRESETS, PortRequest, Style, parse_port, unknown_style
from robojam.wire.midi.writer import MidiWriter, make_writer
from robojam.wire.native import Control, Dropped, Input

log = logging.getLogger("robojam")

#: Seconds for which moves are gathered: a place's x and y come in two messages, about a
#: millisecond apart on a MIDI cable.
GATHER: Final = 0.002
#: Seconds after the start at which a port that is not there is reported: its name may be wrong.
MISSED: Final = 3.0
#: Seconds that the process has to begin looking for ports.
_BEGINS: Final = 10.0
#: Seconds without a sounding note after which the next is preceded by the output's setup.
SILENCE: Final = 1.5
_NO_SYSTEM: Final = "no MIDI system runs" + (
    "; start JACK or PipeWire, or sudo modprobe snd-seq" if sys.platform == "linux" else ""
)
#: Seconds within which a message that was sent returns as an echo, which one of it shows.
#: Longer than two long periods of JACK; shorter than a person takes to play a note that was
#: heard. And what shows a loop of a longer delay.
ECHO: Final = 0.06
_MESSAGE: Final = Kind(least=5, slow=5, at_once=ECHO, alone=True)
#: The same for controllers that end notes, which a person may send just after robojam has: one
#: alone shows nothing.
_ENDING: Final = Kind(least=5, slow=5)


@dataclass(slots=True, kw_only=True)
class _Device:
    wanted: PortRequest
    port: str | None = None  # its full name while it is there
    was_there: bool = False
    error: str | None = None  # why it cannot be opened
    messages: int = 0


@dataclass(slots=True, kw_only=True)
class _InputDevice(_Device):
    source: str
    reader: MidiReader | MappedReader
    parser: stream.MidiParser = field(default_factory=stream.MidiParser)
    last_received: float | None = None


@dataclass(slots=True, kw_only=True)
class _OutputDevice(_Device):
    writer: MidiWriter
    line: DelayLine
    knobs: Knobs | None  # where any are mapped
    played_at: float = -math.inf  # its last touch, or its setup
    taken_back_at: float = -math.inf  # jam time at which the turn passed to the humans
    unsent: int = 0


def echo_key(message: bytes) -> bytes:
    """Return what a message's echo has too: it may come on another channel.

    Of a note-on it is the note, as the velocity may be another one.
    """
    kind = message[0] & 0xF0
    return bytes((kind, message[1])) if kind == stream.NOTE_ON else bytes((kind, *message[1:]))


def echo_kind(message: bytes) -> Kind:
    """Return what shows that a message is an echo."""
    ends = (
        message[0] & 0xF0 == stream.CONTROL and message[1] in stream.ENDING and message[2] < 64
    )
    return _ENDING if ends else _MESSAGE


def may_echo(message: bytes) -> bool:
    """Return whether a message is dropped if it is an echo.

    A note's end is not: it ends a note that is held, and does nothing else. A centred bend is
    not: every controller sends it before a note.
    """
    kind = message[0] & 0xF0
    ends_note = kind == stream.NOTE_OFF or (kind == stream.NOTE_ON and not message[2])
    return not ends_note and message != stream.bend(message[0] & 0x0F, stream.CENTRE)


class MidiPorts:
    """Every MIDI device of an engine, as one InputPort and OutputPort.

    latency is the longest of its output devices: among themselves they meet.
    """

    schedules = False

    def __init__(
        self,
        options: Options,
        *,
        everyone: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        echo: EchoDetector | None = None,
        make_client: Callable[..., MidiClient] | None = None,
    ) -> None:
        """Open the options' ports; everyone: play humans' touches too. Raises MidiError.

        echo knows what was sent, and is the engine's. make_client makes what holds the ports,
        if not a MidiClient.
        """
        self._clock, self._everyone, self._own = clock, everyone, options.midi
        self._plays_notes = not options.knobs
        styles, settings = PRESETS | options.midi, options.settings()
        wanted_inputs = [parse_port(text, options.midi) for text in options.midi_in]
        wanted_outputs = [parse_port(text, options.midi) for text in options.midi_out]
        self._inputs = [
            _InputDevice(
                wanted=wanted,
                source=_source(wanted, number),
                reader=_reader(styles[wanted.style], options.map, wanted),
            )
            for number, wanted in enumerate(wanted_inputs)
        ]
        self.latency = max((wanted.latency for wanted in wanted_outputs), default=0.0)
        self._outputs = [
            self._output_device(wanted, styles[wanted.style], settings, options.map)
            for wanted in wanted_outputs
        ]
        self._mode, self._pause = settings.mode, 0
        self._echoes = echo or EchoDetector()
        self._systems: int | None = None  # MIDI systems that run; None before the first scan
        self._flush_at = math.inf
        self._report_missing_at = clock() + MISSED
        self._client = (make_client or MidiClient)(wanted_inputs, wanted_outputs, clock)

    def _output_device(
        self, wanted: PortRequest, style: Style, settings: Settings, table: Map
    ) -> _OutputDevice:
        writer = make_writer(style, ranges=settings.range, eager=wanted.virtual)
        mapped = midi_knobs(table, wanted, style)
        knobs = Knobs(table, mapped, settings) if mapped else None

        def deliver(event: Event, at: float) -> None:
            self._play(device, event, at)

        line = DelayLine(deliver, self.latency - wanted.latency, everyone=self._everyone)
        device = _OutputDevice(wanted=wanted, writer=writer, line=line, knobs=knobs)
        return device

    def await_ports(self, seconds: float) -> None:
        """Wait until every output device is there, before the engine's loop begins.

        The seconds count from when the process looks for ports, which takes a while on a busy
        machine.
        """
        end = self._clock() + _BEGINS
        begun = False
        while any(device.port is None for device in self._outputs) and self._clock() < end:
            if not begun and (begun := self._client.begun):
                end = self._clock() + seconds
            select.select(self.filenos(), [], [], 0.05)
            self.receive()

    # -- input ------------------------------------------------------------------------------

    def filenos(self) -> list[int]:
        """Return the client's descriptor, for a selector."""
        return [self._client.fileno()]

    def receive(self) -> list[tuple[str, Input]]:
        """Return the inputs since the last call, each with the source of its device."""
        now = self._clock()
        received: list[tuple[str, Input]] = []
        for letter, number, data in self._client.receive():
            if letter == MESSAGE and number < len(self._inputs):
                received += self._read(self._inputs[number], data, now)
            elif letter == OPENED:
                self._opened(number, data.decode(errors="replace"))
            elif letter == GONE:
                received += self._gone(number)
            elif letter == ERROR and number < NO_PORT:
                self._failed(number, data.decode(errors="replace"))
            elif letter == SYSTEMS:
                self._systems = int(data)
        if now >= self._flush_at:
            self._flush_at = math.inf
            received += self._take_moves()
        elif self._flush_at == math.inf and any(d.reader.has_moves for d in self._inputs):
            self._flush_at = now + GATHER
        return [(source, self._resolve_toggle(item)) for source, item in received]

    def _take_moves(self) -> list[tuple[str, Input]]:
        return [(d.source, move) for d in self._inputs for move in d.reader.take_moves()]

    def _read(self, device: _InputDevice, data: bytes, now: float) -> list[tuple[str, Input]]:
        messages, dropped = device.parser.feed(data)
        device.messages += len(messages)
        device.last_received = now
        inputs: list[tuple[str, Input]] = [(device.source, Dropped(r)) for r in dropped]
        for message in messages:
            if may_echo(message) and self._echoes.is_echo(
                device.source, echo_key(message), now, kind=echo_kind(message), heard=message
            ):
                ends = [*self._lift_heard(device), Dropped("echo")]
                inputs += [(device.source, item) for item in ends]
                continue
            items = device.reader.read(message)
            if any(isinstance(item, Control) for item in items):
                # Moves from before a control are heard before it: after a pedal that passes
                # the turn, they would take the turn back.
                inputs += self._take_moves()
            inputs += [(device.source, item) for item in items]
        return inputs

    def _lift_heard(self, device: _InputDevice) -> list[Input]:
        """Return the ends of the notes that were heard before they were known to be echoes."""
        notes = [m for m in self._echoes.take_heard(device.source) if isinstance(m, bytes)]
        ends = [
            device.reader.read(stream.note_off(note[0] & 0x0F, note[1]))
            for note in notes
            if note[0] & 0xF0 == stream.NOTE_ON
        ]
        return [item for end in ends for item in end if not isinstance(item, Dropped)]

    def _resolve_toggle(self, item: Input) -> Input:
        """Replace a switch's TOGGLE by the value that follows the present one."""
        if not isinstance(item, Control) or item.value != TOGGLE:
            return item
        if item.name == "pause":
            return replace(item, value=1 - self._pause)
        return replace(item, value=MODES[(MODES.index(self._mode) + 1) % len(MODES)])

    def _device(self, number: int) -> _Device:
        return self._inputs[number] if number < OUTPUTS else self._outputs[number - OUTPUTS]

    def _opened(self, number: int, port: str) -> None:
        device = self._device(number)
        first, device.was_there = not device.was_there, True
        device.port, device.error = port, None
        log.info("MIDI %s is there (%s)", _label(device), device.wanted.style)
        if isinstance(device, _OutputDevice):
            if first and self._plays_notes:
                self._send(device, device.writer.clear())
            if self._plays_notes:
                self._send(device, device.writer.start())
            self._send_knobs_again(device)
            device.played_at = self._clock()

    def _failed(self, number: int, error: str) -> None:
        device = self._device(number)
        device.error = error
        log.warning("MIDI %s cannot be opened: %s", _label(device), error)

    def _gone(self, number: int) -> list[tuple[str, Input]]:
        """Note that a device was pulled; return the ups of the fingers that it held."""
        device = self._device(number)
        lifted: list[tuple[str, Input]] = []
        if isinstance(device, _InputDevice):
            cut_off = map(Dropped, device.parser.discard_partial())
            lifted = [(device.source, item) for item in (*cut_off, *device.reader.lift_all())]
            device.parser = stream.MidiParser()
        elif isinstance(device, _OutputDevice):
            device.writer.panic()  # nothing sounds there any more, and nothing can be sent
            if device.knobs is not None:
                device.knobs.release()
        if device.port is not None:
            log.warning("MIDI %s is gone; it is taken again when it returns", _label(device))
        device.port = None
        return lifted

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return the ups of all fingers that are down."""
        return [(d.source, lifted) for d in self._inputs for lifted in d.reader.lift_all()]

    # -- output -----------------------------------------------------------------------------

    def handle(self, event: Event, at: float) -> None:
        """Play a touch; silence everything when a turn is taken back or the mode changes."""
        if isinstance(event, ControlChanged):
            if event.name == "mode":
                self._mode = str(event.value)
            elif event.name == "pause":
                self._pause = int(event.value)
            elif event.name == "panic":
                for source in self._inputs:
                    source.reader.silence()
        for device in self._outputs:
            device.line.handle(event, at)

    def _play(self, device: _OutputDevice, event: Event, at: float) -> None:
        """Play an event at a device."""
        if isinstance(event, TouchPlayed):
            touch = event.touch
            machine = is_machine(touch.who)
            if not machine and touch.phase is not Phase.UP and event.t == device.taken_back_at:
                device.taken_back_at = -math.inf
                self._silence(device)
            sounds = self._plays_notes and (machine or self._everyone)
            if sounds and device.port is not None:
                self._send(device, self._renewal(device) + device.writer.touch(at, touch))
                device.played_at = self._clock()
        elif isinstance(event, TurnChanged):
            # A turn is taken back by a touch of the same instant; one that ends by itself has
            # no such touch, and its notes ring on.
            to_humans = event.whose == "human" and not self._everyone
            device.taken_back_at = event.t if to_humans else -math.inf
        elif isinstance(event, ControlChanged):
            if event.name == "range":
                device.writer.ranges = str(event.value)
            elif event.name in ("mode", "panic"):
                self._silence(device)
        if device.knobs is not None:
            now = self._clock()
            device.knobs.hear(event, at, now)
            self._send_knobs(device, device.knobs.take(now))

    def _silence(self, device: _OutputDevice) -> None:
        """Silence a device; knobs on a channel whose controllers that resets are sent again."""
        if device.knobs is not None:
            self._send_knobs(device, device.knobs.release())
        self._send(device, device.writer.panic())
        self._send_knobs_again(device)

    def _send_knobs_again(self, device: _OutputDevice) -> None:
        if device.knobs is not None:
            self._send_knobs(device, device.knobs.again())

    def _renewal(self, device: _OutputDevice) -> bytes:
        """Return the setup of an output again, when it has been silent.

        A program or a device may be connected behind the port at any time, and nothing tells.
        Where notes sound it is not sent, since the setup of an MPE zone ends them.
        """
        silent = not device.writer.is_sounding and self._clock() - device.played_at >= SILENCE
        return device.writer.renew() if silent else b""

    def _send_knobs(self, device: _OutputDevice, values: Sequence[bytes]) -> None:
        # A note is sent as those of the touches, which the process ends when the engine dies.
        for is_note, some in groupby(values, _is_note):
            data = b"".join(some)
            self._send(device, data, None if is_note else self._client.send_knobs)

    def _send(
        self,
        device: _OutputDevice,
        data: bytes,
        send: Callable[[int, bytes], bool] | None = None,
    ) -> None:
        """Send messages to a device, by `MidiClient.send` or another method of the client."""
        if not data or device.port is None:
            return
        send = send or self._client.send
        now, number = self._clock(), OUTPUTS + self._outputs.index(device)
        messages = stream.MidiParser().feed(data)[0]
        if self._inputs:
            for message in filter(may_echo, messages):
                kind = message[0] & 0xF0
                self._echoes.sent(echo_key(message), now, series=(number, kind))
        device.messages += len(messages)
        if not send(number, data):
            device.unsent += len(messages)

    def advance(self, now: float) -> float:
        """Flush gathered moves, watch the process; return the seconds until the next call."""
        self._client.watch(now)
        wait = min((device.line.advance(now) for device in self._outputs), default=1.0)
        for device in self._outputs:
            if device.knobs is not None:
                self._send_knobs(device, device.knobs.take(now))
                wait = min(wait, device.knobs.wait(now))
        if now >= self._report_missing_at:
            self._report_missing_at = math.inf
            if self._client.trouble is None:  # else an error has been logged for all
                self._report_missing()
        if now >= self._flush_at:
            self._client.poke()
            return min(1.0, wait)
        return min(1.0, wait, self._flush_at - now)

    def _report_missing(self) -> None:
        text = "MIDI %s is not there (%s; robojam ports shows what is); taken when it comes"
        devices: list[_Device] = [*self._inputs, *self._outputs]
        for device in devices:
            if device.port is None and not device.error:
                log.warning(text, _label(device), self._why_missing(device.wanted))

    def _why_missing(self, wanted: PortRequest) -> str:
        if self._systems == 0:
            return _NO_SYSTEM
        name, slash, style = wanted.name.rpartition("/")
        if wanted.virtual:
            return "it cannot be made"
        if not slash:
            return "no port is named like that"
        return f"no port is named like that; or for {name}, {unknown_style(style, self._own)}"

    def _problem(self, device: _Device) -> str | None:
        """Return what is wrong with a port; None where nothing is or nobody knows yet."""
        if device.port is not None:
            return None
        if self._client.trouble or device.error:
            return self._client.trouble or device.error
        if self._systems is None:
            return None
        if device.was_there and self._systems:
            return "gone: it was there, and is taken again when it returns"
        return f"not there: {self._why_missing(device.wanted)}"

    # -- status and end ---------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Return the devices and how many messages went through each."""
        now = self._clock()
        inputs = [
            self._status_of(d)
            | {"idle_s": None if d.last_received is None else now - d.last_received}
            for d in self._inputs
        ]
        outputs = [self._status_of(d) | {"unsent": d.unsent} for d in self._outputs]
        process = {"restarts": self._client.restarts, "trouble": self._client.trouble}
        return {"midi": {"in": inputs, "out": outputs, **process}}

    def _status_of(self, device: _Device) -> dict[str, object]:
        return {
            "wanted": device.wanted.name,
            "style": device.wanted.style,
            "port": device.port,
            "connected": device.port is not None,
            "problem": self._problem(device),
            "messages": device.messages,
        }

    def close(self) -> None:
        """Release all notes that sound, and close the devices; on any thread."""
        for number, device in enumerate(self._outputs, start=OUTPUTS):
            if device.port is not None:  # without the echo detector, which is the engine's
                ends = [] if device.knobs is None else device.knobs.release()
                self._client.send(number, b"".join(ends) + device.writer.panic())
        self._client.close()


def _is_note(message: bytes) -> bool:
    return message[0] & 0xF0 in (stream.NOTE_ON, stream.NOTE_OFF)


def _label(device: _Device) -> str:
    """Return what the log calls a device: its direction and name."""
    direction = "in" if isinstance(device, _InputDevice) else "out"
    return f"{direction}: {printable(device.port or device.wanted.name):.120}"


def _reader(style: Style, table: Map, wanted: PortRequest) -> MidiReader | MappedReader:
    """Return the reader of an input, with the knobs that are mapped there."""
    reader, knobs = make_reader(style), midi_input_knobs(table, wanted)
    return MappedReader(reader, knobs) if knobs else reader


def _source(wanted: PortRequest, number: int) -> str:
    return f"midi:{wanted.name}" if not number else f"midi:{wanted.name} ({number + 1})"
