"""Touches from the mouse and from fingers: the id and last position of each pointer. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from robojam.touch import Phase, clip
from robojam.window.client.echo import FIRST_ID

#: Pointer name of the mouse. Its id is FIRST_ID; fingers have the ids after it.
MOUSE = "mouse"
#: Fingers that play at the same time at most.
MAX_FINGERS = 10


class PointerTouch(NamedTuple):
    """Touch of a pointer: phase, finger id, and position in screen units."""

    phase: Phase
    id: int
    x: float
    y: float


@dataclass(slots=True)
class FingerInput:
    """Pointers that are down, each with its last touch."""

    held: dict[Hashable, PointerTouch] = field(default_factory=dict)

    def down(self, pointer: Hashable, x: float, y: float) -> list[PointerTouch]:
        """Begin a touch. A pointer that was down is lifted first."""
        lifted = self.up(pointer)
        taken = {touch.id for touch in self.held.values()}
        ids = (
            (FIRST_ID,) if pointer == MOUSE else range(FIRST_ID + 1, FIRST_ID + 1 + MAX_FINGERS)
        )
        for finger in ids:
            if finger not in taken:
                return [*lifted, self._hold(pointer, Phase.DOWN, finger, x, y)]
        return lifted

    def move(self, pointer: Hashable, x: float, y: float) -> list[PointerTouch]:
        """Move a pointer; outside the surface it follows the edge."""
        last = self.held.get(pointer)
        if last is None or (clip(x, 0, 1), clip(y, 0, 1)) == (last.x, last.y):
            return []
        return [self._hold(pointer, Phase.MOVE, last.id, x, y)]

    def up(self, pointer: Hashable) -> list[PointerTouch]:
        """Lift a pointer at its last position."""
        last = self.held.pop(pointer, None)
        return [] if last is None else [last._replace(phase=Phase.UP)]

    def lift_all(self) -> list[PointerTouch]:
        """Lift all pointers."""
        return [touch for pointer in list(self.held) for touch in self.up(pointer)]

    def _hold(
        self, pointer: Hashable, phase: Phase, finger: int, x: float, y: float
    ) -> PointerTouch:
        touch = PointerTouch(phase, finger, clip(x, 0, 1), clip(y, 0, 1))
        self.held[pointer] = touch
        return touch
