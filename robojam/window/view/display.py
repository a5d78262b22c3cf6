"""SDL's display: its settings, the window's surface and the window's icon."""

from __future__ import annotations

import os
import sys

import pygame

from robojam.window.view.sprites import shape_sprite
from robojam.window.view.theme import DARK


def configure_sdl() -> None:
    """Set SDL's environment variables, before SDL starts."""
    os.environ["SDL_TOUCH_MOUSE_EVENTS"] = "0"  # no mouse events for fingers,
    os.environ["SDL_MOUSE_TOUCH_EVENTS"] = "0"  # no finger events for the mouse
    os.environ.setdefault("SDL_WINDOWS_DPI_AWARENESS", "permonitorv2")  # no scaling
    if not sys.platform.startswith("linux"):
        return
    # no OpenGL: without a GPU, it costs 6 ms a frame
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    if not any(os.environ.get(name) for name in desktop):
        # only the console is left; a search for a desktop would print errors
        os.environ.setdefault("SDL_VIDEODRIVER", "kmsdrm")


def set_display_mode(size: tuple[int, int], *, fullscreen: bool) -> pygame.Surface:
    """Open the window with a size in pixels or on the full screen; return its surface."""
    pygame.display.set_caption("robojam")
    pygame.display.set_icon(_icon())
    if fullscreen:
        return pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
    return pygame.display.set_mode(size, pygame.RESIZABLE)


def _icon() -> pygame.Surface:
    """Return the window's icon: the two players, a disc and a diamond."""
    picture = pygame.Surface((64, 64), depth=32)
    picture.fill(DARK.surface)
    disc = shape_sprite(DARK.humans[0], 14, machine=False)
    diamond = shape_sprite(DARK.machines[0], 13, machine=True)
    for shape, at in ((disc, (22, 40)), (diamond, (42, 23))):
        picture.blit(shape, shape.get_rect(center=at))
    return picture
