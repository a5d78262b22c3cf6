"""The picture of a training run, and the same while it runs, for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robojam.training.trainer import Progress


@contextmanager
def board(folder: Path | None) -> Iterator[Callable[[Progress], None]]:
    """Write a run's progress for TensorBoard into a folder; nowhere, if that is None.

    Raises ModuleNotFoundError where tensorboardX is not installed.
    """
    if folder is None:
        yield lambda _: None
        return
    from tensorboardX import SummaryWriter

    def write(now: Progress) -> None:
        if math.isfinite(now.loss):
            writer.add_scalar("loss", now.loss, now.step)
        if now.score is not None:
            writer.add_scalar("held_out", now.score, now.step)

    with SummaryWriter(str(folder)) as writer:
        yield write


def draw(history: Sequence[Progress], path: Path, *, title: str) -> None:
    """Draw the loss and the held-out scores of a run, step by step, in nats per event."""
    from matplotlib.figure import Figure

    learnt = [now for now in history if math.isfinite(now.loss)]  # not before the first step
    if not learnt:
        return
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    steps = [now.step for now in learnt]
    losses = [now.loss for now in learnt]
    scored = [(now.step, now.score) for now in history if now.score is not None]
    axes.plot(steps, losses, color="#9a9aa2", linewidth=1, label="training, smoothed")
    if scored:
        axes.plot(*zip(*scored, strict=True), "o-", color="#c8553d", ms=3, label="held out")
        at, best = min(scored, key=lambda pair: pair[1])
        axes.annotate(
            f"{best:.3f}", (at, best), xytext=(0, -12), textcoords="offset points", ha="center"
        )
        low = min(best, *losses)
        # The first steps tell little and would flatten all that follows.
        high = max(losses[len(losses) // 20 :])
        axes.set_ylim(low - 0.1 * (high - low + 0.1), high + 0.1 * (high - low + 0.1))
    axes.set(title=title, xlabel="step", ylabel="nats per event, lower is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})
