"""MIDI 1.0: bytes to whole messages, and messages to bytes. Channels count from 0 here.

Sources: the MIDI 1.0 detailed specification; M1-100-UM (MPE) for configuration.
"""

from __future__ import annotations

from typing import Final

#: How many data bytes follow a status, by its upper half.
_DATA: Final = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
#: The same of the system messages; exclusive ones, 0xF0, go on until 0xF7.
_SYSTEM: Final = {0xF1: 1, 0xF2: 2, 0xF3: 1}

NOTE_OFF, NOTE_ON, POLY_PRESSURE, CONTROL = 0x80, 0x90, 0xA0, 0xB0
PROGRAM, PRESSURE, BEND = 0xC0, 0xD0, 0xE0
BANK, DATA, DATA_FINE, HOLD, TIMBRE = 0, 6, 38, 64, 74
RPN_FINE, RPN = 100, 101
SOUND_OFF, RESET_CONTROLLERS, NOTES_OFF = 120, 121, 123
BEND_RANGE, CONFIGURATION = 0, 6  # registered parameters
CENTRE: Final = 8192
CUT_OFF, STRAY = "MIDI cut off", "MIDI without a status"


class MidiParser:
    """The stream of one port. A message may come in pieces, and its status be left out."""

    def __init__(self) -> None:
        self._status = 0  # the running one
        self._data = bytearray()
        self._exclusive = False

    def feed(self, data: bytes) -> tuple[list[bytes], list[str]]:
        """Take bytes in: the channel messages that they complete, and reasons for drops.

        Never raises. What is of the system (clock, exclusive, reset) is left out.
        """
        messages: list[bytes] = []
        dropped: list[str] = []
        for byte in data:
            if byte >= 0xF8:
                continue  # real time: may stand anywhere, and changes nothing
            if byte >= 0x80:
                dropped += self.cut()
                self._exclusive = byte == 0xF0
                self._status = byte if byte < 0xF0 or byte in _SYSTEM else 0
                continue
            if self._exclusive:
                continue
            if not self._status:
                if dropped[-1:] != [STRAY]:
                    dropped.append(STRAY)
                continue
            self._data.append(byte)
            wants = _SYSTEM.get(self._status) or _DATA[self._status >> 4]
            if len(self._data) == wants:
                if self._status < 0xF0:
                    messages.append(bytes((self._status, *self._data)))
                else:
                    self._status = 0
                self._data.clear()
        return messages, dropped

    def cut(self) -> list[str]:
        """Give up what has come in only in part; the reason, if there was any."""
        torn = bool(self._data)
        self._data.clear()
        return [CUT_OFF] if torn else []


def note_on(channel: int, note: int, velocity: int) -> bytes:
    """Strike a note."""
    return bytes((NOTE_ON | channel, note, velocity))


def note_off(channel: int, note: int) -> bytes:
    """Release a note; 64 is the velocity where none is known."""
    return bytes((NOTE_OFF | channel, note, 64))


def control(channel: int, number: int, value: int) -> bytes:
    """Set a controller."""
    return bytes((CONTROL | channel, number, value))


def bend(channel: int, value: int) -> bytes:
    """Bend the pitch: 0 to 16383, 8192 is none."""
    return bytes((BEND | channel, value & 127, value >> 7))


def pressure(channel: int, value: int) -> bytes:
    """Press on a channel."""
    return bytes((PRESSURE | channel, value))


def parameter(channel: int, number: int, value: int) -> bytes:
    """Set a registered parameter's coarse value, and close it: no knob may turn it on."""
    pairs = (RPN, 0), (RPN_FINE, number), (DATA, value), (RPN, 127), (RPN_FINE, 127)
    return b"".join(control(channel, *pair) for pair in pairs)


def program(channel: int, number: int, bank: int | None) -> bytes:
    """Choose a program, 0 to 127, and before it its bank, 0 to 16383."""
    which = b""
    if bank is not None:
        which = control(channel, BANK, bank >> 7) + control(channel, BANK + 32, bank & 127)
    return which + bytes((PROGRAM | channel, number))


def silence(channel: int) -> bytes:
    """Let go of the pedal, end all notes, forget the controllers, end all sound."""
    numbers = (HOLD, NOTES_OFF, RESET_CONTROLLERS, SOUND_OFF)
    return b"".join(control(channel, number, 0) for number in numbers)


class Sounding:
    """What sounds at the far end of a port, told from the bytes that went there."""

    def __init__(self) -> None:
        self.notes: dict[tuple[int, int], None] = {}
        self.channels: set[int] = set()

    def sent(self, message: bytes) -> None:
        """Take note of a whole message."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        self.channels.add(channel)
        if kind == NOTE_ON and message[2]:
            self.notes[channel, message[1]] = None
        elif kind in (NOTE_ON, NOTE_OFF):
            self.notes.pop((channel, message[1]), None)

    def release(self) -> bytes:
        """Return what silences it: note-offs for all that sounds, then the rest."""
        offs = b"".join(note_off(*note) for note in self.notes)
        rest = b"".join(silence(channel) for channel in sorted(self.channels))
        self.notes.clear()
        self.channels.clear()
        return offs + rest
