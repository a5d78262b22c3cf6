"""Letters that play: three rows of keys are the surface, and a finger walks between them. Pure.

A key is a landing; a further key while one is held is where the finger slides to, at an
even speed; when the last is released it lifts. So taps, swipes and turns can be typed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from robojam.window.input.fingers import FingerInput, PointerTouch

#: How fast the finger slides, in screen units a second.
SPEED = 1.6
#: The keys by their place on a keyboard of any language (SDL's scancodes): rows of ten.
ROWS: tuple[tuple[int, ...], ...] = (
    (20, 26, 8, 21, 23, 28, 24, 12, 18, 19),
    (4, 22, 7, 9, 10, 11, 13, 14, 15, 51),
    (29, 27, 6, 25, 5, 17, 16, 54, 55, 56),
)
_POSITIONS = {
    key: ((column + 0.5 + 0.25 * row) / 10.5, (row + 0.5) / 3)
    for row, keys in enumerate(ROWS)
    for column, key in enumerate(keys)
}
POINTER = "keyboard"


def key_position(key: int) -> tuple[float, float] | None:
    """Return where a key is on the surface, in screen units; None for one that is not."""
    return _POSITIONS.get(key)


@dataclass(slots=True)
class Keyboard:
    """The keys that are held, the last one last; and the instant up to which it slid."""

    held: list[int] = field(default_factory=list)
    _slid_until: float = 0.0

    def down(self, key: int, fingers: FingerInput, now: float) -> list[PointerTouch]:
        """A key goes down."""
        at = key_position(key)
        if at is None or key in self.held:
            return []
        self.held.append(key)
        if len(self.held) > 1:
            return []
        self._slid_until = now
        return fingers.down(POINTER, *at)

    def up(self, key: int, fingers: FingerInput) -> list[PointerTouch]:
        """A key comes up."""
        if key not in self.held:
            return []
        self.held.remove(key)
        return [] if self.held else fingers.up(POINTER)

    def slide(self, fingers: FingerInput, now: float) -> list[PointerTouch]:
        """Slide on towards the key that was pressed last."""
        finger = fingers.held.get(POINTER)
        if not self.held or finger is None:
            return []
        x, y = _POSITIONS[self.held[-1]]
        far = math.hypot(x - finger.x, y - finger.y)
        reach = SPEED * max(0.0, now - self._slid_until)
        self._slid_until = now
        if far < 1e-6:
            return []
        share = min(1.0, reach / far)
        return fingers.move(
            POINTER, finger.x + (x - finger.x) * share, finger.y + (y - finger.y) * share
        )

    @property
    def is_sliding(self) -> bool:
        """Whether more than one key is held, and so the finger may be on its way."""
        return len(self.held) > 1
