"""The window's view of the engine: its connection, and the state built from its messages."""

__all__ = ["echo", "link", "ports", "state", "strokes"]
