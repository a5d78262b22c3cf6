"""Knobs that come in: any controller, parameter or number of OSC as x, y, pressure or control.

Pure. A source is ``cc N``, ``cc14 N``, ``nrpn N:N``, ``pitch bend``, ``note`` (the pitch of
each note that is struck) or ``velocity`` (that note's), with ``on CHANNEL`` after it where one
channel alone counts; or ``osc /ADDRESS``, with the number of the argument after it where it is
not the first. The knobs of one player that are x, y or pressure are one finger without
phases: it lands with the first movement and lifts after robojam.touch.LIFT_AFTER without one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from robojam.controls import CONTROLS, ControlSpec, Kind
from robojam.limits import ExpiringTable
from robojam.mapping.knob import Shape
from robojam.touch import KNOB_NAMES
from robojam.wire.knob_target import HIGHEST, RANGES, is_address
from robojam.wire.midi import stream
from robojam.wire.midi.bindings import parse_nrpn
from robojam.wire.midi.reader import MidiReader
from robojam.wire.midi.values import FineValue, ParameterDecoder
from robojam.wire.native import Control, Input, KnobMoves, PhaselessTouch, numeric
from robojam.wire.osc import Message

#: Parts of a finger that a knob may move, besides controls.
PLACES: Final = ("x", "y", "pressure")
#: Controls that a knob may set: those with a number, and those that a button triggers.
SET: Final = tuple(
    name
    for name, row in CONTROLS.items()
    if row.midi_range or row.kind in (Kind.SWITCH, Kind.TRIGGER)
)
#: Finger of knobs, apart from those of other messages of the same player.
FINGER: Final = -1
#: Seconds for which OSC messages of one host are gathered: x and y come in two.
GATHER: Final = 0.002
#: Hosts whose knobs are remembered.
_HOSTS: Final = 64
#: Highest number of an argument that a source may name.
_ARGUMENTS: Final = 64
_ALLOWED: Final = (
    "cc N (0 to 119), cc14 N (0 to 31), nrpn N:N, pitch bend, note or velocity, with "
    "on CHANNEL (1 to 16) after it, or osc /ADDRESS, with the number of an argument after it"
)
#: Kinds of source that have no number.
_NUMBERLESS: Final = ("pitch bend", "note", "velocity")
#: The values of each kind of source of MIDI.
_ENDS: Final = RANGES | {"velocity": (0.0, 127.0)}


class Source(NamedTuple):
    """Source of a knob: its kind, its number and channel (from 0, None: any), or address.

    Of osc, number is that of the argument, from 0.
    """

    kind: str
    number: int = 0
    channel: int | None = None
    address: str = ""

    @property
    def is_midi(self) -> bool:
        """Whether it comes by MIDI."""
        return self.kind != "osc"

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value; of OSC the usual ones."""
        return _ENDS.get(self.kind, (0.0, 1.0))


def parse_source(text: str) -> Source:
    """Read a source. Raises ValueError, which says what is allowed."""
    kind, _, rest = text.strip().partition(" ")
    if kind == "osc":
        rest = rest.strip()
        address, _, argument = rest.partition(" ")
        number = int(argument) if re.fullmatch("[0-9]{1,2}", argument) else 0 if argument else 1
        if is_address(address) and 1 <= number <= _ARGUMENTS:
            return Source("osc", number - 1, None, address)
    else:
        what, on, channel = (part.strip() for part in text.strip().partition(" on "))
        known = re.fullmatch("[0-9]{1,2}", channel) and 1 <= int(channel) <= 16
        if known or not on:
            kind, _, number_text = what.partition(" ")
            if what in _NUMBERLESS:
                kind, number_text = what, ""
            number_found = _number(kind, number_text.strip())
            if number_found is not None:
                return Source(kind, number_found, int(channel) - 1 if on else None)
    raise ValueError(f"{text!r:.60}; allowed: {_ALLOWED}")


def _number(kind: str, text: str) -> int | None:
    if kind in _NUMBERLESS:
        return None if text else 0
    if kind == "nrpn":
        return parse_nrpn(f"nrpn {text}")
    if kind in HIGHEST and re.fullmatch("[0-9]{1,3}", text) and int(text) <= HIGHEST[kind]:
        return int(text)
    return None


class InputKnob(NamedTuple):
    """A knob: where its value comes from, what it moves (of PLACES or SET), and how."""

    source: Source
    target: str
    shape: Shape


class _Player:
    """Knobs of one player: the last value of each, and the finger that some of them are."""

    def __init__(self, knobs: Sequence[InputKnob]) -> None:
        self._knobs = knobs
        self._places: dict[str, float] = {}
        self._moves: dict[int, float] = {}  # of knobs of the instrument, not taken yet
        self._last: dict[int, float] = {}
        self.has_moves = False

    def set(self, number: int, raw: float, *, anew: bool = False) -> list[Input]:
        """Set a knob to a value of its source; return the control that follows at once.

        anew: it is a movement even where the value is the last one, as a note that is struck
        again.
        """
        knob = self._knobs[number]
        value = knob.shape.value(raw)
        if knob.target in KNOB_NAMES:
            if anew or self._last.get(number) != value:
                self._last[number] = self._moves[KNOB_NAMES.index(knob.target) + 1] = value
                self.has_moves = True
            return []
        if knob.target in PLACES:
            if anew or self._places.get(knob.target) != value:
                self._places[knob.target] = value
                self.has_moves = True
            return []
        row = CONTROLS[knob.target]
        value = _of_kind(row, value)
        last, self._last[number] = self._last.get(number), value
        if (value == last and not anew) or (row.kind is Kind.TRIGGER and not value):
            return []
        return [Control(row.name, value)]

    def take_moves(self) -> list[Input]:
        """Return where the finger is, if it has moved since the last call."""
        if not self.has_moves:
            return []
        self.has_moves = False
        if self._moves:
            moves, self._moves = tuple(self._moves.items()), {}
            return [KnobMoves(moves)]
        x, y = (self._places.get(axis, 0.5) for axis in ("x", "y"))
        return [PhaselessTouch(x, y, id=FINGER, pressure=self._places.get("pressure"))]


def _of_kind(row: ControlSpec, value: float) -> float:
    """Return a value as a control takes it: a switch and a trigger from its half on."""
    if row.kind in (Kind.SWITCH, Kind.TRIGGER):
        return int(value >= 0.5)
    return round(value) if row.kind is Kind.COUNT else value


class MidiKnobReader:
    """Reader of the mapped controllers, parameters, bends and notes of one MIDI port."""

    def __init__(self, knobs: Sequence[InputKnob]) -> None:
        self._player = _Player(knobs)
        self._knobs = knobs
        self._parameters = ParameterDecoder()
        self._fine: dict[tuple[int, int], FineValue] = {}  # by knob and channel
        self._changed: dict[tuple[int, int], None] = {}

    @property
    def has_moves(self) -> bool:
        """Whether moves, or values of 14 bits, are gathered."""
        return self._player.has_moves or bool(self._changed)

    def read(self, message: bytes) -> list[Input] | None:
        """Read a message; return what does not wait, or None where no knob is mapped to it."""
        match message[0] & 0xF0:
            case stream.CONTROL:
                return self._read_controller(message)
            case stream.NOTE_ON | stream.NOTE_OFF | stream.BEND:
                return self._read_note_or_bend(message)
        return None

    def _read_note_or_bend(self, message: bytes) -> list[Input] | None:
        """Read a note or a bend as `read` does. The end of a note moves nothing."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == stream.BEND:
            bend = (message[1] | message[2] << 7) - stream.CENTRE
            values = {"pitch bend": bend}
        else:
            values = {"note": message[1], "velocity": message[2]}
        struck = kind == stream.NOTE_ON and message[2] > 0
        inputs: list[Input] = []
        known = False
        for number, knob in enumerate(self._knobs):
            source = knob.source
            if source.kind in values and source.channel in (None, channel):
                known = True
                if struck or kind == stream.BEND:
                    inputs += self._player.set(number, values[source.kind], anew=struck)
        return inputs if known else None

    def _read_controller(self, message: bytes) -> list[Input] | None:
        channel, controller, value = message[0] & 0x0F, message[1], message[2]
        entry = self._parameters.read(channel, controller, value)
        inputs: list[Input] = []
        known = False
        for number, knob in enumerate(self._knobs):
            source = knob.source
            if source.channel not in (None, channel):
                continue
            if source.kind == "cc" and source.number == controller:
                inputs += self._player.set(number, value)
            elif source.kind == "cc14" and controller in (source.number, source.number + 32):
                half = stream.DATA if controller == source.number else stream.DATA_FINE
                self._enter(number, channel, half, value)
            elif source.kind == "nrpn" and entry is not None and not entry.registered:
                if entry.number != source.number:
                    continue
                self._enter(number, channel, controller, value)
            else:
                continue
            known = True
        return inputs if known else None

    def _enter(self, number: int, channel: int, half: int, value: int) -> None:
        """Set a half of a knob's value of 14 bits."""
        key = number, channel
        self._fine.setdefault(key, FineValue()).set(half, value)
        self._changed[key] = None

    def take_moves(self) -> list[Input]:
        """Return what has been gathered since the last call."""
        inputs: list[Input] = []
        for key in self._changed:
            value = self._fine[key]
            value.settle()
            if value.value is not None:
                inputs += self._player.set(key[0], value.value)
        self._changed.clear()
        return inputs + self._player.take_moves()


class MappedReader:
    """Reader of a MIDI port whose mapped messages are knobs, and the others as its style."""

    def __init__(self, reader: MidiReader, knobs: Sequence[InputKnob]) -> None:
        self._reader, self._knobs = reader, MidiKnobReader(knobs)

    @property
    def has_moves(self) -> bool:
        """Whether moves, or controls of 14 bits, are gathered."""
        return self._reader.has_moves or self._knobs.has_moves

    def read(self, message: bytes) -> list[Input]:
        """Read a complete channel message; return the inputs that do not wait."""
        mapped = self._knobs.read(message)
        return self._reader.read(message) if mapped is None else mapped

    def take_moves(self) -> list[Input]:
        """Return what has been gathered since the last call."""
        return self._reader.take_moves() + self._knobs.take_moves()

    def lift_all(self) -> list[Input]:
        """Lift every finger and let every control go: the port is gone."""
        return self._reader.lift_all()  # the finger of knobs lifts by itself

    def silence(self) -> None:
        """Note that a panic has lifted every finger: none comes back by a move."""
        self._reader.silence()


class OscKnobReader:
    """Reader of the mapped addresses of OSC; each host has knobs of its own."""

    def __init__(self, knobs: Sequence[InputKnob]) -> None:
        self._knobs = knobs
        self._numbers: dict[str, list[int]] = {}
        for number, knob in enumerate(knobs):
            self._numbers.setdefault(knob.source.address, []).append(number)
        self._players: ExpiringTable[str, _Player] = ExpiringTable(_HOSTS)
        self._moved: dict[str, float] = {}  # hosts whose moves are gathered, until an instant

    def read(self, message: Message, host: str, now: float) -> list[Input] | None:
        """Read a message of a host; return as `MidiKnobReader.read` does."""
        numbers = self._numbers.get(message.address)
        if numbers is None:
            return None
        player = self._players.use(host, now)
        if player is None:
            player = _Player(self._knobs)
            self._players.put(host, player, now)
        inputs: list[Input] = []
        for number in numbers:
            argument = self._knobs[number].source.number
            value = numeric(message.args[argument]) if argument < len(message.args) else None
            if value is not None and math.isfinite(value):
                inputs += player.set(number, value)
        if player.has_moves:
            self._moved.setdefault(host, now + GATHER)
        return inputs

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Return the moves that have been gathered, and the seconds until the next ones."""
        inputs: list[tuple[str, Input]] = []
        for host in [host for host, until in self._moved.items() if until <= now]:
            del self._moved[host]
            player = self._players.get(host)
            if player is not None:
                inputs += [(host, move) for move in player.take_moves()]
        return inputs, min(self._moved.values(), default=math.inf) - now
