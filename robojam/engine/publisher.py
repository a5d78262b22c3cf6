"""Who learns at once of what happens: what is plugged in, who watches, and the recording."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import msgspec

from robojam.engine.metrics import Lateness
from robojam.engine.monitors import Monitors
from robojam.engine.takes import Takes
from robojam.jam.events import ControlChanged, Event, TouchPending, TouchPlayed, TurnChanged
from robojam.ports.interface import OutputPort
from robojam.sessions.session import ModelRef
from robojam.touch import Phase, is_machine
from robojam.wire import native

log = logging.getLogger("robojam")


class Publisher:
    """Outputs, monitors and the recording, told on the loop's thread in this order."""

    def __init__(
        self,
        outputs: Sequence[OutputPort],
        monitors: Monitors,
        takes: Takes,
        model: Callable[[], ModelRef],
        clock: Callable[[], float],
    ) -> None:
        """Tell them from here on; model says what a recording keeps of the one that plays."""
        self.outputs = tuple(outputs)
        self.late = Lateness()
        self._monitors, self._takes = monitors, takes
        self._model, self._clock = model, clock

    def handle(self, what: Event) -> None:
        """Let everyone know at once; the jam's sink."""
        at = self._takes.at(what.t) if self._takes.begun else self._clock()
        self.send_to_outputs(what, at)
        if isinstance(what, TouchPlayed):
            touch = what.touch
            if is_machine(touch.who) and touch.phase is not Phase.UP:
                self.late.add(self._clock() - at)
            if self._monitors:
                self._monitors.send(native.touch(touch, what.dt))
            self._takes.keep(what)
        elif isinstance(what, TouchPending):
            p = what.proposal
            if p is not None and self._monitors:
                self._monitors.send(native.pending(what.who, 0, p.x, p.y, what.due - what.t))
        elif isinstance(what, TurnChanged):
            self._monitors.send(native.turn(what.whose))
        elif isinstance(what, ControlChanged):
            self._changed(what)

    def send_to_outputs(self, what: Event, at: float) -> None:
        """Let the outputs alone know; at is the clock's instant of it."""
        for output in self.outputs:
            output.handle(what, at)

    def advance(self) -> float:
        """Let the outputs do what is due; return the seconds until the next."""
        return min((output.advance(self._clock()) for output in self.outputs), default=math.inf)

    def _changed(self, what: ControlChanged) -> None:
        self._monitors.control(what.name, what.value, self._clock())
        is_model = what.name == "model"
        value = msgspec.structs.asdict(self._model()) if is_model else what.value
        self._takes.keep(what, value)
        log.info("%s: %s", what.name, what.value)
