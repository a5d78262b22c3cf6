"""Figures of matplotlib, which reports on its fonts and caches what no musician can use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robojam.system.atomic_file import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Suffixes of the files that figures are drawn to.
KINDS = (".png", ".svg", ".pdf")
#: Metadata that name the program or the date in such a file.
_ORIGIN = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}


def make_figure(**options: Any) -> Figure:
    """Return a figure with matplotlib's options; a font that is missing is replaced quietly."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # before its import
    from matplotlib.figure import Figure

    return Figure(**options)


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure to a path that ends in one of KINDS, completely or not at all.

    The same figure makes the same file: neither the program nor the date are in it. Raises
    OSError where it cannot be written.
    """
    kind = path.suffix[1:].lower()
    with atomic_write(path) as part:
        figure.savefig(part, format=kind, metadata={_ORIGIN[kind]: None}, **options)
