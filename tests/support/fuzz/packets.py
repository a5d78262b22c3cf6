"""Generators of OSC packets in all dialects, and of faults in them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from robojam.wire import dialects, tuio
from support.fuzz.core import integer, mutate, number, text

#: Addresses of pads of TouchOSC, and what phones send besides.
PADS = ("/1/xy", "/1/xy/z", "/1/multixy/1", "/1/multixy/2", "/2/pad", "/pad/touch", "/1")
HARMLESS = ("/accxyz", "/ping", "/gyro", "/3")
#: Addresses that an engine sends.
FROM_ENGINE = (
    "/robojam/ai/down", "/robojam/ai/move", "/robojam/ai/up", "/robojam/ai2/down",
    "/robojam/ai/next", "/robojam/human/down", "/robojam/human2/move", "/robojam/human/up",
    "/robojam/turn", "/robojam/forecast", "/robojam/human99999/down", "/robojam/ai/down/x",
)  # fmt: skip
TUIO = (
    *tuio._PROFILES,
    *tuio._COMPONENTS,
    "/tuio2/frm",
    "/tuio2/alv",
    "/tuio/other",
    "/tuio2/x",
)
OTHER = ("/", "//", "/x", "/robojam", "/robojam/", "/touch/", "/a b", "/é", "/" + "a" * 253,
         "/" + "a" * 254, "/" + "a" * 255, "touch", "", "#bundle")  # fmt: skip
ADDRESSES = (*dialects.INPUTS, *dialects.INPUTS, *TUIO, *PADS, *HARMLESS, *FROM_ENGINE, *OTHER)
TAGS = "iiiffffsshdTFINScrmtb[]"

Generator = Callable[[Random], bytes]


def padded(data: bytes) -> bytes:
    """Return bytes with the zeros of an OSC string."""
    return data + bytes(4 - len(data) % 4)


def argument(random: Random, tag: str) -> bytes:
    """Return an argument of a type."""
    match tag:
        case "i":
            return struct.pack(">i", (integer(random) + 2**31) % 2**32 - 2**31)
        case "h":
            return struct.pack(">q", (integer(random) + 2**63) % 2**64 - 2**63)
        case "f":
            value = number(random)
            return struct.pack(">f", value if abs(value) < 3.5e38 or value != value else 3e38)
        case "d":
            return struct.pack(">d", number(random))
        case "s" | "S":
            return padded(text(random).encode("utf-8", "surrogatepass"))
        case "b":
            size = random.choice((0, 1, 4, 7, 100))
            claimed = (
                size if random.random() < 0.8 else random.choice((2**31 - 1, 2**32 - 1, 5))
            )
            return struct.pack(">I", claimed) + bytes(size + 3 & ~3)
        case "c" | "r" | "m":
            return random.getrandbits(32).to_bytes(4, "big")
        case "t":
            return random.getrandbits(64).to_bytes(8, "big")
    return b""


def message_of(
    random: Random, address: str, tags: str, values: Sequence[bytes] | None = None
) -> bytes:
    """Return a message, with arguments by its type tags where none are given."""
    given = [argument(random, tag) for tag in tags] if values is None else values
    return (
        padded(address.encode("utf-8", "surrogatepass")) + padded(b"," + tags.encode())
        + b"".join(given)
    )  # fmt: skip


def message(random: Random, addresses: Sequence[str] = ADDRESSES) -> bytes:
    """Return a message: mostly one that its address takes, sometimes with any arguments."""
    address = random.choice(addresses)
    forms = [*dialects.INPUTS.get(address, {})]
    if random.random() < 0.02:
        address = text(random)
    if forms and random.random() < 0.75:
        kinds = random.choice(forms)
        if kinds == "n*":
            kinds = "n" * random.choice((0, 1, 2, 5, 64, 65, 512, 513))
        tags = "".join(
            {"n": random.choice("iiffhd"), "s": "s"}.get(kind, random.choice(TAGS))
            for kind in kinds
        )
        return message_of(random, address, tags)
    if address.startswith("/tuio") and random.random() < 0.8:
        return tuio_message(random, address)
    if (address in PADS or address in FROM_ENGINE) and random.random() < 0.8:
        tags = random.choice(("f", "ff", "fff", "i", "ii", "iff", "ifff", "s", "f" * 12))
        return message_of(random, address, tags)
    count = random.choice((0, 1, 2, 3, 3, 4, 6, 12, 511, 512, 513))
    return message_of(random, address, "".join(random.choice(TAGS) for _ in range(count)))


def tuio_message(random: Random, address: str) -> bytes:
    """Return a message of TUIO, of a few cursors."""
    if address == "/tuio2/frm":
        return message_of(random, address, random.choice(("ihis", "itis", "i", "", "ittss")))
    if address == "/tuio2/alv":
        return message_of(random, address, "i" * random.choice((0, 1, 2, 64, 65, 512)))
    if address.startswith("/tuio2"):
        return message_of(random, address, "iii" + "f" * random.randrange(1, 9))
    kind = random.choice((b"source", b"alive", b"set", b"set", b"fseq", b"fseq"))
    tags = {
        b"source": "s",
        b"alive": "i" * random.choice((0, 1, 2, 3, 64, 65, 500)),
        b"set": "i" + "f" * random.choice((1, 2, 5, 6)),
        b"fseq": "i",
    }[kind]
    values = [padded(kind)] + [argument(random, tag) for tag in tags]
    if kind in (b"set", b"alive") and random.random() < 0.8:
        few = [struct.pack(">i", random.randrange(4)) for tag in tags if tag == "i"]
        values[1 : 1 + len(few)] = few
    return message_of(random, address, "s" + tags, values)


def tuio_frame(random: Random) -> bytes:
    """Return a frame of TUIO, sometimes without one of its parts, or with many cursors."""
    address = random.choice(TUIO[:3])
    count = random.choice((0, 1, 1, 2, 3, 63, 64, 65, 200))
    sessions = [struct.pack(">i", random.randrange(-1, count + 3)) for _ in range(count)]
    name = random.choice((b"", b"a", b"b", "\u202e".encode(), b"x" * 70))
    parts = [
        message_of(random, address, "ss", [padded(b"source"), padded(name)]),
        message_of(random, address, "s" + "i" * count, [padded(b"alive"), *sessions]),
        *(
            message_of(random, address, "sifffff",
                       [padded(b"set"), each, *(argument(random, "f") for _ in range(5))])
            for each in sessions[: random.randrange(count + 1)]
        ),
        message_of(random, address, "si", [padded(b"fseq"), argument(random, "i")]),
    ]  # fmt: skip
    if random.random() < 0.2:
        del parts[random.randrange(len(parts))]
    return bundle_of(parts)


def bundle_of(parts: Sequence[bytes], tag: bytes = b"\0\0\0\0\0\0\0\1") -> bytes:
    """Return a bundle of packets."""
    return b"#bundle\0" + tag + b"".join(struct.pack(">i", len(p)) + p for p in parts)


def bundle(random: Random, depth: int = 0) -> bytes:
    """Return a bundle of messages and bundles, some with sizes that lie."""
    count = random.choice((0, 1, 1, 2, 3, 10))
    parts = [
        bundle(random, depth + 1) if random.random() < 0.3 and depth < 10 else message(random)
        for _ in range(count)
    ]
    tag = random.choice((bytes(7) + b"\1", bytes(8), b"\xff" * 8))
    whole = bundle_of(parts, tag)
    if random.random() < 0.1:
        size = random.choice((0, -1, 1, 3, 2**31 - 1, -(2**31)))
        whole += struct.pack(">i", size) + random.choice((b"", b"/x\0\0,\0\0\0"))
    return whole


def nested(random: Random) -> bytes:
    """Return bundles in bundles, up to some hundred deep."""
    inner = message(random)
    for _ in range(random.choice((1, 7, 8, 9, 100, 500))):
        inner = bundle_of([inner] * random.choice((1, 1, 1, 2) if len(inner) < 2000 else (1,)))
    return inner


def large(random: Random) -> bytes:
    """Return a packet of up to 65 kB: one thing many times."""
    size = random.choice((1000, 9000, 65000))
    unit = random.choice((
        message(random), mutate(random, message(random)), b"/", b"#", b"\xc0", b"/a", b"\xc0/a",
        b",", b"\0", b"a", b"0", b"[", b"\xdb\xdc", b"\xff", b"/a\0\0", b"#bundle\0",
    ))[:size]  # fmt: skip
    if not unit:
        return b""
    count = max(1, size // (len(unit) + 4))
    kind = random.randrange(4)
    if kind == 0:
        return bundle_of([unit] * count)
    if kind == 1:
        return message_of(random, random.choice(ADDRESSES), "", [unit * count])
    if kind == 2:
        tags = random.choice(TAGS) * min(count, 60_000)
        return message_of(random, random.choice(ADDRESSES), tags, [bytes(size)])[:65507]
    return unit * count


def framed(random: Random) -> bytes:
    """Return a message in SLIP frames, after its size, without padding, or as text."""
    inner = message(random)
    kind = random.randrange(6)
    if kind == 0:
        escaped = inner.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        return b"\xc0" * random.randrange(2) + escaped + b"\xc0"
    if kind == 1:
        return struct.pack(">i", len(inner)) + inner
    if kind == 2:
        return inner.replace(b"\0", b"", random.randrange(1, 9))
    if kind == 3:
        return inner.rstrip(b"\0")
    if kind == 4:
        return random.choice((
            b"touch 0.5 0.5;\n", b'{"x": 0.5}', b"GET / HTTP/1.1\r\n\r\n", b"/touch 0.5 0.5",
            b"hello", b"",
        ))  # fmt: skip
    return inner[1:]


def packet(random: Random) -> bytes:
    """Return a packet of any kind."""
    kind = random.random()
    if kind < 0.5:
        return message(random)
    if kind < 0.6:
        return tuio_frame(random)
    if kind < 0.7:
        return bundle(random)
    if kind < 0.72:
        return nested(random)
    if kind < 0.8:
        return framed(random)
    if kind < 0.805:
        return large(random)
    if kind < 0.82:
        return bytes(random.getrandbits(8) for _ in range(random.randrange(60)))
    return mutate(random, random.choice((message, bundle, tuio_frame))(random),
                  b"\0\1\x7f\x80\xff,#/[]ifsb\xc0\xdb")  # fmt: skip
