"""Small random models and performances for tests."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from torch import Tensor

from robojam.corpus.corpus import STROKE, Corpus, dequantise
from robojam.model import file
from robojam.model.event import (
    PRESSED,
    EventSpec,
    count_knobs,
    knob_event,
    stroke_event,
    touch_event,
)
from robojam.model.file import ModelDescription, ModelFile
from robojam.model.mdrnn import EventModel
from robojam.touch import PAUSE_IS_DOWN

torch.set_num_threads(1)  # nothing here is large enough to share

TOUCHES = touch_event(components=3, hidden=16)
STROKES = stroke_event(components=3, hidden=8, scale=5.0)
PRESSES = structs.replace(touch_event(components=3, hidden=16, pressure=True), name="pressed")
#: Events of one to sixteen knobs; the last is of fewer, too.
KNOBS = tuple(
    knob_event(n, components=max(3, n), hidden=16, fewer=n == 16) for n in (1, 2, 4, 9, 16)
)

TRAINED = file.folder() / file.DEFAULT
is_trained = pytest.mark.skipif(not TRAINED.is_file(), reason="no default model here")


def small(event: EventSpec, *, seed: int = 0, units: int = 8, layers: int = 2) -> EventModel:
    """Make a model of random weights, larger than the initial ones of training."""
    torch.manual_seed(seed)
    model = EventModel(event, units=units, layers=layers).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def described(model: EventModel, **about: Any) -> ModelDescription:
    return ModelDescription(event=model.event, units=model.units, layers=model.layers, **about)


def filed(model: EventModel) -> ModelFile:
    """Return the model as it is read from a file."""
    weights = {n: t.detach().float().numpy().copy() for n, t in model.state_dict().items()}
    return ModelFile(Path("small.safetensors"), described(model), weights, "0")


def rows(event: EventSpec, count: int, rng: np.random.Generator) -> Any:
    """A performance (count, C), float32, that wanders as a finger or a pen does."""
    if knobs := count_knobs(event.columns):
        return knob_rows(knobs, count, rng)
    walk = rng.standard_normal((count, 2))
    flags = rng.random(count) < 0.8
    if event.columns == STROKE:
        return np.column_stack([np.round(walk * 4), ~flags]).astype(np.float32)
    flags[:1] = False
    places = np.clip(0.5 + np.cumsum(walk * 0.02, 0), 0, 1)
    dt = np.exp(rng.normal(-4, 0.7, count))
    dt[:1] = 0
    touches = np.column_stack([places, dt, flags]).astype(np.float32)
    if event.columns != PRESSED:
        return touches
    pressures = np.clip(0.5 + np.cumsum(rng.standard_normal(count) * 0.05), 0, 1)
    return np.column_stack([touches, pressures]).astype(np.float32)


def knob_rows(knobs: int, count: int, rng: np.random.Generator) -> Any:
    """A performance (count, knobs + 2), float32, in which a few knobs are turned in turn."""
    turned = np.arange(knobs) == rng.integers(0, knobs, (count, 1)) // 2 * 2 % knobs
    ways = np.where(turned, rng.standard_normal((count, knobs)) * 0.03, 0)
    values = np.clip(0.5 + np.cumsum(ways, 0), 0, 1)
    dt = np.exp(rng.normal(-3.5, 1, count))
    dt[:1] = 0
    moving = (dt > 0) & (dt <= PAUSE_IS_DOWN)
    return np.column_stack([values, dt, moving]).astype(np.float32)


def batch(event: EventSpec, size: int, length: int, seed: int = 0) -> Tensor:
    """Return performances (size, length, C) with places off the lattice."""
    rng = np.random.default_rng(seed)
    values = np.stack([rows(event, length, rng) for _ in range(size)])
    return torch.from_numpy(values + np.float32(3e-4) * np.asarray(event.noise, np.float32))


def corpus(
    event: EventSpec, lengths: list[int], *, seed: int = 0, name: str = "made"
) -> Corpus:
    rng = np.random.default_rng(seed)
    events = np.concatenate([rows(event, n, rng) for n in lengths])
    return Corpus(events, np.array(lengths, np.int64), event.columns, name, "0" * 64)


def dequantised(corpus: Corpus) -> np.ndarray[Any, Any]:
    """Return the events (N, D) of a clean corpus with dequantising noise."""
    bounds = pairwise(corpus.offsets.tolist())
    parts = [dequantise(corpus, start, end) for start, end in bounds]
    return np.concatenate([np.empty((0, len(corpus.columns))), *parts])


def npz(path: Path, made: Corpus) -> Path:
    """Write a corpus as a file."""
    key = (
        ("train_strokes", "train_lengths") if made.columns == STROKE else ("touches", "lengths")
    )
    kind = np.int16 if made.columns == STROKE else np.float32
    np.savez(
        path,
        **{key[0]: made.events.astype(kind), key[1]: made.lengths.astype(np.int32)},
    )
    return path
