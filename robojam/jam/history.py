"""Snapshots of a jam to go back to: those of the last minute, and stored ones. Pure.

A snapshot is added just before the model is fed, when the last one is old enough. So the
history follows from what was played alone, and a recording in which someone goes back is
regenerated exactly. It is bounded.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from robojam.jam.voices import Phrases
from robojam.touch import MAX_BACK

#: Seconds between snapshots of a jam with up to _VOICES voices. With more voices snapshots are
#: larger, and rarer in proportion.
_INTERVAL, _VOICES = 0.25, 16


@dataclass(frozen=True, slots=True)
class JamSnapshot:
    """State of a jam at t, in seconds of the take.

    player is the player's snapshot; since_fed the seconds since the model was last fed (None:
    never); turn and turn_used whose turn it is and for how many seconds; since_bases, for
    each voice, the seconds since the instant from which its next dt counts; phrases what is
    left of planned phrases, and planned_by the controls that they were planned by; has_heard
    whether the model remembers a human's touch.
    """

    t: float
    player: Any
    since_fed: float | None
    turn: str
    turn_used: float
    since_bases: tuple[float, ...]
    phrases: Phrases = ()
    planned_by: tuple[float, ...] = ()
    has_heard: bool = False


class History:
    """Snapshots of the last minute, and those that were stored by name."""

    def __init__(self, voices: int) -> None:
        self.interval = _INTERVAL * max(1.0, voices / _VOICES)
        self._snapshots: deque[JamSnapshot] = deque(
            maxlen=max(2, round(MAX_BACK / self.interval) + 1)
        )
        self.stored: dict[str, JamSnapshot] = {}
        # Snapshots that the last store under each name replaced; None: there was none.
        self._replaced: dict[str, JamSnapshot | None] = {}

    def add_when_due(self, t: float, take: Callable[[], JamSnapshot]) -> None:
        """Take a snapshot at t if the last one is old enough; the oldest is dropped."""
        if not self._snapshots or t - self._snapshots[-1].t >= self.interval:
            self._snapshots.append(take())

    def at(self, t: float) -> JamSnapshot:
        """Return the first snapshot at or after t, else the last. There must be one.

        It was taken just before the model was fed again: when the jam was still at t, nothing
        lies between.
        """
        later = (snapshot for snapshot in self._snapshots if snapshot.t >= t)
        return next(later, self._snapshots[-1])

    def held(
        self,
    ) -> tuple[list[JamSnapshot], dict[str, JamSnapshot], dict[str, JamSnapshot | None]]:
        """Return the last snapshots, those stored, and those that were replaced."""
        return list(self._snapshots), dict(self.stored), dict(self._replaced)

    def hold(
        self,
        recent: Iterable[JamSnapshot],
        stored: dict[str, JamSnapshot],
        replaced: dict[str, JamSnapshot | None],
    ) -> None:
        """Hold these snapshots, as `held` returned them, in place of all others."""
        self.clear()
        self._snapshots.extend(recent)
        self.stored.update(stored)
        self._replaced.update(replaced)

    def store(self, name: str, snapshot: JamSnapshot) -> None:
        """Store a snapshot under a name; the one before it is kept for `undo_store`."""
        self._replaced[name] = self.stored.get(name)
        self.stored[name] = snapshot

    def undo_store(self, name: str) -> bool:
        """Undo the last store under a name; return whether there was one."""
        if name not in self._replaced:
            return False
        before = self._replaced.pop(name)
        if before is None:
            del self.stored[name]
        else:
            self.stored[name] = before
        return True

    def clear(self) -> None:
        """Drop all snapshots: another model cannot go on from them."""
        self._snapshots.clear()
        self.stored.clear()
        self._replaced.clear()
