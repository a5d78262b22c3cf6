"""Playing with letter keys."""

from __future__ import annotations

import pytest

from robojam.touch import Phase
from robojam.window.input.fingers import FingerInput
from robojam.window.input.keyboard import ROWS, SPEED, Keyboard


def test_one_letter_is_a_tap_and_a_second_one_a_slide():
    keyboard, fingers = Keyboard(), FingerInput()
    (down,) = keyboard.down(ROWS[1][0], fingers, 1.0)
    assert down.phase is Phase.DOWN
    assert keyboard.down(ROWS[1][4], fingers, 1.1) == []
    (first,) = keyboard.slide(fingers, 1.15)
    assert first.phase is Phase.MOVE
    assert first.x - down.x == pytest.approx(0.15 * SPEED)
    (arrived,) = keyboard.slide(fingers, 9.0)
    assert keyboard.slide(fingers, 9.1) == []
    assert arrived.x > first.x
    assert keyboard.up(ROWS[1][4], fingers) == []
    (up,) = keyboard.up(ROWS[1][0], fingers)
    assert up.phase is Phase.UP
