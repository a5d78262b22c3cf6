"""TUIO 1.1, profile 2Dcur: frames in, frames out, and frames lost or torn."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire import tuio
from robojam.wire.native import Dropped, Finger, Input
from robojam.wire.osc import Message, bundle, decode, encode

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
HOST = "192.168.0.3"
APP = "tuio:192.168.0.3/app"

# fmt: off
#: A finger lands in the middle, the first frame of a source.
LANDED = (
    b"#bundle\0" b"\0\0\0\0\0\0\0\x01"  # at once
    b"\0\0\0\x1c" b"/tuio/2Dcur\0" b",ss\0" b"source\0\0" b"app\0"
    b"\0\0\0\x1c" b"/tuio/2Dcur\0" b",si\0" b"alive\0\0\0" b"\0\0\0\x01"  # cursor 1
    b"\0\0\0\x34" b"/tuio/2Dcur\0" b",sifffff\0\0\0\0" b"set\0" b"\0\0\0\x01"
    b"\x3f\0\0\0" b"\x3e\x80\0\0"  # x 0.5, y 0.25
    b"\0\0\0\0" b"\0\0\0\0" b"\0\0\0\0"  # X, Y and m: at rest
    b"\0\0\0\x1c" b"/tuio/2Dcur\0" b",si\0" b"fseq\0\0\0\0" b"\0\0\0\x01"
)
# fmt: on


def frame(
    number: int,
    *cursors: tuple[int, float, float],
    alive: list[int] | None = None,
    source: str | None = "app",
) -> bytes:
    """Return a frame as a tracker sends it."""
    ids = [c[0] for c in cursors] if alive is None else alive
    named = [] if source is None else [encode(tuio.ADDRESS, "ss", "source", source)]
    return bundle(
        [
            *named,
            encode(tuio.ADDRESS, "s" + "i" * len(ids), "alive", *ids),
            *(
                encode(tuio.ADDRESS, "sifffff", "set", c, x, y, 0.0, 0.0, 0.0)
                for c, x, y in cursors
            ),
            encode(tuio.ADDRESS, "si", "fseq", number),
        ]
    )


def read(
    reader: tuio.TuioReader, packet: bytes, host: str = HOST, now: float = 0.0
) -> list[tuple[str, Input]]:
    return [pair for m in decode(packet)[0] for pair in reader.read(m, host, now)]


def inputs(reader: tuio.TuioReader, packet: bytes, host: str = HOST) -> list[Input]:
    return [input_ for _, input_ in read(reader, packet, host)]


# -- in ------------------------------------------------------------------------------------


def test_cursor_that_appears_moves_and_disappears_is_a_down_a_move_and_an_up():
    reader = tuio.TuioReader()
    assert read(reader, LANDED) == [(APP, Finger(DOWN, 1, 0.5, 0.25))]
    assert read(reader, frame(2, (1, 0.75, 0.5))) == [(APP, Finger(MOVE, 1, 0.75, 0.5))]
    assert read(reader, frame(3)) == [(APP, Finger(UP, 1))]


def test_cursor_repeated_at_its_place_gives_no_input():
    reader = tuio.TuioReader()
    assert inputs(reader, frame(1, (1, 0.5, 0.25)))
    assert inputs(reader, frame(2, (1, 0.5, 0.25))) == []
    assert inputs(reader, frame(3, alive=[1])) == []
    assert inputs(reader, frame(-1, (1, 0.5, 0.25))) == []


def test_cursors_of_one_source_are_separate_fingers():
    reader = tuio.TuioReader()
    both = inputs(reader, frame(1, (1, 0.25, 0.25), (2, 0.75, 0.75)))
    assert both == [Finger(DOWN, 1, 0.25, 0.25), Finger(DOWN, 2, 0.75, 0.75)]
    assert inputs(reader, frame(2, (2, 0.5, 0.5))) == [
        Finger(UP, 1),
        Finger(MOVE, 2, 0.5, 0.5),
    ]


def test_sources_with_the_same_cursor_ids_are_separate_players():
    reader = tuio.TuioReader()
    assert read(reader, frame(7, (1, 0.5, 0.5))) == [(APP, Finger(DOWN, 1, 0.5, 0.5))]
    other = "tuio:192.168.0.3/table"
    received = read(reader, frame(1, (1, 0.25, 0.5), source="table"))
    assert received == [(other, Finger(DOWN, 1, 0.25, 0.5))]
    assert read(reader, frame(2, source="table")) == [(other, Finger(UP, 1))]
    assert read(reader, frame(8, (1, 0.75, 0.5))) == [(APP, Finger(MOVE, 1, 0.75, 0.5))]
    # The same source of another host is another player; one without a name is its host.
    third = read(reader, frame(1, (1, 0.5, 0.5)), host="10.0.0.2")
    assert third == [("tuio:10.0.0.2/app", Finger(DOWN, 1, 0.5, 0.5))]
    unnamed = read(reader, frame(1, (1, 0.5, 0.5), source=None), host="10.0.0.2")
    assert unnamed == [("tuio:10.0.0.2", Finger(DOWN, 1, 0.5, 0.5))]


def test_older_frame_is_dropped_unless_the_source_has_restarted():
    reader = tuio.TuioReader()
    assert inputs(reader, frame(500, (1, 0.5, 0.5)))
    assert inputs(reader, frame(499, (1, 0.1, 0.1))) == [Dropped("old frame")]
    assert inputs(reader, frame(400, alive=[])) == [Dropped("old frame")]
    assert inputs(reader, frame(500, (1, 0.6, 0.5)))  # a frame in more than one bundle
    restarted = inputs(reader, frame(399, (9, 0.2, 0.2)))
    assert restarted == [Finger(UP, 1), Finger(DOWN, 9, *place(0.2, 0.2))]
    assert inputs(reader, frame(400, (9, 0.3, 0.2)))


def test_frame_of_the_engine_s_own_source_is_an_echo():
    reader = tuio.TuioReader("robojam:7@here")
    writer = tuio.TuioWriter("robojam:7@here")
    received = read(reader, writer.write(Touch(0.5, 0.5, 0.0, DOWN, 0, "ai"), 0.0))
    assert received == [(HOST, Dropped("echo"))]
    other = tuio.TuioWriter("robojam:8@here")
    received = read(reader, other.write(Touch(0.5, 0.5, 0.0, DOWN, 0, "ai"), 0.0))
    assert received == [(f"tuio:{HOST}/robojam:8@here", Finger(DOWN, 1, 0.5, 0.5))]


def test_source_silent_for_five_seconds_lifts_its_fingers():
    reader = tuio.TuioReader()
    assert reader.expire(0.0) == ([], math.inf)
    read(reader, frame(1, (1, 0.5, 0.5), (2, 0.25, 0.5)), now=10.0)
    read(reader, frame(1, (1, 0.5, 0.5), source="other"), now=11.0)
    read(reader, frame(-1, alive=[1], source="other"), now=13.0)
    assert reader.expire(14.0) == ([], 1.0)
    gone = [(APP, Finger(UP, 1)), (APP, Finger(UP, 2))]
    assert reader.expire(15.0) == (gone, 3.0)
    assert reader.expire(15.5) == ([], 2.5)
    # The connection is back, and the finger is still there.
    assert read(reader, frame(9, (1, 0.5, 0.5)), now=16.0) == [(APP, Finger(DOWN, 1, 0.5, 0.5))]


def test_frame_in_separate_packets_takes_effect_with_fseq():
    reader = tuio.TuioReader()
    messages = decode(LANDED)[0]
    assert [reader.read(m, HOST, 0.0) for m in messages[:-1]] == [[], [], []]
    assert reader.read(messages[-1], HOST, 0.0) == [(APP, Finger(DOWN, 1, 0.5, 0.25))]


@pytest.mark.parametrize("end", range(len(LANDED)))
def test_truncated_bundle_gives_no_finger_and_the_next_frame_is_read(end):
    reader = tuio.TuioReader()
    assert inputs(reader, LANDED[:end]) == []
    next_frame = inputs(reader, frame(2, (2, 0.75, 0.75)))
    fingers = [input_ for input_ in next_frame if input_ != Dropped("torn frame")]
    assert fingers == [Finger(DOWN, 2, 0.75, 0.75)]


def test_frame_without_fseq_is_dropped_as_torn():
    reader = tuio.TuioReader()
    for message in decode(LANDED)[0][:3]:
        reader.read(message, HOST, 0.0)
    assert inputs(reader, frame(2, alive=[])) == [Dropped("torn frame")]


@pytest.mark.parametrize(
    ("tags", "args", "reason"),
    [
        ("", (), "wrong arguments"),
        ("i", (1,), "wrong arguments"),
        ("s", ("set",), "wrong arguments"),
        ("s", ("jump",), "wrong arguments"),
        ("si", ("source", 1), "wrong arguments"),
        ("ss", ("alive", "1"), "wrong arguments"),
        ("sf", ("alive", 0.5), "wrong arguments"),
        ("sh", ("alive", 2**40), "out of range"),
        ("siff", ("set", 1, float("nan"), 0.5), "not finite"),
        ("siss", ("set", 1, "a", "b"), "wrong arguments"),
        ("ss", ("fseq", "x"), "wrong arguments"),
        ("s", ("fseq",), "wrong arguments"),
    ],
)
def test_message_with_wrong_arguments_is_dropped(tags: str, args: tuple[Any, ...], reason: str):
    reader = tuio.TuioReader()
    assert reader.read(Message(tuio.ADDRESS, tags, args), HOST, 0.0) == [
        (HOST, Dropped(reason))
    ]


def test_place_out_of_range_is_clipped_and_marked():
    received = inputs(tuio.TuioReader(), frame(1, (1, 1.5, -0.5)))
    assert received == [Finger(DOWN, 1, 1.0, 0.0, clipped=True)]


def test_sources_hosts_and_cursors_are_bounded():
    reader = tuio.TuioReader()
    received = [inputs(reader, frame(1, (1, 0.5, 0.5), source=f"s{i}"))[0] for i in range(80)]
    assert received[63] == Finger(DOWN, 1, 0.5, 0.5)
    assert set(received[64:]) == {Dropped("too many players")}
    for i in range(1000):
        read(reader, frame(1, (1, 0.5, 0.5)), host=f"10.0.{i // 250}.{i % 250}")
    assert len(reader._frames) <= 64
    cursors = [(i, 0.5, 0.5) for i in range(1000)]
    assert len(inputs(tuio.TuioReader(), frame(1, *cursors))) <= 64


messages = st.builds(
    lambda verb, more: Message(
        tuio.ADDRESS,
        "".join(tag for tag, _ in [*verb, *more]),
        tuple(v for _, v in [*verb, *more]),
    ),
    st.sampled_from([[("s", v)] for v in ("source", "alive", "set", "fseq", "")] + [[]]),
    st.lists(
        st.one_of(
            st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
            st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
            st.tuples(st.sampled_from("fd"), st.floats()),
            st.tuples(st.just("s"), st.text(max_size=9)),
            st.tuples(st.just("T"), st.just(True)),
            st.tuples(st.just("N"), st.none()),
        ),
        max_size=8,
    ),
)


@given(st.lists(messages, max_size=30))
def test_any_messages_give_fingers_in_order_or_drops(sent: list[Message]):
    reader = tuio.TuioReader()
    down: set[int] = set()
    for message in sent:
        for source, input_ in reader.read(message, HOST, 0.0):
            assert isinstance(source, str)
            assert isinstance(input_, Finger | Dropped)
            if isinstance(input_, Finger):
                assert 0 <= input_.x <= 1
                assert 0 <= input_.y <= 1
                # Nothing lifts that is not down, and nothing lands twice.
                assert (input_.phase is DOWN) == ((source, input_.id) not in down)
                (down.discard if input_.phase is UP else down.add)((source, input_.id))


# -- out -----------------------------------------------------------------------------------


def place(x: float, y: float) -> tuple[float, float]:
    """Return a place as 32 bits hold it."""
    a, b = struct.unpack("<ff", struct.pack("<ff", x, y))
    return a, b


def test_down_is_written_as_golden_bytes():
    packet = tuio.TuioWriter("app").write(Touch(0.5, 0.25, 0.0, DOWN, 0, "ai"), 10.0)
    assert packet == LANDED


def sets(packet: bytes) -> list[tuple[Any, ...]]:
    return [m.args[1:] for m in decode(packet)[0] if m.args[0] == "set"]


def only(packet: bytes, verb: str) -> tuple[Any, ...]:
    (args,) = [m.args[1:] for m in decode(packet)[0] if m.args[0] == verb]
    return args


def test_written_velocity_and_acceleration_are_those_of_the_moves():
    writer = tuio.TuioWriter("robojam")
    assert sets(writer.write(Touch(0.25, 0.25, 0.0, DOWN, 0, "ai"), 1.0)) == [
        (1, 0.25, 0.25, 0.0, 0.0, 0.0)
    ]
    # Three and four eighths of the screen in an eighth of a second, from rest.
    (moved,) = sets(writer.write(Touch(0.625, 0.75, 0.125, MOVE, 0, "ai"), 1.125))
    assert moved == (1, 0.625, 0.75, 3.0, 4.0, pytest.approx(5 / 0.125))
    # The same speed, another way: no acceleration.
    (moved,) = sets(writer.write(Touch(0.25, 0.25, 0.125, MOVE, 0, "ai"), 1.25))
    assert moved == (1, 0.25, 0.25, -3.0, -4.0, pytest.approx(0.0))
    (moved,) = sets(writer.write(Touch(0.25, 0.25, 0.125, MOVE, 0, "ai"), 1.375))
    assert moved == (1, 0.25, 0.25, 0.0, 0.0, pytest.approx(-40.0))
    (moved,) = sets(writer.write(Touch(0.5, 0.25, 0.0, MOVE, 0, "ai"), 1.375))
    assert moved[3:] == (0.0, 0.0, pytest.approx(-40.0))  # no time has passed: as before


def test_repeated_frame_has_all_cursors_and_those_without_moves_at_rest():
    writer = tuio.TuioWriter("robojam")
    writer.write(Touch(0.25, 0.25, 0.0, DOWN, 0, "ai"), 1.0)
    writer.write(Touch(0.5, 0.25, 0.125, MOVE, 0, "ai"), 1.125)
    writer.write(Touch(0.75, 0.75, 0.0, DOWN, 0, "ai2"), 2.0)
    repeated = writer.repeat(2.125)
    assert sets(repeated) == [(1, 0.5, 0.25, 0.0, 0.0, 0.0), (2, 0.75, 0.75, 0.0, 0.0, 0.0)]
    assert only(repeated, "alive") == (1, 2)
    assert only(repeated, "fseq") == (-1,)
    assert only(writer.write(Touch(0.75, 0.75, 0.1, UP, 0, "ai2"), 2.2), "alive") == (1,)


def test_each_down_is_a_new_cursor_and_frame_numbers_increase():
    writer = tuio.TuioWriter("robojam")
    numbers = []
    for at, phase in enumerate((DOWN, UP, DOWN, UP)):
        packet = writer.write(Touch(0.5, 0.5, 0.1, phase, 0, "ai"), float(at))
        assert only(packet, "alive") == (() if phase is UP else (1 + at // 2,))
        numbers.append(only(packet, "fseq")[0])
    assert numbers == [1, 2, 3, 4]
    assert only(writer.repeat(9.0), "alive") == ()


unit = st.floats(0, 1, width=32)
steps = st.lists(
    st.tuples(st.sampled_from(["ai", "ai2"]), st.sampled_from([DOWN, MOVE, UP]), unit, unit),
    max_size=40,
)


@given(steps)
def test_written_frames_are_read_back_as_the_same_touches(played):
    writer, reader = tuio.TuioWriter("robojam"), tuio.TuioReader()
    down: dict[str, tuple[float, float]] = {}
    for i, (who, phase, x, y) in enumerate(played):
        if phase is UP and who not in down:
            continue
        if phase is MOVE and who not in down:
            phase = DOWN
        still = phase is MOVE and down[who] == (x, y)
        lifted = phase is DOWN and who in down
        fingers = inputs(reader, writer.write(Touch(x, y, 0.01, phase, 0, who), i * 0.01))
        expected = ([UP] if lifted else []) + ([] if still else [phase])
        assert [f.phase for f in fingers] == expected  # type: ignore[union-attr]
        if expected and phase is not UP:
            assert (fingers[-1].x, fingers[-1].y) == (x, y)  # type: ignore[union-attr]
        down.pop(who, None) if phase is UP else down.update({who: (x, y)})
        assert inputs(reader, writer.repeat(i * 0.01)) == []
