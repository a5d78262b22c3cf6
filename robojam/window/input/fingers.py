"""Touches from the mouse and from fingers: the id and last position of each pointer. Pure."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from robojam.touch import Phase, clip
from robojam.window.client.own_touches import FIRST_ID

#: Pointer name of the mouse. Its id is FIRST_ID; fingers have the ids after it.
MOUSE = "mouse"
#: Fingers that play at the same time at most.
MAX_FINGERS = 10
#: Touch screens whose force is known at most.
MAX_SCREENS = 16
#: A finger that has been still for this many seconds leaves its place to a new one where
#: there are too many: its lift may have been lost.
STILL = 5.0


class PointerTouch(NamedTuple):
    """Touch of a pointer: phase, finger id, and position in screen units.

    pressure is 0..1 where the screen measures it.
    """

    phase: Phase
    id: int
    x: float
    y: float
    pressure: float | None = None


@dataclass(slots=True)
class ForceSensors:
    """Touch screens that have shown that they measure force.

    Those that do not report 1, a half or 0 for every touch.
    """

    _measuring: set[Hashable] = field(default_factory=set)

    def pressure(self, screen: Hashable, reported: float) -> float | None:
        """Return what a screen reported as a pressure, 0..1; None where it measures none."""
        if 0 < reported < 1 and reported != 0.5:
            if len(self._measuring) >= MAX_SCREENS:
                self._measuring.clear()
            self._measuring.add(screen)
        is_measured = screen in self._measuring and not math.isnan(reported)
        return clip(reported, 0, 1) if is_measured else None


@dataclass(slots=True)
class FingerInput:
    """Pointers that are down, each with its last touch. Times (now) are in seconds."""

    held: dict[Hashable, PointerTouch] = field(default_factory=dict)
    _touched_at: dict[Hashable, float] = field(default_factory=dict)

    def down(
        self, pointer: Hashable, x: float, y: float, now: float, pressure: float | None = None
    ) -> list[PointerTouch]:
        """Begin a touch. A pointer that was down is lifted first.

        When MAX_FINGERS are down, the one that has been still for longest leaves its place if
        that is STILL seconds or more; else the new one does not play.
        """
        lifted = self.up(pointer)
        ids: set[int] = {FIRST_ID}
        if pointer != MOUSE:
            ids = set(range(FIRST_ID + 1, FIRST_ID + 1 + MAX_FINGERS))
        by_id = {touch.id: other for other, touch in self.held.items() if touch.id in ids}
        if len(by_id) == len(ids):
            stillest = min(by_id.values(), key=lambda other: self._touched_at[other])
            if now - self._touched_at[stillest] < STILL:
                return lifted
            lifted += self.up(stillest)
            ids = {lifted[-1].id}
        finger = min(ids - {touch.id for touch in self.held.values()})
        return [*lifted, self._hold(pointer, Phase.DOWN, finger, x, y, now, pressure)]

    def move(
        self, pointer: Hashable, x: float, y: float, now: float, pressure: float | None = None
    ) -> list[PointerTouch]:
        """Move a pointer; outside the surface it follows the edge.

        One whose pressure alone changes is held still, as a key is.
        """
        last = self.held.get(pointer)
        if last is None or (clip(x, 0, 1), clip(y, 0, 1)) == (last.x, last.y):
            return []
        return [self._hold(pointer, Phase.MOVE, last.id, x, y, now, pressure)]

    def up(self, pointer: Hashable) -> list[PointerTouch]:
        """Lift a pointer at its last position."""
        last = self.held.pop(pointer, None)
        self._touched_at.pop(pointer, None)
        return [] if last is None else [last._replace(phase=Phase.UP, pressure=None)]

    def lift_all(self) -> list[PointerTouch]:
        """Lift all pointers."""
        return [touch for pointer in list(self.held) for touch in self.up(pointer)]

    def _hold(
        self,
        pointer: Hashable,
        phase: Phase,
        finger: int,
        x: float,
        y: float,
        now: float,
        pressure: float | None,
    ) -> PointerTouch:
        touch = PointerTouch(phase, finger, clip(x, 0, 1), clip(y, 0, 1), pressure)
        self.held[pointer], self._touched_at[pointer] = touch, now
        return touch
