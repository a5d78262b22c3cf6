"""The touch model from Python: feed it a performance, draw its forecast and its answers.

    python examples/performance.py --to performance.png
    python examples/performance.py jam.jsonl ../shared/corpus/microjam_val.npz --to two.png

Without a file it is fed three strokes that are made here. The picture shows these strokes,
the density of the next place (both for a slide and for a new landing), and five answers of
five seconds. Takes about five seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from robojam.corpus.corpus import CorpusError, clean
from robojam.corpus.formats import read
from robojam.mixture import Mixture
from robojam.model.file import find
from robojam.model.file import read as read_model
from robojam.player.player import ModelPlayer

SECONDS, ANSWERS = 5.0, 5


def gesture() -> np.ndarray:
    """Return three strokes (n, 4): an arc, the same arc moved, and the beginning of a third."""
    rows = []
    for stroke, (x, y, points) in enumerate(
        [(0.3, 0.62, 22), (0.42, 0.45, 22), (0.54, 0.28, 13)]
    ):
        for i in range(points):
            turn = math.pi * (1 - i / 21)
            dt = 0.02 if i else 0.35 * (stroke > 0)
            rows.append(
                (x + 0.17 * math.cos(turn), y - 0.14 * math.sin(turn), dt, float(i > 0))
            )
    return np.array(rows, np.float32)


def load(model: str | None = None, *, voices: int = ANSWERS, seed: int = 0) -> ModelPlayer:
    """Return a player of a model by path or name; by default, of robojam's own model."""
    return ModelPlayer(read_model(find(model)), voices=voices, seed=seed)


def feed(player: ModelPlayer, touches: np.ndarray) -> None:
    for x, y, dt, moving in touches.tolist():
        player.feed(x, y, dt, moving > 0.5)


def expected(player: ModelPlayer) -> Mixture:
    """Return the forecast of the next touch, as a mixture over the place."""
    weight, x, y, sx, sy, rho = np.array(player.forecast(), np.float32).T
    independent = np.sqrt(1 - rho**2)  # the share of sy that does not follow x
    table = [np.log(weight), np.stack([x, y], -1), np.log(np.stack([sx, sy * independent], -1))]
    logits, loc, log_scale = map(torch.from_numpy, table)
    return Mixture(logits, loc, log_scale, torch.from_numpy((rho / independent)[:, None]))


def answer(player: ModelPlayer, voice: int, *, seconds: float = SECONDS) -> np.ndarray:
    """Return what a voice plays within a time in seconds: touches (n, 4)."""
    played, at = [], 0.0
    while True:
        proposal = player.sample([voice])[0]
        x, y = min(max(proposal.x, 0.0), 1.0), min(max(proposal.y, 0.0), 1.0)
        dt = min(max(proposal.dt, 0.001), 5.0)
        at += dt
        if at > seconds:
            return np.array(played, np.float32).reshape(-1, 4)
        played.append((x, y, dt, float(proposal.moving)))
        player.commit(voice, x, y, dt, proposal.moving)


def lines(axes, touches: np.ndarray, color: str) -> None:
    """Draw the strokes of a performance."""
    starts = np.flatnonzero(touches[:, 3] < 0.5)
    for stroke in np.split(touches, starts):
        if len(stroke):
            axes.plot(stroke[:, 0], stroke[:, 1], color=color, linewidth=1.4)
            axes.plot(*stroke[0, :2], ".", color=color, markersize=5)


def draw(
    heard: list[np.ndarray],
    forecasts: list[Mixture],
    answers: list[list[np.ndarray]],
    path: Path,
) -> None:
    from matplotlib.figure import Figure

    rows, columns = len(heard), ANSWERS + 1
    figure = Figure(figsize=(2 * columns, 1.98 * rows + 0.1), dpi=100, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    xs = torch.linspace(0, 1, 300)
    places = torch.stack(torch.meshgrid(xs, xs, indexing="xy"), -1)
    for panels, touches, mixture, played in zip(grid, heard, forecasts, answers, strict=True):
        density = mixture.log_prob(places).clamp_min(-4)
        panels[0].imshow(density.numpy(), extent=(0, 1, 1, 0), cmap="Blues", vmin=-4, vmax=9)
        lines(panels[0], touches, "#111111")
        for axes, answer_touches in zip(panels[1:], played, strict=True):
            lines(axes, touches, "#cccccc")
            lines(axes, answer_touches, "#1f5c8c")
    for axes in grid.flat:
        axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", xticks=[], yticks=[])
    grid[0][0].set_title("heard, and the next place", fontsize=9)
    for number, axes in enumerate(grid[0][1:], 1):
        axes.set_title(f"answer {number}", fontsize=9)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("performances", nargs="*", type=Path, help="sessions, corpora")
    parser.add_argument("--to", type=Path, default=Path("performance.png"))
    parser.add_argument("--model", help="a model file or name")
    parser.add_argument(
        "--number", type=int, default=0, help="index of the performance in each file, from 0"
    )
    parser.add_argument("--quick", action="store_true", help="answers of one second")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        read_files = [list(clean(read(path)).performances()) for path in args.performances]
    except CorpusError as error:
        parser.error(str(error))
    if any(not 0 <= args.number < len(performances) for performances in read_files):
        parser.error(f"--number {args.number}: a file has fewer performances")
    heard = [performances[args.number] for performances in read_files]
    heard = heard or [gesture()]
    forecasts, answers = [], []
    for touches in heard:
        player = load(args.model, seed=args.seed)
        feed(player, touches)
        forecasts.append(expected(player))
        seconds = 1.0 if args.quick else SECONDS
        answers.append([answer(player, voice, seconds=seconds) for voice in range(ANSWERS)])
        counts = ", ".join(str(len(touches)) for touches in answers[-1])
        print(f"heard {len(touches)} touches; answered with {counts}")
        likeliest = ", ".join(f"{place:.3f}" for place in forecasts[-1].mode.tolist())
        print(f"most likely next place: {likeliest}")
    draw(heard, forecasts, answers, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    main()
