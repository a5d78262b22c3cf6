"""Matcher: how much an answer belongs to its call, by the descriptors of both.

It projects calls and answers to one space of a few dimensions, in which people's answers are
normally distributed around their call, with variance 1. The score of an answer is its log
density given its call minus that given an average call, in nats. robojam.training.matcher
learns it from people's performances: a regression of reduced rank with correlated residuals
(Izenman 1975). It is stored beside a model's weights.
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
_NAMES: Final = ("units", "calls", "answers")
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
        projection = (self.descriptors + 1, self.dimensions)
        shapes = ((2, self.descriptors), projection, projection)
        return {PREFIX + name: shape for name, shape in zip(_NAMES, shapes, strict=True)}


@dataclass(frozen=True, slots=True)
class Matcher:
    """A learnt matcher of D descriptors, with a space of R dimensions.

    version: number of the set of descriptors. units (2, D): centre and deviation of each.
    calls, answers (D + 1, R): projections of calls and of answers, the last row a constant.
    """

    version: int
    units: Floats
    calls: Floats
    answers: Floats

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

    def place(self, call: Floats) -> Floats:
        """Return the place (R) of a call, given its descriptors (D)."""
        places = _project(standardise(self.units, call[None]), self.calls)
        place: Floats = places[0]
        return place

    def score(self, place: Floats, answers: Floats) -> Floats:
        """Return the scores (N), in nats, of answers' descriptors (N, D) to a call's place."""
        places = _project(standardise(self.units, answers), self.answers)
        scores: Floats = places @ place - place @ place / 2
        return scores


def standardise(units: Floats, values: Floats) -> Floats:
    """Return descriptors (N, D) in deviations from the centre, bounded."""
    centre, deviation = units
    bounded: Floats = np.clip((values - centre) / deviation, -_FURTHEST, _FURTHEST)
    return bounded


def _project(values: Floats, projection: Floats) -> Floats:
    projected: Floats = values @ projection[:-1] + projection[-1]
    return projected
