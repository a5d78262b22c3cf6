"""Tap tempo: the tempo of a series of taps. Pure."""

from collections import deque
from statistics import median
from typing import Final

#: Beats a minute that a tempo may have.
SLOWEST: Final = 20.0
FASTEST: Final = 400.0
#: Intervals of which the median is the tempo.
_INTERVALS: Final = 8
#: Seconds after which a tap begins a new series: longer than the slowest beat.
_PAUSE: Final = 60.0 / SLOWEST * 1.1
#: Share of the median by which an interval may differ from it. After a difference, as many
#: intervals that agree among themselves begin a new series.
_OUTLIER: Final = 0.25
#: The same where taps were left out.
_LEFT_OUT: Final = 0.1
#: Seconds within which a switch bounces: shorter than the fastest beat, tapped unsteadily.
_BOUNCE: Final = 0.6 * 60.0 / FASTEST
_AGREEING: Final = 2


class TapTempo:
    """Median of the intervals between the latest taps.

    An interval that is twice or three times the median is that of taps that were left out, and
    counts as such; any other that differs by more than a quarter is dropped. When two such
    intervals in a row agree, the player has another tempo, and the series begins with them. So
    it does after a pause.
    """

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._strange: list[float] = []
        self._last: float | None = None

    def tap(self, t: float) -> float | None:
        """Take a tap at an instant (s); return the tempo (beats a minute), None as yet."""
        last, self._last = self._last, t
        if last is None or t - last > _PAUSE:
            self._intervals.clear()
            self._strange.clear()
            return None
        interval = t - last
        if interval < _BOUNCE:
            self._last = last
            return self.tempo
        self._take(interval)
        return self.tempo

    def _take(self, interval: float) -> None:
        if not self._intervals:
            self._intervals.append(interval)
            return
        usual = median(self._intervals)
        beats = max(1, round(interval / usual))
        allowed = _OUTLIER if beats == 1 else _LEFT_OUT
        if beats <= 3 and abs(interval / beats / usual - 1.0) <= allowed:
            self._intervals.append(interval / beats)
            self._strange.clear()
            return
        self._strange = [each for each in self._strange if _agree(each, interval)]
        self._strange.append(interval)
        if len(self._strange) >= _AGREEING:
            self._intervals.clear()
            self._intervals.extend(self._strange)
            self._strange.clear()

    @property
    def tempo(self) -> float | None:
        """Tempo of the series in beats a minute; None after fewer than two taps."""
        if not self._intervals:
            return None
        return min(max(60.0 / median(self._intervals), SLOWEST), FASTEST)

    def clear(self) -> None:
        """Begin a new series with the next tap."""
        self._last = None


def _agree(one: float, other: float) -> bool:
    return abs(one / other - 1.0) <= _OUTLIER
