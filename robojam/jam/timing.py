"""Timing of the machine by a clock: the lines on which turns begin and end, and landings. Pure.

Times are seconds of the machine's clock, which stands still while the jam is paused. Beats
stand for the time of the take, and go on then: what waits for a line, or was moved to one, is
timed again when the machine goes on.

Nothing here is drawn, or fed to the model: only when touches sound is changed, as by the
control timescale.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from robojam.beats import Beats, Grid, grid_lines, quantum_lines
from robojam.controls import Settings
from robojam.jam.numbers import Seconds, Time
from robojam.touch import MAX_DT

#: Seconds before its line at which a turn begins: its first touch is drawn then, so that
#: whatever is to sound on the line is known ahead.
LEAD: Final = 0.1
#: Seconds by which a line may have passed when a turn begins on it: a clock that is followed
#: may move the line a little.
_GRACE: Final = 0.002
#: Beats by which a line may be later than the end of a response that it is within.
_ROUNDING: Final = 1e-6


@dataclass(slots=True)
class Clock:
    """Time of a take in seconds; stopped_at: when the machine's own stopped, while paused."""

    STATE: ClassVar[dict[str, Any]] = {"t": Time, "stopped_at": Time | None}

    t: float = 0.0
    stopped_at: float | None = None

    @property
    def machine(self) -> float:
        """Time of the machine."""
        return self.t if self.stopped_at is None else self.stopped_at


class Timing:
    """The beats of a jam, and the lines of its clock that turns and landings keep to."""

    STATE: ClassVar[dict[str, Any]] = {
        "beats": Beats | None,
        "_line": Seconds | None,
        "_beats_so_far": Seconds | None,
    }

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Keep to no clock, until there are beats. `refresh` follows a change of settings."""
        self._settings, self._clock = settings, clock
        #: Beats of the clock that the jam keeps to; None where there is none.
        self.beats: Beats | None = None
        #: Lines on which turns begin and end, and to which landings lean; None for no such.
        self.quantum: Grid | None = None
        self.grid: Grid | None = None
        #: Whether anything sounds, or ends, at another time than without a clock.
        self.active = False
        # The beat from which the machine's turn counts, or, while paused, its beats so far.
        self._line: float | None = None
        self._beats_so_far: float | None = None

    def restored(self) -> None:
        """Follow the settings to a state that was restored."""
        self.refresh()

    def refresh(self) -> None:
        """Follow the settings: quantum, grid, swing, lean and bars."""
        settings, beats = self._settings, self.beats
        self.quantum = self.grid = None
        self.active = False
        if beats is not None:
            self.quantum = quantum_lines(settings.quantum, beats.beats_per_bar)
            if settings.lean:
                self.grid = grid_lines(settings.grid, settings.swing)
            lines = self.quantum is not None or self.grid is not None
            self.active = lines or settings.bars > 0

    def set_beats(self, beats: Beats | None, *, opening: bool) -> None:
        """Keep to other beats from now on, or to none.

        opening: the machine's turn has begun, and waits for the line that it opens on.
        """
        before, self.beats = self.beats, beats
        self.refresh()
        line = self._line
        if beats is None or before is None or line is None:
            self._line = None
            return
        now, quantum = self._clock.t, self.quantum
        if opening:
            line = beats.beat_at(before.time_of(line))
        else:  # as many beats have passed
            line += beats.beat_at(now) - before.beat_at(now)
        if quantum is not None:
            number = quantum.nearest(line)
            if opening:  # not on one that has passed
                number = max(number, quantum.at_or_after(beats.beat_at(now - _GRACE)))
            line = quantum.beat_of(number)
        self._line = line

    @property
    def _machine_beats(self) -> Beats | None:
        """The beats by the machine's clock, as if it went on now."""
        clock, beats = self._clock, self.beats
        if beats is None or clock.stopped_at is None:
            return beats
        return beats.shifted(clock.stopped_at - clock.t)

    # -- turns ---------------------------------------------------------------------------

    def opens_at(self, earliest: float) -> float:
        """Return when a turn that may begin from an instant on is to begin."""
        beats, quantum = self._machine_beats, self.quantum
        if beats is None or quantum is None or earliest == math.inf:
            return earliest
        line = self._line_from(max(earliest, self._clock.machine - _GRACE), beats, quantum)
        lead = min(LEAD, MAX_DT * self._settings.timescale)
        return max(earliest, beats.time_of(line) - lead)

    def beats_until(self, earliest: float) -> float:
        """Return the beats from now to the line of a turn that may begin from an instant on.

        0 where it waits for none.
        """
        beats, quantum = self._machine_beats, self.quantum
        if beats is None or quantum is None or earliest == math.inf:
            return 0.0
        now = self._clock.machine
        line = self._line_from(max(earliest, now - _GRACE), beats, quantum)
        return max(0.0, line - beats.beat_at(now))

    def _line_from(self, earliest: float, beats: Beats, quantum: Grid) -> float:
        """Return the beat of the first line of the quantum at or after an instant."""
        return quantum.beat_of(quantum.at_or_after(beats.beat_at(earliest)))

    def open_turn(self, t: float) -> bool:
        """Note that a turn begins at t; return whether it opens on a line (`line_time`)."""
        beats, quantum = self._machine_beats, self.quantum
        self._line = None
        if beats is not None and quantum is not None:
            self._line = self._line_from(t - _GRACE, beats, quantum)
        elif beats is not None:
            self._line = beats.beat_at(t)
        return quantum is not None

    @property
    def line_time(self) -> float | None:
        """Time of the line that the turn opens on; None where there is none."""
        beats = self._machine_beats
        if beats is None or self._line is None or self.quantum is None:
            return None
        return beats.time_of(self._line)

    def place_turn(self, began: float) -> None:
        """Count the beats of a turn that goes on from an instant: from the line after it."""
        beats = self._machine_beats
        self._line = None
        if beats is not None:
            self._place(beats.beat_at(began))

    def _place(self, beat: float) -> None:
        """Count the beats of the turn from a beat, or from the line after it."""
        if self.quantum is not None:
            beat = self.quantum.beat_of(self.quantum.at_or_after(beat))
        self._line = beat

    def hold(self) -> None:
        """Note that the machine is paused."""
        if self.beats is not None and self._line is not None:
            self._beats_so_far = self.beats.beat_at(self._clock.t) - self._line

    def go_on(self, *, opening: bool) -> None:
        """Note that the machine goes on, with the turn that it was paused in.

        opening: it waits for the line that the turn opens on.
        """
        beats, so_far, now = self.beats, self._beats_so_far, self._clock.t
        self._beats_so_far = None
        if beats is None or self._line is None:
            return
        if opening:
            self.open_turn(now)
        elif so_far is not None:
            self._place(beats.beat_at(now) - so_far)

    def turn_end(self, began: float) -> float:
        """Return when a turn ends that began at an instant; infinity for never."""
        response = self._settings.response
        beats = self._machine_beats
        if not self.active or beats is None or self._line is None:
            return began + response if response else math.inf
        line, bars = self._line, self._settings.bars
        if self._clock.stopped_at is not None and self._beats_so_far is not None:
            line = beats.beat_at(self._clock.stopped_at) - self._beats_so_far
        elif self.quantum is not None:  # it may have been chosen since the turn began
            line = self.quantum.beat_of(self.quantum.nearest(line))
        if bars:
            return beats.time_of(line + bars * beats.beats_per_bar)
        if not response:
            return math.inf
        if self.quantum is None:
            return began + response
        return beats.time_of(line + self._longest(response, beats, self.quantum))

    def _longest(self, response: float, beats: Beats, quantum: Grid) -> float:
        """Return the beats of the longest turn within a response (s): one quantum at least."""
        within = response * beats.tempo / 60.0
        lines = quantum.at_or_after(within)
        if quantum.beat_of(lines) > within + _ROUNDING:
            lines -= 1
        return quantum.beat_of(max(1, lines))

    @property
    def response(self) -> float:
        """Length of a turn in seconds; 0 is without end."""
        settings, beats = self._settings, self.beats
        if beats is not None and settings.bars:
            return settings.bars * beats.beats_per_bar * 60.0 / beats.tempo
        if beats is None or self.quantum is None or not settings.response:
            return settings.response
        return self._longest(settings.response, beats, self.quantum) * 60.0 / beats.tempo

    # -- landings ------------------------------------------------------------------------

    def land(self, due: float, earliest: float, latest: float) -> float:
        """Return when a landing sounds that was drawn for an instant.

        It moves by the share lean towards the nearest line of the grid that is not before
        earliest, nor after latest; where there is none it stays.
        """
        beats, grid = self._machine_beats, self.grid
        if beats is None or grid is None:
            return due
        line = grid.nearest(beats.beat_at(due))
        at = beats.time_of(grid.beat_of(line))
        if at < earliest:
            line = grid.at_or_after(beats.beat_at(earliest))
            at = max(earliest, beats.time_of(grid.beat_of(line)))
        if at > latest:
            at = beats.time_of(grid.beat_of(line - 1))
            if not earliest <= at <= latest:
                return due
        lean = self._settings.lean
        return at if lean == 1 else due + lean * (at - due)
