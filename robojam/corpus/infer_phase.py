"""Phases of touches that were recorded without them: which touches are landings.

The pause before a touch is not enough to decide: a finger can land again within 0.1 s, and
a finger that rests on the glass sends nothing for longer than that. So four quantities are
used for each touch: the time before it, the jump to it, the jump before that and the jump
after it, all as logarithms. The log odds of a landing are a quadratic form in them (logistic
regression, fitted to performances whose phases are known). benchmarks/phase_inference.py fits
the constants and measures how often the result is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: Times (seconds) and distances (screens) below this are not distinguished.
SMALLEST = 1e-3
#: Pauses longer than this, in seconds, are not distinguished.
LONGEST = 5.0
#: The log odds of a landing are CONSTANT + LINEAR x + x QUADRATIC x, for x the logarithms of
#: the time before, the jump to it, the jump before and the jump after.
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
#: Number of touches that are computed at once.
_BLOCK = 1 << 16


def log_features(touches: Floats, first: NDArray[np.bool_]) -> Floats:
    """Return the four logarithms (N, 4) that decide the phase of touches (N, 3).

    touches are x, y in screens and dt in seconds. first (N,) marks the first touch of each
    performance: the jumps before it, and after the last touch, are 0.
    """
    features = np.zeros((len(touches), 4))
    features[:, 0] = np.clip(touches[:, 2], 0, LONGEST)
    features[1:, 1] = np.hypot(np.diff(touches[:, 0]), np.diff(touches[:, 1]))
    features[first, 1] = 0
    features[1:, 2] = features[:-1, 1]
    features[first, 2] = 0
    features[:-1, 3] = features[1:, 1]
    return np.log(np.nan_to_num(features) + SMALLEST)


def infer_moving(touches: Floats, lengths: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Return the moving column (N,) of touches (N, 3) in performances of lengths (P,).

    1 is a move and 0 a landing. The first touch of a performance is a landing.
    """
    count = len(touches)
    first = np.zeros(count, bool)
    first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    moving = np.ones(count, np.float32)
    for start in range(0, count, _BLOCK):
        # The features need two touches before the block and one after it.
        before = min(start, 2)
        rows = slice(start - before, start + _BLOCK + 1)
        x = log_features(touches[rows], first[rows])[before : before + _BLOCK]
        log_odds = CONSTANT + x @ LINEAR + ((x @ QUADRATIC) * x).sum(1)
        moving[start : start + _BLOCK] = log_odds <= 0
    moving[first] = 0
    return moving
