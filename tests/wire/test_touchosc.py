"""TouchOSC's pads as networks and phones deliver them: lost messages, ranges, learning."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.jam.fingers import Fingers
from robojam.touch import Phase, Touch
from robojam.wire.native import Finger, Input, PhaselessTouch
from robojam.wire.osc import Dropped, Message, decode
from robojam.wire.touchosc import Pad, Pads

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
HOST = "10.0.0.2"
XY = "/1/xy"


class Phone:
    """A phone's messages to pads, on a clock that the test turns."""

    def __init__(self, *pads: Pad, learning: bool = False) -> None:
        self.learnt: list[Pad] = []
        self.pads = Pads(pads, learning=learning, on_learnt=self.learnt.append)
        self.now = 100.0

    def send(self, address: str, *numbers: float, host: str = HOST) -> list[Input]:
        message = Message(address, "f" * len(numbers), numbers)
        return self.pads.read(message, host, self.now) or []

    def place(self, first: float, second: float = 0.5, after: float = 0.016) -> list[Input]:
        self.now += after
        return self.send(XY, first, second)

    def z(self, level: float, after: float = 0.0) -> list[Input]:
        self.now += after
        return self.send(f"{XY}/z", level)

    def stroke(self, *places: float) -> None:
        """Touch, slide and release."""
        self.z(1, after=0.2)
        for x in places:
            self.place(x)
        self.z(0, after=0.016)


def phases(inputs: list[Input]) -> list[tuple[Phase, float]]:
    """Return phase and x of fingers."""
    assert all(isinstance(input_, Finger) for input_ in inputs)
    return [(f.phase, f.x) for f in inputs if isinstance(f, Finger)]


@pytest.fixture
def phone() -> Phone:
    """A phone whose pad has sent a stroke with its touch."""
    phone = Phone(Pad(XY))
    phone.stroke(0.1, 0.2)
    return phone


# -- lost, doubled and late messages ---------------------------------------------------------


def test_touch_while_touched_is_a_landing_as_its_release_was_lost(phone):
    for x in (0.25, 0.75):
        phone.z(1, after=0.5)
        assert phases(phone.place(x) + phone.place(x)) == [(DOWN, x), (MOVE, x)]


def test_place_without_its_touch_is_a_landing_that_its_release_lifts(phone):
    assert phases(phone.place(0.75, after=0.5)) == [(DOWN, 0.75)]
    assert phases(phone.place(0.76)) == [(MOVE, 0.76)]
    assert phases(phone.z(0, after=0.01)) == [(UP, 0.0)]


def test_place_far_away_after_a_silence_is_a_landing(phone):
    phone.z(1, after=0.5)
    phone.place(0.1)
    assert phases(phone.place(0.9, after=1.0)) == [(DOWN, 0.9)]
    assert phases(phone.place(0.5)) == [(MOVE, 0.5)]  # fast, without a silence
    assert phases(phone.place(0.55, after=8.0)) == [(MOVE, 0.55)]  # it was held still


def test_touch_and_place_of_one_landing_in_either_order_and_doubled_land_once(phone):
    inputs = phone.place(0.5, after=0.5) + phone.z(1) + phone.z(1, after=0.01)
    inputs += phone.place(0.5, after=0.005) + phone.z(0, after=0.2) + phone.z(0, after=0.01)
    assert phases(inputs) == [(DOWN, 0.5), (MOVE, 0.5), (UP, 0.0)]


def test_place_before_its_touch_lands_once_though_the_last_release_was_lost(phone):
    phone.z(1, after=0.5)
    phone.place(0.1)
    inputs = phone.place(0.9, after=1.0) + phone.z(1, after=0.002) + phone.place(0.91)
    assert phases(inputs) == [(DOWN, 0.9), (MOVE, 0.91)]


def test_finger_that_is_silent_longest_is_forgotten_first(phone):
    for i in range(3000):
        phone.send(f"{XY}/z", 0.0, host=f"10.1.{i // 250}.{i % 250}")
        if i % 500 == 0:
            phone.z(0)
    assert phases(phone.place(0.5, after=1.0)) == [(DOWN, 0.5)]  # its touch is known to be sent
    assert len(phone.pads._fingers) == 1024


def test_place_that_comes_after_its_release_is_no_landing(phone):
    phone.z(1, after=0.5)
    phone.place(0.5)
    phone.z(0, after=0.016)
    assert phone.place(0.52, after=0.005) == []
    assert phone.z(1, after=0.3) == []  # nor is it where the next stroke begins
    assert phases(phone.place(0.75)) == [(DOWN, 0.75)]


def test_pressure_in_the_place_of_the_touch_lands_once(phone):
    inputs = phone.z(0.25, after=0.5) + phone.place(0.5)
    for level in (0.5, 0.75, 0.5):
        inputs += phone.z(level, after=0.1) + phone.place(0.5)
    assert phases(inputs + phone.z(0)) == [(DOWN, 0.5), *[(MOVE, 0.5)] * 3, (UP, 0.0)]


def test_first_gesture_whose_place_comes_before_its_touch_lands_once():
    phone = Phone(Pad(XY))
    assert phone.place(0.5) == [PhaselessTouch(0.5, 0.5, id=2000)]
    assert phases(phone.z(1)) == [(MOVE, 0.5)]  # so that it no longer lifts by itself
    assert phases(phone.place(0.6) + phone.z(0, after=1.0)) == [(MOVE, 0.6), (UP, 0.0)]


def test_first_release_lifts_a_finger_whose_touch_was_lost():
    phone = Phone(Pad(XY))
    phone.place(0.5)
    assert phases(phone.z(0, after=0.016)) == [(UP, 0.0)]
    assert phone.z(0, after=0.5) == []


@pytest.mark.parametrize("touch_first", [True, False])
@given(seed=st.integers(0, 2**32), strokes=st.integers(2, 12))
def test_every_landing_is_heard_over_a_link_that_loses_doubles_and_reorders(
    touch_first, seed, strokes
):
    """Beyond the first stroke, which shows that the pad sends its touch."""
    draw = random.Random(seed)
    phone = Phone(Pad(XY))
    phone.stroke(0.5, 0.5)
    fingers = Fingers()
    corners = (0.1, 0.9)
    for stroke in range(strokes):
        phone.now += draw.uniform(0.35, 2.0)
        x = corners[stroke % 2]
        sent = [(XY, (x + 0.002 * i, 0.5)) for i in range(draw.randint(4, 20))]
        sent.insert(0 if touch_first else 1, (f"{XY}/z", (1.0,)))
        sent.append((f"{XY}/z", (0.0,)))
        landed, places = 0, 0
        for address, numbers in over(sent, draw):
            phone.now += 0.004
            places += address == XY
            for input_ in phone.send(address, *numbers):
                assert isinstance(input_, Finger)
                place = (input_.x, input_.y)
                events = fingers.finger(phone.now, "human", input_.id, input_.phase, *place)
                if isinstance(events, str):
                    assert events == "absent finger"
                    continue
                for touch in (event.touch for event in events):
                    landed += touch.phase is DOWN and abs(touch.x - x) < 0.1
                    assert touch.phase is not MOVE or abs(touch.x - x) < 0.1  # no slide
        assert landed >= 1 or places < 2


def over(sent: list[tuple[str, tuple[float, ...]]], draw: random.Random) -> Iterator[tuple]:
    """Yield messages as a link delivers them that loses 10 %, doubles and swaps as many."""
    waiting = None
    for message in sent:
        fate = draw.random()
        if fate < 0.1:
            continue
        if fate < 0.2 and waiting is None:
            waiting = message
            continue
        yield message
        if fate > 0.9:
            yield message
        if waiting is not None:
            yield waiting
            waiting = None
    if waiting is not None:
        yield waiting


# -- ranges ----------------------------------------------------------------------------------

RANGES = [(-1.0, 1.0), (0.0, 10.0), (0.0, 100.0), (0.0, 127.0), (0.0, 255.0), (0.0, 1023.0),
          (-100.0, 100.0)]  # fmt: skip


@pytest.mark.parametrize("low_high", RANGES)
def test_range_of_a_pad_is_learnt_from_its_gestures_and_its_dot_has_it(low_high):
    low, high = low_high
    phone = Phone(learning=True)
    for step in range(200):
        share = 0.5 + 0.5 * math.sin(step / 5)
        phone.place(low + (high - low) * share, low + (high - low) * (1 - share))
    assert phone.learnt[-1] == phone.pads.pads[0]
    assert phone.pads.pads[0].ranges == (low_high, low_high)
    (touched,) = phone.place(low, high)
    assert isinstance(touched, PhaselessTouch)
    assert (touched.x, touched.y, touched.clipped) == (0.0, 0.0, False)
    packets = phone.pads.write(Touch(1.0, 1.0, 0.1, MOVE, 0, "ai"))
    assert decode(packets[0])[0] == [Message(XY, "ff", (high, low))]


def test_range_is_widened_by_two_messages_in_a_row_and_not_by_one():
    phone = Phone(Pad(XY))
    assert phone.place(0.5) == [PhaselessTouch(0.5, 0.5, id=2000)]
    assert phone.place(60.0) == [PhaselessTouch(1.0, 0.5, None, clipped=True, id=2000)]
    phone.place(0.6)
    phone.place(60.0)
    assert phone.learnt == []
    lifted, landed = phone.place(50.0, 25.0)
    assert lifted == Finger(UP, 2000)  # the same finger in other units is no slide
    assert landed == PhaselessTouch(0.5, 0.75, id=2000)
    assert [str(pad) for pad in phone.learnt] == ["/1/xy=x,-y:0..100"]


def test_finger_of_a_pad_that_sends_its_touch_lands_anew_when_the_range_is_widened(phone):
    phone.z(1, after=0.5)
    inputs = phone.place(0.5) + phone.place(-0.5) + phone.place(-0.5)
    assert phases(inputs) == [(DOWN, 0.5), (MOVE, 0.0), (DOWN, 0.25)]


def test_range_that_is_given_is_kept_and_what_is_beyond_is_clipped():
    given = Pad(XY, ranges=((0.0, 127.0), (0.0, 64.0)), fixed=True)
    phone = Phone(given)
    assert phone.place(127.0, 32.0) == [PhaselessTouch(1.0, 0.5, id=2000)]
    for _ in range(5):
        (clipped,) = phone.place(128.0, 32.0)
        assert clipped == PhaselessTouch(1.0, 0.5, None, clipped=True, id=2000)
    assert phone.pads.pads == [given]
    assert phone.learnt == []


def test_number_beyond_every_known_range_is_clipped_and_widens_nothing():
    phone = Phone(Pad(XY))
    for _ in range(3):
        assert phone.place(3e38) == [PhaselessTouch(1.0, 0.5, None, clipped=True, id=2000)]
    assert phone.place(math.nan) == [Dropped("not finite")]
    assert phone.learnt == []


# -- learning --------------------------------------------------------------------------------


def test_pad_with_an_unusual_range_is_learnt_once_it_moves():
    phone = Phone(learning=True)
    for _ in range(3):
        assert phone.send("/position", 51.5, 7.25) == []  # it does not move
    assert phone.place(50.0, 20.0) == []
    assert phone.send("/position", 51.5, 7.25) == []
    assert phone.place(50.0, 20.0) == []
    assert phone.place(52.0, 20.0, after=3.0) == []  # no finger moves so slowly
    assert phone.place(51.0, 20.0) == [PhaselessTouch(0.51, 0.8, id=2000)]
    assert [str(pad) for pad in phone.learnt] == ["/1/xy=x,-y:0..100"]


def test_touch_of_a_pad_that_is_learnt_with_its_next_message_is_kept():
    phone = Phone(learning=True)
    assert phone.z(1) == []
    assert phases(phone.place(0.5) + phone.place(0.6) + phone.z(0)) == [
        (DOWN, 0.5),
        (MOVE, 0.6),
        (UP, 0.0),
    ]


@pytest.mark.parametrize(
    ("address", "pad"),
    [
        ("/1/xy", "/1/xy"),
        ("/1/multixy1/2", "/1/multixy1"),
        ("/multixy1/1", "/multixy1"),
        ("/1/3", "/1/3"),  # the third pad of a page
        ("/7", "/7"),
    ],
)
def test_finger_of_a_multi_pad_makes_the_whole_of_it_a_pad(address, pad):
    phone = Phone(learning=True)
    assert len(phone.send(address, 0.5, 0.5)) == 1
    assert [learnt.address for learnt in phone.learnt] == [pad]


@pytest.mark.parametrize("address", ["/a b", "/\x1b[2J", "/a=b", "/accxyz", "/robojam/x"])
def test_address_that_no_option_can_name_is_not_learnt(address):
    phone = Phone(learning=True)
    assert phone.send(address, 0.5, 0.5) == []
    assert phone.learnt == []


def test_touch_in_the_message_of_the_place_makes_strokes_without_slides_between_them():
    phone = Phone(learning=True)
    strokes = [
        *[(0.1, 0.5, 1.0), (0.2, 0.5, 1.0), (0.2, 0.5, 0.0)],
        *[(0.2, 0.5, 1.0), (0.9, 0.5, 1.0), (0.9, 0.5, 1.0), (0.8, 0.5, 0.0)],
        *[(0.8, 0.5, 1.0), (0.8, 0.5, 0.0)],
    ]
    inputs = []
    for numbers in strokes:
        phone.now += 0.1
        inputs += phone.send("/xy1", *numbers)
    assert phases(inputs) == [
        *[(DOWN, 0.1), (MOVE, 0.2), (UP, 0.0)],
        *[(DOWN, 0.9), (MOVE, 0.8), (UP, 0.0)],
        *[(DOWN, 0.8), (UP, 0.0)],
    ]
    assert phone.send("/xy1", 0.3, 0.5, 0.0) == [Dropped("absent finger")]
    assert [learnt.address for learnt in phone.learnt] == ["/xy1"]
    phone.send("/xy1", 0.7, 0.5, 1.0)
    phone.send("/xy1", 0.6, 0.5, 0.0)
    assert phone.send("/xy1", 0.65, 0.5, 1.0) == [Dropped("late")]  # it was overtaken


def test_touch_of_a_pad_is_read_from_every_kind_of_argument():
    for tag, value, on in (("T", True, True), ("I", True, True), ("i", 1, True),
                           ("s", "1.0", True), ("F", False, False), ("N", None, False),
                           ("s", "0", False)):  # fmt: skip
        phone = Phone(Pad(XY))
        phone.stroke(0.5)
        phone.pads.read(Message(f"{XY}/z", tag, (value,)), HOST, phone.now + 1)
        phone.now += 2
        assert bool(phone.z(0)) is on  # a tap where it was
    assert Phone(Pad(XY)).send(f"{XY}/z", math.nan) == [Dropped("not finite")]


def test_stranger_does_not_widen_the_range_of_a_pad_that_another_host_plays():
    pads = Pads([Pad("/1/xy")])

    def read(host: str, value: float, now: float) -> list[Input]:
        return pads.read(Message("/1/xy", "ff", (value, 0.5)), host, now) or []

    read("10.0.0.7", 0.5, 0.0)
    for now in (1.0, 2.0, 3.0):
        (touch,) = read("10.0.0.9", 60_000.0, now)
        assert touch.clipped
    assert pads.pads == [Pad("/1/xy")]
    for now in (4.0, 5.0):
        read("10.0.0.7", 100.0, now)
    assert pads.pads[0].ranges == ((0.0, 100.0), (0.0, 100.0))
    for now in (700.0, 701.0):  # the first one is gone
        read("10.0.0.9", 127.0, now)
    assert pads.pads[0].ranges == ((0.0, 127.0), (0.0, 127.0))
