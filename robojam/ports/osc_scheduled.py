"""OSC output that sends touches ahead of time, each stamped with the instant it is due.

A receiver that schedules (scsynth, sclang, newer Max) plays them at that instant, without the
jitter of the network and of its own loop. The machine's next touch is known as soon as the
last one has sounded, so it is sent some milliseconds before it is due, in an OSC bundle with
an NTP timetag; a touch that is due sooner is sent at once.

A touch that was sent cannot be called back. When it is taken back, an up follows that is
stamped no earlier than the touch, so that no finger stays down.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from robojam.jam.events import ControlChanged, Event, TouchPending, TouchPlayed
from robojam.jam.protocols import Proposal
from robojam.ports.destination import Destination
from robojam.touch import LIFT_AFTER, Phase, Touch, is_machine
from robojam.wire import native, osc
from robojam.wire.echo import EchoDetector

#: Instants closer than this are the same, in seconds: sums of floats differ.
_SAME = 1e-6
#: A timetag that would precede the last one by less than this, in seconds, is set to it.
_ROUNDING = 1e-4


@dataclass(slots=True)
class _Voice:
    """State of one voice, at the jam and at the receiver; times in the engine's seconds.

    In the jam: the pending proposal, when it is due and whether it has been sent; whether the
    finger is down, and when it was last touched. At the receiver, once all that was sent has
    come due: x, y, knobs, and whether the finger is held. last_touch and last_up are the last
    stamps of a touch and of an up, which knobs have none of; last_timetag is the last stamp of
    either, in seconds since 1970.
    """

    proposal: Proposal | None = None
    due: float = math.inf
    sent: bool = False
    down: bool = False
    touched_at: float = -math.inf
    x: float = 0.0
    y: float = 0.0
    knobs: tuple[float, ...] = ()
    held: bool = False
    last_touch: float = -math.inf
    last_up: float = -math.inf
    last_timetag: float = -math.inf

    @property
    def lift_at(self) -> float:
        """Instant at which the finger lifts by itself, or infinity if that is not known.

        A proposal that is due before lifts it too, if it is a down.
        """
        if not (self.down and self.held) or self.sent:
            return math.inf
        if self.proposal is not None and self.proposal.moving:
            return math.inf
        lift_at = self.touched_at + LIFT_AFTER
        return lift_at if lift_at < self.due else math.inf

    @property
    def next_stamp(self) -> float:
        """Stamp of the message that is to be sent next, or infinity."""
        return min(self.lift_at, math.inf if self.sent else self.due)

    def clear_proposal(self) -> None:
        """Forget the pending touch."""
        self.proposal, self.due, self.sent = None, math.inf, False


class ScheduledOscOutput:
    """Receiver of the native dialect that schedules, and is sent touches ahead of time."""

    latency, schedules = 0.0, True

    def __init__(
        self,
        destination: Destination,
        *,
        ahead: float,
        timescale: float,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
        echo: EchoDetector | None = None,
    ) -> None:
        """Send to a destination, `ahead` seconds early; timescale is the one in force.

        clock is the engine's, in seconds; wall is the time since 1970, which machines share.
        echo remembers touches when they leave: their echoes may come before they are due.
        """
        self._echo = echo or EchoDetector()
        self.destination, self._ahead = destination, ahead
        self._timescale, self._clock, self._wall = timescale, clock, wall
        self._voices: dict[str, _Voice] = {}

    def handle(self, event: Event, at: float) -> None:
        """Plan a pending touch; send what could not be planned; lift what was taken back."""
        if isinstance(event, TouchPlayed):
            if is_machine(event.touch.who):
                self._played(event, at)
        elif isinstance(event, TouchPending):
            self._pending(event, at + (event.due - event.t))
        elif isinstance(event, ControlChanged) and event.name == "timescale":
            self._timescale = float(event.value)
        elif isinstance(event, ControlChanged) and event.name == "held_up":
            for voice in self._voices.values():  # what has been sent is in time there
                voice.due += float(event.value)

    def advance(self, now: float) -> float:
        """Send what is due within the time ahead; return the seconds until the next."""
        earliest = math.inf
        for who, voice in self._voices.items():
            while (stamp := voice.next_stamp) - self._ahead <= now:
                if voice.lift_at <= stamp:
                    self._send_up(who, voice, stamp)
                else:
                    assert voice.proposal is not None
                    self._send_touch(who, voice, voice.proposal, stamp)
                    voice.sent = True
            earliest = min(earliest, stamp)
        return earliest - self._ahead - now

    def status(self) -> dict[str, object]:
        """Return the time ahead, in milliseconds."""
        return {"osc_ahead_ms": 1000 * self._ahead}

    def close(self) -> None:
        """Lift every finger that would stay down, and close the destination."""
        for who, voice in self._voices.items():
            self._take_back(who, voice)
            if voice.held:
                self._send_up(who, voice, max(self._clock(), voice.last_touch))
        self.destination.close()

    def _pending(self, event: TouchPending, due: float) -> None:
        voice = self._voices.setdefault(event.who, _Voice())
        same = voice.proposal == event.proposal and abs(voice.due - due) < _SAME
        if same and not event.held:
            return  # sampled again with the same result: it may have been sent
        self._take_back(event.who, voice)
        if not event.held:
            voice.proposal, voice.due = event.proposal, due

    def _played(self, event: TouchPlayed, at: float) -> None:
        touch = event.touch
        voice = self._voices.setdefault(touch.who, _Voice())
        planned = voice.sent and abs(at - voice.due) < _SAME
        if touch.phase is Phase.UP:
            voice.down = False
            stamp = max(at, voice.last_touch)
            if not planned and (voice.held or stamp < voice.last_up - _SAME):
                self._send_up(touch.who, voice, stamp)
            return
        if not planned:
            moving = touch.phase is Phase.MOVE
            proposal = Proposal(
                touch.x, touch.y, touch.dt, moving, knobs=touch.knobs, pressure=touch.pressure
            )
            self._send_touch(touch.who, voice, proposal, at)
        voice.clear_proposal()
        voice.down, voice.touched_at, voice.x, voice.y = True, at, touch.x, touch.y

    def _take_back(self, who: str, voice: _Voice) -> None:
        """Forget the pending touch; if it has been sent, lift it at its own instant."""
        sent = voice.sent
        voice.clear_proposal()
        if sent:
            self._send_up(who, voice, voice.last_touch)

    def _send_touch(self, who: str, voice: _Voice, proposal: Proposal, stamp: float) -> None:
        stamp = max(stamp, voice.last_touch)  # not before a touch that was taken back
        packets = []
        moving = proposal.moving and voice.held
        if not moving and voice.held and not proposal.knobs:
            packets += self._write(who, voice, Phase.UP, 0.0)
        voice.x, voice.y, voice.knobs = proposal.x, proposal.y, proposal.knobs
        phase = Phase.MOVE if moving else Phase.DOWN
        dt = proposal.dt * self._timescale
        packets += self._write(who, voice, phase, dt, proposal.pressure)
        self._send(voice, packets, stamp)
        voice.held, voice.last_touch = True, stamp

    def _send_up(self, who: str, voice: _Voice, stamp: float) -> None:
        if not voice.knobs:
            self._send(voice, self._write(who, voice, Phase.UP, 0.0), stamp)
        voice.held, voice.last_up = False, stamp

    def _write(
        self, who: str, voice: _Voice, phase: Phase, dt: float, pressure: float | None = None
    ) -> list[bytes]:
        touch = Touch(voice.x, voice.y, dt, phase, 0, who, pressure, voice.knobs)
        self._echo.sent_touch(touch, self._clock())
        pressed = [] if pressure is None else [native.encode_pressure(touch)]
        return [*pressed, native.encode_touch(touch, dt)]

    def _send(self, voice: _Voice, packets: list[bytes], stamp: float) -> None:
        timetag = self._wall() + (stamp - self._clock())
        # Seconds since 1970 are rounded to parts of a microsecond: an up must not come before
        # its touch for that.
        if 0 < voice.last_timetag - timetag < _ROUNDING:
            timetag = voice.last_timetag
        voice.last_timetag = timetag
        self.destination.send(osc.bundle(packets, at=timetag))
