"""Scales, keys, pitch and instruments: names and numbers for the sound, MIDI and the window.

Pure, and quick to import: options and controls read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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

#: The pitch at the left edge, as a MIDI note (A2, 110 Hz), and the semitones across.
LOWEST: Final = 45.0
COMPASS: Final = 36.0

#: Players that an assignment such as ``human=strings,ai=keys`` may name.
MAX_NAMED: Final = 128

_SEPARATORS = re.compile(r"[\s_-]+")
_SEMITONES: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS: Final = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_KEY = re.compile(r"([A-Ga-g])([#♯b♭]?)")


# -- scales and keys ---------------------------------------------------------------------


def _squeeze(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


_SCALE_NAMES: Final = {
    _squeeze(spelling): name
    for spelling, name in (*((name, name) for name in SCALES), *SCALE_ALIASES.items())
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
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"no key is named {text!r:.40}; allowed: C, D, E, F, G, A, B, also with # or b"
        )
    accidental = {1: "#", -1: "b"}.get(_ACCIDENTALS[found[2]], "")
    return found[1].upper() + accidental


def key_semitone(key: str) -> int:
    """Return the semitones from C up to a key that `parse_key` has returned, 0 to 11."""
    return (_SEMITONES[key[0]] + _ACCIDENTALS[key[1:]]) % 12


# -- pitch -------------------------------------------------------------------------------


def note(x: float, scale: str = "free") -> float:
    """Return the pitch at x (0..1) as a MIDI note, held to a scale on A unless it is free."""
    free = LOWEST + COMPASS * x
    steps = SCALES[scale]
    if not steps:
        return free
    octave, within = divmod(free - LOWEST, 12.0)
    near = min((*steps, steps[0] + 12), key=lambda step: abs(within - step))
    return LOWEST + 12.0 * octave + near


# -- assignments to players: human=strings,ai2=drums ---------------------------------------


_PartParser = Callable[[str], tuple[str, str]]


@lru_cache(maxsize=256)
def _read_assignments(text: str, parse_part: _PartParser) -> dict[str, str]:
    return dict(map(parse_part, text.split(",")))


def _merge(text: str, before: str, parse_part: _PartParser) -> dict[str, str]:
    """Return the assignments of ``before`` with those of ``text`` over them, in order."""
    merged = _read_assignments(before, parse_part) | dict(map(parse_part, text.split(",")))
    if len(merged) > MAX_NAMED:
        raise ValueError(f"{len(merged)} players are named; allowed: up to {MAX_NAMED}")
    return {who: merged[who] for who in sorted(merged, key=_order)}


def _order(who: str) -> tuple[bool, int]:
    return is_machine(who), int("".join(filter(str.isdecimal, who)) or 1)


def _check_player(who: str) -> str:
    if not is_player(who):
        raise ValueError(f"{who!r:.40} is no player; allowed: human, ai, human2, ai2, …")
    return who


def parse_instruments(text: str, before: str = DEFAULT_INSTRUMENTS) -> str:
    """Return the instruments of all players: ``human=strings,ai=keys``.

    Each part of text is PLAYER=INSTRUMENT; human and ai stand for all of theirs, ai2 for one
    player. An instrument alone is for the humans. Players that text does not name keep their
    instruments of ``before``. Raises ValueError, which says what is wrong and what is allowed.
    """
    merged = _merge(text, before, _parse_instrument)
    return ",".join(f"{who}={instrument}" for who, instrument in merged.items())


def _parse_instrument(part: str) -> tuple[str, str]:
    who, _, instrument = (side.strip().lower() for side in part.rpartition("="))
    _check_player(who := who or "human")
    if instrument not in INSTRUMENTS:
        allowed = ", ".join(INSTRUMENTS)
        raise ValueError(f"no instrument is named {instrument!r:.40}; allowed: {allowed}")
    return who, instrument


def instrument_of(who: str, instruments: str) -> str:
    """Return the instrument of a player, from a text that `parse_instruments` has returned."""
    assigned = _read_assignments(instruments, _parse_instrument)
    return assigned.get(who) or assigned["ai" if is_machine(who) else "human"]
