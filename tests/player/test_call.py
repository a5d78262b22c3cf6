"""Present call: its last touches, and copies that stay as they are."""

import random
from collections import deque

import pytest

from robojam.player.call import CALL_TOUCHES, Call


def touches(number):
    return [(i / 4096, 0.5, 0.01, i % 7 > 0) for i in range(number)]


@pytest.mark.parametrize("number", [0, 1, 31, 32, 33, 1023, 1024, 1025, 1056, 1057, 3000])
def test_call_has_its_last_touches(number):
    expected = touches(number)[-CALL_TOUCHES:]
    call = Call(touches(number))
    assert [*call] == expected
    assert len(call) == len(expected)
    assert call == Call(expected)
    assert call != Call([*expected, (0.0, 0.0, 0.0, False)])


def test_copies_stay_as_they_are_whatever_happens_to_the_others():
    chance, call, expected = random.Random(1), Call(), deque(maxlen=CALL_TOUCHES)
    copies = []
    for touch in touches(4000):
        call.append(touch)
        expected.append(touch)
        if chance.random() < 0.02:
            copies.append((call.copy(), [*expected]))
        if chance.random() < 0.0005:
            call.clear()
            expected.clear()
        if copies and chance.random() < 0.002:
            copy, held = chance.choice(copies)
            call, expected = copy.copy(), deque(held, CALL_TOUCHES)
    assert len(copies) > 50
    assert all([*copy] == held for copy, held in copies)


def test_copies_share_their_memory():
    call, copies = Call(), []
    for touch in touches(2000):
        call.append(touch)
        copies.append(call.copy())
    parts = {id(part) for copy in copies for part in copy._parts}
    assert len(parts) == 2000 // 32
