"""MIDI messages to touches and back: pure, no ports."""

__all__ = ["bindings", "learn", "reader", "stream", "styles", "writer"]
