"""The touch model from Python: hear a performance, draw what it expects, let it answer.

    python examples/performance.py --to performance.png
    python examples/performance.py jam.jsonl ../shared/corpus/microjam_val.npz --to two.png

Without a file it hears three strokes made here. The picture shows what was heard, the
density of the next place (should the finger slide, and should it land anew), and five
answers of five seconds. Some five seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read
from robojam.mixture import Mixture
from robojam.model.file import find
from robojam.model.file import read as read_model
from robojam.player.player import ModelPlayer

SECONDS, ANSWERS = 5.0, 5


def gesture() -> np.ndarray:
    """Make three strokes (n, 4): an arc, its echo, and the beginning of a third."""
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
    """Load a model by path or name; without, robojam's own."""
    return ModelPlayer(read_model(find(model)), voices=voices, seed=seed)


def hear(player: ModelPlayer, touches: np.ndarray) -> None:
    for x, y, dt, moving in touches.tolist():
        player.feed(x, y, dt, moving > 0.5)


def expected(player: ModelPlayer) -> Mixture:
    """Say what is expected of the next touch, as a mixture over the place."""
    weight, x, y, sx, sy, rho = np.array(player.forecast(), np.float32).T
    lean = np.sqrt(1 - rho**2)
    table = [np.log(weight), np.stack([x, y], -1), np.log(np.stack([sx, sy * lean], -1))]
    logits, loc, log_scale = map(torch.from_numpy, table)
    return Mixture(logits, loc, log_scale, torch.from_numpy((rho / lean)[:, None]))


def answer(player: ModelPlayer, voice: int, *, seconds: float = SECONDS) -> np.ndarray:
    """Let a voice play until its time is over: touches (n, 4), as it would play them."""
    played, at = [], 0.0
    while True:
        p = player.sample([voice])[0]
        x, y = min(max(p.x, 0.0), 1.0), min(max(p.y, 0.0), 1.0)
        dt = min(max(p.dt, 0.001), 5.0)
        at += dt
        if at > seconds:
            return np.array(played, np.float32).reshape(-1, 4)
        played.append((x, y, dt, float(p.moving)))
        player.play(voice, x, y, dt, p.moving)


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
        for axes, one in zip(panels[1:], played, strict=True):
            lines(axes, touches, "#cccccc")
            lines(axes, one, "#1f5c8c")
    for axes in grid.flat:
        axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", xticks=[], yticks=[])
    grid[0][0].set_title("heard, and what comes next", fontsize=9)
    for number, axes in enumerate(grid[0][1:], 1):
        axes.set_title(f"answer {number}", fontsize=9)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("performances", nargs="*", type=Path, help="sessions, corpora")
    parser.add_argument("--to", type=Path, default=Path("performance.png"))
    parser.add_argument("--model", help="a model file, or its name")
    parser.add_argument("--number", type=int, default=0, help="which performance of a file")
    parser.add_argument("--quick", action="store_true", help="answers of one second")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    heard = [list(clean(read(path)).performances())[args.number] for path in args.performances]
    heard = heard or [gesture()]
    forecasts, answers = [], []
    for touches in heard:
        player = load(args.model, seed=args.seed)
        hear(player, touches)
        forecasts.append(expected(player))
        seconds = 1.0 if args.quick else SECONDS
        answers.append([answer(player, voice, seconds=seconds) for voice in range(ANSWERS)])
        told = ", ".join(str(len(one)) for one in answers[-1])
        print(f"heard {len(touches)} touches; answered with {told}")
        likeliest = ", ".join(f"{place:.3f}" for place in forecasts[-1].mode.tolist())
        print(f"the likeliest next place: {likeliest}")
    draw(heard, forecasts, answers, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # nothing here is large enough to share
    main()
