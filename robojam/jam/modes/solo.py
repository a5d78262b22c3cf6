"""Solo: the machine plays by itself. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from robojam.jam.modes.listen import Listen
from robojam.jam.numbers import Future

if TYPE_CHECKING:
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam


class Solo(Listen):
    """The machine plays by itself; humans are recorded and not fed to the model."""

    STATE: ClassVar[dict[str, Any]] = {"_starts_from": Future}
    name = "solo"
    first_turn = "ai"
    starts_alone = True
    feeds_humans = False
    plans = True

    def __init__(self) -> None:
        self._starts_from = math.inf  # while it waits for a line of the clock

    def play_on(self, jam: Jam) -> None:
        """Play, unless a panic or a pause holds the machine or a touch is pending already.

        With a quantum, from the next line of the clock on.
        """
        if jam.begun and jam.starts_alone and not jam.voices.pending:
            now = jam.clock.machine
            if jam.timing.opens_at(now) > now:
                self._starts_from = now
                jam.await_line(now)
            else:
                self._start(jam)

    def _start(self, jam: Jam) -> None:
        now, self._starts_from = jam.clock.machine, math.inf
        jam.voices.start(now, on_line=jam.timing.open_turn(now))

    def wakes_at(self, jam: Jam) -> float:
        """Return when it starts, if it waits for a line."""
        if not jam.starts_alone:
            return math.inf
        return jam.timing.opens_at(self._starts_from)

    def wake(self, jam: Jam) -> None:
        """Start."""
        self._start(jam)

    def paused(self, _jam: Jam, seconds: float) -> None:
        """Add a pause, which is over, to the time from which on it starts."""
        self._starts_from += seconds

    def restore(self, jam: Jam, _snapshot: JamSnapshot) -> bool:
        """Play on, unless something holds the machine."""
        self._starts_from = math.inf
        return jam.starts_alone
