"""Text on a surface: its fonts, its width, and the places where it was drawn.

Characters that the window's own font lacks are drawn with fonts of the system. A thread looks
for them: the list of a system's fonts and the tables of each take some 100 ms.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import chain, compress
from pathlib import Path
from typing import TypeVar

import pygame

from robojam.window.view.font_runs import FontRun, split_runs
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
CACHED_PICTURES, CACHED_RUNS = 200, 2000
#: Most fonts that are kept open; one size of one file is one font.
CACHED_FONTS = 32
#: Most characters whose font is remembered.
_KNOWN_FONTS = 8192
#: Parts of font names, in the order in which fonts are tried; others come in between.
_FIRST = ("notosans", "sans", "gothic", "hei")
_LAST = ("serif", "mono", "bold", "italic", "display", "unifont")
#: Fonts that hold boxes for every character, or pictures in one size.
_USELESS = ("lastresort", "adobeblank", "color")
#: Brackets that change places in text from right to left.
_MIRRORED = str.maketrans("()[]{}<>", ")(][}{><")


class TextRenderer:
    """Draws lines of text, and keeps fonts and pictures of texts from frame to frame.

    Characters that the window's font lacks are drawn with another font of the system, and
    scripts from right to left in their order, shaped where SDL_ttf has HarfBuzz.
    """

    def __init__(self) -> None:
        self._own = next((path for path in FONT_FILES if Path(path).is_file()), None)
        self._fonts: dict[tuple[object, ...], pygame.font.Font] = {}
        self._pictures: dict[tuple[object, ...], pygame.Surface] = {}
        self._runs: dict[str, list[FontRun]] = {}
        self.system_fonts = SystemFonts(self._own)
        #: Places of the texts of this frame.
        self.written: list[pygame.Rect] = []
        #: Whether a text was drawn before its fonts were found; the caller resets it.
        self.incomplete = False

    def font(self, size: int, run: FontRun = FontRun("")) -> pygame.font.Font:  # noqa: B008
        """Return the font for a run, by default the window's own, at a size in pixels."""
        key = (size, *run[1:])
        if key not in self._fonts:
            font = _open(run.font or self._own, size)
            if run.script is not None and _shapes():
                font.set_script(run.script)
            if run.right_to_left and _shapes():
                font.set_direction(pygame.DIRECTION_RTL)
            _store(self._fonts, key, font, CACHED_FONTS)
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
            picture = self._render(text, size, colour)
            if text in self._runs:  # its fonts are known
                _store(self._pictures, key, picture, CACHED_PICTURES)
            else:
                self.incomplete = True
        place = picture.get_rect(midleft=at)
        surface.blit(picture, place)
        # Fonts of other scripts may reach above and below the line.
        place = place.inflate(0, self.height(size) - place.height)
        self.written.append(place)
        return place

    def on_background(
        self, text: str, size: int, colour: Colour, background: Colour
    ) -> pygame.Surface:
        """Return a picture of a text in the window's own font, on an opaque background."""
        key = (text, size, colour, background)
        if key not in self._pictures:
            picture = self.font(size).render(text, True, colour, background)
            _store(self._pictures, key, picture, CACHED_PICTURES)
        return self._pictures[key]

    def _split(self, text: str) -> list[FontRun]:
        """Return the runs of a text; they are kept once its fonts are known."""
        runs = self._runs.get(text)
        if runs is None:
            # SDL_ttf refuses control characters, and the surrogates that stand for
            # undecodable bytes in the name of a file.
            drawable = text if text.isprintable() else "".join(
                "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text
            )  # fmt: skip
            known, files = self.system_fonts.know(drawable), self.system_fonts.files
            runs = split_runs(drawable, lambda char: files.get(char) or None)
            if known:
                _store(self._runs, text, runs, CACHED_RUNS)
        return runs

    def _render(self, text: str, size: int, colour: Colour) -> pygame.Surface:
        """Draw the runs of a text side by side, on one baseline, around the line's middle."""
        runs, own = self._split(text), self.font(size)
        if not runs:
            return own.render("", True, colour)
        fonts = [self.font(size, run) for run in runs]
        height, baseline = own.get_height(), own.get_ascent()
        above = max(font.get_ascent() for font in fonts) - baseline
        below = max(font.get_height() - font.get_ascent() for font in fonts) - height + baseline
        margin = max(0, above, below)
        texts = map(_visual, runs)
        parts = [font.render(t, True, colour) for font, t in zip(fonts, texts, strict=True)]
        if len(parts) == 1 and margin == 0 and fonts[0].get_height() == height:
            return parts[0]
        across = sum(part.get_width() for part in parts)
        picture = pygame.Surface((across, height + 2 * margin), pygame.SRCALPHA)
        left = 0
        for font, part in zip(fonts, parts, strict=True):
            picture.blit(part, (left, margin + baseline - font.get_ascent()))
            left += part.get_width()
        return picture


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _store(cache: dict[_Key, _Value], key: _Key, value: _Value, limit: int) -> None:
    """Store a value in a cache, which is cleared when it is full."""
    if len(cache) >= limit:
        cache.clear()
    cache[key] = value


def _open(path: str | None, size: int) -> pygame.font.Font:
    """Open a font at a size in pixels; the one in pygame where that is not possible."""
    if path is not None:
        with suppress(OSError, pygame.error):
            return pygame.font.Font(path, size)
    return pygame.font.Font(None, round(size * PYGAME_SCALE))


@cache
def _shapes() -> bool:
    """Return whether SDL_ttf shapes text: it was built with HarfBuzz."""
    with suppress(AttributeError, pygame.error):
        pygame.font.Font(None, 8).set_direction(pygame.DIRECTION_RTL)
        return True
    return False


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


class SystemFonts:
    """Finds for each character a font file that has it.

    own is the file of the window's font, None for the one of pygame.
    """

    def __init__(self, own: str | None) -> None:
        self._own = own
        #: Font files by character; None for the window's own, "" where no font has it.
        self.files: dict[str, str | None] = {}
        self._missing: set[str] = set()
        self.search: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """End the search: a thread that uses fonts while pygame quits would end the program."""
        self._closed = True
        if self.search is not None:
            self.search.join()

    def know(self, text: str) -> bool:
        """Return whether the fonts of a text are known; if not, begin to look for them."""
        # Every font that the window may have holds Latin letters, dashes and quotes.
        special = {
            char for char in text if char > "\u017f" and not "\u2010" <= char <= "\u2027"
        }
        unknown = special - self.files.keys()
        if not unknown:
            return True
        self._missing = self._missing | unknown  # a new set: the thread may hold the old one
        if self.search is None or not self.search.is_alive():
            self.search = threading.Thread(target=self._run, name="fonts", daemon=True)
            self.search.start()
        return False

    def _run(self) -> None:
        while (chars := self._missing) and not self._closed:
            self._missing = set()
            self._find(chars)

    def _find(self, chars: set[str]) -> None:
        """Look for the fonts of characters, in as few fonts as may be."""
        fonts: dict[str, str | None] = dict.fromkeys(chars, "")
        with suppress(pygame.error, ImportError):
            # pygame.font does not report which characters a font lacks, and the drawing
            # thread uses it at the same time.
            from pygame import freetype

            freetype.init()
            missing = sorted(chars)
            for path in chain([None], _paths()):
                with suppress(pygame.error, OSError):
                    metrics = freetype.Font(path or self._own, 12).get_metrics("".join(missing))
                    held = [m is not None for m in metrics]
                    fonts.update(dict.fromkeys(compress(missing, held), path))
                    missing = [char for char in missing if fonts[char] == ""]
                if not missing or self._closed:
                    break
        if len(self.files) + len(fonts) > _KNOWN_FONTS:
            self.files = {}
        self.files |= fonts


def _paths() -> Iterator[str]:
    """Yield the files of the system's fonts, the plainest first."""

    def rank(name: str) -> tuple[bool, int, str]:
        first = next((i for i, part in enumerate(_FIRST) if part in name), len(_FIRST))
        return any(part in name for part in _LAST), first, name

    names = [n for n in pygame.font.get_fonts() if not any(part in n for part in _USELESS)]
    yield from filter(None, map(pygame.font.match_font, sorted(names, key=rank)))
