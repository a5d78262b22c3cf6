"""OSC packets to messages and back.

python-osc writes the messages. It does not read them, because packets may be hostile:
python-osc walks bundles by recursion, never ends at a negative element size, copies the rest
of the packet for each argument, and does not report the type of an argument. Timetags that
come in are ignored: arrival counts.

A packet is first read as the specification has it. One that cannot be read so is read as the
clients write it that depart from the specification, where that has one meaning only: strings
without padding, an address without its slash, arguments without type tags, SLIP frames and
size prefixes, which belong to streams. What remains is dropped, with its first bytes.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from struct import Struct
from struct import error as struct_error
from typing import Any, Final

import msgspec
from pythonosc.parsing import osc_types

#: Argument of a message.
Argument = float | str | bool | None

#: Most messages of a packet, and bundles in its bundles, of which the rest is dropped; and
#: deepest nesting of bundles.
MAX_MESSAGES, MAX_DEPTH = 1024, 8
#: Longest address, in bytes; messages with a longer one are dropped.
MAX_ADDRESS = 255
#: Most arguments of a message; messages with more are dropped.
MAX_ARGUMENTS = 512
#: Most parts of a packet that cannot be read; then the rest of it is dropped, too. And most
#: messages of a packet that depart from the specification; further ones cannot be read.
MAX_FAULTS, MAX_UNUSUAL = 16, 128
#: Longest address and type tags together that are remembered, in bytes.
_LONGEST_HEAD = 320
#: Bytes of a packet that are shown when it is dropped.
_SHOWN = 32

_BUNDLE = b"#bundle\0"
_BUNDLE_HEAD = 16
#: Seconds from 1900, where timetags begin, to 1970, where clocks begin.
_NTP_OFFSET = 2_208_988_800

_NUMBER = {"i": Struct(">i"), "h": Struct(">q"), "f": Struct(">f"), "d": Struct(">d")}
_CONSTANT: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": True}
#: Bytes of the arguments that have no place in a jam: colours, MIDI messages, timetags.
_WITHOUT_VALUE = {"r": 4, "m": 4, "t": 8}
_WRITE: dict[str, Callable[[Any], bytes]] = {tag: form.pack for tag, form in _NUMBER.items()}
_WRITE["s"] = osc_types.write_string


class Message(msgspec.Struct, frozen=True):
    """One OSC message: its address, the type tag of each argument, the arguments.

    Arrays are flattened, symbols (S) and printable characters (c) are strings. An impulse (I)
    is True. The value of a blob, colour, MIDI message or timetag is not kept: it is None.
    """

    address: str
    tags: str
    args: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Input that has no effect: the reason that is counted, and details for the log.

    key tells kinds of one reason apart, each of which is logged: the address.
    """

    reason: str
    about: str = field(default="", compare=False)
    key: str = field(default="", compare=False)


class MalformedError(ValueError):
    """Bytes are not OSC; the text is the reason for which they are dropped."""


def parts(packet: bytes) -> Iterator[Message | Dropped]:
    """Yield the messages of a packet in order, and the reason for each part dropped.

    Each is read when it is asked for. Never raises. Reasons are ``malformed``, ``nested``,
    ``unknown type`` (of an argument), ``too many arguments``, ``too many messages``, and the
    name of what was sent in the place of OSC.
    """
    read = faults = unusual = 0
    framed = [packet] if packet[:1] in _FIRST_BYTES else _unframed(packet)
    pending = [(part, 0) for part in reversed(framed)]
    while pending and faults <= MAX_FAULTS:
        data, depth = pending.pop()
        if read == MAX_MESSAGES:
            yield Dropped("too many messages", f"a packet may have {MAX_MESSAGES}")
            return
        dropped: Dropped | None = None
        is_bundle = data.startswith(_BUNDLE)
        read += depth > 0 or not is_bundle
        if not is_bundle:
            try:
                yield decode_message(data)
                continue
            except MalformedError as error:
                reason = str(error)
            unusual += 1
            try:
                if unusual <= MAX_UNUSUAL:
                    yield _unusual_message(data)
                    continue
            except MalformedError as unusual_error:
                reason = str(unusual_error)
            dropped = _describe_dropped(data, reason)
        elif depth == MAX_DEPTH:
            dropped = Dropped("nested", f"bundles in bundles, more than {MAX_DEPTH}")
        else:
            elements, truncated = _elements(data, _BUNDLE_HEAD)
            pending += [(element, depth + 1) for element in reversed(elements)]
            if truncated or len(data) < _BUNDLE_HEAD:
                dropped = Dropped("malformed", f"a bundle cut short: {_begin(data)}")
        if dropped is not None:
            faults += 1
            yield dropped


def decode(packet: bytes) -> tuple[list[Message], list[Dropped]]:
    """Return the messages of a packet in order, and the parts dropped; see `parts`."""
    messages: list[Message] = []
    dropped: list[Dropped] = []
    for part in parts(packet):
        if isinstance(part, Message):
            messages.append(part)
        else:
            dropped.append(part)
    return messages, dropped


def _elements(data: bytes, at: int) -> tuple[list[bytes], bool]:
    """Return the elements after their sizes, and whether the rest is cut short.

    One more than a packet may have messages, at most.
    """
    elements: list[bytes] = []
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        at += 4
        if size <= 0 or at + size > len(data):
            return elements, True
        elements.append(data[at : at + size])
        at += size
        if len(elements) > MAX_MESSAGES:
            return elements, False
    return elements, at < len(data)


def _text(data: bytes, at: int, max_length: int = 65536) -> tuple[str, int]:
    """Return the string at an offset, and where what follows begins."""
    zero = data.find(b"\0", at, at + max_length + 1)
    end = (zero + 4) & ~3
    if zero < 0 or end > len(data):
        raise MalformedError("malformed")
    try:
        return data[at:zero].decode(), end
    except UnicodeDecodeError as error:
        raise MalformedError("malformed") from error


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("malformed") from error


@lru_cache(maxsize=256)
def _numbers(tags: str) -> Struct | None:
    """Return the format of arguments that are all numbers; None for others."""
    if not tags or set(tags) - set(_NUMBER) or len(tags) > MAX_ARGUMENTS:
        return None
    return Struct(">" + tags.replace("h", "q"))


@lru_cache(maxsize=256)
def _head(head: bytes) -> tuple[str, str, Struct] | None:
    """Return address, type tags and format of a message of numbers, by its bytes before them.

    None for other bytes. A program sends few different ones, and each again and again.
    """
    try:
        address, at = _text(head, 0, MAX_ADDRESS)
        tags, at = _text(head, at)
    except MalformedError:
        return None
    numbers = _numbers(tags[1:])
    if not address.startswith("/") or tags[:1] != "," or numbers is None or at != len(head):
        return None
    return address, tags[1:], numbers


def decode_message(data: bytes) -> Message:
    """Return the message of bytes that follow the specification. Raises MalformedError."""
    comma = data.find(b"\0,", 0, MAX_ADDRESS + 4)  # most often that of the type tags
    end = (data.find(b"\0", comma + 1) + 4) & ~3
    known = _head(data[:end]) if 0 < comma < end <= _LONGEST_HEAD else None
    if known is not None and len(data) - end >= known[2].size:
        return Message(known[0], known[1], known[2].unpack_from(data, end))
    if not data.startswith(b"/"):
        raise MalformedError("malformed")
    address, at = _text(data, 0, MAX_ADDRESS)
    if at == len(data):
        return Message(address, "", ())  # some senders leave out an empty type tag
    tags, at = _text(data, at)
    if not tags.startswith(","):
        raise MalformedError("malformed")
    tags = tags[1:]
    numbers = _numbers(tags)
    if numbers is None:
        return _typed(address, data, at, tags, _text)[0]
    if at + numbers.size > len(data):
        raise MalformedError("malformed")
    return Message(address, tags, numbers.unpack_from(data, at))


def _typed(
    address: str,
    data: bytes,
    at: int,
    tags: str,
    read_text: Callable[[bytes, int], tuple[str, int]],
) -> tuple[Message, int]:
    """Return a message with the arguments at an offset, and where they end."""
    if len(tags) > MAX_ARGUMENTS:
        raise MalformedError("too many arguments")
    kept: list[str] = []
    args: list[Argument] = []
    for tag in tags:
        value: Argument = None
        kind = tag
        if tag in _NUMBER:
            number = _NUMBER[tag]
            if at + number.size > len(data):
                raise MalformedError("malformed")
            (value,) = number.unpack_from(data, at)
            at += number.size
        elif tag in "sS":
            value, at = read_text(data, at)
            kind = "s"
        elif tag in _CONSTANT:
            value = _CONSTANT[tag]
        elif tag == "c":
            character = int.from_bytes(data[at : at + 4], "big")
            if 32 <= character < 127:
                value, kind = chr(character), "s"
            at += 4
        elif tag in _WITHOUT_VALUE:
            at += _WITHOUT_VALUE[tag]
        elif tag == "b":
            size = int.from_bytes(data[at : at + 4], "big")
            at += 4 + (size + 3 & ~3)
        elif tag in "[]":
            continue
        else:
            raise MalformedError("unknown type")
        if at > len(data):
            raise MalformedError("malformed")
        kept.append(kind)
        args.append(value)
    return Message(address, "".join(kept), tuple(args)), at


# -- what departs from the specification -----------------------------------------------------

#: Address, with a slash or ended by a zero, of the characters that an address may have; then
#: the zeros after it.
_ADDRESS = re.compile(
    rb"((?:/[!-+\--:<-~]{0,%d})|(?:[!-+\--:<-~]{1,%d}(?=\0)))(\0*)"
    % (MAX_ADDRESS - 1, MAX_ADDRESS - 1)
)
_TAGS = re.compile(rb",([A-Za-z\[\]]*)")
_BARE_TAGS = re.compile(rb"([A-Za-z\[\]]+)\0")
#: Bytes with which a packet begins: of a message, of a bundle.
_FIRST_BYTES: Final = (b"/", b"#")
#: End of a SLIP frame, and what stands for it and for its escape within one (RFC 1055).
_SLIP_END = b"\xc0"
_SLIP_ESCAPES = ((b"\xdb\xdc", b"\xc0"), (b"\xdb\xdd", b"\xdb"))
#: Absolute values between which 4 bytes without a type tag are a float, and below which they
#: are an integer.
_SENSIBLE_FLOAT, _SENSIBLE_INT = (1e-6, 1e6), 2**24
_PRINTABLE = frozenset(string.printable.encode())


def _unframed(packet: bytes) -> list[bytes]:
    """Return the packets in SLIP frames or after size prefixes; else the packet as it is."""
    if packet[:1] == _SLIP_END:
        return [_unescaped(frame) for frame in packet.split(_SLIP_END) if frame] or [packet]
    elements, truncated = _elements(packet, 0)
    begin = all(element[:1] in _FIRST_BYTES for element in elements)
    return elements if elements and begin and not truncated else [packet]


def _unescaped(frame: bytes) -> bytes:
    for escape, byte in _SLIP_ESCAPES:
        frame = frame.replace(escape, byte)
    return frame


def _unusual_message(data: bytes) -> Message:
    """Return the message of bytes that depart from the specification with one meaning only.

    Raises MalformedError for all others.
    """
    if data[:1] == b"/" and data[-1:] == _SLIP_END and len(data) % 4 == 1:
        return decode_message(_unescaped(data[:-1]))  # a frame with an end, and no beginning
    match = _ADDRESS.match(data)
    is_text = b" " in data and _PRINTABLE.issuperset(data)
    if match is None or is_text:
        raise MalformedError("malformed")
    address, zeros = match[1].decode(), match.end()
    padded_end = (match.end(1) + 4) & ~3
    has_slash = address.startswith("/")
    address = address if has_slash else f"/{address}"
    if len(data) <= padded_end and zeros == len(data):
        return Message(address, "", ())
    if tags := _TAGS.match(data, zeros):
        return _unpadded(address, data[zeros:], tags[1].decode(), padded=zeros == padded_end)
    if has_slash and zeros >= padded_end and len(data) % 4 == 0:
        return _untagged(address, data[padded_end:])
    raise MalformedError("malformed")


def _unpadded(address: str, data: bytes, tags: str, *, padded: bool) -> Message:
    """Return the message of type tags and arguments that lack padding, or a last zero.

    padded: the address has its padding. The arguments must fill the data exactly.
    """
    end = len(tags) + 1
    padded_end = (end + 4) & ~3
    with_padding = (padded_end, _last_text)
    without = (end + (data[end : end + 1] == b"\0"), _unpadded_text)
    readings = [with_padding]
    if not padded:
        readings.insert(0, without)
    elif any(data[end:padded_end]):  # no zeros where the padding would be
        readings.append(without)
    for at, read_text in readings:
        try:
            message, ended = _typed(address, data, at, tags, read_text)
        except MalformedError as error:
            reason = str(error)
        else:
            if ended == len(data) or (not message.args and at > len(data)):
                return message
            reason = "malformed"
    raise MalformedError(reason)


def _last_text(data: bytes, at: int) -> tuple[str, int]:
    """Return a padded string, of which the last one may lack its padding and its zero."""
    zero = data.find(b"\0", at)
    if at >= len(data):
        raise MalformedError("malformed")
    zero = len(data) if zero < 0 else zero
    return _utf8(data[at:zero]), min((zero + 4) & ~3, len(data))


def _unpadded_text(data: bytes, at: int) -> tuple[str, int]:
    """Return a string that one zero, or the end, follows."""
    text, _ = _last_text(data, at)
    return text, min(at + len(text.encode()) + 1, len(data))


def _untagged(address: str, data: bytes) -> Message:
    """Return the message of arguments of 4 bytes without type tags.

    Floats that are neither tiny nor huge are floats; other numbers are integers.
    """
    if len(data) > 4 * MAX_ARGUMENTS:
        raise MalformedError("too many arguments")
    args: list[float] = []
    for at in range(0, len(data), 4):
        (single,), (whole,) = (_NUMBER[tag].unpack_from(data, at) for tag in "fi")
        if single == 0 or _SENSIBLE_FLOAT[0] <= abs(single) <= _SENSIBLE_FLOAT[1]:
            args.append(single)
        elif abs(whole) <= _SENSIBLE_INT:
            args.append(whole)
        else:
            return _message_of_letters(address, data)
    tags = "".join("i" if isinstance(arg, int) else "f" for arg in args)
    return Message(address, tags, tuple(args))


def _message_of_letters(address: str, data: bytes) -> Message:
    """Return the message of type tags that lack their comma, or else of one string.

    Neither is taken for a number: letters are the beginning of huge ones.
    """
    if match := _BARE_TAGS.match(data):
        tags = match[1].decode()
        try:
            message, ended = _typed(address, data, (len(tags) + 4) & ~3, tags, _text)
        except MalformedError:
            ended = -1
        if ended == len(data):
            return message
    text = data.rstrip(b"\0")
    if len(data) - len(text) > 4 or not _PRINTABLE.issuperset(text):
        raise MalformedError("malformed")
    return Message(address, "s", (text.decode(),))


def _describe_dropped(data: bytes, reason: str) -> Dropped:
    """Return why bytes are dropped: what they are, if that is known, and how they begin."""
    advice, text = "", data.rstrip(b"\0").strip()
    if reason == "malformed" and text and _PRINTABLE.issuperset(text[:_SHOWN]):
        advice = "; what is needed is OSC in UDP packets"
        reason = "text, not OSC"
        if text.endswith(b";"):
            reason = "FUDI, not OSC"
            advice = (
                "; in Pd: [oscformat touch], [list prepend send], [list trim], [netsend -u -b]"
            )
        elif text[:1] + text[-1:] in (b"{}", b"[]"):
            reason = "JSON, not OSC"
        elif b" HTTP/" in text[:1024]:
            reason = "HTTP, not OSC"
    return Dropped(reason, f"{_begin(data)}{advice}")


def _begin(data: bytes) -> str:
    """Return the first bytes of a packet, escaped."""
    return f"{data[:_SHOWN]!r}{'…' if len(data) > _SHOWN else ''}"


# -- out ---------------------------------------------------------------------------------


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
