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

from robojam.model.event import MARGIN

Floats = np.ndarray[Any, np.dtype[Any]]

#: Corpora hold decimals and 32-bit numbers: places stray this far from their lattice.
SLACK = MARGIN / 2
#: Performances with fewer touches than this inside the screen show no lattice.
_FEW = 6
#: Lattices that fewer performances than this show are left out.
_RARE = 3
#: So many are looked at together: places, and lattices for each performance.
_BLOCK = 1 << 16


def detect(places: Floats, lattices: Sequence[int]) -> int:
    """Find the coarsest lattice on which all places (T, D) lie; 0 where there is none."""
    return int(detected([places], lattices)[0])


def detected(performances: Iterable[Floats], lattices: Sequence[int]) -> Floats:
    """Find what `detect` finds in each performance, (P,), in many of them at a time."""
    found = [np.zeros(0, np.int64)]
    block: list[Floats] = []
    size = 0
    for places in performances:
        block.append(places)
        size += len(places) + len(lattices)
        if size >= _BLOCK:
            found.append(_detected(block, lattices))
            block, size = [], 0
    if block:
        found.append(_detected(block, lattices))
    return np.concatenate(found)


def _detected(block: list[Floats], lattices: Sequence[int]) -> Floats:
    """Find the lattice of each performance, (P,): by a few of its places, then by all."""
    whose = np.repeat(np.arange(len(block)), [len(places) for places in block])
    places = np.ascontiguousarray(np.concatenate(block).T, np.float64)
    inside = ((places > 0) & (places < 1)).all(0)
    whose, places = whose[inside], places.compress(inside, 1)
    counts = np.bincount(whose, minlength=len(block))
    begins = np.cumsum(counts) - counts
    many = np.flatnonzero(counts >= _FEW)
    # Pairs of a performance and a lattice, in their order: a few places leave few of them.
    every = np.array(sorted(lattices), np.float64)
    rows, columns = np.nonzero(_on(places[0, begins[many], None], every))
    which, n = many[rows], every[columns]
    for place in range(_FEW):
        for column in places:
            on = _on(column[begins[which] + place], n)
            which, n = which[on], n[on]
    found = np.zeros(len(block), np.int64)
    while len(which):  # whether all places lie on the coarsest that each has left
        asked, wrong = np.zeros((2, len(block)), bool)
        asked[which] = True
        rows = np.flatnonzero(asked[whose])
        coarsest = np.diff(which, prepend=-1) > 0
        found[which[coarsest]] = n[coarsest]
        off = ~_on(places.take(rows, 1), found[whose[rows]])
        wrong[whose[rows[off.any(0)]]] = True
        found[wrong] = 0
        left = wrong[which] & ~coarsest
        which, n = which[left], n[left]
    return found


def _on(places: Floats, n: Floats) -> Floats:
    """Tell which places lie on lattices of 1/n."""
    pixels = places * n
    found: Floats = np.abs(pixels - np.round(pixels)) < n * SLACK
    return found


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
    found = detected(performances, candidates)
    lines, counts = np.unique(found[found > 0], return_counts=True)
    counted = zip(lines.tolist(), counts.tolist(), strict=True)
    return tuple((n, count / (len(found) + 1)) for n, count in counted if count >= rare)


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
