"""OSC packets to messages and back.

python-osc writes the messages. It does not read them, because packets may be hostile:
python-osc walks bundles by recursion, never ends at a negative element size, copies the rest
of the packet for each argument, and does not report the type of an argument. Timetags that
come in are ignored: arrival counts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from struct import Struct
from struct import error as struct_error
from typing import Any

from pythonosc.parsing import osc_types

#: Argument of a message.
Argument = float | str | bool | None

#: Deepest nesting of bundles; what is deeper is dropped.
MAX_DEPTH = 8
#: Longest address, in bytes; messages with a longer one are dropped.
MAX_ADDRESS = 255

_BUNDLE = b"#bundle\0"
_BUNDLE_HEAD = 16
#: Seconds from 1900, where timetags begin, to 1970, where clocks begin.
_NTP_OFFSET = 2_208_988_800

_NUMBER = {"i": Struct(">i"), "h": Struct(">q"), "f": Struct(">f"), "d": Struct(">d")}
_CONSTANT: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": float("inf")}
_WRITE: dict[str, Callable[[Any], bytes]] = {tag: form.pack for tag, form in _NUMBER.items()}
_WRITE["s"] = osc_types.write_string


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message: its address, the type tag of each argument, the arguments."""

    address: str
    tags: str
    args: tuple[Argument, ...]


class MalformedError(ValueError):
    """Bytes are not OSC; the text is the reason for which they are dropped."""


def decode(packet: bytes) -> tuple[list[Message], list[str]]:
    """Return the messages of a packet in order, and the reason for each part dropped.

    Never raises. Reasons are ``malformed``, ``nested`` and ``type`` (an argument
    of a type that has no place in a jam).
    """
    messages: list[Message] = []
    dropped: list[str] = []
    pending: list[tuple[int, int, int]] = [(0, len(packet), 0)]
    while pending:
        start, end, depth = pending.pop()
        if packet[start : start + len(_BUNDLE)] != _BUNDLE:
            try:
                messages.append(_message(packet[start:end]))
            except MalformedError as error:
                dropped.append(str(error))
        elif depth == MAX_DEPTH:
            dropped.append("nested")
        else:
            elements, truncated = _elements(packet, start + _BUNDLE_HEAD, end)
            pending += [(first, last, depth + 1) for first, last in reversed(elements)]
            if truncated or end - start < _BUNDLE_HEAD:
                dropped.append("malformed")
    return messages, dropped


def _elements(packet: bytes, at: int, end: int) -> tuple[list[tuple[int, int]], bool]:
    """Return start and end of each element of a bundle, and whether the rest is cut short."""
    elements: list[tuple[int, int]] = []
    while at + 4 <= end:
        size = int.from_bytes(packet[at : at + 4], "big", signed=True)
        first = at + 4
        if size <= 0 or first + size > end:
            return elements, True
        elements.append((first, first + size))
        at = first + size
    return elements, at < end


def _text(data: bytes, at: int, max_length: int = 65536) -> tuple[str, int]:
    zero = data.find(b"\0", at, at + max_length + 1)
    end = (zero + 4) & ~3
    if zero < 0 or end > len(data):
        raise MalformedError("malformed")
    try:
        return data[at:zero].decode(), end
    except UnicodeDecodeError as error:
        raise MalformedError("malformed") from error


def _message(data: bytes) -> Message:
    if not data.startswith(b"/"):
        raise MalformedError("malformed")
    address, at = _text(data, 0, MAX_ADDRESS)
    if at == len(data):
        return Message(address, "", ())  # some senders leave out an empty type tag
    tags, at = _text(data, at)
    if not tags.startswith(","):
        raise MalformedError("malformed")
    args: list[Argument] = []
    value: Argument
    for tag in tags[1:]:
        if tag == "s":
            value, at = _text(data, at)
        elif tag in _NUMBER:
            number = _NUMBER[tag]
            if at + number.size > len(data):
                raise MalformedError("malformed")
            (value,) = number.unpack_from(data, at)
            at += number.size
        elif tag in _CONSTANT:
            value = _CONSTANT[tag]
        else:
            raise MalformedError("type")
        args.append(value)
    return Message(address, tags[1:], tuple(args))


@cache
def _encoding(address: str, tags: str) -> tuple[bytes, Struct | None]:
    """Return the head of a message, and the format of its arguments where all are numbers."""
    head = osc_types.write_string(address) + osc_types.write_string("," + tags)
    numbers = set(tags) <= set(_NUMBER)
    return head, Struct(">" + tags.replace("h", "q")) if numbers else None


def encode(address: str, tags: str = "", *args: object) -> bytes:
    """Return the packet of a message. Raises BuildError if an argument does not fit its tag."""
    if len(tags) != len(args):
        raise ValueError(f"{address}: {len(args)} arguments for the type tags {tags!r}")
    head, numbers = _encoding(address, tags)
    try:
        if numbers is not None:
            return head + numbers.pack(*args)
        return head + b"".join([_WRITE[tag](arg) for tag, arg in zip(tags, args, strict=True)])
    except struct_error as error:
        raise osc_types.BuildError(f"{address}: {error}") from error


def bundle(packets: Iterable[bytes], *, at: float | None = None) -> bytes:
    """Return packets as one, for an instant in seconds since 1970 (None: for at once)."""
    tag = 1
    if at is not None:
        seconds, fraction = divmod(at, 1)
        tag = (int(seconds) + _NTP_OFFSET << 32) + int(fraction * 2**32)
    sized = b"".join(len(packet).to_bytes(4, "big") + packet for packet in packets)
    return _BUNDLE + (tag & 2**64 - 1).to_bytes(8, "big") + sized
