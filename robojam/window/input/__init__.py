"""Input of the window: pointers, keys and dials."""

__all__ = ["dials", "fingers", "keyboard", "keys"]
