"""What is listened to and not played: touches for the sound alone, which the jam never hears.

A window lets a recording be heard so. Each touch comes a moment before it is due and says
how long before, so a busy window or network does not make it unsteady.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from robojam.engine.metrics import RateLimiter
from robojam.jam.events import TouchPreviewed
from robojam.jam.fingers import FingerEvent, Fingers
from robojam.touch import Phase
from robojam.wire.native import PreviewTouch

#: Who auditions says so again before so many seconds have passed, or is gone.
LAPSE = 2.0
#: Its fingers are none of the jam's: their ids are beyond all that can come in.
_APART = 2**32
#: What is taken in, a second and in a burst.
_TOUCHES = (5000, 5000)


class Preview:
    """The fingers that are only listened to."""

    def __init__(self, out: Callable[[TouchPreviewed, float], None]) -> None:
        """Let them be heard by out, which takes each with its instant of the clock (s)."""
        self._out = out
        self._hands = Fingers()
        self._allowed = RateLimiter(*_TOUCHES)
        self._until = self._heard = -math.inf

    def take(self, what: PreviewTouch, arrival: float) -> str:
        """Take in a touch, or that the audition goes on or is over.

        Returns nothing, or the reason why it is dropped.
        """
        if not self._allowed.take(arrival):
            return "too fast"
        self._heard = arrival
        at = self._until = max(self._until, arrival + what.wait)
        if what.phase is None:
            if not what.on:
                self.end(arrival)
            return ""
        felt = self._hands.finger(at, what.who, what.id, what.phase, what.x, what.y)
        if isinstance(felt, str):
            return "" if what.phase is Phase.UP else felt  # it lifted when it was ended
        for one in felt:
            self._sound(one)
        return ""

    def end(self, now: float) -> None:
        """Lift everything, when what has come before its time is over."""
        for one in self._hands.lift_all(max(now, self._until)):
            self._sound(one)
        self._hands = Fingers()

    def lapse(self, now: float) -> float:
        """End it if it was left; return the seconds until then, infinity for never."""
        if not len(self._hands):
            return math.inf
        left = self._heard + LAPSE - now
        if left <= 0:
            self.end(now)
            return math.inf
        return left

    def _sound(self, felt: FingerEvent) -> None:
        touch = replace(felt.touch, id=felt.touch.id + _APART)
        self._out(TouchPreviewed(felt.t, touch, touch.dt), felt.t)
