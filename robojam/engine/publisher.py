"""Who learns at once of what happens: what is plugged in, who watches, and the recording."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import msgspec

from robojam.engine.metrics import Lateness
from robojam.engine.monitors import Monitors
from robojam.engine.takes import Takes
from robojam.jam.events import Changed, Happening, Pending, Sounded, Turned
from robojam.ports.interface import Outlet
from robojam.sessions.session import ModelRef
from robojam.touch import Phase, is_machine
from robojam.wire import native

log = logging.getLogger("robojam")


class Witnesses:
    """Outlets, monitors and the recording, told on the loop's thread in this order."""

    def __init__(
        self,
        outlets: Sequence[Outlet],
        monitors: Monitors,
        takes: Takes,
        model: Callable[[], ModelRef],
        clock: Callable[[], float],
    ) -> None:
        """Tell them from here on; model says what a recording keeps of the one that plays."""
        self.outlets = tuple(outlets)
        self.late = Lateness()
        self._monitors, self._takes = monitors, takes
        self._model, self._clock = model, clock

    def happened(self, what: Happening) -> None:
        """Let everyone know at once; the jam's sink."""
        at = self._takes.at(what.t) if self._takes.begun else self._clock()
        self.let_out(what, at)
        if isinstance(what, Sounded):
            touch = what.touch
            if is_machine(touch.who) and touch.phase is not Phase.UP:
                self.late.add(self._clock() - at)
            if self._monitors:
                self._monitors.send(native.touch(touch, what.dt))
            self._takes.keep(what)
        elif isinstance(what, Pending):
            p = what.proposal
            if p is not None and self._monitors:
                self._monitors.send(native.pending(what.who, 0, p.x, p.y, what.due - what.t))
        elif isinstance(what, Turned):
            self._monitors.send(native.turn(what.whose))
        elif isinstance(what, Changed):
            self._changed(what)

    def let_out(self, what: Happening, at: float) -> None:
        """Let the outlets alone know; at is the clock's instant of it."""
        for outlet in self.outlets:
            outlet.happened(what, at)

    def look(self) -> float:
        """Let the outlets do what is due; return the seconds until the next."""
        return min((outlet.look(self._clock()) for outlet in self.outlets), default=math.inf)

    def _changed(self, what: Changed) -> None:
        self._monitors.control(what.name, what.value, self._clock())
        is_model = what.name == "model"
        value = msgspec.structs.asdict(self._model()) if is_model else what.value
        self._takes.keep(what, value)
        log.info("%s: %s", what.name, what.value)
