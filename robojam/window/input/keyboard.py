"""Playing with letter keys: three rows of keys cover the surface. Pure.

The first key is a landing. A further key while one is held is a target, to which the
finger slides at constant speed. It lifts when the last key is released. So taps, swipes
and curves can be played.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from robojam.window.input.fingers import FingerInput, PointerTouch

#: Speed of the finger, in screen units a second.
SPEED = 1.6
#: Keys by their place on a keyboard of any language (SDL scancodes): three rows of ten.
ROWS: tuple[tuple[int, ...], ...] = (
    (20, 26, 8, 21, 23, 28, 24, 12, 18, 19),
    (4, 22, 7, 9, 10, 11, 13, 14, 15, 51),
    (29, 27, 6, 25, 5, 17, 16, 54, 55, 56),
)
#: Position of each key on the surface, in screen units.
PLACES = {
    key: ((column + 0.5 + 0.25 * row) / 10.5, (row + 0.5) / 3)
    for row, keys in enumerate(ROWS)
    for column, key in enumerate(keys)
}
#: Pointer name of the keyboard's finger.
POINTER = "keyboard"


@dataclass(slots=True)
class Keyboard:
    """Keys that are held, in the order of pressing."""

    held: list[int] = field(default_factory=list)
    _slid_until: float = 0.0

    def down(self, key: int, fingers: FingerInput, now: float) -> list[PointerTouch]:
        """Press a key; return the touches that follow from it."""
        if key not in PLACES or key in self.held:
            return []
        self.held.append(key)
        if self.is_sliding:
            return []
        self._slid_until = now
        return fingers.down(POINTER, *PLACES[key], now)

    def up(self, key: int, fingers: FingerInput) -> list[PointerTouch]:
        """Release a key; return the touches that follow from it."""
        if key not in self.held:
            return []
        self.held.remove(key)
        return [] if self.held else fingers.up(POINTER)

    def slide(self, fingers: FingerInput, now: float) -> list[PointerTouch]:
        """Slide towards the key that was pressed last; return the touches."""
        finger = fingers.held.get(POINTER)
        if not self.held or finger is None:
            return []
        x, y = PLACES[self.held[-1]]
        distance = math.hypot(x - finger.x, y - finger.y)
        reach = SPEED * max(0.0, now - self._slid_until)
        self._slid_until = now
        if distance < 1e-6:
            return []
        share = min(1.0, reach / distance)
        x, y = finger.x + (x - finger.x) * share, finger.y + (y - finger.y) * share
        return fingers.move(POINTER, x, y, now)

    @property
    def is_sliding(self) -> bool:
        """Whether more than one key is held, so that the finger may be moving."""
        return len(self.held) > 1
