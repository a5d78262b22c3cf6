"""Playback of a recorded jam at its own times, in the place of a live jam. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from robojam.beats import TEMPI, Beats
from robojam.controls import SETTINGS, Settings, check_recorded
from robojam.jam.events import ControlChanged, Counters, Event, TouchPlayed, TurnChanged
from robojam.jam.modes import MODES
from robojam.sessions.session import Session, SessionEvent, SetEvent, TouchEvent
from robojam.sessions.strokes import RecordedFingers, walk
from robojam.touch import Phase, Touch, is_machine

#: Longest dt that goes out, in seconds: a longer one might not fit into 32 bits.
_LONGEST = 1e9


def settings_of(session: Session) -> Settings:
    """Return the initial settings. Raises ValueError for a control that is not valid.

    A control that is newer than the recording has the value that changes nothing.
    """
    older = {row.name: row.before for row in SETTINGS.values() if row.before is not None}
    chosen = older | session.header.options
    known = _checked(1, {name: chosen[name] for name in SETTINGS if name in chosen})
    for line, event in enumerate(session.events, start=2):
        if isinstance(event, SetEvent):
            _checked(line, event.values)
    return Settings(**known)


def _checked(line: int, values: dict[str, Any]) -> dict[str, Any]:
    """Return the controls of a line in their canonical form. Raises ValueError."""
    try:
        return {name: check_recorded(name, value) for name, value in values.items()}
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error


def turns(events: Sequence[SessionEvent], mode: str) -> list[str]:
    """Return whose turn it is at each event of a recording that begins in a mode.

    A recording does not hold the turn, but it follows from who plays: a turn is the machine's
    from its first touch until its finger lifts for the last time before a human's touch.
    """
    machine_next = [False]  # whether the next landing or slide is the machine's
    for event in reversed(events):
        machine = machine_next[-1]
        if isinstance(event, TouchEvent) and event.touch.phase is not Phase.UP:
            machine = is_machine(event.touch.who)
        machine_next.append(machine)
    result: list[str] = []
    turn = MODES[mode].first_turn
    for event, machine in zip(events, machine_next[-2::-1], strict=True):
        if isinstance(event, SetEvent) and "mode" in event.values:
            mode = event.values["mode"]
            turn = MODES[mode].first_turn
        elif isinstance(event, TouchEvent) and MODES[mode].alternates:
            by_machine = is_machine(event.touch.who)
            if event.touch.phase is not Phase.UP:
                turn = "ai" if by_machine else "human"
            elif by_machine and not machine:
                turn = "human"
        result.append(turn)
    return result


class Playback:
    """Recorded jam at its own times, in the place of a live one.

    It needs no player. Of the controls it takes those that the table marks with replay: pause
    and panic hold it, and the sound's are set.
    """

    replaying = True
    plans = saves = False
    silenced = incomplete = False
    starts_alone = True
    #: Unknown: a turn may have been cut short by what follows.
    turn_left: float | None = None
    memories: tuple[str, ...] = ()
    visitors: Collection[str] = ()

    def __init__(
        self,
        session: Session,
        settings: Settings,
        sink: Callable[[Event], None],
        counts: Counters,
        *,
        speed: float = 1.0,
        who: Collection[str] | None = None,
        lead: float = 0.0,
        on_end: Callable[[], None],
    ) -> None:
        """Prepare to play a recording.

        speed is how many times faster it is; who the players to be heard (None: all); lead
        the seconds before it begins. on_end is called once, when all has been played.
        """
        self.settings, self.sink, self.counts = settings, sink, counts
        self.t = 0.0
        events = tuple(walk(session.select(who)))
        self._events = list(zip(events, turns(events, settings.mode), strict=True))
        self._next = 0
        self._speed, self._lead, self._on_end = speed, lead, on_end
        self._fingers = RecordedFingers()
        self._held_at: float | None = None
        self._over = False
        self.turn = MODES[settings.mode].first_turn

    @property
    def fingers(self) -> int:
        """Number of recorded fingers that are down."""
        return len(self._fingers)

    @property
    def due(self) -> float | None:
        """Time of the next recorded event; None while it is held or over."""
        if self.settings.pause or self._over:
            return None
        if self._next == len(self._events):
            return self.t
        return self._lead + self._events[self._next][0].t / self._speed

    @property
    def knobs(self) -> tuple[float, ...]:
        """Return nothing: a recording takes no movements."""
        return ()

    def is_out(self, _who: str) -> bool:
        """Return False: a recording has no rules of turns."""
        return False

    def begin(self, seed: int, beats: str = "") -> None:
        """Begin. A recording needs no seed, and no beats."""
        del seed, beats

    def forecast(self) -> list[tuple[float, ...]]:
        """Return nothing: no model plays."""
        return []

    def advance(self, t: float) -> None:
        """Play everything that was recorded until t."""
        while (due := self.due) is not None and due <= t:
            self.t = max(self.t, due)
            if self._next == len(self._events):
                self._over = True
                self._on_end()
                return
            event, turn = self._events[self._next]
            self._next += 1
            lifts = isinstance(event, TouchEvent) and event.touch.phase is Phase.UP
            if not lifts:
                self._pass_turn(turn)
            self._play(event)
            if lifts:
                self._pass_turn(turn)
        self.t = max(self.t, t)

    def _pass_turn(self, whose: str) -> None:
        if self.turn != whose:
            self.turn = whose
            self.sink(TurnChanged(self.t, whose))

    def _play(self, event: SessionEvent) -> None:
        if isinstance(event, TouchEvent):
            self._play_touch(event.touch)
        elif isinstance(event, SetEvent):
            for name, value in event.values.items():
                if name == "pause":
                    continue  # the recorded times contain it; here it would hold the replay
                if name in SETTINGS:
                    setattr(self.settings, name, value)
                shown = value["file"] if name == "model" else value
                if name == "beats" and value:
                    shown = self._sped_up(value)
                self.sink(ControlChanged(self.t, name, shown))

    def _sped_up(self, text: str) -> str:
        """Return recorded beats at the speed of the replay; "" where they cannot be so fast."""
        beats = Beats.parse(text, 0.0)
        tempo = beats.tempo * self._speed
        if not TEMPI[0] <= tempo <= TEMPI[1]:
            return ""
        return Beats(0.0, beats.beat, tempo, beats.beats_per_bar).encode()

    def _play_touch(self, touch: Touch) -> None:
        # A finger that was lifted to hold the replay lands again with its next move.
        for event in self._fingers.take(TouchEvent(self.t, touch)):
            dt = event.touch.dt
            if event.touch.phase is not Phase.UP and is_machine(touch.who):
                dt *= self.settings.timescale
                self.counts.played += 1
            self.sink(TouchPlayed(self.t, event.touch, min(dt / self._speed, _LONGEST)))

    def control(self, t: float, name: str, value: float | int | str = 1) -> bool:
        """Hold the replay, go on, or set a control of the sound; all else is as recorded."""
        self.advance(t)
        if name in ("pause", "panic"):
            return self._hold(t, int(value))
        row = SETTINGS.get(name)
        if row is None or not row.replay or getattr(self.settings, name) == value:
            return False
        setattr(self.settings, name, value)
        self.sink(ControlChanged(t, name, value))
        return True

    def _hold(self, t: float, pause: int) -> bool:
        if self.settings.pause == pause:
            return False
        self.settings.pause = pause
        self.sink(ControlChanged(t, "pause", pause))
        if pause:
            self._held_at = t
            self._lift_all(t)
        elif self._held_at is not None:
            self._lead += t - self._held_at
            self._held_at = None
        return True

    def finger(self, *_: object, **__: object) -> None:
        """Count a touch or a model as dropped: a replay takes none."""
        self.counts.drop("replaying")

    plain = swap = finger

    def recover(self, t: float) -> None:
        """Go on at t with the event after the one that failed."""
        self.t = max(self.t, t)

    def hold(self, t: float) -> None:
        """Lift every finger."""
        self._lift_all(t)

    def move(self, *_: object) -> bool:
        """Do nothing: no model plays."""
        return True

    def prepare(self, _t: float, *, plans: bool = True) -> float:
        """Compute nothing: no model plays."""
        del plans
        return math.inf

    def finish(self, t: float) -> None:
        """End: lift every finger."""
        self._lift_all(t)

    def _lift_all(self, t: float) -> None:
        for event in self._fingers.lift(t):
            self.sink(TouchPlayed(t, event.touch, event.touch.dt))
