"""The model: event description, features, the MDN-RNN in torch, and its file."""

__all__ = ["event", "features", "file", "lattice", "mdrnn", "sequential_file"]
