"""Units of other programs' performances: given by --units, checked, and guessed.

robojam counts places from 0 to 1 and time in seconds. Most formats do not say their units.
Numbers in other units would be clipped to a corner of the surface without a word; so a column
of which a fifth or more is out of range is refused, with the option that would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.stored_rows import Floats, Rows, iterate_blocks
from robojam.touch import MAX_DT

Integers = NDArray[np.int64]
#: Numbers at the low and the high edge of the surface.
Range = tuple[float, float]

ALLOWED: Final = "px:WIDTHxHEIGHT, LOW..HIGH, s, ms, us, ns, time, dt, flip-y or guess"
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
#: Share of a column that may be out of range, and is clipped.
_MOST_OUT: Final = 0.2
#: Places may overshoot the surface by this share of it before they count as out of range.
_OVERSHOOT: Final = 0.01
#: Moves that come as slowly as this, in seconds in the median, are not counted in seconds.
_SLOWEST_MOVES_S: Final = 1.0
#: No surface reports moves faster than this, in seconds.
_FASTEST_MOVES_S: Final = 1e-4
#: Nor all but a tenth of them (fingers that move at once have one time) faster than this.
_FASTEST_TENTH_S: Final = 4e-4
#: Touches nearer than this to the one before, in screens, are taken for moves.
_NEAR: Final = 0.05
#: A time above the first, in seconds, and above this multiple of the median, is a pause.
_PAUSE_S, _PAUSE_RATIO = 30.0, 100.0
#: Fewest moves, and fewest times in a row, from which something is concluded.
_FEWEST_MOVES, _FEWEST_TIMES = 3, 10
#: A median dt above _SLOW_S, in seconds, and places of which half are this near to an edge:
#: dt stands in the column of those places. (Of 1,051 performances by people none is so; with
#: dt and x exchanged 95 of 100 are.)
_SLOW_S, _EDGE = 0.15, 0.05
#: Sizes of screens in pixels or points, for guesses.
_SCREENS: Final = (
    (640, 480),
    (800, 600),
    (1024, 768),
    (768, 1024),
    (1280, 720),
    (1280, 800),
    (1366, 768),
    (1366, 1024),
    (1440, 900),
    (1920, 1080),
    (1080, 1920),
    (1920, 1200),
    (2048, 1536),
    (2560, 1440),
    (2560, 1600),
    (2732, 2048),
    (3840, 2160),
)


@dataclass(frozen=True, slots=True)
class Units:
    """Units of a file, as far as they are known; None stands for what is not."""

    x: Range | None = None
    y: Range | None = None
    second: float | None = None  # length of the unit of time, in seconds
    #: Meaning of the column of times, whatever its name: the time since the start of the
    #: performance, or since the touch before. "" stands for what the file says.
    timing: Literal["", "time", "dt"] = ""
    flip_y: bool = False  # y counts from the bottom to the top
    guess: bool = False  # what is out of range is scaled by a guess

    def __str__(self) -> str:
        """Return the units as --units takes them."""
        parts = []
        if self.x is not None and self.y is not None:
            if self.x == self.y:
                parts.append(f"{self.x[0]:g}..{self.x[1]:g}")
            else:
                parts.append(f"px:{self.x[1]:g}x{self.y[1]:g}")
        parts += [name for name, second in _SECONDS.items() if second == self.second]
        parts += [self.timing] if self.timing else []
        parts += ["flip-y"] if self.flip_y else []
        return ",".join(parts)


#: Units of a file of which nothing is known.
UNKNOWN: Final = Units()


def parse(text: str) -> Units:
    """Read units such as "px:1024x768,ms". Raises ValueError that says what is allowed."""
    units, given = Units(), set()
    for part in text.lower().replace("µs", "us").split(","):
        word = part.strip()
        kind = word
        if match := re.fullmatch(r"px:(\d{1,6})x(\d{1,6})", word):
            width, height = float(match[1]), float(match[2])
            kind, units = "place", replace(units, x=(0.0, width), y=(0.0, height))
        elif match := re.fullmatch(r"(-?\d{1,9}(?:\.\d+)?)\.\.(-?\d{1,9}(?:\.\d+)?)", word):
            edges = float(match[1]), float(match[2])
            kind, units = "place", replace(units, x=edges, y=edges)
        elif word in _SECONDS:
            kind, units = "unit of time", replace(units, second=_SECONDS[word])
        elif word == "time":
            kind, units = "kind of time", replace(units, timing="time")
        elif word == "dt":
            kind, units = "kind of time", replace(units, timing="dt")
        elif word == "flip-y":
            units = replace(units, flip_y=True)
        elif word == "guess":
            units = replace(units, guess=True)
        else:
            raise ValueError(f"{word!r:.60} is not {ALLOWED}, separated by commas")
        if kind in given:
            raise ValueError(f"{text!r:.60} has two of one kind: {word!r:.40} is the second")
        given.add(kind)
    for place in (units.x, units.y):
        if place is not None and place[0] >= place[1]:
            raise ValueError(f"{text!r:.60}: the surface has no size; as in px:1024x768, -1..1")
    return units


@dataclass(frozen=True, slots=True)
class Scaling:
    """Map of touches in a file's units to places from 0 to 1 and seconds."""

    x: Range = (0.0, 1.0)
    y: Range = (0.0, 1.0)
    second: float = 1.0
    flip_y: bool = False

    def __call__(self, touches: Floats) -> Floats:
        """Return touches (N, 3 or 4) scaled; an array that needs no scaling as it is."""
        if self == Scaling():
            return touches
        scaled = touches.copy()
        for column, (low, high) in enumerate((self.x, self.y)):
            scaled[:, column] = (touches[:, column] - low) / (high - low)
        if self.flip_y:
            scaled[:, 1] = 1 - scaled[:, 1]
        scaled[:, 2] = touches[:, 2] * self.second
        return scaled


@dataclass(slots=True)
class _Column:
    """Ranges and counts of the values of one column."""

    name: str
    out: int = 0  # touches out of range
    low: float = np.inf
    high: float = -np.inf
    first: Integers | None = None  # rows of the first that are out of range

    def add(self, values: Floats, out: NDArray[np.bool_], start: int) -> None:
        """Add the values of a block, which begins at row start."""
        finite = values[np.isfinite(values)]
        if len(finite):
            self.low = min(self.low, float(finite.min()))
            self.high = max(self.high, float(finite.max()))
        self.out += int(out.sum())
        if self.first is None and out.any():
            self.first = start + np.flatnonzero(out)[:4]

    def describe(self, inside: str, total: int, where: Callable[[Integers], str]) -> str:
        """Return the range that was seen, and which of all touches are not inside."""
        text = f"{self.name} goes from {self.low:g} to {self.high:g}"
        if self.low > self.high:
            text = f"{self.name} is infinite"
        if self.out < _MOST_OUT * total or self.first is None:
            return text
        place = where(self.first)
        return f"{text}, outside {inside} in {self.out:,} of {total:,} touches ({place})"


@dataclass(slots=True)
class _Survey:
    """Ranges and counts of the columns of touches."""

    x: _Column = field(default_factory=lambda: _Column("x"))
    y: _Column = field(default_factory=lambda: _Column("y"))
    dt: _Column = field(default_factory=lambda: _Column("dt"))
    total: int = 0
    #: Touches (N, 3 or 4) from the beginning, and which of them begin a performance.
    touches: Floats = field(default_factory=lambda: np.empty((0, 3)))
    first: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))


def _survey(rows: Rows, offsets: Integers, known: Scaling) -> _Survey:
    """Return what is seen of touches (N, 3 or 4) that are scaled like this."""
    seen = _Survey(total=len(rows))
    for start, block in iterate_blocks(rows):
        first = np.zeros(len(block), bool)
        first[offsets[(offsets >= start) & (offsets < start + len(block))] - start] = True
        for index, (column, (low, high)) in enumerate(((seen.x, known.x), (seen.y, known.y))):
            margin = _OVERSHOOT * (high - low)
            values = block[:, index]
            column.add(values, (values < low - margin) | (values > high + margin), start)
        times = np.where(first, np.nan, block[:, 2])
        seconds = times * known.second
        some = np.isfinite(seconds).any()
        longest_rest = max(_PAUSE_S, _PAUSE_RATIO * _median(seconds)) if some else np.inf
        rests = ((seconds < 0) | (seconds > MAX_DT)) & ~(seconds > longest_rest)
        seen.dt.add(times, rests, start)
        if start == 0:
            seen.touches, seen.first = block, first
    return seen


def choose_scaling(
    rows: Rows, offsets: Integers, units: Units, where: Callable[[Integers], str]
) -> tuple[Scaling, str]:
    """Return how touches (N, 3 or 4) of x, y, dt (moving) are to be scaled, and from what.

    offsets are as in Corpus. where names rows, for messages. The second value is the name of
    the units, with a word if they were guessed; "" where nothing is scaled. Raises ValueError
    for touches that are out of range, with what was seen and the units that would fit.
    """
    known = Scaling(
        units.x or (0.0, 1.0), units.y or (0.0, 1.0), units.second or 1.0, units.flip_y
    )
    seen = _survey(rows, offsets, known)
    x, y, total = seen.x, seen.y, seen.total
    guess, problems = Units(), []
    for column, edges in ((x, known.x), (y, known.y)):
        if total and column.out >= _MOST_OUT * total:
            inside = f"{edges[0]:g}..{edges[1]:g}"
            problems.append(column.describe(inside, total, where))
    low = min(x.low, y.low)
    places = seen.touches[:, :2]
    in_range = np.mean(((places > 0) & (places < 1)).all(1)) if total else 0.0
    # No single unit explains a column of which a fifth or more is in range.
    if problems and (low < 0 or in_range < _MOST_OUT):
        guess = _guess_places(low, x.high, y.high)
    elif not problems and known.x[1] > 10 and low >= 0 and max(x.high, y.high) <= 1 and total:
        raise ValueError(
            f"x and y go from {low:g} to {max(x.high, y.high):g}, and "
            f"{_label(units, known)} would put all of it into one corner: "
            "read it with --units 0..1"
        )
    seen.touches = replace(known, x=guess.x or known.x, y=guess.y or known.y)(seen.touches)
    wrong_time, likely_time = _check_times(seen, units, where)
    if wrong_time:
        problems.append(wrong_time)
        guess = replace(guess, second=likely_time.second, timing=likely_time.timing)
    if not problems:
        return known, _label(units, known)
    is_placed = len(problems) == bool(wrong_time) or guess.x is not None
    is_timed = not wrong_time or guess.timing != "" or guess.second not in (None, 1.0)
    is_guessed = is_placed and is_timed and not guess.timing
    if units.guess and is_guessed:
        known = replace(
            known,
            x=guess.x or known.x,
            y=guess.y or known.y,
            second=guess.second or known.second,
        )
        return known, f"{guess} (guessed)"
    advice = []
    if likely := str(replace(guess, second=None) if guess.second == 1.0 else guess):
        size = " (with the size of your surface)" if guess.x != guess.y else ""
        taken = "; --units guess takes this guess" if is_guessed else ""
        advice.append(f"It looks like --units {likely}{size}{taken}")
    if guess.second == 1.0:
        advice.append("If the times are seconds, say --units s; if milliseconds, --units ms")
    elif not (is_placed and is_timed):
        advice.append(
            "Are its columns in their true order (in arrays x, y, dt, moving)? Otherwise say "
            f"what its numbers are: --units with {ALLOWED}, separated by commas"
        )
    raise ValueError(". ".join(["; ".join(problems), *advice]))


#: Highest values of controllers, for guesses: MIDI, percent, 10 to 14 bits, 16 bits.
_KNOB_RANGES: Final = (1.0, 100.0, 127.0, 1023.0, 4095.0, 16383.0, 65535.0)


@dataclass(frozen=True, slots=True)
class KnobScaling:
    """Map of events of knobs in a file's units to values from 0 to 1 and seconds."""

    values: Range = (0.0, 1.0)
    second: float = 1.0

    def __call__(self, events: Floats) -> Floats:
        """Return events (N, n + 1) of n values and dt scaled."""
        low, high = self.values
        scaled = (events - low) / (high - low)
        scaled[:, -1] = events[:, -1] * self.second
        return scaled


def choose_knob_scaling(
    events: Floats, offsets: Integers, units: Units, where: Callable[[Integers], str]
) -> tuple[KnobScaling, str]:
    """Return how events (N, n + 1) of n knobs' values and dt are to be scaled, and from what.

    As `choose_scaling`; the values of all knobs have one range. Raises ValueError.
    """
    if units.x != units.y or units.flip_y:
        raise ValueError(f"--units {units}: knobs have one range, such as 0..127")
    low, high = units.x or (0.0, 1.0)
    second, total = units.second or 1.0, len(events)
    margin, guess, problems = _OVERSHOOT * (high - low), Units(), []
    for index, values in enumerate(events[:, :-1].T):
        column = _Column(f"v{index + 1}")
        column.add(values, (values < low - margin) | (values > high + margin), 0)
        if total and column.out >= _MOST_OUT * total:
            problems.append(column.describe(f"{low:g}..{high:g}", total, where))
    finite = events[:, :-1][np.isfinite(events[:, :-1])]
    if problems and len(finite):
        guess = _guess_knobs(finite)
    times, column = events[:, -1].copy(), _Column("dt")
    times[offsets[:-1][np.diff(offsets) > 0]] = 0
    column.add(times, (times < 0) | (times * second > MAX_DT), 0)
    if total and column.out >= _MOST_OUT * total and units.second is None:
        problems.append(column.describe(f"0..{MAX_DT:g} s", total, where))
        guess = replace(guess, second=1e-3)
    if not problems:
        scaling = KnobScaling((low, high), second)
        named = replace(units, second=None if second == 1 else second, timing="")
        label = "" if scaling == KnobScaling() else str(named)
        return scaling, label
    if units.guess and (guess.x or not finite.size or guess.second):
        scaling = KnobScaling(guess.x or (low, high), guess.second or second)
        return scaling, f"{guess} (guessed)"
    advice = f". It looks like --units {guess}" if str(guess) else ""
    raise ValueError("; ".join(problems) + advice)


def _guess_knobs(values: Floats) -> Units:
    """Return the likeliest units of finite values of knobs, or none."""
    low, high = float(values.min()), float(values.max())
    if -1.25 <= low < -0.2 and high <= 1.25:
        return Units((-1.0, 1.0), (-1.0, 1.0))
    whole = bool((values == np.round(values)).all())
    ranges = [top for top in _KNOB_RANGES if high <= top and not (whole and top == 100.0)]
    if low < 0 or not ranges:
        return Units()
    return Units((0.0, ranges[0]), (0.0, ranges[0]))


def _label(units: Units, scaling: Scaling) -> str:
    """Return the units as a note names them; "" where nothing is scaled."""
    second = None if scaling.second == 1 else scaling.second
    return "" if scaling == Scaling() else str(replace(units, second=second, timing=""))


def _guess_places(low: float, x_high: float, y_high: float) -> Units:
    """Return the likeliest units of places, or none."""
    high = max(x_high, y_high)
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:  # what is out of range is infinite
        return Units()
    if low < -_OVERSHOOT and high <= 1.25:
        return Units((-1.0, 1.0), (-1.0, 1.0)) if -1.25 <= low < -0.2 else Units()
    if low < -0.05 * high:
        return Units()
    for edge in (100.0, 127.0):
        if high <= edge:
            return Units((0.0, edge), (0.0, edge))
    fitting = [(w, h) for w, h in _SCREENS if x_high <= w and y_high <= h]
    if not fitting:
        return Units()
    width, height = min(fitting, key=lambda screen: screen[0] * screen[1])
    return Units((0.0, float(width)), (0.0, float(height)))


def _check_times(
    seen: _Survey, units: Units, where: Callable[[Integers], str]
) -> tuple[str, Units]:
    """Return what is wrong with the times of touches, or "", and the likeliest units.

    The touches of the survey have their places from 0 to 1.
    """
    touches, first, dt = seen.touches, seen.first, seen.dt
    typical = _median(touches[~first, 2])
    is_unknown = not units.timing and units.second is None and len(touches) >= _FEWEST_TIMES
    for name, column in (("x", touches[:, 0]), ("y", touches[:, 1])):
        if is_unknown and typical > _SLOW_S and 0 <= _median(column) < _EDGE:
            medians = f"dt is {typical:.3g} in the median and {name} {_median(column):.3g}"
            guess = f"as if dt stood in the column of {name}"
            return f"{medians}, {guess} (if it is right, say --units s)", Units()
    if not units.timing and _is_clock(touches[:, 2], first):
        problem = f"dt goes from {dt.low:g} to {dt.high:g} and never falls"
        return f"{problem}, like the time since the start", Units(timing="time")
    if touches.shape[1] > 3:
        moves = ~first & (touches[:, 3] == 1)
    else:
        places = np.where(np.isfinite(touches[:, :2]), touches[:, :2], np.nan)
        steps = np.hypot(*np.diff(places, axis=0, prepend=places[:1]).T)
        moves = ~first & (steps < _NEAR)
    times = touches[moves, 2]
    known_times = times[np.isfinite(times)]
    if len(known_times) >= _FEWEST_TIMES and units.second != 1.0:
        interval = float(np.quantile(known_times, 0.9))
        if 0 <= interval < _FASTEST_TENTH_S:
            problem = f"a finger that slides is heard every {interval:.2g} s or less"
            advice = "write them in seconds, or if they are right, say --units s"
            reason = f"its times stand still, are rounded, or are no seconds ({advice})"
            return f"{problem}, as no surface reports it: {reason}", Units()
    step = _median(times)
    slow = int(moves.sum()) >= _FEWEST_MOVES and step >= _SLOWEST_MOVES_S
    out = dt.first is not None and dt.out >= _MOST_OUT * seen.total
    negative = dt.low < 0 and out and not slow
    if not (slow or out) or (units.second is not None and not negative):
        return "", Units()
    problem = dt.describe(f"0..{MAX_DT:g} s", seen.total, where)
    if slow:
        problem += f", and a finger that slides is heard every {step:g} s"
        second = next((s for s in _SECONDS.values() if s * step < _SLOWEST_MOVES_S), None)
        too_fast = (times > 0) & (times * (second or 1.0) < _FASTEST_MOVES_S)
        if np.mean(too_fast) >= _MOST_OUT:
            return f"{problem}, but others are in another unit of time", Units()
        return problem, Units(second=second)
    # Someone who taps slowly, or a few touches in milliseconds.
    return problem, Units(second=None if negative else 1.0)


def _is_clock(times: Floats, first: NDArray[np.bool_]) -> bool:
    """Return whether times only grow within performances, as no times between touches do."""
    times = np.where(np.isfinite(times), times, np.nan)
    rises = np.diff(times)[~first[1:]]
    if len(rises) < _FEWEST_TIMES:
        return False
    share = float(np.mean(rises > 0))
    return bool((rises >= 0).all() and share > 0.9)


def _median(values: Floats) -> float:
    """Return the lower median of the finite values, which is one of them; 0 of none."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, 0.5, method="lower")) if len(finite) else 0.0
