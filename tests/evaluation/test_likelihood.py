"""Likelihood: scores agree with docs/measure.md, computed touch by touch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from support import CORPUS, has_corpus
from support.models import STROKES, TOUCHES, TRAINED, corpus, dequantised, is_trained, small

from robojam.corpus.corpus import Corpus, clean
from robojam.corpus.formats import read
from robojam.evaluation import likelihood
from robojam.evaluation.likelihood import Score, mean_score, score
from robojam.model.event import TOUCH
from robojam.model.mdrnn import EventModel, load

MODEL = small(TOUCHES, seed=1)


def raw(rows: Any, lengths: list[int]) -> Corpus:
    return Corpus(
        np.array(rows, np.float32), np.array(lengths, np.int64), TOUCH, "raw", "0" * 64
    )


def expected_score(model: EventModel, events: Any, lengths: Any) -> dict[str, Any]:
    """Score touches as docs/measure.md describes, in float64, one after the other."""
    model, rng = model.double(), np.random.default_rng(0)
    terms: list[list[float]] = []
    flagless: list[float] = []
    at = 0
    for length in lengths:
        rows = np.array(events[at : at + length], np.float64)
        at += length
        rows = rows[~np.isnan(rows).any(axis=1)]
        if len(rows) < 2:
            continue
        rows[:, :2] = rows[:, :2].clip(0, 1)
        rows[:, 2] = rows[:, 2].clip(0, 5)
        rows[0, 2] = 0
        rows[:, :2] += rng.random((len(rows), 2)) / 1024
        rows[:, 2] += rng.random(len(rows)) * 1e-3
        screens = {0: 1 - sum(share for _, share in model.event.lattices)}
        screens.update(model.event.lattices)
        known = {n: math.log(share) for n, share in screens.items()}
        states: dict[int, Any] = dict.fromkeys(known)
        for i, row in enumerate(rows):
            seen = {n: one_touch(model, row, n, states) for n in known}
            before = np.logaddexp.reduce(list(known.values()))
            sums = [
                np.logaddexp.reduce(
                    [known[n] + sum(parts[:k]) for n, (parts, _) in seen.items()]
                )
                for k in (1, 2, 3)
            ]
            if i:
                terms.append(np.diff([before, *sums]).tolist())
                summed = [known[n] + both for n, (_, both) in seen.items()]
                flagless.append(np.logaddexp.reduce(summed) - before)
            known = {n: known[n] + sum(parts) for n, (parts, _) in seen.items()}
            known = {n: weight for n, weight in known.items() if weight > -math.inf}
    model.float()
    parts = -np.mean(terms, axis=0)
    return {
        "touches": len(terms),
        "joint": float(parts.sum()),
        "xydt": -float(np.mean(flagless)),
        "parts": dict(zip(("phase", "dt", "xy"), parts.tolist(), strict=True)),
    }


def one_touch(
    model: EventModel, row: Any, n: int, states: dict[int, Any]
) -> tuple[list[float], float]:
    """Score one touch on a screen of n lines (0: none): its parts, and with either phase."""
    heard, gain, known = row.copy(), 0.0, 1 / 1024
    if n:
        width = n * (1 / 1024 + 4e-6)  # of a tooth, in cells
        cell, within = np.divmod((row[:2] + 2e-6) * n, 1.0)
        heard[:2], known = (cell + 0.5) / n, 1 / n
        gain = -2 * math.log(width) if (within <= width).all() else -math.inf
    with torch.inference_mode():
        values = torch.from_numpy(heard)[None, None]
        other = values.clone()
        other[..., 3] = 1 - values[..., 3]
        wide = torch.tensor([known], dtype=values.dtype)
        parts, after = model(values, states[n], wide)
        both = [parts.sum(), model(other, states[n], wide)[0].sum()]
        states[n] = after
    phase, dt, place = parts.flatten().tolist()
    return [phase, dt, place + gain], float(torch.logsumexp(torch.stack(both), 0)) + gain


def agree(found: Score, expected: dict[str, Any], error: float) -> None:
    assert found.touches == expected["touches"]
    assert found.joint == pytest.approx(expected["joint"], abs=error)
    assert found.xydt == pytest.approx(expected["xydt"], abs=error)
    assert found.parts == pytest.approx(expected["parts"], abs=error)


def test_score_agrees_with_a_touch_by_touch_computation():
    made = corpus(TOUCHES, [30, 1, 2, 25, 0, 12])
    events = made.events.copy()
    events[3, 0], events[7, 2], events[30] = np.nan, np.nan, np.nan  # 30: the lone one
    events[5, :2], events[9, 2], events[10, 2] = (-0.2, 1.7), -3.0, 4000.0
    events[10, 3] = 0  # not a slide of seconds: it would be a million nats
    events[33, 2] = 0.8  # no performance begins after a while
    events[31, 1] = np.nan  # leaves one touch of two: the performance falls out
    found = score(MODEL, raw(events, made.lengths.tolist()), flagless=True)
    agree(found, expected_score(MODEL, events, made.lengths), 1e-4)
    assert found.touches == 27 + 24 + 11


@is_trained
@has_corpus
def test_default_models_score_agrees_with_a_touch_by_touch_computation():
    whole = read(CORPUS / "microjam_val.npz")
    lengths = whole.lengths[:2]
    some = raw(whole.events[: lengths.sum()], lengths.tolist())
    model, _ = load(TRAINED)
    agree(score(model, some, flagless=True), expected_score(model, some.events, lengths), 1e-3)


def test_parts_sum_to_the_joint_score():
    found = score(MODEL, corpus(TOUCHES, [40, 30]))
    assert list(found.parts) == ["phase", "dt", "xy"]
    assert sum(found.parts.values()) == pytest.approx(found.joint, abs=1e-9)
    assert found.xydt is None  # it was not asked for


def test_score_without_the_phase_is_better():
    found = score(MODEL, corpus(TOUCHES, [40, 30]), flagless=True)
    assert found.xydt is not None
    assert found.joint - found.parts["phase"] - 5 < found.xydt < found.joint


@pytest.mark.parametrize(("block", "rows"), [(7, 64), (1, 1), (1024, 2), (33, 3)])
def test_score_is_the_same_for_any_batch_size(block, rows, monkeypatch):
    data = corpus(TOUCHES, [50, 3, 90, 2, 17])
    expected = score(MODEL, data, flagless=True)
    monkeypatch.setattr(likelihood, "BLOCK", block)
    monkeypatch.setattr(likelihood, "ROWS", rows)
    found = score(MODEL, data, flagless=True)
    assert found.touches == expected.touches
    assert found.joint == pytest.approx(expected.joint, abs=1e-5)
    assert found.xydt == pytest.approx(expected.xydt, abs=1e-5)


def test_performance_longer_than_a_block_is_scored_as_one():
    data = corpus(TOUCHES, [2 * likelihood.BLOCK + 5])
    found = score(MODEL, data, flagless=True)
    model = MODEL.double()
    noisy = torch.from_numpy(dequantised(clean(data)))[None]
    with torch.inference_mode():
        parts, _ = model(noisy)
    MODEL.float()
    assert found.joint == pytest.approx(-float(parts[0, 1:].sum(-1).mean()), abs=1e-4)


def test_scoring_is_reproducible_and_leaves_the_model_unchanged():
    data = corpus(TOUCHES, [30, 20])
    before = {n: w.clone() for n, w in MODEL.state_dict().items()}
    assert score(MODEL, data) == score(MODEL, data)
    assert all(torch.equal(before[n], w) for n, w in MODEL.state_dict().items())


def test_strokes_are_scored():
    found = score(small(STROKES), corpus(STROKES, [20, 30]), flagless=True)
    assert found.touches == 48
    assert list(found.parts) == ["offset", "lifted"]
    assert found.xydt is not None
    assert found.xydt < found.joint


def test_mean_score_weights_files_by_their_scored_events():
    one, other = (
        score(MODEL, corpus(TOUCHES, lengths, seed=s), flagless=True)
        for s, lengths in enumerate(([60], [5, 5]))
    )
    both = mean_score([one, other])
    assert both.touches == 59 + 8
    assert both.joint == pytest.approx((59 * one.joint + 8 * other.joint) / 67)
    assert both.xydt == pytest.approx((59 * (one.xydt or 0) + 8 * (other.xydt or 0)) / 67)
    assert sum(both.parts.values()) == pytest.approx(both.joint)
    assert mean_score([one]).joint == one.joint
    assert mean_score([one, Score(8, -1.0, one.parts)]).xydt is None
    with pytest.raises(ValueError, match="no data"):
        mean_score([])


def test_noise_starts_again_with_each_file():
    data = corpus(TOUCHES, [30, 20])
    assert mean_score([score(MODEL, data)] * 2).joint == pytest.approx(score(MODEL, data).joint)


@pytest.mark.parametrize("lengths", [[], [1], [1, 0, 1]])
def test_corpus_without_an_event_to_score_is_refused(lengths):
    events = np.zeros((sum(lengths), 4), np.float32)
    with pytest.raises(ValueError, match="raw has no performance of two events"):
        score(MODEL, raw(events, lengths))


def test_corpus_with_other_columns_than_the_model_is_refused():
    with pytest.raises(
        ValueError, match=r"made holds \(dx, dy, lifted\).*\(x, y, dt, moving\)"
    ):
        score(MODEL, corpus(STROKES, [10]))


def test_score_is_above_the_bound_of_the_noise():
    """A model that knew every touch and its lattice exactly would score -20.8 nats."""
    least = -2 * math.log(1024) - math.log(1000)
    assert least == pytest.approx(-20.77, abs=0.01)
    still = raw(np.tile(np.float32([0.5, 0.5, 0.02, 1]), (50, 1)), [50])
    assert score(MODEL, still).joint > least
