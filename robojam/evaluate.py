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

from robojam import lattice
from robojam.corpus import Corpus, clean, dequantised
from robojam.model import EventModel

Floats = np.ndarray[Any, np.dtype[Any]]

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
    hypotheses = [(0, 1 - sum(share for _, share in model.event.lattices))]
    hypotheses += model.event.lattices
    prior = np.log([share for _, share in hypotheses])
    sums, whole = np.zeros(len(model.event.factors)), 0.0
    model.eval()
    with torch.inference_mode():
        for performances in _grouped(cleaned):
            events = [dequantised(cleaned, p.start, p.stop) for p in performances]
            found = [_under(model, events, n, flagless=flagless) for n, _ in hypotheses]
            for row in range(len(performances)):
                parts = np.stack([under[0][row] for under in found])
                sums += lattice.mixed(parts, prior)[1:].sum(0)
                if flagless:
                    # The flags of this event are summed out; what is known of its screen
                    # comes from the events before, flags and all.
                    summed = np.stack([under[1][row] for under in found])
                    known = lattice.known(parts.sum(-1), prior)
                    whole += float(np.logaddexp.reduce(known + summed, 0)[1:].sum())
    names = [factor.name for factor in model.event.factors]
    return Score(
        count,
        float(-sums.sum() / count),
        dict(zip(names, (-sums / count).tolist(), strict=True)),
        -whole / count if flagless else None,
    )


def _under(
    model: EventModel, performances: list[Floats], n: int, *, flagless: bool
) -> tuple[list[Floats], list[Floats]]:
    """Score performances (T, C) under the hypothesis of a lattice; n = 0 is none.

    Returns for each the log densities of the factors of its events (T, F), and with the
    flags summed out (T,), if asked for; -inf from the event on that rules it out.
    """
    position = model.event.position if n else None
    heard, ruled_out = [], []
    for events in performances:
        middles, end, out = events.copy(), len(events), False
        if position is not None:
            columns = list(position.columns)
            inside, middles[:, columns] = lattice.teeth(events[:, columns], n, position.noise)
            out = not inside.all()
            # The event that rules it out is scored still, but for its place.
            end = int(np.argmin(inside)) + 1 if out else end
        heard.append(middles[:end])
        ruled_out.append(out)
    cell = 1 / n if position is not None else None
    parts, summed = _run(model, _padded(heard), cell, flagless=flagless)
    if position is not None:
        place = model.event.factors.index(position)
        more = lattice.gain(n, position.noise, position.dims)
        parts[..., place] += more
        summed += more
        for row, (events, out) in enumerate(zip(heard, ruled_out, strict=True)):
            if out:
                parts[row, len(events) - 1, place] = -np.inf
                summed[row, len(events) - 1] = -np.inf
    found: list[Floats] = []
    found_summed: list[Floats] = []
    for row, (events, reached) in enumerate(zip(performances, heard, strict=True)):
        part = np.full((len(events), parts.shape[-1]), -np.inf)
        part[: len(reached)] = parts[row, : len(reached)]
        whole = np.full(len(events), -np.inf)
        whole[: len(reached)] = summed[row, : len(reached)]
        found.append(part)
        found_summed.append(whole)
    return found, found_summed


def _run(
    model: EventModel, heard: Tensor, cell: float | None, *, flagless: bool
) -> tuple[Floats, ...]:
    """Run sequences (B, T, C) through a model, block by block, which bounds its memory.

    cell is how wide the cells are in which places are known to lie, if a lattice's.

    Returns the factors' log densities (B, T, F), and those with the flags summed out
    (B, T); zeros where these were not asked for.
    """
    device = model.start.device
    state = model.initial(len(heard))
    width = None if cell is None else torch.full((len(heard),), cell, device=device)
    parts: list[Tensor] = []
    summed: list[Tensor] = []
    for at in range(0, heard.shape[1], BLOCK):
        values = heard[:, at : at + BLOCK].to(device)
        if flagless:
            summed.append(model.flagless(values, state, width))
        block, state = model(values, state, width)
        parts.append(block)
        if not flagless:
            summed.append(block[..., 0] * 0)
    return tuple(torch.cat(blocks, 1).double().cpu().numpy() for blocks in (parts, summed))


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


def _grouped(corpus: Corpus) -> Iterator[list[slice]]:
    """Group performances of like length, as rows of the corpus."""
    ends = np.cumsum(corpus.lengths)
    order = np.argsort(corpus.lengths, kind="stable")
    for at in range(0, len(order), ROWS):
        yield [
            slice(int(ends[p] - corpus.lengths[p]), int(ends[p])) for p in order[at : at + ROWS]
        ]


def _padded(sequences: list[Floats]) -> Tensor:
    """Stack sequences (T, C), padded to the longest: (B, T, C)."""
    longest = max(len(sequence) for sequence in sequences)
    values = np.full((len(sequences), longest, sequences[0].shape[1]), 0.5, np.float32)
    for row, sequence in enumerate(sequences):
        values[row, : len(sequence)] = sequence
    return torch.from_numpy(values)
