"""MIDI messages to touches and back: pure, no ports."""
