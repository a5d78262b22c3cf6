"""Participants of a jam: humans in the order of their first touch, with rate limits."""

import logging

from robojam.controls import RefusedError
from robojam.engine.metrics import RateLimiter
from robojam.touch import nth

log = logging.getLogger("robojam")

#: Most humans, who are distinguished by their source.
MAX_HUMANS = 64
#: Touches of one human that are handled: a second, and in a burst.
_TOUCHES = (5000, 5000)


class Participants:
    """Humans by their source: a host, a TUIO source, a MIDI port."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._limiters: dict[str, RateLimiter] = {}

    def name_of(self, source: str) -> str | None:
        """Return the name of the human at a source; None when nobody has played from there."""
        return self._names.get(source)

    def admit(self, source: str, now: float) -> str:
        """Return the name of the human who plays at an instant (s). Raises RefusedError."""
        if source not in self._names:
            if len(self._names) >= MAX_HUMANS:
                raise RefusedError("too many players")
            self._names[source] = nth("human", len(self._names))
            self._limiters[source] = RateLimiter(*_TOUCHES)
            log.info("%s plays from %s", self._names[source], source)
        if not self._limiters[source].take(now):
            raise RefusedError("too fast")
        return self._names[source]
