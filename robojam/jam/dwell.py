"""Limit of how long a finger of the machine stays in its place: at a point, or at an edge.

People rest a finger for seconds at times; a machine that does so seems stuck. A touch that
would keep the finger in its place for longer than the limit is drawn again (robojam.jam.voices,
robojam.player.generate). A finger that taps one place again and again does not stay there;
but at an edge it does, since there it taps places that it cannot reach.
"""

from __future__ import annotations

from typing import Any, ClassVar

from robojam.jam.numbers import Future, Seconds

#: Distance in x and in y, in screens, within which two places are the same, or at an edge.
NEAR = 1 / 1024
#: Longest time, in seconds, that a finger of the machine stays in its place by default.
LONG = 0.8
#: Redraws, at most, of a touch that would make it stay for longer.
REDRAWS = 16
#: Touches further apart than this, in seconds, are two visits and no stay.
_APART = 1.0


class DwellLimiter:
    """Record of one voice's touches near its last one, and along an edge.

    limit is the longest stay, in seconds; it may be changed at any time.
    """

    __slots__ = ("_edges", "_near", "limit")
    STATE: ClassVar[dict[str, Any]] = {
        "limit": Future,
        "_near": list[tuple[Seconds, Seconds, Seconds]],
        "_edges": dict[int, tuple[Seconds, Seconds]],
    }

    def __init__(self) -> None:
        self.limit = LONG
        self.clear()

    def clear(self) -> None:
        """Forget all touches."""
        # t, x, y within a square of side 2 NEAR; of those older than limit the last one only
        self._near: list[tuple[float, float, float]] = []
        self._edges: dict[int, tuple[float, float]] = {}  # the first and the last t at each

    def copy(self) -> DwellLimiter:
        """Return a limiter with the same record and limit."""
        other = DwellLimiter()
        other.limit, other._near, other._edges = self.limit, list(self._near), dict(self._edges)
        return other

    def too_long(self, t: float, x: float, y: float, *, moving: bool) -> bool:
        """Return whether a touch at t (seconds) would make the finger stay for too long."""
        near = self._near
        if moving and near:
            first = self._first(t, x, y)
            if first < len(near) and t - near[first][0] > self.limit:
                return True
        return bool(self._edges) and any(self._stayed(t, edge) for edge in _edges(x, y))

    def off_edges(self, t: float, x: float, y: float) -> tuple[float, float]:
        """Return a place, moved off the edges at which the finger would stay for too long.

        Needed where all draws lie beyond the surface: clipped, they are at its edge.
        """
        if self._edges:
            for edge in _edges(x, y):
                if self._stayed(t, edge):
                    off = 2 * NEAR if edge % 2 == 0 else 1 - 2 * NEAR
                    x, y = (off, y) if edge < 2 else (x, off)
        return x, y

    def touch(self, t: float, x: float, y: float, *, moving: bool) -> None:
        """Record a touch that was played."""
        near = self._near
        del near[: self._first(t, x, y) if moving else len(near)]
        while len(near) > 1 and t - near[1][0] > self.limit:
            del near[0]
        near.append((t, x, y))
        at = _edges(x, y)
        if at or self._edges:
            before = self._edges
            self._edges = {e: (before[e][0] if self._goes_on(t, e) else t, t) for e in at}

    def _first(self, t: float, x: float, y: float) -> int:
        """Return the first index from which all touches lie in a square of 2 NEAR with x, y."""
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
        """Return whether a touch at t at an edge continues a stay there."""
        return edge in self._edges and t - self._edges[edge][1] <= _APART

    def _stayed(self, t: float, edge: int) -> bool:
        """Return whether a touch at t at an edge would make a stay there too long."""
        return self._goes_on(t, edge) and t - self._edges[edge][0] > self.limit


def _edges(x: float, y: float) -> list[int]:
    """Return the edges at which a place is: 0 left, 1 right, 2 top, 3 bottom."""
    if NEAR < x < 1 - NEAR and NEAR < y < 1 - NEAR:
        return []
    at = (x <= NEAR, x >= 1 - NEAR, y <= NEAR, y >= 1 - NEAR)
    return [edge for edge, is_there in enumerate(at) if is_there]
