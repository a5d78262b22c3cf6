"""Plot of a training run, and its progress in TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robojam.export.figures import make_figure, save_figure
from robojam.training.trainer import Progress


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that writes progress for TensorBoard into a folder; None: nowhere.

    Raises ModuleNotFoundError where tensorboardX is not installed.
    """
    if folder is None:
        yield lambda _: None
        return
    from tensorboardX import SummaryWriter

    def write(progress: Progress) -> None:
        if math.isfinite(progress.loss):
            writer.add_scalar("loss", progress.loss, progress.step)
        if progress.score is not None:
            writer.add_scalar("held_out", progress.score, progress.step)

    with SummaryWriter(str(folder)) as writer:
        yield write


def plot(history: Sequence[Progress], path: Path, *, title: str) -> None:
    """Plot the loss and the held-out scores of a run by step, in nats per event.

    path ends in one of `figures.KINDS`. Without a step there is nothing to plot, and no
    file. Raises OSError where it cannot be written.
    """
    trained = [progress for progress in history if math.isfinite(progress.loss)]
    if not trained:
        return
    figure = make_figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    steps = [progress.step for progress in trained]
    losses = [progress.loss for progress in trained]
    scores = [(p.step, p.score) for p in history if p.score is not None]
    axes.plot(steps, losses, color="#9a9aa2", linewidth=1, label="training, smoothed")
    if scores:
        axes.plot(*zip(*scores, strict=True), "o-", color="#c8553d", ms=3, label="held out")
        best_step, best = min(scores, key=lambda pair: pair[1])
        below: dict[str, Any] = {"xytext": (0, -12), "textcoords": "offset points"}
        axes.annotate(f"{best:.3f}", (best_step, best), ha="center", **below)
        low = min(best, *losses)
        # The high losses of the first steps would flatten the rest of the curve.
        high = max(losses[len(losses) // 20 :])
        axes.set_ylim(low - 0.1 * (high - low + 0.1), high + 0.1 * (high - low + 0.1))
    axes.set(title=title, xlabel="step", ylabel="nats per event, lower is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_figure(figure, path)
