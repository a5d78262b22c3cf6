"""Mouse and fingers to touches: which id each has, and where it was last. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from robojam.touch import Phase, clip
from robojam.window.client.echo import FIRST_ID

#: The mouse, among the pointers; its id is FIRST_ID, the first finger's is one more.
MOUSE = "mouse"
#: So many fingers play at once.
MAX_FINGERS = 10


class PointerTouch(NamedTuple):
    """What a hand did: the phase, the finger's id, x and y in screen units."""

    phase: Phase
    id: int
    x: float
    y: float


@dataclass(slots=True)
class FingerInput:
    """The pointers that are down, each with its id and its last place."""

    held: dict[Hashable, PointerTouch] = field(default_factory=dict)

    def down(self, pointer: Hashable, x: float, y: float) -> list[PointerTouch]:
        """A pointer lands. One that was down is lifted first."""
        lifted = self.up(pointer)
        finger = self._free_id(pointer)
        if finger is None:
            return lifted
        return [*lifted, self._hold(pointer, Phase.DOWN, finger, x, y)]

    def move(self, pointer: Hashable, x: float, y: float) -> list[PointerTouch]:
        """A pointer slides; beyond the surface it slides along its edge."""
        last = self.held.get(pointer)
        if last is None:
            return []
        x, y = clip(x, 0, 1), clip(y, 0, 1)
        if (x, y) == (last.x, last.y):
            return []
        return [self._hold(pointer, Phase.MOVE, last.id, x, y)]

    def up(self, pointer: Hashable) -> list[PointerTouch]:
        """A pointer lifts, where it was last."""
        last = self.held.pop(pointer, None)
        return [] if last is None else [last._replace(phase=Phase.UP)]

    def lift_all(self) -> list[PointerTouch]:
        """Lift everything: the window goes, or looks elsewhere."""
        return [played for pointer in list(self.held) for played in self.up(pointer)]

    def _hold(
        self, pointer: Hashable, phase: Phase, finger: int, x: float, y: float
    ) -> PointerTouch:
        played = PointerTouch(phase, finger, clip(x, 0, 1), clip(y, 0, 1))
        self.held[pointer] = played
        return played

    def _free_id(self, pointer: Hashable) -> int | None:
        if pointer == MOUSE:
            return FIRST_ID
        taken = {played.id for played in self.held.values()}
        ids = range(FIRST_ID + 1, FIRST_ID + 1 + MAX_FINGERS)
        return next((finger for finger in ids if finger not in taken), None)
