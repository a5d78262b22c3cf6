"""A touch, the value that robojam receives, plays, sends and records; names of players."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

#: Shortest and longest time between two touches that a machine plays, in seconds.
MIN_DT = 0.001
MAX_DT = 5.0
#: Seconds after its last touch when a finger lifts by itself: that of a player without
#: phases, and that of a machine with no move pending.
LIFT_AFTER = 0.15
#: Pressure that a model is fed before any was measured: later the last one goes on.
PRESSURE_RESTS: Final = 0.5
#: Longest pause, in seconds, before a touch of a player without phases that is still a move.
PAUSE_IS_DOWN = 0.1
#: Most fingers of one player, as many as the cursors of a TUIO frame.
MAX_FINGERS = 64
#: Most values of an event of knobs, and the value of a knob that nobody has moved.
MAX_KNOBS: Final = 16
KNOB_RESTS: Final = 0.5
#: Names of the knobs of an instrument, from the first.
KNOB_NAMES: Final = tuple(f"knob-{number}" for number in range(1, MAX_KNOBS + 1))
#: Ids of fingers: OSC sends them in 32 bits.
FINGER_IDS: Final = range(-(2**31), 2**31)
#: Longest time by which a jam can go back, in seconds, and the names of its stored snapshots.
MAX_BACK = 60.0
MEMORIES = "ABCDEFGH"


class Phase(StrEnum):
    """Action of a finger: it lands, slides or lifts."""

    DOWN = "down"
    MOVE = "move"
    UP = "up"


class Touch(Struct, frozen=True):
    """One touch of one finger.

    x and y are in screen units, 0..1 from left to right and from top to bottom.
    dt is in seconds, since the last down or move of the same ``who`` (0 for the
    first); an ``up`` carries the last x and y, and its own time since then.
    id tells fingers apart. who is ``human``, ``human2``, … or ``ai``, ``ai2``, ….
    pressure is 0..1 where a player's device measures it, as a key's velocity at landing, or
    where the machine plays by a model that has learnt it; else None, and for an ``up``.

    An event of knobs is a touch, too: knobs has the values of all of them, 0..1, and x and y
    are the first two (`place_of`). It is empty for a touch of a finger.
    """

    x: float
    y: float
    dt: float
    phase: Phase
    id: int = 0
    who: str = "human"
    pressure: float | None = None
    knobs: tuple[float, ...] = ()


def place_of(knobs: Sequence[float]) -> tuple[float, float]:
    """Return x and y of an event of knobs: the first two; with one knob, y is the middle."""
    return knobs[0], knobs[1] if len(knobs) > 1 else KNOB_RESTS


def clip(value: float, low: float, high: float) -> float:
    """Return a value clipped to [low, high]. Raises ValueError for NaN."""
    if math.isnan(value):
        raise ValueError("a touch cannot hold NaN")
    return low if value < low else high if value > high else value


def nth(name: str, index: int) -> str:
    """Return the name of a player by its index, from 0: human, human2, human3, …"""
    return name if index == 0 else f"{name}{index + 1}"


_PLAYER = re.compile(r"(human|ai)([2-9]|[1-9][0-9]{1,3})?")


@lru_cache(maxsize=8192)
def is_player(name: str) -> bool:
    """Return whether a name is that of a player: human, human2 to human9999, ai, ai2, …"""
    return _PLAYER.fullmatch(name) is not None


@lru_cache(maxsize=8192)
def is_machine(who: str) -> bool:
    """Return whether ``who`` is one of the machine's voices."""
    return who == "ai" or (who.startswith("ai") and who[2:].isdecimal())
