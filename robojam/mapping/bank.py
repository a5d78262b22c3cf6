"""Knobs of one output: what they hear, and which of their values are to be sent. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robojam.mapping.features import Tracker, hears
from robojam.mapping.knob import Knob, KnobSpec
from robojam.touch import Touch


class KnobBank:
    """Knobs of one output, by their numbers in the order of their specs.

    A value is sent where it changes, at most once in `knob.INTERVAL` seconds for each knob;
    the last value of a movement always is. Times are in seconds of one clock.
    """

    def __init__(
        self,
        specs: Sequence[KnobSpec],
        place: float = 0.0,
        amounts: Sequence[float] | None = None,
    ) -> None:
        """Begin at a place between the scenes, 0 to 1; nothing is sent before a touch.

        amounts are those of the knobs, as of `Knob.adjust`; None: all of them are 1.
        """
        self._trackers = {spec.who: Tracker() for spec in specs}
        self._knobs = [
            Knob(spec, self._trackers[spec.who], place, amount)
            for spec, amount in zip(specs, amounts or [1.0] * len(specs), strict=True)
        ]

    def touch(self, touch: Touch, dt: float, at: float, now: float) -> None:
        """Hear a touch that sounds at an instant, now; dt as of `Tracker.touch`."""
        for who, tracker in self._trackers.items():
            if hears(who, touch.who) and tracker.touch(touch, dt, at):
                for knob in self._knobs:
                    strikes = not knob.spec.strikes or tracker.follows(touch)
                    if knob.spec.who == who and strikes:
                        knob.hear(now)

    def pass_turn(self, whose: str, now: float) -> None:
        """Hear that the turn passed to human or ai."""
        for tracker in self._trackers.values():
            tracker.pass_turn(whose)
        for knob in self._knobs:
            if knob.spec.source == "turn":
                knob.hear(now)

    def morph(self, place: float, now: float) -> None:
        """Go to a place between the scenes: 0 is the first, 1 the last."""
        for knob in self._knobs:
            knob.morph(place, now)

    def adjust(self, amounts: Sequence[float], now: float) -> None:
        """Give each knob its amount, as of `Knob.adjust`."""
        for knob, amount in zip(self._knobs, amounts, strict=True):
            knob.adjust(amount, now)

    def take(self, now: float) -> list[tuple[int, float]]:
        """Return the values that are to be sent now, each with the number of its knob."""
        values = []
        for number, knob in enumerate(self._knobs):
            if knob.due <= now:
                value = knob.take(now)
                if value is not None:
                    values.append((number, value))
        return values

    def feature(self, number: int, name: str, now: float) -> float | None:
        """Return a feature of the touches that a knob follows; None before it is known."""
        return self._trackers[self._knobs[number].spec.who].value(name, now)

    def wait(self, now: float) -> float:
        """Return the seconds until `take` is to be called again, or infinity."""
        due = min((knob.due for knob in self._knobs), default=math.inf)
        return max(0.0, due - now)

    @property
    def values(self) -> list[float | None]:
        """The values that were sent last, one for each knob; None where none was."""
        return [knob.sent for knob in self._knobs]
