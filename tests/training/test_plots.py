"""The plot of a training run."""

from __future__ import annotations

import math

import numpy as np

from robojam.training import plots
from robojam.training.trainer import Progress


def run(scores: list[float | None]) -> list[Progress]:
    return [
        Progress(step, len(scores), -step / 9 if step else math.nan, 100.0, 1.0, score, score)
        for step, score in enumerate(scores)
    ]


def test_plot_shows_the_held_out_scores(tmp_path):
    from matplotlib.image import imread

    to = tmp_path / "run.png"
    plots.plot(run([-1.0, None, -2.0, None, -1.5]), to, title="a run")
    red = np.array([0xC8, 0x55, 0x3D]) / 255  # the held-out scores

    def drawn() -> int:
        return int((np.abs(imread(to)[..., :3] - red).max(-1) < 0.1).sum())

    assert drawn() > 200
    # Without a later score, the score at the start is the best one.
    plots.plot(run([-1.0, None, None]), to, title="without a score since")
    assert drawn() > 0
    plots.plot(run([None, None, None]), to, title="without a score")
    assert drawn() == 0


def test_run_without_steps_has_no_plot(tmp_path):
    plots.plot(run([-1.0]), tmp_path / "run.png", title="none")
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_without_a_folder_writes_nothing():
    with plots.tensorboard(None) as write:
        assert write(run([None])[0]) is None
