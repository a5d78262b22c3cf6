"""Matcher: how much an answer belongs to its call, by the descriptors of both.

A linear Gaussian model: the descriptors of an answer, as normal scores, are normal around a
linear function of its call's, with one covariance for all calls. The score of an answer is
the log density given its call minus that given an average call, in nats: with a covariance
in common it is linear in the answer's scores. robojam.training.matcher learns it from
people's performances; it is stored beside a model's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from robojam.model import features

#: Arrays of any precision.
Floats = NDArray[np.floating[Any]]

#: Prefix of its tensors in a model's file.
PREFIX: Final = "matcher."
#: Most descriptors, and most quantiles of each.
_MOST = 1024


class MatcherDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a matcher: the set of descriptors that it has learnt, and its sizes."""

    descriptors: int
    size: int
    quantiles: int

    def __post_init__(self) -> None:
        if not (0 < self.size <= _MOST and 1 < self.quantiles <= _MOST):
            raise ValueError(
                f"a matcher has 1 to {_MOST} descriptors and 2 to {_MOST} quantiles"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its tensors, by their names in a file."""
        table, square = (self.size, self.quantiles), (self.size, self.size)
        named = {"calls": table, "answers": table, "weight": square, "precision": square}
        return {PREFIX + name: shape for name, shape in named.items()}


@dataclass(frozen=True, slots=True)
class Matcher:
    """A learnt matcher over D descriptors.

    version: number of the set of descriptors. calls, answers (D, Q): quantiles of each
    descriptor of calls and of answers. weight (D, D): from a call's scores to the mean scores
    of its answers. precision (D, D): inverse of the covariance around that mean.
    """

    version: int
    calls: Floats
    answers: Floats
    weight: Floats
    precision: Floats

    @property
    def description(self) -> MatcherDescription:
        """Its metadata."""
        size, quantiles = self.calls.shape
        return MatcherDescription(descriptors=self.version, size=size, quantiles=quantiles)

    def tensors(self) -> dict[str, features.Floats]:
        """Return its arrays by their names in a model's file."""
        names = "calls", "answers", "weight", "precision"
        return {PREFIX + name: np.asarray(getattr(self, name), np.float32) for name in names}

    @classmethod
    def from_tensors(
        cls, description: MatcherDescription, tensors: Mapping[str, Floats]
    ) -> Matcher:
        """Return the matcher in a file's tensors; others among them are ignored."""
        names = "calls", "answers", "weight", "precision"
        return cls(description.descriptors, *(tensors[PREFIX + name] for name in names))

    def direction(self, call: Floats) -> tuple[Floats, float]:
        """Return what a call (D) asks of its answers: a direction (D), and an offset.

        The score of an answer is its normal scores along the direction, minus the offset.
        """
        mean = normal_scores(self.calls, call[None])[0] @ self.weight
        direction = self.precision @ mean
        return direction, float(mean @ direction) / 2

    def score(self, direction: tuple[Floats, float], answers: Floats) -> Floats:
        """Return the scores (N), in nats, of the descriptors (N, D) of answers."""
        along, offset = direction
        scores: Floats = normal_scores(self.answers, answers) @ along - offset
        return scores


def normal_scores(quantiles: Floats, values: Floats) -> Floats:
    """Return the normal scores of values (N, D) among quantiles (D, Q).

    The quantiles are of levels (i + 0.5) / Q. Between two of them the score is interpolated;
    beyond the first and the last it is theirs, so that no outlier counts for more.
    """
    count = quantiles.shape[1]
    levels = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    scores = np.array(levels)
    value = values[:, :, None]
    # Among equal quantiles, the middle.
    low = (quantiles < value).sum(2)
    high = (quantiles <= value).sum(2)
    left, right = np.maximum(high - 1, 0), np.minimum(high, count - 1)
    columns = np.arange(len(quantiles))
    q_left, q_right = quantiles[columns, left], quantiles[columns, right]
    share = np.clip((values - q_left) / np.maximum(q_right - q_left, 1e-12), 0, 1)
    between = scores[left] + share * (scores[right] - scores[left])
    tied = high - low > 1
    middle = (scores[np.minimum(low, count - 1)] + scores[left]) / 2
    result: Floats = np.where(tied, middle, between)
    return result
