"""A recorded jam in the window: played, held, scrubbed, looped. Pure.

Its strokes are kept in the time of the recording, and drawn at the instant it has come
to: so what is held stays as it was, and what is fast fades fast.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from robojam.sessions import strokes
from robojam.sessions.session import Session, TouchEvent
from robojam.touch import Phase, is_machine
from robojam.window.client.strokes import FADE, Strokes

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: A silence of so many seconds parts two phrases.
REST = 0.6


@dataclass(slots=True)
class RecordingPlayback:
    """One recording, and how far it has come (seconds)."""

    session: Session
    name: str
    at: float = 0.0
    speed: float = 1.0
    loop: bool = False
    playing: bool = False
    strokes: Strokes = field(default_factory=Strokes)
    touches: tuple[TouchEvent, ...] = ()
    times: list[float] = field(default_factory=list)
    #: How often it went elsewhere than on, and from where it has gone on since (seconds).
    jumps: int = 0
    since: float = 0.0
    _next: int = 0
    _now: float | None = None

    def __post_init__(self) -> None:
        self.touches = tuple(strokes.touches(self.session))
        self.times = [event.t for event in self.touches]

    @property
    def duration(self) -> float:
        """How long it is, in seconds."""
        return self.session.duration

    def play(self, now: float) -> None:
        """Play on from where it is; at the end, from the beginning."""
        if self.at >= self.duration:
            self.seek(0.0)
        self.playing, self._now, self.since = True, now, self.at

    def hold(self) -> None:
        """Hold it where it is."""
        self.playing, self._now = False, None

    def advance(self, now: float) -> None:
        """Let everything happen that is due at an instant (seconds)."""
        if not self.playing or self._now is None:
            return
        self.at += max(0.0, now - self._now) * self.speed
        self._now = now
        if self.at >= self.duration and self.loop and self.duration > 0:
            rest = self.at % self.duration
            self.seek(0.0)
            self.at = rest
            self._take()
        elif self.at >= self.duration:
            self.at = self.duration
            self._take()
            self.hold()
        else:
            self._take()

    def seek(self, t: float) -> None:
        """Go to a time of the recording, and show what would be seen then."""
        self.at = min(self.duration, max(0.0, t))
        self.jumps, self.since = self.jumps + 1, self.at
        self.strokes = Strokes(first=self.strokes.latest + 1)
        self._next = bisect_left(self.times, self.at - FADE)
        self._take()

    def _take(self) -> None:
        end = bisect_right(self.times, self.at)
        for event in self.touches[self._next : end]:
            touch = event.touch
            if touch.phase is Phase.UP:
                self.strokes.up(touch.who, touch.id, event.t, own=False)
                continue
            draw = self.strokes.down if touch.phase is Phase.DOWN else self.strokes.move
            draw(touch.who, touch.id, touch.x, touch.y, event.t, own=False)
        self._next = max(self._next, end)
        self.strokes.fade(self.at)

    def faster(self, steps: int) -> None:
        """Choose another speed, so many steps away; round and round."""
        at = SPEEDS.index(self.speed)
        self.speed = SPEEDS[(at + steps) % len(SPEEDS)]

    def phrase(self) -> tuple[TouchEvent, ...]:
        """Return what the humans played last, up to here: all of the phrase that began then.

        Before the first one, that is the first; of a recording without humans, nothing.
        """
        found: list[list[TouchEvent]] = []
        last = -REST
        answered = False
        for event in self.touches:
            if is_machine(event.touch.who):
                answered = True
                continue
            if event.touch.phase is Phase.UP:
                if found:
                    found[-1].append(event)
                continue
            if not found or answered or event.t - last > REST:
                if found and event.t > self.at:
                    break
                found.append([])
                answered = False
            found[-1].append(event)
            last = event.t
        return tuple(found[-1]) if found else ()
