"""How well a model predicts: nats per event on held-out performances.

As docs/measure.md lays down: cleaned, dequantised with a fixed seed, fed from
the start of each performance, every event but the first scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robojam.corpus import Corpus, clean, dequantise
from robojam.model import EventModel

#: So many events are heard at once: what bounds memory on long performances.
BLOCK = 1024
ROWS = 64


@dataclass(frozen=True, slots=True)
class Score:
    """Mean negative log density in nats per event, over ``touches`` scored events.

    parts are the chain-rule terms by factor, which sum to joint; xydt is the
    density with the event's flags summed out (None where it was not asked for).
    """

    touches: int
    joint: float
    parts: dict[str, float]
    xydt: float | None = None


def score(model: EventModel, corpus: Corpus, *, flagless: bool = False) -> Score:
    """Score a model on a corpus; flagless asks for xydt as well.

    Raises ValueError when the corpus has no event to score.
    """
    cleaned = clean(corpus)
    count = int(np.maximum(cleaned.lengths - 1, 0).sum())
    if count == 0:
        raise ValueError(f"{corpus.name} has no performance of two events or more")
    if corpus.columns != model.event.columns:
        raise ValueError(
            f"{corpus.name} holds ({', '.join(corpus.columns)}), and the model is over "
            f"({', '.join(model.event.columns)})"
        )
    device = model.start.device
    sums = torch.zeros(len(model.event.factors), dtype=torch.float64, device=device)
    whole = 0.0
    model.eval()
    with torch.inference_mode():
        for values, scored in _rows(cleaned, dequantise(cleaned)):
            values, scored = values.to(device), scored.to(device)
            state = model.initial(len(values))
            for at in range(0, values.shape[1], BLOCK):
                block, keep = values[:, at : at + BLOCK], scored[:, at : at + BLOCK]
                if flagless:
                    whole += float(model.flagless(block, state)[keep].double().sum())
                parts, state = model(block, state)
                sums += parts[keep].double().sum(0)
    means = (-sums / count).tolist()
    names = [factor.name for factor in model.event.factors]
    return Score(
        count,
        float(-sums.sum() / count),
        dict(zip(names, means, strict=True)),
        -whole / count if flagless else None,
    )


def together(scores: Sequence[Score]) -> Score:
    """Average several files' scores, each by how many events were scored in it.

    Raises ValueError for none.
    """
    if not scores:
        raise ValueError("no data was given")
    total = sum(s.touches for s in scores)
    shares = [s.touches / total for s in scores]
    parts = {
        name: sum(share * s.parts[name] for share, s in zip(shares, scores, strict=True))
        for name in scores[0].parts
    }
    flagless = [s.xydt for s in scores if s.xydt is not None]
    whole = None
    if len(flagless) == len(scores):
        whole = sum(share * xydt for share, xydt in zip(shares, flagless, strict=True))
    joint = sum(share * s.joint for share, s in zip(shares, scores, strict=True))
    return Score(total, joint, parts, whole)


def _rows(corpus: Corpus, events: np.ndarray[Any, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of performances of like length, padded: events (B, T, C), scored (B, T)."""
    lengths = corpus.lengths
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    order = np.argsort(lengths, kind="stable")
    for at in range(0, len(order), ROWS):
        rows = order[at : at + ROWS]
        longest = int(lengths[rows].max())
        values = np.full((len(rows), longest, events.shape[1]), 0.5, np.float32)
        scored = np.zeros((len(rows), longest), bool)
        for row, p in enumerate(rows):
            size = int(lengths[p])
            values[row, :size] = events[starts[p] : starts[p] + size]
            scored[row, 1:size] = True
        yield torch.from_numpy(values), torch.from_numpy(scored)
