"""Input of the window: pointers, keys and dials."""
