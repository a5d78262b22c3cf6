"""Handwriting to learn from: lines of text with their pen strokes, by several writers.

`read_unipen` reads real writing from a folder of UNIPEN's train_r01_v07. `font_writers` makes
a substitute without any file: invented writers, whose letters are those of a single-line vector
font, bent, slanted and shaken. Both give `Writer`s, who can also `compose` other texts from
their own letters.

Coordinates: x to the right and y up, the baseline at 0; the unit is the height of an x.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _run import InputError
from numpy.typing import NDArray

Stroke = NDArray[np.float32]  # (n, 2), pen down from its first point to its last
Letter = list[Stroke]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALPHABET = LETTERS + " "
#: Collections of UNIPEN with lines of print, cut into characters by hand.
COLLECTIONS = ("apa", "apb", "app", "art", "ced")
UNIPEN_LICENCE = (
    "UNIPEN train_r01_v07, © the International Unipen Foundation, CC BY 4.0 "
    "(doi.org/10.5281/zenodo.1195803)"
)
FONT_LICENCE = "Hershey's vector fonts by A. V. Hershey, US National Bureau of Standards"
#: Distance between two points of a stroke, in heights of an x.
SPACING = 0.36
#: Letters without ascender or descender, and those that tell up from down.
_SHORT, _TALL, _DEEP = "acemnorsuvwxz", "bdhkl", "gpqy"
_SEGMENT = re.compile(r"\.SEGMENT (\w+) (\S+) \S+\s+\"(.*)\"")
_RUN = re.compile(r"[a-z]+(?: [a-z]+)*")


@dataclass(slots=True)
class Line:
    """A text and its letters, each in its place on the line; a space has no strokes."""

    text: str
    letters: list[Letter]

    @property
    def strokes(self) -> list[Stroke]:
        """All strokes, in the order in which they were written."""
        return [stroke for letter in self.letters for stroke in letter]


@dataclass(slots=True)
class Writer:
    """A writer's lines, and the letters and distances that are found in them."""

    name: str
    lines: list[Line]
    letters: dict[str, list[Letter]] = field(default_factory=dict)  # their left edge at x = 0
    gaps: list[float] = field(default_factory=list)  # between the letters of a word
    spaces: list[float] = field(default_factory=list)  # between words

    def __post_init__(self) -> None:
        for line in self.lines:
            right, spaced = None, False
            for character, letter in zip(line.text, line.letters, strict=True):
                if character == " ":
                    spaced = True
                    continue
                left = _left(letter)
                if right is not None:
                    (self.spaces if spaced else self.gaps).append(left - right)
                shifted = [stroke - np.float32([left, 0]) for stroke in letter]
                self.letters.setdefault(character, []).append(shifted)
                right, spaced = _right(letter), False

    @property
    def count(self) -> int:
        """Number of letters that the writer has written."""
        return sum(map(len, self.letters.values()))

    def knows(self, text: str) -> bool:
        """Return whether all letters of a text are among the writer's."""
        return set(text) - {" "} <= self.letters.keys()

    def compose(self, text: str, rng: np.random.Generator) -> Line:
        """Return another text in this hand, each letter as it was once written.

        The letters keep their heights above the baseline; the gaps are the writer's, too.
        """
        letters: list[Letter] = []
        x = 0.0
        for i, character in enumerate(text):
            if character == " ":
                letters.append([])
                continue
            if i:
                # Somebody who wrote single words has no spaces: then a usual one.
                spaced = text[i - 1] == " "
                gaps = (self.spaces or [1.6]) if spaced else (self.gaps or [0.3])
                x += float(np.clip(rng.choice(gaps), -0.3, 2.5 if spaced else 1.2))
            found = self.letters[character]
            chosen = found[int(rng.integers(len(found)))]
            letters.append([stroke + np.float32([x, 0]) for stroke in chosen])
            x = _right(letters[-1])
        return Line(text, letters)


def to_points(strokes: list[Stroke]) -> NDArray[np.float32]:
    """Return strokes as points (n, 3): dx and dy from the point before, pen lifted after it.

    The first point is where the pen begins, so that its dx and dy are 0.
    """
    places = np.concatenate(strokes)
    lifted = np.zeros(len(places), np.float32)
    lifted[np.cumsum([len(stroke) for stroke in strokes]) - 1] = 1
    steps = np.diff(places, axis=0, prepend=places[:1])
    return np.column_stack([steps, lifted]).astype(np.float32)


def to_strokes(points: NDArray[np.float32]) -> list[Stroke]:
    """Return the strokes of points (n, 3): the inverse of `to_points`, but for the place."""
    places = np.cumsum(points[:, :2], 0)
    ends = np.flatnonzero(points[:, 2] > 0.5) + 1
    return [stroke for stroke in np.split(places, ends) if len(stroke)]


def resampled(stroke: NDArray[np.floating], spacing: float = SPACING) -> Stroke:
    """Return a stroke with points at equal distances along it; its ends stay."""
    steps = np.hypot(*np.diff(stroke, axis=0).T) if len(stroke) > 1 else np.zeros(0)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, round(along[-1] / spacing) + 1)
    at = np.linspace(0, along[-1], count)
    return np.column_stack([np.interp(at, along, stroke[:, i]) for i in (0, 1)]).astype(
        np.float32
    )


def _left(letter: Letter) -> float:
    return float(min(stroke[:, 0].min() for stroke in letter))


def _right(letter: Letter) -> float:
    return float(max(stroke[:, 0].max() for stroke in letter))


# --- UNIPEN


def read_unipen(folder: Path) -> list[Writer]:
    """Return the writers of a folder of UNIPEN's train_r01_v07, those with most letters first.

    Only runs of lower-case words are taken. Raises InputError for another folder, which says
    where to get this one.
    """
    texts = sorted(
        path for name in COLLECTIONS for path in (folder / "data" / "8" / name).rglob("*.dat")
    )
    if not texts:
        raise InputError(
            f"{folder} is not UNIPEN's train_r01_v07: there is no data/8/apa in it. Get it "
            "from doi.org/10.5281/zenodo.1195803 or github.com/GreenCappuccino/train_r01_v07"
        )
    found: dict[str, list[Line]] = {}
    for path in texts:
        characters = folder / "data" / "3" / path.relative_to(folder / "data" / "8")
        if characters.is_file():
            for name, line in _runs(folder, path, characters):
                found.setdefault(name, []).append(line)
    writers = [writer for name, lines in found.items() if (writer := _scaled(name, lines))]
    if not writers:
        raise InputError(f"{folder} has no lines of text with characters that can be read")
    return sorted(writers, key=lambda writer: (-writer.count, writer.name))


def _segments(path: Path, level: str) -> Iterator[tuple[list[int], str]]:
    """Yield the numbers of the strokes and the label of each segment of a level in a file."""
    for row in path.read_text("latin-1").splitlines():
        match = _SEGMENT.match(row)
        if match is None or match[1] != level or not re.fullmatch(r"[\d,-]+", match[2]):
            continue
        numbers: list[int] = []
        for part in match[2].split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
        yield numbers, re.sub(r"\\(.)", r"\1", match[3])


def _pen(path: Path) -> tuple[str, list[NDArray[np.float64]]]:
    """Return the name of the writer and the strokes of a file of coordinates."""
    name, strokes, current = path.stem, [], None
    for row in path.read_text("latin-1").splitlines():
        if row.startswith("."):
            word, _, rest = row.partition(" ")
            current = None
            if word in (".PEN_DOWN", ".PEN_UP"):
                current = []
                strokes.append(current)
            elif word == ".WRITER_ID":  # spelt in several ways in the files of a person
                name = re.sub(r"[\W_]", "", rest).lower() or name
        elif current is not None and len(numbers := row.split()) >= 2:
            current.append((float(numbers[0]), float(numbers[1])))
    return name, [np.array(stroke) for stroke in strokes if stroke]


def _runs(folder: Path, texts: Path, characters: Path) -> Iterator[tuple[str, Line]]:
    """Yield the writer and each run of lower-case words in a file, in its own coordinates."""
    rows = texts.read_text("latin-1").splitlines()
    included = [row.split()[1] for row in rows if re.match(r"\.INCLUDE \S+/data/", row)]
    if not included or not (folder / "include" / included[-1]).is_file():
        return
    name, strokes = _pen(folder / "include" / included[-1])
    cut = list(_segments(characters, "CHARACTER"))
    for numbers, text in _segments(texts, "TEXT"):
        inside = [(n, label) for n, label in cut if n[0] >= numbers[0] and n[-1] <= numbers[-1]]
        if "".join(label for _, label in inside) != text.replace(" ", ""):
            continue
        if numbers[-1] >= len(strokes):
            continue
        letters = iter([[strokes[n] for n in numbers] for numbers, _ in inside])
        placed = [[] if character == " " else next(letters) for character in text]
        for run in _RUN.finditer(text):
            yield name, Line(run[0], placed[run.start() : run.end()])


def _scaled(name: str, lines: list[Line]) -> Writer | None:
    """Return a writer in heights of an x, resampled; None where these cannot be found."""
    pairs = [
        (character, np.concatenate(letter)[:, 1])
        for line in lines
        for character, letter in zip(line.text, line.letters, strict=True)
        if letter
    ]
    short = [np.ptp(ys) for character, ys in pairs if character in _SHORT]
    tall = [ys.mean() for character, ys in pairs if character in _TALL]
    deep = [ys.mean() for character, ys in pairs if character in _DEEP]
    if len(short) < 3 or np.median(short) == 0:
        return None
    upside_down = bool(tall and deep) and np.median(tall) < np.median(deep)
    steps = [
        _left(after) - _left(before)
        for line in lines
        for before, after in pairwise([letter for letter in line.letters if letter])
    ]
    backwards = bool(steps) and np.median(steps) < 0  # the tablet was held upside down
    scale = np.array([-1 if backwards else 1, -1 if upside_down else 1]) / np.median(short)
    kept = []
    for line in lines:
        feet = [
            min(float((stroke * scale)[:, 1].min()) for stroke in letter)
            for character, letter in zip(line.text, line.letters, strict=True)
            if character in _SHORT
        ]
        if len(feet) < 3:
            continue
        first = next(letter for letter in line.letters if letter)
        origin = np.array([(np.concatenate(first) * scale)[:, 0].min(), np.median(feet)])
        letters = [
            [resampled(stroke * scale - origin) for stroke in letter] for letter in line.letters
        ]
        if all(_is_usual(letter) for letter in letters if letter):
            kept.append(Line(line.text, letters))
    writer = Writer(name, kept)
    return writer if writer.count else None


def _is_usual(letter: Letter) -> bool:
    """Return whether a letter is of the size of a letter, and not a fault of the cutting."""
    places = np.concatenate(letter)
    size = np.ptp(places, 0)
    return bool(size.max() < 4.5 and places[:, 1].min() > -3 and places[:, 1].max() < 4.5)


# --- Invented writers

_SENTENCES = (
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "how vexingly quick daft zebras jump",
    "a wizard of jazz plays five quick hymns",
)


def font_writers(count: int, *, seed: int = 0) -> list[Writer]:
    """Return invented writers: letters of vector fonts with a slant, a width and a shake.

    Raises InputError where the package Hershey-Fonts is not installed.
    """
    try:
        from HersheyFonts import HersheyFonts
    except ModuleNotFoundError:
        raise InputError(
            "without a folder of UNIPEN it needs vector fonts: pip install Hershey-Fonts"
        ) from None
    font = HersheyFonts()
    font.load_default_font("futural")
    glyphs = {character: _glyph(font, character) for character in LETTERS}
    return [
        _font_writer(glyphs, f"writer {i + 1}", np.random.default_rng((seed, i)))
        for i in range(count)
    ]


def _glyph(font: Any, character: str) -> Letter:
    """Return the strokes of a character, in heights of an x."""
    (glyph,) = font.glyphs_for_text(character)
    strokes = [np.array(stroke, float) for stroke in glyph.strokes if len(stroke)]
    return [np.column_stack([s[:, 0], 9 - s[:, 1]]) / 14 for s in strokes]


def _font_writer(glyphs: dict[str, Letter], name: str, rng: np.random.Generator) -> Writer:
    slant, width = rng.normal(0.12, 0.15), rng.uniform(0.8, 1.15)
    habit = {c: rng.normal(0, 0.05, (2, 4)) for c in LETTERS}
    lines = []
    for text in _SENTENCES:
        letters: list[Letter] = []
        x = 0.0
        for character in text:
            if character == " ":
                letters.append([])
                x += rng.uniform(0.6, 0.9)
                continue
            bend = habit[character] + rng.normal(0, 0.02, (2, 4))
            letter = [_bent(resampled(s), bend, slant, width) for s in glyphs[character]]
            left = _left(letter)
            letter = [s + np.float32([x - left, rng.normal(0, 0.03)]) for s in letter]
            letters.append(letter)
            x = _right(letter) + rng.uniform(0.2, 0.4)
        lines.append(Line(text, letters))
    return Writer(name, lines)


def _bent(stroke: Stroke, bend: NDArray[np.float64], slant: float, width: float) -> Stroke:
    """Return a stroke of a letter bent by slow waves, then slanted and stretched."""
    x, y = stroke.T
    waves = np.stack([np.sin(2 * x), np.cos(2 * y), np.sin(3 * y), np.cos(3 * x)])
    x, y = x + bend[0] @ waves, y + bend[1] @ waves
    return resampled(np.column_stack([width * (x + slant * y), y]))


def letter_pairs(writers: list[Writer]) -> Counter[str]:
    """Return how often each pair of characters occurs, the ends of words as spaces."""
    pairs: Counter[str] = Counter()
    for writer in writers:
        for line in writer.lines:
            text = f" {line.text} "
            pairs.update(text[i : i + 2] for i in range(len(text) - 1))
    return pairs
