"""MIDI 1.0 byte streams: a parser, and functions that write messages.

Channels count from 0 here. Sources: the MIDI 1.0 detailed specification; M1-100-UM (MPE) for
the configuration message.
"""

from __future__ import annotations

from typing import Final

#: Data bytes that follow a status byte of a channel message, by its upper half.
_CHANNEL_LENGTHS: Final = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
#: Data bytes of system messages; an exclusive one, 0xF0, lasts until the next status byte.
_SYSTEM_LENGTHS: Final = {0xF1: 1, 0xF2: 2, 0xF3: 1}

NOTE_OFF, NOTE_ON, POLY_PRESSURE, CONTROL = 0x80, 0x90, 0xA0, 0xB0
PROGRAM, PRESSURE, BEND = 0xC0, 0xD0, 0xE0
BANK, DATA, DATA_FINE, HOLD, SOSTENUTO = 0, 6, 38, 64, 66
INCREMENT, DECREMENT = 96, 97
NRPN_FINE, NRPN, RPN_FINE, RPN = 98, 99, 100, 101
SOUND_OFF, RESET_CONTROLLERS, NOTES_OFF = 120, 121, 123
#: Controllers that end notes: pedals that are lifted, resets, all notes off, the modes.
ENDING: Final = frozenset(
    (HOLD, SOSTENUTO, SOUND_OFF, RESET_CONTROLLERS, *range(NOTES_OFF, 128))
)
BEND_RANGE, CONFIGURATION = 0, 6  # registered parameters
CENTRE: Final = 8192
#: Reasons for drops: a message that was not completed, data bytes without a status byte.
CUT_OFF, STRAY = "MIDI cut off", "MIDI without a status"


class MidiParser:
    """Parser of one port's byte stream.

    Messages may come in pieces, leave out a repeated status byte (running status) and hold
    real-time bytes. mido's parser does not serve here: it has no running status, drops a
    message that a real-time byte interrupts, reports no drops, and collects an exclusive
    message without a limit. This one never holds more than two bytes.
    """

    def __init__(self) -> None:
        self._status = 0  # running status; 0 for none
        self._data = bytearray()
        self._exclusive = False

    def feed(self, data: bytes) -> tuple[list[bytes], list[str]]:
        """Parse bytes; return the channel messages that they complete, and reasons for drops.

        Messages of the system (clock, exclusive, reset) are left out. Never raises.
        """
        messages: list[bytes] = []
        dropped: list[str] = []
        for byte in data:
            if byte >= 0xF8:
                continue  # real time: may stand anywhere, and changes nothing
            if byte >= 0x80:
                dropped += self.discard_partial()
                self._exclusive = byte == 0xF0
                self._status = byte if byte < 0xF0 or byte in _SYSTEM_LENGTHS else 0
                continue
            if self._exclusive:
                continue
            if not self._status:
                dropped += [STRAY] if dropped[-1:] != [STRAY] else []
                continue
            self._data.append(byte)
            length = _SYSTEM_LENGTHS.get(self._status) or _CHANNEL_LENGTHS[self._status >> 4]
            if len(self._data) == length:
                if self._status < 0xF0:
                    messages.append(bytes((self._status, *self._data)))
                else:
                    self._status = 0
                self._data.clear()
        return messages, dropped

    def discard_partial(self) -> list[str]:
        """Forget a message that has come only in part; return the reason, if there was one."""
        partial = bool(self._data)
        self._data.clear()
        return [CUT_OFF] if partial else []


def note_on(channel: int, note: int, velocity: int) -> bytes:
    """Return a note-on."""
    return bytes((NOTE_ON | channel, note, velocity))


def note_off(channel: int, note: int) -> bytes:
    """Return a note-off, of velocity 64 as specified where none is measured."""
    return bytes((NOTE_OFF | channel, note, 64))


def control(channel: int, number: int, value: int) -> bytes:
    """Return a control change."""
    return bytes((CONTROL | channel, number, value))


def bend(channel: int, value: int) -> bytes:
    """Return a pitch bend, of 0 to 16383; CENTRE is none."""
    return bytes((BEND | channel, value & 127, value >> 7))


def pressure(channel: int, value: int) -> bytes:
    """Return a channel pressure."""
    return bytes((PRESSURE | channel, value))


def parameter(channel: int, number: int, value: int) -> bytes:
    """Return messages that set the coarse value of a registered parameter.

    The last two select no parameter, so that a data knob does not change it afterwards.
    """
    pairs = (RPN, 0), (RPN_FINE, number), (DATA, value), (RPN, 127), (RPN_FINE, 127)
    return b"".join(control(channel, *pair) for pair in pairs)


def program(channel: int, number: int, bank: int | None) -> bytes:
    """Return a program change, of 0 to 127, after that of its bank, 0 to 16383, if any."""
    halves = [] if bank is None else [(BANK, bank >> 7), (BANK + 32, bank & 127)]
    messages = [control(channel, *half) for half in halves]
    return b"".join([*messages, bytes((PROGRAM | channel, number))])


def silence(channel: int) -> bytes:
    """Return messages that lift the pedal, end notes, reset controllers and end sound."""
    numbers = (HOLD, NOTES_OFF, RESET_CONTROLLERS, SOUND_OFF)
    return b"".join(control(channel, number, 0) for number in numbers)


class SoundingNotes:
    """Notes that sound at a receiver, according to the messages that were sent to it."""

    def __init__(self) -> None:
        self.notes: dict[tuple[int, int], None] = {}
        self.channels: set[int] = set()

    def sent(self, message: bytes) -> None:
        """Note a message that is sent."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        self.channels.add(channel)
        if kind == NOTE_ON and message[2]:
            self.notes[channel, message[1]] = None
        elif kind in (NOTE_ON, NOTE_OFF):
            self.notes.pop((channel, message[1]), None)

    def release(self) -> bytes:
        """Return messages that silence the receiver: note-offs first; then nothing sounds."""
        offs = b"".join(note_off(*note) for note in self.notes)
        rest = b"".join(silence(channel) for channel in sorted(self.channels))
        self.notes.clear()
        self.channels.clear()
        return offs + rest
