"""Playback of a recorded jam in the window: play, hold, seek and loop. Pure.

The strokes are in the time of the recording and drawn at its position, so that a recording
that is held stays as it was, and one that is fast fades fast.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from robojam.sessions import strokes
from robojam.sessions.session import Session, TouchEvent
from robojam.touch import Phase, is_machine
from robojam.window.client.faders import Faders
from robojam.window.client.strokes import FADE, Strokes

#: Speeds that can be chosen, as factors.
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: Shortest silence between two phrases of one player, in seconds.
REST = 0.6


@dataclass(slots=True, eq=False)
class RecordingPlayback:
    """Playback of one recording. ``at`` is its position, in seconds of the recording."""

    session: Session
    name: str
    at: float = 0.0
    speed: float = 1.0
    loop: bool = False
    playing: bool = False
    strokes: Strokes = field(default_factory=Strokes)
    faders: Faders = field(default_factory=Faders)
    touches: tuple[TouchEvent, ...] = ()
    times: list[float] = field(default_factory=list)
    #: Number of seeks, and the position from which it has played since the last one or a
    #: hold, in seconds.
    seeks: int = 0
    played_from: float = 0.0
    _next: int = 0
    _now: float | None = None

    def __post_init__(self) -> None:
        self.touches = tuple(strokes.touches(self.session))
        self.times = [event.t for event in self.touches]
        self.faders.use(self.session.knobs)

    @property
    def duration(self) -> float:
        """Length of the recording, in seconds."""
        return self.session.duration

    def play(self, now: float) -> None:
        """Play from the position; at the end, from the beginning."""
        if self.at >= self.duration:
            self.seek(0.0)
        self.playing, self._now, self.played_from = True, now, self.at

    def hold(self) -> None:
        """Stop at the position."""
        self.playing, self._now = False, None

    def advance(self, now: float) -> None:
        """Move the position on to an instant of the clock (seconds)."""
        if not self.playing or self._now is None:
            return
        self.at += max(0.0, now - self._now) * self.speed
        self._now = now
        if self.at >= self.duration and self.loop and self.duration > 0:
            rest = self.at % self.duration
            self.seek(0.0)
            self.at = rest
        elif self.at >= self.duration:
            self.at = self.duration
            self.hold()
        self._draw_due()

    def seek(self, t: float) -> None:
        """Move the position to a time of the recording, with the strokes visible then."""
        self.at = min(self.duration, max(0.0, t))
        self.seeks, self.played_from = self.seeks + 1, self.at
        self.strokes = Strokes(latest=self.strokes.latest)
        self._next = bisect_left(self.times, self.at - FADE)
        if self.session.knobs:
            self.faders = Faders()
            self.faders.use(self.session.knobs)
            self._next = max(0, self._next - 1)  # they stay where they were before
        self._draw_due()

    def _draw_due(self) -> None:
        """Add the touches up to the position to the strokes."""
        end = bisect_right(self.times, self.at)
        for event in self.touches[self._next : end]:
            touch = event.touch
            if self.faders.count:
                self.faders.hear(touch.who, touch.knobs, event.t)
            elif touch.phase is Phase.UP:
                self.strokes.up(touch.who, touch.id, event.t, own=False)
            else:
                draw = self.strokes.down if touch.phase is Phase.DOWN else self.strokes.move
                draw(touch.who, touch.id, touch.x, touch.y, event.t, own=False)
        self._next = max(self._next, end)
        self.strokes.fade(self.at)
        self.faders.fade(self.at)

    def change_speed(self, steps: int) -> None:
        """Choose the speed a number of steps away in SPEEDS, which is taken as a ring."""
        at = SPEEDS.index(self.speed)
        self.speed = SPEEDS[(at + steps) % len(SPEEDS)]

    def phrase(self) -> tuple[TouchEvent, ...]:
        """Return the humans' last phrase that begins at or before the position, completely.

        Before the first phrase, return the first; without humans, nothing.
        """
        phrases: list[list[TouchEvent]] = []
        last = -REST
        answered = False
        # Touches as recorded: lifts added at the end would make the last phrase too long.
        for event in self.session.touches():
            if is_machine(event.touch.who):
                answered = True
                continue
            if event.touch.phase is Phase.UP:
                if phrases:
                    phrases[-1].append(event)
                continue
            if not phrases or answered or event.t - last > REST:
                if phrases and event.t > self.at:
                    break
                phrases.append([])
                answered = False
            phrases[-1].append(event)
            last = event.t
        return tuple(phrases[-1]) if phrases else ()
