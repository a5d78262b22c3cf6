"""Spacing of a pad's touches by its own clock. Pure.

A radio holds touches back and delivers them in a bunch. The pad writes the time of each on it,
by a clock of its own, of which nothing is believed but the spacing, and that within bounds.
"""

import math
from typing import Final

#: Longest time by which a touch may have been held back, in seconds.
MAX_LAG: Final = 0.5
#: Seconds of silence after which both clocks are aligned again.
_ALIGN_AFTER: Final = 1.0


class OwnClock:
    """Clock of one connection, on the scale of the arrivals, which it never overtakes."""

    def __init__(self) -> None:
        self._told_at = self._at = self._arrived_at = -math.inf

    def since_last(
        self, told: float, arrival: float, *, newest: float = math.nan
    ) -> float | None:
        """Return the seconds between a frame of touches and the one before; None at first.

        told is the pad's time of the frame, arrival ours, both in seconds; newest is the pad's
        time of the last frame that came with it. The result is never negative, and the sum of
        all is behind the arrivals by at most MAX_LAG.
        """
        before, silence = self._at, arrival - self._arrived_at
        passed, held_back = told - self._told_at, newest - told
        latest = arrival - (min(held_back, MAX_LAG) if held_back > 0.0 else 0.0)
        if not silence < _ALIGN_AFTER or not 0.0 <= passed < math.inf:
            self._at = max(before, latest)
        else:
            self._at = max(before, min(latest, max(before + passed, arrival - MAX_LAG)))
        # A clock that was set back is believed again from here on.
        self._told_at, self._arrived_at = told, arrival
        return None if before == -math.inf else self._at - before
