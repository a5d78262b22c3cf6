"""Ahead of time on the wire: touches sent early, each stamped with the instant it is due.

A receiver that schedules (scsynth, sclang, newer Max) then plays them without the
network's jitter and its own. The machine knows its next touch as soon as the last one has
sounded, so each goes out that many milliseconds before it is due, in an OSC bundle with
an NTP timetag; a touch that is due sooner goes out at once.

What was sent and is then taken back cannot be called back: it is followed by an up that
is stamped no earlier than it, so that no finger stays down.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from robojam.jam.events import ControlChanged, Event, Proposal, TouchPending, TouchPlayed
from robojam.ports.udp import Address, Endpoint
from robojam.touch import LIFT_AFTER, Phase, Touch, is_machine
from robojam.wire import native, osc

#: Two instants that are this near are the same, in seconds: sums of floats differ.
_SAME = 1e-6
#: Stamps by the wall's clock that are this near to the last one do not go back.
_NEAR = 1e-4


@dataclass(slots=True)
class _Voice:
    """What a receiver has been told of one voice, and what is coming; the clock's seconds.

    down, and touched when: the voice as the jam has it. held: the finger as the receiver
    will have it, once all that was sent has come due; lands and lifts, the stamps of the
    last touch and of the last up that were sent; told, the last of both by the wall's clock.
    """

    next: Proposal | None = None
    due: float = math.inf
    sent: bool = False
    down: bool = False
    touched: float = -math.inf
    x: float = 0.0
    y: float = 0.0
    held: bool = False
    lands: float = -math.inf
    lifts: float = -math.inf
    told: float = -math.inf

    @property
    def lift(self) -> float:
        """When its finger will lift by itself, as far as can be said; its down lifts it too."""
        if not (self.down and self.held) or self.sent:
            return math.inf
        if self.next is not None and self.next.moving:
            return math.inf
        lift = self.touched + LIFT_AFTER
        return lift if lift < self.due else math.inf

    @property
    def first(self) -> float:
        """The stamp of what is to be sent next."""
        return min(self.lift, math.inf if self.sent else self.due)


class ScheduledOscOutput:
    """A receiver of the native dialect that schedules, told some seconds ahead."""

    def __init__(
        self,
        endpoint: Endpoint,
        to: Address,
        *,
        ahead: float,
        timescale: float,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Send to an address; ahead in seconds; timescale is the one in force.

        clock is the engine's, wall the one that machines share, since 1970.
        """
        self._endpoint, self._to, self._ahead = endpoint, to, ahead
        self._timescale, self._clock, self._wall = timescale, clock, wall
        self._voices: dict[str, _Voice] = {}

    def handle(self, what: Event, at: float) -> None:
        """Plan what is pending, send what could not be planned, mend what was taken back."""
        if isinstance(what, TouchPlayed):
            if is_machine(what.touch.who):
                self._sounded(what, at)
        elif isinstance(what, TouchPending):
            self._pending(what, at + (what.due - what.t))
        elif isinstance(what, ControlChanged) and what.name == "timescale":
            self._timescale = float(what.value)

    def advance(self, now: float) -> float:
        """Send what is due within the span; return the seconds until the next is."""
        first = math.inf
        for who, voice in self._voices.items():
            while (stamp := voice.first) - self._ahead <= now:
                if voice.lift <= stamp:
                    self._up(who, voice, stamp)
                else:
                    self._touch(who, voice, voice.next, stamp)
                    voice.sent = True
            first = min(first, stamp)
        return first - self._ahead - now

    def status(self) -> dict[str, object]:
        """Say how far ahead it is, in milliseconds."""
        return {"osc_ahead_ms": 1000 * self._ahead}

    def close(self) -> None:
        """Lift what would stay down."""
        for who, voice in self._voices.items():
            self._take_back(who, voice)
            if voice.held:
                self._up(who, voice, max(self._clock(), voice.lands))

    def _pending(self, what: TouchPending, due: float) -> None:
        voice = self._voices.setdefault(what.who, _Voice())
        same = voice.next == what.proposal and abs(voice.due - due) < _SAME
        if same and not what.held:
            return  # made anew, and the same again: it may be on its way
        self._take_back(what.who, voice)
        if not what.held:
            voice.next, voice.due = what.proposal, due

    def _sounded(self, what: TouchPlayed, at: float) -> None:
        touch = what.touch
        voice = self._voices.setdefault(touch.who, _Voice())
        planned = voice.sent and abs(at - voice.due) < _SAME
        if touch.phase is Phase.UP:
            voice.down = False
            stamp = max(at, voice.lands)
            if not planned and (voice.held or stamp < voice.lifts - _SAME):
                self._up(touch.who, voice, stamp)
            return
        if not planned:
            moving = touch.phase is Phase.MOVE
            made = Proposal(touch.x, touch.y, touch.dt, moving)
            self._touch(touch.who, voice, made, at)
        voice.next, voice.due, voice.sent = None, math.inf, False
        voice.down, voice.touched, voice.x, voice.y = True, at, touch.x, touch.y

    def _take_back(self, who: str, voice: _Voice) -> None:
        """Forget what was pending; if it is on its way, let it be lifted when it lands."""
        early, voice.next, voice.due, voice.sent = voice.sent, None, math.inf, False
        if early:
            self._up(who, voice, voice.lands)

    def _touch(self, who: str, voice: _Voice, made: Proposal | None, stamp: float) -> None:
        assert made is not None
        stamp = max(stamp, voice.lands)  # not before what was taken back and lifted
        packets = []
        moving = made.moving and voice.held
        if not moving and voice.held:
            packets.append(self._written(who, voice, Phase.UP, 0.0))
        voice.x, voice.y = made.x, made.y
        phase = Phase.MOVE if moving else Phase.DOWN
        packets.append(self._written(who, voice, phase, made.dt * self._timescale))
        self._send(voice, packets, stamp)
        voice.held, voice.lands = True, stamp

    def _up(self, who: str, voice: _Voice, stamp: float) -> None:
        self._send(voice, [self._written(who, voice, Phase.UP, 0.0)], stamp)
        voice.held, voice.lifts = False, stamp

    def _written(self, who: str, voice: _Voice, phase: Phase, dt: float) -> bytes:
        return native.touch(Touch(voice.x, voice.y, dt, phase, 0, who), dt)

    def _send(self, voice: _Voice, packets: list[bytes], stamp: float) -> None:
        since_1970 = self._wall() + (stamp - self._clock())
        # The wall's seconds are so many that the last bits are lost: an up is not to come
        # before its touch for that.
        if 0 < voice.told - since_1970 < _NEAR:
            since_1970 = voice.told
        voice.told = since_1970
        self._endpoint.send(osc.bundle(packets, at=since_1970), self._to)
