"""What can be gone back to: how the jam was, now and then, and in a few named memories.

Pure, and bounded. A moment is kept just before the model is fed, when the last one is
old enough: what is kept follows from what was played alone, so a recording that goes
back is regenerated exactly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from robojam.touch import MAX_BACK

#: Seconds between moments; with more voices than this they are as much larger and rarer.
GRAIN, MANY = 0.25, 16


@dataclass(frozen=True, slots=True)
class JamSnapshot:
    """How the jam was at t, in seconds of the take.

    player is what the player remembers; since, the seconds since the model was last
    fed (None: never); turn and turn_used, whose turn and how long it had gone on;
    bases, for each voice the seconds since the instant from which its next dt counts.
    """

    t: float
    player: Any
    since: float | None
    turn: str
    turn_used: float
    bases: tuple[float, ...]


class History:
    """The moments of the last minute, and those that were stored by name."""

    def __init__(self, voices: int) -> None:
        self.grain = GRAIN * max(1.0, voices / MANY)
        self._moments: deque[JamSnapshot] = deque(
            maxlen=max(2, round(MAX_BACK / self.grain) + 1)
        )
        self.stored: dict[str, JamSnapshot] = {}

    def wants(self, t: float) -> bool:
        """Whether a moment at t is worth keeping."""
        return not self._moments or t - self._moments[-1].t >= self.grain

    def keep(self, moment: JamSnapshot) -> None:
        """Keep a moment; the oldest makes room."""
        self._moments.append(moment)

    def at(self, t: float) -> JamSnapshot | None:
        """Return the moment nearest to t, or None where nothing was kept.

        The first that is no earlier: it was kept just before the model was fed again,
        so nothing lies between t and it when the jam was still.
        """
        later = (moment for moment in self._moments if moment.t >= t)
        return next(later, self._moments[-1] if self._moments else None)

    def forget(self) -> None:
        """Let go of everything: another model could not go on from it."""
        self._moments.clear()
        self.stored.clear()
