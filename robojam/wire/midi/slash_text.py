"""MIDI messages as texts with slashes, as IMPSY and its web pages exchange them. Pure.

``/channel/1/noteon/60/100``, ``/channel/1/noteoff/60/0``, ``/channel/1/cc/74/127`` and
``/channel/1/pitchbend/8192``: channels count from 1, a bend goes from 0 to 16383.
"""

from __future__ import annotations

import re
from typing import Final

from robojam.wire.midi import stream

#: Characters of the longest text.
MAX_TEXT: Final = 40
_KINDS: Final = {"noteon": stream.NOTE_ON, "noteoff": stream.NOTE_OFF, "cc": stream.CONTROL}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_TEXT: Final = re.compile(
    r"/channel/([0-9]{1,2})/(?:(noteon|noteoff|cc)/([0-9]{1,3})/([0-9]{1,3})"
    r"|pitchbend/([0-9]{1,5}))"
)


def parse(text: str) -> bytes | None:
    """Return the message of a text; None for a text that is none."""
    found = _TEXT.fullmatch(text) if len(text) <= MAX_TEXT and text.isascii() else None
    if found is None or not 1 <= int(found[1]) <= 16:
        return None
    channel = int(found[1]) - 1
    if found[5] is not None:
        bend = int(found[5])
        return stream.bend(channel, bend) if bend <= 16383 else None
    number, value = int(found[3]), int(found[4])
    if max(number, value) > 127:
        return None
    return bytes((_KINDS[found[2]] | channel, number, value))


def write(message: bytes) -> str:
    """Return the text of a note, a controller or a bend."""
    kind, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
    if kind == stream.BEND:
        return f"/channel/{channel}/pitchbend/{message[1] | message[2] << 7}"
    return f"/channel/{channel}/{_NAMES[kind]}/{message[1]}/{message[2]}"
