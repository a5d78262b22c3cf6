"""What ends a training run before its time, and how that is told to a person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from robojam.corpus.corpus import Corpus
from robojam.model.event import EventSpec
from robojam.training.batches import Chunk


class NotFiniteError(ArithmeticError):
    """The loss is no number any more; the text says where it began."""


class TooLargeError(MemoryError):
    """A batch does not fit into the device's memory; the text names one that would."""


def cause(
    corpus: Corpus, event: EventSpec, parts: Tensor, scored: Tensor, group: Sequence[Chunk]
) -> str:
    """Say where in a batch the loss stopped being a number, and what to do.

    parts (N, F) are the log densities of the factors of the events that scored (B, T) names.
    """
    broken = ~torch.isfinite(parts)
    first = int(broken.any(1).nonzero()[0])
    factor = event.factors[int(broken[first].nonzero()[0])].name
    row, column = scored.nonzero()[first].tolist()
    start = group[row].start
    # What was heard before it in its window may be what spoilt it.
    heard = corpus.events[start : start + column + 1]
    strange = np.flatnonzero(~np.isfinite(heard).all(1))
    at = int(strange[0]) if len(strange) else column
    what = "Clean the corpus." if len(strange) else "Lower the learning rate."
    performance = int(np.searchsorted(np.cumsum(corpus.lengths), start + at, side="right"))
    return (
        f"factor {factor!r} of event {start + at} (performance {performance + 1} of "
        f"{corpus.name}), {heard[at].tolist()}. {what}"
    )


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out: torch has several ways to."""
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in text
