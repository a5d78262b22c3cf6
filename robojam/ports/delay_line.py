"""Delay line of an output: what is known of the machine waits, so that all outputs meet. Pure.

A synthesiser behind a radio link sounds tens of milliseconds after it is sent a touch, and a
light at once. The output with the longest latency is sent each touch of the machine as soon
as it is played; the others get it later, by what their latency is shorter. A human's touch
waits nowhere: nothing of it is known before it comes.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from robojam.jam.events import (
    BeatCame,
    ControlChanged,
    Event,
    MotifReturned,
    TouchPlayed,
    TurnChanged,
)
from robojam.touch import Phase, is_machine

#: Controls at which whatever waits is handed on at once: silence is wanted now.
_SILENCING: Final = ("mode", "panic", "pause")


class DelayLine:
    """Events on their way to one output, which gets those of the machine `lag` seconds later.

    What waits is handed on at once, in its order, where a human takes the turn back, and
    where silence is asked for: nothing sounds after that.
    """

    def __init__(
        self,
        deliver: Callable[[Event, float], None],
        lag: float = 0.0,
        *,
        everyone: bool = False,
    ) -> None:
        """Hand on to deliver; everyone: the humans' touches wait, too, as in a replay."""
        self.lag, self.everyone, self._deliver = lag, everyone, deliver
        #: Whether the output waits by itself: it is handed events at once, with their instant.
        self.schedules = False
        self._waiting: deque[tuple[float, Event]] = deque()
        self._silenced_at = -math.inf  # time of the jam: fingers that lift then do so at once

    @property
    def handler(self) -> Callable[[Event, float], None]:
        """What takes events: `handle`, or where nothing waits what it hands on to."""
        return self.handle if self.lag or self._waiting else self._deliver

    def handle(self, event: Event, at: float) -> None:
        """Hand on an event, now or later; at is its instant of the clock, in seconds."""
        if not self.lag and not self._waiting:
            self._deliver(event, at)
        elif self.schedules:
            self._deliver(event, at + self.lag)
        elif self._waits(event):
            self._waiting.append((at + self.lag, event))
        else:
            if self._silences(event):
                self.flush()
            self._deliver(event, at)

    def _waits(self, event: Event) -> bool:
        if isinstance(event, TouchPlayed):
            lifts = event.touch.phase is Phase.UP and event.t == self._silenced_at
            return (self.everyone or is_machine(event.touch.who)) and not lifts
        return isinstance(event, TurnChanged | MotifReturned | BeatCame)

    def _silences(self, event: Event) -> bool:
        if isinstance(event, ControlChanged):
            if event.name in _SILENCING:
                self._silenced_at = event.t
            return event.name in _SILENCING
        if not isinstance(event, TouchPlayed) or event.touch.phase is Phase.UP:
            return False
        return any(isinstance(e, TurnChanged) and e.t == event.t for _, e in self._waiting)

    def advance(self, now: float) -> float:
        """Hand on what is due by now; return the seconds until more is, or infinity."""
        while self._waiting and self._waiting[0][0] <= now:
            at, event = self._waiting.popleft()
            self._deliver(event, at)
        return self._waiting[0][0] - now if self._waiting else math.inf

    def flush(self) -> None:
        """Hand on all that waits."""
        while self._waiting:
            at, event = self._waiting.popleft()
            self._deliver(event, at)
