"""Beats of JACK's transport, from its positions. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from robojam.beats import MAX_BEATS_PER_BAR, Beats
from robojam.clock.tap import FASTEST, SLOWEST

_MICROSECOND: Final = 1e-6
#: Ticks by which a position may be off, which is in whole ticks.
_TICKS: Final = 1.5


class TransportProblem(StrEnum):
    """What is wrong with a transport; beats go on meanwhile."""

    NONE = ""
    NO_MASTER = "no timebase master"
    RANGE = "out of range"


class Transport:
    """Beats of the transport, as its timebase master says them.

    rolling: it plays. Where it stands still, beats go on at the last tempo.
    """

    def __init__(self) -> None:
        self.beats: Beats | None = None
        self.rolling = False
        self.problem = TransportProblem.NONE

    def take(self, position: Mapping[str, Any], *, rolling: bool) -> None:
        """Take a position, as JACK gives it: with a bar only where there is a master."""
        self.rolling = rolling
        if "bar" not in position:
            self.problem = TransportProblem.NO_MASTER
            return
        tempo = position["beats_per_minute"]
        per_beat = position["ticks_per_beat"]
        has_bars = 1 <= position["beats_per_bar"] <= MAX_BEATS_PER_BAR  # NaN is neither
        if not (SLOWEST <= tempo <= FASTEST and has_bars and per_beat > 0):
            self.problem = TransportProblem.RANGE
            return
        per_bar = round(position["beats_per_bar"])
        self.problem = TransportProblem.NONE
        if not rolling and self.beats is not None:
            if tempo != self.beats.tempo:
                t = position["usecs"] * _MICROSECOND
                beat = self.beats.beat_at(t)
                self.beats = Beats(t, beat, tempo, self.beats.beats_per_bar)
            return
        bars, beats = position["bar"] - 1, position["beat"] - 1
        beat = bars * per_bar + beats + position["tick"] / per_beat
        found = Beats(position["usecs"] * _MICROSECOND, beat, tempo, per_bar)
        if self.beats is None or self._differ(self.beats, found, _TICKS / per_beat):
            self.beats = found

    @staticmethod
    def _differ(old: Beats, new: Beats, least: float) -> bool:
        """Return whether beats differ by more than a position in whole ticks may."""
        return (old.tempo, old.beats_per_bar) != (new.tempo, new.beats_per_bar) or abs(
            old.beat_at(new.t) - new.beat
        ) > least
