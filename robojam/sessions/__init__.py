"""Recorded jams: the file format, recorder, library, playback and regeneration."""

__all__ = [
    "compose", "library", "playback", "recorder", "regenerate", "session", "strokes",
]  # fmt: skip
