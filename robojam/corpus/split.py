"""Split of a corpus into a part to train on and a held-out part to score.

One performance in every N is held out. If a single performance is more than half of the
corpus, as when a musician brings one long jam, its end is held out instead, cut at a landing
after a pause where there is one. The held-out end begins with a landing and is scored as a
performance of its own, without what came before it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import Corpus
from robojam.corpus.stored_rows import Floats, Rows, concatenate

#: Fewest events in either part of a performance that is cut, so that one can be scored.
_FEWEST = 2
#: The held-out end may be longer or shorter than asked by this factor, for a longer pause.
_TOLERANCE = 2.0


def split(corpus: Corpus, *, every: int) -> tuple[Corpus, Corpus]:
    """Split a clean corpus into (train, held_out), with one part in `every` held out.

    Every `every`-th performance is held out, or, if one performance is more than half of
    the events, its end. Raises ValueError when there is too little data for both parts.
    """
    count, total = len(corpus.lengths), len(corpus.events)
    if count and corpus.lengths.max() > total / 2:
        parts = _hold_out_end(corpus, int(corpus.lengths.argmax()), total / every)
        if parts is not None:
            return parts
    if count < 2:
        found, short = ("one", ", and that is too short to be cut") if count else ("no", "")
        raise ValueError(
            f"{corpus.name} has {found} performance of two events or more{short}: training "
            "needs data to learn from and other data to score"
        )
    held = np.zeros(count, bool)
    held[(every - 1) % count :: every] = True
    name = f"every {every}th performance of {corpus.name}"
    train = replace(corpus, events=_select(corpus, ~held), lengths=corpus.lengths[~held])
    events, lengths = _select(corpus, held), corpus.lengths[held]
    return train, replace(corpus, events=events, lengths=lengths, name=name)


def _select(corpus: Corpus, chosen: NDArray[np.bool_]) -> Rows:
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    runs = pairwise(corpus.offsets[edges].tolist())
    return concatenate([(corpus.events, start, end) for start, end in list(runs)[::2]])


def _hold_out_end(corpus: Corpus, index: int, wanted: float) -> tuple[Corpus, Corpus] | None:
    """Hold out about `wanted` events at the end of one performance; None if it is too short."""
    start, end = corpus.offsets[index : index + 2].tolist()
    performance = corpus.events[start:end]
    if len(performance) < 2 * _FEWEST:
        return None
    cut = _choose_cut(performance, corpus.columns, wanted)
    held_out = performance[cut:].copy()
    lengths = corpus.lengths.copy()
    lengths[index] = cut
    ranges = [(corpus.events, 0, start + cut), (corpus.events, end, len(corpus.events))]
    train = replace(corpus, events=concatenate(ranges), lengths=lengths)
    description = f"the last {len(held_out):,} points"
    if "dt" in corpus.columns:
        time = corpus.columns.index("dt")
        total_seconds = float(held_out[1:, time].sum())
        minutes, seconds = divmod(round(total_seconds), 60)
        description = f"the last {seconds} s"
        if total_seconds < 10:
            description = f"the last {total_seconds:.1f} s"
        elif minutes:
            description = f"the last {minutes} min {seconds} s"
        if held_out[0, -1] == 0:
            description += f", after a pause of {held_out[0, time]:.2g} s,"
        held_out[0, time:] = 0  # a landing with nothing before it
    name = corpus.name if len(lengths) == 1 else f"performance {index + 1} of {corpus.name}"
    name, lengths = f"{description} of {name}", np.array([len(held_out)])
    return train, replace(corpus, events=held_out, lengths=lengths, name=name)


def _choose_cut(performance: Floats, columns: tuple[str, ...], wanted: float) -> int:
    """Return the row at which to cut a performance (n, D): about `wanted` events follow it."""
    count = len(performance)
    rows = np.arange(_FEWEST, count - _FEWEST + 1)
    after = count - rows
    if "dt" in columns:
        lands, pause = performance[rows, -1] == 0, performance[rows, columns.index("dt")]
    else:  # a stroke begins where the pen was lifted before
        lands, pause = performance[rows - 1, 2] == 1, np.zeros(len(rows))
    near = lands & (after >= wanted / _TOLERANCE) & (after <= wanted * _TOLERANCE)
    if near.any():
        candidates = near & (pause == pause[near].max())
    else:
        candidates = lands if lands.any() else np.ones(len(rows), bool)
    return int(rows[candidates][np.abs(after[candidates] - wanted).argmin()])
