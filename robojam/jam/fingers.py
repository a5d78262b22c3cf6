"""The humans' hands: which fingers are down, and the one stream that the model hears.

Pure: time comes in as an argument, in seconds since the beginning of the take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from robojam.touch import LIFT_AFTER, PAUSE_IS_DOWN, Phase, Touch

#: More fingers than this, of all humans together, are a stranger's flood.
MAX_FINGERS = 64

Key = tuple[str, int]  # who, finger


@dataclass(slots=True)
class _Finger:
    """A finger that is down: where and when it was last felt.

    lift is the instant at which it lifts by itself, for a player without phases.
    """

    x: float
    y: float
    t: float
    lift: float | None = None


@dataclass(frozen=True, slots=True)
class FingerEvent:
    """What came of a finger: the touch, and whether the model hears it, how.

    heard is None for what is not part of the stream that the model hears, else
    whether it is heard as a move. own_dt is the player's own dt, if it has a clock.
    """

    t: float
    touch: Touch
    heard: bool | None = None
    own_dt: float | None = None


class Fingers:
    """The fingers of all humans."""

    def __init__(self) -> None:
        # In the order of landing: the last one is the one that is heard.
        self._down: dict[Key, _Finger] = {}
        self._last: dict[str, float] = {}
        self._landing = False
        self.heard: Key | None = None

    def __len__(self) -> int:
        """How many fingers are down."""
        return len(self._down)

    def forget(self) -> None:
        """What is heard next is heard as a landing: the model has forgotten the rest."""
        self._landing = True

    @property
    def lift_due(self) -> float | None:
        """When the next finger lifts by itself."""
        if not self._down:
            return None
        return min((f.lift for f in self._down.values() if f.lift is not None), default=None)

    def lift(self, t: float) -> Iterator[FingerEvent]:
        """Lift the fingers that lift by themselves at or before t."""
        due = [(f.lift, key) for key, f in self._down.items() if f.lift is not None]
        for when, key in sorted(due):
            if when <= t:
                yield self._up(when, key)

    def lift_all(self, t: float) -> Iterator[FingerEvent]:
        """Lift every finger."""
        for key in list(self._down):
            yield self._up(t, key)

    def plain(
        self, t: float, who: str, x: float, y: float, dt: float | None
    ) -> list[FingerEvent] | str:
        """Feel a touch of a player without phases; dt is its own clock's, if it has one.

        Returns what came of it in order, or the reason why it was dropped.
        """
        key = (who, 0)
        held = self._down.get(key)
        since = dt if dt is not None else t - held.t if held else 0.0
        phase = Phase.DOWN if held is None or since > PAUSE_IS_DOWN else Phase.MOVE
        felt = self.finger(t, who, 0, phase, x, y, own_dt=dt)
        if key in self._down:
            self._down[key].lift = t + LIFT_AFTER
        return felt

    def finger(
        self,
        t: float,
        who: str,
        finger: int,
        phase: Phase,
        x: float,
        y: float,
        *,
        own_dt: float | None = None,
    ) -> list[FingerEvent] | str:
        """Feel a finger land, slide or lift.

        A move of an absent finger is a down; a down of a present one lifts it
        first; an up of an absent one is dropped. Returns what came of it in order,
        or the reason why it was dropped.
        """
        key = (who, finger)
        held = self._down.get(key)
        if phase is Phase.UP:
            return [self._up(t, key)] if held else "absent finger"
        felt: list[FingerEvent] = []
        if held is None and len(self._down) >= MAX_FINGERS:
            return "too many fingers"
        if held is not None and phase is Phase.DOWN:
            felt.append(self._up(t, key))
            held = None
        since = t - self._last[who] if who in self._last else 0.0
        # A clock that agrees is none of its own: so the dt that is recorded tells which it was.
        own = own_dt if who in self._last and own_dt != since else None
        dt = since if own is None else own
        self._last[who] = t
        if held is None:
            phase = Phase.DOWN
            self._down[key] = _Finger(x, y, t)
            self.heard, moving = key, False
        else:
            held.x, held.y, held.t, held.lift = x, y, t, None
            moving = not self._landing
        heard = None
        if key == self.heard:
            heard, self._landing = moving, False
        touch = Touch(x, y, dt, phase, finger, who)
        felt.append(FingerEvent(t, touch, heard, own))
        return felt

    def _up(self, t: float, key: Key) -> FingerEvent:
        finger = self._down.pop(key)
        if key == self.heard:
            # The most recent one still down is heard from its next touch, as a down.
            self.heard = next(reversed(self._down), None)
            self._landing = True
        return FingerEvent(t, Touch(finger.x, finger.y, t - finger.t, Phase.UP, key[1], key[0]))
