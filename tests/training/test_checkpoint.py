"""Checkpoints: a resumed run is the same run; anything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.models import TOUCHES, corpus

from robojam.training import checkpoint
from robojam.training.checkpoint import CheckpointError
from robojam.training.trainer import TooLargeError, Trainer, TrainingSettings

SETTINGS = TrainingSettings(
    units=8, components=2, hidden=8, passes=5, window=16, batch=128, warmup=4, dropout=0.1
)
DATA, HELD_OUT = corpus(TOUCHES, [40, 3, 25, 60, 2]), corpus(TOUCHES, [30], seed=1)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
def test_resumed_run_equals_an_uninterrupted_one(steps, tmp_path):
    straight = Trainer(DATA, HELD_OUT, SETTINGS)
    history = [replace(now, events_per_second=0, seconds_left=0) for now in straight]
    first = Trainer(DATA, HELD_OUT, SETTINGS)
    for _ in zip(range(steps), first, strict=False):
        pass
    if steps:
        assert first.step
    checkpoint.save(first, tmp_path / "a.run", {"licence": "mine"})
    torch.rand(7)
    second, about = checkpoint.resume(tmp_path / "a.run", DATA, HELD_OUT)
    assert about == {"licence": "mine"}
    assert second.best_score == first.best_score
    assert second.elapsed == first.elapsed
    rest = [replace(now, events_per_second=0, seconds_left=0) for now in second]
    assert rest == history[len(history) - len(rest) :]
    assert second.step == straight.step
    assert second.best_score == straight.best_score
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name
    for name, weight in straight.best.state_dict().items():
        assert torch.equal(weight, second.best.state_dict()[name]), name


def test_missing_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    path = tmp_path / "a.run"
    with pytest.raises(CheckpointError, match="there is no run"):
        checkpoint.resume(path, DATA, HELD_OUT)
    trainer = Trainer(DATA, HELD_OUT, SETTINGS)
    checkpoint.save(trainer, path, {})
    with pytest.raises(CheckpointError, match="other data"):
        checkpoint.resume(path, replace(DATA, sha256="1" * 64), HELD_OUT)
    whole = path.read_bytes()
    for torn in (b"", whole[:100], whole[:-1], b"hello"):
        path.write_bytes(torn)
        with pytest.raises(CheckpointError, match="no run that can be gone on with"):
            checkpoint.resume(path, DATA, HELD_OUT)


def test_run_ends_after_patience_scorings_without_improvement():
    settings = replace(SETTINGS, passes=400, score_every=1, patience=3, rate=1e-9)
    trainer = Trainer(DATA, HELD_OUT, replace(settings, average=0.0, dropout=0.0))
    history = [now.score for now in trainer if now.score is not None]
    assert trainer.step < trainer.steps
    assert history.index(min(history)) == len(history) - 4


def test_batch_too_large_for_memory_names_a_size_that_fits(monkeypatch):
    trainer = Trainer(DATA, HELD_OUT, replace(SETTINGS, window=8))
    whole = Trainer._loss

    def full(self, batch):
        if len(batch.events) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return whole(self, batch)

    monkeypatch.setattr(Trainer, "_loss", full)
    with pytest.raises(TooLargeError, match=r"batch of 128 events.*--batch \d+ would"):
        list(trainer)
    monkeypatch.setattr(Trainer, "_loss", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(TooLargeError, match="no smaller one"):
        list(Trainer(DATA, HELD_OUT, SETTINGS))
