"""Frames that an engine sends its twin over a connection, and beats by UDP.

A frame is a kind, the length of its content, and the content. The first frame holds the state
of the jam, and each that follows an event as its recording has it. A beat says up to which
time of the take everything has been played, and how many events that is.
"""

import struct
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from robojam.sessions.checkpoint import MAX_BYTES, Moment
from robojam.sessions.session import Header
from robojam.touch import MAX_FINGERS

#: Bytes of the secret that a twin draws, by which it knows who connects.
SECRET: Final = 16
#: Kinds of frames.
STATE, EVENT, PLAYERS, CHECK, END = b"S", b"E", b"P", b"C", b"X"
#: Longest content by kind, in bytes.
LONGEST: Final = {
    STATE: MAX_BYTES + (1 << 20),
    EVENT: 1 << 20,
    PLAYERS: 1 << 18,
    CHECK: 1 << 10,
    END: 1 << 10,
}
#: What a twin sends, when what it has computed differs: that it needs the state again.
AGAIN: Final = b"!"
#: Reasons of an end: the jam is over, or the twin is to go on with it.
OVER, YOURS = "over", "yours"

_HEAD: Final = struct.Struct("!cI")
_BEAT: Final = struct.Struct(f"!{SECRET}sdQQ")

_Text = Annotated[str, Meta(max_length=4096)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]


class FrameError(ValueError):
    """Reason why what came from an engine is no frame."""


class Jam(msgspec.Struct, frozen=True):
    """State of a jam: encoded by robojam.jam.saved, b"" where no take has begun.

    header is what a recording of it begins with that goes on from here. term is how many
    engines have led the jam; address is where the engine listens.
    """

    term: _Count
    address: tuple[_Text, int]
    header: Header
    moment: Moment | None
    state: bytes


class Player(msgspec.Struct, frozen=True, array_like=True):
    """A player: where it sends from, its name, what it has set, and its fingers' kind.

    is_plain: its touches have no phases.
    """

    source: _Text
    name: _Text
    own: dict[_Text, _Text]
    fingers: Annotated[list[int], Meta(max_length=MAX_FINGERS)]
    is_plain: bool


class Company(msgspec.Struct, frozen=True, array_like=True):
    """Who plays, and the addresses of the monitors on the engine's machine.

    recording is the name of the one that is written, "" for none.
    """

    players: Annotated[list[Player], Meta(max_length=64)]
    monitors: Annotated[list[tuple[_Text, int]], Meta(max_length=8)]
    recording: _Text = ""


class Check(msgspec.Struct, frozen=True, array_like=True):
    """Checksum of a jam at a time of the take, after a number of events."""

    t: float
    events: _Count
    sum: int


class Beat(msgspec.Struct, frozen=True):
    """Time of the take up to which all is played, after a number of events of a state."""

    secret: bytes
    t: float
    events: int
    term: int


def encode(kind: bytes, content: bytes, longest: Mapping[bytes, int] = LONGEST) -> bytes:
    """Return a frame. Raises FrameError where it is too long."""
    if len(content) > longest[kind]:
        raise FrameError(f"a frame of {len(content):,} bytes is too long")
    return _HEAD.pack(kind, len(content)) + content


def encode_beat(beat: Beat) -> bytes:
    """Return the packet of a beat."""
    return _BEAT.pack(beat.secret, beat.t, beat.events, beat.term)


def decode_beat(packet: bytes) -> Beat:
    """Return the beat of a packet. Raises FrameError."""
    if len(packet) != _BEAT.size:
        raise FrameError("it is no beat")
    return Beat(*_BEAT.unpack(packet))


class Frames:
    """Frames out of the bytes of a connection, as they come."""

    def __init__(self, longest: Mapping[bytes, int] = LONGEST) -> None:
        """Take frames of some kinds, with the longest content of each in bytes."""
        self._longest = longest
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the frames that are complete: kind and content. Raises FrameError."""
        self._waiting += data
        frames, start = [], 0
        while len(self._waiting) - start >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._waiting, start)
            if length > self._longest.get(kind, -1):
                raise FrameError("it is no frame, or one that is too long")
            end = start + _HEAD.size + length
            if len(self._waiting) < end:
                break
            frames.append((kind, bytes(self._waiting[start + _HEAD.size : end])))
            start = end
        del self._waiting[:start]
        return frames
