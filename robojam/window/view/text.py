"""Text on a surface: its fonts, its width, and the places where it was drawn."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from functools import cache
from pathlib import Path

import pygame

from robojam.window.view.font_runs import FontRun, split_runs
from robojam.window.view.system_fonts import SystemFonts
from robojam.window.view.theme import Colour

#: Plain fonts that come with systems; the first that exists is used, else the one in pygame.
FONT_FILES = (
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
#: Factor to the size of the font in pygame, which is smaller than its size says.
PYGAME_SCALE = 1.15
#: Most texts that are kept as pictures, and as runs.
CACHED_TEXTS = 200
#: Most fonts that are kept open; one size of one file is one font.
CACHED_FONTS = 32
#: Brackets that change places in text from right to left.
_MIRRORED = str.maketrans("()[]{}<>", ")(][}{><")
#: A run in the window's own font.
_PLAIN = FontRun("")


@cache
def _own_font() -> str | None:
    return next((path for path in FONT_FILES if Path(path).is_file()), None)


def _open(path: str | None, size: int) -> pygame.font.Font:
    """Open a font at a size in pixels; the one in pygame where that is not possible."""
    if path is not None:
        with suppress(OSError, pygame.error):
            return pygame.font.Font(path, size)
    return pygame.font.Font(None, round(size * PYGAME_SCALE))


class TextRenderer:
    """Draws lines of text, and keeps fonts and pictures of texts from frame to frame.

    Characters that the window's font lacks are drawn with another font of the system, and
    scripts from right to left in their order, shaped where SDL_ttf has HarfBuzz.
    """

    def __init__(self) -> None:
        self._fonts: dict[tuple[int, str | None, str | None, bool], pygame.font.Font] = {}
        self._pictures: dict[tuple[str, int, Colour], pygame.Surface] = {}
        self._runs: dict[str, list[FontRun]] = {}
        self.system_fonts = SystemFonts(_own_font())
        #: Places of the texts of this frame.
        self.written: list[pygame.Rect] = []
        #: Whether a text was drawn before its fonts were found; the caller resets it.
        self.incomplete = False

    def font(self, size: int, run: FontRun = _PLAIN) -> pygame.font.Font:
        """Return the font for a run, by default the window's own, at a size in pixels."""
        key = (size, run.font, run.script, run.right_to_left)
        if key not in self._fonts:
            if len(self._fonts) >= CACHED_FONTS:
                self._fonts.clear()
            font = self._fonts[key] = _open(run.font or _own_font(), size)
            if run.script is not None and _shapes():
                font.set_script(run.script)
            if run.right_to_left and _shapes():
                font.set_direction(pygame.DIRECTION_RTL)
        return self._fonts[key]

    def width(self, text: str, size: int) -> int:
        """Return the width of a text in pixels."""
        return sum(self.font(size, run).size(_visual(run))[0] for run in self._split(text))

    def height(self, size: int) -> int:
        """Return the height of a line in pixels."""
        return self.font(size).get_height()

    def write(
        self, surface: pygame.Surface, text: str, at: tuple[int, int], size: int, colour: Colour
    ) -> pygame.Rect:
        """Draw a text, its left end and the middle of its height at a place; return its box."""
        key = (text, size, colour)
        picture = self._pictures.get(key)
        if picture is None:
            known = self.system_fonts.know(_drawable(text))
            picture = self._render(text, size, colour)
            if known:
                if len(self._pictures) >= CACHED_TEXTS:
                    self._pictures.clear()
                self._pictures[key] = picture
            else:
                self.incomplete = True
        place = picture.get_rect(midleft=at)
        surface.blit(picture, place)
        # Fonts of other scripts may reach above and below the line.
        place = place.inflate(0, self.height(size) - place.height)
        self.written.append(place)
        return place

    def _split(self, text: str) -> list[FontRun]:
        if text.isascii() and text.isprintable():
            return [FontRun(text)] if text else []
        runs = self._runs.get(text)
        if runs is None:
            drawable = _drawable(text)
            known = self.system_fonts.know(drawable)
            runs = split_runs(drawable, self.system_fonts.font_of)
            if known:
                if len(self._runs) >= CACHED_TEXTS:
                    self._runs.clear()
                self._runs[text] = runs
        return runs

    def _render(self, text: str, size: int, colour: Colour) -> pygame.Surface:
        """Draw the runs of a text side by side, on one baseline, around the line's middle."""
        runs = self._split(text)
        own = self.font(size)
        if not runs:
            return own.render("", True, colour)
        fonts = [self.font(size, run) for run in runs]
        height, baseline = own.get_height(), own.get_ascent()
        above = max(font.get_ascent() for font in fonts) - baseline
        below = max(font.get_height() - font.get_ascent() for font in fonts) - height + baseline
        margin = max(0, above, below)
        parts = [
            font.render(_visual(run), True, colour)
            for font, run in zip(fonts, runs, strict=True)
        ]
        if len(parts) == 1 and margin == 0 and fonts[0].get_height() == height:
            return parts[0]
        across = sum(part.get_width() for part in parts)
        picture = pygame.Surface((across, height + 2 * margin), pygame.SRCALPHA)
        left = 0
        for font, part in zip(fonts, parts, strict=True):
            picture.blit(part, (left, margin + baseline - font.get_ascent()))
            left += part.get_width()
        return picture


@cache
def _shapes() -> bool:
    """Return whether SDL_ttf shapes text: it was built with HarfBuzz."""
    try:
        pygame.font.Font(None, 8).set_direction(pygame.DIRECTION_RTL)
    except (AttributeError, pygame.error):
        return False
    return True


def _drawable(text: str) -> str:
    """Return text with a replacement for characters that SDL_ttf refuses.

    Those are control characters, and the surrogates that stand for undecodable bytes in the
    name of a file.
    """
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _visual(run: FontRun) -> str:
    """Return the text of a run as a font takes it: reversed where it cannot do that itself."""
    if not run.right_to_left or _shapes():
        return run.text
    clusters: list[str] = []
    for char in run.text:
        if clusters and unicodedata.combining(char):
            clusters[-1] += char
        else:
            clusters.append(char)
    return "".join(reversed(clusters)).translate(_MIRRORED)
