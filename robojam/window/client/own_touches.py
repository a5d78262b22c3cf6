"""Own touches of the window, which the engine reports back to it.

An own touch is drawn at once, with or without an engine, so it must not be drawn again when
the engine reports it. Only the engine knows which human this window is, and another window
may use the same ids. An own touch is therefore recognised by its content: the same finger at
exactly the position that was sent (as 32-bit floats, as in OSC), within MAX_DELAY seconds.
The first match also gives this window's player name. An up that is reported needs no filter:
it lifts a finger that was drawn from a report, or none.
"""

from __future__ import annotations

from collections import deque
from ctypes import c_float
from dataclasses import dataclass, field

#: Longest time until a touch is reported, in seconds.
MAX_DELAY = 2.0
#: Ids of the window's own fingers begin here.
FIRST_ID = 1000


@dataclass(slots=True)
class OwnTouches:
    """Own touches that were sent and have not come back; who is this window's player."""

    who: str = "human"
    pending: deque[tuple[float, int, float, float]] = field(
        default_factory=lambda: deque(maxlen=2000)
    )

    def add(self, finger: int, x: float, y: float, now: float) -> None:
        """Remember a down or a move that was sent."""
        self.pending.append((now, finger, c_float(x).value, c_float(y).value))

    def is_reported(self, who: str, finger: int, x: float, y: float, now: float) -> bool:
        """Return whether a down or a move from the engine is an own touch."""
        if finger < FIRST_ID:
            return False
        while self.pending and now - self.pending[0][0] > MAX_DELAY:
            self.pending.popleft()
        touch = [finger, c_float(x).value, c_float(y).value]
        for index, (_, *sent) in enumerate(self.pending):
            if sent == touch:
                del self.pending[index]
                self.who = who
                return True
        return False
