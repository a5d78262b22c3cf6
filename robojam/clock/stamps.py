"""Time stamps of a MIDI system, as instants of this process's clock. Pure."""

import math
from collections import deque
from typing import Final

#: Messages of which the one with the least delay tells the difference of the two clocks.
_WINDOW: Final = 256
#: Difference in seconds by which a stamp is wrong, and counts no more.
_WRONG: Final = 0.25


class StampedTimes:
    """Instants of messages that a MIDI system stamps with the time since the one before.

    A message is stamped when it comes, and arrives here a little later, by a delay that is
    never less than nothing. The message that was delayed least of the last ones says what the
    stamps mean; so a thread that wakes late makes no message late. A system whose stamps
    disagree with the arrivals has none that are of use, and the arrivals count.
    """

    def __init__(self) -> None:
        self._stamp = 0.0
        self._delays: deque[float] = deque(maxlen=_WINDOW)  # arrival less stamp

    def at(self, arrival: float, since_last: float) -> float:
        """Return the instant of a message that arrived at one, stamped since_last (s)."""
        if not (math.isfinite(since_last) and since_last >= 0.0):
            since_last = 0.0
        self._stamp += since_last
        delay = arrival - self._stamp
        if self._delays and abs(delay - min(self._delays)) > _WRONG:
            self._delays.clear()
        self._delays.append(delay)
        return self._stamp + min(self._delays)
