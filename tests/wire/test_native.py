"""Native dialect of OSC: every message of the contract, in and out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire import native
from robojam.wire.native import (
    Control,
    Dropped,
    Finger,
    PhaselessTouch,
    StatusRequest,
    Subscribe,
)
from robojam.wire.osc import Message, decode, encode

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
NAN, INF = math.nan, math.inf


def read(address: str, tags: str = "", *args: Any) -> native.Input:
    """Return the input of a message that has been encoded and decoded."""
    (message,), dropped = decode(encode(address, tags, *args))
    assert dropped == []
    return native.read(message, native.INPUTS)


# -- in ------------------------------------------------------------------------------------

IN = [
    ("/robojam/down", "iff", (3, 0.5, 0.25), Finger(DOWN, 3, 0.5, 0.25)),
    ("/robojam/move", "iff", (3, 0.5, 0.25), Finger(MOVE, 3, 0.5, 0.25)),
    ("/robojam/up", "i", (3,), Finger(UP, 3)),
    ("/touch", "ff", (0.5, 0.25), PhaselessTouch(0.5, 0.25)),
    ("/touch", "fff", (0.5, 0.25, 0.125), PhaselessTouch(0.5, 0.25, 0.125)),
    ("/robojam/answer", "", (), Control("answer", 1)),
    ("/robojam/mode", "s", ("duet",), Control("mode", "duet")),
    ("/robojam/temperature", "f", (0.5,), Control("temperature", 0.5)),
    ("/robojam/spread", "f", (0.5,), Control("spread", 0.5)),
    ("/robojam/timescale", "f", (0.5,), Control("timescale", 0.5)),
    ("/robojam/threshold", "f", (0.5,), Control("threshold", 0.5)),
    ("/robojam/response", "f", (0.5,), Control("response", 0.5)),
    ("/robojam/pause", "i", (1,), Control("pause", 1)),
    ("/robojam/reset", "", (), Control("reset", 1)),
    ("/robojam/panic", "", (), Control("panic", 1)),
    ("/robojam/record", "i", (0,), Control("record", 0)),
    ("/robojam/seed", "i", (7,), Control("seed", 7)),
    ("/robojam/seed", "h", (2**63 - 1,), Control("seed", 2**63 - 1)),
    ("/robojam/model", "s", ("touch.safetensors",), Control("model", "touch.safetensors")),
    ("/robojam/back", "f", (10.0,), Control("back", 10.0)),
    ("/robojam/store", "s", ("A",), Control("store", "A")),
    ("/robojam/recall", "s", ("B",), Control("recall", "B")),
    ("/robojam/subscribe", "i", (5007,), Subscribe(5007, on=True)),
    ("/robojam/unsubscribe", "i", (5007,), Subscribe(5007, on=False)),
    ("/robojam/subscribe", "is", (5007, "abc"), Subscribe(5007, on=True, cookie="abc")),
    ("/robojam/unsubscribe", "is", (5007, "abc"), Subscribe(5007, on=False, cookie="abc")),
    ("/robojam/status", "", (), StatusRequest()),
]


@pytest.mark.parametrize(("address", "tags", "args", "expected"), IN)
def test_message_of_the_table_gives_its_input(
    address: str, tags: str, args: tuple[Any, ...], expected: native.Input
) -> None:
    assert read(address, tags, *args) == expected


def test_status_is_requested_with_a_cookie_or_without() -> None:
    assert read("/robojam/status", "s", "abc") == StatusRequest("abc")
    assert read("/robojam/status", "i", 1) == StatusRequest()


@pytest.mark.parametrize(("address", "tags", "args", "expected"), IN)
def test_number_of_any_type_is_accepted_also_as_text_and_without_value_are_dropped(
    address: str, tags: str, args: tuple[Any, ...], expected: native.Input
) -> None:
    if not args or "s" in tags:
        return
    assert read(address, "s" * len(args), *map(str, args)) == expected
    for tag in "brmt":
        message = Message(address, tag + tags[1:], (None, *args[1:]))
        assert native.read(message, native.INPUTS) == Dropped("wrong arguments")
    for text in ("", "x", "nan", "inf", "1_0", "0x1", "0,5", "1" * 50, "½"):
        assert read(address, "s" + tags[1:], text, *args[1:]) == Dropped("wrong arguments")
    for kind in "fd":
        if all(float(a) < 2**24 for a in args):
            assert read(address, kind * len(args), *map(float, args)) == expected


def constants(address: str, tags: str) -> native.Input:
    """Return the input of a message with arguments that have no bytes."""
    packet = encode(address) + b"\0"
    head = packet[: packet.index(b",")]
    (message,), dropped = decode(head + f",{tags}".encode() + b"\0" * (4 - (len(tags) + 1) % 4))
    assert dropped == []
    return native.read(message, native.INPUTS)


def test_true_and_impulse_are_one_and_false_and_nil_are_zero_where_a_number_stands() -> None:
    for tag, value in {"T": 1, "I": 1, "F": 0, "N": 0}.items():
        assert constants("/robojam/pause", tag) == Control("pause", value)
        assert constants("/robojam/record", tag) == Control("record", value)
        assert constants("/robojam/response", tag) == Control("response", float(value))
        assert constants("/touch", f"{tag}T") == PhaselessTouch(float(value), 1.0)
        assert constants("/robojam/up", tag) == Finger(UP, value)
        assert constants("/robojam/mode", tag) == Dropped("wrong arguments")
    assert constants("/robojam/audition", "F") == native.PreviewTouch(on=False)


def test_numbers_as_text_beside_names_are_read() -> None:
    packet = encode("/robojam/audition/up", "sss", "ai2", "3", "0.25")
    expected = native.PreviewTouch(UP, "ai2", 3, wait=0.25)
    assert native.read(decode(packet)[0][0], native.INPUTS) == expected


@pytest.mark.parametrize(
    ("who", "wait"), [("stranger", 0.5), ("ai0", 0.0), ("ai", -0.1), ("ai", 1.1), ("", 5.0)]
)
def test_preview_of_nobody_or_of_another_time_is_refused(who: str, wait: float) -> None:
    (message,), _ = decode(encode("/robojam/audition/down", "siffd", who, 0, 0.5, 0.5, wait))
    assert native.read(message, native.INPUTS) == Dropped("out of range")


@pytest.mark.parametrize("value", [None, "1", b"1"])
def test_what_is_no_number_is_a_wrong_argument(value: object) -> None:
    with pytest.raises(native.ArgumentError, match="wrong arguments"):
        native.parse_number(value)


TRIGGERS = {f"/robojam/{name}": Control(name, 1) for name in ("answer", "reset", "panic")} | {
    "/robojam/status": StatusRequest()
}


@pytest.mark.parametrize(("address", "pressed"), TRIGGERS.items())
def test_trigger_with_one_argument_is_a_button_that_is_pressed_unless_it_is_0(
    address: str, pressed: native.Input
) -> None:
    assert read(address) == pressed
    for tag, value in (("f", 1.0), ("i", 127), ("d", 0.001), ("h", -1)):
        assert read(address, tag, value) == pressed
    for tag in "TIN":
        assert constants(address, tag) == pressed
    for tag in "brmt":
        assert native.read(Message(address, tag, (None,)), native.INPUTS) == pressed
    assert constants(address, "F") is native.NOTHING
    for tag, zero in (("f", 0.0), ("i", 0), ("d", -0.0), ("h", 0)):
        assert read(address, tag, zero) is native.NOTHING
    assert read(address, "f", NAN) == Dropped("not finite")
    assert read(address, "ff", 1.0, 1.0) == Dropped("wrong arguments")
    if address != "/robojam/status":  # there text is an engine's answer
        assert read(address, "s", "go") == read(address, "s", "1") == pressed
        for zero_text in ("0", "0.0", "false", "Off"):
            assert read(address, "s", zero_text) is native.NOTHING


def test_words_are_numbers_and_quotes_around_a_text_are_not_part_of_it() -> None:
    for word, value in {"true": 1, "False": 0, "on": 1, "OFF": 0}.items():
        assert read("/robojam/pause", "s", word) == Control("pause", value)
    assert read("/robojam/mode", "s", '"duet"') == Control("mode", "duet")


def test_every_address_says_what_it_takes() -> None:
    takes = {address: native.takes(address, native.INPUTS) for address in native.INPUTS}
    assert all(takes.values())
    assert takes["/robojam/down"] == "id x y or id x y pressure"
    assert takes["/touch"] == "x y or x y dt"
    assert takes["/robojam/pause"] == "0 or 1"
    assert "duet" in takes["/robojam/mode"]
    assert native.takes("/nothing", native.INPUTS) == ""


@pytest.mark.parametrize("kind", "ihfd")
def test_zero_of_any_number_type_is_a_coordinate_an_id_or_a_control(kind: str) -> None:
    zero: Any = 0 if kind in "ih" else 0.0
    assert read("/touch", "f" + kind, 0.5, zero) == PhaselessTouch(0.5, 0.0)
    assert read("/robojam/down", kind + kind + "f", zero, zero, 0.5) == Finger(DOWN, 0, 0, 0.5)
    assert read("/robojam/response", kind, zero) == Control("response", 0.0)


def test_id_is_read_as_an_int_and_coordinates_as_floats() -> None:
    finger = read("/robojam/down", "dii", 3.0, 0, 1)
    assert isinstance(finger, Finger)
    assert [type(v) for v in (finger.id, finger.x, finger.y)] == [int, float, float]
    control = read("/robojam/threshold", "i", 1)
    assert isinstance(control, Control)
    assert isinstance(control.value, float)


@pytest.mark.parametrize(("address", "tags", "args", "_"), IN)
def test_message_with_a_wrong_number_of_arguments_is_dropped(
    address: str, tags: str, args: Any, _: object
) -> None:
    extra = read(address, tags + "iii", *args, 1, 1, 1)
    assert extra == Dropped("wrong arguments")
    if args and address != "/touch":
        assert read(address, tags[1:], *args[1:]) == Dropped("wrong arguments")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", "fd")
@pytest.mark.parametrize(("address", "tags", "args", "_"), IN)
def test_argument_of_nan_or_infinity_is_dropped(
    value: float, kind: str, address: str, tags: str, args: Any, _: object
) -> None:
    for i in range(len(args)):
        if tags[i] != "s":
            values = (*args[:i], value, *args[i + 1 :])
            dropped = read(address, tags[:i] + kind + tags[i + 1 :], *values)
            assert dropped == Dropped("not finite")


@pytest.mark.parametrize(
    ("address", "tags", "args", "reason"),
    [
        ("/robojam/down", "fff", (0.5, 0.5, 0.5), "wrong arguments"),  # ids are whole
        ("/robojam/up", "d", (1e-9,), "wrong arguments"),
        ("/robojam/pause", "f", (0.5,), "wrong arguments"),
        ("/robojam/seed", "d", (1.5,), "wrong arguments"),
        ("/robojam/subscribe", "f", (5007.5,), "wrong arguments"),
        ("/robojam/down", "hff", (2**31, 0.5, 0.5), "out of range"),
        ("/robojam/up", "d", (1e300,), "out of range"),
        ("/robojam/pause", "i", (2,), "out of range"),
        ("/robojam/record", "i", (-1,), "out of range"),
        ("/robojam/seed", "i", (-1,), "out of range"),
        ("/robojam/seed", "d", (2.0**63,), "out of range"),
        ("/robojam/subscribe", "i", (0,), "out of range"),
        ("/robojam/unsubscribe", "i", (65536,), "out of range"),
        ("/touch", "fff", (0.5, 0.5, -0.001), "out of range"),
        ("/touch", "ffd", (0.5, 0.5, 1e300), "out of range"),  # it would not fit a float
        ("/robojam", "", (), "unknown address"),
        ("/robojam/downs", "iff", (0, 0.5, 0.5), "unknown address"),
        ("/", "", (), "unknown address"),
        ("/robojam/ai/down", "ifff", (0, 0.5, 0.5, 0.1), "echo"),  # back through a loop
        ("/robojam/ai2/up", "i", (0,), "echo"),
        ("/robojam/human/move", "ifff", (0, 0.5, 0.5, 0.1), "echo"),
        ("/robojam/turn", "s", ("ai",), "echo"),
        ("/robojam/forecast", "ffffff", (1, 0.5, 0.5, 0.1, 0.1, 0), "echo"),
        ("/robojam/status", "s", ("{}",), "echo"),
        ("/robojam/cookie", "s", ("abc",), "echo"),
        ("/robojam/subscribe", "is", (0, "abc"), "out of range"),
        ("/robojam/subscribe", "ss", ("abc", "abc"), "wrong arguments"),
    ],
)
def test_dropped_message_has_the_reason(
    address: str, tags: str, args: tuple[Any, ...], reason: str
) -> None:
    assert read(address, tags, *args) == Dropped(reason)


@pytest.mark.parametrize("far", [1.0001, 7.0, 1e10, 3e38])
@pytest.mark.parametrize("sign", [1, -1])
def test_coordinate_out_of_range_is_clipped_and_marked(far: float, sign: int) -> None:
    edge = 1.0 if sign > 0 else 0.0
    outside = sign * far
    assert read("/robojam/down", "iff", 1, outside, 0.5) == Finger(
        DOWN, 1, edge, 0.5, clipped=True
    )
    assert read("/robojam/move", "iff", 1, 0.5, outside) == Finger(
        MOVE, 1, 0.5, edge, clipped=True
    )
    assert read("/touch", "ff", outside, outside) == PhaselessTouch(edge, edge, clipped=True)
    assert read("/touch", "ddd", outside, 0.5, 0.5) == PhaselessTouch(
        edge, 0.5, 0.5, clipped=True
    )


def test_coordinate_at_an_edge_is_not_clipped() -> None:
    assert read("/touch", "ii", 0, 1) == PhaselessTouch(0.0, 1.0, clipped=False)


numbers = st.one_of(
    st.tuples(st.sampled_from("ih"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.sampled_from("fd"), st.floats()),
    st.tuples(st.just("s"), st.text(max_size=8)),
    st.sampled_from([("T", True), ("F", False), ("N", None), ("I", INF)]),
)
addresses = st.sampled_from([*native.INPUTS, "/robojam/ai/down", "/x"])


@given(addresses, st.lists(numbers, max_size=4))
def test_any_message_gives_an_input_within_its_range(address: str, typed: list[Any]) -> None:
    tags = "".join(tag for tag, _ in typed)
    input_ = native.read(
        Message(address, tags, tuple(value for _, value in typed)), native.INPUTS
    )
    if isinstance(input_, Finger | PhaselessTouch):
        assert 0 <= input_.x <= 1
        assert 0 <= input_.y <= 1
    if isinstance(input_, Finger):
        assert isinstance(input_.id, int)
        native.encode_touch(
            Touch(input_.x, input_.y, 0.0, input_.phase, input_.id), 0.0
        )  # it can be only_message on
    elif isinstance(input_, PhaselessTouch) and input_.dt is not None:
        native.encode_touch(Touch(input_.x, input_.y, input_.dt, DOWN), input_.dt)
    elif isinstance(input_, Control) and isinstance(input_.value, float):
        assert math.isfinite(input_.value)
        assert not isinstance(input_.value, bool)
    elif isinstance(input_, Subscribe):
        assert 1 <= input_.port <= 65535


# -- out ---------------------------------------------------------------------------------------


def only_message(packet: bytes) -> Message:
    (message,), dropped = decode(packet)
    assert dropped == []
    return message


def test_touch_is_written_with_the_type_tags_of_the_contract() -> None:
    down = Touch(0.5, 0.25, 0.125, DOWN, 0, "ai")
    assert only_message(native.encode_touch(down, 0.25)) == Message(
        "/robojam/ai/down", "ifff", (0, 0.5, 0.25, 0.25)
    )
    move = Touch(0.5, 0.25, 0.125, MOVE, 1003, "human2")
    assert only_message(native.encode_touch(move, 0.125)) == Message(
        "/robojam/human2/move", "ifff", (1003, 0.5, 0.25, 0.125)
    )
    up = Touch(0.5, 0.25, 0.125, UP, 0, "ai3")
    assert only_message(native.encode_touch(up, 0.125)) == Message("/robojam/ai3/up", "i", (0,))


def test_touch_is_written_as_golden_bytes() -> None:
    packet = native.encode_touch(Touch(1.0, 0.0, 0.5, DOWN, 2, "ai"), 0.5)
    assert packet == (
        b"/robojam/ai/down\0\0\0\0"
        b",ifff\0\0\0"
        b"\0\0\0\x02"  # i 2
        b"\x3f\x80\0\0"  # f 1.0
        b"\0\0\0\0"  # f 0.0
        b"\x3f\0\0\0"  # f 0.5
    )


def test_turn_pending_touch_and_forecast_are_written_with_their_type_tags() -> None:
    assert only_message(native.encode_turn("ai")) == Message("/robojam/turn", "s", ("ai",))
    assert only_message(native.encode_pending("ai2", 0, 0.5, 0.25, 1.5)) == Message(
        "/robojam/ai2/next", "ifff", (0, 0.5, 0.25, 1.5)
    )
    groups = [(0.75, 0.5, 0.5, 0.125, 0.125, 0.0), (0.25, 0.0, 1.0, 0.5, 0.5, -0.5)]
    assert only_message(native.encode_forecast(groups)) == Message(
        "/robojam/forecast", "f" * 12, groups[0] + groups[1]
    )
    assert only_message(native.encode_forecast([])) == Message("/robojam/forecast", "", ())


@pytest.mark.parametrize(
    ("address", "tags", "args", "expected"),
    [row for row in IN if isinstance(row[3], Control) and row[:2] != ("/robojam/seed", "i")],
)
def test_control_is_written_as_it_is_read(
    address: str, tags: str, args: tuple[Any, ...], expected: Control
) -> None:
    assert only_message(native.encode_control(expected.name, expected.value)) == Message(
        address, tags, args
    )


@given(
    st.sampled_from([DOWN, MOVE]),
    st.integers(-(2**31), 2**31 - 1),
    *[st.floats(0, 1, width=32)] * 2,
)
def test_written_touch_is_read_back_as_the_same_finger(
    phase: Phase, finger: int, x: float, y: float
) -> None:
    written = only_message(native.encode_touch(Touch(x, y, 0.0, phase, finger, "human"), 0.0))
    message = Message(f"/robojam/{phase}", "iff", written.args[:3])
    assert native.read(message, native.INPUTS) == Finger(phase, finger, x, y)


@pytest.mark.parametrize("ids", [(), (3,), (3, -1, 2**31 - 1)])
def test_report_of_fingers_names_any_number_of_them(ids: tuple[int, ...]):
    message = Message("/robojam/alive", "i" * len(ids), ids)
    assert native.read(message, native.INPUTS) == native.Alive(ids)
    assert isinstance(
        native.read(Message("/robojam/alive", "is", (1, "x")), native.INPUTS), native.Dropped
    )
