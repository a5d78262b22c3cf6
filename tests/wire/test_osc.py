"""OSC packets: golden bytes, agreement with python-osc, and hostile input."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.parsing import osc_types

from robojam.wire import native
from robojam.wire.osc import (
    MAX_ADDRESS,
    MAX_ARGUMENTS,
    MAX_DEPTH,
    MAX_FAULTS,
    MAX_UNUSUAL,
    Dropped,
    Message,
    decode,
    encode,
)

# fmt: off
MOVE = (
    b"/robojam/ai/move"
    b"\0\0\0\0"  # 16 bytes, and at least one zero, to a multiple of 4
    b",ifff"
    b"\0\0\0"
    b"\0\0\0\x07"  # i 7
    b"\x3f\0\0\0"  # f 0.5
    b"\x3e\x80\0\0"  # f 0.25
    b"\x3e\0\0\0"  # f 0.125
)
TURN = b"/robojam/turn\0\0\0,s\0\0ai\0\0"
PANIC = b"/robojam/panic\0\0,\0\0\0"
SEED = b"/robojam/seed\0\0\0,h\0\0\x7f" + b"\xff" * 7  # the largest: 2**63 - 1
GOLDEN = [
    (MOVE, Message("/robojam/ai/move", "ifff", (7, 0.5, 0.25, 0.125))),
    (TURN, Message("/robojam/turn", "s", ("ai",))),
    (PANIC, Message("/robojam/panic", "", ())),
    (SEED, Message("/robojam/seed", "h", (2**63 - 1,))),
    (b"/d\0\0,d\0\0\x3f\xb9\x99\x99\x99\x99\x99\x9a", Message("/d", "d", (0.1,))),
    (b"/i\0\0,i\0\0\xff\xff\xff\xff", Message("/i", "i", (-1,))),
]
# fmt: on


@pytest.mark.parametrize(("packet", "message"), GOLDEN)
def test_message_is_written_and_read_as_golden_bytes(packet: bytes, message: Message) -> None:
    assert encode(message.address, message.tags, *message.args) == packet
    assert decode(packet) == ([message], [])


def test_arguments_without_bytes_are_read_from_their_type_tags() -> None:
    tags = b",TFNIi\0\0"
    (message,), dropped = decode(b"/x\0\0" + tags + b"\0\0\0\x01")
    assert (message.tags, message.args) == ("TFNIi", (True, False, None, True, 1))
    assert dropped == []


def test_message_without_type_tags_has_no_arguments() -> None:
    assert decode(b"/robojam/panic\0\0") == ([Message("/robojam/panic", "", ())], [])


def test_argument_that_does_not_fit_its_tag_raises_when_written() -> None:
    with pytest.raises(osc_types.BuildError):
        encode("/x", "i", 2**31)
    with pytest.raises(osc_types.BuildError):
        encode("/x", "ifs", 1, "two", "three")
    with pytest.raises(osc_types.BuildError):
        encode("/x", "if", 1, "two")
    with pytest.raises(ValueError, match="2 arguments for the type tags 'i'"):
        encode("/x", "i", 1, 2)


# -- the same as python-osc ----------------------------------------------------------------

single = st.floats(width=32, allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
arguments = st.one_of(
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("f"), single),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("s"), texts),
)
messages = st.builds(
    lambda address, typed: Message(
        "/" + address, "".join(t for t, _ in typed), tuple(v for _, v in typed)
    ),
    st.text("abz/09_", max_size=20),
    st.lists(arguments, max_size=8),
)


@given(messages)
def test_written_message_is_read_back_here_and_by_python_osc(message: Message) -> None:
    packet = encode(message.address, message.tags, *message.args)
    assert decode(packet) == ([message], [])
    by_python_osc = OscMessage(packet)
    assert (by_python_osc.address, tuple(by_python_osc.params)) == (
        message.address,
        message.args,
    )


@given(messages)
def test_message_is_written_as_python_osc_writes_it(message: Message) -> None:
    builder = OscMessageBuilder(message.address)
    for tag, value in zip(message.tags, message.args, strict=True):
        builder.add_arg(value, tag)
    assert builder.build().dgram == encode(message.address, message.tags, *message.args)


@given(st.lists(messages, max_size=4), st.lists(messages, max_size=4))
def test_nested_bundles_are_read_in_order_whatever_their_timetags(
    first: list[Message], second: list[Message]
) -> None:
    outer, inner = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(2_000_000_000.5)
    for bundle, part in ((outer, first), (inner, second)):
        for message in part:
            builder = OscMessageBuilder(message.address)
            for tag, value in zip(message.tags, message.args, strict=True):
                builder.add_arg(value, tag)
            bundle.add_content(builder.build())
    outer.add_content(inner.build())
    assert decode(outer.build().dgram) == (first + second, [])


# -- hostile input -----------------------------------------------------------------


def bundle(*elements: bytes) -> bytes:
    sized = b"".join(struct.pack(">i", len(e)) + e for e in elements)
    return b"#bundle\0" + bytes(7) + b"\1" + sized


def nested(depth: int) -> bytes:
    packet = PANIC
    for _ in range(depth):
        packet = bundle(packet)
    return packet


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "malformed"),
        (b"\0" * 8, "malformed"),
        (b"\x90\x3c\x7f", "malformed"),
        (b"/robojam/panic\0\0i\0\0\0\0\0\0\1\0\0\0\0", "malformed"),
        (b"/\xff\xfe\0,\0\0\0", "malformed"),  # not UTF-8
        (b"/i\0\0,i\0\0", "malformed"),  # an argument is missing
        (b"/s\0\0,s\0\0", "malformed"),
        (b"/f\0\0,f\0\0\x3f\0\0", "malformed"),  # an argument is cut short
        (b"/d\0\0,d\0\0\0\0\0\0", "malformed"),
        (b"/b\0\0,b\0\0\0\0\0\7ab\0\0", "malformed"),
        (b"/s\0\0,s\0\0\xff\0\0\0", "malformed"),
        (b"/touch\0,ff\0" + b"\x3f\0\0\0" * 2 + b"\0", "malformed"),  # more than its arguments
        (b"/z\0\0,z\0\0\0\0\0\0", "unknown type"),  # no such type
        (b"/T\0\0," + b"T" * 600 + b"\0\0\0", "too many arguments"),
        (b"/i\0\0" + b"\0\0\0\1" * 600, "too many arguments"),
        (b"/" + b"a" * MAX_ADDRESS + b"\0" * 4, "text, not OSC"),
        (b"/" + b"a" * 60_000 + b"\0" * 4, "text, not OSC"),
        (b"#bundle\0", "malformed"),  # no timetag
        (bundle(PANIC)[:-1], "malformed"),
        (bundle(b""), "malformed"),
        (bundle()[:16] + b"\xff\xff\xff\xff" + PANIC, "malformed"),  # size -1
        (bundle()[:16] + b"\x80\0\0\0" + PANIC, "malformed"),
        (bundle()[:16] + b"\x7f\xff\xff\xff" + PANIC, "malformed"),
        (nested(1000), "nested"),
        (b"hello, world", "text, not OSC"),
        (b"/robojam/down 0 0.5 0.5\n", "text, not OSC"),
        (b"/touch,ff 0.5 0.5", "text, not OSC"),
        (b"touch 0.5 0.5;\n", "FUDI, not OSC"),  # Pd's [netsend -u]
        (b"touch 0.5 0.5;\n\0\0", "FUDI, not OSC"),
        (b'{"address": "/touch", "args": [0.5, 0.5]}', "JSON, not OSC"),
        (b" [0.5, 0.5]\n", "JSON, not OSC"),
        (b"GET /status HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n", "HTTP, not OSC"),
        (b"\xc0touch\xc0", "text, not OSC"),  # a SLIP frame of no OSC
    ],
)
def test_packet_that_is_no_osc_is_dropped_with_a_reason(packet: bytes, reason: str) -> None:
    assert decode(packet) == ([], [Dropped(reason)])


def test_packet_that_is_no_osc_is_described_by_its_first_bytes_in_ascii() -> None:
    for packet in (b"\x1b]0;x\7\n" * 9, b"touch 0.5 0.5;\n", b"a\0'\"\xff"):
        ((dropped,), _) = decode(packet)[::-1]
        assert dropped.about.startswith(repr(packet[:32]))
        assert dropped.about.replace("…", "").isascii()
        assert dropped.about.isprintable()
        assert len(dropped.about) < 250


def test_true_false_nil_lists_and_text_of_python_osc_are_read() -> None:
    builder = OscMessageBuilder("/x")
    for value in (True, False, None, [0.5, [1, "a"]], b"ab"):
        builder.add_arg(value)
    message = Message("/x", "TFNfisb", (True, False, None, 0.5, 1, "a", None))
    assert decode(builder.build().dgram) == ([message], [])


# -- understood, though not as the specification has it ------------------------------------

PLACE = struct.pack(">ff", 0.5, 0.25)
TOUCH = Message("/touch", "ff", (0.5, 0.25))
MODE = Message("/robojam/mode", "s", ("duet",))
PANICKED = Message("/robojam/panic", "", ())


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        # without its slash
        (b"robojam/panic\0\0\0,\0\0\0", PANICKED),
        (b"robojam/panic\0\0\0", PANICKED),
        (b"touch\0\0\0,ff\0" + PLACE, TOUCH),
        # without type tags: floats, or integers where floats would be tiny or huge
        (b"/touch\0\0" + PLACE, TOUCH),
        (b"/i\0\0" + struct.pack(">iif", 7, -1, 0.5), Message("/i", "iif", (7, -1, 0.5))),
        (b"/robojam/up\0\0\0\0\0", Message("/robojam/up", "f", (0.0,))),
        (b"/robojam/mode\0\0\0duet\0\0\0\0", MODE),
        # without the comma of the type tags
        (b"/touch\0\0ff\0\0" + PLACE, TOUCH),
        (b"/robojam/mode\0\0\0s\0\0\0duet\0\0\0\0", MODE),
        # without padding, or a last zero
        (b"/robojam/panic", PANICKED),
        (b"/robojam/panic\0", PANICKED),
        (b"/robojam/panic\0\0,", PANICKED),
        (b"/robojam/panic\0,\0", PANICKED),
        (b"/touch\0,ff\0" + PLACE, TOUCH),
        (b"/touch,ff" + PLACE, TOUCH),
        (
            b"/touch\0,ff\0\x3f\0\0\0\x40\0\0\xc0",  # no frame, though it ends like one
            Message("/touch", "ff", (0.5, 2 + 192 * 2**-22)),
        ),
        (b"/touch\0\0,ff" + PLACE, TOUCH),
        (b"/pad\0,ff\0" + PLACE, Message("/pad", "ff", (0.5, 0.25))),
        (b"/fff\0\0\0\0,fff" + PLACE + PLACE[:4], Message("/fff", "fff", (0.5, 0.25, 0.5))),
        (b"/robojam/mode\0\0\0,s\0\0duet", MODE),
        (b"/robojam/mode\0\0\0,s\0\0duet\0", MODE),
        (b"/robojam/mode\0,s\0duet\0", MODE),
        (b"/abcd\0,si\0ab\0\0\0\0\7", Message("/abcd", "si", ("ab", 7))),
        # arrays, symbols, characters
        (b"/touch\0\0,[ff]\0\0\0" + PLACE, TOUCH),
        (b"/touch\0\0,[f[f]\0\0" + PLACE, TOUCH),
        (b"/robojam/mode\0\0\0,S\0\0duet\0\0\0\0", MODE),
        (b"/c\0\0,c\0\0\0\0\0A", Message("/c", "s", ("A",))),
        # what has no value in a jam
        (b"/c\0\0,c\0\0\0\0\0\7", Message("/c", "c", (None,))),
        (b"/r\0\0,rm\0abcdefgh", Message("/r", "rm", (None, None))),
        (b"/t\0\0,tT\0abcdefgh", Message("/t", "tT", (None, True))),
        (b"/b\0\0,bi\0\0\0\0\2ab\0\0\0\0\0\7", Message("/b", "bi", (None, 7))),
        # framed as in a stream
        (b"\xc0" + MOVE + b"\xc0", GOLDEN[0][1]),
        (MOVE + b"\xc0", GOLDEN[0][1]),
        (
            b"\xc0/i\0\0,i\0\0\xdb\xdd\xdb\xdc\0\0\xc0",
            Message("/i", "i", (0xDBC00000 - 2**32,)),
        ),
        (b"\0\0\0\x2c" + MOVE, GOLDEN[0][1]),
    ],
)
def test_unusual_message_with_one_meaning_is_understood(
    packet: bytes, message: Message
) -> None:
    assert decode(packet) == ([message], [])


def test_frames_and_size_prefixes_of_several_packets_are_read_in_order() -> None:
    framed = b"".join(b"\xc0" + packet + b"\xc0" for packet in (MOVE, bundle(TURN), PANIC))
    sized = b"".join(struct.pack(">i", len(p)) + p for p in (MOVE, bundle(TURN), PANIC))
    for packet in (framed, sized):
        messages, dropped = decode(packet)
        assert [m.address for m in messages] == [
            "/robojam/ai/move", "/robojam/turn", "/robojam/panic"
        ]  # fmt: skip
        assert dropped == []


def test_valid_messages_of_a_bundle_are_read_beside_invalid_ones() -> None:
    unknown = b"/z\0\0,z\0\0\0\0\0\0"
    messages, dropped = decode(bundle(TURN, unknown, PANIC, b"junk") + b"\0\0")
    assert [m.address for m in messages] == ["/robojam/turn", "/robojam/panic"]
    assert [d.reason for d in dropped] == ["malformed", "unknown type", "text, not OSC"]


def test_packet_of_many_faults_is_dropped_from_there_on() -> None:
    messages, dropped = decode(bundle(*[b"\1"] * 5000, PANIC))
    assert messages == []
    assert dropped == [Dropped("malformed")] * (MAX_FAULTS + 1)


def test_bundle_nested_deeper_than_the_limit_is_dropped() -> None:
    assert decode(nested(MAX_DEPTH))[1] == []
    assert decode(nested(MAX_DEPTH + 1)) == ([], [Dropped("nested")])


def test_unusual_messages_of_a_packet_are_bounded() -> None:
    for packet in (bundle(*[b"/a"] * 5000), b"\xc0/a" * 5000, b"\0\0\0\2/a" * 5000):
        messages, dropped = decode(packet)
        assert messages == [Message("/a", "", ())] * MAX_UNUSUAL
        assert len(dropped) == MAX_FAULTS + 1


LONG = 60_000
HOSTILE = {
    "nested": nested(2000),
    "many tiny elements": bundle(*[b"x"] * (LONG // 5)),
    "many small messages": bundle(*[PANIC] * (LONG // 24)),
    "many bundles": bundle(*[bundle()] * (LONG // 20)),
    "many arguments": b"/a\0\0," + b"i" * (LONG // 5) + b"\0" * 4 + b"\0" * LONG,
    "many strings": b"/a\0\0," + b"s" * (LONG // 5) + b"\0" * 4 + b"\0" * LONG,
    "many constants": b"/a\0\0," + b"T" * LONG + b"\0" * 4,
    "zeros": b"/" + b"\0" * LONG,
    "no zeros": b"/" + b"a" * LONG,
    "SLIP frames": b"\xc0" + b"/a\xc0" * (LONG // 3),
    "SLIP escapes": b"\xc0" + b"\xdb\xdc" * (LONG // 2),
    "size prefixes": b"\0\0\0\1/" * (LONG // 5),
    "no type tags": b"/a\0\0" + b"\0\0\0\1" * (LONG // 4),
    "spaces": b" " * LONG,
    "long text": encode("/robojam/mode", "s", "a" * LONG),
}


@pytest.mark.parametrize("packet", HOSTILE.values(), ids=HOSTILE)
def test_hostile_packet_is_read_in_little_processor_time(packet: bytes) -> None:
    began = time.thread_time()  # other programs take none of it
    messages, _ = decode(packet)
    for message in messages:
        native.read(message, native.INPUTS)
    assert time.thread_time() - began < 0.5  # tens of milliseconds; a loop without end fails


REASONS = {
    *("malformed", "nested", "unknown type", "too many arguments"),
    *(f"{kind}, not OSC" for kind in ("FUDI", "JSON", "HTTP", "text")),
}


def read_all(packet: bytes) -> None:
    """Decode a packet and read its messages, each of which gives an input or a reason."""
    messages, dropped = decode(packet)
    assert len(messages) + len(dropped) <= max(1, 2 * len(packet))
    assert {part.reason for part in dropped} <= REASONS
    assert len(dropped) <= MAX_FAULTS + 1
    for part in dropped:
        assert part.about.isprintable()
    for message in messages:
        assert isinstance(native.read(message, native.INPUTS), native.Input)


@pytest.mark.parametrize("tag", ["T", "i"])
def test_as_many_arguments_as_are_allowed_are_read_and_no_more(tag: str) -> None:
    def message(count: int) -> bytes:
        tags = "," + tag * count
        values = b"" if tag == "T" else bytes(4 * count)
        return b"/x\0\0" + tags.encode() + bytes(4 - len(tags) % 4) + values

    (read,), dropped = decode(message(MAX_ARGUMENTS))
    assert (len(read.args), dropped) == (MAX_ARGUMENTS, [])
    read_beyond, dropped = decode(message(MAX_ARGUMENTS + 1))
    assert (read_beyond, [part.reason for part in dropped]) == ([], ["too many arguments"])


@pytest.mark.parametrize("size", [0, -4, -(2**31)])
def test_element_of_a_bundle_without_a_size_ends_the_bundle(size: int) -> None:
    head = b"#bundle\0" + bytes(8)
    sized = size.to_bytes(4, "big", signed=True)
    after = len(MOVE).to_bytes(4, "big") + MOVE
    messages, dropped = decode(head + after + sized + after)
    assert messages == decode(MOVE)[0]
    assert [(part.reason, part.about[:18]) for part in dropped] == [
        ("malformed", "a bundle cut short")
    ]


@given(st.binary(max_size=200))
@example(b"#bundle\0")
def test_any_bytes_give_inputs_or_reasons(packet: bytes) -> None:
    read_all(packet)
    read_all(b"#bundle\0" + bytes(8) + packet)
    read_all(b"/touch\0\0," + packet)
    read_all(b"/touch\0\0" + packet)
    read_all(b"touch\0," + packet)
    read_all(b"\xc0/touch\0" + packet + b"\xc0")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid packet with up to four faults."""
    valid = [*(packet for packet, _ in GOLDEN), bundle(MOVE, bundle(TURN, SEED), PANIC)]
    packet = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(packet)))
        fault: Any = draw(st.sampled_from(["set", "insert", "delete", "cut"]))
        if fault == "set" and at < len(packet):
            packet[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, *b",#/ifhdsbTN"]))
        elif fault == "insert":
            packet[at:at] = draw(st.binary(max_size=5))
        elif fault == "delete":
            del packet[at : at + draw(st.integers(1, 5))]
        elif fault == "cut":
            del packet[at:]
    return bytes(packet)


@given(mutated())
def test_mutated_packet_gives_inputs_or_reasons(packet: bytes) -> None:
    read_all(packet)


@pytest.mark.parametrize("packet", [packet for packet, _ in GOLDEN] + [bundle(MOVE, TURN)])
def test_truncated_packet_gives_no_message_of_partial_arguments(packet: bytes) -> None:
    complete, _ = decode(packet)
    for end in range(len(packet)):
        messages, dropped = decode(packet[:end])
        assert {part.reason for part in dropped} <= {"malformed", "text, not OSC"}
        assert len(messages) <= len(complete)
        for message in messages:  # none is made of part of a number
            assert message in complete or message.args == () or message.tags == "s"


def test_bundles_in_a_packet_are_counted_as_its_messages_are() -> None:
    many = bundle(*[bundle(*[bundle()] * 600)] * 5)
    assert decode(many) == ([], [Dropped("too many messages")])
