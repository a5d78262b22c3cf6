"""MIDI input: messages to fingers and controls. Pure.

A reader keeps the state of one port. Landings and lifts are returned at once; moves are
gathered until `take_moves` is called, because x and y of a place come in two messages. A
14-bit value of which only the coarse half comes stands as that half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from robojam.controls import MODES
from robojam.touch import Phase
from robojam.wire.midi import stream
from robojam.wire.midi.bindings import Action, Trigger, parse_binding
from robojam.wire.midi.styles import Style
from robojam.wire.native import Control, Dropped, Finger, Input, PhaselessTouch, PitchedFinger

#: Value of a control that is to be switched from its present state, which a reader cannot know.
TOGGLE = "toggle"
#: Reason for dropping one half of a 14-bit value without the other.
HALF = "half a 14-bit value"
#: Controllers that end all notes: all sound off, all notes off and the mode messages.
_SILENCE = (stream.SOUND_OFF, *range(stream.NOTES_OFF, 128))


@dataclass(slots=True)
class _Channel:
    """State of one channel."""

    bend: int = stream.CENTRE
    range: float = 2.0  # in semitones
    values: dict[int, int] = field(default_factory=dict)  # controllers
    pressure: int = 0
    parameter: tuple[int, int] = (127, 127)  # none

    @property
    def semitones(self) -> float:
        """The distance by which the pitch is bent."""
        return (self.bend - stream.CENTRE) / stream.CENTRE * self.range


class MidiReader:
    """Messages of one port."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._controls = dict(parse_binding(*pair) for pair in style.controls.items())
        self._pressed: dict[tuple[str, int, int], int] = {}

    @property
    def has_moves(self) -> bool:
        """Whether moves are gathered."""
        return False

    def read(self, message: bytes) -> list[Input]:
        """Read a complete channel message; return the inputs that do not wait."""
        control = self._control(message)
        if control is not None:
            return control
        wanted = self.style.channel if self.style.master is None else None
        if wanted is not None and message[0] & 0x0F != wanted - 1:
            return []
        return self._surface(message)

    def _surface(self, message: bytes) -> list[Input]:
        raise NotImplementedError

    def take_moves(self) -> list[Input]:
        """Return the moves gathered since the last call."""
        return []

    def lift_all(self) -> list[Input]:
        """Lift every finger: the port is gone, or reports that nothing sounds."""
        return []

    # -- controls ------------------------------------------------------------------

    def _control(self, message: bytes) -> list[Input] | None:
        """Return the controls that a message triggers; None where no control is bound to it."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind in (stream.NOTE_ON, stream.NOTE_OFF):
            name, value = "note", message[2] if kind == stream.NOTE_ON else 0
        elif kind == stream.CONTROL:
            name, value = "cc", message[2]
        elif kind == stream.PROGRAM:
            name, value = "program", 127
        else:
            return None
        number = message[1]
        action = self._controls.get(Trigger(name, number, channel))
        action = action or self._controls.get(Trigger(name, number, None))
        if action is None:
            return None
        return [
            Control(action.name, setting)
            for setting in self._trigger(action, name, (name, number, channel), value)
        ]

    def _trigger(
        self, action: Action, kind: str, key: tuple[str, int, int], value: int
    ) -> list[float | int | str]:
        last, self._pressed[key] = self._pressed.get(key, 0), value
        down = 1 if kind == "note" else 64
        # Some switches send nothing when they are released: the same again is another press.
        press = value >= down and (last < down or last == value or kind == "program")
        if action.how == "hold":
            return [int(value >= down)] if (value >= down) != (last >= down) else []
        if action.how == "range" and (kind == "cc" or press):
            return [_between(action, value)]
        if action.name == "mode" and action.how == "toggle" and kind == "cc":
            mode = MODES[value * len(MODES) // 128]
            return [mode] if mode != MODES[last * len(MODES) // 128] or not last else []
        if not press or action.how == "range":
            return []
        return [TOGGLE if action.how == "toggle" else action.value]


def _between(action: Action, value: int) -> float:
    """Map a value of 0 to 127 to an action's range; a timescale goes by factors."""
    part = value / 127
    if action.name == "timescale":
        return action.low * math.pow(action.high / action.low, part)
    return action.low + (action.high - action.low) * part


class _NotesReader(MidiReader):
    """Fingers that are notes. A finger's id is made of its channel and its note."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._places: dict[tuple[int, int], tuple[float, float]] = {}  # pitch and y
        self._velocities: dict[tuple[int, int], int] = {}
        self._moved: dict[tuple[int, int], None] = {}

    @property
    def has_moves(self) -> bool:
        return bool(self._moved)

    def _surface(self, message: bytes) -> list[Input]:
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == stream.NOTE_ON and message[2]:
            return self._land(channel, message[1], message[2])
        if kind in (stream.NOTE_ON, stream.NOTE_OFF):
            return self._lift(channel, message[1])
        if kind == stream.CONTROL and message[1] in _SILENCE:
            keys = [key for key in self._places if key[0] == channel]
            return [finger for key in keys for finger in self._lift(*key)]
        return self._shape(message)

    def _shape(self, message: bytes) -> list[Input]:
        """Read a message that neither begins nor ends a note."""
        del message
        return []

    def _place(self, channel: int, note: int) -> tuple[float, float]:
        """Return the pitch of a note and its y (0..1)."""
        velocity = self._velocities[channel, note]
        return float(note), self._y(max(velocity - 1, 0) / 126)

    def _y(self, part: float) -> float:
        return 1 - part if self.style.top else part

    def _finger(self, phase: Phase, key: tuple[int, int]) -> PitchedFinger:
        pitch, y = self._places[key] = self._place(*key)
        return PitchedFinger(phase, key[0] << 7 | key[1], pitch, y, self.style.pitch_range)

    def _land(self, channel: int, note: int, velocity: int) -> list[Input]:
        key = channel, note
        before = self._lift(channel, note) if key in self._places else []
        self._velocities[key] = velocity
        self._moved.pop(key, None)
        return [*before, self._finger(Phase.DOWN, key)]

    def _lift(self, channel: int, note: int) -> list[Input]:
        key = channel, note
        if key not in self._places:
            return [Dropped("absent finger")]
        last = self._move(key) if key in self._moved else []
        self._moved.pop(key, None)
        del self._places[key], self._velocities[key]
        return [*last, Finger(Phase.UP, channel << 7 | note)]

    def _move(self, key: tuple[int, int]) -> list[Input]:
        if self._places[key] == self._place(*key):
            return []
        return [self._finger(Phase.MOVE, key)]

    def take_moves(self) -> list[Input]:
        moved, self._moved = self._moved, {}
        return [finger for key in moved for finger in self._move(key)]

    def lift_all(self) -> list[Input]:
        return [finger for key in list(self._places) for finger in self._lift(*key)]


class _MpeReader(_NotesReader):
    """A zone of MPE: a note is a finger, its bend slides it, y is a controller.

    Notes on channels outside the zone are fingers too, so that a plain keyboard plays.
    """

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._reset_channels()

    def _reset_channels(self) -> None:
        """Set every channel to the state that the style describes."""
        style = self.style
        self._channels = [_Channel() for _ in range(16)]
        self._zones = {0: 0, 15: 0}  # members by master
        master = style.master
        if master is None:
            self._channels[(style.channel or 1) - 1].range = style.bend
        else:
            self._configure(master, style.members)
            for channel in self._members(master):
                self._channels[channel].range = style.bend

    def lift_all(self) -> list[Input]:
        lifted = super().lift_all()
        self._reset_channels()
        return lifted

    def _members(self, master: int) -> range:
        count = self._zones[master]
        return range(1, 1 + count) if master == 0 else range(15 - count, 15)

    def _master(self, channel: int) -> int | None:
        return next((m for m in self._zones if channel in self._members(m)), None)

    def _configure(self, master: int, members: int) -> None:
        """Set the members of a zone: the newer zone takes channels from the older."""
        self._zones[master] = min(members, 15)
        other = 15 - master
        self._zones[other] = min(self._zones[other], max(0, 14 - self._zones[master]))
        self._channels[master].range = 2.0
        for channel in self._members(master):
            self._channels[channel].range = 48.0

    def _place(self, channel: int, note: int) -> tuple[float, float]:
        style, own, master = self.style, self._channels[channel], self._master(channel)
        pitch = note + own.semitones
        if master is not None:
            pitch += self._channels[master].semitones
        if isinstance(style.y, int):
            value = own.values.get(style.y)
            if value is None and master is not None:
                value = self._channels[master].values.get(style.y)
            value = 64 if value is None else value
        elif style.y == "pressure":
            value = own.pressure
        else:
            value = self._velocities[channel, note]
        return pitch, self._y(value / 127)

    def _shape(self, message: bytes) -> list[Input]:
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        own = self._channels[channel]
        if kind == stream.BEND:
            own.bend = message[1] | message[2] << 7
        elif kind == stream.PRESSURE:
            own.pressure = message[1]
        elif kind == stream.POLY_PRESSURE:
            own.pressure = message[2]
        elif kind == stream.CONTROL:
            dropped = self._controller(channel, own, message[1], message[2])
            if dropped:
                return dropped
        members = set(self._members(channel)) if channel in self._zones else set()
        for key in self._places:
            if key[0] == channel or key[0] in members:
                self._moved[key] = None
        return []

    def _controller(self, channel: int, own: _Channel, number: int, value: int) -> list[Input]:
        if number == stream.RPN:
            own.parameter = value, own.parameter[1]
        elif number == stream.RPN_FINE:
            own.parameter = own.parameter[0], value
        elif number in (98, 99):
            own.parameter = 127, 127  # a parameter of the manufacturer's own
        elif number == stream.DATA:
            return self._parameter(channel, own.parameter, value)
        elif number == stream.RESET_CONTROLLERS:
            own.bend, own.pressure, own.parameter = stream.CENTRE, 0, (127, 127)
            own.values.clear()
        else:
            own.values[number] = value
        return []

    def _parameter(self, channel: int, which: tuple[int, int], value: int) -> list[Input]:
        """Set a registered parameter's coarse value. Without its number it is dropped."""
        if which == (0, stream.CONFIGURATION) and channel in self._zones:
            self._configure(channel, value)
        elif which == (0, stream.BEND_RANGE):
            master = self._master(channel)
            # The range of one member is that of all members.
            for member in [channel] if master is None else self._members(master):
                self._channels[member].range = float(value)
        elif 127 in which:
            return [Dropped("MIDI parameter without its number")]
        return []


class _ControllerReader(MidiReader):
    """Two controllers, x and y, whose finger is down while they change."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._coarse: dict[int, int] = {}
        self._halves: set[int] = set()
        self._parts: dict[int, float] = {}
        self._moved = False

    @property
    def has_moves(self) -> bool:
        return self._moved

    def _surface(self, message: bytes) -> list[Input]:
        if message[0] & 0xF0 != stream.CONTROL:
            return []
        style, number, value = self.style, message[1], message[2]
        axes = (style.x, style.y)
        dropped: list[Input] = []
        if style.fine and number - 32 in axes:
            number -= 32
            if number not in self._coarse:
                return [Dropped(HALF)]
            self._halves.discard(number)
            part = (self._coarse[number] << 7 | value) / 16383
        elif number in axes:
            if number in self._halves and self._coarse[number] != value:
                dropped = [Dropped(HALF)]
            self._coarse[number] = value
            part = value / 127
            if style.fine:
                self._halves.add(number)
        else:
            return []
        if self._parts.get(number) != part:
            self._parts[number] = part
            self._moved = True
        return dropped

    def take_moves(self) -> list[Input]:
        if not self._moved:
            return []
        self._moved = False
        assert isinstance(self.style.y, int)
        x, y = (self._parts.get(axis, 0.5) for axis in (self.style.x, self.style.y))
        return [PhaselessTouch(x, 1 - y if self.style.top else y)]

    def lift_all(self) -> list[Input]:
        self._coarse.clear()
        self._halves.clear()
        self._moved = False
        return []  # a finger without phases lifts by itself


_READERS = {"mpe": _MpeReader, "notes": _NotesReader, "cc": _ControllerReader}


def make_reader(style: Style) -> MidiReader:
    """Make the reader of a style."""
    return _READERS[style.kind](style)
