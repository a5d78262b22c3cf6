"""Places for takes that wait or are played: in all, and for one host."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from robojam.web import limits
from robojam.web.answerer import BusyError

#: Takes that have ended by which the rate is measured, and the longest time to wait (s).
_RECENT, _MAX_RETRY = 64, 30.0


class Places:
    """Count of the takes that wait or are played, and the rate at which they end."""

    def __init__(self) -> None:
        self._owned = Counter[str]()
        self._ended = deque[float](maxlen=_RECENT)

    @contextmanager
    def taken(self, count: int, owner: str) -> Iterator[None]:
        """Take places for takes of an owner, "" for this machine. Raises BusyError."""
        self._check(count, owner)
        self._owned[owner] += count
        try:
            yield
        finally:
            self._owned[owner] -= count
            if not self._owned[owner]:
                del self._owned[owner]

    def ended(self) -> None:
        """Note that a take has been played."""
        self._ended.append(time.monotonic())

    @property
    def rate(self) -> float:
        """Rate at which takes have ended of late, a second."""
        if len(self._ended) < 2:
            return 0.0
        rate = len(self._ended) / max(time.monotonic() - self._ended[0], 1e-3)
        return rate if math.isfinite(rate) else 0.0

    @property
    def count(self) -> int:
        """Number of places that are taken."""
        return self._owned.total()

    def _check(self, count: int, owner: str) -> None:
        taken, rate = self.count, self.rate
        wait = min(max(1.0, (taken + count) / rate if rate else 1.0), _MAX_RETRY)
        if taken + count > limits.MAX_TAKES:
            raise BusyError(f"{taken} continuations are waiting or played", retry_after=wait)
        if owner and self._owned[owner] + count > limits.MAX_TAKES_OF_A_HOST:
            raise BusyError(
                f"{self._owned[owner]} continuations of this host are waiting or played",
                retry_after=wait,
                of_host=True,
            )
