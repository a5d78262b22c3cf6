"""Features of touches as they sound, from which knobs are made. Pure.

`FEATURES` is the table of them. A `Tracker` measures those of one player, or of several, by
the finger that last landed: other fingers that slide meanwhile change only the density.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from robojam.touch import KNOB_NAMES, MIN_DT, Phase, Touch, is_machine

#: Speed in screens a second at which the pressure is full where a device measures none.
FULL_SPEED: Final = 2.5
#: Seconds over which touches are counted for the density.
_MEMORY: Final = 1.0
#: Touches a second below which the density is 0.
_SPARSE: Final = 0.01
#: Shortest way, in screens, that has a direction: half a place of a screen of 1024.
_SHORTEST: Final = 0.0005


class Feature(NamedTuple):
    """One row of the table: what is measured, its unit, and its usual range.

    A knob goes through its own range while the feature goes through from low to high, unless
    its row says another `from`.
    """

    about: str
    unit: str
    low: float
    high: float


#: All features, by name.
FEATURES: Final[dict[str, Feature]] = {
    "x": Feature("from left to right", "screens", 0, 1),
    "y": Feature("from top to bottom", "screens", 0, 1),
    "dt": Feature("time since the touch before", "s", 0, 1),
    "speed": Feature("speed of the finger, over about two touches", "screens/s", 0, FULL_SPEED),
    "acceleration": Feature("change of the speed", "screens/s²", -20, 20),
    "direction": Feature("where it moves: 0 right, 90 up, -90 down", "degrees", -180, 180),
    "curvature": Feature("turning to the left on its way, 1/radius", "1/screens", -20, 20),
    "stroke-length": Feature("way since it landed", "screens", 0, 2),
    "since-landing": Feature("time since it landed; stops when it lifts", "s", 0, 2),
    "phase": Feature("1 when it lands, 0.5 while it slides, 0 when it lifts", "", 0, 1),
    "turn": Feature("whose turn it is: 0 the humans', 1 the machine's", "", 0, 1),
    "density": Feature("touches a second, over about the last second", "1/s", 0, 60),
    "pressure": Feature("pressure where it is measured, else from the speed", "", 0, 1),
    **dict.fromkeys(KNOB_NAMES, Feature("a knob of an instrument with knobs", "", 0, 1)),
}
#: Features that change between touches.
_FLOWING: Final = ("since-landing", "density")
#: Groups of players that a knob may follow, besides a single player: human, human2, ai, ai2, …
GROUPS: Final = ("machine", "humans", "all")


def hears(selection: str, who: str) -> bool:
    """Return whether a selection, one of GROUPS or a player's name, includes a player."""
    match selection:
        case "machine":
            return is_machine(who)
        case "humans":
            return not is_machine(who)
        case "all":
            return True
    return who == selection


class Tracker:
    """Features of the touches of a selection of players; times in seconds of one clock."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._finger: tuple[str, int] | None = None
        self._at = self._landed_at = self._density_at = -math.inf

    def touch(self, touch: Touch, dt: float, at: float) -> bool:
        """Measure a touch that sounds at an instant; return whether it changed anything.

        dt is the time in seconds since the touch before, as scheduled.
        """
        finger = touch.who, touch.id
        if touch.phase is Phase.UP:
            return self._lift(finger, at)
        self._count(at)
        if touch.phase is Phase.DOWN or self._finger is None:
            self._land(touch, at)
        elif finger == self._finger or touch.knobs:  # who turns them has no finger
            self._slide(touch, at)
        else:
            return True  # it counts for the density
        values = self._values
        values["x"], values["y"], values["dt"] = touch.x, touch.y, dt
        if touch.knobs:
            values |= zip(KNOB_NAMES, touch.knobs, strict=False)
        pressed = min(values["speed"] / FULL_SPEED, 1.0)
        values["pressure"] = pressed if touch.pressure is None else touch.pressure
        self._finger, self._at = finger, at
        return True

    def follows(self, touch: Touch) -> bool:
        """Return whether a touch is of the finger whose values these are."""
        return self._finger == (touch.who, touch.id)

    def _land(self, touch: Touch, at: float) -> None:
        self._landed_at = at
        self._values |= {
            "speed": 0.0, "acceleration": 0.0, "curvature": 0.0, "stroke-length": 0.0,
            "phase": 1.0 if touch.phase is Phase.DOWN else 0.5,
        }  # fmt: skip
        self._values.setdefault("direction", 0.0)

    def _slide(self, touch: Touch, at: float) -> None:
        values, elapsed = self._values, max(at - self._at, MIN_DT)
        across, up = touch.x - values["x"], values["y"] - touch.y
        way, speed = math.hypot(across, up), values["speed"]
        values["speed"] = 0.5 * (speed + way / elapsed)
        values["acceleration"] = (values["speed"] - speed) / elapsed
        values["phase"] = 0.5
        if way < _SHORTEST:
            return
        direction = math.degrees(math.atan2(up, across))
        turned = (direction - values["direction"] + 180) % 360 - 180
        begins = not values["stroke-length"]  # a stroke's first step turns nowhere
        values["curvature"] = 0.0 if begins else math.radians(turned) / way
        values["direction"] = direction
        values["stroke-length"] += way

    def _lift(self, finger: tuple[str, int], at: float) -> bool:
        if finger != self._finger:
            return False
        values = self._values
        values["since-landing"] = at - self._landed_at
        values |= dict.fromkeys(("phase", "pressure", "speed", "acceleration"), 0.0)
        self._finger = None
        return True

    def _count(self, at: float) -> None:
        self._values["density"] = self._density(at) + 1 / _MEMORY
        self._density_at = at

    def _density(self, now: float) -> float:
        faded = self._values.get("density", 0.0)
        if faded:
            faded *= math.exp(-max(now - self._density_at, 0.0) / _MEMORY)
        return faded if faded >= _SPARSE else 0.0

    def pass_turn(self, whose: str) -> None:
        """Note that the turn passed to human or ai."""
        self._values["turn"] = float(whose == "ai")

    def value(self, feature: str, now: float) -> float | None:
        """Return a feature at an instant, in its unit; None before it is known."""
        if feature == "density":
            return self._density(now) if "density" in self._values else None
        if feature == "since-landing" and self._finger is not None:
            return now - self._landed_at
        return self._values.get(feature)

    def flows(self, feature: str, now: float, high: float) -> bool:
        """Return whether a feature changes without a touch; one above high does no more."""
        if feature not in _FLOWING:
            return False
        if feature == "density":
            return self._density(now) > 0
        return self._finger is not None and now - self._landed_at < high
