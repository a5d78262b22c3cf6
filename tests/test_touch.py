"""Touch, its limits, and the names of players."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.touch import (
    LIFT_AFTER,
    MAX_DT,
    MIN_DT,
    PAUSE_IS_DOWN,
    Phase,
    Touch,
    clip,
    is_machine,
    is_player,
    nth,
)


def test_limits_and_phases_are_those_of_the_contract() -> None:
    assert (MIN_DT, MAX_DT, LIFT_AFTER, PAUSE_IS_DOWN) == (0.001, 5.0, 0.15, 0.1)
    assert [str(phase) for phase in Phase] == ["down", "move", "up"]


def test_touch_is_compared_and_hashed_by_value_and_cannot_change() -> None:
    touch = Touch(0.5, 0.25, 0.1, Phase.MOVE)
    assert touch == Touch(0.5, 0.25, 0.1, Phase.MOVE, 0, "human")
    assert hash(touch) == hash(copy.copy(touch))
    with pytest.raises(AttributeError, match="immutable"):
        touch.x = 0.0  # type: ignore[misc]


@given(st.floats(allow_nan=False), st.floats(-10, 0), st.floats(0, 10))
def test_clip_returns_the_nearest_value_in_range(value: float, low: float, high: float) -> None:
    clipped = clip(value, low, high)
    assert low <= clipped <= high
    assert clipped == value or clipped in (low, high)
    assert clip(clipped, low, high) == clipped


def test_clip_of_nan_raises_value_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        clip(math.nan, 0.0, 1.0)


def test_nth_name_has_a_number_from_the_second_on() -> None:
    assert [nth("human", i) for i in range(3)] == ["human", "human2", "human3"]
    assert [nth("ai", i) for i in (0, 1, 4095)] == ["ai", "ai2", "ai4096"]


@given(st.integers(0, 5000))
def test_name_of_a_voice_is_a_machine_s_and_that_of_a_human_is_not(index: int) -> None:
    assert is_machine(nth("ai", index))
    assert not is_machine(nth("human", index))


@pytest.mark.parametrize("who", ["", "a", "aid", "ai-2", "ai 2", "AI", "human"])
def test_other_name_is_not_a_machine_s(who: str) -> None:
    assert not is_machine(who)


def test_player_name_is_human_or_ai_with_a_number_from_two():
    assert all(map(is_player, "human human2 human10 human9999 ai ai2 ai4096".split()))
    wrong = ["", "human1", "human0", "human02", "ai1", "ai2 ", "ai\n", "robot", "AI", "human2x",
             "human10000", "human²", "ai٣"]  # fmt: skip
    assert not any(map(is_player, wrong))
