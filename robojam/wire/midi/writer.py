"""MIDI output: touches to messages. Pure; time comes in with each touch.

A writer keeps what sounds at its port, so that every note it strikes is released.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

from robojam.music import DEFAULT_RANGE, PitchRange, range_of, scale_notes, widest_range
from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.styles import Axis, Style
from robojam.wire.midi.values import TOP

Key = tuple[str, int]  # player, finger


@dataclass(slots=True)
class _SoundingFinger:
    """A finger that sounds: its last touch, at t, and the note that plays it."""

    key: Key
    touch: Touch
    pitches: PitchRange
    t: float
    channel: int = 0
    note: int = 0
    speed: float = 0.0  # in screens a second

    @property
    def pitch(self) -> float:
        return self.pitches.pitch(self.touch.x)


#: Fingers that sound, the oldest first.
_Fingers = dict[Key, _SoundingFinger]


class _Receiver:
    """The receiver behind a port: how it is set up, and what it has been sent."""

    def __init__(
        self, style: Style, *, eager: bool, channels: tuple[int, ...] | None, sets_zone: bool
    ) -> None:
        """Begin with nothing sent; the arguments are those of MidiWriter."""
        self._style, self._eager = style, eager
        #: The channels to use, if they are not the style's.
        self.given = channels
        #: The channels on which notes go out, and the master channel of their zone.
        self.members = style.channels if channels is None else channels
        self._master = style.master if sets_zone else None
        self.sounding = stream.SoundingNotes()
        #: Channels whose setup is sent before their next note.
        self._stale: set[int] = set()
        self._values: dict[bytes, bytes] = {}

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels that are used, from 0."""
        return self.members if self._master is None else (self._master, *self.members)

    def start(self) -> bytes:
        """Return the whole setup."""
        self._stale.clear()
        data = self._zone() + self._bend_ranges(self.members)
        # Some synthesisers take programs on the master channel alone, others on each.
        return data + b"".join(map(self._program, self.channels))

    def renew(self) -> bytes:
        """Return the setup of the zone; `refresh` returns that of each channel."""
        self._stale.update(self.members)
        return self._zone() + (b"" if self._master is None else self._program(self._master))

    def refresh(self, channel: int) -> bytes:
        """Return the setup of a channel that is to sound, where its receiver may lack it."""
        stale = channel in self._stale
        if not self._eager and not stale:
            return b""
        self._stale.discard(channel)
        self._values = {k: sent for k, sent in self._values.items() if k[0] & 0x0F != channel}
        # A program is loaded, which takes time: only after a silence.
        return self._bend_ranges((channel,)) + (self._program(channel) if stale else b"")

    def release(self) -> bytes:
        """Silence what sounds and the channels that were used; no value is set then."""
        self._values.clear()
        used = tuple(sorted(self.sounding.channels))
        # Some synthesisers forget the bend range with their controllers.
        return self.sounding.release() + self._bend_ranges(used)

    def send(self, message: bytes) -> bytes:
        """Return a message, and keep what it makes sound."""
        self.sounding.sent(message)
        return message

    def set(self, message: bytes) -> bytes:
        """Return a message that sets a value, unless it is set already."""
        size = 2 if message[0] & 0xF0 == stream.CONTROL else 1
        if self._values.get(message[:size]) == message:
            return b""
        self._values[message[:size]] = message
        return self.send(message)

    def forget(self, beginning: bytes) -> None:
        """Let the next `set` of a value, by the beginning of its message, return it anyway."""
        self._values.pop(beginning, None)

    def set_fine(self, channel: int, number: int, value: int) -> bytes:
        """Return messages that set a controller and its fine half, a value of 14 bits."""
        coarse = self.set(stream.control(channel, number, value >> 7))
        if coarse:  # which sets the fine half to 0 at the far end
            self.forget(stream.control(channel, number + 32, 0)[:2])
        return coarse + self.set(stream.control(channel, number + 32, value & 127))

    def enter(self, channel: int, number: int, value: int) -> bytes:
        """Return messages that set a parameter of the manufacturer's own, an NRPN."""
        key, wanted = bytes((channel, number >> 7, number & 127)), value.to_bytes(2)
        if self._values.get(key) == wanted:
            return b""
        self._values[key] = wanted
        selected = self.set(stream.control(channel, stream.NRPN, number >> 7))
        selected += self.set(stream.control(channel, stream.NRPN_FINE, number & 127))
        if selected:  # the values that were set are of another parameter
            self.forget(stream.control(channel, stream.DATA, 0)[:2])
        return selected + self.set_fine(channel, stream.DATA, value)

    def _zone(self) -> bytes:
        if self._master is None:
            return b""
        return stream.parameter(self._master, stream.CONFIGURATION, self._style.members)

    def _bend_ranges(self, channels: tuple[int, ...]) -> bytes:
        """Set how far channels bend: in MPE one stands for all, elsewhere each for itself."""
        if self._style.kind != "mpe":
            return b""
        bend = self._style.bend
        return b"".join(stream.parameter(c, stream.BEND_RANGE, bend) for c in channels)

    def _program(self, channel: int) -> bytes:
        if self._style.program is None:
            return b""
        return stream.program(channel, self._style.program - 1, self._style.bank)


class _Voicing(Protocol):
    """How the fingers of a style sound. Each method returns messages."""

    def land(self, finger: _SoundingFinger) -> bytes:
        """Begin a finger that is not yet among those that sound."""

    def slide(self, finger: _SoundingFinger) -> bytes:
        """Follow a finger's touch."""

    def lift(self, finger: _SoundingFinger) -> bytes:
        """End a finger that is no longer among those that sound."""

    def clear(self) -> None:
        """Note that no finger sounds."""


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
        self._fingers: _Fingers = {}
        #: Fingers that are down and have given way to others.
        self._silenced: set[Key] = set()
        self._receiver = _Receiver(style, eager=eager, channels=channels, sets_zone=sets_zone)
        make_voicing = _VOICINGS.get(style.kind, _NotesVoicing)
        self._voicing = make_voicing(style, self._fingers, self._receiver)

    def start(self) -> bytes:
        """Return the configuration and the programs that a port is sent when it opens."""
        return self._receiver.start()

    def renew(self) -> bytes:
        """Return the zone's configuration again; each channel's follows before its next note.

        For a receiver that may have been connected lately. Notes that sound in an MPE zone end.
        """
        return self._receiver.renew()

    @property
    def is_sounding(self) -> bool:
        """Whether a finger is down or a note is on."""
        return bool(self._fingers or self._receiver.sounding.notes)

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels that the writer may use, from 0."""
        return self._receiver.channels

    def clear(self) -> bytes:
        """Silence what an engine that was killed left sounding: real note-offs first."""
        offs = b""
        if self.style.kind in ("mpe", "notes"):
            pitches = self.style.pitch_range or widest_range(self.ranges)
            notes = range(math.floor(pitches.low), math.ceil(pitches.high) + 1)
            pairs = product(self._receiver.members, notes)
            offs = b"".join(stream.note_off(*pair) for pair in pairs)
        return offs + b"".join(map(stream.silence, self.channels))

    def touch(self, t: float, touch: Touch) -> bytes:
        """Write a touch at t, in seconds: its finger lands, slides or lifts."""
        if self.style.kind == "map":
            return b""
        key = touch.who, touch.id
        finger = self._fingers.get(key)
        pitches = self.style.pitch_range or range_of(touch.who, self.ranges)
        if finger is not None and touch.phase is Phase.MOVE:
            distance = math.hypot(touch.x - finger.touch.x, touch.y - finger.touch.y)
            # Smoothed over about two touches.
            finger.speed = 0.5 * (finger.speed + distance / max(t - finger.t, 1e-3))
            finger.touch, finger.t, finger.pitches = touch, t, pitches
            return self._voicing.slide(finger)
        if touch.phase is Phase.MOVE and key in self._silenced:
            return b""  # it sounds when it lands again
        self._silenced.discard(key)
        data = b""
        if finger is not None:
            data = self._voicing.lift(self._fingers.pop(key))
        if touch.phase is not Phase.UP:
            finger = _SoundingFinger(key, touch, pitches, t)
            oldest = next(iter(self._fingers), None)
            data += self._voicing.land(finger)
            if oldest is not None and oldest not in self._fingers:
                self._silenced.add(oldest)
            self._fingers[key] = finger
        return data

    def panic(self) -> bytes:
        """Release all that sounds, and silence every channel used since the last panic."""
        self._fingers.clear()
        self._silenced.clear()
        self._voicing.clear()
        return self._receiver.release()


def _scaled(style: Style, y: float, highest: int = 127) -> int:
    """Return the value of y, 0 to highest, according to which end of it is the top."""
    return round((1 - y if style.top else y) * highest)


def _velocity(style: Style, finger: _SoundingFinger) -> int:
    """Return the velocity of a finger's note: its y, its pressure, or that of the style."""
    touch = finger.touch
    if style.y == "velocity":
        return 1 + _scaled(style, touch.y, 126)
    return style.velocity if touch.pressure is None else max(1, round(127 * touch.pressure))


class _MpeVoicing:
    """MPE, each finger on its own channel: pitch with bend, y, speed or pressure."""

    def __init__(self, style: Style, fingers: _Fingers, receiver: _Receiver) -> None:
        self._style, self._fingers, self._receiver = style, fingers, receiver
        #: Channels that no finger has; the one that has rested longest first.
        self._free = list(receiver.members)

    def _bend(self, finger: _SoundingFinger) -> int:
        semitones = finger.pitch - finger.note
        return stream.CENTRE + round(semitones / self._style.bend * stream.CENTRE)

    def _shape(self, finger: _SoundingFinger) -> bytes:
        style, channel, touch = self._style, finger.channel, finger.touch
        bend = min(max(self._bend(finger), 0), 16383)
        data = self._receiver.set(stream.bend(channel, bend))
        data += _set_y(self._receiver, style, finger)
        if style.y != "pressure" and style.full_speed:
            pressed = min(1.0, finger.speed / style.full_speed)
            if touch.pressure is not None and touch.phase is Phase.MOVE:
                pressed = touch.pressure
            data += self._receiver.set(stream.pressure(channel, round(127 * pressed)))
        return data

    def land(self, finger: _SoundingFinger) -> bytes:
        data = b""
        if not self._free:  # more fingers than channels: the oldest gives way
            data = self.lift(self._fingers.pop(next(iter(self._fingers))))
        finger.channel = self._free.pop(0)
        return data + self._receiver.refresh(finger.channel) + self._strike(finger)

    def _strike(self, finger: _SoundingFinger) -> bytes:
        finger.note = round(finger.pitch)
        note = stream.note_on(finger.channel, finger.note, _velocity(self._style, finger))
        # Controllers are sent before the note, or it would begin with the wrong sound.
        data = self._shape(finger) + self._receiver.send(note)
        if finger.touch.pressure is not None:  # the slide's is sent even if it is the same
            self._receiver.forget(stream.pressure(finger.channel, 0)[:1])
        return data

    def slide(self, finger: _SoundingFinger) -> bytes:
        if 0 <= self._bend(finger) <= 16384:
            return self._shape(finger)
        # Farther than the bend reaches: struck again at its new pitch.
        end = self._receiver.send(stream.note_off(finger.channel, finger.note))
        return end + self._strike(finger)

    def lift(self, finger: _SoundingFinger) -> bytes:
        self._free.append(finger.channel)
        return self._receiver.send(stream.note_off(finger.channel, finger.note))

    def clear(self) -> None:
        self._free = list(self._receiver.members)


class _NotesVoicing:
    """Notes of a scale: a touch strikes the nearest, a slide each on its way."""

    def __init__(self, style: Style, fingers: _Fingers, receiver: _Receiver) -> None:
        self._style, self._fingers, self._receiver = style, fingers, receiver

    def _note(self, finger: _SoundingFinger) -> int:
        notes = scale_notes(finger.pitches, self._style.scale, self._style.key)
        return min(notes, key=lambda note: abs(note - finger.pitch))

    def _is_held(self, note: int, by: _SoundingFinger) -> bool:
        """Return whether another finger holds a note."""
        return any(other.note == note for other in self._fingers.values() if other is not by)

    def land(self, finger: _SoundingFinger) -> bytes:
        finger.note, finger.channel = self._note(finger), self._receiver.members[0]
        data = self._receiver.refresh(finger.channel)
        if self._is_held(finger.note, finger):  # it is struck again
            data += self._receiver.send(stream.note_off(finger.channel, finger.note))
        data += _set_y(self._receiver, self._style, finger)
        note = stream.note_on(finger.channel, finger.note, _velocity(self._style, finger))
        return data + self._receiver.send(note)

    def slide(self, finger: _SoundingFinger) -> bytes:
        if self._note(finger) == finger.note:
            return _set_y(self._receiver, self._style, finger)
        return self.lift(finger) + self.land(finger)

    def lift(self, finger: _SoundingFinger) -> bytes:
        if self._is_held(finger.note, finger):
            return b""
        return self._receiver.send(stream.note_off(finger.channel, finger.note))

    def clear(self) -> None:
        """Note that no finger sounds: nothing else is kept here."""


def _set_y(receiver: _Receiver, style: Style, finger: _SoundingFinger) -> bytes:
    """Write y, where the style has a controller or the pressure for it."""
    value = _scaled(style, finger.touch.y)
    if style.y == "pressure":
        return receiver.set(stream.pressure(finger.channel, value))
    if isinstance(style.y, int):
        return receiver.set(stream.control(finger.channel, style.y, value))
    return b""


class _ControllerVoicing:
    """Two controllers or parameters, x and y; each further finger has the next channel."""

    def __init__(self, style: Style, fingers: _Fingers, receiver: _Receiver) -> None:
        self._style, self._fingers, self._receiver = style, fingers, receiver
        first = receiver.members[0]
        self._channels = receiver.given or tuple((first + n) % 16 for n in range(16))

    def land(self, finger: _SoundingFinger) -> bytes:
        taken = {other.channel for other in self._fingers.values()}
        free = (channel for channel in self._channels if channel not in taken)
        finger.channel = next(free, self._channels[0])
        setup = self._receiver.refresh(finger.channel)
        return setup + self.slide(finger) + self._gate(finger, 127)

    def slide(self, finger: _SoundingFinger) -> bytes:
        x, y = self._style.axes
        part = 1 - finger.touch.y if self._style.top else finger.touch.y
        channel = finger.channel
        return self._set(channel, x, finger.touch.x) + self._set(channel, y, part)

    def _set(self, channel: int, axis: Axis, part: float) -> bytes:
        if axis.kind == "nrpn":
            return self._receiver.enter(channel, axis.number, round(part * TOP))
        if self._style.fine:
            return self._receiver.set_fine(channel, axis.number, round(part * TOP))
        return self._receiver.set(stream.control(channel, axis.number, round(part * 127)))

    def lift(self, finger: _SoundingFinger) -> bytes:
        return self._gate(finger, 0)

    def _gate(self, finger: _SoundingFinger, value: int) -> bytes:
        if self._style.gate is None:
            return b""
        return self._receiver.set(stream.control(finger.channel, self._style.gate, value))

    def clear(self) -> None:
        """Note that no finger sounds: nothing else is kept here."""


_VOICINGS: Final[Mapping[str, Callable[[Style, _Fingers, _Receiver], _Voicing]]] = {
    "mpe": _MpeVoicing, "notes": _NotesVoicing, "cc": _ControllerVoicing,
}  # fmt: skip

#: Make the writer of a style.
make_writer: Final = MidiWriter
