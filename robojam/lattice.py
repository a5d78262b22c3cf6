"""The lattices of screens, and an exact density on them.

A screen reports whole pixels: x and y are multiples of 1/n. Dequantised by noise
narrower than that (docs/measure.md), its places lie in the teeth of a comb, and a
density that knows the comb is higher on them by the share of the gaps. Which n a
performance has is a hidden variable: each n is a hypothesis, "no lattice" another,
with prior shares that the model's file holds; the density of a performance is their
exact mixture (Bayes), and what is known of n at each touch is its posterior.

Under a hypothesis a place is known to lie in its cell, and is as likely as the model
finds the cell: its chance is spread evenly over the tooth, so that a mean density over
the cell becomes one over the tooth by a constant. The model hears the middle of the
cell: under a lattice, nothing of the noise is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from robojam.event import MARGIN

Floats = np.ndarray[Any, np.dtype[Any]]

#: Corpora hold decimals and 32-bit numbers: places stray this far from their lattice.
SLACK = MARGIN / 2
#: Performances with fewer touches than this inside the screen show no lattice.
_FEW = 6
#: Lattices that fewer performances than this show are left out.
_RARE = 3


def detect(places: Floats, lattices: Sequence[int]) -> int:
    """Find the coarsest lattice on which all places (T, D) lie; 0 where there is none."""
    inside = places[((places > 0) & (places < 1)).all(1)].astype(np.float64)
    if len(inside) < _FEW:
        return 0
    left = np.array(sorted(lattices))
    for few in (inside[:_FEW], inside):  # a few places rule most lattices out
        pixels = few.reshape(-1, 1) * left
        left = left[(np.abs(pixels - np.round(pixels)) < left * SLACK).all(0)]
    return int(left[0]) if len(left) else 0


def shares(
    performances: Iterable[Floats], noise: float, *, rare: int = _RARE
) -> tuple[tuple[int, float], ...]:
    """Find the lattices of a corpus that are coarser than its noise, and their shares.

    performances (T, D) are places as they were recorded; noise is the width of the
    dequantising noise; what fewer than rare of them show is left out. Returns pairs of n
    and share; the rest shows no lattice, and one performance more than there are is
    reckoned to it, so that it is never ruled out.
    """
    candidates = range(100, math.ceil(1 / (noise + MARGIN)))
    found = [detect(places, candidates) for places in performances]
    counts = {n: found.count(n) for n in sorted(set(found)) if n}
    total = len(found) + 1
    return tuple((n, count / total) for n, count in counts.items() if count >= rare)


def halved(
    some: Iterable[tuple[int, float]], others: Iterable[tuple[int, float]]
) -> tuple[tuple[int, float], ...]:
    """Give half of all to the lattices and shares of one corpus, half to another's."""
    both: dict[int, float] = {}
    for n, share in (*some, *others):
        both[n] = both.get(n, 0.0) + share / 2
    return tuple(sorted(both.items()))


def teeth(places: Floats, n: int, noise: float) -> tuple[Floats, Floats]:
    """Read dequantised places (T, D) as cells of a lattice.

    Returns whether each lies in a tooth (T,), and the middles of the cells (T, D). n = 0 is
    no lattice: the places are their own middles.
    """
    if n == 0:
        return np.ones(len(places), bool), places
    cell = np.floor((places + SLACK) * n)
    inside = (places + SLACK - cell / n) <= noise + MARGIN
    return np.all(inside, axis=1), (cell + 0.5) / n


def gain(n: int, noise: float, dims: int) -> float:
    """Log density, in nats, that a place of so many dimensions gains by its lattice."""
    return -dims * math.log(n * (noise + MARGIN)) if n else 0.0


def known(joint: Floats, prior: Floats) -> Floats:
    """Say what is known of the hypotheses before each event, as log shares (H, T).

    joint (H, T) are the log densities of the events under each, prior (H,) their log
    shares at first.
    """
    after = prior[:, None] + np.cumsum(joint, 1)
    before = np.concatenate([prior[:, None], after[:, :-1]], 1)
    found: Floats = before - np.logaddexp.reduce(before, 0)
    return found


def mixed(parts: Floats, prior: Floats) -> Floats:
    """Mix hypotheses exactly: log densities of events, given all events before.

    parts (H, T, F) are the log densities of each event's factors under each hypothesis
    (-inf where it is ruled out), prior (H,) the logarithms of the hypotheses' shares.
    Returns (T, F): the chain-rule terms of the mixture.
    """
    before = known(parts.sum(-1), prior)
    terms = np.logaddexp.reduce(before[..., None] + np.cumsum(parts, -1), 0)
    return np.diff(terms, axis=-1, prepend=0.0)
