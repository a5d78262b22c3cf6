"""Dialects of MicroJam, IMPSY and TouchOSC, in and out, and all dialects at one port."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from robojam.touch import Phase, Touch
from robojam.wire import dialects, impsy, microjam, native, osc
from robojam.wire.dialects import OscReader
from robojam.wire.native import Control, Dropped, Finger, Input, LearnPad, PhaselessTouch
from robojam.wire.osc import Message, decode, encode
from robojam.wire.touchosc import Pad, Pads

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
HOST = "10.0.0.2"
NAN = math.nan


def read(reader: OscReader, packet: bytes, now: float = 0.0, host: str = HOST) -> list[Input]:
    """Return the inputs of a packet from a host, each of which has the host as its source."""
    inputs = []
    for message in decode(packet)[0]:
        for source, input_ in reader.read(message, host, now):
            assert source == host
            inputs.append(input_)
    return inputs


def read_one(address: str, tags: str = "", *args: Any) -> list[Input]:
    return read(OscReader(), encode(address, tags, *args))


def touch(x: float, y: float, phase: Phase = DOWN, who: str = "ai") -> Touch:
    return Touch(x, y, 0.1, phase, 0, who)


# -- MicroJam ------------------------------------------------------------------------------

# fmt: off
MICROJAM = (
    b"/touch\0\0" b",sfsfsf\0"
    b"/x\0\0" b"\x3f\0\0\0"  # 0.5
    b"/y\0\0" b"\x3e\x80\0\0"  # 0.25
    b"/z\0\0" b"\x41\xa0\0\0"  # a fingertip, 20
)
IMPSY = b"/impsy\0\0" b",ff\0" b"\x3f\0\0\0" b"\x3e\x80\0\0"
PREDICTION = b"/prediction\0" b",ff\0" b"\x3f\0\0\0" b"\x3e\x80\0\0"
INTERFACE = b"/interface\0\0" b",ff\0" b"\x3f\0\0\0" b"\x3e\x80\0\0"
PAD_DOWN = [
    b"/1/xy/z\0" b",f\0\0" b"\x3f\x80\0\0",  # touched
    b"/1/xy\0\0\0" b",ff\0" b"\x3f\0\0\0" b"\x3f\x40\0\0",  # 0.5 across, 0.75 up
]
PAD_UP = [b"/1/xy/z\0" b",f\0\0" b"\0\0\0\0"]
# fmt: on


def test_microjam_touch_is_written_and_read_as_golden_bytes():
    assert microjam.encode_touch(touch(0.5, 0.25)) == [MICROJAM]
    assert microjam.encode_touch(touch(0.5, 0.25, UP)) == []
    assert read(OscReader(), MICROJAM) == [PhaselessTouch(0.5, 0.25)]


@pytest.mark.parametrize(
    ("tags", "args", "expected"),
    [
        (
            "sfsfsf",
            ("/x", 0.5, "/y", 0.25, "/z", 40.0),
            PhaselessTouch(0.5, 0.25, pressure=0.5),
        ),
        (
            "sfsfsf",
            ("/z", 40.0, "/y", 0.25, "/x", 0.5),
            PhaselessTouch(0.5, 0.25, pressure=0.5),
        ),
        (
            "sfsfsf",
            ("/x", 0.5, "/y", 0.25, "/z", 99.0),
            PhaselessTouch(0.5, 0.25, pressure=1.0),
        ),
        (
            "sfsfsf",
            ("/x", 0.5, "/y", 0.25, "/z", 0.75),
            PhaselessTouch(0.5, 0.25, pressure=0.75),
        ),
        ("sfsfsf", ("/x", 0.5, "/y", 0.25, "/z", -1.0), PhaselessTouch(0.5, 0.25)),
        ("sisisi", ("/x", 1, "/y", 0, "/z", 0), PhaselessTouch(1.0, 0.0)),
        ("sfsf", ("/x", 0.5, "/y", 0.25), PhaselessTouch(0.5, 0.25)),
        (
            "sfsfsf",
            ("/x", 1.5, "/y", 0.25, "/z", 1.0),
            PhaselessTouch(1.0, 0.25, None, clipped=True, pressure=1.0),
        ),
        ("sfsfsf", ("/x", NAN, "/y", 0.25, "/z", 1.0), Dropped("not finite")),
        ("sfsfsf", ("/x", 0.5, "/y", 0.25, "/z", NAN), Dropped("not finite")),
        ("sfsfsf", ("/x", 0.5, "/x", 0.25, "/z", 1.0), Dropped("wrong arguments")),
        ("sfsfsf", ("/x", 0.5, "/y", 0.25, "/w", 1.0), Dropped("wrong arguments")),
        ("sfs", ("/x", 0.5, "/y"), Dropped("wrong arguments")),
        ("s", ("/x",), Dropped("wrong arguments")),
        ("ff", (0.5, 0.25), PhaselessTouch(0.5, 0.25)),  # with numbers it is native
        ("fff", (0.5, 0.25, 0.125), PhaselessTouch(0.5, 0.25, 0.125)),
    ],
)
def test_microjam_and_native_touch_are_distinguished_by_type_tags(
    tags: str, args: tuple[Any, ...], expected: Input
):
    assert read_one("/touch", tags, *args) == [expected]


@pytest.mark.parametrize(
    ("address", "tags", "args", "expected"),
    [
        (
            "/robojam/down",
            "ifff",
            (3, 0.5, 0.25, 0.75),
            Finger(DOWN, 3, 0.5, 0.25, pressure=0.75),
        ),
        ("/robojam/move", "iffi", (3, 0.5, 0.25, 1), Finger(MOVE, 3, 0.5, 0.25, pressure=1.0)),
        (
            "/robojam/move",
            "ifff",
            (3, 0.5, 0.25, 7.0),
            Finger(MOVE, 3, 0.5, 0.25, pressure=1.0),
        ),
        (
            "/robojam/move",
            "ifff",
            (3, 0.5, 0.25, -1.0),
            Finger(MOVE, 3, 0.5, 0.25, pressure=0.0),
        ),
        ("/robojam/down", "ifff", (3, 0.5, 0.25, NAN), Dropped("not finite")),
        ("/robojam/down", "iffs", (3, 0.5, 0.25, "hard"), Dropped("wrong arguments")),
        ("/robojam/down", "iffff", (3, 0.5, 0.25, 0.5, 0.5), Dropped("wrong arguments")),
    ],
)
def test_pressure_is_a_fourth_number_of_a_touch(address, tags, args, expected):
    assert read_one(address, tags, *args) == [expected]


def test_microjam_touch_is_sent_with_its_pressure():
    pressed = replace(touch(0.5, 0.25), pressure=0.5)
    (packet,) = microjam.encode_touch(pressed)
    assert read(OscReader(), packet) == [PhaselessTouch(0.5, 0.25, pressure=0.5)]


@pytest.mark.parametrize(
    ("level", "pressure"), [(1.0, None), (0.5, 0.5), (0.25, 0.25), (2.0, None)]
)
def test_pad_of_touchosc_that_sends_more_than_on_and_off_has_pressure(level, pressure):
    pads = Pads([Pad("/1/xy")])
    packets = [encode("/1/xy/z", "f", level), encode("/1/xy", "ff", 0.5, 0.5)]
    reader = OscReader(pads=pads)
    inputs = [
        each for i, packet in enumerate(packets) for each in read(reader, packet, i * 0.01)
    ]
    (finger,) = [each for each in inputs if isinstance(each, Finger)]
    assert finger.pressure == pressure


def test_microjam_instrument_is_the_sender_s_own():
    assert read_one("/inst", "s", "strings") == [Control("instrument", "strings")]
    assert read_one("/inst", "i", 1) == [Dropped("wrong arguments")]


# -- IMPSY ---------------------------------------------------------------------------------


def test_impsy_touch_is_written_and_read_as_golden_bytes():
    assert impsy.encode_touch(touch(0.5, 0.25)) == [IMPSY, PREDICTION]
    assert impsy.encode_interface(touch(0.5, 0.25, MOVE)) == [INTERFACE]
    assert (
        impsy.encode_touch(touch(0.5, 0.25, UP))
        == impsy.encode_interface(touch(0.5, 0.25, UP))
        == []
    )
    assert (
        read(OscReader(), INTERFACE) == read(OscReader(), IMPSY) == [PhaselessTouch(0.5, 0.25)]
    )


@pytest.mark.parametrize(
    ("address", "tags", "args", "expected"),
    [
        ("/interface", "ii", (1, 0), PhaselessTouch(1.0, 0.0)),
        ("/interface", "ff", (-1.0, 0.5), PhaselessTouch(0.0, 0.5, None, clipped=True)),
        (
            "/interface",
            "fff",
            (0.5, 0.25, 2.0),
            PhaselessTouch(0.5, 0.25, clipped=True, knobs=(0.5, 0.25, 1.0)),
        ),
        ("/interface", "f", (0.75,), PhaselessTouch(0.75, 0.5, knobs=(0.75,))),
        ("/interface", "", (), Dropped("wrong arguments")),
        ("/interface", "f" * 17, (0.5,) * 17, Dropped("wrong arguments")),
        ("/interface", "ffs", (0.5, 0.5, "a"), Dropped("wrong arguments")),
        ("/impsy/mode", "s", ("polyphony",), Control("mode", "polyphony")),
        # sigmatemp scales the covariance: a hundredth of it is a tenth of the deviation.
        ("/impsy/sigmatemp", "d", (0.01,), Control("spread", 0.1)),
        ("/impsy/sigmatemp", "i", (4,), Control("spread", 2.0)),
        ("/impsy/sigmatemp", "i", (-1,), Dropped("out of range")),
        ("/impsy/sigmatemp", "f", (NAN,), Dropped("not finite")),
        ("/impsy/pitemp", "f", (0.5,), Control("temperature", 0.5)),
        ("/impsy/timescale", "f", (2.0,), Control("timescale", 2.0)),
        ("/impsy/reset", "", (), Control("reset", 1)),
        ("/impsy/reset", "i", (1,), Control("reset", 1)),
        ("/impsy/pause", "i", (1,), Control("pause", 1)),
        ("/impsy/pause", "f", (1.0,), Control("pause", 1)),
        ("/impsy/pause", "i", (0,), Control("pause", 0)),
        ("/impsy/pause", "f", (math.inf,), Dropped("not finite")),
        ("/impsy/mode", "i", (1,), Dropped("wrong arguments")),
    ],
)
def test_impsy_message_gives_its_input_or_the_reason_for_its_drop(
    address: str, tags: str, args: tuple[Any, ...], expected: Input
) -> None:
    assert read_one(address, tags, *args) == [expected]


# -- TouchOSC ------------------------------------------------------------------------------

XY = Pad("/1/xy")


def read_pad(*packets: bytes, pads: Pads | None = None) -> list[Input]:
    reader = OscReader(pads=pads or Pads([XY]))
    return [input_ for packet in packets for input_ in read(reader, packet)]


def pad_touch(on: float, address: str = "/1/xy") -> bytes:
    return encode(f"{address}/z", "f", on)


def pad_place(x: float, y: float, address: str = "/1/xy") -> bytes:
    return encode(address, "ff", x, y)


def test_touchosc_pad_is_written_and_read_as_golden_bytes():
    pads = Pads([XY])
    assert pads.write(touch(0.5, 0.25)) == PAD_DOWN
    assert pads.write(touch(0.5, 0.25, MOVE)) == PAD_DOWN[1:]
    assert pads.write(touch(0.5, 0.25, UP)) == PAD_UP
    assert Pads().write(touch(0.5, 0.25)) == []
    assert pads.write(touch(0.5, 0.25, who="ai2")) == []  # it has one dot
    assert read_pad(*PAD_DOWN, *PAD_UP) == [Finger(DOWN, 2000, 0.5, 0.25), Finger(UP, 2000)]


def test_touchosc_pad_without_z_is_a_player_without_phases():
    assert read_pad(pad_place(0.5, 0.75), pad_place(0.25, 0.75)) == [
        PhaselessTouch(0.5, 0.25, id=2000),
        PhaselessTouch(0.25, 0.25, id=2000),
    ]


def test_touchosc_pads_without_z_keep_their_fingers_apart():
    pads = Pads([XY, Pad("/1/multixy1")])
    packets = [
        pad_place(0.5, 0.75, f"/1/{name}") for name in ("xy", "multixy1/1", "multixy1/2")
    ]
    assert read_pad(*packets, pads=pads) == [
        PhaselessTouch(0.5, 0.25, id=finger) for finger in (2000, 2017, 2018)
    ]


def test_touchosc_place_before_or_after_z_gives_the_same_stroke():
    after = [pad_touch(1), pad_place(0.5, 0.75), pad_place(0.75, 0.75), pad_touch(0)]
    before = [
        pad_touch(1),
        pad_place(0.5, 0.75),
        pad_touch(0),
        pad_place(0.5, 0.75),
        pad_touch(1),
        pad_place(0.75, 0.75),
        pad_touch(0),
    ]
    stroke = [Finger(DOWN, 2000, 0.5, 0.25), Finger(MOVE, 2000, 0.75, 0.25), Finger(UP, 2000)]
    assert read_pad(*after) == stroke
    assert read_pad(*before)[2:] == stroke


def test_touchosc_tap_without_a_place_is_at_the_last_place():
    inputs = read_pad(
        pad_touch(1), pad_place(0.5, 0.75), pad_touch(0), pad_touch(1), pad_touch(0)
    )
    tap = [Finger(DOWN, 2000, 0.5, 0.25), Finger(UP, 2000)]
    assert inputs == tap * 2
    assert read_pad(pad_touch(1), pad_touch(0), pad_touch(0)) == []  # no place has come yet


@pytest.mark.parametrize(
    ("axes", "numbers"),
    [
        (("x", "y"), (0.125, 0.25)),
        (("x", "-y"), (0.125, 0.75)),
        (("y", "x"), (0.25, 0.125)),
        (("-y", "-x"), (0.75, 0.875)),
    ],
)
def test_touchosc_pad_with_swapped_or_reversed_axes_gives_the_same_place(axes, numbers):
    pad_of_axes = Pad("/1/xy", axes)
    assert pad_of_axes.place(*numbers) == (0.125, 0.25)
    assert pad_of_axes.numbers(0.125, 0.25) == numbers
    assert read_pad(pad_place(*numbers), pads=Pads([pad_of_axes])) == [
        PhaselessTouch(0.125, 0.25, id=2000)
    ]


def test_touchosc_multi_pad_keeps_its_fingers_apart():
    pads = Pads([XY, Pad("/2/multi")])
    first, second = "/2/multi/1", "/2/multi/2"
    packets = [
        *(pad_touch(1, first), pad_place(0.5, 0.5, first)),
        *(pad_touch(1, second), pad_place(0.25, 0.5, second)),
        pad_touch(0, first),
    ]
    assert read_pad(*packets, pads=pads) == [
        Finger(DOWN, 2017, 0.5, 0.5),
        Finger(DOWN, 2018, 0.25, 0.5),
        Finger(UP, 2017),
    ]


def test_touchosc_learning_takes_the_next_touched_pad_and_no_other_message():
    learnt: list[Pad] = []
    reader = OscReader(pads=Pads(on_learnt=learnt.append))
    assert read(reader, pad_place(0.5, 0.5))[0].reason == "unknown address"  # type: ignore[union-attr]
    assert read(reader, encode(dialects.LEARN)) == [LearnPad()]
    assert reader.status() == {"pads": [], "learning": False}  # its sender may not do that
    reader.learn_pad()
    assert reader.status() == {"pads": [], "learning": True}
    for message in (
        encode("/1/fader", "f", 0.5),
        encode("/sliders", "fff", 0.1, 0.2, 0.3),
        encode("/1/knobs", "ff", 3.0, 0.5),
        encode("/1/words", "ss", "a", "b"),
    ):
        assert isinstance(read(reader, message)[0], Dropped)
    for message in (encode("/interface", "ff", 0.5, 0.5), encode("/touch", "ff", 0.5, 0.5)):
        assert isinstance(read(reader, message)[0], PhaselessTouch)
    assert learnt == []
    for message in (encode("/accxyz", "fff", 0.1, 0.2, 0.3), encode("/ping")):
        assert read(reader, message) == []
    assert read(reader, pad_place(0.5, 0.75)) == [PhaselessTouch(0.5, 0.25, id=2000)]
    assert learnt == [XY]
    assert reader.status() == {"pads": ["/1/xy=x,-y"], "learning": False}
    (dropped,) = read(reader, pad_place(0.5, 0.5, "/2/xy"))
    assert dropped == Dropped("unknown address")
    assert dropped.about == "'/2/xy' ff; if that is a pad: --touchosc /2/xy"
    reader.learn_pad()
    read(reader, pad_place(0.5, 0.5, "/2/multi/3"))
    assert learnt == [XY, Pad("/2/multi")]


@pytest.mark.parametrize(
    "packet",
    [
        encode("/1/xy", "f", 0.5),
        encode("/1/xy", "ss", "a", "b"),
        encode("/1/xy", "ff", NAN, 0.5),
        encode("/1/xy/z", "s", "loud"),
        encode("/1/xy/z", "f", NAN),
    ],
)
def test_touchosc_message_with_wrong_arguments_is_dropped(packet):
    assert isinstance(read_pad(packet)[0], Dropped)


def test_touchosc_place_out_of_range_is_clipped_and_marked():
    assert read_pad(pad_place(2.0, 0.75)) == [
        PhaselessTouch(1.0, 0.25, None, clipped=True, id=2000)
    ]


def test_touchosc_fingers_of_many_hosts_are_bounded():
    reader = OscReader(pads=Pads([XY]))
    for i in range(2000):
        read(reader, pad_touch(1), host=f"10.0.{i // 250}.{i % 250}")
    assert len(reader.pads._fingers) <= 1024


# -- all at one port -----------------------------------------------------------------------


def test_native_messages_are_read_among_all_dialects():
    assert read_one("/robojam/down", "iff", 3, 0.5, 0.25) == [Finger(DOWN, 3, 0.5, 0.25)]
    assert read_one("/robojam/status") == [native.StatusRequest()]
    (echo,) = read_one("/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.1)
    assert isinstance(echo, Dropped)
    assert (echo.reason, "--osc-out HOST:PORT/tuio" in echo.about) == ("echo", True)
    assert set(native.INPUTS) <= set(dialects.INPUTS)


def test_empty_frames_of_tuio_s_other_profiles_give_no_input():
    assert read_one("/tuio/2Dobj", "si", "fseq", 1) == []


@pytest.mark.parametrize("name", ["answer", "panic", "reset"])
def test_button_press_is_a_control_and_its_release_is_ignored(name: str):
    address = f"/robojam/{name}"
    assert read_one(address, "f", 1.0) == read_one(address, "i", 1) == [Control(name, 1)]
    assert read_one(address) == [Control(name, 1)]
    assert read_one(address, "f", 0.0) == read_one(address, "i", 0) == []
    assert read_one(address, "f", NAN) == [Dropped("not finite")]
    assert read_one(address, "ff", 1.0, 1.0) == [Dropped("wrong arguments")]


@pytest.mark.parametrize(
    ("address", "tags", "args", "reason", "right"),
    [
        ("/robojam/down", "ff", (0.5, 0.5), "wrong arguments", "it takes id x y"),
        ("/robojam/pause", "i", (2,), "out of range", "it takes 0 or 1"),
        ("/robojam/mode", "i", (2,), "wrong arguments", "it takes one of call-response, duet"),
        ("/touch", "ff", (NAN, 0.5), "not finite", "it takes x y or x y dt or /x x /y y /z z"),
        ("/touches", "ff", (0.5, 0.5), "unknown address", "a pad: --touchosc /touches"),
        ("/1/xy", "ff", (-20.0, 100.0), "unknown address", "a pad: --touchosc /1/xy"),
        ("/1/xy/z", "f", (1.0,), "unknown address", "a pad: --touchosc /1/xy"),
        ("/a;b/z", "f", (1.0,), "unknown address", "a pad: --touchosc '/a;b'"),
        ("/x", "f", (0.5,), "unknown address", "a touch is /touch x y in one message"),
        ("/touch 0.5 0.5", "", (), "unknown address", "send it as arguments"),
        ("/multi", "ffff", (0.5,) * 4, "unknown address", "a touch is /touch x y"),
        ("/panic", "", (), "unknown address", "did you mean /robojam/panic?"),
        ("/Touch/", "ff", (0.5, 0.5), "unknown address", "did you mean /touch?"),
        ("/ROBOJAM/mode", "s", ("duet",), "unknown address", "did you mean /robojam/mode?"),
    ],
)
def test_dropped_message_is_described_by_address_type_tags_and_what_would_be_right(
    address: str, tags: str, args: tuple[Any, ...], reason: str, right: str
):
    (dropped,) = read_one(address, tags, *args)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == reason
    assert dropped.about.startswith(f"'{address}' {tags}".rstrip())
    assert right in dropped.about
    assert dropped.key == address.removesuffix("/z")


def test_dropped_message_of_a_pad_is_described_by_address_and_type_tags():
    (dropped,) = read(OscReader(pads=Pads([XY])), encode("/1/xy", "f", 0.5))
    assert isinstance(dropped, Dropped)
    takes = "two numbers, and a third that is 1 when it is touched, 0 when released"
    assert (dropped.reason, dropped.about) == (
        "wrong arguments",
        f"'/1/xy' f; a pad takes {takes}",
    )


@pytest.mark.parametrize("address", ["/\x1b[2J", "/a\nb", "/\u202eb", "/1/x y"])
def test_address_that_no_pad_has_is_escaped_and_no_option_is_advised(address: str):
    (dropped,) = read_one(address, "ff", 0.5, 0.5)
    assert isinstance(dropped, Dropped)
    assert dropped.about.isprintable()
    assert "--touchosc" not in dropped.about


@pytest.mark.parametrize(
    ("address", "tags", "args"),
    [
        ("/accxyz", "fff", (0.1, 0.2, 0.3)),
        ("/ZIGSIM/phone/accel", "fff", (0.1, 0.2, 0.3)),
        ("/ping", "", ()),
        ("/battery", "f", (0.5,)),
        ("/1", "", ()),  # another page was opened
        ("/gyrosc/gyro", "fff", (0.1, 0.2, 0.3)),
    ],
)
def test_what_phones_send_besides_is_ignored_and_not_counted(
    address: str, tags: str, args: tuple[Any, ...]
):
    assert read_one(address, tags, *args) == []
    pads = Pads([Pad(address)])
    assert read_pad(encode(address, "ff", 0.5, 0.75), pads=pads) == [
        PhaselessTouch(0.5, 0.25, id=2000)  # unless it is a pad
    ]


def test_learning_begins_with_a_button_that_is_pressed():
    for tags, args, asked in (("", (), True), ("f", (1.0,), True), ("f", (0.0,), False)):
        assert read_one(dialects.LEARN, tags, *args) == ([LearnPad()] if asked else [])
    assert isinstance(read_one(dialects.LEARN, "ff", 1.0, 1.0)[0], Dropped)


def test_dropped_message_with_a_long_address_is_described_briefly():
    (dropped,) = read_one("/" + "a" * 200, "f", 0.5)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "unknown address"
    assert len(dropped.about) < 200


def test_sent_message_received_within_a_second_is_an_echo_once():
    reader = OscReader()
    reader.echo.sent_touch(touch(0.5, 0.25), 10.0)
    assert read(reader, MICROJAM, now=10.1) == [Dropped("echo")]
    assert read(reader, MICROJAM, now=10.2) == [PhaselessTouch(0.5, 0.25)]
    reader.echo.sent_touch(touch(0.5, 0.25), 11.0)
    assert read(reader, MICROJAM, now=12.5) == [PhaselessTouch(0.5, 0.25)]


def test_native_touch_that_a_program_sends_back_as_its_own_is_an_echo():
    reader = OscReader()
    reader.echo.sent_touch(touch(0.3, 0.7), 10.0)
    assert read(reader, encode("/robojam/down", "iff", 0, 0.3, 0.7), 10.1) == [Dropped("echo")]
    reader.echo.sent_touch(touch(0.5, 0.5), 11.2)  # a place that a person may well touch
    human = encode("/robojam/down", "iff", 0, 0.5, 0.5)
    assert read(reader, human, 11.5) == [Finger(DOWN, 0, 0.5, 0.5)]


unit = st.floats(0, 1, width=32)


@given(unit, unit)
def test_touch_written_in_a_phaseless_dialect_is_read_back(x, y):
    expected = [PhaselessTouch(x, y)]
    assert read(OscReader(), microjam.encode_touch(touch(x, y))[0]) == expected
    assert read(OscReader(), impsy.encode_interface(touch(x, y))[0]) == expected
    assert read(OscReader(), impsy.encode_touch(touch(x, y))[0]) == expected


AXES = [(s + a, t + b) for a, b in ("xy", "yx") for s in ("", "-") for t in ("", "-")]


@given(st.sampled_from(AXES), st.lists(st.tuples(unit, unit), min_size=1, max_size=9))
def test_stroke_written_for_a_pad_is_read_back(axes, places):
    pads = Pads([Pad("/p", axes)])
    phases = [DOWN, *[MOVE] * (len(places) - 1)]
    packets = [
        packet
        for (x, y), phase in zip(places, phases, strict=True)
        for packet in pads.write(touch(x, y, phase))
    ]
    fingers = read_pad(*packets, *pads.write(touch(*places[-1], UP)), pads=pads)
    assert [finger.phase for finger in fingers] == [*phases, UP]  # type: ignore[union-attr]
    for finger, (x, y) in zip(fingers[:-1], places, strict=True):
        assert isinstance(finger, Finger)
        assert (finger.x, finger.y) == pytest.approx((x, y), abs=1e-6)


ADDRESSES = [
    *dialects.INPUTS,
    "/1/xy",
    "/1/xy/z",
    "/1/xy/3",
    "/1/xy/3/z",
    "/tuio/2Dcur",
    "/robojam/learn",
]
values = st.one_of(
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.sampled_from("fd"), st.floats()),
    st.tuples(
        st.just("s"),
        st.sampled_from(["/x", "/y", "/z", "set", "alive", "fseq", "é", "0.5", "1"]),
    ),
    st.tuples(st.sampled_from("TI"), st.just(True)),
    st.tuples(st.just("F"), st.just(False)),
    st.tuples(st.sampled_from("Nbrmt"), st.none()),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ADDRESSES) | st.text("/xyz019", max_size=8).map("/".__add__),
            st.lists(values, max_size=7),
            st.sampled_from([0.0, 0.01, 0.5]),
        ),
        max_size=12,
    )
)
def test_any_messages_give_inputs_in_range_or_drops(sent):
    reader = OscReader(pads=Pads([XY], learning=True))
    now = 0.0
    for address, typed, silence in sent:
        now += silence
        tags, values = "".join(tag for tag, _ in typed), tuple(value for _, value in typed)
        for source, input_ in reader.read(Message(address, tags, values), HOST, now):
            assert isinstance(source, str)
            assert isinstance(input_, Input)
            if isinstance(input_, Finger | PhaselessTouch):
                assert 0 <= input_.x <= 1
                assert 0 <= input_.y <= 1


def test_address_of_60_kb_is_dropped():
    packet = b"/" + b"a" * 60_000 + b"\0\0\0,f\0\0\0\0\0\0"
    assert decode(packet) == ([], [Dropped("text, not OSC")])


def test_bundle_carries_its_instant_as_a_timetag():
    packet = osc.bundle([b"/a\0\0,\0\0\0", b"/b\0\0,\0\0\0"], at=1.5)
    assert packet == (
        b"#bundle\0"
        b"\x83\xaa\x7e\x81\x80\0\0\0"  # 2,208,988,801 s since 1900, and a half
        b"\0\0\0\x08/a\0\0,\0\0\0"
        b"\0\0\0\x08/b\0\0,\0\0\0"
    )
    assert [m.address for m in decode(packet)[0]] == ["/a", "/b"]
