"""Scales, keys, pitch and instruments: names and numbers for the sound, MIDI and the window.

Pure, and quick to import: options and controls read it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from robojam.touch import is_machine, is_player

#: Names of the instruments, in the order in which the window and the help list them.
INSTRUMENTS: Final = ("keys", "strings", "chirp", "drums")
DEFAULT_INSTRUMENTS: Final = "human=strings,ai=keys"

#: The steps of each scale, in semitones above its key. "free" holds a pitch to nothing.
SCALES: Final[dict[str, tuple[int, ...]]] = {
    "free": (),
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "pentatonic": (0, 3, 5, 7, 10),
    "major-pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
}
#: Second names of scales.
SCALE_ALIASES: Final = {"minor-pentatonic": "pentatonic"}
#: The key of the built-in sound's scales.
SOUND_KEY: Final = "A"

#: The pitches at the left and the right edge of the surface, as MIDI notes (60 is middle C).
DEFAULT_RANGE: Final = "36-84"
LOWEST_NOTE, HIGHEST_NOTE = 0.0, 127.0

#: Players that an assignment such as ``human=strings,ai=keys`` may name.
MAX_NAMED: Final = 128
#: The first human alone in an assignment of instruments, where human stands for all humans.
FIRST_HUMAN: Final = "human1"

_SEMITONES: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS: Final = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}


def _squeeze(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()


_SCALE_NAMES: Final = {_squeeze(name): name for name in SCALES} | {
    _squeeze(alias): name for alias, name in SCALE_ALIASES.items()
}


def parse_scale(text: str) -> str:
    """Return the name in `SCALES` of the scale that text names.

    Case, spaces, hyphens and underscores make no difference. Raises ValueError, which names
    the scales.
    """
    name = _SCALE_NAMES.get(_squeeze(text))
    if name is None:
        allowed = ", ".join([*SCALES, *SCALE_ALIASES])
        raise ValueError(f"no scale is named {text!r:.40}; allowed: {allowed}")
    return name


def parse_key(text: str) -> str:
    """Return a key as in ``C#`` or ``Bb``. Raises ValueError, which says what is allowed."""
    match = re.fullmatch(r"([A-Ga-g])([#♯b♭]?)", text.strip())
    if match is None:
        raise ValueError(
            f"no key is named {text!r:.40}; allowed: C, D, E, F, G, A, B, also with # or b"
        )
    return match[1].upper() + match[2].replace("♯", "#").replace("♭", "b")


def key_semitone(key: str) -> int:
    """Return the semitones from C up to a key that `parse_key` has returned, 0 to 11."""
    return (_SEMITONES[key[0]] + _ACCIDENTALS[key[1:]]) % 12


@dataclass(frozen=True, slots=True)
class PitchRange:
    """The pitches at x = 0 and x = 1, as MIDI notes, whole or not: 60 is middle C.

    Sound, MIDI and exports all map x to pitch, and pitch to x, by this class.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Raise ValueError for pitches that are no range."""
        if not LOWEST_NOTE <= self.low < self.high <= HIGHEST_NOTE:
            raise ValueError(
                f"{self} is no range of pitch; allowed: LOW-HIGH, from 0 to 127 or C-1 to G9,"
                " LOW below HIGH"
            )

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g}"

    def pitch(self, x: float) -> float:
        """Return the pitch at x (0..1)."""
        return self.low + (self.high - self.low) * x

    def x(self, pitch: float) -> float:
        """Return the place of a pitch: outside 0..1 where the pitch is outside the range."""
        return (pitch - self.low) / (self.high - self.low)

    def widened(self, pitch: float) -> PitchRange:
        """Return the range widened to whole notes that take a pitch in."""
        low = min(self.low, max(math.floor(pitch), LOWEST_NOTE))
        return PitchRange(low, max(self.high, min(math.ceil(pitch), HIGHEST_NOTE)))

    def quantised(self, pitch: float, scale: str, key: str) -> float:
        """Return the note of a scale in the range that is nearest to a pitch.

        scale and key are as `parse_scale` and `parse_key` return them; "free" returns the
        pitch itself. A range that holds no note of the scale has one, the nearest to its low.
        """
        if not SCALES[scale]:
            return pitch
        return min(scale_notes(self, scale, key), key=lambda note: abs(note - pitch))


@lru_cache(maxsize=256)
def scale_notes(pitches: PitchRange, scale: str, key: str) -> tuple[int, ...]:
    """Return the notes of a scale in a range, from low to high; of "free", every semitone."""
    root, steps = key_semitone(key), SCALES[scale] or SCALES["chromatic"]
    notes = range(math.ceil(pitches.low), math.floor(pitches.high) + 1)
    return tuple(note for note in notes if (note - root) % 12 in steps) or (round(pitches.low),)


def range_name(pitches: PitchRange) -> str:
    """Return a range as it is named: C2-C6, or with MIDI notes where they are not whole."""
    ends = (pitches.low, pitches.high)
    if any(end % 1 for end in ends):
        return str(pitches)
    names = "C C# D D# E F F# G G# A A# B".split()
    return "-".join(f"{names[int(end) % 12]}{int(end) // 12 - 1}" for end in ends)


_NOTE = r"[a-g][#♯b♭]?-?[0-9]|[0-9]{1,3}(?:\.[0-9]{1,3})?"
_RANGE = re.compile(rf"({_NOTE})\s*[-–]\s*({_NOTE})", re.IGNORECASE)


def parse_range(text: str) -> PitchRange:
    """Read a range such as ``36-84``, ``C2-C6`` or ``35.5-60``.

    C4 is middle C, 60; a fraction has up to three digits. Raises ValueError, which says what
    is allowed.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r:.40} is no range of pitch; allowed: LOW-HIGH, as in 36-84 or C2-C6"
        )
    return PitchRange(_read_note(match[1]), _read_note(match[2]))


def _read_note(text: str) -> float:
    match = re.fullmatch(r"([A-Ga-g])([#♯b♭]?)(-?[0-9])", text)
    if match is None:
        return float(text)
    semitone = _SEMITONES[match[1].upper()] + _ACCIDENTALS[match[2]]
    return float(12 * (int(match[3]) + 1) + semitone)


@lru_cache(maxsize=256)
def read_assignments(text: str) -> dict[str, str]:
    """Return the values by player of a text that `_merge` has returned."""
    return dict(_split(part, FIRST_HUMAN) for part in text.split(","))


def _merge(
    text: str,
    before: str,
    parse: Callable[[str], str],
    *,
    default_player: str = "",
    also: str | None = None,
) -> str:
    """Return the assignments of ``before`` with those of ``text`` over them, in order.

    A value without a player is that of default_player; also is a name that is allowed besides
    those of players. Raises ValueError for a value that
    parse refuses, and for more players than `MAX_NAMED`.
    """
    named = 1 + text.count(",")
    if named > MAX_NAMED:  # a long text is not read
        raise ValueError(f"{named} players are named; allowed: up to {MAX_NAMED}")
    merged: dict[str, str] = {}
    for part in f"{before},{text}".split(","):
        who, value = _split(part, also)
        merged[who or default_player] = parse(value)
    if len(merged) > MAX_NAMED:
        raise ValueError(f"{len(merged)} players are named; allowed: up to {MAX_NAMED}")
    parts = [(who, merged[who]) for who in sorted(merged, key=_order)]
    return ",".join(f"{who}={value}" if who else value for who, value in parts)


def _order(who: str) -> tuple[bool, int, str]:
    """Order nobody by name, the humans, the machine's voices; each by number."""
    number = "".join(filter(str.isdecimal, who))
    return is_machine(who), int(number) if number else int(who != ""), who


def alone(who: str) -> str:
    """Return the name by which an assignment of instruments names one player alone."""
    return FIRST_HUMAN if who == "human" else who


def names(text: str) -> set[str]:
    """Return the names in assignments, "" for a value without one. Raises ValueError."""
    return {_split(part, FIRST_HUMAN)[0] for part in text.split(",")}


def unassign(text: str, who: str) -> str:
    """Return assignments, as this module's parsers return them, without those of a name."""
    return ",".join(part for part in text.split(",") if not part.startswith(f"{who}="))


def _split(part: str, also: str | None = None) -> tuple[str, str]:
    """Split PLAYER=VALUE; the player is "" where there is none. Raises ValueError.

    also is a name that is allowed besides those of players.
    """
    who, assigned, value = (side.strip() for side in part.rpartition("="))
    who = who.lower()
    if assigned and not is_player(who) and who != also:
        raise ValueError(f"{who!r:.40} is no player; allowed: human, ai, human2, ai2, …")
    return who, value


def parse_instruments(text: str, before: str = DEFAULT_INSTRUMENTS) -> str:
    """Return the instruments of all players: ``human=strings,ai=keys``.

    Each part of text is PLAYER=INSTRUMENT; human and ai stand for all of theirs, ai2 for one
    player, human1 for the first human alone. An instrument alone is for the humans. Players
    that text does not name keep their instruments of ``before``. Raises ValueError, which says
    what is wrong and what is allowed.
    """
    if any(_split(part, FIRST_HUMAN)[0] in ("", "human") for part in text.split(",")):
        before = unassign(before, FIRST_HUMAN)  # one of all humans
    return _merge(text, before, _parse_instrument, default_player="human", also=FIRST_HUMAN)


def _parse_instrument(value: str) -> str:
    instrument = value.lower()
    if instrument not in INSTRUMENTS:
        allowed = ", ".join(INSTRUMENTS)
        raise ValueError(f"no instrument is named {instrument!r:.40}; allowed: {allowed}")
    return instrument


def instrument_of(who: str, instruments: str) -> str:
    """Return the instrument of a player, from a text that `parse_instruments` has returned."""
    assigned = read_assignments(instruments)
    return assigned.get(alone(who)) or assigned["ai" if is_machine(who) else "human"]


def parse_ranges(text: str, before: str = DEFAULT_RANGE) -> str:
    """Return the ranges of pitch of all players: ``36-84`` or ``36-84,human2=35-51``.

    Each part of text is [PLAYER=]LOW-HIGH. A range alone is for all players that no other part
    names; ai is for every voice of the machine, and human for the first human alone, because a
    human's range is that of an own instrument. Players that text does not name keep their
    ranges of ``before``. Raises ValueError, which says what is wrong and what is allowed.
    """
    return _merge(text, before, lambda value: str(parse_range(value)))


@lru_cache(maxsize=1024)
def range_of(who: str, ranges: str) -> PitchRange:
    """Return the range of a player, from a text that `parse_ranges` has returned."""
    assigned = read_assignments(ranges)
    group = "ai" if is_machine(who) else ""
    return parse_range(assigned.get(who) or assigned.get(group) or assigned[""])


def widest_range(ranges: str) -> PitchRange:
    """Return the range from the lowest to the highest pitch of any player."""
    every = [parse_range(text) for text in read_assignments(ranges).values()]
    return PitchRange(min(r.low for r in every), max(r.high for r in every))
