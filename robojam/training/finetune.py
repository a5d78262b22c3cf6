"""Fine-tuning to one player without forgetting much of what the model could play.

The lattices of the player's screen are counted, not trained: half of the model's prior then
goes to them. The rest is a few passes at a low rate, without mirror images, as a player's
left and right differ. Then the weights are interpolated back towards the first model's
(Wortsman et al. 2022) as far as needed. The first model's corpus is not available, so takes
that it generates stand for it: the tuned model may predict them worse by MOST_FORGOTTEN nats
per touch, not more.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from msgspec import structs

from robojam.corpus.corpus import Corpus
from robojam.evaluation.likelihood import score
from robojam.model import lattice
from robojam.model.event import PRESSED, TOUCH, EventSpec
from robojam.model.file import ModelFile
from robojam.model.mdrnn import EventModel
from robojam.player.generate import generate
from robojam.training.batches import performed_places
from robojam.training.trainer import TrainingSettings

#: Most nats per touch by which the tuned model may predict the first model's takes worse.
MOST_FORGOTTEN = 0.05
#: Shares of the way from the first weights to the tuned ones; the largest allowed is taken.
SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1)
#: Limit of the training time, per event and at least, in seconds: ten times what it takes on
#: one idle core, so that it ends on a busy or slow machine too.
SECONDS_PER_EVENT, LEAST_SECONDS = 0.015, 30.0
#: Number and length in seconds of the takes that stand for what the first model could play.
_TAKES = 48
_TAKE_SECONDS = 5.0


def fine_tuning_settings(
    start: EventModel, given: dict[str, Any], *, events: int
) -> TrainingSettings:
    """Return settings for fine-tuning a model on a corpus of `events` events.

    The sizes are the model's. given holds what the user asked for, and takes precedence over
    the recipe here.
    """
    minutes = max(LEAST_SECONDS, SECONDS_PER_EVENT * events) / 60
    recipe = TrainingSettings(passes=12.0, window=128, batch=512, mirror=False, patience=3)
    recipe = replace(recipe, dropout=0.0, rate=1e-4, warmup=10, average=0.95, minutes=minutes)
    if start.event.summarises:
        recipe = replace(recipe, context=256)
    return replace(replace(recipe, **given), units=start.units, layers=start.layers)


def add_lattices(start: EventModel, corpus: Corpus) -> EventSpec:
    """Return a model's event description with the lattices of a corpus's screens added."""
    position = start.event.position
    if position is None or corpus.columns != start.event.columns:
        return start.event
    places = performed_places(corpus, position)
    shares = lattice.shares(places, position.noise, rare=1)
    if not shares:
        return start.event
    averaged = lattice.average_shares(start.event.lattices, shares)
    extended = structs.replace(position, lattices=averaged)
    factors = (extended if f is position else f for f in start.event.factors)
    return structs.replace(start.event, factors=tuple(factors))


def generate_memory(file: ModelFile, *, seed: int) -> Corpus | None:
    """Return takes that a model of touches generates by itself; None for other models."""
    columns = file.event.columns
    if columns not in (TOUCH, PRESSED):
        return None
    openings = [np.empty((0, len(columns)))] * _TAKES
    plain: dict[str, Any] = {"temperature": 1.0, "spread": 1.0, "follow": 0.0, "memory": 0.0}
    takes = generate(file, openings, seconds=_TAKE_SECONDS, seed=seed, **plain)
    takes = [take for take in takes if len(take) >= 2]
    lengths = np.array([len(take) for take in takes], np.int64)
    return Corpus(np.concatenate(takes), lengths, columns, "what it played")


def limit_forgetting(
    start: EventModel, tuned: EventModel, memory: Corpus, held_out: Corpus
) -> tuple[EventModel, float, float]:
    """Interpolate from start to tuned as far as MOST_FORGOTTEN allows on memory.

    Returns the model, its score on held_out in nats per event, and the share of the way.
    """
    limit = score(start, memory).joint + MOST_FORGOTTEN

    def is_allowed(share: float) -> bool:
        return score(interpolate(start, tuned, share), memory).joint <= limit

    # Forgetting grows with the share, so a bisection finds the first that is allowed.
    first = 0 if is_allowed(SHARES[0]) else bisect_left(SHARES, True, lo=1, key=is_allowed)
    share = (*SHARES, 0.0)[first]
    model = interpolate(start, tuned, share)
    return model, score(model, held_out).joint, share


def interpolate(start: EventModel, tuned: EventModel, share: float) -> EventModel:
    """Return a model with weights at a share (0..1) of the way from start's to tuned's."""
    model = copy.deepcopy(tuned)
    with torch.no_grad():
        for weight, first in zip(model.parameters(), start.parameters(), strict=True):
            weight.copy_(first.lerp(weight, share))
    return model.eval()
