"""Strokes of recorded fingers: the walk over a recording that replay and exports share. Pure.

A recording may be cut off, edited by hand or filtered by player. The walk makes sure that
what it yields is complete all the same: every stroke is a down, moves and an up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from robojam.sessions.session import EndEvent, Session, SessionEvent, TouchEvent
from robojam.touch import Phase, Touch, is_machine

#: One touch of a corpus: x, y, dt in seconds, 1.0 for a move and 0.0 for a down, and the
#: pressure, NaN where it is not known. An event of knobs: the values of all of them, and dt.
Row = tuple[float, ...]


class RecordedFingers:
    """Fingers that are down at one moment of a recording, each with its last touch."""

    def __init__(self) -> None:
        self._down: dict[tuple[str, int], TouchEvent] = {}  # in order of landing

    def __len__(self) -> int:
        return len(self._down)

    @property
    def latest(self) -> tuple[str, int] | None:
        """Player and id of the finger that landed last and is still down."""
        return next(reversed(self._down), None)

    def take(self, event: TouchEvent) -> list[TouchEvent]:
        """Return the touches that one recorded touch stands for.

        A move of a finger that is not down is a down; a down of a finger that is down lifts
        it first; an up of a finger that is not down is nothing.
        """
        touch = event.touch
        finger = (touch.who, touch.id)
        held = self._down.get(finger)
        taken: list[TouchEvent] = []
        if touch.phase is Phase.MOVE:
            if held is None:
                event = replace(event, touch=replace(touch, phase=Phase.DOWN))
        elif held is not None:
            del self._down[finger]
            if touch.phase is Phase.DOWN:
                taken.append(_lifted(held, event.t))
        elif touch.phase is Phase.UP:
            return []
        if touch.phase is not Phase.UP:
            self._down[finger] = event
        return [*taken, event]

    def lift(self, t: float) -> list[TouchEvent]:
        """Lift every finger at t seconds; return the ups, in order of landing."""
        ups = [_lifted(event, t) for event in self._down.values()]
        self._down.clear()
        return ups


def _lifted(event: TouchEvent, t: float) -> TouchEvent:
    """Return the up, at t, of the finger whose last touch an event is."""
    touch = event.touch
    up = replace(touch, dt=t - event.t, phase=Phase.UP, pressure=None)
    return TouchEvent(t, up)


def walk(session: Session) -> Iterator[SessionEvent]:
    """Yield the events of a session with complete strokes, ups at its end where they miss."""
    fingers = RecordedFingers()
    for event in session.events:
        if isinstance(event, TouchEvent):
            yield from fingers.take(event)
            continue
        if isinstance(event, EndEvent):
            yield from fingers.lift(event.t)
        yield event
    yield from fingers.lift(session.duration)


def touches(session: Session) -> Iterator[TouchEvent]:
    """Yield the touches of `walk`."""
    return (event for event in walk(session) if isinstance(event, TouchEvent))


def strokes(session: Session) -> list[list[TouchEvent]]:
    """Return the strokes of a session, in the order of their landing: a down, then moves."""
    landed: list[list[TouchEvent]] = []
    drawn: dict[tuple[str, int], list[TouchEvent]] = {}
    for event in touches(session):
        finger = event.touch.who, event.touch.id
        if event.touch.phase is Phase.DOWN:
            drawn[finger] = []
            landed.append(drawn[finger])
        if event.touch.phase is not Phase.UP:
            drawn[finger].append(event)
    return landed


def touch_row(event: TouchEvent) -> Row:
    """Return a touch as it was recorded, as a row of a corpus."""
    return _row(event.touch, event.touch.dt, moving=event.touch.phase is Phase.MOVE)


def _row(touch: Touch, dt: float, *, moving: bool) -> Row:
    if touch.knobs:
        return *touch.knobs, dt
    pressure = math.nan if touch.pressure is None else touch.pressure
    return touch.x, touch.y, dt, float(moving), pressure


def model_stream(recorded: Iterable[TouchEvent]) -> list[Row]:
    """Return the humans' touches as the one stream that the model is fed.

    The stream follows the finger that landed last, whoever's; when that lifts, the finger
    still down that landed last, whose next touch is a landing. dt is the time since the
    stream's last touch, 0 for the first: the recorded dt where both touches are one player's,
    as a player with a clock of its own means it exactly.
    """
    stream: list[Row] = []
    fingers = RecordedFingers()
    followed: tuple[str, int] | None = None
    before = 0.0
    # Length of the stream after each player's last touch in it; -1 after one that is not.
    place: dict[str, int] = {}
    for event in (e for r in recorded if not is_machine(r.touch.who) for e in fingers.take(r)):
        touch = event.touch
        finger = (touch.who, touch.id)
        if touch.phase is Phase.UP:
            continue
        if finger != fingers.latest:
            place[touch.who] = -1
            continue
        same = place.get(touch.who) == len(stream)
        dt = 0.0 if not stream else touch.dt if same else event.t - before
        moving = finger == followed and touch.phase is Phase.MOVE
        stream.append(_row(touch, dt, moving=moving))
        followed, before, place[touch.who] = finger, event.t, len(stream)
    return stream
