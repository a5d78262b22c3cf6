"""The jam: whose turn it is, and what is due when.

Pure: no sockets, no threads, no clock. Time comes in as an argument, in seconds
since the beginning of the take, and never runs backwards. What happens goes out
through one callable, the sink, in the order in which it happens, and at once: a
touch has left before the model hears it and makes the next.

Time is desired time. A touch is due at the previous due time plus its dt times the
timescale, so a late wake-up moves no deadline. The machine is one touch ahead, and
a proposal is no part of the player's state until it has sounded: to take it back
is to drop it. What happens at t depends on nothing but what came in until t, so a
recording can be regenerated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from robojam.hands import Felt, Hands
from robojam.touch import LIFT_AFTER, MAX_DT, MIN_DT, Phase, Touch, clip, nth


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a player would play next: a place in screen units, dt in seconds unscaled."""

    x: float
    y: float
    dt: float
    moving: bool


class Player(Protocol):
    """A model at play, of one or more voices that hear the same and play their own."""

    @property
    def voices(self) -> int:
        """How many voices."""

    def temper(self, *, temperature: float, spread: float) -> None:
        """Set how the voices choose."""

    def seed(self, seed: int) -> None:
        """Begin the random numbers of every voice anew."""

    def reset(self) -> None:
        """Forget all that was heard."""

    def hear(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let every voice hear a touch."""

    def propose(self, voice: int) -> Proposal:
        """Say what a voice would play next. Changes nothing: the same again, if asked again."""

    def play(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let a voice hear the touch it has just played, and use up its random numbers."""

    def count(self, voice: int) -> None:
        """Use up the random numbers of a touch that was played and is not heard."""

    def follow(self, other: Any) -> None:
        """Go on with the random numbers of another player of the same kind."""

    def forecast(self) -> list[tuple[float, ...]]:
        """Return what voice 0 expects next, as weight, means, deviations, correlation."""


@dataclass(slots=True)
class Settings:
    """What can be changed while playing; seconds for threshold and response."""

    mode: str = "call-response"
    threshold: float = 0.5
    response: float = 5.0
    temperature: float = 1.0
    spread: float = 1.0
    timescale: float = 1.0
    pause: int = 0


@dataclass(frozen=True, slots=True)
class Sounded:
    """A touch of anyone, at the instant it came or was due; dt in seconds as scheduled."""

    t: float
    touch: Touch
    dt: float


@dataclass(frozen=True, slots=True)
class Turned:
    """The turn passed to human or ai."""

    t: float
    whose: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A control took effect."""

    t: float
    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True)
class Pending:
    """A voice's next touch has been made, due at ``due`` (paused: if it went on now)."""

    t: float
    who: str
    proposal: Proposal
    due: float


Happening = Sounded | Turned | Changed | Pending


@dataclass(slots=True)
class Counts:
    """What has happened so far; dropped by reason."""

    played: int = 0
    heard: int = 0
    replaced: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count something that was dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


@dataclass(slots=True)
class _Voice:
    """One voice: what it would play, its finger, and from when its next dt counts."""

    index: int
    who: str
    base: float = 0.0
    pending: Proposal | None = None
    due: float = math.inf
    down: bool = False
    x: float = 0.0
    y: float = 0.0
    touched: float = 0.0

    @property
    def lift_due(self) -> float:
        """When its finger lifts, unless something comes between."""
        if not self.down or (self.pending is not None and self.pending.moving):
            return math.inf
        return self.touched + LIFT_AFTER


#: What can be due, in the order in which it happens when due at the same instant.
#: A human's finger that lifts by itself comes last, as a packet with that up would.
_TURN_ENDS, _LIFT, _TOUCH, _SILENCE, _LIFT_HUMAN = range(5)


class Jam:
    """Turn-taking and schedule of one take."""

    def __init__(
        self,
        player: Player,
        settings: Settings,
        sink: Callable[[Happening], None],
        counts: Counts | None = None,
    ) -> None:
        self.settings, self.sink = settings, sink
        self.counts = counts or Counts()
        self.hands = Hands()
        self.turn = "ai" if settings.mode == "solo" else "human"
        self.t = 0.0
        self._silenced = False
        self._begun = False
        self._paused_at = 0.0
        self._heard_at: float | None = None  # the last touch that the model was fed
        # The last down or move of any human, and when the silence began that the machine
        # will answer; both by the machine's clock, which stands still while paused.
        self._human_at = -math.inf
        self._silent_from = math.inf
        self._turn_began = 0.0
        self.adopt(player)

    def adopt(self, player: Player) -> None:
        """Play with this player from now on; it has heard nothing."""
        self.player = player
        self._voices = [_Voice(i, nth("ai", i)) for i in range(player.voices)]
        player.temper(temperature=self.settings.temperature, spread=self.settings.spread)

    @property
    def would_begin(self) -> bool:
        """Whether the machine begins by itself: solo, and nothing holds it."""
        return self.settings.mode == "solo" and not (self._silenced or self.settings.pause)

    @property
    def fingers(self) -> int:
        """How many fingers are down, everyone's."""
        return len(self.hands) + sum(voice.down for voice in self._voices)

    @property
    def turn_left(self) -> float | None:
        """Seconds left of the machine's turn at self.t; None where it has no end."""
        end = self._turn_end
        return None if math.isinf(end) else max(0.0, end - self._clock())

    # -- what comes in ---------------------------------------------------------

    def begin(self) -> None:
        """Begin the take, at t = 0."""
        self._begun = True
        if self.settings.mode == "solo":
            self._play_on()

    def advance(self, t: float) -> None:
        """Let everything happen that is due at or before t, each at its own instant."""
        while (due := self._next()) is not None and due[0] <= t:
            when, kind, voice = due
            self.t = max(self.t, when)
            if kind == _LIFT_HUMAN:
                for felt in self.hands.lift(self.t):
                    self._sound(felt)
            elif kind == _TURN_ENDS:
                self._end_turn()
            elif kind == _SILENCE:
                self._begin_turn(self.t)
            elif kind == _LIFT:
                self._lift(voice)
            else:
                self._play(voice)
        self.t = max(self.t, t)

    @property
    def due(self) -> float | None:
        """When something happens next by itself; None while nothing will."""
        found = self._next()
        return None if found is None else max(found[0], self.t)

    def finger(
        self,
        t: float,
        who: str,
        finger: int,
        phase: Phase,
        x: float = 0.0,
        y: float = 0.0,
        *,
        own_dt: float | None = None,
    ) -> None:
        """Feel a human's finger; own_dt in seconds where the player has its own clock."""
        self.advance(t)
        self._feel(self.hands.finger(t, who, finger, phase, x, y, own_dt=own_dt))

    def plain(self, t: float, who: str, x: float, y: float, dt: float | None = None) -> None:
        """Feel a touch of a player without phases."""
        self.advance(t)
        self._feel(self.hands.plain(t, who, x, y, dt))

    def control(self, t: float, name: str, value: float | int | str = 1) -> bool:
        """Let a control take effect at t, its value checked. Tell whether it had any."""
        self.advance(t)
        act = getattr(self, f"_on_{name}", None)
        if act is not None:
            return bool(act(value))
        if getattr(self.settings, name) == value:
            return False
        setattr(self.settings, name, value)
        self.sink(Changed(self.t, name, value))
        if name in ("temperature", "spread"):
            settings = self.settings
            self.player.temper(temperature=settings.temperature, spread=settings.spread)
        self._make_anew()
        return True

    def swap(self, t: float, player: Player, name: str) -> None:
        """Play with another player from t on."""
        self.advance(t)
        self.sink(Changed(self.t, "model", name))
        self._lift_machine()
        waiting = [voice.base for voice in self._voices]
        asked = [voice.pending is not None for voice in self._voices]
        player.follow(self.player)
        self.adopt(player)
        self._forget()
        for voice, base, was in zip(self._voices, waiting, asked, strict=True):
            voice.base = base
            if was:
                self._propose(voice)

    def finish(self, t: float) -> None:
        """End the take: play what is due, and lift every finger."""
        self.advance(t)
        self._take_back()
        for felt in self.hands.lift_all(self.t):
            self._sound(felt)
        self._lift_machine()

    # -- controls with a meaning of their own ------------------------------------

    def _on_answer(self, _: object) -> bool:
        if self._silenced or self.settings.mode in ("solo", "listen"):
            return False
        if self.settings.mode == "call-response" and self.turn == "ai":
            return False
        self.sink(Changed(self.t, "answer", 1))
        if self.settings.mode == "duet":
            self._set_out(self._clock())
        else:
            self._begin_turn(self._clock())
        return True

    def _on_mode(self, value: str) -> bool:
        if self.settings.mode == value:
            return False
        self.settings.mode = value
        self.sink(Changed(self.t, "mode", value))
        self._take_back()
        self._lift_machine()
        self._silent_from = math.inf
        self._pass_turn("ai" if value == "solo" else "human")
        if value == "solo":
            self._play_on()
        # A silence that is over already was answered, or was not meant to be.
        waiting = self._human_at + self.settings.threshold > self._clock()
        if value == "call-response" and waiting and not self._silenced:
            self._silent_from = self._human_at
        return True

    def _on_pause(self, value: int) -> bool:
        settings = self.settings
        wakes = not value and self._silenced and settings.mode == "solo"
        if settings.pause == value and not wakes:
            return False
        self.sink(Changed(self.t, "pause", value))
        if value:
            settings.pause, self._paused_at = value, self.t
            self._lift_machine()
            return True
        if settings.pause:
            settings.pause = value
            self._shift(self.t - self._paused_at)
            self._make_anew()
        if wakes:
            self._silenced = False
        if settings.mode == "solo":
            self._play_on()
        return True

    def _on_reset(self, _: object) -> bool:
        self.sink(Changed(self.t, "reset", 1))
        self.player.reset()
        self._forget()
        self._make_anew()
        return True

    def _on_seed(self, value: int) -> bool:
        self.sink(Changed(self.t, "seed", value))
        self.player.seed(value)
        self._make_anew()
        return True

    def _on_panic(self, _: object) -> bool:
        if self._silenced and not self.fingers:
            return False
        self.sink(Changed(self.t, "panic", 1))
        self._silenced = True
        self._silent_from = math.inf
        self._take_back()
        self._lift_machine()
        for felt in self.hands.lift_all(self.t):
            self._sound(felt)
        if self.settings.mode == "call-response":
            self._pass_turn("human")
        return True

    # -- the humans ----------------------------------------------------------------

    def _feel(self, felt: list[Felt] | str) -> None:
        if isinstance(felt, str):
            self.counts.drop(felt)
            return
        for one in felt:
            if one.touch.phase is not Phase.UP:
                self._break_in()
            self._sound(one)
            if one.heard is not None and self.settings.mode != "solo":
                self._hear(one)

    def _break_in(self) -> None:
        """A human lands or slides: that is no silence, and the turn is theirs."""
        self._human_at = self._clock()
        if self.settings.mode != "solo":
            self._silenced = False
        if self.settings.mode == "call-response":
            if self.turn == "ai":
                self._end_turn()
            self._silent_from = self._human_at

    def _sound(self, felt: Felt) -> None:
        self.sink(Sounded(felt.t, felt.touch, felt.touch.dt))

    def _hear(self, felt: Felt) -> None:
        touch = felt.touch
        dt = 0.0 if self._heard_at is None else felt.t - self._heard_at
        if felt.own_dt is not None and self._heard_at is not None:
            dt = felt.own_dt
        self._heard_at = felt.t
        self.counts.heard += 1
        self.player.hear(touch.x, touch.y, clip(dt, 0.0, MAX_DT), bool(felt.heard))
        if self.settings.mode == "duet":
            self.counts.replaced += sum(v.pending is not None for v in self._voices)
            self._set_out(self._clock())

    def _forget(self) -> None:
        self._heard_at = None
        self.hands.forget()

    # -- the machine's turn ------------------------------------------------------------

    def _begin_turn(self, t: float) -> None:
        self._silent_from = math.inf
        self._turn_began = t
        self._pass_turn("ai")
        self._set_out(t)

    def _end_turn(self) -> None:
        self._take_back()
        self._lift_machine()
        self._pass_turn("human")

    def _pass_turn(self, whose: str) -> None:
        if self.turn != whose:
            self.turn = whose
            self.sink(Turned(self.t, whose))

    @property
    def _turn_end(self) -> float:
        s = self.settings
        if s.mode != "call-response" or self.turn != "ai" or s.response == 0:
            return math.inf
        return self._turn_began + s.response

    def _set_out(self, base: float) -> None:
        """Every voice makes its next touch, due its dt after base."""
        for voice in self._voices:
            voice.base = base
            self._propose(voice)

    def _play_on(self) -> None:
        """Solo: set out, unless it plays already or something holds it."""
        if self._begun and self.would_begin and self._voices[0].pending is None:
            self._set_out(self._clock())

    def _make_anew(self) -> None:
        """Take back what is pending, or was left out as too late, and make it again."""
        answering = self.settings.mode == "call-response" and self.turn == "ai"
        for voice in self._voices:
            if voice.pending is not None or answering:
                self._propose(voice)

    def _propose(self, voice: _Voice) -> None:
        made = self.player.propose(voice.index)
        made = Proposal(
            clip(made.x, 0.0, 1.0),
            clip(made.y, 0.0, 1.0),
            clip(made.dt, MIN_DT, MAX_DT),
            made.moving,
        )
        due = max(voice.base + made.dt * self.settings.timescale, self._clock())
        if due >= self._turn_end:
            voice.pending, voice.due = None, math.inf  # it would never sound
            return
        voice.pending, voice.due = made, due
        self.sink(Pending(self.t, voice.who, made, self.t + (due - self._clock())))

    def _play(self, voice: _Voice) -> None:
        made = voice.pending
        assert made is not None
        moving = made.moving and voice.down
        if not moving and voice.down:
            self._lift(voice)
        phase = Phase.MOVE if moving else Phase.DOWN
        voice.down, voice.x, voice.y, voice.touched = True, made.x, made.y, self.t
        voice.pending, voice.due = None, math.inf
        self.counts.played += 1
        touch = Touch(made.x, made.y, made.dt, phase, 0, voice.who)
        self.sink(Sounded(self.t, touch, made.dt * self.settings.timescale))
        if self.settings.mode == "duet":
            self.player.count(voice.index)
            return
        self.player.play(voice.index, made.x, made.y, made.dt, moving)
        self._heard_at = self.t
        voice.base = self.t
        self._propose(voice)

    def _lift(self, voice: _Voice) -> None:
        voice.down = False
        dt = self.t - voice.touched
        self.sink(Sounded(self.t, Touch(voice.x, voice.y, dt, Phase.UP, 0, voice.who), dt))

    def _lift_machine(self) -> None:
        for voice in self._voices:
            if voice.down:
                self._lift(voice)

    def _take_back(self) -> None:
        for voice in self._voices:
            voice.pending, voice.due = None, math.inf

    # -- time ------------------------------------------------------------------------------

    def _clock(self) -> float:
        """The machine's time: it stands still while paused."""
        return self._paused_at if self.settings.pause else self.t

    def _shift(self, seconds: float) -> None:
        """Go on after a pause, with the waits that were left."""
        self._human_at += seconds
        self._silent_from += seconds
        self._turn_began += seconds
        for voice in self._voices:
            voice.base += seconds

    def _next(self) -> tuple[float, int, _Voice] | None:
        """What is due next: when, what, and of which voice."""
        first = (math.inf, _LIFT_HUMAN, self._voices[0])
        lift = self.hands.lift_due
        if lift is not None:
            first = (lift, _LIFT_HUMAN, first[2])
        if not self.settings.pause and self._begun:
            silence = self._silent_from + self.settings.threshold
            ends = ((self._turn_end, _TURN_ENDS), (silence, _SILENCE))
            for when, kind in ends:
                if (when, kind) < first[:2]:
                    first = (when, kind, first[2])
            for voice in self._voices:
                for when, kind in ((voice.lift_due, _LIFT), (voice.due, _TOUCH)):
                    if (when, kind) < first[:2]:
                        first = (when, kind, voice)
        return None if math.isinf(first[0]) else first
