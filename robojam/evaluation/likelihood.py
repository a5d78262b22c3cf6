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

from robojam.corpus.corpus import Corpus, clean, dequantise
from robojam.model import lattice
from robojam.model.event import EventSpec
from robojam.model.mdrnn import EventModel

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
    lattices = [n for n, _ in hypotheses]
    sums, whole = np.zeros(len(model.event.factors)), 0.0
    model.eval()
    with torch.inference_mode():
        for performances in _grouped(cleaned):
            events = [dequantise(cleaned, p.start, p.stop) for p in performances]
            for parts, summed in _under(model, events, lattices, flagless=flagless):
                sums += lattice.mix(parts, prior)[1:].sum(0)
                if flagless:
                    # The flags of this event are summed out; what is known of its screen
                    # comes from the events before, flags and all.
                    known = lattice.log_posteriors(parts.sum(-1), prior)
                    whole += float(np.logaddexp.reduce(known + summed, 0)[1:].sum())
    names = [factor.name for factor in model.event.factors]
    return Score(
        count,
        float(-sums.sum() / count),
        dict(zip(names, (-sums / count).tolist(), strict=True)),
        -whole / count if flagless else None,
    )


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is heard of a performance under the hypothesis of a lattice, 0 being none.

    events (T, C) end with the one that rules it out, if one does: that is scored still, but
    for its place.
    """

    row: int
    which: int
    lattice: int
    events: Floats
    ruled_out: bool


def _under(
    model: EventModel, performances: list[Floats], lattices: list[int], *, flagless: bool
) -> list[tuple[Floats, Floats]]:
    """Score performances (T, C) under the hypotheses (H) of their lattices.

    Returns for each the log densities of the factors of its events (H, T, F), and with the
    flags summed out (H, T), if asked for; -inf from the event on that rules one out.
    """
    event, position = model.event, model.event.position
    blank = np.full((len(lattices), 1, len(event.factors)), -np.inf)
    found = [(blank.repeat(len(p), 1), blank[..., 0].repeat(len(p), 1)) for p in performances]
    heard = [
        _heard(event, events, row, which, n)
        for row, events in enumerate(performances)
        for which, n in enumerate(lattices)
    ]
    for some in _alike(heard):
        parts, summed = _run(model, some, flagless=flagless)
        for one, its, whole in zip(some, parts, summed, strict=True):
            size = len(one.events)
            if one.lattice and position is not None:
                place = event.factors.index(position)
                more = lattice.log_gain(one.lattice, position.noise, position.dims)
                its[:, place] += more
                whole += more
                if one.ruled_out:
                    its[size - 1, place] = whole[size - 1] = -np.inf
            for told, what in zip(found[one.row], (its, whole), strict=True):
                told[one.which, :size] = what[:size]
    return found


def _alike(heard: list[_Heard]) -> Iterator[list[_Heard]]:
    """Group what is of like length: most is ruled out at once, and costs next to nothing."""
    group: list[_Heard] = []
    for one in sorted(heard, key=lambda one: len(one.events)):
        if group and (len(group) == ROWS or len(one.events) > 1.25 * len(group[0].events) + 8):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _heard(event: EventSpec, events: Floats, row: int, which: int, n: int) -> _Heard:
    """Say what is heard of a performance (T, C) under a lattice: the middles of its cells."""
    if not n or event.position is None:
        return _Heard(row, which, 0, events, ruled_out=False)
    columns, middles = list(event.position.columns), events.copy()
    inside, middles[:, columns] = lattice.cells(events[:, columns], n, event.position.noise)
    out = not inside.all()
    end = int(np.argmin(inside)) + 1 if out else len(events)
    return _Heard(row, which, n, middles[:end], ruled_out=out)


def _run(model: EventModel, some: list[_Heard], *, flagless: bool) -> tuple[Floats, Floats]:
    """Run what is heard, padded to the longest, through a model.

    It goes block by block, which bounds memory. Returns the factors' log densities (B, T, F),
    and those with the flags summed out (B, T); zeros where these were not asked for.
    """
    device, position = model.start.device, model.event.position
    noise = position.noise if position is not None else 0.0
    cells = [1 / one.lattice if one.lattice else noise for one in some]
    width = torch.tensor(cells, dtype=torch.float32, device=device)
    heard, state = _padded([one.events for one in some]), model.initial(len(some))
    parts: list[Tensor] = []
    summed: list[Tensor] = []
    for at in range(0, heard.shape[1], BLOCK):
        values = heard[:, at : at + BLOCK].to(device)
        if flagless:
            block, whole, state = model.flagless(values, state, width)
        else:
            block, state = model(values, state, width)
            whole = block[..., 0] * 0
        parts.append(block)
        summed.append(whole)
    found = [torch.cat(blocks, 1).double().cpu().numpy() for blocks in (parts, summed)]
    return found[0], found[1]


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
