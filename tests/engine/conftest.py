"""The JACK server that carries the MIDI of these tests."""

from support.jack import jack

__all__ = ["jack"]
