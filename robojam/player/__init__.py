"""The model at play: stateful steps on CPU and GPU, sampling, look-ahead, generation."""
