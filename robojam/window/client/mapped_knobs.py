"""Mapped knobs as the engine reports them: names, targets, sources, ranges, values. Pure.

The engine may be another machine's: what it reports is bounded and escaped.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from robojam.touch import clip
from robojam.wire.port_problems import plain

#: Knobs, scenes and letters of a name that are read at most.
MAX_KNOBS, MAX_SCENES, MAX_NAME = 64, 32, 40


@dataclass(frozen=True, slots=True)
class MappedKnob:
    """A knob: what it turns, by what of whose touches, and its value (None: not known yet).

    low and high are the ends of its range in the present scene. name is as the engine sent it.
    """

    name: str
    target: str
    source: str
    who: str
    low: float
    high: float
    value: float | None

    @property
    def share(self) -> float | None:
        """Position of the value in its range, 0..1; None while it is not known."""
        low, high = sorted((self.low, self.high))
        if self.value is None:
            return None
        return clip((self.value - low) / (high - low), 0.0, 1.0) if high > low else 1.0

    @property
    def text(self) -> str:
        """The value, or a dash."""
        if self.value is None:
            return "–"
        return f"{self.value:.0f}" if self.value == round(self.value) else f"{self.value:.3g}"


@dataclass(frozen=True, slots=True)
class MappedKnobs:
    """All knobs and the names of the scenes; left_out counts those that were not sent."""

    knobs: tuple[MappedKnob, ...] = ()
    scenes: tuple[str, ...] = ()
    left_out: int = 0


def parse_knobs(text: str) -> MappedKnobs | None:
    """Return the knobs in an engine's message; None where it cannot be read."""
    try:
        report = json.loads(text)
        rows = [_knob(row) for row in report["knobs"][:MAX_KNOBS]]
        scenes = [name for name in report["scenes"][:MAX_SCENES] if _is_name(name)]
        left_out = report["left_out"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    known = left_out if type(left_out) is int and 0 <= left_out <= MAX_KNOBS else 0
    return MappedKnobs(tuple(filter(None, rows)), tuple(scenes), known)


def _knob(row: object) -> MappedKnob | None:
    """Return a knob of a row; None for one that is none."""
    if not isinstance(row, list) or len(row) != 7 or not _is_name(row[0]):
        return None
    name, target, source, who, low, high, value = row
    numbers = [low, high, *([] if value is None else [value])]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        return None
    target, source, who = (plain(word, MAX_NAME) for word in (target, source, who))
    return MappedKnob(name, target, source, who, float(low), float(high), value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()
