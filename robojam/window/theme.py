"""What the window looks like: colours, and sizes that follow from the window's own.

Humans are warm and round, the machine is cool and angular. The two families start
from the orange and the sky blue of Okabe & Ito's palette for all eyes; a test
simulates the three kinds of colour blindness and holds every shade of one family
apart from every shade of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from robojam.touch import is_machine

Colour = tuple[int, int, int]
#: left, top, width, height, in pixels.
Box = tuple[int, int, int, int]

FRAME: Colour = (11, 13, 18)
SURFACE: Colour = (18, 21, 29)
EDGE: Colour = (52, 58, 74)
PLATE: Colour = (28, 32, 43)
TEXT: Colour = (238, 240, 246)
QUIET: Colour = (154, 162, 180)
RECORD: Colour = (255, 88, 96)
ALERT: Colour = (255, 226, 120)

#: Shades for human, human2, …; then from the first again.
HUMANS: tuple[Colour, ...] = (
    (255, 172, 40),
    (255, 112, 72),
    (250, 222, 96),
    (255, 158, 134),
)
#: Shades for ai, ai2, …; then from the first again.
MACHINES: tuple[Colour, ...] = (
    (74, 186, 255),
    (104, 132, 255),
    (120, 222, 255),
    (150, 168, 255),
)
#: What the machine expects next, added to the surface as light.
GLOW: Colour = (70, 132, 220)

#: Narrower or lower than this, in pixels, the window is all surface and no text.
BARE_WIDTH = 240
BARE_HEIGHT = 180


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Return colour with ``share`` (0..1) of the way gone to other."""
    a, b, c = (round(p + (q - p) * share) for p, q in zip(colour, other, strict=True))
    return a, b, c


def shade(who: str) -> Colour:
    """Return the colour of a player: each human and each voice has its own."""
    machine = is_machine(who)
    number = who[2:] if machine else who.removeprefix("human")
    index = int(number) - 1 if number.isascii() and number.isdecimal() else 0
    family = MACHINES if machine else HUMANS
    return family[index % len(family)]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sizes in pixels for a window of one size."""

    width: int
    height: int
    text: int
    bar: int
    margin: int
    play: Box
    edge: int
    head: float
    #: How many rows of words stand below the surface.
    rows: int = 1

    @property
    def bare(self) -> bool:
        """Whether the window is too small for words."""
        return self.bar == 0

    @classmethod
    def of(cls, size: tuple[int, int]) -> Metrics:
        """Lay out a window of this size: text of 1/36 of the height, bars, surface."""
        width, height = max(1, size[0]), max(1, size[1])
        unit = min(width, height)
        edge = max(1, round(unit / 260))
        head = max(3.0, unit / 64)
        if width < BARE_WIDTH or height < BARE_HEIGHT:
            return cls(width, height, 0, 0, 0, (0, 0, width, height), edge, head)
        text = max(13, round(min(height / 36, width / 24)))
        bar, margin = round(text * 2.3), round(text * 0.8)
        rows = 2 if height > width else 1
        below = bar + (rows - 1) * round(text * 1.8)
        play = (margin, bar, width - 2 * margin, height - bar - below)
        return cls(width, height, text, bar, margin, play, edge, head, rows)

    def to_surface(self, x: float, y: float) -> tuple[float, float]:
        """Turn window pixels into screen units of the surface, 0..1 when on it."""
        left, top, width, height = self.play
        return (x - left) / max(1, width - 1), (y - top) / max(1, height - 1)

    def inside(self, x: float, y: float) -> bool:
        """Tell whether window pixels are on the surface."""
        left, top, width, height = self.play
        return left <= x < left + width and top <= y < top + height
