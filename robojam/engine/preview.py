"""Preview: touches for the sound alone, which are no part of the jam. Pure.

A window lets a recording be heard with it. Each touch comes a moment before it is due and
says how long before, so that a busy window or network does not make it unsteady.
"""

import math
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from robojam.controls import RefusedError
from robojam.jam.events import TouchPreviewed
from robojam.jam.fingers import FingerEvent, Fingers
from robojam.limits import RateLimiter
from robojam.touch import Phase
from robojam.wire.native import PreviewTouch

#: Seconds without a message after which a preview is ended.
TIMEOUT = 2.0
#: Added to the ids of its fingers, which must not be those of fingers in the jam.
_ID_OFFSET = 2**32
#: Touches that are handled: a second, and in a burst; and most fingers that are down.
_TOUCHES = (5000, 5000)
MAX_FINGERS = 256


class Preview:
    """Fingers of a preview."""

    def __init__(self, out: Callable[[TouchPreviewed, float], None]) -> None:
        """Send touches to out, each with its instant of the clock (s)."""
        self._out = out
        self._fingers = Fingers()
        self._limiter = RateLimiter(*_TOUCHES)
        self._until = self._message_at = -math.inf

    def handle(self, message: PreviewTouch, arrival: float) -> None:
        """Handle a touch, or that the preview goes on or is over. Raises RefusedError."""
        if not self._limiter.take(arrival):
            raise RefusedError("too fast")
        self._message_at = arrival
        at = self._until = max(self._until, arrival + message.wait)
        if message.phase is None:
            if not message.on:
                self.end(arrival)
            return
        if len(self._fingers) >= MAX_FINGERS and message.phase is not Phase.UP:
            self._play(self._fingers.lift_all(at))  # their lifts were lost
        place = (message.x, message.y)
        events = self._fingers.finger(at, message.who, message.id, message.phase, *place)
        if not isinstance(events, str):
            self._play(events)
        elif message.phase is not Phase.UP:  # an up after the end: it was lifted then
            raise RefusedError(events)

    def end(self, now: float) -> None:
        """Lift every finger, not before the touches that have come ahead of their time."""
        self._play(self._fingers.lift_all(max(now, self._until)))
        self._fingers = Fingers()

    def advance(self, now: float) -> float:
        """End the preview after a timeout; return the seconds until then, or infinity."""
        if not len(self._fingers):
            return math.inf
        left = self._message_at + TIMEOUT - now
        if left > 0:
            return left
        self.end(now)
        return math.inf

    def _play(self, events: Iterable[FingerEvent]) -> None:
        for event in events:
            touch = replace(event.touch, id=event.touch.id + _ID_OFFSET)
            self._out(TouchPreviewed(event.t, touch, touch.dt), event.t)
