"""Regeneration of the machine's part of a recording from what the humans played. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.protocols import Player
from robojam.sessions.playback import settings_of
from robojam.sessions.session import (
    CLOSED,
    EndEvent,
    Session,
    SessionEvent,
    SetEvent,
    TouchEvent,
)
from robojam.touch import Phase, is_machine


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that came out otherwise, from 0, and both; None where one has ended."""

    index: int
    recorded: SessionEvent | None
    made: SessionEvent | None


def regenerate(
    session: Session,
    player: Player,
    load: Callable[[dict[str, Any]], Player],
) -> Iterator[SessionEvent]:
    """Make the machine's part anew from what the humans did; yield the events of the take.

    player is the one the recording began with, seeded and reset here; load finds the
    model that a control names. Raises ValueError for controls that cannot be.
    """
    settings = settings_of(session)
    made: list[SessionEvent] = []
    loaded: dict[str, Any] = {}

    def sink(what: Event) -> None:
        if isinstance(what, TouchPlayed):
            made.append(TouchEvent(what.t, what.touch))
        elif isinstance(what, ControlChanged):
            value = loaded if what.name == "model" else what.value
            made.append(SetEvent(what.t, {what.name: value}))

    jam = Jam(player, settings, sink)
    jam.begin(session.header.seed)
    last: dict[str, float] = {}
    for event in session.events:
        if isinstance(event, TouchEvent):
            touch = event.touch
            if is_machine(touch.who):
                continue
            own = None
            if touch.phase is not Phase.UP:
                # A dt that is not the time since the last touch is the player's own clock's.
                since = event.t - last.get(touch.who, event.t)
                own = None if touch.dt == since else touch.dt
                last[touch.who] = event.t
            jam.finger(event.t, touch.who, touch.id, touch.phase, touch.x, touch.y, own_dt=own)
        elif isinstance(event, SetEvent):
            for name, value in event.values.items():
                if name == "model":
                    loaded = value
                    jam.swap(event.t, load(value), value["file"])
                else:
                    jam.control(event.t, name, value)
        else:
            if event.reason == CLOSED:
                jam.advance(event.t)
            else:
                jam.finish(event.t)
            made.append(event)
        yield from made
        made.clear()
    if not (session.events and isinstance(session.events[-1], EndEvent)):
        jam.advance(session.duration)
        yield from made


def first_difference(session: Session, made: list[SessionEvent]) -> Difference | None:
    """Find where a regenerated take leaves the recorded one.

    A recording that was cut off may lack what happened in its last instants.
    """
    longer = len(session.events) if session.ended is None else len(made)
    for index in range(max(len(session.events), longer)):
        was = session.events[index] if index < len(session.events) else None
        now = made[index] if index < len(made) else None
        if was != now:
            return Difference(index, was, now)
    return None
