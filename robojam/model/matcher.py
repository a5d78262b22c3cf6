"""Matcher: how much an answer belongs to its call, by the descriptors of both.

It projects calls and answers to one space of a few dimensions, in which people's answers are
normally distributed around their call, with variance 1 (a regression of reduced rank with
correlated residuals, Izenman 1975). It knows where the answers of its model lie when nothing
is chosen. So the score of an answer is the log of a ratio of densities, people's over the
model's own: answers that are drawn in proportion to it lie where people's lie.
robojam.training.matcher learns it. It is stored beside a model's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Arrays of any precision.
Floats = NDArray[np.floating[Any]]

#: Prefix of its tensors in a model's file.
PREFIX: Final = "matcher."
_NAMES: Final = ("units", "calls", "answers", "own", "own_precision")
#: Descriptors further than this from the centre, in deviations, count as this far.
_FURTHEST = 2.5

_Size = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class MatcherDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a matcher: the set of descriptors that it has learnt, and its sizes."""

    version: int
    descriptors: _Size
    dimensions: _Size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its tensors, by their names in a file."""
        d, r = self.descriptors, self.dimensions
        shapes = (2, d), (d + 1, r), (d + 1, r), (r + 1, r), (r, r)
        return {PREFIX + name: shape for name, shape in zip(_NAMES, shapes, strict=True)}


@dataclass(frozen=True, slots=True)
class CallPlace:
    """A call in the space of a matcher: its place (R), and where a model's own answers lie."""

    people: Floats
    own: Floats


@dataclass(frozen=True, slots=True)
class Matcher:
    """A learnt matcher of D descriptors, with a space of R dimensions.

    version: number of the set of descriptors. units (2, D): centre and deviation of each.
    calls, answers (D + 1, R): projections of calls and of answers, the last row a constant.
    own (R + 1, R): from a call's place to the mean place of the model's own answers;
    own_precision (R, R): inverse of the covariance around it.
    """

    version: int
    units: Floats
    calls: Floats
    answers: Floats
    own: Floats
    own_precision: Floats

    @property
    def description(self) -> MatcherDescription:
        """Its metadata."""
        rows, dimensions = self.calls.shape
        return MatcherDescription(
            version=self.version, descriptors=rows - 1, dimensions=dimensions
        )

    def tensors(self) -> dict[str, NDArray[np.float16]]:
        """Return its arrays by their names in a model's file."""
        return {PREFIX + name: getattr(self, name).astype(np.float16) for name in _NAMES}

    @classmethod
    def from_tensors(
        cls, description: MatcherDescription, tensors: Mapping[str, Floats]
    ) -> Matcher:
        """Return the matcher in a file's tensors; others among them are ignored."""
        return cls(description.version, *(tensors[PREFIX + name] for name in _NAMES))

    def place(self, call: Floats) -> CallPlace:
        """Return the place of a call, given its descriptors (D)."""
        people = project(standardise(self.units, call[None]), self.calls)
        return CallPlace(people[0], project(people, self.own)[0])

    def score(
        self, call: CallPlace, answers: Floats, *, towards: float = 1.0, closeness: float = 1.0
    ) -> Floats:
        """Return the scores (N), in nats, of answers' descriptors (N, D) to a call.

        The log density of people's answers to it minus that of the model's own. towards: how
        many times as far as the call those wanted lie from the middle, below 0 on the other
        side of it; closeness: how much closer to that place than people's, in units of the
        precision.
        """
        places = project(standardise(self.units, answers), self.answers)
        wanted, own = places - towards * call.people, places - call.own
        scores: Floats = ((own @ self.own_precision) * own).sum(1)
        scores -= closeness * (wanted * wanted).sum(1)
        return scores / 2


def standardise(units: Floats, values: Floats) -> Floats:
    """Return descriptors (N, D) in deviations from the centre, bounded."""
    centre, deviation = units
    bounded: Floats = np.clip((values - centre) / deviation, -_FURTHEST, _FURTHEST)
    return bounded


def project(values: Floats, projection: Floats) -> Floats:
    """Return values (N, D) times a projection (D + 1, R), whose last row is a constant."""
    projected: Floats = values @ projection[:-1] + projection[-1]
    return projected
