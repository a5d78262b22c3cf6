"""Regeneration of the machine's part of a recording from what the humans played. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.jam.jam import RULES, Jam
from robojam.jam.modes import EARLIER_MODES, MODES
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

#: Most events of the machine for each recorded one, and beside them. A recording of a jam holds
#: what the machine played, so that only one that was written for it asks for more.
_MOST_EACH, _MOST = 20, 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """First event, counted from 0, that differs; None in place of one that is missing."""

    index: int
    recorded: SessionEvent | None
    made: SessionEvent | None


class Rerun:
    """A jam that is run through a recording, from what the humans played: `events` runs it."""

    def __init__(
        self,
        session: Session,
        player: Player,
        load: Callable[[dict[str, Any]], Player],
        state: bytes | None = None,
    ) -> None:
        """Prepare the jam with which the recording began, or one that was saved.

        player plays the model of that time; it is reset and seeded by `events`. load returns
        the player for the model that a control names. state is a saved jam, that the events of
        the session follow. Raises ValueError for controls of the recording that are not
        allowed, and for a state that is none.
        """
        self._session, self._load, self._is_saved = session, load, state is not None
        self._made: list[SessionEvent] = []
        self._count, self._most = 0, _MOST + _MOST_EACH * len(session.events)
        self._loaded: dict[str, Any] = {}
        earlier = "follow" not in session.header.options
        self.jam = Jam(
            player, settings_of(session), self._take, modes=EARLIER_MODES if earlier else MODES,
            rules=session.header.rules,
        )  # fmt: skip
        if state is not None:
            self.jam.load(state)
        self._last = self.jam.touched_at  # when each human touched last

    def _take(self, event: Event) -> None:
        self._count += 1
        if self._count > self._most:
            raise ValueError(
                f"at {event.t:,.0f} s there are {self._most:,} events, and the recording has "
                f"{len(self._session.events):,}: it would go on for too long"
            )
        if isinstance(event, TouchPlayed):
            self._made.append(TouchEvent(event.t, event.touch))
        elif isinstance(event, ControlChanged):
            value = self._loaded if event.name == "model" else event.value
            self._made.append(SetEvent(event.t, {event.name: value}))

    def events(self, *, ends: bool = True) -> Iterator[SessionEvent]:
        """Run the jam; yield the events of the take. Raises ValueError for far too many.

        Without ends the jam is left as it is at the last event: the end is left out.
        """
        session, jam, made = self._session, self.jam, self._made
        events = session.events
        if not self._is_saved:
            beats = _first_beats(events)
            if beats:
                events = events[1:]
            jam.begin(session.header.seed, beats)
        for event in events:
            if not isinstance(event, EndEvent):
                self.play(event)
            elif ends:
                if event.reason == CLOSED:
                    jam.advance(event.t)
                else:
                    jam.finish(event.t)
                made.append(event)
            yield from self.take_made()
        if not (session.events and isinstance(session.events[-1], EndEvent)):
            jam.advance(session.duration)
        yield from self.take_made()

    def play(self, event: TouchEvent | SetEvent) -> None:
        """Play the next touch or control, if it is no touch of the machine's."""
        if isinstance(event, TouchEvent):
            self._feed(event, self._last)
        else:
            self._control(event)

    def take_made(self) -> list[SessionEvent]:
        """Return the events since those that were yielded."""
        made = list(self._made)
        self._made.clear()
        return made

    def _feed(self, event: TouchEvent, last: dict[str, float]) -> None:
        """Play a human's touch; last holds when each of them touched last."""
        touch = event.touch
        if is_machine(touch.who):
            return
        own_dt = None
        if touch.phase is not Phase.UP:
            # Any other dt than the time since the last touch is of the player's own clock.
            since = event.t - last.get(touch.who, event.t)
            own_dt = None if touch.dt == since else touch.dt
            last[touch.who] = event.t
        self.jam.finger(
            event.t, touch.who, touch.id, touch.phase, touch.x, touch.y,
            own_dt=own_dt, pressure=touch.pressure, knobs=touch.knobs,
        )  # fmt: skip

    def _control(self, event: SetEvent) -> None:
        for name, value in event.values.items():
            if name == "model":
                self._loaded = value
                self.jam.swap(event.t, self._load(value), value["file"])
            else:
                self.jam.control(event.t, name, value)


def regenerate(
    session: Session, player: Player, load: Callable[[dict[str, Any]], Player]
) -> Iterator[SessionEvent]:
    """Play the machine's part again from the humans' touches; yield the events of the take.

    player, load and errors are as of `Rerun`.
    """
    yield from Rerun(session, player, load).events()


def _first_beats(events: Sequence[SessionEvent]) -> str:
    """Return the beats of the clock with which a take began; "" for none."""
    if not events or not isinstance(events[0], SetEvent) or events[0].t > 0:
        return ""
    return str(events[0].values.get("beats", "")) if len(events[0].values) == 1 else ""


def missing_parts(session: Session) -> Iterator[str]:
    """Yield what the recording lacks, so that the machine's part cannot be made as it was."""
    if damaged := session.damaged:
        lines = "line" if len(damaged) == 1 else "lines"
        yield (
            f"{len(damaged):,} damaged {lines} left out, the first is line {damaged[0]}: "
            "what the machine played after it cannot be made again exactly"
        )
    if session.header.rules > RULES:
        yield (
            "it was made by the rules of a newer robojam: the machine's part cannot be made "
            "again exactly"
        )
    if session.header.continues is not None:
        yield (
            f"the jam began in {session.header.continues!r:.80}: what the machine heard there "
            "is missing, and its part cannot be made again exactly"
        )


def first_difference(session: Session, made: Sequence[SessionEvent]) -> Difference | None:
    """Return where a regenerated take differs from the recorded one; None if it does not.

    A recording that was cut off may lack its last events.
    """
    if session.ended is None:
        made = made[: len(session.events)]
    for index, (recorded, again) in enumerate(zip_longest(session.events, made)):
        if recorded != again:
            return Difference(index, recorded, again)
    return None
