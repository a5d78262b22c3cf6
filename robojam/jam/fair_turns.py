"""Fairness of turns: whoever waits for an answer gets it, whatever visitors do. Pure.

Hosts are always in the jam: a host who plays is never interrupted. A visitor is in the jam
until it has made others wait for too long; then it is out, and as long as others wait for
their answer or get it, its touches neither delay nor end that, and the model is not fed them.
It is in again when it has paused, and alone it may play as long as it likes: nobody waits.

Visitors, all together, may delay answers by PATIENCE seconds, and what they use up comes back
slowly: REGAINED of it in each second. So a crowd in which each plays but once costs a few
seconds at the first answer, and then a share of the time.

Times are seconds of the machine's clock. docs/limits.md has the reasons of the numbers.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from robojam.jam.numbers import Past, Seconds

#: Seconds for which visitors, all together, may delay the answers that are due to others: the
#: silences of those, beyond the threshold, until the answer has been given.
PATIENCE = 10.0
#: Seconds of these that come back in each second.
REGAINED = 0.2
#: Seconds for which a visitor who is out must pause to be in the jam again; a threshold that
#: is longer counts in its place.
PAUSE = 2.5
#: Seconds of an answer after which it has been given, even if it is cut short then; half of
#: a turn that is shorter.
ANSWERED = 2.5


@dataclass(slots=True)
class _Visitor:
    """Visitor: its last touch, and whether it is out of the jam."""

    touched_at: Past = -math.inf
    is_out: bool = False


class FairTurns:
    """Players who wait for an answer, and the visitors who no longer delay it.

    A player waits who has played since its last answer, and now leaves room.
    """

    STATE: ClassVar[dict[str, Any]] = {
        "host_at": Past,
        "_host_waits": bool,
        "_waiting": dict[str, Seconds],
        "_delayed": Seconds,
        "_delayed_at": Seconds,
        "_visitors": dict[str, _Visitor],
    }

    def __init__(self, *, regains: bool = True) -> None:
        """Begin with nobody.

        regains: what delays have used up of PATIENCE comes back slowly; if not, all of it with
        each answer, as in recordings of the first rules.
        """
        #: Last touch, or request for an answer, of any host.
        self.host_at = -math.inf
        self._host_waits = False
        self._waiting: dict[str, float] = {}  # visitors, by their last touch, with its time
        self._regains = regains
        #: Seconds that delays have used up, and the end of the last of them.
        self._delayed, self._delayed_at = 0.0, 0.0
        self._visitors: dict[str, _Visitor] = {}
        #: Names of the players who are visitors, at any time; all others are hosts.
        self.visitors: Collection[str] = self._visitors.keys()

    def is_out(self, who: str) -> bool:
        """Return whether a player is a visitor who is out of the jam."""
        visitor = self._visitors.get(who)
        return visitor is not None and visitor.is_out

    def add_visitor(self, who: str) -> bool:
        """Make a player a visitor; return whether it was none."""
        if who in self._visitors:
            return False
        self._visitors[who] = _Visitor()
        return True

    def remove_visitor(self, who: str) -> bool:
        """Make a visitor a host; return whether it was a visitor."""
        self._waiting.pop(who, None)
        return self._visitors.pop(who, None) is not None

    def host_touched(self, now: float) -> None:
        """Note that a host has played, or has asked for an answer."""
        self.host_at, self._host_waits = now, True

    def touch(
        self, who: str, now: float, threshold: float, *, began: float = math.inf, enough: float
    ) -> bool:
        """Note a player's landing or slide; return whether it counts for the turns.

        threshold is the silence that an answer follows. began: when the present answer began,
        if there is one; after enough seconds it has been given, and may be cut short.
        """
        answered = now - began >= enough
        visitor = self._visitors.get(who)
        if visitor is None:
            if answered:
                self.answered(began, threshold)
            elif self._host_waits:
                self._add_delay(self.host_at, min(now, began), threshold)
            self.host_touched(now)
            return True
        if now - visitor.touched_at >= max(PAUSE, threshold):
            visitor.is_out = False
        visitor.touched_at = now
        since = self._waits_since(besides=who)
        if since is not None:
            if not answered and now >= since + threshold + self._patience(since):
                visitor.is_out = True
            if visitor.is_out:
                self._waiting.pop(who, None)
                return False
        if answered:
            self.answered(began, threshold)
        before = self._waiting.pop(who, None)
        if before is not None and not self._host_waits:
            self._add_delay(max(before, self.host_at), min(now, began), threshold)
        self._waiting[who] = now
        return True

    def answer_due(self, threshold: float) -> float:
        """Return when an answer is due whatever visitors play; infinity if nobody waits."""
        since = self._waits_since()
        return math.inf if since is None else since + threshold + self._patience(since)

    def _patience(self, now: float) -> float:
        """Return the seconds for which visitors may delay an answer to a silence from now."""
        return max(0.0, PATIENCE - self._used(now))

    def _used(self, now: float) -> float:
        """Return the seconds of PATIENCE that are used up at an instant."""
        if not self._regains:
            return self._delayed
        return max(0.0, self._delayed - REGAINED * (now - self._delayed_at))

    def _add_delay(self, since: float, end: float, threshold: float) -> None:
        """Note that a silence since an instant, beyond the threshold, has been no answer's.

        Of silences of several players at a time, each second counts once.
        """
        seconds = end - since - threshold
        if self._regains:
            seconds = min(seconds, end - self._delayed_at)
        if seconds > 0.0:
            used = self._used(end) + seconds
            self._delayed = min(used, PATIENCE) if self._regains else used
            self._delayed_at = end

    def begin(self) -> None:
        """Begin turns in which nobody waits, and everybody is in the jam."""
        self.end_waiting()
        for visitor in self._visitors.values():
            visitor.is_out = False

    def answered(self, began: float, threshold: float) -> None:
        """Note that an answer has been given, which began at an instant."""
        since = self._waits_since()
        if since is not None:
            self._add_delay(since, began, threshold)
        self.end_waiting()

    def end_waiting(self) -> None:
        """Note that nobody waits any more."""
        self._host_waits = False
        self._waiting.clear()
        if not self._regains:
            self._delayed = 0.0

    def shift(self, seconds: float) -> None:
        """Add a pause of the machine's clock to all times."""
        self.host_at += seconds
        self._delayed_at += seconds
        for who in self._waiting:
            self._waiting[who] += seconds
        for visitor in self._visitors.values():
            visitor.touched_at += seconds

    def _waits_since(self, besides: str = "") -> float | None:
        """Return since when somebody else than a player waits; None if nobody does.

        Nobody waits while a host plays: a host is not interrupted.
        """
        if self._host_waits:
            return self.host_at
        for who, at in self._waiting.items():  # two at most are looked at
            if who != besides:
                return max(at, self.host_at)
        return None
