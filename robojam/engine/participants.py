"""Who plays: the humans in the order of their first touch, and how much each may send."""

from __future__ import annotations

import logging

from robojam.engine.metrics import RateLimiter
from robojam.touch import nth

log = logging.getLogger("robojam")

#: Players that can be told apart by their source; more is a flood.
MAX_HUMANS = 64
#: Touches of one player that are taken in, a second and in a burst.
_TOUCHES = (5000, 5000)


class Participants:
    """The humans, each known by its source: a host, a TUIO source, a MIDI port."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._allowed: dict[str, RateLimiter] = {}

    def known(self, source: str) -> str | None:
        """Return the name of who plays from a source; None when nobody has yet."""
        return self._names.get(source)

    def let_in(self, source: str, now: float) -> tuple[str, str]:
        """Let a touch of a source in at an instant.

        Returns its player's name, and nothing or the reason why the touch is dropped.
        """
        if source not in self._names:
            if len(self._names) >= MAX_HUMANS:
                return "", "too many players"
            self._names[source] = nth("human", len(self._names))
            self._allowed[source] = RateLimiter(*_TOUCHES)
            log.info("%s plays from %s", self._names[source], source)
        return self._names[source], "" if self._allowed[source].take(now) else "too fast"
