"""One's own touches, as the engine tells them back.

A touch of one's own is drawn at once, engine or no engine, and its echo is not
drawn a second time. Which of the humans this window is, only the engine knows;
and another window may use the same ids. So an echo is known by what it says: the
same finger at exactly the place that was sent (OSC carries 32 bits of it) within
the last two seconds. The first one that matches also tells this window's name.
An echoed up needs no such care: it lifts a finger that was drawn from echoes, or
nothing.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

#: An echo later than this, in seconds, is not waited for.
LATEST = 2.0
#: The window's own fingers have ids from this one on.
FIRST_ID = 1000

_FLOAT = struct.Struct(">f")


def to_float32(value: float) -> float:
    """Round as OSC does, to 32 bits."""
    rounded: float = _FLOAT.unpack(_FLOAT.pack(value))[0]
    return rounded


@dataclass(slots=True)
class TouchEchoFilter:
    """What was sent and has not come back yet."""

    who: str = "human"
    pending: deque[tuple[float, int, float, float]] = field(
        default_factory=lambda: deque(maxlen=2000)
    )

    def add(self, finger: int, x: float, y: float, now: float) -> None:
        """Remember a down or a move, to know its echo."""
        self.pending.append((now, finger, to_float32(x), to_float32(y)))

    def is_echo(self, who: str, finger: int, x: float, y: float, now: float) -> bool:
        """Tell whether a down or a move from the engine is one of ours come back."""
        if finger < FIRST_ID:
            return False
        while self.pending and now - self.pending[0][0] > LATEST:
            self.pending.popleft()
        for index, (_, held, there_x, there_y) in enumerate(self.pending):
            if (held, there_x, there_y) == (finger, to_float32(x), to_float32(y)):
                del self.pending[index]
                self.who = who
                return True
        return False
