"""Letters on a surface: which font, how wide, and where they were written."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

import pygame

from robojam.window.view.theme import Colour

#: Plain faces that come with systems, the first one found; else the one in pygame.
FACES = (
    "/usr/share/fonts/truetype/inter/Inter-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf",
    "C:/Windows/Fonts/segoeui.ttf",
    "/System/Library/Fonts/HelveticaNeue.ttc",
    "/System/Library/Fonts/Helvetica.ttc",
)
#: The face in pygame is smaller than its size says.
OWN = 1.15
#: So many written words are kept as pictures.
KEPT = 200


@cache
def _face() -> str | None:
    return next((face for face in FACES if Path(face).is_file()), None)


def _open(size: int) -> pygame.font.Font:
    face = _face()
    if face is not None:
        with suppress(OSError, pygame.error):
            return pygame.font.Font(face, size)
    return pygame.font.Font(None, round(size * OWN))


class TextRenderer:
    """Writes; keeps fonts and written words, and where words stand in this frame."""

    def __init__(self) -> None:
        self._fonts: dict[int, pygame.font.Font] = {}
        self._pictures: dict[tuple[str, int, Colour], pygame.Surface] = {}
        self.written: list[pygame.Rect] = []

    def font(self, size: int) -> pygame.font.Font:
        """Return the face at a size in pixels."""
        if size not in self._fonts:
            if len(self._fonts) > 16:
                self._fonts.clear()
            self._fonts[size] = _open(size)
        return self._fonts[size]

    def width(self, text: str, size: int) -> int:
        """How wide text will be, in pixels."""
        return self.font(size).size(text)[0]

    def height(self, size: int) -> int:
        """How high a line is, in pixels."""
        return self.font(size).get_height()

    def write(
        self, surface: pygame.Surface, text: str, at: tuple[int, int], size: int, colour: Colour
    ) -> pygame.Rect:
        """Write text with its left end and the middle of its height at a place."""
        key = (text, size, colour)
        if key not in self._pictures:
            if len(self._pictures) > KEPT:
                self._pictures.clear()
            self._pictures[key] = self.font(size).render(text, True, colour)
        picture = self._pictures[key]
        place = picture.get_rect(midleft=at)
        surface.blit(picture, place)
        self.written.append(place)
        return place
