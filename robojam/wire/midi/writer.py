"""What goes out by MIDI: touches to messages. Pure; time comes in with each touch.

A writer keeps what sounds at its port, so that everything it struck is released.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.styles import Style

Key = tuple[str, int]  # who, finger


@dataclass(slots=True)
class _Finger:
    """A finger that sounds: whose, where, since when, and as what."""

    key: Key
    x: float
    y: float
    t: float
    channel: int = 0
    note: int = 0
    speed: float = 0.0


class MidiWriter:
    """One port's messages."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._fingers: dict[Key, _Finger] = {}
        self._sounding = stream.SoundingNotes()
        self._sent: dict[bytes, bytes] = {}

    def start(self) -> bytes:
        """What a port is told when it is opened: its configuration and its programs."""
        style = self.style
        told = b""
        if style.master is not None:
            told += stream.parameter(style.master, stream.CONFIGURATION, style.members)
        told += self._ranges(style.channels)
        if style.program is not None:
            # Some take it on the master channel alone, some on each.
            for channel in self.channels:
                told += stream.program(channel, style.program - 1, style.bank)
        return told

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels it may use, from 0."""
        master = self.style.master
        return self.style.channels if master is None else (master, *self.style.channels)

    def clear(self) -> bytes:
        """Silence whatever an engine that was killed left sounding: real note-offs first."""
        offs = b""
        if self.style.kind != "cc":
            offs = b"".join(
                stream.note_off(channel, note)
                for channel in self.style.channels
                for note in range(self.style.low, self.style.high + 1)
            )
        return offs + b"".join(map(stream.silence, self.channels))

    def touch(self, t: float, touch: Touch) -> bytes:
        """Write a touch at t, in seconds: it lands, slides or lifts."""
        key = touch.who, touch.id
        finger = self._fingers.get(key)
        if touch.phase is Phase.UP:
            return b"" if finger is None else self._lifted(key)
        if finger is None or touch.phase is Phase.DOWN:
            before = b"" if finger is None else self._lifted(key)
            return before + self._landed(_Finger(key, touch.x, touch.y, t))
        finger.speed = _speed(finger, touch, t)
        finger.x, finger.y, finger.t = touch.x, touch.y, t
        return self._slid(finger)

    def panic(self) -> bytes:
        """Release all that sounds, and silence every channel that was used since the last."""
        self._fingers.clear()
        self._sent.clear()
        self._forget()
        used = tuple(sorted(self._sounding.channels))
        # Some forget the range with their controllers.
        return self._sounding.release() + self._ranges(used)

    def _ranges(self, channels: tuple[int, ...]) -> bytes:
        """How far channels bend: to MPE one stands for all, to others each for itself."""
        if self.style.kind != "mpe":
            return b""
        return b"".join(
            stream.parameter(channel, stream.BEND_RANGE, self.style.bend)
            for channel in channels
        )

    def _lifted(self, key: Key) -> bytes:
        return self._lift(self._fingers.pop(key))

    def _landed(self, finger: _Finger) -> bytes:
        told = self._land(finger)
        self._fingers[finger.key] = finger
        return told

    def _slid(self, finger: _Finger) -> bytes:
        raise NotImplementedError

    def _land(self, finger: _Finger) -> bytes:
        raise NotImplementedError

    def _lift(self, finger: _Finger) -> bytes:
        raise NotImplementedError

    def _forget(self) -> None:
        """All fingers are gone."""

    def _value(self, y: float, most: int = 127) -> int:
        return round((1 - y if self.style.top else y) * most)

    def _say(self, message: bytes) -> bytes:
        """Write a message, and know what it does."""
        self._sounding.sent(message)
        return message

    def _set(self, message: bytes) -> bytes:
        """Write a value, unless it is set already."""
        size = 2 if message[0] & 0xF0 == stream.CONTROL else 1
        if self._sent.get(message[:size]) == message:
            return b""
        self._sent[message[:size]] = message
        return self._say(message)


def _speed(finger: _Finger, touch: Touch, t: float) -> float:
    """Reckon a finger's speed in screens a second, smoothed over about two touches."""
    seconds = max(t - finger.t, 1e-3)
    speed = math.hypot(touch.x - finger.x, touch.y - finger.y) / seconds
    return 0.5 * (finger.speed + speed)


class _Mpe(MidiWriter):
    """Each finger on a member channel of its own: pitch with bend, y, speed as pressure."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._free = list(style.channels)  # the one that has rested longest first

    def _forget(self) -> None:
        self._free = list(self.style.channels)

    def _bend(self, finger: _Finger) -> int:
        low, high = self.style.low, self.style.high
        away = low + (high - low) * finger.x - finger.note
        return stream.CENTRE + round(away / self.style.bend * stream.CENTRE)

    def _shape(self, finger: _Finger) -> bytes:
        bend = min(max(self._bend(finger), 0), 16383)
        told = self._set(stream.bend(finger.channel, bend))
        if isinstance(self.style.y, int):
            number = self.style.y
            told += self._set(stream.control(finger.channel, number, self._value(finger.y)))
        if self.style.y == "pressure":
            told += self._set(stream.pressure(finger.channel, self._value(finger.y)))
        elif self.style.full_speed:
            pressed = min(1.0, finger.speed / self.style.full_speed)
            told += self._set(stream.pressure(finger.channel, round(127 * pressed)))
        return told

    def _land(self, finger: _Finger) -> bytes:
        told = b""
        if not self._free:  # more fingers than channels: the oldest gives way
            told = self._lifted(next(iter(self._fingers)))
        finger.channel = self._free.pop(0)
        return told + self._strike(finger)

    def _strike(self, finger: _Finger) -> bytes:
        low, high = self.style.low, self.style.high
        finger.note = round(low + (high - low) * finger.x)
        velocity = self.style.velocity
        if self.style.y == "velocity":
            velocity = max(1, self._value(finger.y))
        # What shapes a note is set before it begins, or its first instant would be wrong.
        shape = self._shape(finger)
        return shape + self._say(stream.note_on(finger.channel, finger.note, velocity))

    def _slid(self, finger: _Finger) -> bytes:
        if 0 <= self._bend(finger) <= 16384:
            return self._shape(finger)
        # Farther than the bend reaches: struck again from where it is.
        return self._say(stream.note_off(finger.channel, finger.note)) + self._strike(finger)

    def _lift(self, finger: _Finger) -> bytes:
        self._free.append(finger.channel)
        return self._say(stream.note_off(finger.channel, finger.note))


class _Notes(MidiWriter):
    """The notes of a scale, lying side by side along x; a glide strikes each it reaches."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._notes = style.notes
        self._channel = style.channels[0]

    def _note(self, x: float) -> int:
        return self._notes[round(x * (len(self._notes) - 1))]

    def _holders(self, note: int) -> int:
        return sum(finger.note == note for finger in self._fingers.values())

    def _land(self, finger: _Finger) -> bytes:
        finger.note, finger.channel = self._note(finger.x), self._channel
        told = b""
        if self._holders(finger.note):  # another finger has it: it is struck again
            told += self._say(stream.note_off(self._channel, finger.note))
        velocity = self.style.velocity
        if self.style.y == "velocity":
            velocity = 1 + self._value(finger.y, 126)
        told += self._timbre(finger)
        return told + self._say(stream.note_on(self._channel, finger.note, velocity))

    def _timbre(self, finger: _Finger) -> bytes:
        if self.style.y == "velocity":
            return b""
        if self.style.y == "pressure":
            return self._set(stream.pressure(self._channel, self._value(finger.y)))
        return self._set(stream.control(self._channel, self.style.y, self._value(finger.y)))

    def _slid(self, finger: _Finger) -> bytes:
        if self._note(finger.x) == finger.note:
            return self._timbre(finger)
        told = self._lifted(finger.key)
        return told + self._landed(finger)

    def _lift(self, finger: _Finger) -> bytes:
        if self._holders(finger.note):
            return b""
        return self._say(stream.note_off(self._channel, finger.note))


class _Controllers(MidiWriter):
    """Two controllers; each further finger has the next channel."""

    def _land(self, finger: _Finger) -> bytes:
        taken = {other.channel for other in self._fingers.values()}
        first = self.style.channels[0]
        ring = [(first + n) % 16 for n in range(16)]
        finger.channel = next((one for one in ring if one not in taken), first)
        told = self._shape(finger)
        if self.style.gate is not None:
            told += self._set(stream.control(finger.channel, self.style.gate, 127))
        return told

    def _slid(self, finger: _Finger) -> bytes:
        return self._shape(finger)

    def _shape(self, finger: _Finger) -> bytes:
        assert isinstance(self.style.y, int)
        told = self._pair(finger.channel, self.style.x, finger.x)
        part = 1 - finger.y if self.style.top else finger.y
        return told + self._pair(finger.channel, self.style.y, part)

    def _pair(self, channel: int, number: int, part: float) -> bytes:
        if not self.style.fine:
            return self._set(stream.control(channel, number, round(part * 127)))
        value = round(part * 16383)
        coarse = self._set(stream.control(channel, number, value >> 7))
        if coarse:  # which sets the fine half to 0 at the far end
            self._sent.pop(stream.control(channel, number + 32, 0)[:2], None)
        return coarse + self._set(stream.control(channel, number + 32, value & 127))

    def _lift(self, finger: _Finger) -> bytes:
        if self.style.gate is None:
            return b""
        return self._set(stream.control(finger.channel, self.style.gate, 0))


def writer(style: Style) -> MidiWriter:
    """Make the writer of a style."""
    return {"mpe": _Mpe, "notes": _Notes, "cc": _Controllers}[style.kind](style)
