"""Phases for performances that were kept without: which touches are landings.

A pause alone tells too little: a finger lands again within a tenth of a second, and one
that rests on the glass sends nothing for longer. So four sizes are looked at for each
touch: the time before it, the jump to it, the jump before that and the one after, all as
logarithms. A landing is told by a quadratic form in them (a logistic regression, fitted to
performances in which the truth is known). benchmarks/phases.py fits it again and says how
often it is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Times (seconds) and distances (screens) are told apart from this size up.
SMALLEST = 1e-3
#: Longer pauses than this, in seconds, tell no more.
LONGEST = 5.0
#: The odds of a landing: CONSTANT + LINEAR x + x QUADRATIC x, for x the logarithms of the
#: time before, the jump to it, the jump before and the jump after.
CONSTANT = 11.406
LINEAR = np.array([0.624, 1.772, 0.03, 1.361])
QUADRATIC = np.array(
    [
        [-0.4, -0.345, 0.163, -0.006],
        [0.0, 0.216, -0.029, -0.04],
        [0.0, 0.0, -0.076, 0.084],
        [0.0, 0.0, 0.0, 0.134],
    ]
)
#: So many touches are reckoned at once.
_BLOCK = 1 << 16


def sizes(touches: Array, first: Array) -> Array:
    """Return the four logarithms by which a touch is judged, (N, 4) for touches (N, 3).

    touches are x, y in screens and dt in seconds; first (N,) tells which begin a
    performance: before these, and after the last, there is nothing.
    """
    found = np.zeros((len(touches), 4))
    found[:, 0] = np.clip(touches[:, 2], 0, LONGEST)
    found[1:, 1] = np.hypot(np.diff(touches[:, 0]), np.diff(touches[:, 1]))
    found[first, 1] = 0
    found[1:, 2] = found[:-1, 1]
    found[first, 2] = 0
    found[:-1, 3] = found[1:, 1]
    return np.log(np.nan_to_num(found) + SMALLEST)


def moving(touches: Array, lengths: Array) -> Array:
    """Tell which touches (N, 3) are moves, (N,) of 1 and 0, in performances of lengths (P,).

    The first of a performance is a landing.
    """
    count = len(touches)
    first = np.zeros(count, bool)
    first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    found = np.ones(count, np.float32)
    for start in range(0, count, _BLOCK):
        # With the two touches before it and the one after, that are looked at too.
        before = min(start, 2)
        rows = slice(start - before, start + _BLOCK + 1)
        x = sizes(touches[rows], first[rows])[before : before + _BLOCK]
        odds = CONSTANT + x @ LINEAR + ((x @ QUADRATIC) * x).sum(1)
        found[start : start + _BLOCK] = odds <= 0
    found[first] = 0
    return found
