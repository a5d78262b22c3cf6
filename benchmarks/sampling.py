"""Measure and draw what temperature and spread do: one opening, the same random numbers.

    python benchmarks/sampling.py ../shared/corpus/microjam_val.npz [--model FILE]
        [--picture FILE.png] [--json FILE]

The picture shows an answer of 4 s for each pair of values, and below it the means over a
hundred openings: strokes per second, and the median speed in screens per second. --json
writes more features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, save
from answer_contexts import save as save_picture
from answer_contexts import summarise
from matplotlib.figure import Figure

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation.likeness import split_in_half
from robojam.evaluation.report import draw_strokes
from robojam.export.poster import FAINT, INK, MACHINE, PAPER
from robojam.model.file import find, read
from robojam.player.generate import generate

Floats = np.ndarray[Any, np.dtype[Any]]

TEMPERATURES = (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)
SPREADS = (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)
_SECONDS = 4.0


def draw(heard: Floats, answers: dict[tuple[float, float], Any], path: Path) -> None:
    """Draw one answer at each temperature (rows) and spread (columns)."""
    cell, gap, left, top, foot = 1.35, 0.3, 1.0, 0.45, 0.1
    wide = left + len(SPREADS) * (cell + gap * 0.4) + 0.3
    high = top + len(TEMPERATURES) * (cell + gap) + foot
    figure = Figure(figsize=(wide, high), dpi=80, facecolor=PAPER)
    for (temperature, spread), (touches, features) in answers.items():
        x = left + SPREADS.index(spread) * (cell + gap * 0.4)
        y = top + TEMPERATURES.index(temperature) * (cell + gap)
        axes = figure.add_axes(
            (x / wide, 1 - (y + cell) / high, cell / wide, cell / high), facecolor=PAPER
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
        for spine in axes.spines.values():
            framed = temperature == spread == 1
            spine.set(color=INK if framed else FAINT, linewidth=1.4 if framed else 0.7)
        draw_strokes(axes, heard, FAINT, 0.7)
        draw_strokes(axes, np.concatenate([heard[-1:], touches]), MACHINE[1], 1.1, earlier=1)
        strokes, speed = (features[name][0] for name in ("strokes a second", "speed, 50 %"))
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
    save_picture(figure, path)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="held-out performances")
    parser.add_argument("--model", help="a file or name (default: the default model)")
    parser.add_argument(
        "--opening", type=int, default=72, help="index of the opening that is drawn"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="draw the picture to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    performances = list(clean(read_corpus(args.corpus)).performances())
    heard = [before for before, _ in split_in_half(performances)]
    answers, rows = {}, []
    for temperature in TEMPERATURES:
        for spread in SPREADS:
            pair = {"temperature": temperature, "spread": spread}
            plain = {"follow": 0.0, "memory": 0.0, "seed": args.seed}
            played = generate(file, heard, seconds=_SECONDS, **plain, **pair)
            features = summarise(played)
            answers[temperature, spread] = played[args.opening], features
            rows.append({**pair, **features})
            print(rows[-1], flush=True)
    conditions = {"model": file.path.name, "sha256": file.sha256, "seed": args.seed}
    save({**conditions, "rows": rows}, args.json)
    if args.picture:
        draw(heard[args.opening], answers, args.picture)


if __name__ == "__main__":
    main()
