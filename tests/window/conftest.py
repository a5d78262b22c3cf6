"""SDL without a display, the window, and a socket in the engine's place."""

import os

from support.window import app, engine, fonts

__all__ = ["app", "engine", "fonts"]

os.environ["SDL_VIDEODRIVER"] = "dummy"
