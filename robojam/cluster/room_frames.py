"""Frames over TCP between a host and the programs that play its rooms.

The program connects, and says the host's secret first. Recordings travel in parts: of a file's
name, the place of the part in it, and its bytes.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

from robojam.engine import twin_frames
from robojam.engine.twin_frames import FrameError, Frames

#: Bytes of the secret.
SECRET: Final = 32
#: Kinds of frames. Of both sides: it is there; a part of a file, a file is complete, a file is
#: no more; it ends.
BEAT, PART, COMPLETE, GONE, END = b"B", b"P", b"C", b"G", b"X"
#: Of the program: what it is (Hello); it is warm; where its engine is (Place); the engine's
#: status as JSON; the options in force as JSON.
HELLO, WARM, PLACE, STATUS, OPTIONS = b"H", b"W", b"L", b"S", b"O"
#: Of the host: a room to play (Task); from where on a file is wanted again.
TASK, AGAIN = b"T", b"A"
#: Bytes of a file in one part.
PIECE: Final = 1 << 16
_TEXT, _LONG = 1 << 12, 1 << 20
LONGEST: Final = {
    BEAT: 0, PART: PIECE + 1024, COMPLETE: _TEXT, GONE: _TEXT, END: 0,
    HELLO: _TEXT, WARM: 0, PLACE: _TEXT, STATUS: _LONG, OPTIONS: _LONG,
    TASK: _LONG + _TEXT, AGAIN: _TEXT,
}  # fmt: skip
#: Seconds between two beats; without a word, until the host takes a program for gone, and a
#: program its host.
BEAT_INTERVAL, PROGRAM_SILENCE, HOST_SILENCE = 0.1, 1.0, 30.0
_PART: Final = struct.Struct("!BQ")


class Hello(msgspec.Struct, frozen=True):
    """A program: the node of the cluster, and how people call that."""

    node: str
    name: str


class Place(msgspec.Struct, frozen=True):
    """Address at which the gateway reaches an engine, and the secret between the two."""

    host: str
    port: int
    secret: str


class Task(msgspec.Struct, frozen=True):
    """A room to play: its name, the options of its engine (JSON), and how that begins.

    arguments are added to the engine's command; resume is the recording to go on from, of which
    the parts have come before, or "", and age the seconds since it was written.
    """

    room: str
    options: msgspec.Raw
    arguments: list[str]
    resume: str = ""
    age: float = 0.0


def new_frames() -> Frames:
    """Return a reader of these frames."""
    return Frames(LONGEST)


def encode(kind: bytes, content: bytes | msgspec.Struct = b"") -> bytes:
    """Return a frame. Raises FrameError where it is too long."""
    data = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return twin_frames.encode(kind, data, LONGEST)


def decode(content: bytes, form: type[Any]) -> Any:
    """Return the content of a frame in a form. Raises FrameError."""
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FrameError(str(error)) from error


def encode_part(name: str, at: int, data: bytes) -> bytes:
    """Return the frame of a part of a file, which has PIECE bytes at most."""
    text = name.encode()
    return encode(PART, _PART.pack(len(text), at) + text + data)


def decode_part(content: bytes) -> tuple[str, int, bytes]:
    """Return name, place and bytes of a part. Raises FrameError."""
    if len(content) < _PART.size:
        raise FrameError("it is no part of a file")
    length, at = _PART.unpack_from(content)
    end = _PART.size + length
    return name_of(content[_PART.size : end]), at, content[end:]


def name_of(content: bytes) -> str:
    """Return the name of a file. Raises FrameError for one that is no recording's."""
    name = content.decode("utf-8", "replace")
    stem, _, kind = name.rpartition(".")
    if kind not in ("jsonl", "checkpoint") or not _is_stem(stem):
        raise FrameError(f"{name!r:.60} is no recording")
    return name


def _is_stem(text: str) -> bool:
    return 0 < len(text) <= 100 and all(c.isalnum() or c in "-_" for c in text)
