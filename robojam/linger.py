"""How long a finger has stayed where it is: at a point, or at an edge of the surface.

People rest a finger for seconds at times; a machine that does so is taken for stuck. What
would keep it in its place for longer than LONG is drawn again (robojam.voices,
robojam.generate). A finger that taps one place again and again is not staying there; but
at an edge it is, for there it taps what it cannot reach.
"""

from __future__ import annotations

#: So near in x and in y is the same place, or at an edge; in screens.
NEAR = 1 / 1024
#: Longer than this, in seconds, no finger of the machine's is to stay.
LONG = 0.8
#: What is so many seconds apart is no staying, but two places that happen to be one.
_APART = 1.0


class Linger:
    """The touches of one voice that are near to its last one, and those along an edge."""

    __slots__ = ("_edges", "_near")

    def __init__(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Forget all that was touched."""
        self._near: list[tuple[float, float, float]] = []  # t, x, y: in a square of 2 NEAR
        self._edges: list[tuple[float, float] | None] = [None] * 4  # first and last t at each

    def too_long(self, t: float, x: float, y: float, *, moving: bool) -> bool:
        """Tell whether another touch at t, in seconds, would make it stay for too long."""
        near = self._near
        if moving and near and t - near[-1][0] <= _APART:
            first = self._first(x, y)
            if first < len(near) and t - near[first][0] > LONG:
                return True
        return any(self._stayed(t, x, y))

    def aside(self, t: float, x: float, y: float) -> tuple[float, float]:
        """Return the place as it is, or off the edges at which it would stay for too long.

        For where all draws would leave the surface: what lies beyond an edge is at it.
        """
        left, right, top, bottom = self._stayed(t, x, y)
        off = 2 * NEAR
        return (
            off if left else 1 - off if right else x,
            off if top else 1 - off if bottom else y,
        )

    def _stayed(self, t: float, x: float, y: float) -> tuple[bool, ...]:
        """Tell which edges another touch at t would have stayed at for too long."""
        return tuple(
            at and since is not None and t - since[1] <= _APART and t - since[0] > LONG
            for since, at in zip(self._edges, _at(x, y), strict=True)
        )

    def touch(self, t: float, x: float, y: float, *, moving: bool) -> None:
        """Take in a touch that sounded."""
        near = self._near
        if not moving or (near and t - near[-1][0] > _APART):
            near.clear()
        else:
            del near[: self._first(x, y)]
        near.append((t, x, y))
        for edge, (since, at) in enumerate(zip(self._edges, _at(x, y), strict=True)):
            goes_on = since is not None and t - since[1] <= _APART
            self._edges[edge] = ((since[0] if since and goes_on else t), t) if at else None

    def _first(self, x: float, y: float) -> int:
        """From which of the touches on all lie within a square with another at x, y."""
        low_x = high_x = x
        low_y = high_y = y
        near = self._near
        at = len(near)
        while at:
            _, x, y = near[at - 1]
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
            if high_x - low_x > 2 * NEAR or high_y - low_y > 2 * NEAR:
                break
            at -= 1
        return at


def _at(x: float, y: float) -> tuple[bool, bool, bool, bool]:
    """Tell at which edges a place is."""
    return x <= NEAR, x >= 1 - NEAR, y <= NEAR, y >= 1 - NEAR
