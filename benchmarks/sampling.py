"""What temperature and spread do: the same opening and the same chance at each of both.

    python benchmarks/sampling.py ../shared/corpus/microjam_val.npz [--model FILE]
        [--picture FILE.png] [--json FILE]

The picture shows an answer of 4 s at each pair, and below each what is
usual there, over a hundred openings: strokes a second, and the median speed in screens a
second. `--json` has more of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from kept import keep
from matplotlib.figure import Figure
from opening import figures, save

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation.likeness import halves
from robojam.evaluation.report import lines
from robojam.export.poster import FAINT, INK, MACHINE, PAPER
from robojam.model.file import find, read
from robojam.player.generate import generate

Floats = np.ndarray[Any, np.dtype[Any]]

TEMPERATURES = (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)
SPREADS = (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)
_SECONDS = 4.0


def draw(heard: Floats, made: dict[tuple[float, float], Any], path: Path) -> None:
    """Draw one answer at each temperature (rows) and spread (columns)."""
    cell, gap, left, top, foot = 1.35, 0.3, 1.0, 0.45, 0.1
    wide = left + len(SPREADS) * (cell + gap * 0.4) + 0.3
    high = top + len(TEMPERATURES) * (cell + gap) + foot
    figure = Figure(figsize=(wide, high), dpi=80, facecolor=PAPER)
    for (temperature, spread), (touches, found) in made.items():
        x = left + SPREADS.index(spread) * (cell + gap * 0.4)
        y = top + TEMPERATURES.index(temperature) * (cell + gap)
        axes = figure.add_axes(
            (x / wide, 1 - (y + cell) / high, cell / wide, cell / high), facecolor=PAPER
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
        for spine in axes.spines.values():
            plain = temperature == spread == 1
            spine.set(color=INK if plain else FAINT, linewidth=1.4 if plain else 0.7)
        lines(axes, heard, FAINT, 0.7)
        lines(axes, np.concatenate([heard[-1:], touches]), MACHINE[1], 1.1, begun=1)
        strokes, speed = (found[name][0] for name in ("strokes a second", "speed, 50 %"))
        axes.set_xlabel(f"{strokes:.1f} strokes, {speed:.1f} screens", size=6.5, labelpad=2)
        if spread == SPREADS[0]:
            figure.text(
                (left - 0.15) / wide,
                1 - (y + cell / 2) / high,
                f"temperature\n{temperature:g}",
                color=INK,
                size=8.5,
                ha="right",
                va="center",
            )
        if temperature == TEMPERATURES[0]:
            name = f"spread {spread:g}"
            figure.text(x / wide, 1 - (y - 0.1) / high, name, color=INK, size=8.5)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances the model has not learnt from")
    parser.add_argument("--model", help="a file, or a name (default: the default model)")
    parser.add_argument("--opening", type=int, default=72, help="which of them is drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="draw them to this file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    performances = list(clean(read_corpus(args.corpus)).performances())
    heard = [before for before, _ in halves(performances)]
    made, rows = {}, []
    for temperature in TEMPERATURES:
        for spread in SPREADS:
            how = {"temperature": temperature, "spread": spread}
            takes = generate(file, heard, seconds=_SECONDS, seed=args.seed, **how)
            found = figures(takes)
            made[temperature, spread] = takes[args.opening], found
            rows.append({**how, **found})
            print(rows[-1], flush=True)
    about = {"model": file.path.name, "sha256": file.sha256, "seed": args.seed}
    keep({**about, "rows": rows}, args.json)
    if args.picture:
        draw(heard[args.opening], made, args.picture)


if __name__ == "__main__":
    main()
