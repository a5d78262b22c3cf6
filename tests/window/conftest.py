"""The window that its tests play at."""

from support.window import app

__all__ = ["app"]
