"""How like people a model plays: can a classifier tell its answers from theirs?

From each performance the first half of its time is heard, and the machine continues for as
long as the second half lasted, several times. Both are described by what a musician would
notice, and gradient boosting is asked to tell them apart, in folds that keep each
performance's parts together. The area under its ROC curve is the figure: 0.5 when nobody
can tell. Two controls stand beside it: people against other people, who cannot be told
apart, and people sped up by 1.3, who must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robojam.model.file import ModelFile
from robojam.player.generate import generate

Floats = np.ndarray[Any, np.dtype[Any]]

#: Which performances take part: more touches than this, and so many seconds.
_TOUCHES, _SECONDS = 40, (2.0, 8.0)
#: How often the machine continues each.
CONTINUATIONS = 5
#: Both sides are jittered by so much, that no screen's lattice betrays them: x and y by up
#: to this either way, dt by up to this much more; screens, seconds.
_PLACE, _DT = 1 / 1024, 0.002
#: A rest is a dt longer than this; the edge is within this of the screen's.
_REST, _EDGE = 0.25, 0.01
_SPED_UP = 1.3
_FOLDS, _BOOTSTRAPS = 5, 400
_SHARES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, slots=True)
class Area:
    """An area under a ROC curve, with the interval that holds it 95 times of 100."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """What was found, on so many performances."""

    performances: int
    temperature: float
    spread: float
    machine: Area
    people: Area
    sped_up: Area
    stands_out: list[tuple[str, float, float]]

    def as_json(self) -> dict[str, Any]:
        """Return it as a table of plain values."""
        return asdict(self)


def halves(performances: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    """Part those that take part at half of their time: what is heard, and what followed.

    The first dt that followed counts from the last touch heard, and spans the middle.
    """
    parted = []
    for touches in performances:
        at = touches[:, 2].cumsum()
        if len(touches) <= _TOUCHES or not _SECONDS[0] <= at[-1] <= _SECONDS[1]:
            continue
        middle = int(np.searchsorted(at, at[-1] / 2, side="right"))
        if middle < len(touches):
            parted.append((touches[:middle], touches[middle:]))
    return parted


def continued(
    file: ModelFile,
    parts: Sequence[tuple[Floats, Floats]],
    *,
    seed: int,
    temperature: float,
    spread: float,
    times: int = CONTINUATIONS,
) -> list[Floats]:
    """Let a model go on from each first half as long as the second lasted, so many times.

    It goes on from the middle: it has heard the silence since the last touch as well,
    which people's first touch comes after, too.
    """
    lasted = [float(after[:, 2].sum()) for _, after in parts for _ in range(times)]
    silent = [
        (float(after[:, 2].sum()) - float(before[:, 2].sum())) / 2
        for before, after in parts
        for _ in range(times)
    ]
    takes = generate(
        file,
        [before for before, _ in parts for _ in range(times)],
        seconds=max(lasted) + 1e-6,
        seed=seed,
        temperature=temperature,
        spread=spread,
        silences=np.array(silent),
    )
    return [
        take[take[:, 2].cumsum() <= seconds]
        for take, seconds in zip(takes, lasted, strict=True)
    ]


def compare(
    file: ModelFile,
    performances: Sequence[Floats],
    *,
    temperature: float,
    spread: float,
    seed: int = 0,
) -> Likeness:
    """Measure a model on performances (n, 4): x, y, dt, moving, cleaned.

    Raises ValueError where too few of them take part for folds.
    """
    parts = halves(performances)
    if len(parts) < 2 * _FOLDS:
        raise ValueError(
            f"only {len(parts)} of {len(performances)} performances have more than {_TOUCHES} "
            f"touches and last {_SECONDS[0]:g} to {_SECONDS[1]:g} s; likeness wants "
            f"{2 * _FOLDS} of them"
        )
    rng = np.random.default_rng(seed)
    made = continued(file, parts, seed=seed, temperature=temperature, spread=spread)
    real = described([after for _, after in parts], rng)
    machine = described(made, rng)
    group = np.arange(len(parts))
    groups = np.concatenate([group, group.repeat(CONTINUATIONS)])
    is_machine = np.arange(len(groups)) >= len(real)
    faster = [after * [1, 1, 1 / _SPED_UP, 1] for _, after in parts]
    sped = np.concatenate([real, described(faster, rng)])
    return Likeness(
        performances=len(parts),
        temperature=temperature,
        spread=spread,
        machine=_told_apart(np.concatenate([real, machine]), is_machine, groups, seed),
        people=_told_apart(real, rng.permutation(len(real)) % 2 == 0, group, seed),
        sped_up=_told_apart(
            sped, np.arange(len(sped)) >= len(real), np.concatenate([group, group]), seed
        ),
        stands_out=_stands_out(real, machine),
    )


def _told_apart(rows: Floats, label: Floats, groups: Floats, seed: int) -> Area:
    """How well a classifier tells rows by their label, groups kept together."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    said = np.zeros(len(rows))
    for learn, test in GroupKFold(_FOLDS).split(rows, label, groups):
        model = HistGradientBoostingClassifier(
            max_iter=120, learning_rate=0.06, max_leaf_nodes=8, random_state=seed
        )
        said[test] = model.fit(rows[learn], label[learn]).predict_proba(rows[test])[:, 1]
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == one) for one in np.unique(groups)]
    drawn = []
    for _ in range(_BOOTSTRAPS):
        these = rng.integers(len(members), size=len(members))
        some = np.concatenate([members[i] for i in these])
        if 0 < label[some].sum() < len(some):
            drawn.append(roc_auc_score(label[some], said[some]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Area(float(roc_auc_score(label, said)), float(low), float(high))


def _stands_out(real: Floats, machine: Floats) -> list[tuple[str, float, float]]:
    """What differs most, each by its median of people and of the machine."""
    people, its = np.nanmedian(real, 0), np.nanmedian(machine, 0)
    wide = np.nanpercentile(real, 75, 0) - np.nanpercentile(real, 25, 0) + 1e-9
    order = np.argsort(-np.abs(np.nan_to_num((its - people) / wide)))
    return [(NAMES[i], float(people[i]), float(its[i])) for i in order[:8]]


def described(performances: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """Describe each by what a musician would notice, jittered."""
    rows = []
    for touches in performances:
        jitter = rng.uniform([-_PLACE, -_PLACE, 0], [_PLACE, _PLACE, _DT], (len(touches), 3))
        rows.append(list(describe(touches[:, :3] + jitter, touches[:, 3] > 0.5).values()))
    return np.array(rows, float)


def describe(places: Floats, moving: Floats) -> dict[str, float]:
    """Describe a performance (n, 3: x, y, dt); NaN where there is nothing to say."""
    xy, dt = places[:, :2], places[:, 2]
    seconds = max(float(dt.sum()), 1e-3)
    step = np.diff(xy, axis=0)
    slid = moving[1:]  # each step within a stroke
    length = np.hypot(*step.T) if len(step) else np.zeros(0)
    speed = length[slid] / np.maximum(dt[1:][slid], 1e-3)
    both = slid[1:] & slid[:-1]
    return {
        "touches a second": len(xy) / seconds,
        "strokes a second": float((~moving).sum()) / seconds,
        "rests a second": float((dt > _REST).sum()) / seconds,
        "longest rest": float(dt.max(initial=0)),
        **_shares("dt", dt[moving]),
        "dt of a landing": _median(dt[~moving]),
        **_shares("speed", speed),
        **_turning(step, both),
        **_speed_change(speed),
        **_strokes(xy, dt, moving),
        "jump between strokes": _median(length[~slid]),
        "longest jump": float(length[~slid].max(initial=0)),
        **_surface(xy),
    }


def _surface(xy: Floats) -> dict[str, float]:
    """Where on the surface, how much of it, how often at its edge."""
    if not len(xy):
        xy = np.full((1, 2), np.nan)
    middle, wide = np.median(xy, axis=0), xy.std(0)
    edge = (xy < _EDGE) | (xy > 1 - _EDGE)
    return {
        "x": float(middle[0]),
        "y": float(middle[1]),
        "spread of x": float(wide[0]),
        "spread of y": float(wide[1]),
        "area": float(np.prod(np.ptp(xy, axis=0))),
        "at the edge": float(edge.any(1).mean()),
    }


def _shares(name: str, values: Floats) -> dict[str, float]:
    found = np.percentile(values, _SHARES) if len(values) else [np.nan] * len(_SHARES)
    return {f"{name}, {share} %": float(v) for share, v in zip(_SHARES, found, strict=True)}


def _turning(step: Floats, both: Floats) -> dict[str, float]:
    angle = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)[both]
    return {
        "turning, median": _median(turn),
        "turning, 90 %": float(np.percentile(turn, 90)) if len(turn) else np.nan,
        "turns back": float((turn > np.pi / 2).mean()) if len(turn) else np.nan,
    }


def _speed_change(speed: Floats) -> dict[str, float]:
    change = np.abs(np.diff(speed)) / max(float(speed.mean()), 1e-9) if len(speed) else speed
    return {
        "speed change, median": _median(change),
        "speed change, mean": float(change.mean()) if len(change) else np.nan,
    }


def _strokes(xy: Floats, dt: Floats, moving: Floats) -> dict[str, float]:
    """Describe the strokes: how long, how many touches, how straight."""
    starts = np.flatnonzero(~moving)
    strokes = [s for s in np.split(np.arange(len(xy)), starts) if len(s)]
    count = np.array([len(s) for s in strokes], float)
    long = [s for s in strokes if len(s) > 2]
    length = np.array([np.hypot(*np.diff(xy[s], axis=0).T).sum() for s in long])
    apart = np.array([np.hypot(*(xy[s[-1]] - xy[s[0]])) for s in long])
    return {
        "touches in a stroke, median": _median(count),
        "touches in a stroke, most": float(count.max(initial=0)),
        "taps": float((count <= 2).mean()) if len(count) else np.nan,
        "length of a stroke": _median(length),
        "longest stroke": float(length.max(initial=0)),
        "duration of a stroke": _median(np.array([dt[s[1:]].sum() for s in long])),
        "straightness": _median(apart / np.maximum(length, 1e-6)),
    }


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


#: What each number of a description is.
NAMES = tuple(describe(np.zeros((3, 3)), np.array([False, True, True])))
