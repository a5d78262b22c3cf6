"""Colours of the window's themes, and sizes that follow from the size of the window.

Humans are warm and round, the machine is cool and angular. The two colour families start
from the orange and the sky blue of Okabe and Ito's palette for colour-blind readers. A
test simulates three kinds of colour blindness and a washed-out projector, and checks that
every human colour differs from every machine colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from robojam.touch import is_machine

Colour = tuple[int, int, int]
#: Left, top, width and height, in pixels.
Box = tuple[int, int, int, int]

#: A window narrower or lower than this, in pixels, shows the surface alone.
BARE_WIDTH, BARE_HEIGHT = 240, 180


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a theme.

    humans and machines hold the colours of the players; more players than colours share
    them. dark_on_light: strokes are darker than the surface. has_text: the frame and its
    text are shown.
    """

    name: str
    frame: Colour
    surface: Colour
    edge: Colour
    panel: Colour
    text: Colour
    muted: Colour
    record: Colour
    alert: Colour
    forecast: Colour
    humans: tuple[Colour, ...]
    machines: tuple[Colour, ...]
    dark_on_light: bool = False
    has_text: bool = True

    @property
    def blank(self) -> Colour:
        """Colour that leaves the surface unchanged when strokes are blended with it."""
        return (255, 255, 255) if self.dark_on_light else (0, 0, 0)

    def player_colour(self, who: str) -> Colour:
        """Return the colour of a human or of a machine voice."""
        family = self.machines if is_machine(who) else self.humans
        return family[_player_index(who) % len(family)]


@lru_cache(maxsize=1024)
def _player_index(who: str) -> int:
    """Return a player's number among the humans or the voices, from 0."""
    number = who[2:] if is_machine(who) else who.removeprefix("human")
    return int(number) - 1 if number.isascii() and number.isdecimal() else 0


DARK = Theme(
    name="dark", frame=(11, 13, 18), surface=(18, 21, 29), edge=(52, 58, 74),
    panel=(31, 36, 48), text=(238, 240, 246), muted=(160, 168, 186), record=(255, 98, 104),
    alert=(255, 226, 120), forecast=(70, 132, 220),
    humans=((255, 172, 40), (255, 112, 72), (250, 222, 96), (255, 158, 134)),
    machines=((74, 186, 255), (104, 132, 255), (120, 222, 255), (150, 168, 255)),
)  # fmt: skip
STAGE = replace(
    DARK, name="stage", frame=(0, 0, 0), surface=(0, 0, 0), edge=(40, 44, 54),
    panel=(22, 25, 33), has_text=False,
)  # fmt: skip
LIGHT = Theme(
    name="light", frame=(236, 234, 229), surface=(252, 251, 248), edge=(176, 173, 165),
    panel=(219, 216, 208), text=(24, 26, 32), muted=(82, 84, 92), record=(176, 16, 32),
    alert=(128, 72, 0), forecast=(60, 120, 214),
    humans=((176, 70, 0), (166, 30, 12), (140, 92, 0), (186, 50, 62)),
    machines=((0, 88, 204), (52, 40, 190), (0, 104, 176), (72, 72, 214)),
    dark_on_light=True,
)  # fmt: skip
THEMES: dict[str, Theme] = {theme.name: theme for theme in (DARK, LIGHT, STAGE)}


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Return the colour a share (0..1) of the way from colour to other."""
    a, b, c = (round(p + (q - p) * share) for p, q in zip(colour, other, strict=True))
    return a, b, c


def inverse(colour: Colour) -> Colour:
    """Return the colour that is left when a colour is subtracted from white."""
    return 255 - colour[0], 255 - colour[1], 255 - colour[2]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sizes in pixels for a window of one size.

    surface_box is the surface that is played on; finger_radius the radius of a finger's
    mark; rows the number of text rows above and below the surface. quarter_turns is the
    rotation of the picture, clockwise; the sizes are those before it.
    """

    width: int
    height: int
    text: int
    bar_height: int
    margin: int
    surface_box: Box
    edge: int
    finger_radius: float
    rows: int = 1
    quarter_turns: int = 0

    @property
    def is_bare(self) -> bool:
        """Whether the surface has no frame: the window is small, or the theme without text."""
        return self.bar_height == 0

    @property
    def row_step(self) -> int:
        """Distance between two rows of text."""
        return round(self.text * 2.1)

    @classmethod
    def for_size(
        cls, size: tuple[int, int], *, has_text: bool = True, scale: float = 1.0
    ) -> Metrics:
        """Return the metrics for a window of this size, on a display of this scale.

        Text is 1/38 of the height, and at least 13 pixels at scale 1. Without text in the
        frame, text is the size of that in panels.
        """
        width, height = max(1, size[0]), max(1, size[1])
        unit = min(width, height)
        edge = max(1, round(unit / 260))
        finger_radius = max(3.0, unit / 64)
        everything = (0, 0, width, height)
        if width < BARE_WIDTH or height < BARE_HEIGHT:
            return cls(width, height, 0, 0, 0, everything, edge, finger_radius)
        # On a display of high scale, a window with room for it has larger text.
        least = 13 * max(1.0, min(scale, unit / 400))
        text = round(max(least, min(height / 38, width / 24)))
        if not has_text:
            margin = round(text * 0.8)
            return cls(width, height, text, 0, margin, everything, edge, finger_radius)
        bar_height, margin = round(text * 2.5), round(text * 0.8)
        rows = 2 if width < 50 * text else 1
        further_rows = (rows - 1) * round(text * 2.1)
        top = bar_height + further_rows
        box = (margin, top, width - 2 * margin, height - 2 * top)
        return cls(width, height, text, bar_height, margin, box, edge, finger_radius, rows)

    @property
    def inset(self) -> int:
        """Distance of touches at 0 or 1 from the surface's edge, so that they show in full."""
        return round(self.finger_radius * 1.4)

    def to_surface(self, x: float, y: float) -> tuple[float, float]:
        """Return screen units (0..1 on the surface) for window pixels."""
        left, top, width, height = self.surface_box
        return ((x - left - self.inset) / max(1, width - 1 - 2 * self.inset),
                (y - top - self.inset) / max(1, height - 1 - 2 * self.inset))  # fmt: skip

    def from_surface(self, x: float, y: float) -> tuple[float, float]:
        """Return pixels from the surface's left upper corner for screen units.

        If the picture is rotated, they are pixels of the rotated surface.
        """
        _, _, width, height = self.surface_box
        right = self.inset + x * max(1, width - 1 - 2 * self.inset)
        down = self.inset + y * max(1, height - 1 - 2 * self.inset)
        left, up = width - 1 - right, height - 1 - down
        return [(right, down), (up, right), (left, up), (down, left)][self.quarter_turns % 4]

    def rotate_box(self, box: Box) -> Box:
        """Return the box in the window where a box of the picture is after rotation."""
        left, top, width, height = box
        right, low = self.width - left - width, self.height - top - height
        corner = [(left, top), (low, left), (right, low), (top, right)][self.quarter_turns % 4]
        return (*corner, *rotated_size((width, height), self.quarter_turns))

    def contains(self, x: float, y: float) -> bool:
        """Return whether window pixels are on the surface."""
        left, top, width, height = self.surface_box
        return left <= x < left + width and top <= y < top + height


def rotated_size(size: tuple[int, int], quarter_turns: int) -> tuple[int, int]:
    """Return the size of the unrotated picture that fills a window of this size."""
    return (size[1], size[0]) if quarter_turns % 2 else size


def unrotate(x: float, y: float, size: tuple[int, int], turns: int) -> tuple[float, float]:
    """Return the place in the unrotated picture of a place in a window of this size."""
    width, height = size
    right, low = width - 1 - x, height - 1 - y
    return [(x, y), (y, right), (right, low), (low, x)][turns % 4]
