"""Learning from one player: a model goes on from another without forgetting much.

The lattice of the player's screen is learnt by looking at it: half of what the model
expects of screens is then that of theirs. The rest takes training: a few passes at a low
rate, nothing mirrored, for a player's left is not their right. Then the weights step back
towards those they came from, as far as must be: what the first model plays by itself
stands for all that it had learnt, for its corpus is not at hand, and its density there
may fall by ALLOWED nats a touch and no more (weights between a model and what came of it:
Wortsman et al. 2022).
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace as replaced

from robojam.corpus.corpus import TOUCH, Corpus
from robojam.evaluation.likelihood import score
from robojam.model import lattice
from robojam.model.event import EventSpec
from robojam.model.file import ModelFile
from robojam.model.mdrnn import EventModel
from robojam.player.generate import generate
from robojam.training.trainer import TrainingSettings

#: How much worse a model may predict what it played before, in nats a touch.
ALLOWED = 0.05
#: How far from the first weights to the new ones: the first share that is allowed.
SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1)
#: It takes so many seconds at most for each event, and so many in all for few of them: ten
#: times what it takes on one free core, so that it ends on a busy or slow machine too.
PER_EVENT, LEAST = 0.015, 30.0
#: What is played to remember: so many takes of so many seconds.
_TAKES = 48
_SECONDS = 5.0


def settings(
    start: EventModel, chosen: TrainingSettings, given: dict[str, Any], *, events: int
) -> TrainingSettings:
    """Return how to go on from a model: its sizes, a low rate, few passes, little time.

    events are how many there are to learn from.
    """
    recipe: dict[str, Any] = {
        "dropout": 0.0,
        "rate": 1e-4,
        "passes": 12.0,
        "batch": 512,
        "window": 128,
        "warmup": 10,
        "average": 0.95,
        "mirror": False,
        "patience": 3,
        "minutes": max(LEAST, PER_EVENT * events) / 60,
        **given,
        "units": start.units,
        "layers": start.layers,
    }
    return replace(chosen, **recipe)


def event(start: EventModel, corpus: Corpus) -> EventSpec:
    """Return what a model is over that has met the screens of a corpus, too."""
    position = start.event.position
    if position is None or corpus.columns != start.event.columns:
        return start.event
    columns = list(position.columns)
    places = (performance[:, columns] for performance in corpus.performances())
    found = lattice.shares(places, position.noise, rare=1)
    if not found:
        return start.event
    told = replaced(position, lattices=lattice.halved(start.event.lattices, found))
    factors = (told if f is position else f for f in start.event.factors)
    return replaced(start.event, factors=tuple(factors))


def remembered(file: ModelFile, *, seed: int) -> Corpus | None:
    """Let a model of touches play by itself, as what it is to remember; None for others."""
    if file.event.columns != TOUCH:
        return None
    nothing = [np.empty((0, len(TOUCH)))] * _TAKES
    takes = generate(file, nothing, seconds=_SECONDS, seed=seed, temperature=1.0, spread=1.0)
    takes = [take for take in takes if len(take) >= 2]
    lengths = np.array([len(take) for take in takes], np.int64)
    return Corpus(np.concatenate(takes), lengths, TOUCH, "what it played", "")


def stepped_back(
    start: EventModel, tuned: EventModel, memory: Corpus, held_out: Corpus
) -> tuple[EventModel, float, float]:
    """Return the weights as far on the way as memory allows, their score, and the share.

    The score is in nats per event on held_out.
    """
    before = score(start, memory).joint

    def allowed(share: float) -> bool:
        return score(between(start, tuned, share), memory).joint - before <= ALLOWED

    # The farther, the worse: of the shares in their order, the first that is allowed.
    at = 0 if allowed(SHARES[0]) else bisect_left(SHARES, True, lo=1, key=allowed)
    share = (*SHARES, 0.0)[at]
    model = between(start, tuned, share)
    return model, score(model, held_out).joint, share


def between(start: EventModel, tuned: EventModel, share: float) -> EventModel:
    """Return a model whose weights lie so far on the way from one to another."""
    made = copy.deepcopy(tuned)
    with torch.no_grad():
        for mine, first in zip(made.parameters(), start.parameters(), strict=True):
            mine.copy_(first.lerp(mine, share))
    return made.eval()
