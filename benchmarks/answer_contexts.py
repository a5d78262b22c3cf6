"""Measure how answers depend on what the model heard before, and draw them.

    python benchmarks/answer_contexts.py ../shared/corpus/microjam_val.npz [--model FILE]
        [--json FILE] [--picture FILE.png]

Makes two hundred answers of 5 s, at the temperature and spread that the model's file
recommends, in each of these situations: no history; after one tap; after half a performance;
after half a performance, a pause of 5 s and a tap; after 3,000 touches of other performances.
Then ten answers in a row, each after everything before it including the model's own answers,
which shows whether the model drifts when it hears itself. For comparison the same figures are
computed for people: the performances of the file, in pieces of 5 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save
from answer_faults import SECONDS, cut_into_pieces, make_answers
from matplotlib.figure import Figure
from PIL import Image

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read as read_corpus
from robojam.engine.model_loader import one_thread
from robojam.evaluation.likeness import describe, split_in_half
from robojam.evaluation.report import draw_strokes
from robojam.export.poster import FAINT, INK, MACHINE, PAPER, PEOPLE
from robojam.model.file import find, read

Floats = np.ndarray[Any, np.dtype[Any]]

#: The features of robojam.evaluation.likeness that are reported, with their titles.
FEATURES = {
    "touches a second": "touches a second",
    "strokes a second": "strokes a second",
    "rests a second": "rests a second",
    "speed, 50 %": "median speed, screens a second",
    "area": "share of the surface",
    "at the edge": "share at the edge",
}
_SHOWN, _ROUNDS, _HISTORY, _PAUSE = 8, 10, 3000, 5.0


def summarise(pieces: Sequence[Floats]) -> dict[str, list[float]]:
    """Return the mean, lower and upper quartile of each feature over pieces (n, 4)."""
    rows = [describe(piece[:, :3], piece[:, 3] > 0.5) for piece in pieces]
    summary = {}
    for name in FEATURES:
        values = np.array([row[name] for row in rows])
        low, high = np.nanpercentile(values, [25, 75])
        summary[name] = [round(float(v), 4) for v in (np.nanmean(values), low, high)]
    return summary


def after_pause(tap: Floats) -> Floats:
    """Return a tap (1, 4) that comes after a pause."""
    later = tap.copy()
    later[0, 2] = _PAUSE
    return later


def situations(
    performances: Sequence[Floats], count: int, rng: np.random.Generator
) -> dict[str, list[Floats]]:
    """Return what the model hears before the answers, by situation."""
    first = [before for before, _ in split_in_half(performances)]
    heard = [first[i % len(first)] for i in range(count)]
    taps = [np.array([[x, y, 0.0, 0.0]]) for x, y in rng.random((count, 2)).tolist()]
    long = []
    for _ in range(count):
        order = rng.permutation(len(performances))
        joined = np.concatenate([performances[i] for i in order])[:_HISTORY].copy()
        joined[1:, 2] = np.where(
            joined[1:, 2] > 0, joined[1:, 2], 1.0
        )  # between two performances
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
    """Draw some answers in each situation, and the features from answer to answer."""
    rows, wide, cell = len(shown), 12.0, 1.08
    high = 0.6 + rows * (cell + 0.1) + 3.9
    figure = Figure(figsize=(wide, high), dpi=70, facecolor=PAPER)
    for row, (name, examples) in enumerate(shown.items()):
        y = 0.5 + row * (cell + 0.1)
        figure.text(
            0.5 / wide, 1 - (y + cell / 2) / high, name, color=INK, size=10, va="center"
        )
        for column, (heard, answer) in enumerate(examples):
            x = 2.55 + column * (cell + 0.06)
            axes = figure.add_axes(
                (x / wide, 1 - (y + cell) / high, cell / wide, cell / high), facecolor=PAPER
            )
            axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=FAINT, linewidth=0.7)
            draw_strokes(axes, heard[-200:], FAINT, 0.6)
            draw_strokes(
                axes,
                np.concatenate([heard[-1:], answer]),
                MACHINE[1],
                1.0,
                earlier=len(heard[-1:]),
            )
    for index, (name, title) in enumerate(FEATURES.items()):
        column, row = index % 3, index // 3
        x, y = 0.5 + column * 3.85, high - 3.3 + row * 1.75
        axes = figure.add_axes((x / wide, 1 - (y + 1.1) / high, 3.3 / wide, 1.1 / high))
        axes.set_facecolor("none")
        number = np.arange(1, len(rounds) + 1)
        mean, lower, upper = np.array([summary[name] for summary in rounds]).T
        axes.axhspan(*people[name][1:], color=PEOPLE[0], alpha=0.35, linewidth=0)
        axes.axhline(people[name][0], color=PEOPLE[1], linewidth=1.2)
        axes.fill_between(number, lower, upper, color=MACHINE[0], alpha=0.45, linewidth=0)
        axes.plot(number, mean, "o-", color=MACHINE[1], ms=3)
        axes.set_title(title, size=9, color=INK, loc="left", pad=4)
        axes.set(xlim=(0.8, len(rounds) + 0.2), ylim=(0, None), xticks=[1, 5, 10])
        axes.tick_params(colors=INK, labelsize=7, length=2)
        for side, spine in axes.spines.items():
            spine.set(color=FAINT, visible=side == "bottom")
    y = 1 - (high - 3.62) / high
    text = (
        "The machine's first to tenth answer in a row (blue), and people (red): "
        "means, and the middle half"
    )
    figure.text(0.5 / wide, y, text, color=INK, size=9.5)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Save a picture as a small PNG file: 64 colours are enough for lines."""
    with BytesIO() as buffer:
        figure.savefig(buffer, format="png", facecolor=PAPER)
        Image.open(buffer).convert("RGB").quantize(64).save(path, format="PNG", optimize=True)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("corpus", type=Path, help="held-out performances")
    parser.add_argument("--model", help="a file or name (default: the default model)")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="draw the picture to this file")
    args = parser.parse_args()
    one_thread()
    file = read(find(args.model))
    sampling = {"temperature": file.description.temperature, "spread": file.description.spread}
    performances = list(clean(read_corpus(args.corpus)).performances())
    pieces = cut_into_pieces(performances)
    people = summarise([piece for piece in pieces if piece[:, 2].sum() > SECONDS - 1])
    figures: dict[str, Any] = {"model": file.path.name, "sha256": file.sha256, **sampling}
    figures |= {"seed": args.seed, "answers": args.answers, "figures": "mean, quarters"}
    figures["people"] = people
    rng, shown = np.random.default_rng(args.seed), {}
    every = max(1, args.answers // _SHOWN)
    for name, heard in situations(performances, args.answers, rng).items():
        answers = make_answers(file, heard, seed=args.seed, **sampling)
        figures[name] = summarise(answers)
        shown[name] = list(zip(heard, answers, strict=True))[::every][:_SHOWN]
    heard = [before for before, _ in split_in_half(performances)]
    heard = [heard[i % len(heard)] for i in range(args.answers)]
    rounds = []
    for number in range(_ROUNDS):
        answers = make_answers(file, heard, seed=args.seed + number, **sampling)
        rounds.append(summarise(answers))
        before, heard = (
            heard,
            [np.concatenate(both) for both in zip(heard, answers, strict=True)],
        )
    shown["its tenth answer in a row"] = list(zip(before, answers, strict=True))[::every][
        :_SHOWN
    ]
    figures["answers in a row"] = rounds
    print_and_save(figures, args.json)
    if args.picture:
        draw(shown, rounds, people, args.picture)


if __name__ == "__main__":
    main()
