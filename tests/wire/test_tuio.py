"""TUIO 1.1, profile 2Dcur: frames in, frames out, and frames lost or torn."""

from __future__ import annotations

import math
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import Phase, Touch
from robojam.wire import tuio
from robojam.wire.echo import EchoDetector
from robojam.wire.native import Finger, Input
from robojam.wire.osc import Dropped, Message, bundle, decode, encode

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
    reader: tuio.TuioReader,
    packet: bytes,
    host: str = HOST,
    now: float = 0.0,
    port: int = 0,
) -> list[tuple[str, Input]]:
    return [pair for m in decode(packet)[0] for pair in reader.read(m, host, now, port)]


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


# -- restarts and late packets -------------------------------------------------------------


def landings(reader: tuio.TuioReader, numbers: range, now: float, **at: Any) -> list[str]:
    """Return the players who land when frames with a new cursor each come in 10 ms."""
    return [
        player
        for i, number in enumerate(numbers)
        for player, input_ in read(
            reader, frame(number, (number, 0.5, 0.5), source=None), now=now + i / 100, **at
        )
        if isinstance(input_, Finger) and input_.phase is DOWN
    ]


@pytest.mark.parametrize("silence", [0.02, 0.7, 6.5])
def test_tracker_that_restarts_is_heard_at_once(silence):
    reader = tuio.TuioReader()
    assert len(landings(reader, range(1, 91), 10.0)) == 90
    again = landings(reader, range(1, 32), 10.9 + silence)
    assert again == [f"tuio:{HOST}"] * 31


@pytest.mark.parametrize("first", [40, 80, 88])
def test_restarted_tracker_whose_first_frames_were_lost_is_heard_after_three_frames(first):
    reader = tuio.TuioReader()
    landings(reader, range(1, 91), 10.0)
    assert len(landings(reader, range(first, first + 60), 10.9)) >= 57


def test_frame_that_comes_late_is_dropped_also_twice():
    reader = tuio.TuioReader()
    landings(reader, range(1, 91), 10.0)
    for number in (88, 87, 86, 89):
        assert inputs(reader, frame(number, (5, 0.1, 0.1), source=None)) == [
            Dropped("old frame")
        ]
    assert len(landings(reader, range(91, 95), 10.9)) == 4


@pytest.mark.parametrize(
    ("last", "following"), [(2**31 - 1, 1), (2**31 - 1, -(2**31)), (-2, 0), (2**31 - 1, 0)]
)
def test_frame_numbers_that_begin_again_go_on(last, following):
    reader = tuio.TuioReader()
    assert inputs(reader, frame(last, (1, 0.5, 0.5)))
    assert inputs(reader, frame(following, (1, 0.25, 0.5))) == [Finger(MOVE, 1, 0.25, 0.5)]


# -- two trackers --------------------------------------------------------------------------


@pytest.mark.parametrize("source", [None, "app"])
@pytest.mark.parametrize("ahead", [0, 1, 40])
def test_two_trackers_of_one_name_are_told_apart_by_port(source, ahead):
    reader = tuio.TuioReader()
    fingers: dict[str, set[tuple[float, float]]] = {}
    for i in range(1, 30):
        for port, x, number in ((4001, 0.25, i), (4002, 0.75, i + ahead)):
            packet = frame(number, (1, x, i / 32), source=source)
            for player, finger in read(reader, packet, port=port, now=i / 60):
                if isinstance(finger, Finger) and finger.phase is not UP and i > 2:
                    fingers.setdefault(player, set()).add((finger.x, finger.y))
    assert len(fingers) == 2
    for places in fingers.values():
        assert len({x for x, _ in places}) == 1
        assert len(places) >= 26


def test_second_tracker_without_a_name_has_a_player_of_its_host():
    reader = tuio.TuioReader()
    ((first, _),) = read(reader, frame(1, (1, 0.5, 0.5), source=None), port=4001)
    ((second, _),) = read(reader, frame(1, (1, 0.5, 0.5), source=None), port=4002)
    assert (first, second) == (f"tuio:{HOST}", f"tuio:{HOST}/(2)")


def test_tracker_that_changes_its_port_at_each_packet_is_one_player():
    reader = tuio.TuioReader()
    players = set()
    for i in range(1, 200):
        packet = frame(i, (1, i / 256, 0.5), source=None)
        players |= {player for player, _ in read(reader, packet, port=4000 + i, now=i / 60)}
    assert players == {f"tuio:{HOST}"}
    # Not only each frame, but each message from a port of its own.
    port = 9000
    for i in range(200, 220):
        for message in decode(frame(i, (1, i / 256, 0.5), source=None))[0]:
            port += 1
            inputs_ = reader.read(message, HOST, i / 60, port)
        assert inputs_ == [(f"tuio:{HOST}", Finger(MOVE, 1, i / 256, 0.5))]


@pytest.mark.parametrize("number", [-1, 0, 1])
def test_sender_that_changes_its_port_and_does_not_count_is_no_crowd(number):
    reader = tuio.TuioReader()
    players = set()
    for i in range(100):
        packet = frame(number, (1, i / 128, 0.5), source=None)
        players |= {player for player, _ in read(reader, packet, port=4000 + i, now=i / 60)}
    assert len(players) <= 2


def test_tracker_that_is_started_again_from_another_port_is_the_same_player():
    reader = tuio.TuioReader()
    first = landings(reader, range(1, 91), 10.0, port=4001)
    again = landings(reader, range(1, 31), 17.0, port=4002)
    assert set(first) == set(again) == {f"tuio:{HOST}"}


# -- other profiles ------------------------------------------------------------------------

#: Arguments of a set message after the session id, with x = 0.5 and y = 0.25.
SETS = {
    "2Dobj": "i ff f ff f f f",
    "2Dblb": "ff f ff f ff f f f",
    "25Dcur": "ff f fff f",
    "25Dobj": "i ff f f fff f f f",
    "25Dblb": "ff f f ff f fff f f f",
    "3Dcur": "ff f fff f",
    "3Dobj": "i ff f fff fff fff f f",
    "3Dblb": "ff f fff fff f fff fff f f",
}


def profile_frame(profile: str, number: int, session: int, x: float, y: float) -> bytes:
    tags = SETS[profile].replace(" ", "")
    at = tags.index("f")
    values: list[float] = [7] * at + [x, y] + [0.0] * (len(tags) - at - 2)
    address = f"/tuio/{profile}"
    return bundle(
        [
            encode(address, "ss", "source", "app"),
            encode(address, "si", "alive", session),
            encode(address, "si" + tags, "set", session, *values),
            encode(address, "si", "fseq", number),
        ]
    )


@pytest.mark.parametrize("profile", SETS)
def test_objects_and_blobs_in_two_and_three_dimensions_play_as_fingers(profile):
    reader = tuio.TuioReader()
    (down,) = inputs(reader, profile_frame(profile, 1, 5, 0.5, 0.25))
    assert isinstance(down, Finger)
    assert down == Finger(DOWN, down.id, 0.5, 0.25)
    assert inputs(reader, profile_frame(profile, 2, 5, 0.75, 0.25)) == [
        Finger(MOVE, down.id, 0.75, 0.25)
    ]
    (cursor,) = inputs(reader, frame(1, (5, 0.5, 0.5)))  # a number of its own, another finger
    assert isinstance(cursor, Finger)
    assert cursor.phase is DOWN
    assert cursor.id != down.id
    empty = [encode(f"/tuio/{profile}", *m) for m in (("s", "alive"), ("si", "fseq", 3))]
    assert inputs(
        reader, bundle([encode(f"/tuio/{profile}", "ss", "source", "app"), *empty])
    ) == [Finger(UP, down.id)]


@pytest.mark.parametrize(
    ("profile", "values", "pressure"),
    [
        ("25Dcur", {2: 0.75}, 0.75),
        ("25Dobj", {3: 0.75}, 0.75),
        ("25Dcur", {2: 7.0}, 1.0),
        ("25Dcur", {2: 0.0}, None),  # not measured
        ("25Dcur", {2: -0.5}, None),
        ("2Dblb", {3: 0.05, 4: 0.02}, 0.5),
        ("2Dblb", {3: 0.02, 4: 0.075}, 0.75),
        ("2Dblb", {3: 0.5, 4: 0.5}, 1.0),
        ("25Dblb", {4: 0.05, 5: 0.02}, 0.5),
        ("3Dcur", {2: 0.75}, None),
    ],
)
def test_pressure_is_the_depth_of_a_cursor_or_the_size_of_a_blob(profile, values, pressure):
    reader = tuio.TuioReader()
    tags = SETS[profile].replace(" ", "")
    sent: list[float] = [7 if tag == "i" else 0.5 for tag in tags]
    for at in range(tags.index("f") + 2, len(tags)):
        sent[at] = values.get(at, 0.0)
    address = f"/tuio/{profile}"
    (finger,) = inputs(
        reader,
        bundle(
            [
                encode(address, "si", "alive", 5),
                encode(address, "si" + tags, "set", 5, *sent),
                encode(address, "si", "fseq", 1),
            ]
        ),
    )
    assert isinstance(finger, Finger)
    assert finger.pressure == (None if pressure is None else pytest.approx(pressure))


def test_pressure_alone_makes_no_move():
    reader = tuio.TuioReader()

    def press(number: int, x: float, pressure: float) -> list[Input]:
        address = "/tuio/25Dcur"
        values = (x, 0.5, pressure, 0.0, 0.0, 0.0, 0.0)
        messages = [
            encode(address, "si", "alive", 5),
            encode(address, "sifffffff", "set", 5, *values),
            encode(address, "si", "fseq", number),
        ]
        return inputs(reader, bundle(messages))

    assert len(press(1, 0.5, 0.5)) == 1
    assert press(2, 0.5, 0.75) == []
    (moved,) = press(3, 0.75, 0.25)
    assert isinstance(moved, Finger)
    assert (moved.phase, moved.pressure) == (MOVE, 0.25)


def test_pointer_of_tuio_2_has_pressure():
    reader = tuio.TuioReader()
    pointer = ("/tuio2/ptr", 5, 0, 0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.75)
    packet = tuio2(1, pointer, alive=[5])
    (finger,) = [each for each in inputs(reader, packet) if isinstance(each, Finger)]
    assert finger.pressure == 0.75


def test_tracker_that_sends_three_profiles_plays_as_one_that_sends_cursors():
    reader = tuio.TuioReader()
    received = []
    for i in range(1, 40):
        for profile in ("2Dobj", "2Dblb"):
            address = f"/tuio/{profile}"
            messages = [
                encode(address, "ss", "source", "app"),
                encode(address, "s", "alive"),
                encode(address, "si", "fseq", 2 * i),
            ]
            assert inputs(reader, bundle(messages)) == []
        received += inputs(reader, frame(i, (1, i / 64, 0.5)))
    assert [finger.phase for finger in received] == [DOWN] + [MOVE] * 38  # type: ignore[union-attr]


def test_profiles_in_one_bundle_with_one_frame_number_are_read():
    reader = tuio.TuioReader()  # as python-tuio 0.0.9 sends them
    cursor, blob = "/tuio/2Dcur", "/tuio/2Dblb"
    packet = bundle(
        [
            encode(cursor, "si", "alive", 7),
            encode(blob, "si", "alive", 7),
            encode(cursor, "sifffff", "set", 7, 0.5, 0.25, 0.0, 0.0, 0.0),
            encode(blob, "siffffffffffff", "set", 7, 0.75, 0.25, *[0.0] * 10),
            encode(cursor, "si", "fseq", -1),
        ]
    )
    downs = inputs(reader, packet)
    assert [(f.phase, f.x) for f in downs if isinstance(f, Finger)] == [
        (DOWN, 0.5),
        (DOWN, 0.75),
    ]
    assert inputs(reader, packet) == []


def tuio2(
    number: int, *components: tuple[Any, ...], alive: list[int], name: str = "app"
) -> bytes:
    """Return a frame of TUIO 2.0: components are address and arguments."""
    frame_head = (
        b"/tuio2/frm\0\0"
        b",itis\0\0\0"
        + number.to_bytes(4, "big")
        + bytes(8)
        + bytes(4)
        + name.encode()
        + bytes(4 - len(name) % 4)
    )
    rest = [
        encode(address, "".join("i" if isinstance(a, int) else "f" for a in args), *args)
        for address, *args in components
    ]
    return bundle([frame_head, *rest, encode("/tuio2/alv", "i" * len(alive), *alive)])


def test_pointers_tokens_and_bounds_of_tuio_2_play_as_fingers():
    reader = tuio.TuioReader()
    pointer = ("/tuio2/ptr", 3, 0x20005, 0, 0.5, 0.25, 1.25, 0.0, 0.01, 0.0)
    token = ("/tuio2/tok", 4, 1, 82, 0.75, 0.25, 0.5)
    bounds = ("/tuio2/bnd", 5, 0.25, 0.25, 0.0, 0.1, 0.1, 0.01)
    received = read(reader, tuio2(1, pointer, token, bounds, alive=[3, 4, 5]))
    assert {player for player, _ in received} == {APP}
    downs = [finger for _, finger in received if isinstance(finger, Finger)]
    assert [(f.phase, f.x, f.y) for f in downs] == [
        (DOWN, 0.5, 0.25), (DOWN, 0.75, 0.25), (DOWN, 0.25, 0.25)
    ]  # fmt: skip
    moved = (*pointer[:4], 0.625, *pointer[5:])
    assert inputs(reader, tuio2(2, moved, alive=[3, 5])) == [
        Finger(UP, downs[1].id),
        Finger(MOVE, downs[0].id, 0.625, 0.25),
    ]


@pytest.mark.parametrize("address", ["/tuio/_sixyP", "/tuio2/sym", "/tuio/2Dhand", "/tuio3"])
def test_message_of_tuio_that_plays_nothing_is_reported_once(address):
    reader = tuio.TuioReader()
    ((_, dropped),) = reader.read(Message(address, "i", (1,)), HOST, 0.0)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "unknown address"
    assert address in dropped.about
    assert reader.read(Message(address, "i", (1,)), HOST, 1.0) == []


# -- echoes --------------------------------------------------------------------------------


def test_machine_s_frames_under_another_name_are_echoes_and_a_human_s_cursor_is_heard():
    echo = EchoDetector()
    reader = tuio.TuioReader("robojam:7@here", echo)
    writer = tuio.TuioWriter("a bridge")
    for i in range(20):
        played = Touch(0.3 + i / 90, 0.7 - i / 70, 0.02, MOVE if i else DOWN, 0, "ai")
        echo.sent_touch(played, i / 50)
        ((_, dropped),) = read(reader, writer.write(played, i / 50), now=0.1 + i / 50)
        assert dropped == Dropped("echo")
    human = frame(30, (99, 0.25, 0.25), source="a bridge")
    assert read(reader, human, now=0.5)[0][1] == Finger(DOWN, 99, 0.25, 0.25)


def test_loop_that_rounds_places_is_found_and_its_finger_lifted():
    echo, random = EchoDetector(), Random(1)
    reader = tuio.TuioReader("robojam:7@here", echo)
    received: list[list[Input]] = []
    for i in range(40):
        x, y, t = random.random(), random.random(), i / 40
        echo.sent_touch(Touch(x, y, 0.0, MOVE if i else DOWN, 0, "ai"), t)
        packet = frame(i + 1, (1, round(x, 3), round(y, 3)), source="bridge")
        messages = decode(packet)[0]
        received.append([m for n in messages for _, m in reader.read(n, HOST, t + 0.02)])
    found = received.index([Finger(UP, 1), Dropped("echo")])
    assert found < 15
    assert received[found + 1 :] == [[Dropped("echo")]] * (39 - found)


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


def test_tracker_that_never_sends_fseq_is_heard_a_frame_later():
    reader = tuio.TuioReader()
    heard = []
    for i in range(6):
        for message in decode(frame(1, (1, i / 8, 0.25)))[0][:-1]:
            heard += [input_ for _, input_ in reader.read(message, HOST, i / 60)]
    assert heard == [
        *[Dropped("torn frame")] * 2,
        *[Finger(DOWN, 1, 2 / 8, 0.25), Finger(MOVE, 1, 3 / 8, 0.25)],
        Finger(MOVE, 1, 4 / 8, 0.25),
    ]


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


def test_source_beyond_the_limit_takes_the_place_of_the_one_longest_silent():
    reader = tuio.TuioReader()
    for i in range(56):
        read(reader, frame(1, (1, 0.5, 0.5), source=f"s{i}"), now=float(i == 0))
    read(reader, frame(2, (1, 0.25, 0.5), source="s1"), now=2.0)
    newcomer = read(reader, frame(1, (1, 0.5, 0.5), source="new"), now=3.0)
    assert newcomer == [
        (f"tuio:{HOST}/s2", Finger(UP, 1)),
        (f"tuio:{HOST}/new", Finger(DOWN, 1, 0.5, 0.5)),
    ]


def test_everything_that_a_network_can_fill_is_bounded():
    reader = tuio.TuioReader()
    for i in range(1000):
        host, port = f"10.0.{i // 250}.{i % 250}", 1000 + i
        read(reader, frame(1, (1, 0.5, 0.5), source=f"s{i}"), host=host, port=port)
        for message in decode(frame(1, (1, 0.5, 0.5)))[0][:-1]:  # a frame without its end
            reader.read(message, host, 0.0, port)
        reader.read(Message(f"/tuio/_{i}", "i", (i,)), host, 0.0)
    assert len(reader._frames) <= 64
    assert sum(map(len, reader._sources.values())) <= 64
    assert len(reader._reported) <= 64
    assert (
        len(tuio.TuioReader().read(Message("/tuio/2Dcur", "s" * 9000, ("alive",)), HOST, 0))
        <= 1
    )


def test_cursors_beyond_the_limit_lift_the_oldest_without_an_alive_message():
    reader = tuio.TuioReader()
    down: dict[int, None] = {}
    for i in range(1000):
        messages = [
            encode(tuio.ADDRESS, "sifffff", "set", i, i / 1000, 0.5, 0.0, 0.0, 0.0),
            encode(tuio.ADDRESS, "si", "fseq", i),
        ]
        for finger in inputs(reader, bundle(messages)):
            assert isinstance(finger, Finger)
            down.pop(finger.id) if finger.phase is UP else down.update({finger.id: None})
        assert len(down) <= 64
    assert list(down) == list(range(936, 1000))


def test_frame_of_more_cursors_than_a_table_has_is_cut():
    cursors = [(i, 0.5, 0.5) for i in range(100)]
    received = inputs(tuio.TuioReader(), frame(1, *cursors))
    assert received[:36] == [Dropped("too many fingers")] * 36
    assert len(received) == 100


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


# -- strangers -------------------------------------------------------------------------------


FORGED, FROM_IPV6 = "10.0.{}.{}", "2001:db8::{:x}:{:x}"


@pytest.mark.parametrize("hosts", ["10.0.0.9", FORGED, FROM_IPV6])
def test_stranger_with_thousands_of_sources_lifts_no_finger_of_a_tracker(hosts):
    reader, refused, forged = tuio.TuioReader(), 0, hosts == FORGED
    assert read(reader, frame(1, (1, 0.5, 0.5)), now=10.0)
    for i in range(10_000):  # in a second
        host = hosts.format(i // 250, i % 250)
        packet = frame(1, (1, 0.5, 0.5), source=f"s{i}")
        got = read(reader, packet, host=host, now=10 + i / 10_000)
        assert APP not in [player for player, _ in got]
        refused += any("too many sources" in str(input_) for _, input_ in got)
    assert bool(refused) is forged  # another host has places beside one that has too many
    assert sum(map(len, reader._sources.values())) == 56 + (HOST == "127.0.0.1")
    newcomer = read(reader, frame(1, (1, 0.5, 0.5)), host="10.1.0.1", now=10.99)
    assert isinstance(newcomer[-1][1], Dropped if forged else Finger)
    moved = read(reader, frame(2, (1, 0.6, 0.5)), now=11.0)
    assert moved == [(APP, Finger(MOVE, 1, *place(0.6, 0.5)))]


def test_tracker_of_this_machine_has_a_place_whoever_else_plays():
    reader = tuio.TuioReader()
    for i in range(100):
        read(reader, frame(1, (1, 0.5, 0.5)), host=f"10.0.0.{i}", now=10.0)
    for i in range(8):
        here = read(reader, frame(1, (1, 0.5, 0.5), source=f"{i}"), host="127.0.0.1", now=10.0)
        assert here == [(f"tuio:127.0.0.1/{i}", Finger(DOWN, 1, *place(0.5, 0.5)))]


@pytest.mark.parametrize("hosts", ["10.0.0.9", FROM_IPV6])
def test_stranger_with_thousands_of_unfinished_frames_tears_none_of_a_tracker(hosts):
    reader = tuio.TuioReader()
    parts = decode(frame(1, (1, 0.5, 0.5)))[0]
    for part in parts[:-1]:
        assert reader.read(part, HOST, 10.0, 3) == []
    for port in range(10_000):
        host = hosts.format(port // 250, port % 250)
        reader.read(Message("/tuio/2Dcur", "ss", ("source", "x")), host, 10.0, port)
    assert reader.read(parts[-1], HOST, 10.0, 3) == [(APP, Finger(DOWN, 1, 0.5, 0.5))]
