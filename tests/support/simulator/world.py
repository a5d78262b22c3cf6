"""World of one simulated run: its clock, its agenda, its chance, and the instants of faults.

Everything that the engine asks the system for comes from here: the time (`clock`), and what can
be read (`wait`). Each look at the clock takes a little time, and is where the process may be
stopped for a while, or killed: so both happen anywhere in its code.
"""

from __future__ import annotations

import heapq
import math
import select
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Final

#: Instant at which a run begins, in seconds of the clock.
BEGIN: Final = 1000.0
#: Seconds that pass with each look at the clock.
TICK: Final = 2e-6
#: Mean of the seconds by which the system wakes the loop late.
WAKE_LATE: Final = 5e-5


class KilledError(BaseException):
    """The process was killed: no code of it goes on, whatever it catches."""


class BrokenError(BaseException):
    """A promise was broken while a process ran, which ends; the cause says which one."""


class World:
    """Clock and agenda of a run. `stalls` are the pauses of the process: start and end."""

    def __init__(self, random: Random) -> None:
        self.random, self.now = random, BEGIN
        self.stalls: list[tuple[float, float]] = []
        self.is_dead = False
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._kill_at = math.inf
        self._stall = (math.inf, 0.0)  # when the next one begins, and its length
        self._readable: dict[int, Callable[[], bool]] = {}

    # -- what the process asks for -----------------------------------------------------------

    def clock(self) -> float:
        """Return the time, in seconds; raise KilledError where the process is dead."""
        self.now += TICK
        if self.now >= self._stall[0]:
            begin, (_, length) = self.now, self._stall
            self._stall = (math.inf, 0.0)
            self.now += length
            self.stalls.append((begin, self.now))
        self.check()
        return self.now

    def check(self) -> None:
        """Raise KilledError where the process is dead, or is to die now."""
        if self.is_dead or self.now >= self._kill_at:
            self.is_dead = True
            raise KilledError

    def wait(self, files: Sequence[int], timeout: float | None) -> list[int]:
        """Return the files that can be read, as select does; time passes until there is one."""
        end = math.inf if timeout is None else self.now + timeout
        waited = False
        while True:
            self.run_due()
            self.check()
            ready = [file for file in files if self._is_readable(file)]
            if ready or self.now >= end:
                if waited:
                    self.now += self.random.expovariate(1 / WAKE_LATE)
                return ready
            waited = True
            self.now = max(self.now, min(end, self._next))
            if self.now == math.inf:
                raise RuntimeError("nothing will ever happen")

    def _is_readable(self, file: int) -> bool:
        if (is_readable := self._readable.get(file)) is not None:
            return is_readable()
        return bool(select.select([file], (), (), 0)[0])

    # -- what happens ------------------------------------------------------------------------

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do something at an instant; of one instant, what was planned first comes first."""
        heapq.heappush(self._agenda, (when, next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after some seconds."""
        self.at(self.now + seconds, act)

    def run_due(self) -> None:
        """Do what is due, each at its own instant."""
        while self._agenda and self._agenda[0][0] <= self.now:
            act = heapq.heappop(self._agenda)[2]
            try:
                act()
            except Exception as error:
                raise BrokenError from error

    def pass_time(self, seconds: float) -> None:
        """Pass time without a process."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now = max(self.now, self._agenda[0][0])
            self.run_due()
        self.now = max(self.now, end)

    @property
    def _next(self) -> float:
        return self._agenda[0][0] if self._agenda else math.inf

    def add_file(self, number: int, is_readable: Callable[[], bool]) -> None:
        """Have a file that can be waited for."""
        self._readable[number] = is_readable

    # -- faults ------------------------------------------------------------------------------

    def kill_at(self, when: float) -> None:
        """Have the process die at an instant, wherever it is then; infinity: not at all."""
        self._kill_at = when
        if when < math.inf:
            self.at(when, lambda: None)  # a process that sleeps dies then, too

    def stall_at(self, when: float, seconds: float) -> None:
        """Have the process stop at an instant, wherever it is then, for some seconds."""
        self._stall = when, seconds

    def start_process(self) -> None:
        """Have a new process after one that is dead."""
        self.is_dead, self._kill_at, self._stall = False, math.inf, (math.inf, 0.0)
        self._readable.clear()

    def stalled_between(self, begin: float, end: float) -> float:
        """Return for how many seconds the process was stopped from one instant to another."""
        return sum(max(0.0, min(end, b) - max(begin, a)) for a, b in self.stalls)
