"""Knobs of the instrument as the window shows them: where each is, and how it moved. Pure.

Times (now) are in seconds. A knob is named by its number, from 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from robojam.touch import KNOB_RESTS, MAX_KNOBS, Phase, clip
from robojam.window.client.strokes import FADE

#: Points of one player's trail at a knob at most, and players whose trails are kept.
MAX_POINTS, MAX_PLAYERS = 1000, 64
#: Least change of a knob that is a movement: the machine's floats are rounded.
LEAST = 1e-5


class TrailPoint(NamedTuple):
    """Value of a knob from a time on; moved: it had another value before."""

    t: float
    value: float
    moved: bool


Trail = deque[TrailPoint]


@dataclass(slots=True)
class Faders:
    """Knobs of the instrument; count is their number, 0 where it has a surface.

    values is where they are, movers who moved each last ("": nobody yet), trails the last
    FADE seconds of each player's movements, by the player and the knob. own are the knobs that
    this window's fingers hold, and where: these are drawn before the engine reports them.
    """

    count: int = 0
    values: list[float] = field(default_factory=list)
    movers: list[str] = field(default_factory=list)
    trails: dict[str, list[Trail]] = field(default_factory=dict)
    own: dict[int, float] = field(default_factory=dict)
    _held: dict[int, int] = field(default_factory=dict)  # knobs by own fingers

    def use(self, count: object) -> None:
        """Show an instrument with so many knobs, as the engine says; else a surface."""
        known = 0
        if type(count) is int and 0 < count <= MAX_KNOBS:  # no truth value
            known = count
        if known != self.count:
            self.count = known
            self.values, self.movers = [KNOB_RESTS] * known, [""] * known
            self.trails.clear()
            self.own.clear()
            self._held.clear()

    def hear(self, who: str, values: Sequence[float], now: float) -> bool:
        """Take in where a player has the knobs; return whether it fits the instrument."""
        if not self.count or len(values) != self.count:
            return False
        trails = self.trails.get(who)
        if trails is None:
            if len(self.trails) >= MAX_PLAYERS:
                return False
            trails = self.trails[who] = [deque(maxlen=MAX_POINTS) for _ in range(self.count)]
        for knob, (value, trail) in enumerate(zip(values, trails, strict=True)):
            value = clip(value, 0.0, 1.0)
            moved = abs(value - self.values[knob]) > LEAST
            if moved:
                if not trail or not trail[-1].moved:  # it begins where the knob was
                    trail.append(TrailPoint(now, self.values[knob], moved=False))
                self.values[knob], self.movers[knob] = value, who
                trail.append(TrailPoint(now, value, moved=True))
            elif trail and trail[-1].moved:
                trail.append(TrailPoint(now, value, moved=False))
        return True

    def touch(self, phase: Phase, finger: int, x: float, y: float) -> tuple[int, float] | None:
        """Move a knob by an own finger, at a place of the surface; return the knob and value.

        A finger holds the knob on which it landed. None where nothing moves.
        """
        if phase is Phase.UP:
            knob = self._held.pop(finger, None)
            if knob is not None and knob not in self._held.values():
                self.own.pop(knob, None)
            return None
        if phase is Phase.DOWN or finger not in self._held:
            self._held[finger] = min(int(x * self.count), self.count - 1)
        knob, value = self._held[finger], 1 - y
        if phase is Phase.MOVE and self.own.get(knob) == value:
            return None
        self.own[knob] = value
        return knob, value

    def fade(self, now: float) -> None:
        """Discard what has faded."""
        for who, trails in list(self.trails.items()):
            for trail in trails:
                while trail and now - trail[0].t > FADE:
                    trail.popleft()
            if not any(trails):
                del self.trails[who]

    def is_animating(self) -> bool:
        """Return whether a trail changes with time alone."""
        return bool(self.trails)
