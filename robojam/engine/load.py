"""Load of the machine that an engine runs on: how many voices it can play in time. Pure.

The rule: where more than a tenth of the time was missing, twice in a row, voices rest, the last
ones first, so that the others fit into the time there was: three of four voices at most, and
never the first. Where it was more than half of the time, by several acts, they rest at once:
what is heard waits meanwhile. When nothing has been missing for a while, an eighth of the
voices that play come back; where that was too much, it waits twice as long before the next try.
Before any voice rests, plans are dropped (robojam.jam.phrases): none is made while more than
4 % of the time is missing, or voices rest.
"""

from __future__ import annotations

import math
from typing import Final

#: Seconds that are looked at together, and the share of them that may be missing.
_SPAN: Final = 0.5
_MISSING: Final = 0.1
#: Share of a span that may be missing while phrases are planned: plans are dropped first.
_PLANS_MISSING: Final = 0.04
#: Least share of the voices that play on when others rest: what is missing may be so for other
#: reasons than they are.
_LEAST: Final = 0.25
#: The same of a machine that is far behind, and the acts that take part in it: a single one may
#: have been held up by something else.
_SHORT_SPAN, _FAR_BEHIND, _ACTS = 0.1, 0.5, 3
#: Spans in a row with too much to do after which voices rest.
_SPANS: Final = 2
#: Seconds without any missing after which voices come back: at first, and at most.
_CALM, _LONGEST_CALM = 4.0, 256.0


class Load:
    """Time that was missing lately, and the number of voices that rest because of it."""

    def __init__(self) -> None:
        self.resting = 0
        self._missing = self._missing_before = 0.0  # seconds of this span, and of the last
        # The same of the short span that began at an instant, and by how many acts.
        self._short_began, self._short_missing, self._acts = -math.inf, 0.0, 0
        self._span_began = -math.inf
        self._in_a_row = 0
        self._calm = _CALM
        self._calm_since = -math.inf
        self._woke_at = -math.inf

    @property
    def has_room(self) -> bool:
        """Whether there is time for what need not be: to plan phrases."""
        missing = max(self._missing, self._missing_before)
        return not self.resting and missing <= _PLANS_MISSING * _SPAN

    def miss(self, seconds: float) -> None:
        """Add seconds by which what was due, or heard, had to wait."""
        self._missing += seconds
        self._short_missing += seconds
        self._acts += seconds > 0

    def advance(self, now: float, voices: int) -> bool:
        """Look at the last span, if it is over; return whether `resting` has changed.

        voices is the number of all voices.
        """
        missing = self._take_far_behind(now)
        far_behind, elapsed = missing > 0, now - self._span_began
        if elapsed < _SPAN and not far_behind:
            return False
        if not far_behind:
            missing = self._missing / min(elapsed, 2 * _SPAN)
        before, playing = self.resting, voices - self.resting
        if missing > _MISSING:
            self._calm_since = now
            self._in_a_row += 1
            if (self._in_a_row >= _SPANS or far_behind) and playing > 1:
                if now - self._woke_at < 4 * _SPAN:
                    self._calm = min(2 * self._calm, _LONGEST_CALM)
                share = max(_LEAST, 1 - missing - _MISSING)
                self.resting = voices - max(1, int(playing * share))
                self._in_a_row = 0
        else:
            self._in_a_row = 0
            if self.resting and now - self._calm_since >= self._calm:
                self.resting = max(0, self.resting - max(1, playing // 8))
                self._calm_since = self._woke_at = now
        self._missing_before, self._missing, self._span_began = self._missing, 0.0, now
        return self.resting != before

    def _take_far_behind(self, now: float) -> float:
        """Return the share of the last short span that was missing, if that was too much."""
        elapsed = now - self._short_began
        if elapsed < _SHORT_SPAN:
            return 0.0
        missing = min(1.0, self._short_missing / min(elapsed, 2 * _SHORT_SPAN))
        far_behind = missing > _FAR_BEHIND and self._acts >= _ACTS
        self._short_began, self._short_missing, self._acts = now, 0.0, 0
        return missing if far_behind else 0.0

    def clear(self, voices: int) -> None:
        """Begin again, with another number of voices, of which at most all but one rest."""
        self.resting = min(self.resting, voices - 1)
        self._missing, self._missing_before, self._in_a_row = 0.0, 0.0, 0
