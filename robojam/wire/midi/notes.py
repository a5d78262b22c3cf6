"""Notes of a MIDI port as fingers: MPE, one channel with bend, or the notes of a scale. Pure.

Sources: the MIDI 1.0 detailed specification; M1-100-UM (MPE); RP-015 for the reset of
controllers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from robojam.touch import MAX_FINGERS, Phase
from robojam.wire.midi import stream
from robojam.wire.midi.styles import Style
from robojam.wire.midi.values import DATA_CONTROLLERS, DataEntry
from robojam.wire.midi.zones import MIDDLE, Zones
from robojam.wire.native import Dropped, Finger, Input, PitchedFinger

#: Controllers that end all notes: all sound off, all notes off and the mode messages.
_SILENCE: Final = (stream.SOUND_OFF, *range(stream.NOTES_OFF, 128))
#: The least value of a pedal that is down.
_PEDAL_DOWN = 64

_Key = tuple[int, int]  # channel, note


@dataclass(slots=True)
class _Note:
    """A note that sounds: its key is down, or a pedal holds it.

    semitones is the bend of its own channel, to which that of its zone is added; y is 0..127.
    pressure is the last since it landed, 0..127. place is the pitch and y (0..1) of its last
    touch. silenced: it has been lifted elsewhere, and slides no more.
    """

    key: _Key
    velocity: int
    semitones: float
    y: int
    pressure: int | None = None
    key_down: bool = True
    sostenuto: bool = False
    silenced: bool = False
    place: tuple[float, float] = (0.0, 0.0)

    @property
    def channel(self) -> int:
        return self.key[0]

    @property
    def id(self) -> int:
        return self.key[0] << 7 | self.key[1]


class NoteSurface:
    """Surface of notes, each a finger: bend slides it, y is a controller, velocity or pressure.

    The velocity is the pressure of the landing. Pressure alone makes no move, as a finger held
    still is silence; a move has the pressure of its moment. Notes on channels outside an MPE
    zone are fingers too, so that a plain keyboard plays.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._zones = Zones(style)
        self._notes: dict[_Key, _Note] = {}
        self._moved: dict[_Key, None] = {}

    @property
    def has_moves(self) -> bool:
        """Whether a note may have moved."""
        return bool(self._moved)

    def read(self, kind: int, channel: int, number: int, value: int) -> list[Input]:
        """Read a message: its kind, channel and data bytes."""
        match kind:
            case stream.NOTE_ON if value:
                return self._land((channel, number), value)
            case stream.NOTE_ON | stream.NOTE_OFF:
                return self._release_key((channel, number))
            case stream.CONTROL:
                return self._control(channel, number, value)
            case stream.BEND if self._style.kind == "mpe":
                self._zones.channels[channel].bend = number | value << 7
                self._bend(channel)
            case stream.PRESSURE:
                self._press(channel, value)
            case stream.POLY_PRESSURE if (channel, number) in self._notes:
                self._press_note(self._notes[channel, number], value)
        return []

    def enter(self, entry: DataEntry) -> list[Input] | None:
        """Set a bend range, or configure a zone: notes on channels that leave it are lifted.

        Return None for other parameters.
        """
        channel = entry.channel
        if not entry.registered or self._style.kind != "mpe":
            return None
        if entry.number == stream.BEND_RANGE:
            for member in self._zones.enter_bend_range(channel, entry.controller, entry.value):
                self._bend(member)
            return []
        if entry.number != stream.CONFIGURATION:
            return None
        configurable = self._style.master is not None and channel in (0, 15)
        if entry.controller != stream.DATA or not configurable:
            return []
        moves = self.take_moves()
        lifted = self._lift(self._on(self._zones.configure(channel, entry.value)))
        for member in self._zones.reach(channel):
            self._bend(member)
        return moves + lifted

    def take_moves(self) -> list[Input]:
        """Return the moves since the last call."""
        moved, self._moved = self._moved, {}
        return [finger for key in moved for finger in self._move(self._notes[key])]

    def lift_all(self) -> list[Input]:
        """Lift every finger, and set the channels to the state that the style describes."""
        lifted = self._lift(list(self._notes.values()))
        self._zones = Zones(self._style)
        return lifted

    def silence(self) -> None:
        """Note that every finger has been lifted: a note counts when it is struck again."""
        self._moved.clear()
        for note in self._notes.values():
            note.silenced = True

    # -- notes -------------------------------------------------------------------------------

    def _on(self, channels: Iterable[int]) -> list[_Note]:
        """Return the notes on channels, in the order of their landing."""
        return [note for note in self._notes.values() if note.channel in channels]

    def _land(self, key: _Key, velocity: int) -> list[Input]:
        lifted = self._lift([self._notes[key]]) if key in self._notes else []
        if len(self._notes) >= MAX_FINGERS:  # the oldest gives way, first of those of a pedal
            lifted += self._lift([min(self._notes.values(), key=lambda note: note.key_down)])
        channel = self._zones.channels[key[0]]
        y = {"velocity": velocity, "pressure": channel.pressure}.get(
            str(self._style.y), channel.y
        )
        note = self._notes[key] = _Note(key, velocity, channel.semitones, y)
        return [*lifted, self._finger(Phase.DOWN, note, velocity / 127)]

    def _release_key(self, key: _Key) -> list[Input]:
        note = self._notes.get(key)
        if note is None or not note.key_down:
            return [Dropped("absent finger")]
        note.key_down = False
        return self._lift_unheld([note])

    def _lift_unheld(self, notes: list[_Note]) -> list[Input]:
        """Lift those notes that neither a key nor a pedal holds."""
        return self._lift(
            [
                note
                for note in notes
                if not (note.key_down or note.sostenuto or self._zones.is_held(note.channel))
            ]
        )

    def _lift(self, notes: Iterable[_Note]) -> list[Input]:
        lifted: list[Input] = []
        for note in notes:
            if note.key in self._moved:
                del self._moved[note.key]
                lifted += self._move(note)
            del self._notes[note.key]
            lifted.append(Finger(Phase.UP, note.id))
        return lifted

    # -- places ------------------------------------------------------------------------------

    def _place(self, note: _Note) -> tuple[float, float]:
        """Return the pitch of a note and its y (0..1)."""
        pitch = note.key[1] + note.semitones + self._zones.semitones(note.channel)
        part = max(note.y - 1, 0) / 126 if self._style.y == "velocity" else note.y / 127
        return pitch, 1 - part if self._style.top else part

    def _finger(self, phase: Phase, note: _Note, pressure: float | None) -> PitchedFinger:
        pitch, y = self._place(note)
        note.place = pitch, y
        return PitchedFinger(phase, note.id, pitch, y, self._style.pitch_range, pressure)

    def _move(self, note: _Note) -> list[Input]:
        """Return a move, where the note is in another place than at its last touch."""
        if note.silenced or note.place == self._place(note):
            return []
        pressure = None
        if note.pressure is not None and self._style.y != "pressure":
            pressure = note.pressure / 127
        return [self._finger(Phase.MOVE, note, pressure)]

    # -- what shapes notes -------------------------------------------------------------------

    def _shaped(self, channel: int) -> list[_Note]:
        """Return the notes that a message on a channel shapes.

        A note whose key is up, and that a pedal holds, is no longer shaped by its member
        channel, which may have another note by now.
        """
        zones = self._zones
        return [
            note
            for note in self._on(zones.reach(channel))
            if note.key_down or note.channel != channel or zones.manager(channel) is None
        ]

    def _bend(self, channel: int) -> None:
        for note in self._shaped(channel):
            if note.channel == channel:
                note.semitones = self._zones.channels[channel].semitones
            self._moved[note.key] = None

    def _set_y(self, channel: int, value: int) -> None:
        for member in self._zones.reach(channel):
            self._zones.channels[member].y = value
        for note in self._shaped(channel):
            note.y = value
            self._moved[note.key] = None

    def _press(self, channel: int, value: int) -> None:
        for member in self._zones.reach(channel):
            self._zones.channels[member].pressure = value
        for note in self._shaped(channel):
            self._press_note(note, value)

    def _press_note(self, note: _Note, value: int) -> None:
        note.pressure = value
        if self._style.y == "pressure":
            note.y = value
            self._moved[note.key] = None

    # -- controllers -------------------------------------------------------------------------

    def _control(self, channel: int, number: int, value: int) -> list[Input]:
        reach = self._zones.reach(channel)
        if number in _SILENCE:
            return self._lift(self._on(reach))
        if number == stream.RESET_CONTROLLERS:
            return self._reset(reach)
        if number == self._style.y:
            self._set_y(channel, value)
        elif number == stream.HOLD:
            self._zones.channels[channel].hold = value >= _PEDAL_DOWN
            return self._lift_unheld(self._on(reach))
        elif number == stream.SOSTENUTO:
            return self._hold_sounding(channel, down=value >= _PEDAL_DOWN)
        elif number in DATA_CONTROLLERS:
            return [Dropped("MIDI parameter without its number")]
        return []

    def _hold_sounding(self, channel: int, *, down: bool) -> list[Input]:
        """Hold the notes that sound now, until the sostenuto pedal is up again."""
        state = self._zones.channels[channel]
        if down == state.sostenuto:
            return []
        state.sostenuto = down
        notes = self._on(self._zones.reach(channel))
        for note in notes:
            note.sostenuto = down
        return self._lift_unheld(notes)

    def _reset(self, channels: Iterable[int]) -> list[Input]:
        """Lift what the pedals of channels held; set their controllers to the defaults."""
        states = [self._zones.channels[channel] for channel in channels]
        for state in states:
            state.hold = state.sostenuto = False
        notes = self._on(channels)
        for note in notes:
            note.sostenuto = False
        lifted = self._lift_unheld(notes)
        for state in states:
            state.bend, state.y, state.pressure = stream.CENTRE, MIDDLE, 0
        for note in self._on(channels):
            note.semitones, note.pressure = 0.0, None
            if self._style.y != "velocity":
                note.y = 0 if self._style.y == "pressure" else MIDDLE
            self._moved[note.key] = None
        return lifted
