"""Wire formats: OSC messages to touches and back, a module for each dialect. Pure."""

__all__ = ["dialects", "echo", "impsy", "microjam", "midi", "native", "osc", "touchosc", "tuio"]
