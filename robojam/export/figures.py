"""Figures of matplotlib, which reports on its fonts and caches what no musician can use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_figure(**options: Any) -> Figure:
    """Return a figure with matplotlib's options; a font that is missing is replaced quietly."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # before its import
    from matplotlib.figure import Figure

    return Figure(**options)
