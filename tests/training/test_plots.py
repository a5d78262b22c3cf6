"""The picture of a run: that it is drawn, and shows the best."""

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


def test_a_run_is_drawn(tmp_path):
    from matplotlib.image import imread

    to = tmp_path / "run.png"
    plots.draw(run([-1.0, None, -2.0, None, -1.5]), to, title="a run")
    red = np.array([0xC8, 0x55, 0x3D]) / 255  # the held-out scores

    def drawn() -> int:
        return int((np.abs(imread(to)[..., :3] - red).max(-1) < 0.1).sum())

    assert drawn() > 200
    # What it began with is the best there is, where nothing better came.
    plots.draw(run([-1.0, None, None]), to, title="without a score since")
    assert drawn() > 0
    plots.draw(run([None, None, None]), to, title="without a score")
    assert drawn() == 0


def test_of_a_run_without_steps_there_is_no_picture(tmp_path):
    plots.draw(run([-1.0]), tmp_path / "run.png", title="none")
    assert list(tmp_path.iterdir()) == []


def test_nowhere_is_a_board_too():
    with plots.board(None) as board:
        assert board(run([None])[0]) is None
