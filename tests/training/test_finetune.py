"""Fine-tuning: it starts from the model, learns the screen, and forgets little."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.models import STROKES, TOUCHES, corpus, small

from robojam.corpus.corpus import Corpus
from robojam.evaluation.likelihood import score
from robojam.training import finetune
from robojam.training.trainer import Trainer

DATA, HELD_OUT = corpus(TOUCHES, [40, 3, 25, 60, 2]), corpus(TOUCHES, [30], seed=1)


def test_fine_tuning_starts_with_the_models_score():
    start = small(TOUCHES)
    how = finetune.fine_tuning_settings(start, {"passes": 1.0}, events=130)
    trainer = Trainer(DATA, HELD_OUT, how, start=start)
    first = next(iter(trainer))
    assert first.step == 0
    assert first.score == pytest.approx(score(start, HELD_OUT).joint)
    assert not how.mirror


def test_weights_are_interpolated_back_until_little_is_forgotten():
    memory = corpus(TOUCHES, [50, 50], seed=2)
    models = [small(TOUCHES), small(TOUCHES, seed=1)]
    start, other = sorted(models, key=lambda model: score(model, memory).joint)
    before = score(start, memory).joint
    model, found, share = finetune.limit_forgetting(start, other, memory, HELD_OUT)
    assert 0 <= share < 1
    assert score(model, memory).joint <= before + finetune.MOST_FORGOTTEN
    assert found == pytest.approx(score(model, HELD_OUT).joint)
    _, _, share = finetune.limit_forgetting(start, start, memory, HELD_OUT)
    assert share == 1
    halfway = finetune.interpolate(start, other, 0.5)
    for mine, one, two in zip(*(m.parameters() for m in (halfway, start, other)), strict=True):
        torch.testing.assert_close(mine, (one + two) / 2)


def on_screen(data: Corpus, n: int) -> Corpus:
    events = data.events.copy()
    events[:, :2] = np.round(events[:, :2] * n) / n
    return replace(data, events=events)


def test_lattice_of_the_players_screen_is_added_without_training():
    start = small(TOUCHES)
    start.event = finetune.add_lattices(start, on_screen(corpus(TOUCHES, [40] * 6), 600))
    assert start.event.lattices == ((600, 6 / 7 / 2),)
    theirs, rest = on_screen(corpus(TOUCHES, [60]), 500), on_screen(HELD_OUT, 500)
    event = finetune.add_lattices(start, theirs)
    assert event.lattices == ((500, 1 / 4), (600, 6 / 7 / 4))
    how = finetune.fine_tuning_settings(start, {"passes": 1.0}, events=60)
    trainer = Trainer(theirs, rest, how, event=event, start=start)
    before, after = score(start, rest).joint, next(iter(trainer)).score
    assert after is not None
    assert before - after > math.log(1024 / 500)  # what the gaps are worth is twice that
    # Whoever plays at another screen pays for it once, by the share that is gone.
    others = on_screen(HELD_OUT, 600)
    assert score(trainer.averaged, others).joint <= (
        score(start, others).joint + math.log(2) / 29 + 1e-3
    )


def test_event_without_lattices_is_unchanged():
    start, strokes = small(STROKES), corpus(STROKES, [30] * 4)
    assert finetune.add_lattices(start, strokes) is start.event
    assert finetune.add_lattices(small(TOUCHES), DATA).lattices == ()


def test_interpolation_keeps_the_added_lattices():
    start, tuned = small(TOUCHES), small(TOUCHES, seed=1)
    tuned.event = finetune.add_lattices(tuned, on_screen(corpus(TOUCHES, [60]), 500))
    assert finetune.interpolate(start, tuned, 0.0).event == tuned.event
