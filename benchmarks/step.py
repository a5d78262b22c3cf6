"""Time one step with sampling: hear a touch, propose the next. Prints p50 and p99 in ms.

python benchmarks/step.py 64 256 512       # 2 x UNITS, five mixtures, random weights
python benchmarks/step.py models/touch.safetensors
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from robojam.bench import percentile
from robojam.event import touch_event
from robojam.loading import one_thread
from robojam.modelfile import Description, ModelFile, read, shapes
from robojam.player import Player


def untrained(units: int, layers: int = 2, components: int = 5) -> ModelFile:
    """Make a model of that size with small random weights."""
    event = touch_event(components=components, hidden=32)
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in shapes(event, units, layers).items()
    }
    description = Description(event=event, units=units, layers=layers)
    return ModelFile(Path("untrained"), description, weights, "")


def measure(file: ModelFile, steps: int = 3000) -> list[float]:
    """Return p50 and p99 of a step with sampling, in ms."""
    player = Player(file, seed=1)
    times = []
    for _ in range(steps + 200):
        began = time.perf_counter()
        p = player.propose([0])[0]
        player.play(
            0, min(max(p.x, 0), 1), min(max(p.y, 0), 1), min(max(p.dt, 0.001), 5), p.moving
        )
        times.append(1000 * (time.perf_counter() - began))
    return [percentile(times[200:], 0.5), percentile(times[200:], 0.99)]


if __name__ == "__main__":
    one_thread()
    found = {}
    for name in sys.argv[1:] or ["64", "256", "512"]:
        file = untrained(int(name)) if name.isdecimal() else read(Path(name))
        found[name] = measure(file)
    print(json.dumps(found))
