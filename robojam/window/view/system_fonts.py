"""Fonts of the system for characters that the window's own font lacks.

A thread looks for them, so that drawing never waits for it: the list of a system's fonts and
the tables of each take some 100 ms.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import pygame

__all__ = ["SystemFonts"]

#: Most characters whose font is remembered.
_LIMIT = 8192
#: Parts of font names, in the order in which fonts are tried; others come in between.
_FIRST = ("notosans", "sans", "gothic", "hei")
_LAST = ("serif", "mono", "bold", "italic", "display", "unifont")
#: Fonts that hold boxes for every character, or pictures in one size.
_USELESS = ("lastresort", "adobeblank", "color")


class SystemFonts:
    """Finds for each character a font file that has it.

    own is the file of the window's font, None for the one of pygame.
    """

    def __init__(self, own: str | None) -> None:
        self._own = own
        #: Font files by character; None for the window's own, "" where no font has it.
        self._fonts: dict[str, str | None] = {}
        self._missing: set[str] = set()
        self._search: threading.Thread | None = None

    def font_of(self, char: str) -> str | None:
        """Return the font file for a character; None for the window's own, or if unknown."""
        return self._fonts.get(char) or None

    def is_missing(self, char: str) -> bool:
        """Return whether a character has been looked for, and no font has it."""
        return self._fonts.get(char) == ""

    def know(self, text: str) -> bool:
        """Return whether the fonts of a text are known; if not, begin to look for them."""
        unknown = {char for char in text if not _is_plain(char)} - self._fonts.keys()
        if not unknown:
            return True
        self._missing = self._missing | unknown  # a new set: the thread may hold the old one
        if self._search is None or not self._search.is_alive():
            self._search = threading.Thread(target=self._run, name="fonts", daemon=True)
            self._search.start()
        return False

    def join(self) -> None:
        """Wait until the search has ended."""
        if self._search is not None:
            self._search.join()

    def _run(self) -> None:
        while chars := self._missing:
            self._missing = set()
            self._find(chars)

    def _find(self, chars: set[str]) -> None:
        """Look for the fonts of characters, in as few fonts as may be."""
        fonts: dict[str, str | None] = dict.fromkeys(chars, "")
        with suppress(pygame.error, ImportError):
            # Not pygame.font, which does not tell what a font lacks, and which the thread
            # that draws uses at the same time.
            from pygame import freetype

            freetype.init()
            covered = _covered(freetype.Font(self._own, 12), chars)
            fonts.update(dict.fromkeys(covered))
            missing = chars - covered
            for path in _paths() if missing else ():
                with suppress(pygame.error, OSError):
                    covered = _covered(freetype.Font(path, 12), missing)
                    fonts.update(dict.fromkeys(covered, path))
                    missing -= covered
                if not missing:
                    break
        if len(self._fonts) + len(fonts) > _LIMIT:
            self._fonts = {}
        self._fonts |= fonts


def _is_plain(char: str) -> bool:
    """Return whether every font that the window may have holds a character."""
    return char < "\u0180" or "\u2010" <= char <= "\u2027"  # Latin, dashes and quotes


def _covered(font: pygame.freetype.Font, chars: set[str]) -> set[str]:
    """Return the characters that a font has."""
    ordered = sorted(chars)
    metrics = font.get_metrics("".join(ordered))
    return {char for char, held in zip(ordered, metrics, strict=True) if held is not None}


def _paths() -> list[str]:
    """Return the files of the system's fonts, the plainest first."""

    def rank(name: str) -> tuple[bool, int, str]:
        first = next((i for i, part in enumerate(_FIRST) if part in name), len(_FIRST))
        return any(part in name for part in _LAST), first, name

    names = [n for n in pygame.font.get_fonts() if not any(part in n for part in _USELESS)]
    paths = [pygame.font.match_font(name) for name in sorted(names, key=rank)]
    return [str(path) for path in dict.fromkeys(paths) if path is not None]
