"""Distil models into one: train it on what they would draw, beside what people played.

    python benchmarks/distil.py ../shared/corpus/microjam_{train,val}.npz \\
        --teachers one.safetensors another.safetensors --to pupil.safetensors

The teachers are model files that `robojam train` made of the same corpus; all other settings
are those of `robojam train`. Each held-out scoring is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from variants.distilled import Taught

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read
from robojam.model.mdrnn import load
from robojam.training.trainer import SIZES, TrainingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--teachers", type=Path, nargs="+", required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="m")
    parser.add_argument("--passes", type=float, default=TrainingSettings().passes)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    settings = TrainingSettings(**SIZES[args.size], passes=args.passes, seed=args.seed)
    pupil = Taught(
        clean(read(args.train)),
        clean(read(args.held_out)),
        settings,
        teachers=[load(path)[0] for path in args.teachers],
    )
    for now in pupil:
        if now.score is None:
            continue
        pupil.save(args.to)
        print(
            f"step {now.step:,} of {now.steps:,}: {now.score:.3f}, {now.events_per_second:,.0f} touches/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
