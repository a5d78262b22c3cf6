"""Knobs of connections that carry MIDI and nothing else of it: serial ports, WebSockets.

What is mapped (robojam.config.map_table) is heard and sent, as in the style ``map`` of a MIDI
port; times are in seconds of the engine's clock.
"""

from __future__ import annotations

import math

from robojam.config.map_table import midi_input_knobs, midi_knobs
from robojam.config.options import Options
from robojam.jam.events import ControlChanged, Event
from robojam.ports.knobs import Knobs
from robojam.ports.midi import GATHER, echo_key, echo_kind, may_echo
from robojam.wire.echo import EchoDetector
from robojam.wire.knob_inputs import MidiKnobReader
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, PortRequest
from robojam.wire.native import Dropped, Input


class MappedInput:
    """What comes in by one connection; source names its player."""

    def __init__(self, options: Options, name: str, source: str, echo: EchoDetector) -> None:
        """Read the map of the options, whose rows name the connection by a part of its name."""
        self.source, self._echoes = source, echo
        self._parser = stream.MidiParser()
        request = PortRequest(name, "map", virtual=False)
        self._reader = MidiKnobReader(midi_input_knobs(options.map, request))
        #: When gathered moves are to be taken; infinity while there are none.
        self.flush_at = math.inf

    def read(self, data: bytes, now: float) -> list[Input]:
        """Read bytes of MIDI; return the inputs that do not wait."""
        messages, dropped = self._parser.feed(data)
        inputs: list[Input] = [Dropped(reason) for reason in dropped]
        for message in messages:
            if may_echo(message) and self._echoes.is_echo(
                self.source, echo_key(message), now, kind=echo_kind(message)
            ):
                inputs.append(Dropped("echo"))
            else:
                inputs += self._reader.read(message) or ()
        if self._reader.has_moves and self.flush_at == math.inf:
            self.flush_at = now + GATHER
        return inputs

    def take_moves(self, now: float) -> list[Input]:
        """Return the moves that have been gathered for long enough."""
        if now < self.flush_at:
            return []
        self.flush_at = math.inf
        return self._reader.take_moves()

    def lose(self) -> list[Input]:
        """Note that the connection is lost; return what is cut off."""
        return [Dropped(reason) for reason in self._parser.discard_partial()]


class MappedOutput:
    """What goes out by connections of one name."""

    def __init__(self, options: Options, name: str, echo: EchoDetector) -> None:
        """Read the map of the options, whose rows name the connection by a part of its name."""
        request = PortRequest(name, "map", virtual=False)
        knobs = midi_knobs(options.map, request, PRESETS["map"])
        self._knobs = Knobs(options.map, knobs, options.settings())
        self._name, self._echoes = name, echo

    def hear(self, event: Event, at: float, now: float) -> bytes:
        """Return the messages that follow from an event of the instant at."""
        ends = b""
        if isinstance(event, ControlChanged) and event.name in ("mode", "panic"):
            ends = self.release()
        self._knobs.hear(event, at, now)
        return ends + self.take(now)

    def take(self, now: float) -> bytes:
        """Return the messages that are to be sent now."""
        return self._sent(b"".join(self._knobs.take(now)), now)

    def wait(self, now: float) -> float:
        """Return the seconds until `take` is to be called again, or infinity."""
        return self._knobs.wait(now)

    def again(self, now: float) -> bytes:
        """Return the last values again, for a receiver that has lost them."""
        return self._sent(b"".join(self._knobs.again()), now)

    def release(self) -> bytes:
        """Return the ends of the notes that sound."""
        return b"".join(self._knobs.release())

    def _sent(self, data: bytes, now: float) -> bytes:
        for message in filter(may_echo, stream.MidiParser().feed(data)[0]):
            series = self._name, message[0] & 0xF0
            self._echoes.sent(echo_key(message), now, series=series)
        return data
