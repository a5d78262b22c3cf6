"""Recorded jams in the window: their list, their playback, and sending them to be heard."""

__all__ = ["library", "playback", "preview"]
