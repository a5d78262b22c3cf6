"""The window: an OSC client that sends touches and draws what the engine reports.

Quick to import: pygame is loaded when the window opens.
"""

from __future__ import annotations

import os

__all__ = ["actions", "app", "client", "input", "recordings", "run", "sdl", "view"]


def run(
    *, engine: tuple[str, int], size: tuple[int, int] | None = None,
    fullscreen: bool = False, theme: str = "dark", turn: int = 0, ends: str = "",
) -> int:  # fmt: skip
    """Open the window, wait until it is closed, and return an exit status.

    engine is the host and port at which the engine listens; the engine may start
    later. size is in pixels, None for one that suits the display; theme is dark, light or
    stage; turn rotates the picture by 0, 90, 180 or 270 degrees, clockwise. ends names what
    ends when the window is closed: jam, replay, or nothing. Returns 0 when the window was
    closed (by its button, by its key, Ctrl-C or SIGTERM),
    `robojam.system.child_process.NO_DISPLAY` when no window can be opened, and 2 when the
    engine's host has no address. In the last two cases one line on standard error says why.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from robojam.window.app import open_window

    return open_window(
        engine=engine, size=size, fullscreen=fullscreen, theme=theme, turn=turn, ends=ends
    )
