"""The window: one more OSC client, which sends touches and draws what the engine tells.

Light to import: pygame waits until the window is asked for.
"""

from __future__ import annotations

import os

__all__ = ["NO_DISPLAY", "run"]

#: The exit status when there is no display to open a window on.
NO_DISPLAY = 3


def run(
    *, engine: tuple[str, int], size: tuple[int, int] = (1280, 800), fullscreen: bool = False,
    theme: str = "dark", turn: int = 0,
) -> int:  # fmt: skip
    """Open the window, stay until it is closed, and return an exit status.

    engine is the host and port at which the engine listens; it need not be there
    yet. size is in pixels; theme is dark, light or stage; turn is 0, 90, 180 or 270
    degrees, clockwise. Returns 0 on a normal close (the window closed, q,
    Ctrl-C, SIGTERM), NO_DISPLAY where no window can be opened, and 2 when the
    engine's host has no address; the last two with one line on standard error.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from robojam.window.app import open_window

    return open_window(engine=engine, size=size, fullscreen=fullscreen, theme=theme, turn=turn)
