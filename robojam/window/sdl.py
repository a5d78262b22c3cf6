"""Functions of SDL and of X11 that pygame does not offer."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
    with suppress(OSError, AttributeError, ValueError), _x11() as (x11, connection):
        x11.XGetDefault.restype = ctypes.c_char_p
        setting = x11.XGetDefault(connection, b"Xft", b"dpi")
        if setting:
            return float(setting)
        screen = x11.XDefaultScreen(connection)
        inches = int(x11.XDisplayWidthMM(connection, screen)) / 25.4
        return int(x11.XDisplayWidth(connection, screen)) / inches if inches > 0 else 0.0
    return 0.0


def x11_has_window_manager() -> bool:
    """Return whether a window manager runs on the X server; True where that is not known."""
    with suppress(OSError, AttributeError), _x11() as (x11, connection):
        x11.XInternAtom.restype = x11.XDefaultRootWindow.restype = ctypes.c_ulong
        x11.XListProperties.restype = ctypes.POINTER(ctypes.c_ulong)
        wanted = x11.XInternAtom(connection, b"_NET_SUPPORTING_WM_CHECK", 0)
        root = ctypes.c_ulong(x11.XDefaultRootWindow(connection))
        count = ctypes.c_int(0)
        atoms = x11.XListProperties(connection, root, ctypes.byref(count))
        found = wanted in atoms[: count.value] if atoms else False
        x11.XFree(atoms)
        return found
    return True


@contextmanager
def _x11() -> Iterator[tuple[ctypes.CDLL, ctypes.c_void_p]]:
    """Connect to the X server. Raises OSError where that is not possible."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not connection:
        raise OSError("no X server")
    try:
        yield x11, connection
    finally:
        x11.XCloseDisplay(connection)
