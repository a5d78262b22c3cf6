"""Lattices of screens, and an exact density on them.

A screen reports whole pixels: x and y are multiples of 1/n. Dequantised by noise narrower
than a pixel (docs/measure.md), its places lie in the teeth of a comb, and a density that
knows the comb is higher there, by the share of the gaps. Which n a performance has is a
hidden variable: each n is a hypothesis, "no lattice" another, with prior shares from the
model's file. The density of a performance is their exact mixture (Bayes), weighted at each
touch by the posterior of n.

Under a hypothesis a place lies in a known cell, and has the probability that the model gives
the cell, spread evenly over the tooth: the mean density over the cell becomes one over the
tooth by a constant factor. The model is fed the middle of the cell, without the noise.

T is the number of events, D of a position's dimensions, P of performances, H of hypotheses,
F of factors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.model.event import MARGIN

_Doubles = NDArray[np.float64]

#: Largest distance of places from their lattice: corpora hold decimals and 32-bit numbers.
SLACK = MARGIN / 2
#: A performance with fewer touches than this inside the screen shows no lattice.
_MIN_TOUCHES = 6


def detect(performances: Iterable[NDArray[Any]], lattices: Iterable[int]) -> NDArray[np.int64]:
    """Return the coarsest lattice (P,) on which all places (T, D) of each performance lie.

    lattices are the candidates, as numbers of lines n; 0 stands for none of them.
    """
    candidates = np.array(sorted(lattices), np.float64)
    detected: list[float] = []
    for performance in performances:
        places = np.asarray(performance, np.float64)
        places = places[((places > 0) & (places < 1)).all(1)]
        few = places[:_MIN_TOUCHES, :, None]  # they rule most candidates out
        left = candidates[_on(few, candidates).all((0, 1))] if len(few) == _MIN_TOUCHES else ()
        detected.append(next((n for n in left if _on(places, n).all()), 0))
    return np.array(detected, np.int64)


def places_of_knobs(values: NDArray[Any]) -> NDArray[Any]:
    """Return values (T, D) of knobs as places (U, 1) for `detect`.

    Each knob by itself has the lattice, many stand at an end of it, and most rest: so each
    value counts once.
    """
    return np.unique(values)[:, None]


def _on(places: _Doubles, n: _Doubles | float) -> NDArray[np.bool_]:
    """Return which places lie on lattices of 1/n."""
    pixels = places * n
    on: NDArray[np.bool_] = np.abs(pixels - np.round(pixels)) < n * SLACK
    return on


def shares(
    performances: Iterable[NDArray[Any]], noise: float, *, rare: int = 3
) -> tuple[tuple[int, float], ...]:
    """Return the lattices of a corpus that are coarser than its noise, with their shares.

    performances (T, D) are places as they were recorded; noise is the width of the
    dequantising noise; lattices of fewer than rare performances are left out. Returns pairs
    of n and share; the other performances show no lattice, and one is added to these, so that
    the hypothesis "no lattice" is never ruled out.
    """
    candidates = range(100, math.ceil(1 / (noise + MARGIN)))
    detected = detect(performances, candidates)
    lines, counts = np.unique(detected[detected > 0], return_counts=True)
    counted = zip(lines.tolist(), counts.tolist(), strict=True)
    return tuple((n, count / (len(detected) + 1)) for n, count in counted if count >= rare)


def average_shares(
    first: Iterable[tuple[int, float]], second: Iterable[tuple[int, float]]
) -> tuple[tuple[int, float], ...]:
    """Return the average of two corpora's lattices and shares."""
    average: dict[int, float] = {}
    for n, share in (*first, *second):
        average[n] = average.get(n, 0.0) + share / 2
    return tuple(sorted(average.items()))


def cells(places: NDArray[Any], n: int, noise: float) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Return whether dequantised places (T, D) lie in teeth (T,), and their cells' middles.

    The middles are (T, D). n = 0 is no lattice: the places are their own middles.
    """
    if n == 0:
        return np.ones(len(places), bool), places
    cell = np.floor((places + SLACK) * n)
    inside = (places + SLACK - cell / n) <= noise + MARGIN
    return np.all(inside, axis=1), (cell + 0.5) / n


def log_gain(n: int, noise: float, dims: int) -> float:
    """Return the log density, in nats, that a place of dims dimensions gains by a lattice."""
    return -dims * math.log(n * (noise + MARGIN)) if n else 0.0


def log_posteriors(joint: _Doubles, prior: _Doubles) -> _Doubles:
    """Return the log probability (H, T) of each hypothesis before each event.

    joint (H, T) are the log densities of the events under each hypothesis, prior (H,) the
    hypotheses' log shares.
    """
    after = prior[:, None] + np.cumsum(joint, 1)
    before = np.concatenate([prior[:, None], after[:, :-1]], 1)
    posteriors: _Doubles = before - np.logaddexp.reduce(before, 0)
    return posteriors


def mix(parts: _Doubles, prior: _Doubles) -> _Doubles:
    """Return the log densities (T, F) of events under the mixture of all hypotheses.

    parts (H, T, F) are the log densities of each event's factors under each hypothesis
    (-inf where it is ruled out), prior (H,) the hypotheses' log shares. The result is the
    chain-rule terms of the exact mixture.
    """
    before = log_posteriors(parts.sum(-1), prior)
    terms = np.logaddexp.reduce(before[..., None] + np.cumsum(parts, -1), 0)
    return np.diff(terms, axis=-1, prepend=0.0)
