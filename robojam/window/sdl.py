"""Functions of SDL that pygame does not offer."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import pygame


def _sdl() -> ctypes.CDLL:
    """Return the SDL that pygame uses. Raises OSError where it is not found."""
    # On Windows it is loaded under its name; elsewhere it is found through pygame's modules.
    return ctypes.CDLL("SDL2.dll" if sys.platform == "win32" else pygame.key.__file__)


def key_code(position: int) -> int:
    """Return the code of the key at a position (scancode) in the layout in use; 0: unknown."""
    with suppress(OSError, AttributeError):
        return int(_sdl().SDL_GetKeyFromScancode(position))
    return 0


def display_dpi() -> float:
    """Return the dots per inch of the first display, as SDL reports them; 0 where unknown."""
    dots = ctypes.c_float(0.0)
    with suppress(OSError, AttributeError):
        if _sdl().SDL_GetDisplayDPI(0, ctypes.byref(dots), None, None) == 0:
            return dots.value
    return 0.0


def x11_dpi() -> float:
    """Return the dots per inch that the X server or its desktop is set to; 0 where unknown."""
    with suppress(OSError, AttributeError, ValueError):
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XGetDefault.restype = ctypes.c_char_p
        connection = ctypes.c_void_p(x11.XOpenDisplay(None))
        if not connection:
            return 0.0
        try:
            setting = x11.XGetDefault(connection, b"Xft", b"dpi")
            if setting:
                return float(setting)
            screen = x11.XDefaultScreen(connection)
            inches = int(x11.XDisplayWidthMM(connection, screen)) / 25.4
            return int(x11.XDisplayWidth(connection, screen)) / inches if inches > 0 else 0.0
        finally:
            x11.XCloseDisplay(connection)
    return 0.0
