"""What is held out of a corpus, for a model to be scored on while it learns.

Every so many-th performance; and where one of them is most of the corpus, as when a
musician brings one long jam, the end of that one: from a landing after a pause on, where
it has one. What is held out begins with a landing, as a performance of its own: nothing
before it is heard.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from robojam.corpus.corpus import TOUCH, Corpus
from robojam.corpus.stored_rows import Rows, joined

Array = np.ndarray[Any, np.dtype[Any]]

#: Both parts of a performance that is cut have so many events at least: one is scored.
_FEWEST = 2
#: An end so many times as long as was asked for, or as short, is taken for a longer pause.
_ABOUT = 2.0


def split(corpus: Corpus, *, every: int) -> tuple[Corpus, Corpus]:
    """Hold a part of a clean corpus out, one in every: what to train on, what is held out.

    That is every so many-th performance; or, where one performance is more than half of
    the events, the end of it. Raises ValueError when there is too little for both.
    """
    count, total = len(corpus.lengths), len(corpus.events)
    if count and corpus.lengths.max() > total / 2:
        found = _cut(corpus, int(corpus.lengths.argmax()), total / every)
        if found is not None:
            return found
    if count < 2:
        raise ValueError(
            f"{corpus.name} has {'one performance' if count else 'no performance'} of two "
            f"events or more{', and that is too short to be cut' if count else ''}: training "
            "wants something to learn from and something to be scored on"
        )
    held = np.zeros(count, bool)
    held[(every - 1) % count :: every] = True
    name = f"every {every}th performance of {corpus.name}"
    train = replace(corpus, events=_of(corpus, ~held), lengths=corpus.lengths[~held])
    return train, replace(
        corpus, events=_of(corpus, held), lengths=corpus.lengths[held], name=name
    )


def _of(corpus: Corpus, held: np.ndarray[Any, np.dtype[np.bool_]]) -> Rows:
    """Return the events of some performances: held (P,) says of which."""
    edges = np.flatnonzero(np.diff(held, prepend=False, append=False))
    runs = pairwise(corpus.offsets[edges].tolist())
    return joined([(corpus.events, start, end) for start, end in list(runs)[::2]])


def _cut(corpus: Corpus, which: int, wanted: float) -> tuple[Corpus, Corpus] | None:
    """Hold out the end of one performance, about so many events; None: it is too short."""
    start, end = corpus.offsets[which : which + 2].tolist()
    performance = corpus.events[start:end]
    if len(performance) < 2 * _FEWEST:
        return None
    at = _place(performance, corpus.columns, wanted)
    rest = performance[at:].copy()
    lengths = corpus.lengths.copy()
    lengths[which] = at
    train = replace(
        corpus,
        events=joined(
            [(corpus.events, 0, start + at), (corpus.events, end, len(corpus.events))]
        ),
        lengths=lengths,
    )
    told = f"the last {len(rest):,} points"
    if corpus.columns == TOUCH:
        seconds = float(rest[1:, 2].sum())
        minutes, left = divmod(round(seconds), 60)
        told = f"the last {seconds:.1f} s" if seconds < 10 else f"the last {left} s"
        if minutes:
            told = f"the last {minutes} min {left} s"
        if rest[0, 3] == 0:
            told += f", after a pause of {rest[0, 2]:.2g} s,"
        rest[0, 2:] = 0  # it lands, and nothing was before it
    name = corpus.name if len(lengths) == 1 else f"performance {which + 1} of {corpus.name}"
    return train, replace(
        corpus, events=rest, lengths=np.array([len(rest)]), name=f"{told} of {name}"
    )


def _place(performance: Array, columns: tuple[str, ...], wanted: float) -> int:
    """Choose where a performance (n, D) is cut, so that about so many events come after."""
    count = len(performance)
    rows = np.arange(_FEWEST, count - _FEWEST + 1)
    after = count - rows
    if columns == TOUCH:
        lands, pause = performance[rows, 3] == 0, performance[rows, 2]
    else:  # a stroke begins where the pen was lifted before
        lands, pause = performance[rows - 1, 2] == 1, np.zeros(len(rows))
    near = lands & (after >= wanted / _ABOUT) & (after <= wanted * _ABOUT)
    if near.any():
        longest = near & (pause == pause[near].max())
        return int(rows[longest][np.abs(after[longest] - wanted).argmin()])
    some = lands if lands.any() else np.ones(len(rows), bool)
    return int(rows[some][np.abs(after[some] - wanted).argmin()])
