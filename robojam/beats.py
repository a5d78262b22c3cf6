"""Beats: the musical time of a jam as a function of its time, and the lines of its grids. Pure.

A clock (Ableton Link, MIDI clock, taps) is followed by the engine. The jam gets one value of
it: the beats of a time, which hold until the next value. Beat 0 is the beginning of a bar, and
so is every beats_per_bar-th beat after and before it. Beats are quarter notes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Lowest and highest tempo that a clock may have, in beats a minute: a session of Ableton Link
#: may be slower or faster than the control tempo goes.
TEMPI: Final = (10.0, 1000.0)
#: Most beats of a bar.
MAX_BEATS_PER_BAR: Final = 64
#: Furthest beat from beat 0: some 19 years at 100 beats a minute. With it, a beat is exact to
#: a microsecond.
MAX_BEAT: Final = 1e9
#: Beats within which a place is on a line: floats of beats are not exact.
_ON_LINE: Final = 1e-6
#: Lengths of a quantum in beats, or, if they are negative, in bars.
_QUANTA: Final = {"beat": 1, "bar": -1, "2bars": -2, "4bars": -4}
#: Lines of a beat in each grid: t is for triplets.
_GRIDS: Final = {"1/4": 1, "1/8": 2, "1/8t": 3, "1/16": 4, "1/16t": 6, "1/32": 8}
#: Names of the quanta and of the grids, with off for none.
QUANTA: Final = ("off", *_QUANTA)
GRIDS: Final = ("off", *_GRIDS)

_FORM: Final = "BEAT TEMPO BEATS_PER_BAR, as in 12.5 120.0 4"
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats as a function of time: at t seconds it is beat `beat`, at `tempo` beats a minute.

    Raises ValueError for a number that is not finite, or out of range.
    """

    t: float
    beat: float
    tempo: float
    beats_per_bar: int = 4

    def __post_init__(self) -> None:
        finite = math.isfinite(self.t) and abs(self.beat) <= MAX_BEAT
        low, high = TEMPI
        if not (finite and low <= self.tempo <= high):
            raise ValueError(
                f"beat {self.beat:g} at {self.tempo:g} beats a minute; allowed: a beat within "
                f"{MAX_BEAT:,.0f} and a tempo from {low:g} to {high:g}"
            )
        if not 1 <= self.beats_per_bar <= MAX_BEATS_PER_BAR:
            raise ValueError(
                f"{self.beats_per_bar} beats a bar; allowed: 1 to {MAX_BEATS_PER_BAR}"
            )

    def beat_at(self, t: float) -> float:
        """Return the beat at a time in seconds."""
        return self.beat + (t - self.t) * self.tempo / 60.0

    def time_of(self, beat: float) -> float:
        """Return the time of a beat in seconds."""
        return self.t + (beat - self.beat) * 60.0 / self.tempo

    def shifted(self, seconds: float) -> Beats:
        """Return the same beats, each that many seconds later."""
        return Beats(self.t + seconds, self.beat, self.tempo, self.beats_per_bar)

    def encode(self) -> str:
        """Return the text "BEAT TEMPO BEATS_PER_BAR", from which `parse` reads it exactly."""
        return f"{float(self.beat)!r} {float(self.tempo)!r} {int(self.beats_per_bar)}"

    @staticmethod
    def parse(text: str, t: float) -> Beats:
        """Return the beats of a text, which hold from t (seconds). Raises ValueError."""
        fields = text.split(" ")
        if len(fields) != 3 or not all(map(_NUMBER.fullmatch, fields)):
            raise ValueError(f"{text!r:.60} is not {_FORM}")
        beat, tempo, per_bar = fields
        if not per_bar.isdecimal():
            raise ValueError(f"{text!r:.60} is not {_FORM}")
        return Beats(t, float(beat), float(tempo), int(per_bar))


def parse_text(text: str) -> str:
    """Return the canonical form of a text of beats: "" is no clock. Raises ValueError."""
    return Beats.parse(text, 0.0).encode() if text else ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines at places of each unit: unit is in beats, and places in units, from 0, ascending.

    A line is known by its number: line 0 is at beat 0. Functions are given and return lines'
    numbers, and beats.
    """

    unit: float
    places: tuple[float, ...] = (0.0,)

    def beat_of(self, line: int) -> float:
        """Return the beat of a line."""
        count = len(self.places)
        return (line // count + self.places[line % count]) * self.unit

    def at_or_after(self, beat: float) -> int:
        """Return the first line at a beat or after it; one that is just before it is at it."""
        count = len(self.places)
        line = math.floor(beat / self.unit) * count
        while self.beat_of(line) < beat - _ON_LINE:
            line += 1
        return line

    def nearest(self, beat: float) -> int:
        """Return the line that is nearest to a beat: of two, the later."""
        line = self.at_or_after(beat)
        before = self.beat_of(line - 1)
        return line if self.beat_of(line) - beat <= beat - before else line - 1


@lru_cache(maxsize=128)
def quantum_lines(quantum: str, beats_per_bar: int) -> Grid | None:
    """Return the lines of a quantum, of QUANTA, in bars of that length; None for off."""
    length = _QUANTA.get(quantum)
    if length is None:
        return None
    return Grid(float(length if length > 0 else -length * beats_per_bar))


@lru_cache(maxsize=128)
def grid_lines(grid: str, swing: float) -> Grid | None:
    """Return the lines of a grid, of GRIDS; None for off.

    swing is where in a pair of lines the second one is: 0.5 is straight, 2/3 is as triplets.
    Every other line comes later, as in drum machines; grids of triplets, which have no pairs,
    and quarters do not swing.
    """
    lines = _GRIDS.get(grid)
    if lines is None:
        return None
    if lines == 1 or grid.endswith("t"):
        return Grid(1.0, tuple(i / lines for i in range(lines)))
    pairs = lines // 2
    places = ((i // 2 + (swing if i % 2 else 0.0)) / pairs for i in range(lines))
    return Grid(1.0, tuple(places))
