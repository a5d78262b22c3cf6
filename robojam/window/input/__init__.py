"""Fingers, keys and dials of the window."""
