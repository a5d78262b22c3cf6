"""Belonging: how much an answer has to do with the call that it answers.

Likeness (robojam.evaluation.likeness) asks whether answers are like people's. A machine that
answers everybody with one good phrase can pass that test. Belonging asks two more questions,
with the same descriptors of calls and of answers:

- **Retrieval**: of all calls, which one does an answer belong to? A judge ranks the calls of
  the corpus for each answer. It has learnt from people's own continuations: those of another
  corpus, or, less well, of the other performances of this one.
- **Correlation**: Spearman's rho between a descriptor of the call and that of its answer, over
  all performances, and the mean over the descriptors.

People's own continuations, and people's continuations that were shuffled among the calls, are
measured beside the machine's. The judge sees numbers that sum up a phrase: neither where in
the phrase something happens, nor shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from robojam.evaluation import likeness

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

#: An answer has found its call in the first ranks if it is among this many.
FIRST_RANKS: Final = 10
#: Fewest performances.
FEWEST: Final = 20
#: Folds of the judge, which never learns from the performance that it judges.
_FOLDS = 10
#: Ridge penalty of the judge's regression, for each performance; least variance that remains
#: of a descriptor, and how far residual correlations are shrunk towards 0.
_RIDGE, _LEAST_VARIANCE, _SHRINK = 0.1, 0.05, 0.3
#: A descriptor that fewer performances than this have, in both halves, is left out of rho.
_FEWEST = 10


@dataclass(frozen=True, slots=True)
class Belonging:
    """How much answers belong to their calls.

    first, first_ten: share of the answers whose own call the judge ranks first, or among the
    first FIRST_RANKS; mean_rho: mean of rho, Spearman's, by descriptor.
    """

    first: float
    first_ten: float
    mean_rho: float
    rho: dict[str, float]


@dataclass(frozen=True, slots=True)
class BelongingReport:
    """Belonging of a machine's answers, of people's, and of people's to other calls.

    calls: how many calls the judge chooses from.
    """

    calls: int
    machine: Belonging
    people: Belonging
    shuffled: Belonging


def compare(
    pairs: Sequence[tuple[Floats, Floats]],
    takes: Sequence[Floats],
    *,
    learnt: Sequence[tuple[Floats, Floats]] = (),
    seed: int = 0,
) -> BelongingReport:
    """Compare people and a machine on openings with what people played after them.

    pairs: as from `likeness.split_in_half`. takes (n, 4): a machine's answers, the same number
    to each opening, one opening after the other. learnt: pairs of other performances, from
    which the judge learns; without them it learns from pairs, in folds. Raises ValueError for
    fewer than FEWEST openings, or pairs to learn from.
    """
    fewest = min(len(pairs), len(learnt) or len(pairs))
    if fewest < FEWEST:
        raise ValueError(f"belonging wants {FEWEST} performances, not {fewest}")
    rng = np.random.default_rng(seed)
    taught = [
        likeness.describe_all([pair[half] for pair in learnt], rng)
        for half in range(2)
        if learnt
    ]
    calls = likeness.describe_all([call for call, _ in pairs], rng)
    people = likeness.describe_all([after for _, after in pairs], rng)
    machine = likeness.describe_all(takes, rng)
    each = len(takes) // len(pairs)
    judge = Judge(calls, people, *taught)
    own = np.arange(len(pairs))
    # Shuffled within the folds, or the judge might have learnt from the pair that it is given.
    shuffled = np.concatenate([np.roll(fold, 1) for fold in judge.folds])[
        np.argsort(np.concatenate(judge.folds))
    ]
    return BelongingReport(
        calls=len(pairs),
        machine=_measure(judge, machine, own.repeat(each)),
        people=_measure(judge, people, own),
        shuffled=_measure(judge, people[shuffled], own),
    )


class Judge:
    """Ranks calls for an answer, by what people's continuations have in common with theirs.

    Descriptors are replaced by normal scores of their ranks, so that no outlier counts for
    much. A ridge regression predicts an answer's from the call's; the likeliest call is the
    one from which the answer's are predicted best, by a normal density of the residuals.
    """

    def __init__(
        self,
        calls: Floats,
        answers: Floats,
        learnt_calls: Floats | None = None,
        learnt_answers: Floats | None = None,
    ) -> None:
        """Learn from people's calls and answers (N, F), with NaN where one is undefined.

        calls, answers (P, F): those that are ranked. Without others to learn from there is
        one regression for each fold of them, learnt without the fold's performances.
        """
        self.raw_calls = calls
        self.folds = [np.arange(fold, len(calls), _FOLDS) for fold in range(_FOLDS)]
        self._fold_of = np.arange(len(calls)) % _FOLDS
        known = [calls, answers]
        if learnt_calls is not None and learnt_answers is not None:
            known = [learnt_calls, learnt_answers]
        self._scale = [np.sort(column[~np.isnan(column)]) for column in np.concatenate(known).T]
        self.calls = self.normal_scores(calls)
        x, y = map(self.normal_scores, known)
        if learnt_calls is None:
            self._rules = [
                self._learn(np.delete(x, fold, 0), np.delete(y, fold, 0)) for fold in self.folds
            ]
        else:
            self._rules = [self._learn(x, y)] * _FOLDS

    def normal_scores(self, rows: Floats) -> Floats:
        """Return descriptors (N, F) as normal scores of their ranks; 0 for NaN."""
        scores = np.zeros(rows.shape)
        for i, known in enumerate(self._scale):
            if not len(known):
                continue
            column = rows[:, i]
            share = (_ranks(known, column) + 0.5) / (len(known) + 1)
            scores[:, i] = np.where(np.isnan(column), 0.0, _quantiles(share))
        return scores

    @staticmethod
    def _learn(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the weights (F, F) of a regression, and the precision (F, F) of residuals."""
        n, count = x.shape
        weights = np.linalg.solve(x.T @ x + _RIDGE * n * np.eye(count), x.T @ y)
        residuals = y - x @ weights
        covariance = residuals.T @ residuals / n
        diagonal = np.diag(np.maximum(np.diag(covariance), _LEAST_VARIANCE))
        mixed = (1 - _SHRINK) * covariance + _SHRINK * diagonal
        return weights, np.linalg.inv(mixed + 1e-6 * np.eye(count))

    def ranks(self, answers: Floats, own: Integers) -> Integers:
        """Return how many calls are likelier for each answer (N, F) than its own (N)."""
        y = self.normal_scores(answers)
        ranks = np.empty(len(y), int)
        for i, call in enumerate(own.tolist()):
            weights, precision = self._rules[self._fold_of[call]]
            residuals = y[i] - self.calls @ weights
            distance = np.einsum("pf,fg,pg->p", residuals, precision, residuals)
            ranks[i] = int((distance < distance[call]).sum())
        return ranks


def _measure(judge: Judge, answers: Floats, own: Integers) -> Belonging:
    ranks = judge.ranks(answers, own)
    rho = correlations(judge.raw_calls[own], answers)
    return Belonging(
        first=float((ranks < 1).mean()),
        first_ten=float((ranks < FIRST_RANKS).mean()),
        mean_rho=float(np.mean(list(rho.values()))),
        rho=rho,
    )


def correlations(calls: Floats, answers: Floats) -> dict[str, float]:
    """Return Spearman's rho between descriptors of calls and answers (N, F), by name.

    Only pairs in which both are defined count. A descriptor that has fewer than 10 of them, or
    that is the same in all, is left out.
    """
    rho: dict[str, float] = {}
    for name, x, y in zip(likeness.NAMES, calls.T, answers.T, strict=True):
        both = ~(np.isnan(x) | np.isnan(y))
        if both.sum() < _FEWEST or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
            continue
        ranks = [_ranks(np.sort(values), values) for values in (x[both], y[both])]
        centred = [values - values.mean() for values in ranks]
        size = np.sqrt(np.prod([values @ values for values in centred]))
        rho[name] = float(centred[0] @ centred[1] / size)
    return rho


def _ranks(known: Floats, values: Floats) -> Floats:
    """Return the ranks of values (N) among sorted others, in the middle of equal ones."""
    left, right = np.searchsorted(known, values), np.searchsorted(known, values, "right")
    return np.asarray((left + right) / 2)


#: Quantiles of the normal distribution.
_quantiles = np.vectorize(NormalDist().inv_cdf, otypes=[float])
