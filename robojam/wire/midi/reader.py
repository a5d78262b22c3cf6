"""MIDI input: messages to fingers and controls. Pure.

A reader keeps the state of one port. Landings and lifts are returned at once; moves are
gathered until `take_moves` is called, because x and y of a place come in two messages, and
so do the halves of a value of 14 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

from robojam.controls import CONTROLS, MODES, Kind
from robojam.wire.midi import stream
from robojam.wire.midi.bindings import Action, Trigger, parse_binding
from robojam.wire.midi.notes import NoteSurface
from robojam.wire.midi.styles import Axis, Style
from robojam.wire.midi.values import DataEntry, FineValue, ParameterDecoder
from robojam.wire.native import Control, Dropped, Input, PhaselessTouch

#: Value of a control that is to be switched from its present state, which a reader cannot know.
TOGGLE = "toggle"
#: Reason for dropping one half of a 14-bit value without the other.
HALF = "half a 14-bit value"
#: Kinds of message that can trigger a control, by the words of a binding.
_TRIGGERS: Final = {
    stream.NOTE_ON: "note", stream.NOTE_OFF: "note",
    stream.CONTROL: "cc", stream.PROGRAM: "program",
}  # fmt: skip


class Surface(Protocol):
    """What is played on a port, according to its style."""

    @property
    def has_moves(self) -> bool:
        """Whether moves are gathered."""

    def read(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        """Read a message, its kind, channel and data bytes; return what does not wait."""

    def enter(self, entry: DataEntry) -> list[Input] | None:
        """Read the value of a parameter; return what does not wait; None if it has no use."""

    def take_moves(self) -> list[Input]:
        """Return the moves gathered since the last call."""

    def lift_all(self) -> list[Input]:
        """Lift every finger, and forget the state of the port."""

    def silence(self) -> None:
        """Note that every finger has been lifted: none comes back by a move."""


class MidiReader:
    """Reader of the messages of one port."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._bindings = _Bindings(style.controls)
        self._parameters = ParameterDecoder()
        self._surface: Surface
        controllers = style.kind in ("cc", "map")
        self._surface = _ControllerSurface(style) if controllers else NoteSurface(style)

    @property
    def has_moves(self) -> bool:
        """Whether moves, or controls of 14 bits, are gathered."""
        return self._surface.has_moves or self._bindings.has_changes

    def read(self, message: bytes) -> list[Input]:
        """Read a complete channel message; return the inputs that do not wait."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        number, value = message[1], message[-1]
        style = self.style
        heard = style.kind != "map" and (
            style.master is not None or style.channel in (None, channel + 1)
        )
        entry = None
        if kind == stream.CONTROL:
            entry = self._parameters.read(channel, number, value)
            if number == stream.RESET_CONTROLLERS:
                self._parameters.forget(channel)
        if entry is not None:
            if self._bindings.enter(entry):
                return []
            inputs = self._surface.enter(entry) if heard else None
            if inputs is not None:
                return inputs
        # Of a parameter that nothing uses, the data entry may be a knob that the style names:
        # many devices select a parameter once, and leave it selected.
        controls = self._bindings.read(kind, channel, number, value)
        if controls is not None:
            return controls
        if not heard or (entry is not None and number not in (style.x, style.y)):
            return []
        return self._surface.read(kind, channel, number, value)

    def take_moves(self) -> list[Input]:
        """Return the moves, and the controls of 14 bits, gathered since the last call."""
        return self._surface.take_moves() + self._bindings.take_changes()

    def lift_all(self) -> list[Input]:
        """Lift every finger and let every control go: the port is gone."""
        self._parameters = ParameterDecoder()
        return self._surface.lift_all() + self._bindings.release_all()

    def silence(self) -> None:
        """Note that a panic has lifted every finger: none comes back by a move."""
        self._surface.silence()


class _Bindings:
    """Controls of the engine that messages of a port are bound to, and their state."""

    def __init__(self, controls: Mapping[str, str]) -> None:
        self._actions = dict(parse_binding(*pair) for pair in controls.items())
        #: The last value of each trigger on the channel that it came on, 0 to 127.
        self._last: dict[Trigger, float] = {}
        self._entered: dict[Trigger, FineValue] = {}
        self._changed: dict[Trigger, None] = {}

    @property
    def has_changes(self) -> bool:
        return bool(self._changed)

    def _action(self, trigger: Trigger) -> Action | None:
        anywhere = Trigger(trigger.kind, trigger.number, None)
        return self._actions.get(trigger) or self._actions.get(anywhere)

    def read(self, kind: int, channel: int, number: int, value: int) -> list[Input] | None:
        """Return the controls that a message triggers; None where no control is bound to it."""
        if not self._actions or kind not in _TRIGGERS:
            return None
        trigger = Trigger(_TRIGGERS[kind], number, channel)
        action = self._action(trigger)
        if action is None:
            return None
        value = {stream.NOTE_OFF: 0, stream.PROGRAM: 127}.get(kind, value)
        return self._trigger(action, trigger, value)

    def enter(self, entry: DataEntry) -> bool:
        """Gather the value of a parameter; return whether a control is bound to it."""
        trigger = Trigger("nrpn", entry.number, entry.channel)
        if entry.registered or self._action(trigger) is None:
            return False
        self._entered.setdefault(trigger, FineValue()).set(entry.controller, entry.value)
        self._changed[trigger] = None
        return True

    def take_changes(self) -> list[Input]:
        """Return the controls that the gathered values of parameters trigger."""
        controls: list[Input] = []
        for trigger in self._changed:
            action, value = self._action(trigger), self._entered[trigger]
            value.settle()
            if action is not None and value.value is not None:
                controls += self._trigger(action, trigger, 127 * value.part)
        self._changed.clear()
        return controls

    def release_all(self) -> list[Input]:
        """Return the controls that let go what is held, and forget the state of the port."""
        held = [self._action(trigger) for trigger, value in self._last.items() if value]
        self._last.clear()
        self._entered.clear()
        self._changed.clear()
        return [Control(action.name, 0) for action in held if action and action.how == "hold"]

    def _trigger(self, action: Action, trigger: Trigger, value: float) -> list[Input]:
        settings = self._settings(action, trigger, value)
        return [Control(action.name, setting) for setting in settings]

    def _settings(
        self, action: Action, trigger: Trigger, value: float
    ) -> list[float | int | str]:
        kind, last, self._last[trigger] = trigger.kind, self._last.get(trigger, 0), value
        # A parameter that is a switch may send 1 of 16383.
        down = {"note": 1.0, "nrpn": 0.001}.get(kind, 64.0)
        # Some switches send nothing on release, so a repeated value is another press.
        press = value >= down and (last < down or last == value or kind == "program")
        turned = kind in ("cc", "nrpn")
        if action.how == "hold":
            return [int(value >= down)] if (value >= down) != (last >= down) else []
        if action.how == "range" and (turned or press):
            return [_between(action, value)]
        if action.name == "mode" and action.how == "toggle" and turned:
            mode = MODES[int(value) * len(MODES) // 128]
            return [mode] if mode != MODES[int(last) * len(MODES) // 128] or not last else []
        if not press or action.how == "range":
            return []
        return [TOGGLE if action.how == "toggle" else action.value]


def _between(action: Action, value: float) -> float:
    """Map a value of 0 to 127 to an action's range; a timescale goes by factors."""
    part = value / 127
    if action.name == "timescale":
        return action.low * math.pow(action.high / action.low, part)
    mapped = action.low + (action.high - action.low) * part
    return float(round(mapped)) if CONTROLS[action.name].kind is Kind.COUNT else mapped


class _ControllerSurface:
    """Surface of two controllers or parameters, whose finger is down while they change."""

    def __init__(self, style: Style) -> None:
        self._top, self._fine = style.top, style.fine
        self._axes = style.axes
        self._places = dict.fromkeys(self._axes, 0.5)
        #: The axis of each controller, and the half of its value that the controller is.
        self._controllers = {
            axis.number + offset: (axis, half)
            for axis in self._axes
            for offset, half in ((0, stream.DATA), (32, stream.DATA_FINE))
            if axis.kind == "cc" and (self._fine or not offset)
        }
        #: The value of each axis on each channel that it comes on.
        self._values: dict[tuple[int, Axis], FineValue] = {}
        self.has_moves = False

    def read(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        if kind != stream.CONTROL or number not in self._controllers:
            return []
        axis, half = self._controllers[number]
        return self._set(axis, channel, half, value)

    def enter(self, entry: DataEntry) -> list[Input] | None:
        axis = Axis("nrpn", entry.number)
        if entry.registered or axis not in self._axes:
            return None
        return self._set(axis, entry.channel, entry.controller, entry.value)

    def _set(self, axis: Axis, channel: int, controller: int, number: int) -> list[Input]:
        """Set a half of an axis, as the controller that enters data of a parameter would."""
        value = self._values.get((channel, axis))
        if value is None:
            value = self._values[channel, axis] = FineValue()
        complete = value.set(controller, number)
        if value.value is not None and value.part != self._places[axis]:
            self._places[axis] = value.part
            self.has_moves = True
        fine = self._fine and axis.kind == "cc"
        return [] if complete or not fine else [Dropped(HALF)]

    def take_moves(self) -> list[Input]:
        for value in self._values.values():
            value.settle()
        if not self.has_moves:
            return []
        self.has_moves = False
        x, y = (self._places[axis] for axis in self._axes)
        return [PhaselessTouch(x, 1 - y if self._top else y)]

    def lift_all(self) -> list[Input]:
        self._values.clear()
        self.has_moves = False
        return []  # a finger without phases lifts by itself

    def silence(self) -> None:
        self.has_moves = False


#: Make the reader of a style.
make_reader: Final = MidiReader
