"""Division of a line of text into runs of one font, script and direction. Pure.

A subset of the Unicode bidirectional algorithm (UAX #9) for one line without embeddings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

__all__ = ["FontRun", "split_runs"]

#: Categories of characters that belong to the one before: marks and format characters.
_JOINED = frozenset(("Mn", "Me", "Mc", "Cf"))
#: 0: from left to right, 1: from right to left.
_DIRECTIONS = {"L": 0, "R": 1, "AL": 1, "AN": 1}
_NUMBERS = frozenset(("EN", "AN"))
#: ISO 15924 codes of the scripts whose letters change with their neighbours, by the word that
#: begins the names of their characters.
_SHAPED = {
    "ARABIC": "Arab", "BENGALI": "Beng", "DEVANAGARI": "Deva", "GUJARATI": "Gujr",
    "GURMUKHI": "Guru", "HEBREW": "Hebr", "KANNADA": "Knda", "KHMER": "Khmr", "LAO": "Laoo",
    "MALAYALAM": "Mlym", "MONGOLIAN": "Mong", "MYANMAR": "Mymr", "NKO": "Nkoo",
    "ORIYA": "Orya", "SINHALA": "Sinh", "SYRIAC": "Syrc", "TAMIL": "Taml", "TELUGU": "Telu",
    "THAANA": "Thaa", "THAI": "Thai", "TIBETAN": "Tibt",
}  # fmt: skip


class FontRun(NamedTuple):
    """Characters in logical order for one font: a file, None for the window's own.

    script is an ISO 15924 code, None for a script that needs no shaping.
    """

    text: str
    font: str | None = None
    script: str | None = None
    right_to_left: bool = False


def split_runs(text: str, font_of: Callable[[str], str | None]) -> list[FontRun]:
    """Return the runs of a line from left to right; font_of names the font of a character."""
    levels = _levels(text)
    keys: list[tuple[int, str | None, str | None]] = []
    for char, level in zip(text, levels, strict=True):
        if keys and (char == " " or unicodedata.category(char) in _JOINED):
            keys.append((level, *keys[-1][1:]))
        else:
            script = _SHAPED.get(unicodedata.name(char, "").partition(" ")[0])
            keys.append((level, font_of(char), script))
    runs: list[tuple[int, FontRun]] = []
    for (level, font, script), group in groupby(zip(keys, text, strict=True), itemgetter(0)):
        chars = "".join(char for _, char in group)
        runs.append((level, FontRun(chars, font, script, level % 2 == 1)))
    # Rule L2: from the highest level down, sequences of at least that level are reversed.
    for lowest in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(runs):
            end = start
            while end < len(runs) and runs[end][0] >= lowest:
                end += 1
            runs[start:end] = runs[start:end][::-1]
            start = end + 1
    return [run for _, run in runs]


def _levels(text: str) -> list[int]:
    """Return the embedding level of each character: odd ones run from right to left."""
    classes = [unicodedata.bidirectional(char) for char in text]
    if not {"R", "AL"}.intersection(classes):
        return [0] * len(text)
    base = strong = next(_DIRECTIONS[bidi] for bidi in classes if bidi in ("L", "R", "AL"))
    # Rule W4: a separator between two numbers is part of them.
    for i in range(1, len(classes) - 1):
        if classes[i] in ("ES", "CS") and classes[i - 1] == classes[i + 1] in _NUMBERS:
            classes[i] = classes[i - 1]
    directions: list[int | None] = []  # None: neutral
    for bidi in classes:
        direction = _DIRECTIONS.get(bidi)
        if bidi == "EN":  # the direction before it
            direction = strong
        elif bidi in ("NSM", "BN") and directions:
            direction = directions[-1]
        elif direction is not None and bidi != "AN":
            strong = direction
        directions.append(direction)
    # Rules N1 and N2: neutrals between two of one direction take it; others take the base.
    levels: list[int] = []
    before = base
    for i, (direction, bidi) in enumerate(zip(directions, classes, strict=True)):
        if direction is None:
            after = next((d for d in directions[i:] if d is not None), base)
            direction = before if before == after else base
        else:
            before = direction
        levels.append(1 + (bidi in _NUMBERS) if direction else 2 * base)
    return levels
