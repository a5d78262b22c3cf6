"""The model at play: steps of its state on CPU and GPU, sampling, look-ahead, generation."""

__all__ = [
    "cpu_batch", "cpu_single", "cuda_graph", "devices", "generate", "lookahead", "player",
    "random_streams", "reference", "state_layout", "stepper",
]  # fmt: skip
