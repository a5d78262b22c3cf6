"""Measure one step of a model with sampling: p50 and p99 in ms, as JSON.

    python benchmarks/model_step.py 64 256 512     # 2 x UNITS, five components, random weights
    python benchmarks/model_step.py models/touch.safetensors --device cuda

A step feeds one touch to a voice and samples the next.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from robojam.bench import percentile
from robojam.engine.model_loader import one_thread
from robojam.model.event import touch_event
from robojam.model.file import ModelDescription, ModelFile, read, shapes
from robojam.player.player import ModelPlayer


def untrained(units: int, layers: int = 2, components: int = 5) -> ModelFile:
    """Return a model of the given size with small random weights."""
    event = touch_event(components=components, hidden=32)
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in shapes(event, units, layers).items()
    }
    description = ModelDescription(event=event, units=units, layers=layers)
    return ModelFile(Path("untrained"), description, weights, "")


def measure(file: ModelFile, *, device: str, steps: int = 3000) -> list[float]:
    """Return p50 and p99 of a step in ms."""
    player = ModelPlayer(file, device=device, seed=1)
    times = []
    for _ in range(steps + 200):
        began = time.perf_counter()
        proposal = player.sample([0])[0]
        x, y = min(max(proposal.x, 0), 1), min(max(proposal.y, 0), 1)
        dt = min(max(proposal.dt, 0.001), 5)
        player.commit(0, x, y, dt, proposal.moving)
        times.append(1000 * (time.perf_counter() - began))
    return [percentile(times[-steps:], 0.5), percentile(times[-steps:], 0.99)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["64", "256", "512"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    args = parser.parse_args()
    one_thread()
    figures = {}
    for name in args.models:
        file = untrained(int(name)) if name.isdecimal() else read(Path(name))
        figures[name] = measure(file, device=args.device)
    print(json.dumps(figures))
