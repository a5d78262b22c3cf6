"""The engine, which gives input from the ports to the jam and its events to the outputs."""

__all__ = [
    "engine", "loop", "metrics", "model_loader", "monitors",
    "preview", "publisher", "senders", "takes",
]  # fmt: skip
