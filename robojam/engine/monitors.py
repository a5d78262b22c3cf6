"""Monitors: who watches the jam, until when, and what goes round in circles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robojam.ports.udp import Address
from robojam.wire import native

#: At most so many monitors watch; each lapses after so many seconds unless renewed.
MAX_MONITORS = 8
MONITOR_LIFE = 10.0
#: A control that comes from a monitor's host within so many seconds of having been told
#: to it may be an echo; it surely is when that happens so many times in a row.
_ECHO, _ECHOES = 0.1, 8
#: Seconds between forecasts: a window draws no more often. One takes a fraction of a
#: millisecond, and so is made only when nothing is due for some.
_FORECAST_EVERY, _FORECAST_TAKES = 1 / 30, 0.003


@dataclass(slots=True)
class _Told:
    """When a control was told last, and how many times in a row it came back at once."""

    at: float
    returns: int = 0


class Monitors:
    """Who watches the jam, and until when unless renewed."""

    def __init__(self, send: Callable[[bytes, Address], None]) -> None:
        self._send = send
        self._until: dict[Address, float] = {}
        self._told: dict[bytes, _Told] = {}
        self._expected: object = None
        self._expect_at = 0.0

    def __len__(self) -> int:
        """How many watched when they were last looked through."""
        return len(self._until)

    def add(self, who: Address, now: float) -> bool | None:
        """Let someone watch, or go on: True when new, None when there is no place left."""
        self.lapse(now)
        new = who not in self._until
        if new and len(self._until) >= MAX_MONITORS:
            return None
        if new:
            self._expected = None
        self._until[who] = now + MONITOR_LIFE
        return new

    def remove(self, who: Address) -> None:
        """Let someone go."""
        self._until.pop(who, None)

    def lapse(self, now: float) -> None:
        """Let those go who have not renewed."""
        if any(until <= now for until in self._until.values()):
            self._until = {who: until for who, until in self._until.items() if until > now}

    def send(self, packet: bytes) -> None:
        """Send a packet to everyone who watches."""
        for who in self._until:
            self._send(packet, who)

    def expect(
        self,
        heard: object,
        forecast: Callable[[], Sequence[Sequence[float]]],
        now: float,
        wait: float,
    ) -> float:
        """Tell what the model expects, if it has heard more and there is time.

        heard changes as it hears more; wait is in seconds, until something is due.
        Returns the seconds after which to look again.
        """
        if not self._until or heard == self._expected:
            return math.inf
        if now < self._expect_at:
            return self._expect_at - now
        if wait >= _FORECAST_TAKES:
            self._expected, self._expect_at = heard, now + _FORECAST_EVERY
            groups = forecast()
            if groups:
                self.send(native.forecast(groups))
        return math.inf

    def control(self, name: str, value: float | int | str, now: float) -> None:
        """Tell everyone who watches of a control that took effect."""
        packet = native.control(name, value)
        self.send(packet)
        self._told = {p: told for p, told in self._told.items() if now - told.at < _ECHO}
        self._told.setdefault(packet, _Told(now)).at = now

    def returned(self, name: str, value: float | int | str, host: str, now: float) -> bool:
        """Tell whether a control is one of ours that a monitor sends back, round and round.

        A control that has no effect is not told, and so ends a loop by itself. Some
        always have one (reset), and several values may chase each other.
        """
        told = self._told.get(native.control(name, value))
        if told is None or now - told.at >= _ECHO:
            return False
        if all(host != watching for watching, _ in self._until):
            return False
        told.returns += 1
        return told.returns > _ECHOES
