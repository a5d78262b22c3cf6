"""The window: an OSC client that sends touches and draws what the engine reports.

Quick to import: pygame is loaded when the window opens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Look", "actions", "app", "client", "input", "recordings", "run", "sdl", "view"]


@dataclass(frozen=True, slots=True)
class Look:
    """Size and place of a window, in pixels, and how it shows things.

    None is what the system chooses. turn is in degrees, clockwise. In full screen, size and
    place are those that the window returns to.
    """

    size: tuple[int, int] | None = None
    place: tuple[int, int] | None = None
    fullscreen: bool = False
    theme: str = "dark"
    turn: int = 0


def run(
    *, engine: tuple[str, int], size: tuple[int, int] | None = None,
    place: tuple[int, int] | None = None, fullscreen: bool = False, theme: str = "dark",
    turn: int = 0, ends: str = "", on_look: Callable[[Look], None] | None = None,
) -> int:  # fmt: skip
    """Open the window, wait until it is closed, and return an exit status.

    engine is the host and port at which the engine listens; the engine may start
    later. size is in pixels, None for one that suits the display; place is that of its upper
    left corner, None for the system's choice; theme is dark, light or stage; turn rotates the
    picture by 0, 90, 180 or 270 degrees, clockwise. ends names what ends when the window is
    closed: jam, replay, or nothing. on_look is called with size, place and the like when they
    have changed, for a window that is opened again. Returns 0 when the window was
    closed (by its button, by its key, Ctrl-C or SIGTERM),
    `robojam.system.child_process.NO_DISPLAY` when no window can be opened, and 2 when the
    engine's host has no address. In the last two cases one line on standard error says why.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from robojam.window.app import open_window

    look = Look(size, place, fullscreen=fullscreen, theme=theme, turn=turn)
    return open_window(engine=engine, look=look, ends=ends, on_look=on_look)
