"""The display: SDL's settings, the window's first size, the display's scale, full screen."""

from __future__ import annotations

import math
import os
import sys
import warnings
from contextlib import suppress

import pygame

from robojam.window import sdl
from robojam.window.view.sprites import shape_sprite
from robojam.window.view.theme import DARK

#: Size of the window in pixels on a display of scale 1 that has room for it.
SIZE = (1280, 800)
#: Shares of the display's longer and shorter side that a new window takes, and takes at most.
_SHARES, _MOST = (2 / 3, 20 / 27), (0.9, 0.85)
#: Dots per inch at scale 1, and the scales that are believed: displays of 100 dots per inch
#: are of scale 1, too.
_DPI, _MIN_SCALE, _MAX_SCALE = 96.0, 1.2, 4.0
#: Shorter side of a display of scale 1, in pixels, where its system does not report a scale.
_SHORT_SIDE = 1080


def configure_sdl() -> None:
    """Set SDL's environment variables, before SDL starts."""
    os.environ["SDL_TOUCH_MOUSE_EVENTS"] = "0"  # no mouse events for fingers,
    os.environ["SDL_MOUSE_TOUCH_EVENTS"] = "0"  # no finger events for the mouse
    os.environ.setdefault("SDL_WINDOWS_DPI_AWARENESS", "permonitorv2")  # real pixels
    if not sys.platform.startswith("linux"):
        return
    # no OpenGL: without a GPU, it costs 6 ms a frame
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    if not any(os.environ.get(name) for name in desktop):
        # only the console is left; a search for a desktop would print errors
        os.environ.setdefault("SDL_VIDEODRIVER", "kmsdrm")


def open_display(
    size: tuple[int, int] | None, place: tuple[int, int] | None = None, *, scale: float
) -> pygame.Surface:
    """Open the window; return its surface.

    size is in pixels, None for the one that suits a display of this scale; place is that of
    its upper left corner, None for the system's choice.
    """
    pygame.display.set_caption("robojam")
    # The icon shows the two players, a disc and a diamond.
    picture = pygame.Surface((64, 64), depth=32)
    picture.fill(DARK.surface)
    disc = shape_sprite(DARK.humans[0], 14, machine=False)
    diamond = shape_sprite(DARK.machines[0], 13, machine=True)
    for shape, at in ((disc, (22, 40)), (diamond, (42, 23))):
        picture.blit(shape, shape.get_rect(center=at))
    pygame.display.set_icon(picture)
    size = size or size_for(pygame.display.get_desktop_sizes()[0], scale)
    surface = pygame.display.set_mode(size, pygame.RESIZABLE)
    if place is not None:
        _window().position = place
    return pygame.display.get_surface() or surface


def _window() -> pygame.Window:
    """Return the window that pygame.display has opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pygame.Window.from_display_module()


def size_for(desktop: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the size of a new window for a display of a size (pixels) and a scale."""
    long, short = max(desktop), min(desktop)
    ratio = SIZE[0] / SIZE[1]
    wanted = max(SIZE[0] * scale, min(long * _SHARES[0], short * _SHARES[1] * ratio))
    across = max(1, round(min(wanted, long * _MOST[0], short * _MOST[1] * ratio)))
    down = max(1, round(across / ratio))
    return (across, down) if desktop[0] >= desktop[1] else (down, across)


def display_scale() -> float:
    """Return the scale of the display: 1 where text of 13 pixels can be read, up to 4."""
    desktop = pygame.display.get_desktop_sizes()[0]
    scales = [1.0, min(desktop) / _SHORT_SIDE]
    if pygame.display.get_driver() == "x11":
        scales.append(sdl.x11_dpi() / _DPI)
        with suppress(KeyError, ValueError):
            scales.append(float(os.environ["GDK_SCALE"]))
    elif sys.platform == "win32":
        scales.append(sdl.display_dpi() / _DPI)
    scale = max(scale for scale in scales if math.isfinite(scale))
    return 1.0 if scale < _MIN_SCALE else min(_MAX_SCALE, scale)


class FullScreen:
    """Switch of the window between the full screen and its size and place before."""

    def __init__(self) -> None:
        #: Place and size before, while the window covers a screen without a window manager.
        self._before: tuple[tuple[int, int], tuple[int, int]] | None = None
        #: Place and size when they were last looked at, but for those of the full screen.
        self._last = (0, 0), SIZE

    def returns_to(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return place and size of the window: in full screen, those that it returns to."""
        if self._before is None and not self.is_on:
            window = _window()
            left, top = window.position
            self._last = (left, top), (window.size[0], window.size[1])
        return self._before or self._last

    @property
    def is_on(self) -> bool:
        """Whether the window covers the full screen."""
        return self._before is not None or bool(pygame.display.is_fullscreen())

    def toggle(self) -> None:
        """Cover the full screen, or return. Raises pygame.error where that is not possible."""
        # pygame.display.set_mode does not leave the full screen of X11.
        window = _window()
        if self._before is not None:
            (window.position, window.size), self._before = self._before, None
        elif pygame.display.is_fullscreen():
            window.set_windowed()
        elif pygame.display.get_driver() == "x11" and not sdl.x11_has_window_manager():
            # SDL asks the window manager to do it.
            left, top = window.position
            self._before = (left, top), (window.size[0], window.size[1])
            window.position, window.size = (0, 0), pygame.display.get_desktop_sizes()[0]
        else:
            window.set_fullscreen(True)
