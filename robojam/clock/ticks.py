"""MIDI clock that goes out: which message is due when, from the beats. Pure.

24 ticks a quarter note, at the instants that the beats say; Start before the first tick of a
bar; Stop. A receiver counts the ticks, so none is left out and none comes twice: when the
beats move by less than half a beat, the ticks come closer together or wait until they are
there; when they move by more, it is Stop, and Start at the next bar.
"""

import math
from collections.abc import Iterator
from typing import Final

from robojam.beats import Beats
from robojam.clock.midi_clock import TICKS

#: Messages of MIDI (system real time).
TICK, START, CONTINUE, STOP, POSITION = b"\xf8", b"\xfa", b"\xfb", b"\xfc", 0xF2
#: Ticks by which the beats may move and the song goes on.
_MOVED: Final = TICKS / 2
#: Ticks from Start to the tick of the bar, and the least from one tick to the next.
_BEFORE_BAR, _CLOSEST = 0.5, 0.5
#: Ticks that one call returns at most: a program that was asleep sends no burst.
_MOST: Final = 2 * TICKS


class TickSchedule:
    """Messages of a MIDI clock, each with its instant in seconds."""

    def __init__(self) -> None:
        self._beats: Beats | None = None
        self._playing = False
        self._next = 0  # tick
        self._start_at: int | None = None  # tick that Start comes before
        self._started = False
        self._last = -math.inf  # instant of the last tick
        self._stop = False  # whether Stop is due

    def set(self, beats: Beats | None, now: float, *, playing: bool = True) -> None:
        """Use other beats from now on; None: there are none. playing: the song goes on."""
        before, self._beats = self._beats, beats
        if beats is None:
            self._end_song()
            return
        tick = beats.beat_at(now) * TICKS
        moved = before is None or abs(tick - before.beat_at(now) * TICKS) > _MOVED
        if moved or abs(tick - self._next) > _MOVED + 1:
            self._end_song()
            self._next = math.ceil(tick)
            self._playing = False
        if playing and not self._playing:
            self._plan_start(beats)
        elif not playing:
            self._end_song()
        self._playing = playing

    def _end_song(self) -> None:
        self._stop |= self._started
        self._started, self._start_at = False, None

    def _plan_start(self, beats: Beats) -> None:
        """Plan Start before the next tick that begins a bar."""
        bar = beats.beats_per_bar * TICKS
        self._start_at = math.ceil((self._next + 1) / bar) * bar

    def due(self) -> float:
        """Return when the next message is due (s); infinity for none, -infinity for at once."""
        if self._stop:
            return -math.inf
        if self._beats is None:
            return math.inf
        return min(self._tick_at(), self._start_due())

    def _tick_at(self) -> float:
        assert self._beats is not None
        at = self._beats.time_of(self._next / TICKS)
        return max(at, self._last + _CLOSEST * 60.0 / self._beats.tempo / TICKS)

    def _start_due(self) -> float:
        if self._start_at is None or self._beats is None:
            return math.inf
        at = self._beats.time_of((self._start_at - _BEFORE_BAR) / TICKS)
        return max(at, self._last)

    def take(self, until: float) -> Iterator[tuple[float, bytes]]:
        """Yield the messages that are due at or before an instant, each with its own (s)."""
        if self._beats is not None:
            self._skip_missed(until)
        if self._stop:
            self._stop = False
            yield -math.inf, STOP
        if self._beats is None:
            return
        while (due := self.due()) <= until:
            if due == self._start_due():
                self._start_at, self._started = None, True
                yield due, START
            else:
                self._next += 1
                self._last = due
                yield due, TICK

    def _skip_missed(self, until: float) -> None:
        """Leave out what was due while the program was asleep: Stop, and Start at a bar."""
        assert self._beats is not None
        tick = self._beats.beat_at(until) * TICKS
        if tick - self._next > _MOST:
            self._end_song()
            self._next = math.ceil(tick)
            if self._playing:
                self._plan_start(self._beats)

    def end(self) -> Iterator[tuple[float, bytes]]:
        """Yield Stop, if the song goes on; nothing is due afterwards."""
        self._beats = None
        self._end_song()
        yield from self.take(-math.inf)
