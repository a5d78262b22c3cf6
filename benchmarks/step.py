"""Time a step with sampling: touches heard, the next drawn, the values here. p50, p99 in ms.

python benchmarks/step.py 64 256 512       # 2 x UNITS, five mixtures, random weights
python benchmarks/step.py models/touch.safetensors
python benchmarks/step.py models/touch.safetensors --device cuda --voices 4096   # one batch

With --besides the network costs nothing: what is left is random numbers, units and limits,
all that the host does for voices on a GPU but to hand it their numbers and take them back.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from robojam.bench import percentile
from robojam.engine.model_loader import one_thread
from robojam.model.event import touch_event
from robojam.model.file import ModelDescription, ModelFile, read, shapes
from robojam.player.player import ModelPlayer


def untrained(units: int, layers: int = 2, components: int = 5) -> ModelFile:
    """Make a model of that size with small random weights."""
    event = touch_event(components=components, hidden=32)
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in shapes(event, units, layers).items()
    }
    description = ModelDescription(event=event, units=units, layers=layers)
    return ModelFile(Path("untrained"), description, weights, "")


class Nothing:
    """Stands where a network does: whatever it hears, it draws the same."""

    def __init__(self, voices: int) -> None:
        self._drawn = np.random.default_rng(0).random((voices, 4), np.float32)

    def sample_all(self, _: Any, **__: float) -> Any:
        return self._drawn

    def feed_each(self, _: Any) -> None:
        pass


def measure(
    file: ModelFile, *, device: str, voices: int, besides: bool = False, steps: int = 3000
) -> list[float]:
    """Return p50 and p99 of a step, in ms: of one voice, or of all as one batch."""
    player = ModelPlayer(file, device=device, voices=voices, seed=1)
    if besides:
        player._stepper = Nothing(voices)
    times = []
    for _ in range(steps + 200 if voices == 1 else 220):
        began = time.perf_counter()
        if voices == 1:
            p = player.sample([0])[0]
            x, y, dt = min(max(p.x, 0), 1), min(max(p.y, 0), 1), min(max(p.dt, 0.001), 5)
            player.commit(0, x, y, dt, p.moving)
        else:
            player.step_all()
        times.append(1000 * (time.perf_counter() - began))
    return [percentile(times[-steps:], 0.5), percentile(times[-steps:], 0.99)]


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("models", nargs="*", default=["64", "256", "512"])
    asked.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    asked.add_argument("--voices", type=int, default=1)
    asked.add_argument("--besides", action="store_true")
    chosen = asked.parse_args()
    if chosen.besides and chosen.voices == 1:
        asked.error("--besides is for many voices: add --voices")
    one_thread()
    found = {}
    for name in chosen.models:
        file = untrained(int(name)) if name.isdecimal() else read(Path(name))
        found[name] = measure(
            file, device=chosen.device, voices=chosen.voices, besides=chosen.besides
        )
    print(json.dumps(found))
