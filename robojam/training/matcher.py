"""Fit of a matcher (robojam.model.matcher) to people's performances.

Each performance is cut at several instants: what comes before is a call, what comes after its
answer. A ridge regression leads from the descriptors of a call to those of its answer. The
covariance around it is shrunk towards its diagonal; in units of it, the directions in which
the answers to different calls differ most make the matcher's space. Then the model answers
some of the calls, and a second regression says where its own answers lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robojam.evaluation.likeness import split_in_half
from robojam.model.file import ModelFile
from robojam.model.matcher import Floats, Matcher, project, standardise
from robojam.player.descriptors import VERSION, describe
from robojam.player.generate import generate

#: Where performances are cut, as shares of their time.
_CUTS = (0.35, 0.5, 0.65)
#: Fewest touches of a call and of an answer, and shortest time of each (seconds).
_TOUCHES, _SECONDS = 8, 0.5
#: Fewest calls from which it is learnt.
FEWEST = 300
#: Weight of the ridge, as a share of the number of calls; share of the covariance that is
#: replaced by its diagonal; dimensions of the space.
_RIDGE, _SHRINKAGE, _DIMENSIONS = 0.1, 0.1, 16
#: Calls that the model answers, at most, and how often; weight of the ridge of that.
_ANSWERED, _ANSWERS, _OWN_RIDGE = 700, 2, 0.02
#: Share of the values of a descriptor, at either end, that are moved inwards for its centre
#: and deviation; and the least deviation.
_OUTLIERS, _LEAST = 0.02, 1e-3


def fit(file: ModelFile, performances: Sequence[Floats]) -> Matcher | None:
    """Return a matcher for a model, learnt from clean performances (n, 4) of touches.

    None where they yield too few calls.
    """
    calls, answers = cut(performances)
    pairs = split_in_half(performances)
    if len(calls) < FEWEST or len(pairs) < FEWEST / len(_CUTS):
        return None
    people = _fit_people(describe(calls), describe(answers))
    return _fit_own(people, file, pairs)


def _fit_people(call: Floats, answer: Floats) -> Matcher:
    """Return a matcher of descriptors (N, D) of calls and answers, for no model yet."""
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
    square = np.eye(_DIMENSIONS)
    return Matcher(
        VERSION, units, of_calls, of_answers, np.vstack([square, square[:1]]), square
    )


def _fit_own(
    people: Matcher, file: ModelFile, pairs: Sequence[tuple[Floats, Floats]]
) -> Matcher:
    """Return the matcher of people's answers, with where the model's own lie."""
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, _ANSWERED).astype(int)]
    if len(pairs) <= _ANSWERED:
        chosen = list(pairs)
    calls = [call for call, _ in chosen for _ in range(_ANSWERS)]
    answers = [answer for _, answer in chosen for _ in range(_ANSWERS)]
    seconds = np.array([float(answer[:, 2].sum()) for answer in answers])
    silences = (seconds - [float(call[:, 2].sum()) for call in calls]) / 2
    about = file.description
    takes = generate(
        file,
        calls,
        seconds=seconds,
        seed=0,
        temperature=about.temperature,
        spread=about.spread,
        silences=silences,
        follow=0.0,
        memory=0.0,
    )
    played = [i for i, take in enumerate(takes) if len(take)]
    x, z = (
        project(standardise(people.units, describe([rows[i] for i in played])), projection)
        for rows, projection in ((calls, people.calls), (takes, people.answers))
    )
    ones = np.column_stack([x, np.ones(len(x))])
    penalty = np.diag(np.append(np.full(x.shape[1], _OWN_RIDGE * len(x)), 0.0))
    own = np.linalg.solve(ones.T @ ones + penalty, ones.T @ z)
    residual = z - ones @ own
    variances, directions = np.linalg.eigh(residual.T @ residual / len(z))
    # Nowhere narrower than people's: no answer is better for lying further out.
    precision = (directions / np.maximum(variances, 1.0)) @ directions.T
    return replace(people, own=own, own_precision=precision)


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
