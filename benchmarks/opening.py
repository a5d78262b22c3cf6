"""The opening matters: what the model does with much history, with little, with its own.

    python benchmarks/opening.py ../shared/corpus/microjam_val.npz [--model FILE]
        [--json FILE] [--picture FILE.png]

Two hundred answers of 5 s, at the temperature and spread that the model's file recommends:
with no history, after one tap, after half a performance, after that and a pause of 5 s that
a tap ends, and after 3,000 touches of other performances; and ten answers in a row, each to
all that went before, its own answers too: does it wander off after hearing itself? Beside
them stands what people played in the file, in pieces of 5 s.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from answers import SECONDS, answers, pieces
from kept import tell
from matplotlib.figure import Figure
from PIL import Image

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation.likeness import describe, halves
from robojam.evaluation.report import lines
from robojam.export.poster import FAINT, INK, MACHINE, PAPER, PEOPLE
from robojam.model.file import find, read

Floats = np.ndarray[Any, np.dtype[Any]]

#: What is told of each answer, as robojam.evaluation.likeness describes it, and in which words.
TOLD = {
    "touches a second": "touches a second",
    "strokes a second": "strokes a second",
    "rests a second": "rests a second",
    "speed, 50 %": "median speed, screens a second",
    "area": "share of the surface",
    "at the edge": "share at the edge",
}
_SHOWN, _ROUNDS, _HISTORY, _PAUSE = 8, 10, 3000, 5.0


def figures(pieces: Sequence[Floats]) -> dict[str, list[float]]:
    """Mean, and lower and upper quarter, of each figure over pieces (n, 4)."""
    rows = [describe(piece[:, :3], piece[:, 3] > 0.5) for piece in pieces]
    found = {}
    for name in TOLD:
        values = np.array([row[name] for row in rows])
        low, high = np.nanpercentile(values, [25, 75])
        found[name] = [round(float(v), 4) for v in (np.nanmean(values), low, high)]
    return found


def after_pause(tap: Floats) -> Floats:
    """Let a tap (1, 4) come after a pause."""
    later = tap.copy()
    later[0, 2] = _PAUSE
    return later


def situations(
    performances: Sequence[Floats], count: int, rng: np.random.Generator
) -> dict[str, list[Floats]]:
    """What is heard before the answers of each situation."""
    first = [before for before, _ in halves(performances)]
    heard = [first[i % len(first)] for i in range(count)]
    taps = [np.array([[x, y, 0.0, 0.0]]) for x, y in rng.random((count, 2)).tolist()]
    long = []
    for _ in range(count):
        order = rng.permutation(len(performances))
        joined = np.concatenate([performances[i] for i in order])[:_HISTORY].copy()
        joined[1:, 2] = np.where(joined[1:, 2] > 0, joined[1:, 2], 1.0)  # between two of them
        long.append(joined)
    return {
        "no history": [np.empty((0, 4))] * count,
        "one tap": taps,
        "half a performance": heard,
        "a pause of 5 s, then a tap": [
            np.concatenate([before, after_pause(tap)])
            for before, tap in zip(heard, taps, strict=True)
        ],
        "3,000 touches": long,
    }


def draw(
    shown: dict[str, list[tuple[Floats, Floats]]],
    rounds: list[dict[str, list[float]]],
    people: dict[str, list[float]],
    path: Path,
) -> None:
    """Draw some answers of each situation, and the figures from answer to answer."""
    rows, wide, cell = len(shown), 12.0, 1.08
    high = 0.6 + rows * (cell + 0.1) + 3.9
    figure = Figure(figsize=(wide, high), dpi=70, facecolor=PAPER)
    for row, (name, some) in enumerate(shown.items()):
        y = 0.5 + row * (cell + 0.1)
        figure.text(
            0.5 / wide, 1 - (y + cell / 2) / high, name, color=INK, size=10, va="center"
        )
        for column, (heard, made) in enumerate(some):
            x = 2.55 + column * (cell + 0.06)
            axes = figure.add_axes(
                (x / wide, 1 - (y + cell) / high, cell / wide, cell / high), facecolor=PAPER
            )
            axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=FAINT, linewidth=0.7)
            lines(axes, heard[-200:], FAINT, 0.6)
            lines(
                axes, np.concatenate([heard[-1:], made]), MACHINE[1], 1.0, begun=len(heard[-1:])
            )
    for at, (name, told) in enumerate(TOLD.items()):
        column, row = at % 3, at // 3
        x, y = 0.5 + column * 3.85, high - 3.3 + row * 1.75
        axes = figure.add_axes((x / wide, 1 - (y + 1.1) / high, 3.3 / wide, 1.1 / high))
        axes.set_facecolor("none")
        number = np.arange(1, len(rounds) + 1)
        mean, low, high_ = np.array([each[name] for each in rounds]).T
        axes.axhspan(*people[name][1:], color=PEOPLE[0], alpha=0.35, linewidth=0)
        axes.axhline(people[name][0], color=PEOPLE[1], linewidth=1.2)
        axes.fill_between(number, low, high_, color=MACHINE[0], alpha=0.45, linewidth=0)
        axes.plot(number, mean, "o-", color=MACHINE[1], ms=3)
        axes.set_title(told, size=9, color=INK, loc="left", pad=4)
        axes.set(xlim=(0.8, len(rounds) + 0.2), ylim=(0, None), xticks=[1, 5, 10])
        axes.tick_params(colors=INK, labelsize=7, length=2)
        for side, spine in axes.spines.items():
            spine.set(color=FAINT, visible=side == "bottom")
    y = 1 - (high - 3.62) / high
    text = (
        "Its first to its tenth answer, each to all before (blue), and people (red): "
        "means, and the middle half"
    )
    figure.text(0.5 / wide, y, text, color=INK, size=9.5)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture as a small file: 64 colours are enough for lines."""
    with BytesIO() as drawn:
        figure.savefig(drawn, format="png", facecolor=PAPER)
        Image.open(drawn).convert("RGB").quantize(64).save(path, format="PNG", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="performances the model has not learnt from")
    parser.add_argument("--model", help="a file, or a name (default: the default model)")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--picture", type=Path, help="draw them to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    how = {"temperature": file.description.temperature, "spread": file.description.spread}
    performances = list(clean(read_corpus(args.corpus)).performances())
    whole = [piece for piece in pieces(performances) if piece[:, 2].sum() > SECONDS - 1]
    people = figures(whole)
    found: dict[str, Any] = {"model": file.path.name, "sha256": file.sha256, **how}
    found |= {"seed": args.seed, "answers": args.answers, "figures": "mean, quarters"}
    found["people"] = people
    rng, shown = np.random.default_rng(args.seed), {}
    every = max(1, args.answers // _SHOWN)
    for name, heard in situations(performances, args.answers, rng).items():
        made = answers(file, heard, seed=args.seed, **how)
        found[name] = figures(made)
        shown[name] = list(zip(heard, made, strict=True))[::every][:_SHOWN]
    heard = [before for before, _ in halves(performances)]
    heard = [heard[i % len(heard)] for i in range(args.answers)]
    rounds = []
    for number in range(_ROUNDS):
        made = answers(file, heard, seed=args.seed + number, **how)
        rounds.append(figures(made))
        before, heard = heard, [np.concatenate(both) for both in zip(heard, made, strict=True)]
    shown["its own tenth answer"] = list(zip(before, made, strict=True))[::every][:_SHOWN]
    found["answers in a row"] = rounds
    tell(found, args.json)
    if args.picture:
        draw(shown, rounds, people, args.picture)


if __name__ == "__main__":
    main()
