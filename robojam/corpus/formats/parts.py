"""What every reader hands back: the parts of a corpus, before its file is hashed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robojam.corpus import infer_phase
from robojam.corpus.corpus import TOUCH, CorpusError, Integers, placed
from robojam.corpus.stored_rows import Floats, Rows, blocks


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Events (N, D), lengths (P,), and what they are; see robojam.corpus.corpus.Corpus."""

    events: Rows
    lengths: Integers
    columns: tuple[str, ...]
    name: str
    source: str = "arrays"
    dropped: dict[str, int] = field(default_factory=dict)
    inferred: int = 0
    places: dict[str, str] = field(default_factory=dict)
    lines: Integers | None = None


def timed(touches: Floats, lengths: Integers, name: str, source: str) -> Parts:
    """Complete touches without phases, (N, 3) of x, y and dt, by the rule for them."""
    events = np.empty((len(touches), len(TOUCH)), touches.dtype)
    events[:, :3] = touches
    events[:, 3] = infer_phase.moving(touches, lengths)
    return Parts(events, lengths, TOUCH, name, source, inferred=len(touches))


def flagged(path: Path, parts: Parts) -> Parts:
    """Return parts whose last column is 0 or 1 (or NaN). Raises CorpusError otherwise."""
    for start, events in blocks(parts.events):
        flags = events[:, -1]
        strange = np.flatnonzero((flags != 0) & (flags != 1) & ~np.isnan(flags))[:1]
        if len(strange):
            where = placed(start + strange, parts.lengths, parts.columns, parts.lines)
            names = ", ".join(parts.columns)
            raise CorpusError(
                path,
                f"{parts.columns[-1]} must be 0 or 1, and is {flags[strange[0]]:g} ({where}): "
                f"are its columns {names}, in this order?",
            )
    return parts
