"""Training: batches, runs that are reproducible and improve, and the ends of runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import CORPUS, has_corpus
from support.models import STROKES, TOUCHES, corpus, rows

from robojam.corpus.corpus import STROKE, Corpus, clean
from robojam.corpus.formats import read
from robojam.corpus.split import split
from robojam.evaluation.likelihood import score
from robojam.model.event import EventSpec, Factor
from robojam.model.file import DataFile
from robojam.model.mdrnn import load
from robojam.training import trainer as train
from robojam.training.batches import (
    Chunk,
    WindowSampler,
    cut_windows,
    group_batches,
    mirror_randomly,
)
from robojam.training.trainer import (
    NotFiniteError,
    Trainer,
    TrainingSettings,
    event_of,
    schedule,
)

SMALL = TrainingSettings(
    units=8, components=2, hidden=8, passes=3, window=16, batch=128, warmup=4
)
DATA, HELD_OUT = corpus(TOUCHES, [40, 3, 25, 60, 2]), corpus(TOUCHES, [30], seed=1)


def run(*, data: Corpus = DATA, held_out: Corpus = HELD_OUT, **how: Any) -> Trainer:
    trainer = Trainer(data, held_out, replace(SMALL, **how))
    for _ in trainer:
        pass
    return trainer


# Windows and batches


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 200), min_size=1, max_size=20),
    window=st.integers(1, 64),
    context=st.sampled_from([1, 2, 32, 100]),
    seed=st.integers(0, 99),
)
def test_windows_score_every_event_once(lengths, window, context, seed):
    rng = np.random.default_rng(seed)
    chunks = cut_windows(np.array(lengths), window, rng, context=context)
    scored = np.zeros(sum(lengths), int)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    whose = np.repeat(np.arange(len(lengths)), lengths)
    for chunk in chunks:
        assert 0 <= chunk.start <= chunk.end <= sum(lengths)
        inside = whose[chunk.start : chunk.end]
        assert len(set(inside.tolist())) <= 1  # of one performance
        assert chunk.end - chunk.start <= window + chunk.context
        assert chunk.context <= context
        if not chunk.context:
            assert chunk.start in starts
        scored[chunk.start + chunk.context : chunk.end] += 1
    assert (scored == 1).all()


def test_windows_differ_from_pass_to_pass():
    rng = np.random.default_rng(0)
    first, second = (cut_windows(np.array([500, 500]), 32, rng) for _ in range(2))
    assert first != second


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    events=st.integers(1, 400),
    seed=st.integers(0, 99),
)
def test_batches_hold_every_window_once_within_the_wanted_size(sizes, events, seed):
    ends = np.cumsum(sizes).tolist()
    chunks = [Chunk(e - s, e, 0) for s, e in zip(sizes, ends, strict=True)]
    groups = list(group_batches(chunks, events, np.random.default_rng(seed)))
    assert sorted(c.start for g in groups for c in g) == [c.start for c in chunks]
    for group in groups:
        longest = max(c.end - c.start for c in group)
        assert len(group) == 1 or longest * len(group) <= events


def test_batches_hold_windows_of_similar_length():
    chunks = [Chunk(0, n, 0) for n in [5, 50] * 20]
    for group in group_batches(chunks, 250, np.random.default_rng(0)):
        assert len({c.end for c in group}) == 1


def test_one_pass_scores_every_event_once():
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=1))
    seen = sum(
        int(trainer.draw(group).scored.sum())
        for group in group_batches(cut_windows(DATA.lengths, 16, trainer.rng), 128, trainer.rng)
    )
    assert seen == len(DATA.events)


def test_batch_holds_the_events_with_fresh_noise():
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, mirror=False))
    group = [Chunk(0, 10, 0), Chunk(49, 55, 1)]
    batch = trainer.draw(group)
    values, scored = batch.events.numpy(), batch.scored.numpy()
    assert (batch.cell.numpy() == np.float32(1 / 1024)).all()  # they lie on no lattice
    assert scored.sum(1).tolist() == [10, 5]
    assert not scored[1, 0]
    for row, chunk in enumerate(group):
        size = chunk.end - chunk.start
        noise = values[row, :size] - DATA.events[chunk.start : chunk.end]
        assert (noise >= -1e-7).all()
        assert (noise <= np.array([1 / 1024, 1 / 1024, 1e-3, 0]) + 1e-7).all()
        assert (noise[:, :3].max(0) > 3e-4).all()
    again = trainer.draw(group).events.numpy()
    assert (again[0, :10, :3] != values[0, :10, :3]).all()  # fresh at every draw


def test_last_steps_are_not_mirrored_and_the_best_of_them_is_kept(monkeypatch):
    shown = []

    def draw(self, group, rng, *, mirror, device):
        shown.append(mirror)
        return real(self, group, rng, mirror=mirror, device=device)

    real = WindowSampler.draw
    monkeypatch.setattr(WindowSampler, "draw", draw)
    scores = iter([-9.0, -1.0, -2.0, -1.5])  # the best is one that never was upright
    monkeypatch.setattr(
        "robojam.training.trainer.score", lambda *_: SimpleNamespace(joint=next(scores))
    )
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=4, score_every=1, upright=0.75))
    for _ in trainer:
        pass
    a_pass = trainer.steps // 4
    assert shown == [True] * a_pass + [False] * (trainer.steps - a_pass)
    assert (trainer.best_score, trainer.best_step) == (-2.0, 3 * a_pass)


def test_stroke_offsets_get_noise_around_their_whole_numbers():
    data = corpus(STROKES, [400])
    trainer = Trainer(data, data, replace(SMALL, mirror=False))
    values = trainer.draw([Chunk(0, 400, 0)]).events.numpy()[0]
    noise = values - data.events
    assert np.abs(noise[:, :2]).max() <= 0.5 + 1e-5
    assert abs(noise[:, :2].mean()) < 0.05
    assert not noise[:, 2].any()


@pytest.mark.parametrize("event", [TOUCHES, STROKES], ids=["touch", "stroke"])
def test_mirror_images_keep_distances_and_all_eight_occur(event):
    """A density per unit of area is comparable only if distances stay the same."""
    rng = np.random.default_rng(0)
    values = np.tile(rows(event, 30, rng), (400, 1, 1))
    columns = next(f.columns for f in event.factors if f.dims == 2)
    before = values.copy()
    after = mirror_randomly(event, values, rng)
    rest = [c for c in range(values.shape[2]) if c not in columns]
    np.testing.assert_array_equal(after[..., rest], before[..., rest])
    steps = [np.diff(v[..., list(columns)], axis=1) for v in (before, after)]
    np.testing.assert_allclose(*(np.hypot(*np.moveaxis(s, 2, 0)) for s in steps), atol=1e-6)
    if event is TOUCHES:
        assert after[..., :2].min() >= -1e-6
        assert after[..., :2].max() <= 1 + 1e-6
    images = {a.tobytes() for a in after.round(4)}
    assert len(images) == 8
    counts = [sum(a.tobytes() == i for a in after.round(4)) for i in images]
    assert min(counts) > 25  # each as often, 50


def test_event_without_a_surface_is_not_mirrored():
    line = EventSpec(
        name="line",
        columns=("x",),
        factors=(Factor(name="x", kind="position", columns=(0,), components=1),),
    )
    values = np.ones((2, 3, 1), np.float32)
    assert mirror_randomly(line, values, np.random.default_rng(0)) is values


def test_learning_rate_rises_and_falls_to_0():
    rates = [schedule(step, step / 1000, 100) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(0.976, abs=0.01)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[99:] == sorted(rates[99:], reverse=True)


# A run


def test_same_seed_gives_the_same_run():
    one, other, another = run(), run(), run(seed=1)
    assert one.step == other.step > 3
    for name, weight in one.model.state_dict().items():
        assert torch.equal(weight, other.model.state_dict()[name]), name
    for name, weight in one.averaged.state_dict().items():
        assert torch.equal(weight, other.averaged.state_dict()[name]), name
    assert one.best_score == other.best_score != another.best_score
    assert not torch.equal(one.model.trunk.weight, another.model.trunk.weight)


def test_run_does_not_depend_on_global_random_state():
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, dropout=0.0))
    for _ in trainer:
        torch.rand(3)  # dropout alone would notice
        np.random.default_rng().random()
    assert trainer.best_score == run(dropout=0.0).best_score


def test_training_improves_loss_and_score():
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=25, bfloat16=False, rate=1e-2))
    before = score(trainer.model, HELD_OUT).joint
    history = list(trainer)
    assert trainer.best_score < before - 1
    assert history[-1].loss < history[0].loss - 0.5  # smoothed


def test_progress_holds_steps_scores_and_rates():
    trainer = Trainer(DATA, HELD_OUT, SMALL)
    history = list(trainer)
    assert [p.step for p in history] == sorted(p.step for p in history)
    assert history[-1].step == history[-1].steps == trainer.step
    assert history[-1].seconds_left == 0
    scored = [p for p in history if p.score is not None]
    assert len(scored) == 2  # after every second pass, and at the end
    assert history[0].best is None
    assert scored[-1].best == min(p.score for p in scored if p.score is not None)
    assert all(
        p.events_per_second > 0 and p.seconds_left >= 0 and math.isfinite(p.loss)
        for p in history
    )


def test_passes_may_be_fractional():
    assert run(passes=0.001).step == 1
    whole = run(passes=1).step
    assert run(passes=1.5).step == round(1.5 * whole)


class Clock:
    """A clock that advances by `tick` seconds at each reading."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now


def test_run_out_of_time_ends_as_one_that_has_made_all_passes(monkeypatch):
    monkeypatch.setattr(train, "time", Clock(1.0))
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=1000, minutes=1))
    shares, rates = [], []
    for now in trainer:
        assert 0 <= now.seconds_left <= 60
        shares.append(trainer.fraction_done)
        rates.append(trainer.optimiser.param_groups[0]["lr"])
    assert 30 < trainer.step < 62 < trainer.steps
    assert shares == sorted(shares)
    assert trainer.finished
    assert 0 < trainer.upright < trainer.step  # which way is up is learnt in a hurry too
    assert rates[-1] < SMALL.rate / 100
    assert now.score is not None
    assert trainer.best is not None


def test_run_within_its_time_equals_one_without_a_limit(monkeypatch):
    whole = run(passes=10)
    monkeypatch.setattr(train, "time", Clock(60 / (whole.step + 8)))
    timed = run(passes=10, minutes=1)
    assert timed.step == whole.step
    for name, weight in whole.averaged.state_dict().items():
        assert torch.equal(weight, timed.averaged.state_dict()[name]), name


def test_best_weights_are_kept_when_later_ones_are_worse(tmp_path, monkeypatch):
    scores = iter([-1.0, -3.0, -2.0])
    monkeypatch.setattr(train, "score", lambda *_: FakeScore(next(scores)))
    trainer = Trainer(DATA, HELD_OUT, SMALL)
    kept: dict[str, Any] = {}
    for now in trainer:
        if now.score == -3.0:
            kept = {n: w.clone() for n, w in trainer.averaged.state_dict().items()}
            at = now.step
    assert trainer.best is not None
    assert (trainer.best_score, trainer.best_step) == (-3.0, at)
    assert all(torch.equal(kept[n], w) for n, w in trainer.best.state_dict().items())
    trainer.save(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors")[1].steps == at


class FakeScore:
    def __init__(self, joint: float) -> None:
        self.joint = joint


def test_stopped_run_saves_its_best_model(tmp_path):
    trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=1000))
    for now in trainer:
        if now.score is not None:
            break
    about = {
        "trained_on": (DataFile("a", "0"),),
        "score_on": (DataFile("b", "1"),),
        "licence": "mine",
    }
    trainer.save(tmp_path / "m.safetensors", **about)
    model, description = load(tmp_path / "m.safetensors")
    assert description.score == trainer.best_score
    assert description.steps == trainer.step
    assert description.trained_on == about["trained_on"]
    assert (description.units, description.licence) == (8, "mine")
    assert "units=8" in description.made_with
    assert score(model, HELD_OUT).joint == pytest.approx(trainer.best_score, abs=1e-6)


def test_save_before_the_first_scoring_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing has been scored"):
        Trainer(DATA, HELD_OUT, SMALL).save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", [{"dropout": 0.2}, {"window": 1}, {"batch": 1}, {"layers": 3}])
def test_training_runs_with_extreme_settings(how):
    assert math.isfinite(run(passes=0.1, **how).best_score)


def test_strokes_are_trained_and_saved(tmp_path):
    data = corpus(STROKES, [30, 40, 20])
    trainer = run(data=data, held_out=data, passes=6)
    trainer.save(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors")[1].event.columns == STROKE


@has_corpus
def test_training_on_kanji_lowers_the_loss():
    data = clean(read(CORPUS / "kanji_stroke3.npz", split="valid"))
    few, held_out = split(data, every=4)
    trainer = Trainer(few, held_out, replace(SMALL, window=64, batch=1024, rate=1e-2))
    losses = [now.loss for now, _ in zip(trainer, range(12), strict=False)]
    assert losses[-1] < losses[0]
    assert np.isfinite(losses).all()


# Errors


def test_nan_in_the_corpus_is_located():
    events = DATA.events.copy()
    events[45, 1] = np.nan
    with pytest.raises(NotFiniteError) as caught:
        run(data=replace(DATA, events=events))
    message = str(caught.value)
    assert "factor 'xy'" in message
    assert "event 45 (performance 3 of made)" in message
    assert "nan" in message
    assert message.endswith("Clean the corpus.")
    assert "\n" not in message


def test_infinity_in_the_corpus_is_located():
    events = DATA.events.copy()
    events[50, 2] = np.inf
    with pytest.raises(NotFiniteError, match=r"event 50 \(performance 3 of made\).*Clean"):
        run(data=replace(DATA, events=events))


def test_too_high_a_learning_rate_is_reported():
    with pytest.raises(NotFiniteError, match=r"at step \d+ .*[Ll]ower the learning rate"):
        run(rate=1e30, passes=200, clip=1e30, bfloat16=False)


def test_held_out_score_of_nan_is_reported(monkeypatch):
    monkeypatch.setattr(train, "score", lambda *_: FakeScore(math.nan))
    with pytest.raises(NotFiniteError, match="held-out score is nan: made"):
        run()


def test_empty_and_mismatched_corpora_are_refused():
    nothing = corpus(TOUCHES, [1, 0, 1], name="nothing")
    for data, held_out in ((nothing, DATA), (DATA, nothing)):
        with pytest.raises(ValueError, match="nothing has no performance of two"):
            Trainer(data, held_out, SMALL)
    with pytest.raises(ValueError, match=r"made holds \(x, y.*, and strokes \(dx, dy"):
        Trainer(DATA, corpus(STROKES, [9], name="strokes"), SMALL)


def test_unknown_columns_are_refused():
    odd = replace(DATA, columns=("a", "b", "c", "d"))
    with pytest.raises(
        ValueError, match=r"made holds \(a, b, c, d\), not touches, strokes or knobs"
    ):
        event_of(odd, SMALL)


def test_event_has_the_sizes_of_the_settings():
    event = event_of(DATA, replace(SMALL, components=7, hidden=20))
    assert [(f.components, f.hidden) for f in event.factors] == [(0, 32), (7, 10), (7, 20)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_model_trained_on_a_gpu_is_saved(tmp_path: Path):
    trainer = run(device="cuda")
    trainer.save(tmp_path / "m.safetensors")
    model, _ = load(tmp_path / "m.safetensors")
    assert score(model, HELD_OUT).joint == pytest.approx(trainer.best_score, abs=1e-3)


def test_processor_that_has_no_lstm_in_bfloat16_trains_without(monkeypatch):
    forward = torch.nn.LSTM.forward

    def refuse(self, *inputs):
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("could not create a primitive descriptor")
        return forward(self, *inputs)

    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)
    train.has_bfloat16.cache_clear()
    try:
        trainer = Trainer(DATA, HELD_OUT, replace(SMALL, passes=1))
        assert not train.has_bfloat16("cpu")
        assert list(trainer)
    finally:
        train.has_bfloat16.cache_clear()
