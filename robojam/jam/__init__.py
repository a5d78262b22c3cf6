"""The jam: modes, turn-taking, fingers, voices and history. Pure: time is an argument."""

__all__ = [
    "dwell",
    "events",
    "fingers",
    "history",
    "jam",
    "modes",
    "phrases",
    "protocols",
    "voices",
]
