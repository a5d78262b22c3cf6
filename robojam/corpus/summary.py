"""Summary of a corpus: counts, durations, phases, and the resolution of the screens."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np

from robojam.corpus.corpus import Corpus
from robojam.model import lattice
from robojam.model.event import TOUCH, count_knobs
from robojam.touch import MAX_DT

#: Screen resolutions (lines) that are looked for.
_RESOLUTIONS = range(100, 4097)
#: At most this many performances are examined for their screen's resolution.
_MOST_EXAMINED = 2000
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def summarise(corpus: Corpus) -> dict[str, Any]:
    """Return the figures of a clean corpus as plain values that JSON can hold.

    Times are in seconds. `quartiles` are the minimum, the quartiles and the maximum per
    performance. `screens` counts performances by the lattice 1/n on which their places lie
    (0: no lattice), among the first `screens_of` performances. `rests` counts touches whose
    dt is the longest that is kept. Of knobs, `touches` counts events, `landings` those after
    a pause, and `knobs` is their number.
    """
    summary: dict[str, Any] = {
        "name": corpus.name,
        "source": corpus.source,
        "performances": len(corpus.lengths),
        "touches": len(corpus.events),
        "inferred": corpus.inferred,
        "dropped": corpus.dropped,
        "places": corpus.places,
    }
    if len(corpus.lengths) == 0:
        return summary
    summary["quartiles"] = {"touches": np.quantile(corpus.lengths, _QUANTILES).tolist()}
    knobs = count_knobs(corpus.columns)
    if knobs:
        summary["knobs"] = knobs
    elif corpus.columns[: len(TOUCH)] != TOUCH:
        return summary
    time, phase = map(corpus.columns.index, ("dt", "moving"))
    seconds = np.zeros(len(corpus.lengths))
    landings = rests = 0
    for events, performance in corpus.blocks():
        first, last = performance[[0, -1]]
        seconds[first : last + 1] += np.bincount(performance - first, weights=events[:, time])
        landings += int((events[:, phase] == 0).sum())
        rests += int((events[:, time] >= MAX_DT).sum())
    summary["seconds"] = float(seconds.sum())
    summary["quartiles"]["seconds"] = np.quantile(seconds, _QUANTILES).tolist()
    summary["landings"], summary["rests"] = landings, rests
    examined = islice(corpus.performances(), _MOST_EXAMINED)
    values = (performance[:, :time] for performance in examined)
    places = map(lattice.places_of_knobs, values) if knobs else values
    screens = Counter(lattice.detect(places, _RESOLUTIONS).tolist())
    summary["screens"] = {str(n): count for n, count in screens.most_common()}
    summary["screens_of"] = screens.total()
    return summary
