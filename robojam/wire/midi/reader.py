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
#: Kinds of message that can trigger a control, by the words of a binding.
_TRIGGERS = {
    stream.NOTE_ON: "note", stream.NOTE_OFF: "note",
    stream.CONTROL: "cc", stream.PROGRAM: "program",
}  # fmt: skip
_Key = tuple[int, int]


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
        return (self.bend - stream.CENTRE) / stream.CENTRE * self.range


class MidiReader:
    """Reader of the messages of one port."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._controls = dict(parse_binding(*pair) for pair in style.controls.items())
        self._pressed: dict[tuple[str, int, int], int] = {}
        #: Fingers that have moved, by channel and note, or by the controllers of x and y.
        self._moved: dict[_Key, None] = {}

    @property
    def has_moves(self) -> bool:
        """Whether moves are gathered."""
        return bool(self._moved)

    def read(self, message: bytes) -> list[Input]:
        """Read a complete channel message; return the inputs that do not wait."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        number, value = message[1], message[-1]
        controls = self._control(kind, channel, number, value)
        if controls is not None:
            return controls
        if self.style.master is None and self.style.channel not in (None, channel + 1):
            return []
        return self._surface(kind, channel, number, value)

    def take_moves(self) -> list[Input]:
        """Return the moves gathered since the last call."""
        moved, self._moved = self._moved, {}
        return [finger for key in moved for finger in self._move(key)]

    def lift_all(self) -> list[Input]:
        """Lift every finger: the port is gone, or reports that nothing sounds."""
        raise NotImplementedError

    def _surface(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        """Read a message that no control is bound to: its kind, channel and data bytes."""
        raise NotImplementedError

    def _move(self, key: _Key) -> list[Input]:
        raise NotImplementedError

    def _control(self, kind: int, channel: int, number: int, value: int) -> list[Input] | None:
        """Return the controls that a message triggers; None where no control is bound to it."""
        name = _TRIGGERS.get(kind, "")
        action = self._controls.get(Trigger(name, number, channel))
        action = action or self._controls.get(Trigger(name, number, None))
        if action is None:
            return None
        value = {stream.NOTE_OFF: 0, stream.PROGRAM: 127}.get(kind, value)
        settings = self._trigger(action, (name, number, channel), value)
        return [Control(action.name, setting) for setting in settings]

    def _trigger(
        self, action: Action, key: tuple[str, int, int], value: int
    ) -> list[float | int | str]:
        kind, last, self._pressed[key] = key[0], self._pressed.get(key, 0), value
        down = 1 if kind == "note" else 64
        # Some switches send nothing on release, so a repeated value is another press.
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
    """Reader of notes, each a finger. A finger's id is made of its channel and its note."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._places: dict[_Key, tuple[float, float]] = {}  # pitch and y
        self._velocities: dict[_Key, int] = {}

    def _surface(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        if kind == stream.NOTE_ON and value:
            return self._land((channel, number), value)
        if kind in (stream.NOTE_ON, stream.NOTE_OFF):
            return self._lift((channel, number))
        if kind == stream.CONTROL and number in _SILENCE:
            keys = [key for key in self._places if key[0] == channel]
            return [finger for key in keys for finger in self._lift(key)]
        return []

    def _place(self, key: _Key) -> tuple[float, float]:
        """Return the pitch of a note and its y (0..1)."""
        return float(key[1]), self._y(max(self._velocities[key] - 1, 0) / 126)

    def _y(self, part: float) -> float:
        return 1 - part if self.style.top else part

    def _finger(self, phase: Phase, key: _Key) -> PitchedFinger:
        pitch, y = self._places[key] = self._place(key)
        return PitchedFinger(phase, key[0] << 7 | key[1], pitch, y, self.style.pitch_range)

    def _land(self, key: _Key, velocity: int) -> list[Input]:
        before = self._lift(key) if key in self._places else []
        self._velocities[key] = velocity
        return [*before, self._finger(Phase.DOWN, key)]

    def _lift(self, key: _Key) -> list[Input]:
        if key not in self._places:
            return [Dropped("absent finger")]
        last = self._move(key) if key in self._moved else []
        self._moved.pop(key, None)
        del self._places[key], self._velocities[key]
        return [*last, Finger(Phase.UP, key[0] << 7 | key[1])]

    def _move(self, key: _Key) -> list[Input]:
        moved = self._places[key] != self._place(key)
        return [self._finger(Phase.MOVE, key)] if moved else []

    def lift_all(self) -> list[Input]:
        return [finger for key in list(self._places) for finger in self._lift(key)]


class _MpeReader(_NotesReader):
    """Reader of an MPE zone: a note is a finger, its bend slides it, y is a controller.

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
            self._configure(master, style.members, style.bend)

    def lift_all(self) -> list[Input]:
        lifted = super().lift_all()
        self._reset_channels()
        return lifted

    def _members(self, master: int) -> range:
        count = self._zones[master]
        return range(1, 1 + count) if master == 0 else range(15 - count, 15)

    def _master(self, channel: int) -> int | None:
        return next((m for m in self._zones if channel in self._members(m)), None)

    def _configure(self, master: int, members: int, bend: float) -> None:
        """Set the members of a zone: the newer zone takes channels from the older."""
        self._zones[master] = min(members, 15)
        other = 15 - master
        self._zones[other] = min(self._zones[other], max(0, 14 - self._zones[master]))
        self._channels[master].range = 2.0
        for channel in self._members(master):
            self._channels[channel].range = bend

    def _place(self, key: _Key) -> tuple[float, float]:
        y, own, master = self.style.y, self._channels[key[0]], self._master(key[0])
        pitch = key[1] + own.semitones
        if master is not None:
            pitch += self._channels[master].semitones
        if isinstance(y, int):
            shared = {} if master is None else self._channels[master].values
            value = own.values.get(y, shared.get(y, 64))
        else:
            value = own.pressure if y == "pressure" else self._velocities[key]
        return pitch, self._y(value / 127)

    def _surface(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        own = self._channels[channel]
        match kind, number:
            case ((stream.NOTE_ON | stream.NOTE_OFF), _):
                return super()._surface(kind, channel, number, value)
            case stream.CONTROL, _ if number in _SILENCE:
                return super()._surface(kind, channel, number, value)
            case stream.BEND, _:
                own.bend = number | value << 7
            case ((stream.PRESSURE | stream.POLY_PRESSURE), _):
                own.pressure = value
            case stream.CONTROL, stream.RPN:
                own.parameter = value, own.parameter[1]
            case stream.CONTROL, stream.RPN_FINE:
                own.parameter = own.parameter[0], value
            case stream.CONTROL, 98 | 99:
                own.parameter = 127, 127  # a parameter of the manufacturer's own
            case stream.CONTROL, stream.DATA if 127 in own.parameter:
                return [Dropped("MIDI parameter without its number")]
            case stream.CONTROL, stream.DATA:
                self._set_parameter(channel, own.parameter, value)
            case stream.CONTROL, stream.RESET_CONTROLLERS:
                own.bend, own.pressure, own.parameter = stream.CENTRE, 0, (127, 127)
                own.values.clear()
            case stream.CONTROL, _:
                own.values[number] = value
        members = self._members(channel) if channel in self._zones else ()
        for key in self._places:
            if key[0] == channel or key[0] in members:
                self._moved[key] = None
        return []

    def _set_parameter(self, channel: int, parameter: tuple[int, int], value: int) -> None:
        if parameter == (0, stream.CONFIGURATION) and channel in self._zones:
            self._configure(channel, value, 48.0)
        elif parameter == (0, stream.BEND_RANGE):
            master = self._master(channel)
            # The range of one member is that of all members.
            for member in [channel] if master is None else self._members(master):
                self._channels[member].range = float(value)


class _ControllerReader(MidiReader):
    """Reader of two controllers, x and y, whose finger is down while they change."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._coarse: dict[int, int] = {}
        self._halves: set[int] = set()
        self._parts: dict[int, float] = {}

    def _surface(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        del channel
        style = self.style
        assert isinstance(style.y, int)
        axes = (style.x, style.y)
        dropped: list[Input] = []
        if kind != stream.CONTROL:
            return []
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
            self._moved[axes] = None
        return dropped

    def _move(self, key: _Key) -> list[Input]:
        x, y = (self._parts.get(axis, 0.5) for axis in key)
        return [PhaselessTouch(x, 1 - y if self.style.top else y)]

    def lift_all(self) -> list[Input]:
        self._coarse.clear()
        self._halves.clear()
        self._moved.clear()
        return []  # a finger without phases lifts by itself


_READERS = {"mpe": _MpeReader, "notes": _NotesReader, "cc": _ControllerReader}


def make_reader(style: Style) -> MidiReader:
    """Make the reader of a style."""
    return _READERS[style.kind](style)
