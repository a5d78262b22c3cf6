"""Fingers of the humans: which are down, and the one stream of touches that the model is fed.

Pure: time is an argument, in seconds since the beginning of the take.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec import Struct

from robojam.jam.numbers import Seconds, Time
from robojam.touch import LIFT_AFTER, PAUSE_IS_DOWN, Phase, Touch

Key = tuple[str, int]  # who, finger


@dataclass(slots=True)
class _Finger:
    """Finger that is down, with its last touch."""

    x: Seconds
    y: Seconds
    t: Seconds
    knobs: tuple[Seconds, ...]


class FingerEvent(Struct, frozen=True):
    """Touch of a human's finger, and how the model is fed it.

    fed_as_move is None for a touch that is no part of the stream that the model is fed, else
    whether it is a move there. own_dt is the time by the player's own clock, in seconds, since
    its touch that the model was fed last; None where it has no clock that disagrees with
    arrival, or where the model was fed another player's touch since.
    """

    t: float
    touch: Touch
    fed_as_move: bool | None = None
    own_dt: float | None = None


class Fingers:
    """Fingers of all humans; `robojam.engine.senders` bounds how many a player has.

    The model is fed the finger that landed last; when it lifts, the most recent one still down,
    from its next touch on, as a landing. A touch that is not to be heard leaves that to others.
    """

    #: Without the lifts to come of fingers that lift by themselves: whoever goes on from a
    #: state is given these, as the recording has them.
    STATE: ClassVar[dict[str, Any]] = {
        "fed_who": str | None,
        "_own_time": Seconds,
        "_has_own_time": bool,
        "_down": dict[Key, _Finger],
        "_touched_at": dict[str, Time],
        "_feed_landing": bool,
        "_fed": Key | None,
    }

    def __init__(self, *, since_fed: bool = True) -> None:
        """Start with none. since_fed: own_dt counts from the touch that was fed last.

        Otherwise it counts from the player's last touch, of any finger, as in recordings that
        were made by earlier rules.
        """
        self._since_fed = since_fed
        #: Player whose touch the model was fed last; None where the machine has played since.
        self.fed_who: str | None = None
        # The time since then by that player's clock, and whether that is its own, not arrival.
        self._own_time, self._has_own_time = 0.0, False
        self._down: dict[Key, _Finger] = {}
        self._lifts: dict[Key, float] = {}  # of fingers that lift by themselves (no phases)
        self._touched_at: dict[str, float] = {}
        self._feed_landing = False
        self._fed: Key | None = None

    def __len__(self) -> int:
        """Return the number of fingers that are down."""
        return len(self._down)

    @property
    def down(self) -> tuple[Key, ...]:
        """Players and numbers of the fingers that are down."""
        return tuple(self._down)

    @property
    def touched_at(self) -> dict[str, float]:
        """Times of the last landing or slide of each player."""
        return dict(self._touched_at)

    def places(self) -> dict[Key, tuple[float, float]]:
        """Return the places of the fingers that are down."""
        return {key: (finger.x, finger.y) for key, finger in self._down.items()}

    def restored(self) -> None:
        """Wait for lifts: see `STATE`."""
        self._lifts.clear()

    def forget_fed(self) -> None:
        """Feed the next touch as a landing: the model has forgotten what it was fed."""
        self._feed_landing = True

    def release_fed(self) -> None:
        """Feed the finger that is heard next, wherever it landed, as a landing."""
        self._fed, self._feed_landing = None, True

    @property
    def lift_due(self) -> float | None:
        """Time at which the next finger lifts by itself; None for never."""
        return min(self._lifts.values(), default=None)

    def lift(self, t: float) -> Iterator[FingerEvent]:
        """Lift the fingers that lift by themselves at or before t."""
        for when, key in sorted((when, key) for key, when in self._lifts.items()):
            if when <= t:
                yield self._up(when, key)

    def lift_all(self, t: float) -> Iterator[FingerEvent]:
        """Lift every finger."""
        for key in list(self._down):
            yield self._up(t, key)

    def plain(
        self,
        t: float,
        who: str,
        x: float,
        y: float,
        dt: float | None,
        finger: int = 0,
        *,
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
        heard: bool = True,
    ) -> list[FingerEvent] | str:
        """Handle a touch of a player without phases; dt is its own clock's, if it has one.

        Returns what `finger` returns.
        """
        key = (who, finger)
        held = self._down.get(key)
        since = dt if dt is not None else t - held.t if held else 0.0
        phase = Phase.DOWN if held is None or since > PAUSE_IS_DOWN else Phase.MOVE
        events = self.finger(
            t, who, finger, phase, x, y, own_dt=dt, pressure=pressure, knobs=knobs, heard=heard
        )
        self._lifts[key] = t + LIFT_AFTER
        return events

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
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
        heard: bool = True,
    ) -> list[FingerEvent] | str:
        """Handle a finger that lands, slides or lifts; pressure, knobs are those of its touch.

        heard: the model may be fed it.

        A move of an absent finger is a down; a down of a present one lifts it first; an up of
        an absent one is dropped. Returns the events in order, or the reason why the touch was
        dropped.
        """
        key = (who, finger)
        held = self._down.get(key)
        if phase is Phase.UP:
            return [self._up(t, key)] if held else "absent finger"
        events: list[FingerEvent] = []
        if held is not None and phase is Phase.DOWN:
            events.append(self._up(t, key))
            held = None
        since = t - self._touched_at[who] if who in self._touched_at else 0.0
        # A clock that agrees with arrival is not the player's own: so the recorded dt shows
        # which of the two it was.
        own = own_dt if who in self._touched_at and own_dt != since else None
        dt = since if own is None else own
        self._touched_at[who] = t
        if held is None:
            phase = Phase.DOWN
            self._down[key] = _Finger(x, y, t, knobs)
            moving = False
            if heard:
                self._fed = key
        else:
            held.x, held.y, held.t, held.knobs = x, y, t, knobs
            self._lifts.pop(key, None)
            moving = not self._feed_landing
        if not heard and self._fed is not None and self._fed[0] == who:
            others = (other for other in reversed(self._down) if other[0] != who)
            self._fed, self._feed_landing = next(others, None), True
        elif heard and self._fed is None:  # it was not heard when it landed
            self._fed, moving = key, False
        fed_as_move = None
        if heard and key == self._fed:
            fed_as_move, self._feed_landing = moving, False
        if self._since_fed:
            since_fed = None
            if who == self.fed_who:
                self._own_time += dt
                self._has_own_time |= own is not None
                since_fed = self._own_time if self._has_own_time else None
            if fed_as_move is not None:
                self.fed_who, self._own_time, self._has_own_time = who, 0.0, False
            own = since_fed
        touch = Touch(x, y, dt, phase, finger, who, pressure, knobs)
        events.append(FingerEvent(t, touch, fed_as_move, own))
        return events

    def _up(self, t: float, key: Key) -> FingerEvent:
        finger = self._down.pop(key)
        self._lifts.pop(key, None)
        if key == self._fed:
            self._fed = next(reversed(self._down), None)
            self._feed_landing = True
        place, dt, (who, number) = (finger.x, finger.y), t - finger.t, key
        return FingerEvent(t, Touch(*place, dt, Phase.UP, number, who, None, finger.knobs))
