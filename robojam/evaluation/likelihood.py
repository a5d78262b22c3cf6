"""Score of a model on held-out performances: mean negative log density, in nats per event.

The steps are those of docs/measure.md: performances are cleaned, dequantised with a fixed
seed and given to the model from their start; every event but the first is scored.

Which lattice the screen of a performance has is a hidden variable (robojam.model.lattice):
each performance is scored under the hypothesis of each known lattice and of none, and the
densities are mixed by their posterior shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from robojam.corpus.corpus import Corpus, clean, dequantise, describe_columns
from robojam.model import lattice
from robojam.model.event import EventSpec
from robojam.model.mdrnn import EventModel

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

#: Number of events, and of sequences, that the model is given at once: this bounds memory.
BLOCK = 1024
ROWS = 64


@dataclass(frozen=True, slots=True)
class Score:
    """Mean negative log density in nats per event, over `touches` scored events."""

    touches: int
    joint: float
    parts: dict[str, float]  # the chain-rule terms by factor; they sum to joint
    xydt: float | None = None  # with the event's flags summed out; None if not asked for


#: Sums for each performance of a group (n, F): log densities of the events that are scored, by
#: factor; and with the flags summed out (n,).
Terms = tuple[Doubles, Doubles]


def score(model: EventModel, corpus: Corpus, *, flagless: bool = False) -> Score:
    """Score a model on a corpus; with flagless, xydt as well.

    Raises ValueError for a corpus without an event to score, or with other columns than the
    model's.
    """
    cleaned = prepare(model.event, corpus)
    terms = [score_group(model, cleaned, group, flagless=flagless) for group in groups(cleaned)]
    return total(model.event, cleaned, terms, flagless=flagless)


def prepare(event: EventSpec, corpus: Corpus) -> Corpus:
    """Return a corpus as it is scored. Raises ValueError, as `score` does."""
    cleaned = clean(corpus)
    if not _count(cleaned):
        raise ValueError(f"{corpus.name} has no performance of two events or more")
    if corpus.columns != event.columns:
        held, known = map(describe_columns, (corpus.columns, event.columns))
        raise ValueError(f"{corpus.name} holds {held}, and the model is over {known}")
    return cleaned


def groups(corpus: Corpus) -> list[NDArray[np.intp]]:
    """Return the performances that are scored together, of similar length, by their indices."""
    order = np.argsort(corpus.lengths, kind="stable")
    return [order[start : start + ROWS] for start in range(0, len(order), ROWS)]


def score_group(
    model: EventModel, corpus: Corpus, group: NDArray[np.intp], *, flagless: bool
) -> Terms:
    """Score a group of a corpus that is prepared."""
    prior_shares = [(0, 1 - sum(share for _, share in model.event.lattices))]
    prior_shares += model.event.lattices
    log_prior = np.log([share for _, share in prior_shares])
    lattices = [n for n, _ in prior_shares]
    part_sums, flagless_sums = (
        np.zeros((len(group), len(model.event.factors))),
        np.zeros(len(group)),
    )
    offsets = corpus.offsets.tolist()
    model.eval()
    with torch.inference_mode():
        performances = [dequantise(corpus, *offsets[p : p + 2]) for p in group]
        densities = _score_hypotheses(model, performances, lattices, flagless=flagless)
        for row, (parts, without_flags) in enumerate(densities):
            part_sums[row] = lattice.mix(parts, log_prior)[1:].sum(0)
            if flagless:
                # The flags of this event are summed out. The posterior of the lattice
                # comes from the events before it, with their flags.
                log_posterior = lattice.log_posteriors(parts.sum(-1), log_prior)
                mixed = np.logaddexp.reduce(log_posterior + without_flags, 0)
                flagless_sums[row] = mixed[1:].sum()
    return part_sums, flagless_sums


def total(event: EventSpec, corpus: Corpus, terms: Sequence[Terms], *, flagless: bool) -> Score:
    """Return the score of a corpus that is prepared, from the terms of its groups in order."""
    count, part_sums, flagless_sum = _count(corpus), np.zeros(len(event.factors)), 0.0
    for parts, without_flags in terms:  # one by one, so that the sum is always the same
        for row, value in zip(parts, without_flags.tolist(), strict=True):
            part_sums += row
            flagless_sum += value
    names = [factor.name for factor in event.factors]
    means = dict(zip(names, (-part_sums / count).tolist(), strict=True))
    xydt = -flagless_sum / count if flagless else None
    return Score(count, float(-part_sums.sum() / count), means, xydt)


def _count(corpus: Corpus) -> int:
    """Return how many events of a clean corpus are scored."""
    return int(np.maximum(corpus.lengths - 1, 0).sum())


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean by number of scored events. Raises ValueError for no scores."""
    if not scores:
        raise ValueError("no data was given")
    total = sum(s.touches for s in scores)

    def mean(values: Iterable[float]) -> float:
        weights = (s.touches / total for s in scores)
        return sum(weight * value for weight, value in zip(weights, values, strict=True))

    flagless = [s.xydt for s in scores if s.xydt is not None]
    parts = {name: mean(s.parts[name] for s in scores) for name in scores[0].parts}
    xydt = mean(flagless) if len(flagless) == len(scores) else None
    return Score(total, mean(s.joint for s in scores), parts, xydt)


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """A performance as it is given to the model if its screen has a lattice."""

    performance: int  # index in its group
    index: int  # of the hypothesis
    lattice: int  # the lines of the screen; 0 for no lattice
    events: Floats  # (T, C); under a lattice, places are the middles of their cells
    #: Whether the last event contradicts the lattice: it is scored but for its place, and
    #: later ones are left out.
    ruled_out: bool


def _score_hypotheses(
    model: EventModel, performances: list[Floats], lattices: list[int], *, flagless: bool
) -> list[tuple[Doubles, Doubles]]:
    """Score performances (T, C) under the hypotheses of H lattices.

    Returns, for each performance, the log densities (H, T, F) of the factors of its events,
    and with flagless those of its events with the flags summed out (H, T). They are -inf
    from the event on that rules the hypothesis out.
    """
    event, position = model.event, model.event.position
    shapes = [(len(lattices), len(events)) for events in performances]
    densities = [
        (np.full((*shape, len(event.factors)), -np.inf), np.full(shape, -np.inf))
        for shape in shapes
    ]
    hypotheses = [
        _hypothesis(event, events, performance, index, n)
        for performance, events in enumerate(performances)
        for index, n in enumerate(lattices)
    ]
    for group in _group_hypotheses(hypotheses):
        outputs = _run_model(model, group, flagless=flagless)
        for hypothesis, parts, without_flags in zip(group, *outputs, strict=True):
            size = len(hypothesis.events)
            if hypothesis.lattice and position is not None:
                place = event.factors.index(position)
                gain = lattice.log_gain(hypothesis.lattice, position.noise, position.dims)
                parts[:, place] += gain
                without_flags += gain
                if hypothesis.ruled_out:
                    parts[size - 1, place] = without_flags[size - 1] = -np.inf
            all_parts, all_without_flags = densities[hypothesis.performance]
            all_parts[hypothesis.index, :size] = parts[:size]
            all_without_flags[hypothesis.index, :size] = without_flags[:size]
    return densities


def _group_hypotheses(hypotheses: list[_Hypothesis]) -> Iterator[list[_Hypothesis]]:
    """Group hypotheses of similar length: most are ruled out early, and cost little."""
    group: list[_Hypothesis] = []
    for hypothesis in sorted(hypotheses, key=lambda hypothesis: len(hypothesis.events)):
        longest = 1.25 * len(group[0].events) + 8 if group else 0
        if group and (len(group) == ROWS or len(hypothesis.events) > longest):
            yield group
            group = []
        group.append(hypothesis)
    if group:
        yield group


def _hypothesis(
    event: EventSpec, events: Floats, performance: int, index: int, n: int
) -> _Hypothesis:
    """Return events (T, C) as they are under a lattice of n lines (0: none)."""
    if not n or event.position is None:
        return _Hypothesis(performance, index, 0, events, ruled_out=False)
    columns, middles = list(event.position.columns), events.copy()
    inside, middles[:, columns] = lattice.cells(events[:, columns], n, event.position.noise)
    ruled_out = not inside.all()
    end = int(np.argmin(inside)) + 1 if ruled_out else len(events)
    return _Hypothesis(performance, index, n, middles[:end], ruled_out=ruled_out)


def _run_model(
    model: EventModel, group: list[_Hypothesis], *, flagless: bool
) -> tuple[Doubles, Doubles]:
    """Run a model over hypotheses padded to the longest, in blocks, which bounds memory.

    Returns the log densities (B, T, F) of the factors, and those (B, T) of the events with
    the flags summed out; zeros without flagless.
    """
    device, position = model.start.device, model.event.position
    noise = position.noise if position is not None else 0.0
    cells = [1 / h.lattice if h.lattice else noise for h in group]
    cell = torch.tensor(cells, dtype=torch.float32, device=device)
    sequences = [torch.from_numpy(h.events).float() for h in group]
    events, state = pad_sequence(sequences, True, 0.5), model.initial(len(group))
    part_blocks: list[Tensor] = []
    flagless_blocks: list[Tensor] = []
    for start in range(0, events.shape[1], BLOCK):
        values = events[:, start : start + BLOCK].to(device)
        if flagless:
            parts, without_flags, state = model.flagless(values, state, cell)
        else:
            parts, state = model(values, state, cell)
            without_flags = parts[..., 0] * 0
        part_blocks.append(parts)
        flagless_blocks.append(without_flags)
    parts, without_flags = torch.cat(part_blocks, 1), torch.cat(flagless_blocks, 1)
    return parts.double().cpu().numpy(), without_flags.double().cpu().numpy()
