"""The window's view of the engine: its connection, and the state built from its messages."""

__all__ = ["link", "own_touches", "ports", "state", "strokes"]
