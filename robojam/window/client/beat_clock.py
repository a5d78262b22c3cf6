"""Beat of the jam as a window knows it: by a message at each beat, and between them. Pure.

Times are monotonic seconds of the window. Messages come with the jitter of a network, so the
window's beat follows them a part of the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from robojam.beats import MAX_BEATS_PER_BAR, Beats

#: The beat is known for this many beats after a message, and at least for this many seconds.
KNOWN_BEATS, KNOWN_SECONDS = 2.5, 1.0
#: Beats within which the window's beat follows a message a part of the way, and that part.
_NEAR, _PART = 0.12, 0.25


class BeatShown(NamedTuple):
    """Beat at a time.

    bar counts from 1, beat from 0; part is how much of the beat has passed, 0..1. left is the
    number of beats to the machine's turn, if it waits for a line, else 0.
    """

    bar: int
    beat: int
    beats_per_bar: int
    part: float
    tempo: float
    left: int


@dataclass(slots=True)
class BeatClock:
    """Beats of the engine's clock by the time of the window, and the line of the next turn."""

    beats: Beats | None = None
    heard_at: float = -math.inf
    _line: float | None = None

    def hear(self, beat: float, tempo: float, beats_per_bar: float, now: float) -> None:
        """Take a beat that comes now. Numbers that no clock has change nothing."""
        if not 1 <= beats_per_bar <= MAX_BEATS_PER_BAR:
            return
        try:
            heard = Beats(now, beat, tempo, int(beats_per_bar))
        except ValueError:
            return
        if self.beats is not None and self.is_known(now):
            predicted = self.beats.beat_at(now)
            if abs(predicted - beat) < _NEAR and self.beats.tempo == tempo:
                heard = Beats(now, predicted + _PART * (beat - predicted), tempo,
                              int(beats_per_bar))  # fmt: skip
        self.beats, self.heard_at = heard, now

    def count_in(self, beats: float, now: float) -> None:
        """Note that the machine's turn waits for a line in this many beats; 0: it does not."""
        known = self.beats is not None and 0 < beats < 1e6
        self._line = self.beats.beat_at(now) + beats if known and self.beats else None

    def stop(self) -> None:
        """Forget the clock: the engine has none any more."""
        self.beats, self._line, self.heard_at = None, None, -math.inf

    def is_known(self, now: float) -> bool:
        """Return whether a message has come lately."""
        if self.beats is None:
            return False
        return now - self.heard_at < max(KNOWN_SECONDS, KNOWN_BEATS * 60 / self.beats.tempo)

    def at(self, now: float) -> BeatShown | None:
        """Return the beat at a time; None where it is not known."""
        if self.beats is None or not self.is_known(now):
            return None
        beat = self.beats.beat_at(now) + 1e-3  # a beat that has just come is not one less
        whole = math.floor(beat)
        per_bar = self.beats.beats_per_bar
        left = 0
        if self._line is not None:
            left = max(0, math.ceil(self._line - beat))
        return BeatShown(
            whole // per_bar + 1, whole % per_bar, per_bar, beat - whole, self.beats.tempo, left
        )
