"""Likeness of a model's play to people's: can a classifier tell its continuations from theirs?

The first half of each performance, by time, is given to the model, which continues it
several times for as long as the second half lasted. Both are described by features that a
musician would notice, and gradient boosting learns to tell them apart, in folds that keep
the parts of a performance together. The result is the area under its ROC curve: 0.5 if it
cannot tell. Two controls show that the test works: people against other people, which
should be near 0.5, and people against themselves sped up by 1.3, which should be near 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.model.event import TOUCH
from robojam.model.file import ModelFile
from robojam.player.generate import generate

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

#: Performances that are used have more touches than this, and last this long (seconds).
_TOUCHES, _SECONDS = 40, (2.0, 8.0)
#: Number of continuations of each opening.
CONTINUATIONS = 5
#: Jitter on both sides, so that no screen's lattice identifies people: x and y move by up to
#: this either way (screens), dt grows by up to this (seconds).
_PLACE_JITTER, _DT_JITTER = 1 / 1024, 0.002
#: A rest is a dt longer than this, in seconds; an edge is this wide, in screens.
_REST, _EDGE = 0.25, 0.01
_SPED_UP = 1.3
_FOLDS, _BOOTSTRAPS = 5, 400
_PERCENTILES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, slots=True)
class Area:
    """An area under a ROC curve, with its 95 % bootstrap interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """Result of a comparison, and the settings of the model in it."""

    performances: int
    temperature: float
    spread: float
    machine: Area  # how well the machine is distinguished from people
    people: Area  # people from other people
    sped_up: Area  # people from themselves sped up
    stands_out: list[tuple[str, float, float]]  # features, medians of people and machine


def split_in_half(performances: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    """Split performances (n, 4) at half of their time into an opening and what followed.

    Performances that are too short or too long are left out. The first dt of what followed
    counts from the last touch of the opening, and spans the middle.
    """
    pairs = []
    for touches in performances:
        times = touches[:, 2].cumsum()
        if len(touches) <= _TOUCHES or not _SECONDS[0] <= times[-1] <= _SECONDS[1]:
            continue
        middle = int(np.searchsorted(times, times[-1] / 2, side="right"))
        if middle < len(touches):
            pairs.append((touches[:middle], touches[middle:]))
    return pairs


def continue_openings(
    file: ModelFile,
    pairs: Sequence[tuple[Floats, Floats]],
    *,
    seed: int,
    temperature: float,
    spread: float,
    follow: float = 0.0,
    memory: float = 0.0,
    each: int = CONTINUATIONS,
) -> list[Floats]:
    """Return `each` takes (n, 4) by a model for each opening, one after the other.

    Pressure is left out.

    Each lasts as long as what people played after the opening. The model continues from the
    middle of the performance: it is given the silence since the opening's last touch, which
    people's next touch also comes after.
    """
    pairs = [pair for pair in pairs for _ in range(each)]
    seconds = [float(after[:, 2].sum()) for _, after in pairs]
    openings = [opening for opening, _ in pairs]
    opening_seconds = [float(opening[:, 2].sum()) for opening in openings]
    options: dict[str, Any] = {"seed": seed, "temperature": temperature, "spread": spread}
    options |= {"follow": follow, "memory": memory}
    silences = (np.array(seconds) - opening_seconds) / 2
    limits = np.array(seconds) + 1e-6
    takes = generate(file, openings, seconds=limits, silences=silences, **options)
    return [take[:, : len(TOUCH)] for take in takes]


def check_enough(pairs: Sequence[tuple[Floats, Floats]]) -> None:
    """Raise ValueError for too few pairs to compare."""
    if len(pairs) < 2 * _FOLDS:
        limits = f"{_TOUCHES} touches and last {_SECONDS[0]:g} to {_SECONDS[1]:g} s"
        raise ValueError(
            f"only {len(pairs)} of the performances have more than {limits}; "
            f"likeness wants {2 * _FOLDS} of them"
        )


def compare(
    pairs: Sequence[tuple[Floats, Floats]],
    takes: Sequence[Floats],
    *,
    temperature: float,
    spread: float,
    seed: int = 0,
) -> Likeness:
    """Compare a machine's takes with what people played, after the same openings.

    pairs: as from `split_in_half`; takes: as from `continue_openings`, at a temperature and a
    spread. Raises ValueError for too few pairs, and ModuleNotFoundError without scikit-learn.
    """
    check_enough(pairs)
    rng = np.random.default_rng(seed)
    people = describe_all([after for _, after in pairs], rng)
    machine = describe_all(takes, rng)
    faster = [after * [1, 1, 1 / _SPED_UP, 1] for _, after in pairs]
    sped_up = describe_all(faster, rng)
    group = np.arange(len(pairs))
    random_half = rng.permutation(len(people)) % 2 == 0
    return Likeness(
        performances=len(pairs),
        temperature=temperature,
        spread=spread,
        machine=_compare_features(people, machine, group, group.repeat(CONTINUATIONS), seed),
        people=_classify(people, random_half, group, seed),
        sped_up=_compare_features(people, sped_up, group, group, seed),
        stands_out=_largest_differences(people, machine),
    )


def _compare_features(
    first: Floats, second: Floats, first_groups: Integers, second_groups: Integers, seed: int
) -> Area:
    """Return how well a classifier tells two sets of features (N, F) apart."""
    rows = np.concatenate([first, second])
    groups = np.concatenate([first_groups, second_groups])
    return _classify(rows, np.arange(len(rows)) >= len(first), groups, seed)


def _classify(rows: Floats, label: NDArray[np.bool_], groups: Integers, seed: int) -> Area:
    """Return how well a classifier tells the label (N,) of features (N, F).

    Rows of one group (N,) are always in the same fold, and in the same bootstrap sample.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupKFold

    predictions = np.zeros(len(rows))
    for train, test in GroupKFold(_FOLDS).split(rows, label, groups):
        model = HistGradientBoostingClassifier(
            max_iter=120, learning_rate=0.06, max_leaf_nodes=8, random_state=seed
        )
        model.fit(rows[train], label[train])
        predictions[test] = model.predict_proba(rows[test])[:, 1]
    return area_with_interval(label, predictions, groups, seed)


def area_with_interval(
    label: NDArray[np.bool_], predictions: Floats, groups: Integers, seed: int
) -> Area:
    """Return the area under the curve of predictions (N) of a label (N).

    The bootstrap keeps the rows of a group (N) together.
    """
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    areas = []
    for _ in range(_BOOTSTRAPS):
        chosen = rng.integers(len(members), size=len(members))
        sample = np.concatenate([members[i] for i in chosen])
        if 0 < label[sample].sum() < len(sample):
            areas.append(roc_auc_score(label[sample], predictions[sample]))
    low, high = np.percentile(areas, [2.5, 97.5])
    return Area(float(roc_auc_score(label, predictions)), float(low), float(high))


def _largest_differences(people: Floats, machine: Floats) -> list[tuple[str, float, float]]:
    """Return the 8 features whose medians differ most, in people's interquartile ranges."""
    medians, machine_medians = np.nanmedian(people, 0), np.nanmedian(machine, 0)
    iqr = np.nanpercentile(people, 75, 0) - np.nanpercentile(people, 25, 0) + 1e-9
    order = np.argsort(-np.abs(np.nan_to_num((machine_medians - medians) / iqr)))
    return [(NAMES[i], float(medians[i]), float(machine_medians[i])) for i in order[:8]]


def describe_all(performances: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """Return the features (P, F) of performances (n, 4), after jitter."""
    low = [-_PLACE_JITTER, -_PLACE_JITTER, 0]
    high = [_PLACE_JITTER, _PLACE_JITTER, _DT_JITTER]
    rows = []
    for touches in performances:
        jitter = rng.uniform(low, high, (len(touches), 3))
        rows.append(list(describe(touches[:, :3] + jitter, touches[:, 3] > 0.5).values()))
    return np.array(rows, float)


def describe(touches: Floats, moving: NDArray[np.bool_]) -> dict[str, float]:
    """Return the features of a performance; NaN where one is undefined.

    touches (n, 3) are x, y in screens and dt in seconds; moving (n,) marks the moves.
    """
    xy, dt = touches[:, :2], touches[:, 2]
    seconds = max(float(dt.sum()), 1e-3)
    steps = np.diff(xy, axis=0)
    in_stroke = moving[1:]  # of each step: whether the finger slid
    length = np.hypot(*steps.T) if len(steps) else np.zeros(0)
    speed = length[in_stroke] / np.maximum(dt[1:][in_stroke], 1e-3)
    change = np.abs(np.diff(speed)) / max(float(speed.mean()), 1e-9) if len(speed) else speed
    return {
        "touches a second": len(xy) / seconds,
        "strokes a second": float((~moving).sum()) / seconds,
        "rests a second": float((dt > _REST).sum()) / seconds,
        "longest rest": float(dt.max(initial=0)),
        **_percentiles("dt", dt[moving]),
        "dt of a landing": _median(dt[~moving]),
        **_percentiles("speed", speed),
        **_turning(steps, in_stroke[1:] & in_stroke[:-1]),
        "speed change, median": _median(change),
        "speed change, mean": float(change.mean()) if len(change) else np.nan,
        **_strokes(xy, dt, moving),
        "jump between strokes": _median(length[~in_stroke]),
        "longest jump": float(length[~in_stroke].max(initial=0)),
        **_surface(xy),
    }


def _surface(xy: Floats) -> dict[str, float]:
    """Return where on the surface places (n, 2) are, and how much of it they cover."""
    if not len(xy):
        xy = np.full((1, 2), np.nan)
    middle, deviation = np.median(xy, axis=0), xy.std(0)
    edge = (xy < _EDGE) | (xy > 1 - _EDGE)
    return {
        "x": float(middle[0]),
        "y": float(middle[1]),
        "spread of x": float(deviation[0]),
        "spread of y": float(deviation[1]),
        "area": float(np.prod(np.ptp(xy, axis=0))),
        "at the edge": float(edge.any(1).mean()),
    }


def _percentiles(name: str, values: Floats) -> dict[str, float]:
    numbers = np.percentile(values if len(values) else [np.nan], _PERCENTILES).tolist()
    return {f"{name}, {p} %": n for p, n in zip(_PERCENTILES, numbers, strict=True)}


def _turning(steps: Floats, both_in_stroke: NDArray[np.bool_]) -> dict[str, float]:
    """Return how much the direction changes from step to step (n, 2) within strokes."""
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)[both_in_stroke]
    return {
        "turning, median": _median(turn),
        "turning, 90 %": float(np.percentile(turn, 90)) if len(turn) else np.nan,
        "turns back": float((turn > np.pi / 2).mean()) if len(turn) else np.nan,
    }


def _strokes(xy: Floats, dt: Floats, moving: NDArray[np.bool_]) -> dict[str, float]:
    """Return features of the strokes: touches, length, duration and straightness."""
    starts = np.flatnonzero(~moving)
    strokes = [s for s in np.split(np.arange(len(xy)), starts) if len(s)]
    count = np.array([len(s) for s in strokes], float)
    long = [s for s in strokes if len(s) > 2]
    length = np.array([np.hypot(*np.diff(xy[s], axis=0).T).sum() for s in long])
    chord = np.array([np.hypot(*(xy[s[-1]] - xy[s[0]])) for s in long])
    return {
        "touches in a stroke, median": _median(count),
        "touches in a stroke, most": float(count.max(initial=0)),
        "taps": float((count <= 2).mean()) if len(count) else np.nan,
        "length of a stroke": _median(length),
        "longest stroke": float(length.max(initial=0)),
        "duration of a stroke": _median(np.array([dt[s[1:]].sum() for s in long])),
        "straightness": _median(chord / np.maximum(length, 1e-6)),
    }


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else np.nan


#: The names of the features, in the order of `describe_all`.
NAMES = tuple(describe(np.zeros((3, 3)), np.array([False, True, True])))
