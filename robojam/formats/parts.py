"""What every reader hands back: the parts of a corpus, before its file is hashed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robojam import phases
from robojam.corpus import TOUCH, CorpusError, Floats, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Events (N, D), lengths (P,), and what they are; see robojam.corpus.Corpus."""

    events: Floats
    lengths: Integers
    columns: tuple[str, ...]
    name: str
    source: str = "arrays"
    dropped: dict[str, int] = field(default_factory=dict)
    inferred: int = 0


def timed(
    touches: Floats,
    lengths: Integers,
    name: str,
    source: str,
    dropped: dict[str, int] | None = None,
) -> Parts:
    """Complete touches without phases, (N, 3) of x, y and dt, by the rule for them."""
    events = np.empty((len(touches), len(TOUCH)), touches.dtype)
    events[:, :3] = touches
    events[:, 3] = phases.moving(touches, lengths)
    return Parts(events, lengths, TOUCH, name, source, dropped or {}, len(touches))


def flagged(path: Path, key: str, events: Floats, columns: tuple[str, ...]) -> Floats:
    """Return events whose last column is 0 or 1 (or NaN). Raises CorpusError otherwise."""
    flags = events[:, -1]
    strange = np.flatnonzero((flags != 0) & (flags != 1) & ~np.isnan(flags))
    if len(strange):
        names = ", ".join(columns)
        found = f"{flags[strange[0]]:g} in row {strange[0]}"
        raise CorpusError(
            path,
            f"{columns[-1]} must be 0 or 1, and is {found}: are {key} {names}, in this order?",
        )
    return events
