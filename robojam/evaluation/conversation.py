"""Jams of several calls with a machine: how soon it follows a change, and what it takes up.

Both are played through a whole jam (robojam.jam) on a simulated clock, with the controls
`follow` and `memory` in force.

- **Adaptation**: a player of slow slides changes to taps after half a minute, another from
  taps to slides. The measure is how many answers it takes until the landings a second and the
  share of taps are nearer to the new manner than to the old one.
- **Motif**: a player plays one shape three times among strokes that do not recur. The measure
  is how often the nearest stroke of the answer is nearer to the shape than that of an answer
  of the same machine to somebody else. Place and size do not count, nor does speed (dynamic
  time warping, Sakoe & Chiba 1978). Copies, touch for touch, are counted beside it.

The slides and taps of the first are synthetic: they show that a change is heard, not how
people change. The second sees shapes and no rhythm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.controls import Settings
from robojam.jam.events import Event, TouchPlayed
from robojam.jam.jam import Jam
from robojam.jam.protocols import Player
from robojam.touch import Phase, is_machine

Floats = NDArray[np.floating[Any]]

#: Calls before the change of manner, about half a minute of play, and after it.
BEFORE, AFTER = 8, 4
#: Seconds on the simulated clock that one step of a plan takes.
_STEP = 0.001
#: Seconds from the end of one answer to the next call.
_BREATH = 0.3
#: Number of points that a stroke is reduced to, and fewest touches of a stroke with a shape.
POINTS, _FEWEST = 24, 5
#: A copy is this many touches in a row that were heard so: places and dt within these.
_COPIED, _SAME_PLACE, _SAME_DT = 8, 1 / 1024, 1e-3
#: A stroke that may be a motif: fewest touches, range of seconds, least length in screens, and
#: least length as a multiple of the distance between its ends.
_MOTIF_TOUCHES, _MOTIF_SECONDS, _MOTIF_LENGTH, _MOTIF_TURNS = 15, (0.3, 2.5), 0.4, 1.8
#: A stroke of no more touches is a tap.
_TAP = 2


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How soon a machine follows a change of manner.

    answers: for each jam, the number of the first answer after the change that has followed;
    AFTER + 1 if none has. The first half of the jams change from slides to taps, the others
    from taps to slides.
    """

    answers: list[int]

    @property
    def mean(self) -> float:
        """Mean number of answers."""
        return float(np.mean(self.answers))

    @property
    def within_two(self) -> float:
        """Share of the jams in which the second answer has followed, if not the first."""
        return float(np.mean(np.array(self.answers) <= 2))


@dataclass(frozen=True, slots=True)
class MotifReport:
    """What becomes of a shape that was played three times.

    trials; closer: share in which the answer comes closer to the shape than a random answer;
    distance, random_distance: medians of both, in radii of the shape; copies: answers that
    copy what was heard.
    """

    trials: int
    closer: float
    distance: float
    random_distance: float
    copies: int


def play_jam(
    player: Player, calls: Sequence[Floats], settings: Settings, *, seed: int = 0
) -> list[Floats]:
    """Play calls (n, 4) into a jam; return the machine's answer (n, 4) to each.

    The finger lifts after each call, and the machine plays its whole turn. The first dt of an
    answer is the time since the call's last touch.
    """
    played: list[TouchPlayed] = []

    def sink(event: Event) -> None:
        if isinstance(event, TouchPlayed) and is_machine(event.touch.who):
            played.append(event)

    jam = Jam(player, settings, sink)
    jam.begin(seed)
    answers: list[Floats] = []
    t = 0.0
    for call in calls:
        for x, y, dt, moving in call.tolist():
            t += dt
            _pass_time(jam, t)
            jam.finger(t, "human", 0, Phase.MOVE if moving else Phase.DOWN, x, y)
        jam.finger(t, "human", 0, Phase.UP)
        played.clear()
        last, end = t, t + settings.threshold + settings.response
        _pass_time(jam, end)
        rows = [
            [event.touch.x, event.touch.y, event.t, event.touch.phase is Phase.MOVE]
            for event in played
            if event.touch.phase is not Phase.UP
        ]
        answer = np.array(rows, float).reshape(-1, 4)
        answer[:, 2] = np.diff(answer[:, 2], prepend=last)
        answers.append(answer)
        t = end + _BREATH
    jam.finish(t)
    return answers


def _pass_time(jam: Jam, until: float) -> None:
    """Advance a jam to an instant; whenever it is idle, it may plan."""
    while True:
        wait = jam.prepare(jam.t)
        due = jam.due
        after = jam.t + max(wait, _STEP)
        after = min(until, after if due is None else min(after, max(due, jam.t)))
        jam.advance(after)
        if after >= until:
            return


# -- adaptation ---------------------------------------------------------------------------


def measure_adaptation(
    player: Player, settings: Callable[[], Settings], *, jams: int = 8, seed: int = 0
) -> Adaptation:
    """Play jams in which the human changes the manner of play; see `Adaptation`.

    settings returns those of a new jam.
    """
    answers = []
    for number in range(jams):
        rng = np.random.default_rng([seed, number])
        manners = [slides, taps] if number < (jams + 1) // 2 else [taps, slides]
        calls = [manners[i >= BEFORE](rng) for i in range(BEFORE + AFTER)]
        old, new = (
            np.mean([_manner(call) for call in part], 0)
            for part in (calls[:BEFORE], calls[BEFORE:])
        )
        played = play_jam(player, calls, settings(), seed=seed + number)[BEFORE:]
        followed = [_is_nearer(_manner(answer), new, old) for answer in played]
        answers.append((*followed, True).index(True) + 1)
    return Adaptation(answers)


def slides(rng: np.random.Generator) -> Floats:
    """Return a call of slow slides (n, 4): three strokes of 1 to 1.4 s, 60 touches a second."""
    strokes = []
    for number in range(3):
        count = int(rng.integers(60, 84))
        angle, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5)
        angles = angle + np.linspace(0, bend, count)
        speed = rng.uniform(0.2, 0.35) / 60
        xy = np.cumsum(speed * np.column_stack([np.cos(angles), np.sin(angles)]), 0)
        xy = np.clip(xy - xy.mean(0) + rng.uniform(0.3, 0.7, 2), 0, 1)
        dt = rng.uniform(0.014, 0.02, count)
        dt[0] = rng.uniform(0.25, 0.4) if number else 0.0
        strokes.append(np.column_stack([xy, dt, np.arange(count) > 0]))
    return np.concatenate(strokes)


def taps(rng: np.random.Generator) -> Floats:
    """Return a call of taps (n, 4): twelve, 0.2 to 0.35 s apart."""
    count = 12
    xy = rng.uniform(0.2, 0.8, (count, 2))
    dt = rng.uniform(0.2, 0.35, count)
    dt[0] = 0.0
    return np.column_stack([xy, dt, np.zeros(count)])


def _manner(touches: Floats) -> Floats:
    """Return the log of the landings a second, and the share of taps among the strokes."""
    if not len(touches):
        return np.full(2, np.nan)
    strokes = split_strokes(touches)
    seconds = max(float(touches[1:, 2].sum()), 0.2)
    short = np.mean([len(stroke) <= _TAP for stroke in strokes])
    return np.array([np.log(len(strokes) / seconds), short])


def _is_nearer(manner: Floats, new: Floats, old: Floats) -> bool:
    """Return whether both quantities of a manner are nearer to the new ones."""
    return bool((np.abs(manner - new) < np.abs(manner - old)).all())


# -- motifs -------------------------------------------------------------------------------


def measure_motif(
    player: Player,
    settings: Callable[[], Settings],
    performances: Sequence[Floats],
    *,
    trials: int = 40,
    seed: int = 0,
) -> MotifReport | None:
    """Play a shape three times among other strokes; see `MotifReport`.

    The shapes and the other strokes are people's, from performances (n, 4). Returns None if
    they have no two shapes.
    """
    rng = np.random.default_rng(seed)
    strokes = [stroke for part in performances for stroke in split_strokes(part)]
    shapes = [stroke for stroke in strokes if _may_be_motif(stroke)]
    others = [stroke for stroke in strokes if len(stroke) >= _FEWEST]
    if len(shapes) < 2:
        return None
    trials = min(trials, len(shapes))
    motifs = [shapes[i] for i in rng.permutation(len(shapes))[:trials]]
    answers, copies = [], 0
    for number, motif in enumerate(motifs):
        calls = []
        for _ in range(3):
            before, after = (others[i] for i in rng.integers(len(others), size=2))
            calls.append(_phrase([before, _varied(motif, rng), after], rng))
        played = play_jam(player, calls, settings(), seed=seed + number)
        answers.append(played[-1])
        copies += is_copy(played[-1], np.concatenate(calls))
    distance = np.array([nearest_distances(answer, motifs) for answer in answers])
    own = np.diag(distance)
    random = distance.T[~np.eye(trials, dtype=bool)].reshape(trials, -1)
    closer = (own[:, None] < random).mean() + 0.5 * (own[:, None] == random).mean()
    medians = float(np.median(own)), float(np.median(random))
    return MotifReport(trials, float(closer), *medians, copies)


def split_strokes(touches: Floats) -> list[Floats]:
    """Split touches (n, 4) at each landing."""
    parts = np.split(touches, np.flatnonzero(touches[:, 3] < 0.5))
    return [part for part in parts if len(part)]


def _may_be_motif(stroke: Floats) -> bool:
    length = np.hypot(*np.diff(stroke[:, :2], axis=0).T).sum()
    chord = np.hypot(*(stroke[-1, :2] - stroke[0, :2]))
    seconds = stroke[1:, 2].sum()
    return bool(
        len(stroke) >= _MOTIF_TOUCHES
        and _MOTIF_SECONDS[0] <= seconds <= _MOTIF_SECONDS[1]
        and stroke[1:, 2].max() < 0.1
        and length >= max(_MOTIF_LENGTH, _MOTIF_TURNS * chord)
    )


def _varied(stroke: Floats, rng: np.random.Generator) -> Floats:
    """Return a stroke elsewhere and of another size, as somebody would play it again."""
    varied = stroke.copy()
    middle = stroke[:, :2].mean(0)
    varied[:, :2] = (stroke[:, :2] - middle) * rng.uniform(0.7, 1.0)
    room = np.maximum(-varied[:, :2].min(0), 0), 1 - np.maximum(varied[:, :2].max(0), 0)
    varied[:, :2] += rng.uniform(np.minimum(*room), np.maximum(*room))
    varied[:, :2] = np.clip(varied[:, :2] + rng.normal(0, 0.002, (len(stroke), 2)), 0, 1)
    varied[:, 2] *= rng.uniform(0.9, 1.1)
    return varied


def _phrase(strokes: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """Return strokes as one phrase (n, 4): each lands shortly after the one before."""
    parts: list[Floats] = []
    for stroke in strokes:
        part = stroke.copy()
        part[0, 2] = rng.uniform(0.15, 0.35) if parts else 0.0
        part[0, 3], part[1:, 3] = 0, 1
        part[1:, 2] = part[1:, 2].clip(0.002, 0.1)
        parts.append(part)
    return np.concatenate(parts)


def nearest_distances(answer: Floats, shapes: Sequence[Floats]) -> Floats:
    """Return the distance (S) from each shape to the answer's nearest stroke, or infinity."""
    strokes = [normal_shape(s) for s in split_strokes(answer) if len(s) >= _FEWEST]
    if not strokes:
        return np.full(len(shapes), np.inf)
    known = np.array(strokes)
    return np.array([warped_distances(normal_shape(s), known).min() for s in shapes])


def normal_shape(stroke: Floats) -> Floats:
    """Return POINTS points (POINTS, 2) along a stroke: mean 0, root mean square radius 1."""
    xy = stroke[:, :2]
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    wanted = np.linspace(0, at[-1], POINTS)
    points = np.column_stack([np.interp(wanted, at, column) for column in xy.T])
    points -= points.mean(0)
    radius = np.sqrt((points**2).sum(1).mean())
    return np.asarray(points / max(radius, 1e-6))


def warped_distances(shape: Floats, others: Floats) -> Floats:
    """Return the warped distance (N) of a shape (P, 2) to others (N, P, 2).

    It is the mean distance of matched points, along the path of least total distance.
    """
    cost = np.sqrt(((shape[None, :, None] - others[:, None]) ** 2).sum(-1))
    points = len(shape)
    total = np.full((len(others), points + 1, points + 1), np.inf)
    total[:, 0, 0] = 0
    for i in range(points):
        for j in range(points):
            before = np.minimum(
                total[:, i, j], np.minimum(total[:, i, j + 1], total[:, i + 1, j])
            )
            total[:, i + 1, j + 1] = cost[:, i, j] + before
    return np.asarray(total[:, -1, -1] / points)


def is_copy(answer: Floats, heard: Floats) -> bool:
    """Return whether several touches in a row of an answer (n, 4) were heard (m, 4) so."""
    if not len(answer) or not len(heard):
        return False
    place = np.abs(answer[:, None, :2] - heard[None, :, :2]).max(-1) <= _SAME_PLACE
    same = place & (np.abs(answer[:, None, 2] - heard[None, :, 2]) <= _SAME_DT)
    run = np.zeros(len(heard) + 1, int)
    for row in same:
        run[1:] = np.where(row, run[:-1] + 1, 0)
        if run.max() >= _COPIED:
            return True
    return False
