"""The last column of a corpus, a flag: inferred where a file has none, else checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robojam.corpus.corpus import TOUCH, Corpus, CorpusError, Integers, name_rows
from robojam.corpus.infer_phase import infer_moving
from robojam.corpus.stored_rows import Floats, iterate_blocks


def with_inferred_phases(touches: Floats, lengths: Integers, name: str, source: str) -> Corpus:
    """Return touches (N, 3) of x, y and dt as a corpus, with an inferred moving column."""
    events = np.empty((len(touches), len(TOUCH)), touches.dtype)
    events[:, :3] = touches
    events[:, 3] = infer_moving(touches, lengths)
    return Corpus(events, lengths, TOUCH, name, source=source, inferred=len(touches))


def check_flags(path: Path, corpus: Corpus) -> Corpus:
    """Return a corpus whose last column is 0, 1 or NaN. Raises CorpusError otherwise."""
    for start, events in iterate_blocks(corpus.events):
        flags = events[:, -1]
        wrong = np.flatnonzero((flags != 0) & (flags != 1) & ~np.isnan(flags))[:1]
        if len(wrong):
            place = name_rows(start + wrong, corpus.lengths, corpus.columns, corpus.lines)
            names = ", ".join(corpus.columns)
            raise CorpusError(
                path,
                f"{corpus.columns[-1]} must be 0 or 1, and is {flags[wrong[0]]:g} ({place}): "
                f"are its columns {names}, in this order?",
            )
    return corpus
