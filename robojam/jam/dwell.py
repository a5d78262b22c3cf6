"""How long a finger has stayed where it is: at a point, or at an edge of the surface.

People rest a finger for seconds at times; a machine that does so is taken for stuck. What
would keep it in its place for longer than LONG is drawn again (robojam.jam.voices,
robojam.player.generate). A finger that taps one place again and again is not staying there; but
at an edge it is, for there it taps what it cannot reach.
"""

from __future__ import annotations

#: So near in x and in y is the same place, or at an edge; in screens.
NEAR = 1 / 1024
#: Longer than this, in seconds, no finger of the machine's is to stay.
LONG = 0.8
#: So often what would stay for longer is drawn again, at most.
AGAIN = 16
#: What is so many seconds apart is no staying, but two places that happen to be one.
_APART = 1.0


class DwellLimiter:
    """The touches of one voice that are near to its last one, and those along an edge."""

    __slots__ = ("_edges", "_near")

    def __init__(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Forget all that was touched."""
        # t, x, y: in a square of 2 NEAR; of those that are LONG ago the last one alone
        self._near: list[tuple[float, float, float]] = []
        self._edges: dict[int, tuple[float, float]] = {}  # the first and the last t at each

    def too_long(self, t: float, x: float, y: float, *, moving: bool) -> bool:
        """Tell whether another touch at t, in seconds, would make it stay for too long."""
        near = self._near
        if moving and near:
            first = self._first(t, x, y)
            if first < len(near) and t - near[first][0] > LONG:
                return True
        return bool(self._edges) and any(self._stayed(t, edge) for edge in _edges(x, y))

    def aside(self, t: float, x: float, y: float) -> tuple[float, float]:
        """Return the place as it is, or off the edges at which it would stay for too long.

        For where all draws would leave the surface: what lies beyond an edge is at it.
        """
        if self._edges:
            for edge in _edges(x, y):
                if self._stayed(t, edge):
                    off = 2 * NEAR if edge % 2 == 0 else 1 - 2 * NEAR
                    x, y = (off, y) if edge < 2 else (x, off)
        return x, y

    def touch(self, t: float, x: float, y: float, *, moving: bool) -> None:
        """Take in a touch that sounded."""
        near = self._near
        del near[: self._first(t, x, y) if moving else len(near)]
        while len(near) > 1 and t - near[1][0] > LONG:
            del near[0]
        near.append((t, x, y))
        at = _edges(x, y)
        if at or self._edges:
            before = self._edges
            self._edges = {e: (before[e][0] if self._goes_on(t, e) else t, t) for e in at}

    def _first(self, t: float, x: float, y: float) -> int:
        """From which of the touches on all lie within a square with another at x, y."""
        near = self._near
        at = len(near)
        if not at or t - near[-1][0] > _APART:
            return at
        low_x = high_x = x
        low_y = high_y = y
        while at:
            _, x, y = near[at - 1]
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
            if high_x - low_x > 2 * NEAR or high_y - low_y > 2 * NEAR:
                break
            at -= 1
        return at

    def _goes_on(self, t: float, edge: int) -> bool:
        """Tell whether a touch at t at an edge goes on with what was there."""
        return edge in self._edges and t - self._edges[edge][1] <= _APART

    def _stayed(self, t: float, edge: int) -> bool:
        """Tell whether a touch at t at an edge would stay there for too long."""
        return self._goes_on(t, edge) and t - self._edges[edge][0] > LONG


def _edges(x: float, y: float) -> list[int]:
    """Tell at which edges a place is: 0 and 1 left and right, 2 and 3 top and bottom."""
    if NEAR < x < 1 - NEAR and NEAR < y < 1 - NEAR:
        return []
    at = (x <= NEAR, x >= 1 - NEAR, y <= NEAR, y >= 1 - NEAR)
    return [edge for edge, here in enumerate(at) if here]
