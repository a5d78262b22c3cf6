"""Playback of a recorded jam at its own times, in the place of a live jam. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from robojam.controls import SETTINGS, Settings, check_recorded
from robojam.jam.events import ControlChanged, Counters, Event, Player, Proposal, TouchPlayed
from robojam.jam.jam import Jam
from robojam.sessions.session import Session, SessionEvent, SetEvent, TouchEvent
from robojam.touch import Phase, Touch, is_machine

#: No dt goes out that is longer than this, in seconds: it would not fit its 32 bits.
_LONGEST = 1e9


def settings_of(session: Session) -> Settings:
    """Return the settings in force when a recording began.

    Raises ValueError where these, or a control of the recording, cannot be.
    """
    chosen = session.header.options
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


class NoPlayer:
    """The player of a replay: everything has been played already."""

    voices = 1

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        """Do nothing."""

    def seed(self, seed: int) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Do nothing."""

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Do nothing."""

    def commit(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Do nothing."""

    def skip(self, voice: int) -> None:
        """Do nothing."""

    def continue_from(self, other: Player) -> None:
        """Do nothing."""

    def snapshot(self) -> None:
        """Remember nothing."""

    def restore(self, snapshot: object) -> None:
        """Do nothing."""

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        """Never: nothing asks a replay for more than what was recorded."""
        raise RuntimeError(f"a replay proposes nothing, not for voices {list(voices)}")

    def forecast(self) -> list[tuple[float, ...]]:
        """Expect nothing."""
        return []


def turns(events: Sequence[SessionEvent], mode: str) -> list[str]:
    """Tell whose turn it is at each event of a recording that begins in a mode.

    No recording says so, but who plays does: a turn is the machine's from its first touch
    on, and until its finger lifts for good.
    """
    machine_next = [False]  # whether the next landing or slide is the machine's
    for event in reversed(events):
        machine = machine_next[-1]
        if isinstance(event, TouchEvent) and event.touch.phase is not Phase.UP:
            machine = is_machine(event.touch.who)
        machine_next.append(machine)
    found: list[str] = []
    turn = "ai" if mode == "solo" else "human"
    for event, machine in zip(events, machine_next[-2::-1], strict=True):
        if isinstance(event, SetEvent) and "mode" in event.values:
            mode = event.values["mode"]
            turn = "ai" if mode == "solo" else "human"
        elif isinstance(event, TouchEvent) and mode == "call-response":
            theirs = is_machine(event.touch.who)
            if event.touch.phase is not Phase.UP:
                turn = "ai" if theirs else "human"
            elif theirs and not machine:
                turn = "human"
        found.append(turn)
    return found


class Playback(Jam):
    """A recorded jam at its own timing, in place of a live one.

    speed is how many times faster; who, the players that sound (all, if None); lead,
    seconds before it begins. Of the controls, pause holds it.
    """

    def __init__(
        self,
        session: Session,
        sink: Callable[[Event], None],
        *,
        settings: Settings,
        counts: Counters,
        speed: float = 1.0,
        who: Collection[str] | None = None,
        lead: float = 0.0,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(NoPlayer(), settings, sink, counts)
        again = session.select(who).events
        self._events = list(zip(again, turns(again, settings.mode), strict=True))
        self._at = 0
        self._speed, self._lead, self._on_end = speed, lead, on_end
        self._down: dict[tuple[str, int], TouchPlayed] = {}
        self._over = False

    @property
    def starts_alone(self) -> bool:
        """A replay begins by itself."""
        return True

    @property
    def fingers(self) -> int:
        """How many recorded fingers are down."""
        return len(self._down)

    @property
    def turn_left(self) -> None:
        """Nobody knows: a turn may have been cut short, and is over when it is."""

    @property
    def due(self) -> float | None:
        """When the next recorded event happens again."""
        if self.settings.pause or self._over:
            return None
        if self._at == len(self._events):
            return self.t
        return self._lead + self._events[self._at][0].t / self._speed

    def begin(self) -> None:
        """Begin."""

    def advance(self, t: float) -> None:
        """Let everything recorded until then happen again."""
        while (due := self.due) is not None and due <= t:
            self.clock.t = max(self.t, due)
            if self._at == len(self._events):
                self._over = True
                self._on_end()
                return
            event, turn = self._events[self._at]
            self._at += 1
            lifts = isinstance(event, TouchEvent) and event.touch.phase is Phase.UP
            if not lifts:
                self._pass_turn(turn)
            self._again(event)
            if lifts:
                self._pass_turn(turn)
        self.clock.t = max(self.t, t)

    def _again(self, event: SessionEvent) -> None:
        if isinstance(event, TouchEvent):
            self._touch_again(event.touch)
            return
        for name, value in event.values.items() if isinstance(event, SetEvent) else ():
            if name == "pause":
                continue  # it is in the times already; here it would hold the replay
            if hasattr(self.settings, name):
                setattr(self.settings, name, value)
            self.sink(ControlChanged(self.t, name, value["file"] if name == "model" else value))

    def _touch_again(self, touch: Touch) -> None:
        finger, dt = (touch.who, touch.id), touch.dt
        held = self._down.pop(finger, None)
        if held is None:  # it may have been lifted to hold the replay
            if touch.phase is Phase.UP:
                return
            touch = replace(touch, phase=Phase.DOWN)
        if touch.phase is not Phase.UP and is_machine(touch.who):
            dt *= self.settings.timescale
            self.counts.played += 1
        sounded = TouchPlayed(self.t, touch, min(dt / self._speed, _LONGEST))
        if touch.phase is not Phase.UP:
            self._down[finger] = sounded
        self.sink(sounded)

    def control(self, t: float, name: str, value: float | int | str = 1) -> bool:
        """Hold and go on (a panic holds too), and the volume: all else is as recorded."""
        self.advance(t)
        if name == "volume" and self.settings.volume != value:
            self.settings.volume = float(value)
            self.sink(ControlChanged(t, name, value))
            return True
        if name not in ("pause", "panic") or self.settings.pause == value:
            return False
        self.settings.pause = int(value)
        self.sink(ControlChanged(t, "pause", int(value)))
        if value:
            self.clock.stopped_at = t
            self._lift_all(t)
        elif self.clock.stopped_at is not None:
            self._lead += t - self.clock.stopped_at
            self.clock.stopped_at = None
        return True

    def finger(self, *_: object, **__: object) -> None:
        """A replay hears nobody."""
        self.counts.drop("replaying")

    def plain(self, *_: object, **__: object) -> None:
        """A replay hears nobody."""
        self.counts.drop("replaying")

    def finish(self, t: float) -> None:
        """End it: lift every finger."""
        self._lift_all(t)

    def _lift_all(self, t: float) -> None:
        for sounded in list(self._down.values()):
            touch = sounded.touch
            up = replace(touch, dt=t - sounded.t, phase=Phase.UP)
            self.sink(TouchPlayed(t, up, up.dt))
        self._down.clear()
