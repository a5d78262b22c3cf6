"""Fit of a matcher (robojam.model.matcher) to people's performances.

Each performance is cut at several instants: what comes before is a call, what comes after its
answer. A ridge regression leads from the descriptors of a call to those of its answer. The
covariance around it is shrunk towards its diagonal; in units of it, the directions in which
the answers to different calls differ most make the matcher's space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robojam.model.matcher import Floats, Matcher, standardise
from robojam.player.descriptors import VERSION, describe

#: Where performances are cut, as shares of their time.
_CUTS = (0.35, 0.5, 0.65)
#: Fewest touches of a call and of an answer, and shortest time of each (seconds).
_TOUCHES, _SECONDS = 8, 0.5
#: Fewest calls from which it is learnt.
FEWEST = 300
#: Weight of the ridge, as a share of the number of calls; share of the covariance that is
#: replaced by its diagonal; dimensions of the space.
_RIDGE, _SHRINKAGE, _DIMENSIONS = 0.1, 0.1, 20
#: Share of the values of a descriptor, at either end, that are moved inwards for its centre
#: and deviation; and the least deviation.
_OUTLIERS, _LEAST = 0.02, 1e-3


def fit(performances: Sequence[Floats]) -> Matcher | None:
    """Return a matcher learnt from clean performances (n, 4) of touches.

    None where they yield fewer than FEWEST calls.
    """
    calls, answers = cut(performances)
    if len(calls) < FEWEST:
        return None
    call, answer = describe(calls), describe(answers)
    both = np.concatenate([call, answer])
    both = np.clip(both, *np.quantile(both, [_OUTLIERS, 1 - _OUTLIERS], axis=0))
    units = np.stack([both.mean(0), both.std(0) + _LEAST])
    x, z = standardise(units, call), standardise(units, answer)
    mean_x, mean_z = x.mean(0), z.mean(0)
    x, z = x - mean_x, z - mean_z
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    weight = np.linalg.solve(x.T @ x + ridge, x.T @ z)
    residual = z - x @ weight
    covariance = residual.T @ residual / len(z)
    diagonal = np.diag(np.diag(covariance) + _LEAST)
    covariance += _SHRINKAGE * (diagonal - covariance)
    # In these coordinates the residuals have variance 1, and no correlation.
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    expected = x @ weight @ whitening
    _, directions = np.linalg.eigh(expected.T @ expected)  # ascending
    whitening = whitening @ directions[:, : -_DIMENSIONS - 1 : -1]
    projections = weight @ whitening, whitening
    of_calls, of_answers = (
        np.concatenate([projection, [-mean @ projection]])
        for projection, mean in zip(projections, (mean_x, mean_z), strict=True)
    )
    return Matcher(VERSION, units, of_calls, of_answers)


def cut(performances: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
    """Return calls and their answers, in the order of the performances."""
    calls, answers = [], []
    for touches in performances:
        times = touches[:, 2].cumsum()
        for share in _CUTS:
            middle = int(np.searchsorted(times, share * times[-1], side="right"))
            if min(middle, len(touches) - middle) < _TOUCHES:
                continue
            if min(times[middle - 1], times[-1] - times[middle]) < _SECONDS:
                continue
            calls.append(touches[:middle])
            answers.append(touches[middle:])
    return calls, answers
