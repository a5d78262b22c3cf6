"""Fairness of turns: whoever waits for an answer gets it, whatever visitors do. Pure.

Hosts are always in the jam: a host who plays is never interrupted. A visitor is in the jam
until it has made others wait for too long; then it is out, and as long as others wait for
their answer or get it, its touches neither delay nor end that, and the model is not fed them.
It is in again when it has paused, and alone it may play as long as it likes: nobody waits.

Times are seconds of the machine's clock. docs/limits.md has the reasons of the numbers.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

#: Seconds for which visitors, all together, may delay an answer that is due to others: the
#: silences of those, beyond the threshold, until the answer has been given.
PATIENCE = 10.0
#: Seconds for which a visitor who is out must pause to be in the jam again; a threshold that
#: is longer counts in its place.
PAUSE = 2.5
#: Seconds of an answer after which it has been given, even if it is cut short then; half of
#: a turn that is shorter.
ANSWERED = 2.5


@dataclass(slots=True)
class _Visitor:
    """Visitor: its last touch, and whether it is out of the jam."""

    touched_at: float = -math.inf
    is_out: bool = False


class FairTurns:
    """Players who wait for an answer, and the visitors who no longer delay it.

    A player waits who has played since its last answer, and now leaves room.
    """

    def __init__(self) -> None:
        #: Last touch, or request for an answer, of any host.
        self.host_at = -math.inf
        self._host_waits = False
        self._waiting: dict[str, float] = {}  # visitors, by their last touch, with its time
        self._delayed = 0.0  # seconds, until who waited played on
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
                self.end_waiting()
            elif self._host_waits:
                self._add_delay(min(now, began) - self.host_at - threshold)
            self.host_touched(now)
            return True
        if now - visitor.touched_at >= max(PAUSE, threshold):
            visitor.is_out = False
        visitor.touched_at = now
        since = self._waits_since(besides=who)
        if since is not None:
            if not answered and now >= since + threshold + self._patience:
                visitor.is_out = True
            if visitor.is_out:
                self._waiting.pop(who, None)
                return False
        before = self._waiting.pop(who, None)
        if answered:
            self.end_waiting()
        elif before is not None and not self._host_waits:
            self._add_delay(min(now, began) - max(before, self.host_at) - threshold)
        self._waiting[who] = now
        return True

    def answer_due(self, threshold: float) -> float:
        """Return when an answer is due whatever visitors play; infinity if nobody waits."""
        since = self._waits_since()
        return math.inf if since is None else since + threshold + self._patience

    @property
    def _patience(self) -> float:
        """Seconds that are left of the time for which visitors may delay an answer."""
        return max(0.0, PATIENCE - self._delayed)

    def _add_delay(self, seconds: float) -> None:
        self._delayed += max(0.0, seconds)

    def begin(self) -> None:
        """Begin turns in which nobody waits, and everybody is in the jam."""
        self.end_waiting()
        for visitor in self._visitors.values():
            visitor.is_out = False

    def end_waiting(self) -> None:
        """Note that nobody waits any more: the answer has been given."""
        self._host_waits = False
        self._delayed = 0.0
        self._waiting.clear()

    def shift(self, seconds: float) -> None:
        """Add a pause of the machine's clock to all times."""
        self.host_at += seconds
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
