"""The programs that judge models: each variant still trains, and what is wrong is counted."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.models import TOUCHES, corpus

from robojam.model import features
from robojam.training import trainer as train
from robojam.training.batches import Chunk
from robojam.training.trainer import TrainingSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("no benchmarks/ here", allow_module_level=True)
sys.path.append(str(BENCHMARKS))

import answers  # noqa: E402
import kept  # noqa: E402
from variants import VARIANTS, copies  # noqa: E402
from variants.distilled import Taught  # noqa: E402

import models  # noqa: E402

LARGE = ("l", "robojam 2018")


def touches(*rows: tuple[float, float, float]) -> Any:
    """Slides (x, y, dt) of one finger."""
    return np.array([[x, y, dt, 1.0] for x, y, dt in rows])


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in LARGE])
def test_a_variant_trains_is_scored_and_leaves_nothing_behind(name, monkeypatch):
    monkeypatch.setattr(models, "measure", lambda *_, **__: [0.0, 0.0])
    variant = VARIANTS[name]
    small = {"units": 8, "hidden": 8, "components": 2, "window": 16, "batch": 64, "passes": 1}
    before = dict(vars(features)), train.EventModel, train.WindowSampler, train.score
    settings = TrainingSettings(**{**variant.settings, **small})
    found = models.run(
        variant, corpus(TOUCHES, [40, 30]), corpus(TOUCHES, [20], seed=1), settings
    )
    assert before == (dict(vars(features)), train.EventModel, train.WindowSampler, train.score)
    assert math.isfinite(found["xydt"] if found["joint"] is None else found["joint"])
    if found["parts"]:
        assert sum(found["parts"].values()) == pytest.approx(found["joint"])
    assert found["parameters"] > 0


def test_what_came_before_an_opening_is_heard_and_not_scored():
    data = corpus(TOUCHES, [20] * 30)
    windows = copies.Preceded(data, TOUCHES)
    group = [Chunk(start, start + 20, True) for start in data.offsets[:-1].tolist()]
    batch = windows.draw(group, np.random.default_rng(0), mirror=False, device="cpu")
    scored, dt = batch.scored.numpy(), batch.events[..., 2].numpy()
    preceded = ~scored[:, 0]
    assert 5 < preceded.sum() < 25
    assert (scored.sum(1) == np.where(preceded, 19, 20)).all()
    pauses = dt[preceded, scored[preceded].argmax(1) - 1]
    assert ((pauses >= 0.3) & (pauses <= 3.01)).all()
    assert windows.corpus is data


@pytest.mark.parametrize("name", ["impsy", "robojam's head"])
def test_what_others_have_learns_when_it_is_trained(name):
    data, held_out = corpus(TOUCHES, [40] * 8), corpus(TOUCHES, [40], seed=1)
    before, after = (
        models.run(
            VARIANTS[name], data, held_out, TrainingSettings(batch=64, window=16, passes=passes)
        )
        for passes in (0.01, 12)
    )
    assert after["xydt"] < before["xydt"] - 0.5


def test_a_table_tells_what_is_better_than_the_baseline():
    about = {"base": "b", "units": 8, "passes": 1.0, "xydt": None, "parameters": 10}
    about |= {"touches_per_second": 5, "parts": {"phase": 1.0, "dt": 2.0, "xy": 3.0}}
    runs = [("baseline", 0, -1.0), ("baseline", 1, -3.0), ("gru", 0, -4.0)]
    lines = [about | {"variant": v, "seed": s, "joint": joint} for v, s, joint in runs]
    older = lines[0] | {"base": "a", "variant": "s"}
    rows = models.table([older, *lines]).splitlines()[2:]
    assert len(rows) == 2
    assert "-2.00 (-3.00 to -1.00)" in rows[0]
    assert "| gru |" in rows[1]
    assert "| +2.00 |" in rows[1]


def test_what_is_stuck_at_a_point():
    held = touches((0.5, 0.5, 0), (0.5, 0.5, 3))
    assert answers.stuck_at_a_point(held) == 0  # a rest, and not stuck
    repeated = touches(*[(0.5, 0.5, 0.2)] * 8)
    assert answers.stuck_at_a_point(repeated) == pytest.approx(1.4)
    assert answers.stuck_at_a_point(touches(*[(0.5, 0.5, 1.2)] * 8)) == 0
    creeping = touches(*[(0.5 + i / 2000, 0.5, 0.1) for i in range(40)])
    assert answers.stuck_at_a_point(creeping) == pytest.approx(0.3)


def test_what_is_stuck_at_an_edge():
    along = touches(*[(0.0, 0.1 * i, 0.3) for i in range(6)])
    assert answers.stuck_at_an_edge(along) == pytest.approx(1.5)
    assert answers.stuck_at_a_point(along) == 0
    left = touches(*[(0.0 if i % 3 else 0.5, 0.1 * i, 0.3) for i in range(9)])
    assert answers.stuck_at_an_edge(left) == 0
    assert answers.stuck_at_an_edge(np.empty((0, 4))) == 0


def test_what_is_a_flood_and_what_is_silent():
    flood = touches(*[(0.1, 0.1, 0.001)] * 300)
    assert answers.most_in_a_second(flood) == 300
    found = answers.judged([flood, touches((0.5, 0.5, 1)), np.empty((0, 4))])
    assert found["touches in a second"]["pieces"] == 1
    assert found["touches in a second"]["worst"][0] == [0, 300.0]
    assert found["silent throughout"] == {"pieces": 1, "which": [2]}


def test_pieces_are_of_five_seconds_and_lose_nothing():
    played = touches((0.1, 0.1, 0), (0.2, 0.1, 4), (0.3, 0.1, 3), (0.4, 0.1, 9))
    found = answers.pieces([played])
    assert [len(piece) for piece in found] == [2, 1, 0, 1]
    assert found[1][0, 2] == pytest.approx(2)
    assert found[3][0, 2] == pytest.approx(1)


def test_what_teachers_draw_is_what_they_think():
    """Of their own draws they think as of what they would draw, blurred as data is."""
    data = corpus(TOUCHES, [40] * 12)
    settings = TrainingSettings(
        units=16, hidden=16, components=2, window=64, batch=480, passes=60
    )
    learnt = []
    for seed in (0, 1):
        trainer = train.Trainer(data, data, replace(settings, seed=seed, dropout=0.0))
        for _ in trainer:
            pass
        learnt.append(trainer.best)
    pupil = Taught(data, data, settings, event=learnt[0].event, teachers=learnt)
    batch = pupil.draw(pupil._pass()[0])
    drawn = torch.stack([pupil.drawn(batch) for _ in range(40)])
    heard = batch.events[batch.scored]
    assert drawn.shape == (40, *heard.shape)
    assert (drawn[..., 2] >= 0).all()
    # A phase is drawn as often as the teachers' mean chance of it says.
    chances = []
    for teacher in learnt:
        seen, *_ = teacher.listen(batch.events, teacher.initial(len(batch.events)))
        logit = teacher.head[0](
            torch.tanh(teacher.trunk(seen)[..., : teacher.event.factors[0].hidden])
        )
        chances.append(torch.sigmoid(logit[batch.scored][:, 0]))
    chance = torch.stack(chances).mean(0).detach()
    assert float((drawn[..., 3].mean(0) - chance).abs().mean()) < 0.08
    assert float(drawn[..., 3].mean() - chance.mean()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("indent", [1, 2])
def test_what_is_told_is_what_is_kept(indent, tmp_path, capsys):
    path, found = tmp_path / "a.json", {"pieces": 2, "worst": [1.5, None]}
    kept.tell(found, None, indent=indent)
    kept.tell(found, path, indent=indent)
    told = path.read_text()
    assert capsys.readouterr().out == told + told
    assert json.loads(told) == found
    assert told.splitlines()[1] == " " * indent + '"pieces": 2,'
