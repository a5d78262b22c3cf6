"""Frames of messages in a pipe: the length of a message, and the message as MessagePack."""

import struct
from typing import Any, Final

import msgspec

#: Length of a message, before it.
HEADER: Final = struct.Struct("<I")


def frame(message: list[Any]) -> bytes:
    """Return a message as it is written."""
    data = msgspec.msgpack.encode(message)
    return HEADER.pack(len(data)) + data
