"""MIDI clock of another program or machine: the beats that its ticks mean. Pure.

A tick comes 24 times a quarter note, a few milliseconds early or late. A Kalman filter follows
it: the state is the time of a tick, the time from tick to tick and the change of that, so that
a ramp of the tempo leaves no lag behind; what is measured is the time of each tick, whose
jitter is estimated from the second differences of these times (Bar-Shalom, Li and Kirubarajan
2001, Estimation with Applications to Tracking and Navigation, chapter 6).

What a clock may do that none should:

- It pauses for up to two beats: the ticks that are missing are counted as if they had come.
- It ends: beats go on at the last tempo. When it comes back, they go on to its next tick.
- Its tempo jumps: the new one is followed after eight ticks.
- Its tempo is beyond 20 to 400 beats a minute: the last one within stays until it is back.
- It has twice the ticks, or other ticks between them: that is a second clock at the port. The
  first is followed, by its ticks where they are due, until Start or Continue.
- A single tick is lost or comes twice: the count is put right after eight ticks.
"""

import math
from collections import deque
from collections.abc import Sequence
from copy import copy
from enum import StrEnum
from statistics import fmean, median
from typing import Final

from robojam.beats import Beats
from robojam.clock.tap import FASTEST, SLOWEST

#: Ticks of a quarter note, and of the sixteenth note in which a song position counts.
TICKS: Final = 24
SIXTEENTH: Final = 6
#: The shortest and the longest time of a tick, in seconds; a little more is allowed for jitter.
_SHORTEST, _LONGEST = 60.0 / TICKS / FASTEST / 1.02, 60.0 / TICKS / SLOWEST * 1.02
#: Noise of the process for each tick, as shares of the time of a tick: of the tempo, and of
#: the change of the tempo. Chosen so that with 5 ms of jitter the beat is right within 3 ms,
#: also while the tempo changes by a fifth in four bars (benchmarks/clocks.py).
_TEMPO_NOISE, _RAMP_NOISE = 1e-5, 7e-6
#: Uncertainty of a filter that begins: of the time of a tick and of its change, as shares.
_PERIOD_UNCERTAIN, _RAMP_UNCERTAIN = 0.05, 1e-4
#: Least jitter that is assumed, and that of a clock of which nothing is known, in seconds.
_LEAST_JITTER, _USUAL_JITTER = 1e-4, 2e-3
#: Second differences from which jitter is estimated, and how many are needed.
_DIFFERENCES, _ENOUGH = 96, 24
#: Ratio of the median of the absolute second difference to the standard deviation of one
#: time: the second difference of three times has six times their variance.
_MEDIAN = 0.6745 * math.sqrt(6.0)
#: Deviations beyond which the difference of a tick counts as no more than that.
_GATE: Final = 4.0
#: Ticks from which a tempo is found, and ticks in a row that were all early, or all late,
#: after which it is found again.
_FIRST, _IN_A_ROW = 6, 8
#: Ticks without one that are a gap, and deviations of the jitter; the longest that is bridged.
_GAP, _GAP_JITTER, _BRIDGED = 3.0, 8.0, 2 * TICKS + SIXTEENTH
#: Gaps in a row that are those of a clock that has become slow.
_GAPS: Final = 3
#: Share of a tick by which a tick may differ where another clock's ticks come between, and
#: the ticks without any other after which there is but one clock again.
_WINDOW, _ALONE = 0.25, 2 * TICKS
#: Range of the ratio of a new time of a tick to the old one that may be that of two clocks,
#: and by how much it differs from a half where it is one in any case.
_TWO_CLOCKS, _HALF = (0.35, 0.65), 0.03


class Problem(StrEnum):
    """What is wrong with a clock; beats go on meanwhile."""

    NONE = ""
    STOPPED = "stopped"
    TWO = "two clocks"
    RANGE = "out of range"


class _Filter:
    """Kalman filter of the times of ticks: time, period and change of the period."""

    def __init__(self, times: Sequence[float], jitter: float) -> None:
        """Begin with a line through the times of some ticks, and their jitter (s)."""
        count = len(times)
        slope, at_end = _line(times)
        self.t, self.period, self.ramp = at_end, slope, 0.0
        # Variances of a line through `count` points, at its end, and what is unknown.
        self._tt = jitter**2 * 4.0 / count
        self._pp = jitter**2 * 12.0 / count**3 + (_PERIOD_UNCERTAIN * slope) ** 2
        self._rr = (_RAMP_UNCERTAIN * slope) ** 2
        self._tp = self._tr = self._pr = 0.0

    @property
    def uncertainty(self) -> tuple[float, float]:
        """Standard deviations of the time of the tick (s), and of the period, as a share."""
        return math.sqrt(max(0.0, self._tt)), math.sqrt(max(0.0, self._pp)) / self.period

    def predict(self) -> float:
        """Return when the next tick is due (s)."""
        return self.t + self.period + 0.5 * self.ramp

    def skip(self) -> None:
        """Go on by one tick."""
        tt, tp, tr, pp, pr, rr = self._tt, self._tp, self._tr, self._pp, self._pr, self._rr
        self.t, self.period = self.predict(), self.period + self.ramp
        self._tt = tt + 2 * tp + tr + pp + pr + rr / 4
        self._tp = tp + pp + tr + 1.5 * pr + rr / 2
        self._tr = tr + pr + rr / 2
        self._pp = pp + 2 * pr + rr + (_TEMPO_NOISE * self.period) ** 2
        self._pr = pr + rr
        self._rr = rr + (_RAMP_NOISE * self.period) ** 2

    def step(self, t: float, jitter: float) -> float:
        """Go on to a tick that came at t; return its difference, in deviations.

        jitter is the standard deviation of a time (s).
        """
        self.skip()
        total = self._tt + jitter**2
        deviation = math.sqrt(total)
        difference = (t - self.t) / deviation
        used = min(max(difference, -_GATE), _GATE) * deviation
        gain, gain_p, gain_r = self._tt / total, self._tp / total, self._tr / total
        self.t += gain * used
        self.period += gain_p * used
        self.ramp += gain_r * used
        tt, tp, tr = self._tt, self._tp, self._tr
        self._tt, self._tp, self._tr = tt - gain * tt, tp - gain * tp, tr - gain * tr
        self._pp -= gain_p * tp
        self._pr -= gain_p * tr
        self._rr -= gain_r * tr
        return difference


class MidiClock:
    """Beats of a MIDI clock, from its messages and the instants at which they came.

    problem is what is wrong with it. playing: it has been started, or stopped; None: neither
    has come. aligned: Start or
    Continue has said where the song is; otherwise the first tick counts as a beat.
    """

    def __init__(self, beats_per_bar: int = 4) -> None:
        self.beats_per_bar = beats_per_bar
        self.problem = Problem.NONE
        self.playing: bool | None = None
        self.aligned = False
        self._filter: _Filter | None = None
        self._index = 0  # of the last tick
        self._next_index: int | None = None  # of the next one, where a message has said it
        self._song = 0  # ticks: where Continue goes on
        self._times: deque[float] = deque(maxlen=2 * _IN_A_ROW)  # of ticks, the last ones
        self._differences: deque[float] = deque(maxlen=_DIFFERENCES)
        self._signs = 0  # ticks in a row that were early (negative) or late
        self._before: tuple[_Filter, int] | None = None  # filter and index before these
        self._after_gap: list[float] = []  # ticks that came after a gap, not yet counted
        self._gaps = 0  # in a row
        self._fresh = False  # whether the tempo is to be found again
        self._accepted = 0  # of the first clock in a row, where there are two
        self._last = -math.inf  # instant of the last tick, of any clock

    # -- messages -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin the song: the next tick is its first."""
        self._song = 0
        self.resume()

    def resume(self) -> None:
        """Go on (Continue) at the song position with the next tick."""
        if self._after_gap and self._filter is not None:
            self._end_gap(self._filter)
        self.playing = self.aligned = True
        self._next_index = self._song
        if self.problem in (Problem.TWO, Problem.RANGE):
            self._find_tempo()

    def stop(self) -> None:
        """Stop the song. Beats go on."""
        if self.playing is not False:
            self._song = self._index + 1 if self._next_index is None else self._next_index
        self.playing = False

    def position(self, sixteenths: int) -> None:
        """Set the song position, in sixteenth notes; Continue goes on there."""
        self._song = sixteenths * SIXTEENTH
        if self.playing:  # which no clock should send: it is there with the next tick
            self._next_index, self.aligned = self._song, True

    def tick(self, t: float) -> None:
        """Take a tick that came at an instant (s). One from the past is left out."""
        if t <= self._last:
            return
        gap, self._last = t - self._last, t
        kalman = self._filter
        if kalman is None or self._fresh:
            self._collect(t, gap)
        elif self.problem is Problem.TWO:
            self._follow_first(t, kalman)
        elif self.problem is Problem.RANGE:
            self._await_range(t)
        elif self._after_gap or gap > max(_GAP * kalman.period, _GAP_JITTER * self.jitter):
            self._bridge(t, kalman, gap)
        else:
            self._count()
            self._times.append(t)
            self._estimate_jitter()
            before = copy(kalman)
            self._judge(kalman.step(t, self.jitter), before)

    # -- results ------------------------------------------------------------------------

    @property
    def jitter(self) -> float:
        """Standard deviation of the time of a tick, in seconds."""
        if len(self._differences) < _ENOUGH:
            return _USUAL_JITTER
        return max(_LEAST_JITTER, median(self._differences) / _MEDIAN)

    @property
    def uncertainty(self) -> tuple[float, float]:
        """How well the beats are known: seconds, and share of the tempo."""
        return (0.0, 0.0) if self._filter is None else self._filter.uncertainty

    @property
    def beats(self) -> Beats | None:
        """The beats as the last ticks say; None before a tempo is known."""
        kalman = self._filter
        if kalman is None:
            return None
        index = self._index if self._next_index is None else self._next_index - 1
        tempo = min(max(60.0 / TICKS / kalman.period, SLOWEST), FASTEST)
        return Beats(kalman.t, index / TICKS, tempo, self.beats_per_bar)

    def advance(self, now: float) -> float:
        """Find out whether the clock has stopped; return the seconds until the next call."""
        kalman = self._filter
        if kalman is None or self.problem is Problem.STOPPED:
            return math.inf
        end = self._last + _BRIDGED * kalman.period
        if now < end:
            return end - now
        self.problem = Problem.STOPPED
        return math.inf

    # -- ticks --------------------------------------------------------------------------

    def _count(self) -> None:
        """Count a tick that continues the song."""
        self._index = self._index + 1 if self._next_index is None else self._next_index
        self._next_index = None

    def _find_tempo(self) -> None:
        """Find the tempo by the ticks that follow. The beats go on as they were."""
        self._fresh, self._signs, self._accepted = True, 0, 0
        self._times.clear()
        self.problem = Problem.NONE

    def _collect(self, t: float, gap: float) -> None:
        """Take one of the first ticks, from which the tempo is found."""
        if self._times and gap > _LONGEST * _GAP:
            self._times.clear()
            if self._filter is not None:  # slower than any that is followed
                self.problem = Problem.RANGE
        if not self._times and self._filter is not None and self._next_index is None:
            # The beats have gone on meanwhile: the tick that is nearest is this one.
            ahead = (t - self._filter.t) / self._filter.period
            self._move_to(self._index + round(ahead), self._filter)
        elif self._times or self._filter is not None or self._next_index is not None:
            self._count()
        self._times.append(t)
        if len(self._times) < _FIRST:
            return
        slope, _ = _line(self._times)
        self._fresh = False
        if _SHORTEST <= slope <= _LONGEST:
            self.problem = Problem.NONE
            self._filter = _Filter(self._times, self.jitter)
        elif self._filter is None:
            self.problem = Problem.RANGE
            self._times.popleft()
        else:
            self.problem = Problem.RANGE

    def _move_to(self, index: int, kalman: _Filter) -> None:
        """Go on with the beats as they were to a tick."""
        kalman.t += (index - self._index) * kalman.period
        kalman.ramp = 0.0
        self._index = index

    def _bridge(self, t: float, kalman: _Filter, gap: float) -> None:
        """Take a tick after a gap: how many are missing, several of them tell together."""
        if gap > _GAP * kalman.period:
            self._gaps += 1
            if self.problem is Problem.STOPPED or self._gaps >= _GAPS:
                self._after_gap.clear()
                self._gaps = 0
                self._find_tempo()
                self._collect(t, math.inf)
                return
        self._after_gap.append(t)
        if len(self._after_gap) >= _IN_A_ROW:
            self._end_gap(kalman)

    def _end_gap(self, kalman: _Filter) -> None:
        """Count the ticks that are missing, and those that came after them."""
        times = self._after_gap
        late = fmean(t - kalman.t - (n + 1) * kalman.period for n, t in enumerate(times))
        kalman.ramp = 0.0
        for _ in range(round(late / kalman.period)):
            self._count()
            kalman.skip()
        for t in times:
            self._count()
            kalman.step(t, self.jitter)
        self._times.clear()
        self._times.extend(times)
        self._after_gap, self._signs, self._gaps = [], 0, 0

    def _estimate_jitter(self) -> None:
        if len(self._times) >= 3:
            third, second, first = self._times[-3], self._times[-2], self._times[-1]
            self._differences.append(abs(first - 2 * second + third))

    def _judge(self, difference: float, before: _Filter) -> None:
        """Find out about a jump of the tempo, a lost tick or a second clock.

        before is the filter before this tick.
        """
        if abs(difference) <= _GATE:
            self._signs = 0
            self.problem = Problem.NONE
            return
        sign = 1 if difference > 0 else -1
        if self._signs * sign <= 0:
            self._signs, self._before = 0, (before, self._index - 1)
        self._signs += sign
        if abs(self._signs) < _IN_A_ROW or self._before is None:
            return
        self._signs = 0
        times = list(self._times)[-_FIRST:]  # without the first, which may be one too many
        slope, at_end = _line(times)
        old, index = self._before
        ratio = slope / old.period
        if not _SHORTEST <= slope <= _LONGEST:
            self.problem = Problem.RANGE
            self._restore(old, index, at_end)
        elif _TWO_CLOCKS[0] < ratio < _TWO_CLOCKS[1] and (
            abs(ratio - 0.5) < _HALF or not self._is_regular(times, slope)
        ):
            self.problem, self._accepted = Problem.TWO, 0
            self._restore(old, index, at_end)
        else:
            slip = (at_end - old.t) / old.period - (self._index - index)
            steady = abs(ratio - 1.0) < 0.02 and abs(slip - round(slip)) < _WINDOW
            self._index += round(slip) if steady else 0
            self._filter = _Filter(times, self.jitter)

    def _restore(self, old: _Filter, index: int, t: float) -> None:
        """Go on by a filter as it was at a tick, to the last tick by it before t."""
        ticks = math.floor((t - old.t) / old.period)
        old.t += ticks * old.period
        old.ramp = 0.0
        self._filter, self._index = old, index + ticks

    def _is_regular(self, times: Sequence[float], slope: float) -> bool:
        """Return whether ticks are about as regular as those of one clock."""
        first = fmean(t - n * slope for n, t in enumerate(times))
        residual = max(abs(t - n * slope - first) for n, t in enumerate(times))
        return residual < 3.0 * self.jitter + 0.15 * slope

    def _follow_first(self, t: float, kalman: _Filter) -> None:
        """Take a tick where there are two clocks: one that is due is the first clock's."""
        ahead = (t - kalman.t) / kalman.period
        steps = round(ahead)
        if steps < 1 or abs(ahead - steps) > _WINDOW:
            self._accepted = 0
            return
        if steps > _BRIDGED:
            self._find_tempo()
            self._collect(t, math.inf)
            return
        for _ in range(steps - 1):
            self._count()
            kalman.skip()
        self._count()
        kalman.step(t, self.jitter)
        self._accepted += 1
        if self._accepted >= _ALONE:
            self.problem = Problem.NONE
            self._times.clear()

    def _await_range(self, t: float) -> None:
        """Take a tick of a clock that is too fast or too slow."""
        self._times.append(t)
        times = list(self._times)[-_IN_A_ROW:]
        if len(times) == _IN_A_ROW and _SHORTEST <= _line(times)[0] <= _LONGEST:
            self._find_tempo()
            self._collect(t, math.inf)


def _line(times: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line through times at 0, 1, 2 …, and its end."""
    count = len(times)
    middle, mean = (count - 1) / 2, fmean(times)
    slope = sum((n - middle) * (t - mean) for n, t in enumerate(times)) / (
        count * (count * count - 1) / 12
    )
    return slope, mean + slope * middle
