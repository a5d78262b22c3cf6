"""The display: how SDL is asked for a window, and the window's picture in the task bar."""

from __future__ import annotations

import os
import sys

import pygame

from robojam.window.view.sprites import Sprites
from robojam.window.view.theme import DARK


def configure_sdl() -> None:
    """Tell SDL, before it starts, how it is used here."""
    os.environ["SDL_TOUCH_MOUSE_EVENTS"] = "0"  # a finger is not the mouse too,
    os.environ["SDL_MOUSE_TOUCH_EVENTS"] = "0"  # nor the mouse a finger
    os.environ.setdefault("SDL_WINDOWS_DPI_AWARENESS", "permonitorv2")  # all pixels there are
    if not sys.platform.startswith("linux"):
        return
    # pixels straight to the screen: by way of OpenGL without a GPU a frame costs 6 ms more
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    if not any(os.environ.get(name) for name in desktop):
        # only the bare console is left; looking for a desktop would print errors
        os.environ.setdefault("SDL_VIDEODRIVER", "kmsdrm")


def set_display_mode(size: tuple[int, int], *, fullscreen: bool) -> pygame.Surface:
    """Open the window, or change it to another size (pixels) or the full screen."""
    pygame.display.set_caption("robojam")
    pygame.display.set_icon(_icon())
    if fullscreen:
        return pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
    return pygame.display.set_mode(size, pygame.RESIZABLE)


def _icon() -> pygame.Surface:
    """The two players: a disc and a diamond."""
    picture, sprites = pygame.Surface((64, 64), depth=32), Sprites()
    picture.fill(DARK.surface)
    disc = sprites.disc(DARK.humans[0], 14)
    diamond = sprites.diamond(DARK.machines[0], 13)
    for shape, at in ((disc, (22, 40)), (diamond, (42, 23))):
        picture.blit(shape, shape.get_rect(center=at))
    return picture
