"""Measure what a model has learnt of pressure, beside pressure that is made from the speed.

    python benchmarks/pressure.py make DATA.npz --to PRESSED.npz
    robojam train PRESSED.npz --pressure --to MODEL
    python benchmarks/pressure.py measure MODEL TRAINED_ON.npz HELD_OUT.npz

`make` gives touches that were recorded without a pressure one of a synthetic hand: each player
has a manner, each stroke an accent; it presses harder at first and lets go, and presses fast
slides less or more; and it trembles. Half of the players have MIDI's 127 steps.

`measure` compares the density of held-out pressures under the model with that of the best
normal distribution for each speed, fitted to what the model was trained on; and pressures that
are played with those of people, by their mean and deviation, their correlation with the
logarithm of the speed, with that of dt and with the pressure before, and at landings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import Corpus, clean, dequantise, pressed, write
from robojam.corpus.formats import read
from robojam.evaluation.likelihood import score
from robojam.evaluation.likeness import split_in_half
from robojam.mapping.features import FULL_SPEED
from robojam.model import file
from robojam.model.mdrnn import load
from robojam.player.generate import generate

Floats = NDArray[np.floating[Any]]

#: Openings that are gone on with.
_OPENINGS = 40
#: Speeds in screens a second between which one normal distribution is fitted, besides landings.
_SPEEDS = np.geomspace(0.01, 10, 30)


def speeds(touches: Floats) -> Floats:
    """Return the speed (n,) of touches (n, ·), in screens a second; 0 where one lands."""
    way = np.hypot(*np.diff(touches[:, :2], axis=0, prepend=touches[:1, :2]).T)
    return np.where(touches[:, 3] > 0.5, way / np.maximum(touches[:, 2], 1e-3), 0.0)


def hand(touches: Floats, rng: np.random.Generator) -> Floats:
    """Return the pressures (n,) of a synthetic hand that plays touches (n, 4)."""
    n, moving = len(touches), touches[:, 3] > 0.5
    base, slope = rng.normal(0.5, 0.12), rng.normal(0.03, 0.06)
    onset, decay = rng.uniform(0.0, 0.3), rng.uniform(0.1, 0.6)
    stroke = np.cumsum(~moving)
    accent = rng.normal(0, 0.1, stroke[-1] + 1)[stroke]
    times = np.cumsum(touches[:, 2])
    since = times - np.maximum.accumulate(np.where(moving, -np.inf, times))
    since = np.where(np.isfinite(since), since, 0)
    tremor, last = np.zeros(n), 0.0
    for i, dt in enumerate(touches[:, 2].tolist()):
        share = np.exp(-dt / 0.15)
        last = share * last + rng.normal(0, 0.05) * np.sqrt(1 - share**2)
        tremor[i] = last
    envelope = onset * np.exp(-since / decay) * (1 - np.exp(-(since + 0.01) / 0.02))
    pressure = base + accent + envelope + tremor
    pressure += slope * np.log(np.maximum(speeds(touches), 0.05))
    lines = rng.choice([127, 1023])
    return np.round(np.clip(pressure, 0, 1) * lines) / lines


def make(data: Path, to: Path, seed: int) -> None:
    """Write touches with the pressures of synthetic hands, one for each performance."""
    corpus, rng = clean(read(data)), np.random.default_rng(seed)
    write(pressed(corpus, np.concatenate([hand(p, rng) for p in corpus.performances()])), to)


def by_speed(corpus: Corpus) -> tuple[NDArray[np.intp], Floats]:
    """Return classes of speed, and dequantised pressures, of all touches but the first ones."""
    kinds, pressures = [], []
    offsets = corpus.offsets.tolist()
    for touches, start, end in zip(corpus.performances(), offsets, offsets[1:], strict=False):
        kind = np.searchsorted(_SPEEDS, speeds(touches)) + 1
        kinds.append(np.where(touches[:, 3] > 0.5, kind, 0)[1:])
        pressures.append(dequantise(corpus, start, end)[1:, 4])
    return np.concatenate(kinds), np.concatenate(pressures)


def nats_from_speed(known: Corpus, held_out: Corpus) -> float:
    """Return the mean negative log density of pressures given nothing but the speed."""
    kinds, pressures = by_speed(known)
    count = np.maximum(np.bincount(kinds, minlength=len(_SPEEDS) + 2), 2)
    mean = np.bincount(kinds, pressures, len(count)) / count
    variance = np.bincount(kinds, (pressures - mean[kinds]) ** 2, len(count)) / count + 1e-5
    kinds, pressures = by_speed(held_out)
    off = (pressures - mean[kinds]) ** 2 / variance[kinds]
    return float(np.mean(off + np.log(2 * np.pi * variance[kinds])) / 2)


def figures(performances: list[Floats]) -> dict[str, float]:
    """Return figures of the pressures of performances (n, 5)."""
    joined = np.concatenate([p[1:] for p in performances])
    before = np.concatenate([p[:-1, 4] for p in performances])
    speed = np.concatenate([speeds(p)[1:] for p in performances])
    pressure, moves = joined[:, 4], joined[:, 3] > 0.5

    def correlation(one: Floats, other: Floats) -> float:
        return float(np.corrcoef(one[moves], other[moves])[0, 1])

    log_dt = np.log(np.maximum(joined[:, 2], 1e-3))
    found = {
        "mean": float(pressure.mean()),
        "deviation": float(pressure.std()),
        "with speed": correlation(pressure, np.log(speed + 1e-3)),
        "with dt": correlation(pressure, log_dt),
        "with the one before": correlation(pressure, before),
        "at landings": float(pressure[~moves].mean()),
        "change": float(np.abs(pressure - before)[moves].mean()),
    }
    return {name: round(value, 3) for name, value in found.items()}


def measure(path: Path, known: Path, held_out: Path) -> dict[str, Any]:
    """Return all figures of a model."""
    model, _ = load(path)
    corpora = [clean(read(data, pressure=True)) for data in (known, held_out)]
    result = score(model, corpora[1])
    pairs = split_in_half(list(corpora[1].performances()))[:_OPENINGS]
    openings = [opening for opening, _ in pairs]
    seconds = np.array([float(after[:, 2].sum()) for _, after in pairs])
    plain: dict[str, Any] = {"temperature": 1.0, "spread": 1.0, "follow": 0.0, "memory": 0.0}
    takes = generate(file.read(path), openings, seconds=seconds, seed=1, **plain)
    takes = [take for take in takes if len(take) > 2]
    from_speed = [
        np.column_stack([take[:, :4], np.minimum(speeds(take) / FULL_SPEED, 1)])
        for take in takes
    ]
    return {
        "nats": {
            "parts": {name: round(part, 4) for name, part in result.parts.items()},
            "pressure from speed": round(nats_from_speed(*corpora), 4),
        },
        "people": figures([after for _, after in pairs]),
        "machine": figures(takes),
        "from speed": figures(from_speed),
    }


def main() -> None:
    """Make data, or measure a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("data", type=Path)
    making.add_argument("--to", type=Path, required=True)
    making.add_argument("--seed", type=int, default=0)
    measuring = commands.add_parser("measure")
    for name in ("model", "known", "held_out"):
        measuring.add_argument(name, type=Path)
    args = parser.parse_args()
    if args.command == "make":
        make(args.data, args.to, args.seed)
        return
    print(json.dumps(measure(args.model, args.known, args.held_out), indent=1))


if __name__ == "__main__":
    main()
