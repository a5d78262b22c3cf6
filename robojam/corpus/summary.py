"""What is in performances: how many, how long, their phases, their screens."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np

from robojam.corpus.corpus import TOUCH, Corpus
from robojam.model import lattice
from robojam.touch import MAX_DT

#: Lattices are looked for from this many lines of a screen to that many.
_LINES = range(100, 4097)
#: Of so many performances it is found out, a quick look at each.
_LOOKED_AT = 2000
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def survey(corpus: Corpus) -> dict[str, Any]:
    """Say what is in a clean corpus, as plain numbers for a person or for JSON.

    Times are in seconds; ``quartiles`` are the least, the quarters and the most of a
    performance; ``screens`` counts performances by the lattice 1/n on which they lie (0:
    none is to be seen), among the first ``screens_of``.
    """
    found: dict[str, Any] = {
        "name": corpus.name,
        "source": corpus.source,
        "performances": len(corpus.lengths),
        "touches": len(corpus.events),
        "inferred": corpus.inferred,
        "dropped": corpus.dropped,
        "places": corpus.places,
    }
    if len(corpus.lengths) == 0:
        return found
    found["quartiles"] = {"touches": np.quantile(corpus.lengths, _QUANTILES).tolist()}
    if corpus.columns != TOUCH:
        return found
    seconds = np.zeros(len(corpus.lengths))
    landings = rests = 0
    for events, performance in corpus.blocks():
        first, last = performance[[0, -1]]
        seconds[first : last + 1] += np.bincount(performance - first, weights=events[:, 2])
        landings += int((events[:, 3] == 0).sum())
        rests += int((events[:, 2] >= MAX_DT).sum())
    found["seconds"] = float(seconds.sum())
    found["quartiles"]["seconds"] = np.quantile(seconds, _QUANTILES).tolist()
    found["landings"], found["rests"] = landings, rests
    some = islice(corpus.performances(), _LOOKED_AT)
    places = (performance[:, :2] for performance in some)
    screens = Counter(lattice.detected(places, _LINES).tolist())
    found["screens"] = {str(n): count for n, count in screens.most_common()}
    found["screens_of"] = screens.total()
    return found
