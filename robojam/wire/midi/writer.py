"""MIDI output: touches to messages. Pure; time comes in with each touch.

A writer keeps what sounds at its port, so that every note it strikes is released.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

from robojam.music import DEFAULT_RANGE, PitchRange, range_of, scale_notes, widest_range
from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.styles import Style

Key = tuple[str, int]  # player, finger


@dataclass(slots=True)
class _SoundingFinger:
    """A finger that sounds: its place, pitch and time, and the note that plays it."""

    key: Key
    x: float
    y: float
    pitch: float
    t: float
    channel: int = 0
    note: int = 0
    speed: float = 0.0  # in screens a second


class MidiWriter:
    """Writer of the messages to one port.

    ranges are the players' ranges of pitch, as `robojam.music.parse_ranges` returns them. They
    may be set at any time; a style with a range of its own does not use them. eager: each
    landing is preceded by its channel's bend range, for receivers that come at any time.
    channels: those to use instead of the style's. sets_zone: it configures the style's zone.
    """

    def __init__(
        self,
        style: Style,
        *,
        ranges: str = DEFAULT_RANGE,
        eager: bool = False,
        channels: tuple[int, ...] | None = None,
        sets_zone: bool = True,
    ) -> None:
        self.style = style
        self.ranges = ranges
        self._eager = eager
        self._given = channels
        self._members = style.channels if channels is None else channels
        self._master = style.master if sets_zone else None
        #: Channels whose setup is sent before their next note.
        self._stale: set[int] = set()
        self._fingers: dict[Key, _SoundingFinger] = {}
        self._sounding = stream.SoundingNotes()
        self._sent: dict[bytes, bytes] = {}
        #: Channels that no finger has; the one that has rested longest first.
        self._free = list(self._members)

    def start(self) -> bytes:
        """Return the configuration and the programs that a port is sent when it opens."""
        self._stale.clear()
        data = self._zone() + self._bend_ranges(self._members)
        # Some synthesisers take programs on the master channel alone, others on each.
        return data + b"".join(map(self._program, self.channels))

    def renew(self) -> bytes:
        """Return the zone's configuration again; each channel's follows before its next note.

        For a receiver that may have been connected lately. Notes that sound in an MPE zone end.
        """
        self._stale.update(self._members)
        return self._zone() + (b"" if self._master is None else self._program(self._master))

    @property
    def is_sounding(self) -> bool:
        """Whether a finger is down or a note is on."""
        return bool(self._fingers or self._sounding.notes)

    def _zone(self) -> bytes:
        if self._master is None:
            return b""
        return stream.parameter(self._master, stream.CONFIGURATION, self.style.members)

    def _refresh(self, channel: int) -> bytes:
        """Return the setup of a channel that is to sound, where its receiver may lack it."""
        stale = channel in self._stale
        if not self._eager and not stale:
            return b""
        self._stale.discard(channel)
        self._sent = {k: sent for k, sent in self._sent.items() if k[0] & 0x0F != channel}
        # A program is loaded, which takes time: only after a silence.
        return self._bend_ranges((channel,)) + (self._program(channel) if stale else b"")

    def _program(self, channel: int) -> bytes:
        if self.style.program is None:
            return b""
        return stream.program(channel, self.style.program - 1, self.style.bank)

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels that the writer may use, from 0."""
        return self._members if self._master is None else (self._master, *self._members)

    def clear(self) -> bytes:
        """Silence what an engine that was killed left sounding: real note-offs first."""
        offs = b""
        if self.style.kind != "cc":
            pitches = self.style.pitch_range or widest_range(self.ranges)
            notes = range(math.floor(pitches.low), math.ceil(pitches.high) + 1)
            pairs = product(self._members, notes)
            offs = b"".join(stream.note_off(*pair) for pair in pairs)
        return offs + b"".join(map(stream.silence, self.channels))

    def touch(self, t: float, touch: Touch) -> bytes:
        """Write a touch at t, in seconds: its finger lands, slides or lifts."""
        key = touch.who, touch.id
        finger = self._fingers.get(key)
        if touch.phase is Phase.UP:
            return self._release(key)
        pitch = self._range(touch.who).pitch(touch.x)
        if finger is None or touch.phase is Phase.DOWN:
            finger = _SoundingFinger(key, touch.x, touch.y, pitch, t)
            return self._release(key) + self._begin(finger)
        distance = math.hypot(touch.x - finger.x, touch.y - finger.y)
        # Smoothed over about two touches.
        finger.speed = 0.5 * (finger.speed + distance / max(t - finger.t, 1e-3))
        finger.x, finger.y, finger.pitch, finger.t = touch.x, touch.y, pitch, t
        return self._slide(finger)

    def panic(self) -> bytes:
        """Release all that sounds, and silence every channel used since the last panic."""
        self._fingers.clear()
        self._sent.clear()
        self._free = list(self._members)
        used = tuple(sorted(self._sounding.channels))
        # Some synthesisers forget the bend range with their controllers.
        return self._sounding.release() + self._bend_ranges(used)

    def _range(self, who: str) -> PitchRange:
        return self.style.pitch_range or range_of(who, self.ranges)

    def _bend_ranges(self, channels: tuple[int, ...]) -> bytes:
        """Set how far channels bend: in MPE one stands for all, elsewhere each for itself."""
        if self.style.kind != "mpe":
            return b""
        bend = self.style.bend
        return b"".join(stream.parameter(c, stream.BEND_RANGE, bend) for c in channels)

    def _release(self, key: Key) -> bytes:
        finger = self._fingers.pop(key, None)
        return b"" if finger is None else self._lift(finger)

    def _begin(self, finger: _SoundingFinger) -> bytes:
        data = self._land(finger)
        self._fingers[finger.key] = finger
        return data

    def _land(self, finger: _SoundingFinger) -> bytes:
        raise NotImplementedError

    def _slide(self, finger: _SoundingFinger) -> bytes:
        raise NotImplementedError

    def _lift(self, finger: _SoundingFinger) -> bytes:
        raise NotImplementedError

    def _value(self, y: float, highest: int = 127) -> int:
        return round((1 - y if self.style.top else y) * highest)

    def _set_y(self, finger: _SoundingFinger) -> bytes:
        """Write y, where the style has a controller or the pressure for it."""
        value = self._value(finger.y)
        if self.style.y == "pressure":
            return self._set(stream.pressure(finger.channel, value))
        if self.style.y == "velocity":
            return b""
        return self._set(stream.control(finger.channel, self.style.y, value))

    def _send(self, message: bytes) -> bytes:
        """Write a message, and keep what it makes sound."""
        self._sounding.sent(message)
        return message

    def _set(self, message: bytes) -> bytes:
        """Write a value, unless it is set already."""
        size = 2 if message[0] & 0xF0 == stream.CONTROL else 1
        if self._sent.get(message[:size]) == message:
            return b""
        self._sent[message[:size]] = message
        return self._send(message)


class _MpeWriter(MidiWriter):
    """Writer of MPE, each finger on its own channel: pitch with bend, y, speed as pressure."""

    def _bend(self, finger: _SoundingFinger) -> int:
        semitones = finger.pitch - finger.note
        return stream.CENTRE + round(semitones / self.style.bend * stream.CENTRE)

    def _shape(self, finger: _SoundingFinger) -> bytes:
        bend = min(max(self._bend(finger), 0), 16383)
        data = self._set(stream.bend(finger.channel, bend)) + self._set_y(finger)
        if self.style.y != "pressure" and self.style.full_speed:
            pressed = min(1.0, finger.speed / self.style.full_speed)
            data += self._set(stream.pressure(finger.channel, round(127 * pressed)))
        return data

    def _land(self, finger: _SoundingFinger) -> bytes:
        data = b""
        if not self._free:  # more fingers than channels: the oldest gives way
            data = self._release(next(iter(self._fingers)))
        finger.channel = self._free.pop(0)
        return data + self._refresh(finger.channel) + self._strike(finger)

    def _strike(self, finger: _SoundingFinger) -> bytes:
        finger.note = round(finger.pitch)
        velocity = self.style.velocity
        if self.style.y == "velocity":
            velocity = max(1, self._value(finger.y))
        # Controllers are sent before the note, or it would begin with the wrong sound.
        shape = self._shape(finger)
        return shape + self._send(stream.note_on(finger.channel, finger.note, velocity))

    def _slide(self, finger: _SoundingFinger) -> bytes:
        if 0 <= self._bend(finger) <= 16384:
            return self._shape(finger)
        # Farther than the bend reaches: struck again at its new pitch.
        return self._send(stream.note_off(finger.channel, finger.note)) + self._strike(finger)

    def _lift(self, finger: _SoundingFinger) -> bytes:
        self._free.append(finger.channel)
        return self._send(stream.note_off(finger.channel, finger.note))


class _NotesWriter(MidiWriter):
    """Writer of a scale's notes: a touch strikes the nearest, a slide each on its way."""

    def _note(self, finger: _SoundingFinger) -> int:
        notes = scale_notes(self._range(finger.key[0]), self.style.scale, self.style.key)
        return min(notes, key=lambda note: abs(note - finger.pitch))

    def _is_held(self, note: int) -> bool:
        return any(finger.note == note for finger in self._fingers.values())

    def _land(self, finger: _SoundingFinger) -> bytes:
        finger.note, finger.channel = self._note(finger), self._members[0]
        data = self._refresh(finger.channel)
        if self._is_held(finger.note):  # by another finger: it is struck again
            data = self._send(stream.note_off(finger.channel, finger.note))
        velocity = self.style.velocity
        if self.style.y == "velocity":
            velocity = 1 + self._value(finger.y, 126)
        data += self._set_y(finger)
        return data + self._send(stream.note_on(finger.channel, finger.note, velocity))

    def _slide(self, finger: _SoundingFinger) -> bytes:
        if self._note(finger) == finger.note:
            return self._set_y(finger)
        return self._release(finger.key) + self._begin(finger)

    def _lift(self, finger: _SoundingFinger) -> bytes:
        if self._is_held(finger.note):
            return b""
        return self._send(stream.note_off(finger.channel, finger.note))


class _ControllerWriter(MidiWriter):
    """Writer of two controllers, x and y; each further finger has the next channel."""

    @property
    def _ring(self) -> tuple[int, ...]:
        first = self._members[0]
        return self._given or tuple((first + n) % 16 for n in range(16))

    def _land(self, finger: _SoundingFinger) -> bytes:
        taken = {other.channel for other in self._fingers.values()}
        first = self._members[0]
        finger.channel = next(
            (channel for channel in self._ring if channel not in taken), first
        )
        data = self._refresh(finger.channel) + self._slide(finger)
        if self.style.gate is not None:
            data += self._set(stream.control(finger.channel, self.style.gate, 127))
        return data

    def _slide(self, finger: _SoundingFinger) -> bytes:
        assert isinstance(self.style.y, int)
        data = self._pair(finger.channel, self.style.x, finger.x)
        part = 1 - finger.y if self.style.top else finger.y
        return data + self._pair(finger.channel, self.style.y, part)

    def _pair(self, channel: int, number: int, part: float) -> bytes:
        if not self.style.fine:
            return self._set(stream.control(channel, number, round(part * 127)))
        value = round(part * 16383)
        coarse = self._set(stream.control(channel, number, value >> 7))
        if coarse:  # which sets the fine half to 0 at the far end
            self._sent.pop(stream.control(channel, number + 32, 0)[:2], None)
        return coarse + self._set(stream.control(channel, number + 32, value & 127))

    def _lift(self, finger: _SoundingFinger) -> bytes:
        if self.style.gate is None:
            return b""
        return self._set(stream.control(finger.channel, self.style.gate, 0))


_WRITERS = {"mpe": _MpeWriter, "notes": _NotesWriter, "cc": _ControllerWriter}


def make_writer(
    style: Style,
    *,
    ranges: str = DEFAULT_RANGE,
    eager: bool = False,
    channels: tuple[int, ...] | None = None,
    sets_zone: bool = True,
) -> MidiWriter:
    """Make the writer of a style; the arguments are those of MidiWriter."""
    kind = _WRITERS[style.kind]
    return kind(style, ranges=ranges, eager=eager, channels=channels, sets_zone=sets_zone)
