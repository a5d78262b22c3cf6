"""Check of the display, on which a window can be opened."""

from __future__ import annotations

import os
import sys

from robojam.app.supervisor import has_display
from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, warning

_WITHOUT = "a jam is the engine alone, over OSC"
_TO_DO = "start it in a desktop session; over ssh: ssh -X, or robojam window on your machine"


def check_display(_: Options) -> Finding:
    """Start SDL, and ask it for its displays; no window is opened."""
    if not has_display():
        return warning(f"no display (neither DISPLAY nor WAYLAND_DISPLAY): {_WITHOUT}", _TO_DO)
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    from robojam.window.view.display import configure_sdl

    chosen_driver = os.environ.get("SDL_VIDEODRIVER", "")
    configure_sdl()
    try:
        pygame.display.init()
        driver, sizes = pygame.display.get_driver(), pygame.display.get_desktop_sizes()
    except pygame.error as error:
        return warning(f"no window can be opened ({error}): {_WITHOUT}", _TO_DO)
    if driver in ("dummy", "offscreen") and driver != chosen_driver:
        return warning(f"no window can be opened: {_WITHOUT}", _TO_DO)
    screens = ", ".join(f"{width}x{height}" for width, height in sizes)
    return ok(f"{screens} ({driver})" if sys.platform == "linux" else screens)
