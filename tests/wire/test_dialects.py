"""MicroJam, IMPSY and TouchOSC: what they send and are sent; all dialects at one port."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire import dialects, impsy, microjam, native, osc
from robojam.wire.dialects import OscReader
from robojam.wire.native import Control, Dropped, Finger, Input, PhaselessTouch
from robojam.wire.osc import Message, decode, encode
from robojam.wire.touchosc import Pad, Pads

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
HOST = "10.0.0.2"
NAN = math.nan


def read(reader: OscReader, packet: bytes, now: float = 0.0, host: str = HOST) -> list[Input]:
    """Read a packet as it comes in, from a host that plays by its own name."""
    out = []
    for message in decode(packet)[0]:
        for source, what in reader.read(message, host, now):
            assert source == host
            out.append(what)
    return out


def ask(address: str, tags: str = "", *args: Any) -> list[Input]:
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


def test_microjam_as_bytes():
    assert microjam.encode_touch(touch(0.5, 0.25)) == [MICROJAM]
    assert microjam.encode_touch(touch(0.5, 0.25, UP)) == []
    assert read(OscReader(), MICROJAM) == [PhaselessTouch(0.5, 0.25)]


@pytest.mark.parametrize(
    ("tags", "args", "meant"),
    [
        ("sfsfsf", ("/x", 0.5, "/y", 0.25, "/z", 38.9), PhaselessTouch(0.5, 0.25)),
        ("sfsfsf", ("/z", 38.9, "/y", 0.25, "/x", 0.5), PhaselessTouch(0.5, 0.25)),
        ("sisisi", ("/x", 1, "/y", 0, "/z", 0), PhaselessTouch(1.0, 0.0)),
        ("sfsf", ("/x", 0.5, "/y", 0.25), PhaselessTouch(0.5, 0.25)),
        (
            "sfsfsf",
            ("/x", 1.5, "/y", 0.25, "/z", 1.0),
            PhaselessTouch(1.0, 0.25, None, clipped=True),
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
def test_touch_is_told_by_its_type_tags(tags: str, args: tuple[Any, ...], meant: Input):
    assert ask("/touch", tags, *args) == [meant]


def test_microjams_instrument_is_the_humans():
    assert ask("/inst", "s", "strings") == [Control("instrument", "human=strings")]
    assert ask("/inst", "i", 1) == [Dropped("wrong arguments")]


# -- IMPSY ---------------------------------------------------------------------------------


def test_impsy_as_bytes():
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
    ("address", "tags", "args", "meant"),
    [
        ("/interface", "ii", (1, 0), PhaselessTouch(1.0, 0.0)),
        ("/interface", "ff", (-1.0, 0.5), PhaselessTouch(0.0, 0.5, None, clipped=True)),
        ("/interface", "fff", (0.5, 0.5, 0.5), Dropped("wrong arguments")),
        ("/interface", "f", (0.5,), Dropped("wrong arguments")),
        ("/impsy/mode", "s", ("polyphony",), Control("mode", "polyphony")),
        # It scales the covariance: a hundredth of it is a tenth of the deviation.
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
def test_every_line_of_impsys_table(
    address: str, tags: str, args: tuple[Any, ...], meant: Input
) -> None:
    assert ask(address, tags, *args) == [meant]


# -- TouchOSC ------------------------------------------------------------------------------

XY = Pad("/1/xy")


def pad(*packets: bytes, pads: Pads | None = None) -> list[Input]:
    reader = OscReader(pads=pads or Pads([XY]))
    return [what for packet in packets for what in read(reader, packet)]


def z(on: float, address: str = "/1/xy") -> bytes:
    return encode(f"{address}/z", "f", on)


def at(x: float, y: float, address: str = "/1/xy") -> bytes:
    return encode(address, "ff", x, y)


def test_a_pad_as_bytes():
    pads = Pads([XY])
    assert pads.write(touch(0.5, 0.25)) == PAD_DOWN
    assert pads.write(touch(0.5, 0.25, MOVE)) == PAD_DOWN[1:]
    assert pads.write(touch(0.5, 0.25, UP)) == PAD_UP
    assert Pads().write(touch(0.5, 0.25)) == []
    assert pads.write(touch(0.5, 0.25, who="ai2")) == []  # it has one dot
    assert pad(*PAD_DOWN, *PAD_UP) == [Finger(DOWN, 2000, 0.5, 0.25), Finger(UP, 2000)]


def test_a_pad_that_does_not_tell_when_it_is_touched_is_a_player_without_phases():
    assert pad(at(0.5, 0.75), at(0.25, 0.75)) == [
        PhaselessTouch(0.5, 0.25),
        PhaselessTouch(0.25, 0.25),
    ]


def test_the_place_may_come_before_the_touch_or_after_it():
    after = [z(1), at(0.5, 0.75), at(0.75, 0.75), z(0)]
    before = [z(1), at(0.5, 0.75), z(0), at(0.5, 0.75), z(1), at(0.75, 0.75), z(0)]
    stroke = [Finger(DOWN, 2000, 0.5, 0.25), Finger(MOVE, 2000, 0.75, 0.25), Finger(UP, 2000)]
    assert pad(*after) == stroke
    assert pad(*before)[2:] == stroke


def test_a_tap_where_the_last_one_was_is_heard():
    came = pad(z(1), at(0.5, 0.75), z(0), z(1), z(0))
    tap = [Finger(DOWN, 2000, 0.5, 0.25), Finger(UP, 2000)]
    assert came == tap * 2
    assert pad(z(1), z(0), z(0)) == []  # where, nobody knows


@pytest.mark.parametrize(
    ("axes", "numbers"),
    [
        (("x", "y"), (0.125, 0.25)),
        (("x", "-y"), (0.125, 0.75)),
        (("y", "x"), (0.25, 0.125)),
        (("-y", "-x"), (0.75, 0.875)),
    ],
)
def test_axes_may_be_swapped_and_turned(axes, numbers):
    turned = Pad("/1/xy", axes)
    assert turned.place(*numbers) == (0.125, 0.25)
    assert turned.numbers(0.125, 0.25) == numbers
    assert pad(at(*numbers), pads=Pads([turned])) == [PhaselessTouch(0.125, 0.25)]


def test_a_multi_pad_has_fingers():
    pads = Pads([XY, Pad("/2/multi")])
    one, two = "/2/multi/1", "/2/multi/2"
    came = pad(
        *(z(1, one), at(0.5, 0.5, one), z(1, two), at(0.25, 0.5, two), z(0, one)), pads=pads
    )
    assert came == [
        Finger(DOWN, 2017, 0.5, 0.5),
        Finger(DOWN, 2018, 0.25, 0.5),
        Finger(UP, 2017),
    ]


def test_the_next_pad_that_is_touched_is_learnt_and_only_that():
    learnt: list[Pad] = []
    reader = OscReader(pads=Pads(on_learnt=learnt.append))
    assert read(reader, at(0.5, 0.5))[0].reason == "unknown address"  # type: ignore[union-attr]
    assert read(reader, encode(dialects.LEARN)) == []
    assert reader.status() == {"pads": [], "learning": True}
    for stranger in (
        encode("/1/fader", "f", 0.5),
        encode("/accxyz", "fff", 0.1, 0.2, 0.3),
        encode("/1/xy/z", "f", 1.0),
        encode("/ping"),
        encode("/1/knobs", "ff", 3.0, 0.5),
        encode("/1/words", "ss", "a", "b"),
    ):
        assert isinstance(read(reader, stranger)[0], Dropped)
    for other in (encode("/interface", "ff", 0.5, 0.5), encode("/touch", "ff", 0.5, 0.5)):
        assert isinstance(read(reader, other)[0], PhaselessTouch)
    assert learnt == []
    assert read(reader, at(0.5, 0.75)) == [PhaselessTouch(0.5, 0.25)]
    assert learnt == [XY]
    assert reader.status() == {"pads": ["/1/xy=x,-y"], "learning": False}
    what = read(reader, at(0.5, 0.5, "/2/xy"))[0]
    assert what == Dropped("unknown address")
    assert what.about == "'/2/xy' ff; if that is a pad: --touchosc /2/xy"
    read(reader, encode(dialects.LEARN))
    read(reader, at(0.5, 0.5, "/2/multi/3"))
    assert learnt == [XY, Pad("/2/multi")]


@pytest.mark.parametrize(
    "packet",
    [
        encode("/1/xy", "f", 0.5),
        encode("/1/xy", "ss", "a", "b"),
        encode("/1/xy", "ff", NAN, 0.5),
        encode("/1/xy/z", "s", "on"),
        encode("/1/xy/z", "f", NAN),
    ],
)
def test_what_is_no_touch_of_a_pad_is_dropped(packet):
    assert isinstance(pad(packet)[0], Dropped)


def test_a_pads_place_is_clipped_and_told():
    assert pad(at(2.0, 0.75)) == [PhaselessTouch(1.0, 0.25, None, clipped=True)]


def test_a_flood_of_fingers_is_bounded():
    reader = OscReader(pads=Pads([XY]))
    for i in range(2000):
        read(reader, z(1), host=f"10.0.{i // 250}.{i % 250}")
    assert len(reader.pads._fingers) <= 1024


# -- all at one port -----------------------------------------------------------------------


def test_the_native_dialect_is_read_as_before():
    assert ask("/robojam/down", "iff", 3, 0.5, 0.25) == [Finger(DOWN, 3, 0.5, 0.25)]
    assert ask("/robojam/status") == [native.StatusRequest()]
    assert ask("/robojam/ai/down", "ifff", 0, 0.5, 0.5, 0.1) == [Dropped("echo")]
    assert set(native.INPUTS) <= set(dialects.INPUTS)


def test_other_tuio_profiles_come_along_and_are_no_fault():
    assert ask("/tuio/2Dobj", "si", "fseq", 1) == []


@pytest.mark.parametrize("name", ["answer", "panic", "reset"])
def test_a_button_asks_as_it_is_pressed_and_for_nothing_as_it_is_let_go(name: str):
    address = f"/robojam/{name}"
    assert ask(address, "f", 1.0) == ask(address, "i", 1) == [Control(name, 1)]
    assert ask(address) == [Control(name, 1)]
    assert ask(address, "f", 0.0) == ask(address, "i", 0) == []
    assert ask(address, "f", NAN) == [Dropped("not finite")]
    assert ask(address, "s", "1") == [Dropped("wrong arguments")]
    assert ask(address, "ff", 1.0, 1.0) == [Dropped("wrong arguments")]


@pytest.mark.parametrize(
    ("address", "tags", "args", "reason"),
    [
        ("/robojam/down", "ff", (0.5, 0.5), "wrong arguments"),
        ("/robojam/pause", "i", (2,), "out of range"),
        ("/touch", "ff", (NAN, 0.5), "not finite"),
        ("/touches", "ff", (0.5, 0.5), "unknown address"),
    ],
)
def test_what_cannot_be_used_is_told_by_its_address(
    address: str, tags: str, args: tuple[Any, ...], reason: str
):
    (what,) = ask(address, tags, *args)
    assert isinstance(what, Dropped)
    assert what.reason == reason
    assert f"'{address}' {tags}" in what.about


def test_what_a_pad_sends_and_cannot_be_used_is_told_too():
    (what,) = read(OscReader(pads=Pads([XY])), encode("/1/xy", "fff", 0.5, 0.5, 0.5))
    assert isinstance(what, Dropped)
    assert (what.reason, what.about) == ("wrong arguments", "'/1/xy' fff")


def test_what_is_unknown_is_told_by_name():
    (what,) = ask("/" + "a" * 200, "f", 0.5)
    assert isinstance(what, Dropped)
    assert what.reason == "unknown address"
    assert len(what.about) < 200


def test_what_was_sent_and_comes_back_soon_is_an_echo_once():
    reader = OscReader()
    reader.remember_sent([MICROJAM], now=10.0)
    assert read(reader, MICROJAM, now=10.1) == [Dropped("echo")]
    assert read(reader, MICROJAM, now=10.2) == [PhaselessTouch(0.5, 0.25)]
    reader.remember_sent([MICROJAM], now=11.0)
    assert read(reader, MICROJAM, now=12.5) == [PhaselessTouch(0.5, 0.25)]


unit = st.floats(0, 1, width=32)


@given(unit, unit)
def test_round_trips(x, y):
    told = PhaselessTouch(x, y)
    assert read(OscReader(), microjam.encode_touch(touch(x, y))[0]) == [told]
    assert read(OscReader(), impsy.encode_interface(touch(x, y))[0]) == [told]
    assert read(OscReader(), impsy.encode_touch(touch(x, y))[0]) == [told]


AXES = [(s + a, t + b) for a, b in ("xy", "yx") for s in ("", "-") for t in ("", "-")]


@given(st.sampled_from(AXES), st.lists(st.tuples(unit, unit), min_size=1, max_size=9))
def test_a_stroke_on_a_pad_and_back(axes, places):
    pads = Pads([Pad("/p", axes)])
    phases = [DOWN, *[MOVE] * (len(places) - 1)]
    packets = [
        p
        for (x, y), ph in zip(places, phases, strict=True)
        for p in pads.write(touch(x, y, ph))
    ]
    came = pad(*packets, *pads.write(touch(*places[-1], UP)), pads=pads)
    assert [what.phase for what in came] == [*phases, UP]  # type: ignore[union-attr]
    for what, (x, y) in zip(came, places, strict=False):
        assert isinstance(what, Finger)
        assert (what.x, what.y) == pytest.approx((x, y), abs=1e-6)


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
    st.tuples(st.just("s"), st.sampled_from(["/x", "/y", "/z", "set", "alive", "fseq", "é"])),
    st.tuples(st.just("T"), st.just(True)),
    st.tuples(st.just("N"), st.none()),
    st.tuples(st.just("I"), st.just(math.inf)),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ADDRESSES) | st.text("/xyz019", max_size=8).map("/".__add__),
            st.lists(values, max_size=7),
        ),
        max_size=12,
    )
)
def test_whatever_comes_is_read_or_dropped(came):
    reader = OscReader(pads=Pads([XY], learning=True))
    for address, more in came:
        message = Message(address, "".join(t for t, _ in more), tuple(v for _, v in more))
        for source, what in reader.read(message, HOST, 0.0):
            assert isinstance(source, str)
            assert isinstance(what, Input)
            if isinstance(what, Finger | PhaselessTouch):
                assert 0 <= what.x <= 1
                assert 0 <= what.y <= 1


def test_an_address_of_60_kb_is_dropped_before_anyone_looks():
    packet = b"/" + b"a" * 60_000 + b"\0\0\0,f\0\0\0\0\0\0"
    assert decode(packet) == ([], ["malformed"])


def test_a_bundle_carries_the_instant_it_is_for():
    packet = osc.bundle([b"/a\0\0,\0\0\0", b"/b\0\0,\0\0\0"], at=1.5)
    assert packet == (
        b"#bundle\0"
        b"\x83\xaa\x7e\x81\x80\0\0\0"  # 2,208,988,801 s since 1900, and a half
        b"\0\0\0\x08/a\0\0,\0\0\0"
        b"\0\0\0\x08/b\0\0,\0\0\0"
    )
    assert [m.address for m in decode(packet)[0]] == ["/a", "/b"]
