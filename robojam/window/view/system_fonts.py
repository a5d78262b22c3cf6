"""Fonts of the system for characters that the window's own font lacks.

A thread looks for them, so that drawing never waits for it: the list of a system's fonts and
the tables of each take some 100 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, compress

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
        self.files: dict[str, str | None] = {}
        self._missing: set[str] = set()
        self._search: threading.Thread | None = None

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
            missing = sorted(chars)
            for path in chain([None], _paths()):
                with suppress(pygame.error, OSError):
                    metrics = freetype.Font(path or self._own, 12).get_metrics("".join(missing))
                    held = [m is not None for m in metrics]
                    fonts.update(dict.fromkeys(compress(missing, held), path))
                    missing = [char for char in missing if fonts[char] == ""]
                if not missing:
                    break
        if len(self.files) + len(fonts) > _LIMIT:
            self.files = {}
        self.files |= fonts


def _paths() -> Iterator[str]:
    """Yield the files of the system's fonts, the plainest first."""

    def rank(name: str) -> tuple[bool, int, str]:
        first = next((i for i, part in enumerate(_FIRST) if part in name), len(_FIRST))
        return any(part in name for part in _LAST), first, name

    names = [n for n in pygame.font.get_fonts() if not any(part in n for part in _USELESS)]
    yield from filter(None, map(pygame.font.match_font, sorted(names, key=rank)))
