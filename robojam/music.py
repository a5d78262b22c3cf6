"""Who plays what, and which pitch a place has: names and numbers, nothing that sounds.

Options, controls and the synthesiser all read a line-up here, so it must stay quick to
import: the standard library alone.
"""

from __future__ import annotations

import re
from typing import Final

#: The instruments, in the order in which they are told.
INSTRUMENTS: Final = ("keys", "strings", "chirp", "drums")
#: Who plays what unless told otherwise.
DEFAULT: Final = "human=strings,ai=keys"
#: What pitches can be held to: the steps of each scale in semitones above A; free holds
#: nothing.
SCALES: Final[dict[str, tuple[int, ...]]] = {
    "free": (),
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "pentatonic": (0, 3, 5, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
}
#: The pitch at the left edge, as a MIDI note (A2, 110 Hz), and the semitones across.
LOWEST: Final = 45.0
COMPASS: Final = 36.0

_WHO = re.compile(r"(human|ai)([2-9]|[1-9][0-9]+)?")


def lineup(text: str, before: str = DEFAULT) -> str:
    """Read who plays what, and return all of it: ``human=strings,ai=keys``.

    Each part is WHO=INSTRUMENT; WHO is human or ai for all of them, or one of them, as in
    ai2. An instrument alone is for the humans. Who is not named keeps what before says.
    Raises ValueError, which says what is wrong.
    """
    plays = dict(_part(part) for part in before.split(","))
    for part in text.split(","):
        who, instrument = _part(part)
        plays[who] = instrument
    return ",".join(f"{who}={plays[who]}" for who in sorted(plays, key=_order))


def _part(part: str) -> tuple[str, str]:
    named, _, instrument = (side.strip().lower() for side in part.rpartition("="))
    who = named or "human"
    if not _WHO.fullmatch(who):
        raise ValueError(f"{who!r:.40} is nobody; allowed: human, ai, human2, ai2, …")
    if instrument not in INSTRUMENTS:
        allowed = ", ".join(INSTRUMENTS)
        raise ValueError(f"no instrument is named {instrument!r:.40}; allowed: {allowed}")
    return who, instrument


def _order(who: str) -> tuple[bool, int]:
    return who.startswith("ai"), int("".join(filter(str.isdecimal, who)) or 1)


def plays(who: str, line: str) -> str:
    """Return the instrument of someone in a line-up that `lineup` has read."""
    by_name = dict(part.split("=") for part in line.split(","))
    return by_name.get(who) or by_name["ai" if who.startswith("ai") else "human"]


def scale(text: str) -> str:
    """Return the scale of that name. Raises ValueError, which names those allowed."""
    name = text.strip().lower()
    if name not in SCALES:
        raise ValueError(f"no scale is named {text!r:.40}; allowed: {', '.join(SCALES)}")
    return name


def note(x: float, scale: str = "free") -> float:
    """Return the pitch at x (0..1) as a MIDI note, held to a scale on A unless it is free."""
    free = LOWEST + COMPASS * x
    steps = SCALES[scale]
    if not steps:
        return free
    octave, within = divmod(free - LOWEST, 12.0)
    near = min((*steps, steps[0] + 12), key=lambda step: abs(within - step))
    return LOWEST + 12.0 * octave + near
