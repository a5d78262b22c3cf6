"""Values of all mapped knobs, for windows and others that ask for them. No I/O.

The features of touches are measured all the time, which is quick; values are made from them
when somebody asks. So a panel that is closed costs nothing, and one that opens shows at once
where the knobs are. Between two requests a smoothed knob goes on by its exact formula, from
where it was at the first.
"""

import math
from collections.abc import Callable
from typing import Final

import msgspec

from robojam.config.map_table import Map
from robojam.controls import Settings, amounts_of
from robojam.jam.events import ControlChanged, Event, TouchPlayed, TurnChanged
from robojam.mapping.features import Tracker, hears
from robojam.mapping.knob import Knob

#: Seconds without a request after which a knob begins at its value, and not where it was.
_UNWATCHED: Final = 1.0
#: Seconds for which an answer is given again, to whoever asks.
_FRESH: Final = 0.04
#: Bytes of an answer at most: in one packet on every system.
_MAX_ANSWER: Final = 9000


class KnobMonitor:
    """Output that holds the knobs of a map, and sends nothing by itself."""

    latency, schedules = 0.0, False

    def __init__(self, table: Map, settings: Settings, clock: Callable[[], float]) -> None:
        """Begin with the controls `morph` and `amount` of settings; clock is in seconds."""
        self._table, self._clock = table, clock
        self._specs = {name: table.spec(name) for name in table.out}
        self._trackers = {spec.who: Tracker() for spec in self._specs.values()}
        self._place, self._amounts = settings.morph, amounts_of(settings.amount)
        self._knobs: dict[str, Knob] = {}
        self._made, self._made_at = "", -math.inf

    def handle(self, event: Event, at: float) -> None:
        """Measure a touch or a turn, or follow a control."""
        if isinstance(event, TouchPlayed):
            for who, tracker in self._trackers.items():
                if hears(who, event.touch.who):
                    tracker.touch(event.touch, event.dt, at)
        elif isinstance(event, TurnChanged):
            for tracker in self._trackers.values():
                tracker.pass_turn(event.whose)
        elif isinstance(event, ControlChanged) and event.name == "morph":
            self._place = float(event.value)
            for knob in self._knobs.values():
                knob.morph(self._place, at)
        elif isinstance(event, ControlChanged) and event.name == "amount":
            self._amounts = amounts_of(str(event.value))
            for name, knob in self._knobs.items():
                knob.adjust(self._amounts.get(name, 1.0), at)

    def describe(self) -> str:
        """Return the knobs and the names of the scenes, as JSON of _MAX_ANSWER bytes at most.

        `knobs` has for each name, target, source, whose touches, the low and the high end of
        its range in the present scene, and the value, null before the first touch. `left_out`
        counts the knobs that do not fit.
        """
        now = self._clock()
        if now - self._made_at < _FRESH:
            return self._made
        if now - self._made_at > _UNWATCHED:
            self._knobs = {
                name: Knob(
                    spec, self._trackers[spec.who], self._place, self._amounts.get(name, 1.0)
                )
                for name, spec in self._specs.items()
            }
        rows = [self._row(name, knob, now) for name, knob in self._knobs.items()]
        shown = len(rows)
        while len(text := self._encode(rows[:shown], len(rows) - shown)) > _MAX_ANSWER:
            shown -= 1
        self._made, self._made_at = text.decode(), now
        return self._made

    def _row(self, name: str, knob: Knob, now: float) -> tuple[object, ...]:
        if self._trackers[knob.spec.who].value(knob.spec.source, now) is not None:
            knob.take(now)
        row, full = self._table.out[name], knob.full
        return name, row.target, row.source, row.who, full.low, full.high, knob.sent

    def _encode(self, rows: list[tuple[object, ...]], left_out: int) -> bytes:
        scenes = list(self._table.scene)
        return msgspec.json.encode({"knobs": rows, "scenes": scenes, "left_out": left_out})

    def advance(self, now: float) -> float:
        """Do nothing; return infinity."""
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        """Return nothing: it answers requests of its own."""
        return {}

    def close(self) -> None:
        """Do nothing."""
