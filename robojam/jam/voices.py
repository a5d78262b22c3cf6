"""The machine's voices: what each plays next, when, and its one finger. Pure.

A touch is due at the previous due time plus its dt times the timescale, so a late
wake-up moves no deadline. The machine is one touch ahead, and a proposal is no part of
the player's state until it has sounded: to take it back is to drop it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from robojam.controls import Settings
from robojam.jam.dwell import AGAIN, DwellLimiter
from robojam.jam.events import Counters, Event, Player, Proposal, TouchPending, TouchPlayed
from robojam.touch import LIFT_AFTER, MAX_DT, MIN_DT, Phase, Touch, clip, nth

#: The queue is cleared of what is out of date when it is longer than so many times the voices.
_SLACK = 8


@dataclass(slots=True)
class Clock:
    """The time of a take, in seconds since its beginning; it never runs backwards.

    stopped_at is where the machine's own time stands still while it is paused.
    """

    t: float = 0.0
    stopped_at: float | None = None

    @property
    def machine(self) -> float:
        """The machine's time."""
        return self.t if self.stopped_at is None else self.stopped_at


@dataclass(slots=True)
class Voice:
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
    turned: int = 0  # how many times its place in the queue has changed
    linger: DwellLimiter = field(default_factory=DwellLimiter)

    @property
    def lift_due(self) -> float:
        """When its finger lifts, unless something comes between."""
        if not self.down or (self.pending is not None and self.pending.moving):
            return math.inf
        return self.touched + LIFT_AFTER

    def would_stay(self, made: Proposal, scale: float) -> bool:
        """Tell whether it would stay where it is for too long, with time scaled so."""
        at = self.base + made.dt * scale
        return self.linger.too_long(at, made.x, made.y, moving=made.moving)


def within(made: Proposal) -> Proposal:
    """Return a proposal on the surface and in time, if it is not."""
    if 0.0 <= made.x <= 1.0 and 0.0 <= made.y <= 1.0 and MIN_DT <= made.dt <= MAX_DT:
        return made
    x, y = clip(made.x, 0.0, 1.0), clip(made.y, 0.0, 1.0)
    return Proposal(x, y, clip(made.dt, MIN_DT, MAX_DT), made.moving)


class Voices:
    """All voices of a player: their proposals, and the touches that come of them.

    What each does next by itself stands in a queue (a heap), so that a thousand voices
    are not looked through for the one that is due. An entry whose voice has changed since
    is out of date, and is passed over when it comes up.
    """

    def __init__(
        self,
        player: Player,
        settings: Settings,
        *,
        clock: Clock,
        sink: Callable[[Event], None],
        counts: Counters,
        turn_end: Callable[[], float],
    ) -> None:
        """turn_end says when the machine's turn ends: nothing sounds from then on."""
        self.player, self.settings, self.clock = player, settings, clock
        self.sink, self.counts, self._turn_end = sink, counts, turn_end
        self.all = [Voice(i, nth("ai", i)) for i in range(player.voices)]
        self._queue: list[tuple[float, bool, int, int]] = []

    @property
    def down(self) -> int:
        """How many of them have their finger down."""
        return sum(voice.down for voice in self.all)

    @property
    def pending(self) -> int:
        """How many of them have a touch pending."""
        return sum(voice.pending is not None for voice in self.all)

    def next(self) -> tuple[float, bool, Voice]:
        """What is due next: when, whether it is a touch or a lift, and of which voice.

        Of what is due at the same instant lifts come first, then the first voice.
        """
        queue, voices = self._queue, self.all
        while queue:
            when, touch, index, turned = queue[0]
            voice = voices[index]
            if voice.turned == turned:
                return when, touch, voice
            heappop(queue)
        return math.inf, False, voices[0]

    def _enqueue(self, voice: Voice) -> None:
        """Give a voice its place in the queue, after a change."""
        voice.turned += 1
        lift, due = voice.lift_due, voice.due
        first = lift if lift <= due else due
        if first < math.inf:
            heappush(self._queue, (first, due < lift, voice.index, voice.turned))
        if len(self._queue) > _SLACK * len(self.all) + _SLACK:
            self._queue = [e for e in self._queue if self.all[e[2]].turned == e[3]]
            heapify(self._queue)

    def start(self, base: float) -> None:
        """Every voice makes its next touch, due its dt after base.

        What would come after the end of its turn is drawn again, for it would be all of it:
        people rest for long at times, but a partner who does not answer is taken for broken.
        """
        for voice in self.all:
            voice.base = base
            voice.linger.leave()
        self._sample_touches(self.all, left=self._turn_end() - base)

    def resume(self, bases: Sequence[float]) -> None:
        """Every voice makes its next touch, due its dt after its own base."""
        for voice, base in zip(self.all, bases, strict=True):
            voice.base = base
        self._sample_touches(self.all)

    def resample(self, *, late_ones_too: bool) -> None:
        """Make again what is pending, or else was left out as too late for the turn."""
        self._sample_touches([v for v in self.all if v.pending is not None or late_ones_too])

    def cancel(self) -> None:
        """Drop what is pending."""
        self.announce_cancelled()
        for voice in self.all:
            voice.pending, voice.due = None, math.inf
            self._enqueue(voice)

    def announce_cancelled(self) -> None:
        """Tell that what is pending will not sound when it was said to."""
        for voice in self.all:
            if voice.pending is not None:
                self.sink(TouchPending(self.clock.t, voice.who, None, math.inf))

    def _sample_touches(self, voices: list[Voice], *, left: float = math.inf) -> None:
        """Make the next touches of some voices, as one batch, within so many seconds.

        What would come later, or stay where it is for too long, is drawn again, AGAIN times
        at most.
        """
        made = self.player.sample([voice.index for voice in voices]) if voices else []
        made = [within(proposal) for proposal in made]
        scale = self.settings.timescale
        for _ in range(AGAIN):
            again = [
                i
                for i, (voice, proposal) in enumerate(zip(voices, made, strict=True))
                if proposal.dt * scale >= left or voice.would_stay(proposal, scale)
            ]
            if not again:
                break
            those = [voices[i].index for i in again]
            for index in those:
                self.player.skip(index)
            for i, proposal in zip(again, self.player.sample(those), strict=True):
                made[i] = within(proposal)
        for voice, proposal in zip(voices, made, strict=True):
            at = voice.base + proposal.dt * scale
            x, y = voice.linger.aside(at, proposal.x, proposal.y)
            if (x, y) != (proposal.x, proposal.y):
                proposal = Proposal(x, y, proposal.dt, proposal.moving)
            self._await(voice, proposal)

    def _await(self, voice: Voice, made: Proposal) -> None:
        """Let a voice's next touch be pending, if it will sound at all."""
        now = self.clock.machine
        due = max(voice.base + made.dt * self.settings.timescale, now)
        t = self.clock.t
        if due >= self._turn_end():  # it would never sound
            if voice.pending is not None:
                self.sink(TouchPending(t, voice.who, None, math.inf))
            voice.pending, voice.due = None, math.inf
            self._enqueue(voice)
            return
        voice.pending, voice.due = made, due
        self._enqueue(voice)
        held = self.clock.stopped_at is not None
        self.sink(TouchPending(t, voice.who, made, t + (due - now), held))

    def play(self, voice: Voice) -> None:
        """Let the touch sound that is due, and leave at once; then hear it and go on.

        In a duet it is not heard, and nothing follows until a human touches again.
        """
        made, t = voice.pending, self.clock.t
        assert made is not None
        voice.pending, voice.due = None, math.inf
        moving = made.moving and voice.down
        if not moving and voice.down:
            self.lift(voice)
        phase = Phase.MOVE if moving else Phase.DOWN
        voice.down, voice.x, voice.y, voice.touched = True, made.x, made.y, t
        self._enqueue(voice)
        self.counts.played += 1
        touch = Touch(made.x, made.y, made.dt, phase, 0, voice.who)
        self.sink(TouchPlayed(t, touch, made.dt * self.settings.timescale))
        if self.settings.mode == "duet":
            self.player.skip(voice.index)
            return
        self.player.commit(voice.index, made.x, made.y, made.dt, moving)
        voice.linger.touch(t, made.x, made.y, moving=moving)
        voice.base = t
        self._sample_touches([voice])

    def lift(self, voice: Voice) -> None:
        """Lift a voice's finger where it is."""
        voice.down = False
        self._enqueue(voice)
        dt = self.clock.t - voice.touched
        up = Touch(voice.x, voice.y, dt, Phase.UP, 0, voice.who)
        self.sink(TouchPlayed(self.clock.t, up, dt))

    def lift_all(self) -> None:
        """Lift every finger that is down."""
        for voice in self.all:
            if voice.down:
                self.lift(voice)

    def shift(self, seconds: float) -> None:
        """Go on after a pause, with the waits that were left."""
        for voice in self.all:
            voice.base += seconds

    def change_player(self, player: Player) -> None:
        """Let another player play the voices: each goes on from where it was."""
        player.continue_from(self.player)
        self.player = player
