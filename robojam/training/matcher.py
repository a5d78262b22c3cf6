"""Fit of a matcher (robojam.model.matcher) to people's performances.

Each performance is cut at several instants: what comes before is a call, what comes after
its answer. A ridge regression leads from the normal scores of a call's descriptors to those
of its answer's; the covariance around it is shrunk towards its diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robojam.model.matcher import Floats, Matcher, normal_scores
from robojam.player.descriptors import VERSION, describe

#: Where performances are cut, as shares of their time.
_CUTS = (0.35, 0.5, 0.65)
#: Fewest touches of a call and of an answer, and shortest time of each (seconds).
_TOUCHES, _SECONDS = 8, 0.5
#: Fewest performances from which it is learnt.
FEWEST = 100
#: Number of quantiles of each descriptor.
_QUANTILES = 33
#: Weight of the ridge, as a share of the number of pairs; share of the covariance that is
#: replaced by its diagonal.
_RIDGE, _SHRINKAGE = 0.1, 0.1


def fit(performances: Sequence[Floats]) -> Matcher | None:
    """Return a matcher learnt from clean performances (n, 4) of touches.

    None where fewer than FEWEST of them can be cut.
    """
    calls, answers = cut(performances)
    if len(calls) < FEWEST * len(_CUTS):
        return None
    call, answer = describe(calls), describe(answers)
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    of_calls, of_answers = (np.quantile(v, levels, axis=0).T for v in (call, answer))
    x, z = normal_scores(of_calls, call), normal_scores(of_answers, answer)
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    weight = np.linalg.solve(x.T @ x + ridge, x.T @ z)
    residual = z - x @ weight
    covariance = residual.T @ residual / len(z)
    covariance *= 1 - _SHRINKAGE
    covariance[np.diag_indices_from(covariance)] /= 1 - _SHRINKAGE
    # A descriptor that is always the same says nothing.
    covariance[np.diag_indices_from(covariance)] += 1e-3
    return Matcher(VERSION, of_calls, of_answers, weight, np.linalg.inv(covariance))


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
