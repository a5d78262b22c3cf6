"""Metrics of the engine (drops, lateness, memory) and the limiter of rates."""

import logging
import math
import sys
from array import array
from collections.abc import Callable

from robojam.jam.events import Counters

log = logging.getLogger("robojam")

#: Touches of which the lateness is kept.
_KEPT = 1024
#: Least seconds between two warnings of drops for one reason.
_QUIET = 60.0


class DropCounter(Counters):
    """Counters that log a warning of the drops for each reason, once a minute at most."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_until: dict[str, float] = {}

    def drop(self, reason: str, about: str = "", sender: str = "") -> None:
        """Count something that was dropped; about and sender add details to the warning."""
        super().drop(reason)
        now = self._clock()
        if now < self._quiet_until.get(reason, -math.inf):
            return
        self._quiet_until[reason] = now + _QUIET
        details = f" from {sender}" if sender else ""
        details += f" ({about})" if about else ""
        log.warning(
            "dropped%s: %s; %d so far, told once a minute", details, reason,
            self.dropped[reason], extra={"kind": f"drop {reason}"},
        )  # fmt: skip


class RateLimiter:
    """Token bucket: allows rate requests a second, and a burst at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._left, self._at = rate, burst, burst, 0.0

    def take(self, now: float) -> bool:
        """Take one request at an instant (s); return whether it is allowed."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def memory_mb() -> float | None:
    """Return the most memory that this process had resident, in MB; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


class Lateness:
    """Lateness of the last touches that were played, in seconds."""

    def __init__(self) -> None:
        self._late = array("d", bytes(8 * _KEPT))
        self._count = 0
        self.worst = 0.0
        self._worst_of_take, self._of_take = 0.0, 0

    def add(self, seconds: float) -> None:
        """Add the lateness of one touch."""
        self._late[self._count % _KEPT] = seconds
        self._count += 1
        self._of_take += 1
        if seconds > self._worst_of_take:
            self._worst_of_take = seconds
            self.worst = max(self.worst, seconds)

    def take(self) -> dict[str, float] | None:
        """Return a take's percentiles in milliseconds for its recording, and begin the next.

        None when nothing was played. The percentiles are those of the last touches.
        """
        count, worst = min(self._of_take, _KEPT), self._worst_of_take
        self._worst_of_take, self._of_take = 0.0, 0
        if not count:
            return None
        last = sorted(self._late[(self._count - 1 - i) % _KEPT] for i in range(count))
        at = {"p50": last[count // 2], "p99": last[int(0.99 * count)], "max": worst}
        return {name: round(1000 * seconds, 3) for name, seconds in at.items()}

    @property
    def p99(self) -> float:
        """99th percentile in seconds; 0 where nothing was played."""
        late = sorted(self._late[: min(self._count, _KEPT)])
        return late[int(0.99 * len(late))] if late else 0.0
