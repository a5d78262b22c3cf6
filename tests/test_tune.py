"""Learning from one player: it begins with what was known, and forgets little of it."""

from __future__ import annotations

import pytest
import torch
from learning import TOUCHES, corpus, small

from robojam import tune
from robojam.evaluate import score
from robojam.train import Settings, Trainer

DATA, HELD_OUT = corpus(TOUCHES, [40, 3, 25, 60, 2]), corpus(TOUCHES, [30], seed=1)


def test_going_on_from_a_model_begins_with_it():
    start = small(TOUCHES)
    how = tune.settings(start, Settings(), {"passes": 1.0}, events=130)
    trainer = Trainer(DATA, HELD_OUT, how, start=start)
    first = next(iter(trainer))
    assert first.step == 0
    assert first.score == pytest.approx(score(start, HELD_OUT).joint)
    assert not how.mirror


def test_it_steps_back_as_far_as_it_must_remember():
    memory = corpus(TOUCHES, [50, 50], seed=2)
    models = [small(TOUCHES), small(TOUCHES, seed=1)]
    start, other = sorted(models, key=lambda model: score(model, memory).joint)
    before = score(start, memory).joint
    model, found, share = tune.stepped_back(start, other, memory, HELD_OUT)
    assert 0 <= share < 1
    assert score(model, memory).joint <= before + tune.ALLOWED
    assert found == pytest.approx(score(model, HELD_OUT).joint)
    _, _, share = tune.stepped_back(start, start, memory, HELD_OUT)
    assert share == 1
    halfway = tune.between(start, other, 0.5)
    for mine, one, two in zip(*(m.parameters() for m in (halfway, start, other)), strict=True):
        torch.testing.assert_close(mine, (one + two) / 2)
