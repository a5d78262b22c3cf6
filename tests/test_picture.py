"""Jams as pictures: posters and contact sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from test_listing import run

from robojam import picture
from robojam.picture import strokes
from robojam.session import read

EXAMPLES = sorted((Path(__file__).parents[1] / "sessions").glob("example*.jsonl"))


def test_pictures(tmp_path, capsys):
    from matplotlib.image import imread

    for name, paths in (("one", EXAMPLES[:1]), ("sheet", EXAMPLES * 3)):
        to = tmp_path / f"{name}.png"
        assert run(capsys, "export", *paths, "--to", to)[0] == 0
        pixels = imread(to)[..., :3]
        # Warm for people, cool for the machine, on paper.
        assert ((pixels[..., 0] - pixels[..., 2]) > 0.4).mean() > 0.002
        assert ((pixels[..., 2] - pixels[..., 0]) > 0.25).mean() > 0.002
        assert np.allclose(pixels[0, 0], [0xF7 / 255, 0xF2 / 255, 0xE8 / 255], atol=0.01)


def test_strokes_are_from_landing_to_lifting():
    session = read(EXAMPLES[0])  # the duet
    found = strokes(session)
    downs = [e for e in session.touches() if e.touch.phase == "down"]
    assert len(found) == len(downs)
    assert sum(len(s.t) for s in found) == sum(session.summary().touches.values())
    assert sum(s.tap for s in found if not s.machine) == 4
    curve = picture._curved(np.array([[0, 0], [0.5, 0.5], [1, 0.0]]))
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 0]
