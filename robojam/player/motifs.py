"""Memory of what humans have played in a take: shapes of strokes and rhythms that return.

A stroke is kept as its shape: its path with place and size removed, resampled to POINTS points
at equal steps along it, compared by dynamic time warping (Sakoe & Chiba 1978), where its
duration counts a little, too. A rhythm is kept as the logarithms of INTERVALS intervals from
landing to landing. One that comes near an earlier one is a recurrence of it: the later replaces
the earlier, and is counted. What has recurred is a motif. Phrases are scored by how near their
strokes and rhythms come to the motifs.

In the path of a touch nothing is done but to keep it (`MotifMemory.feed`). Strokes are analysed
one after the other, at the next rest or when a plan is begun; what follows does not depend on
when. The memory is bounded (docs/limits.md), and its state is a value.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from robojam.jam.protocols import Recall
from robojam.touch import clip

_Doubles = NDArray[np.float64]
#: Touches (n, 4): x and y in screens, dt in seconds, moving.
Phrase = NDArray[np.floating[Any]]

#: Points of a shape, and intervals of a rhythm.
POINTS: Final = 16
INTERVALS: Final = 4
#: Shapes, and rhythms, that are remembered.
MAX_SHAPES, MAX_RHYTHMS = 256, 128
#: Share of the places that are left to what has not recurred: it may be a motif's first time.
_FRESH: Final = 0.25
#: Motifs of each kind that phrases are compared with: those of most weight.
MAX_MOTIFS: Final = 4
#: A stroke of fewer or more touches, of less length (screens) or of more seconds has no shape.
MIN_TOUCHES, MAX_TOUCHES, MIN_LENGTH, MAX_SECONDS = 4, 256, 0.04, 8.0
#: Longest interval of a rhythm, in seconds.
_LONGEST: Final = 2.0
#: Strokes that wait to be analysed, at most.
MAX_WAITING: Final = 4
#: Distance (root mean square, in radii of the stroke) within which a shape is a recurrence of
#: another, and within which a stroke of the machine brings it back; the same for rhythms, in
#: natural logarithms.
NEAR, RETURNED, NEAR_RHYTHM = 0.2, 0.3, 0.15
#: Distance that a factor of e between the durations of two strokes adds.
_DURATION: Final = 0.1
#: Strokes of a phrase that are compared by dynamic time warping, for each motif: those that
#: are nearest point by point.
_WARPED: Final = 2
#: Distance beyond which a motif's score falls, and how steeply (nats for each factor of e).
_WIDTH, _SLOPE = 0.12, 4.5
#: Weight of rhythms beside shapes, and most weight of all motifs of a kind, where that of the
#: heaviest is 1.
_RHYTHM, _MOST_WEIGHT = 0.3, 2.0
#: Age (seconds of play) at which a motif has half its weight; recurrences that count at most.
_HALF_LIFE, _MOST_HEARD = 240.0, 8
#: Weight of a motif that is as plain as can be (a straight line, a steady pulse) beside one
#: that is distinctive.
_PLAIN: Final = 0.15
#: Weight, before it is scaled, from which on the heaviest motif counts in full: that of a
#: distinctive one that has come twice.
_FULL: Final = 0.5
#: Of a quotation: its size and its pace by those of the motif, from and to; how far it goes
#: from what the model draws to the motif; and its longest dt, as a part of its duration.
_SIZES, _PACES, _PULL, _LONGEST_DT = (0.75, 1.3), (0.8, 1.25), 0.7, 1 / 8
#: Landings of a phrase at which a quotation may begin, and the edge that it keeps clear of.
_STARTS, _EDGE = 3, 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A shape (POINTS * 2) or a rhythm (INTERVALS), and when it was heard last.

    heard: how many times; at: seconds of the memory's clock; landing: number of the landing
    that began it; position: the same, which goes back with the memory; distinct: how far it
    is from plain, 0..1; path (POINTS, 2) and times (POINTS): where and when it was played, in
    screens, and in seconds from its landing; duration: the logarithm of its seconds.
    """

    vector: _Doubles
    at: float
    landing: int
    position: int
    distinct: float
    heard: int = 1
    path: _Doubles | None = None
    times: _Doubles | None = None
    duration: float = 0.0


#: A stroke that waits: its clock, landing and position, and its touches.
_Waiting = tuple[float, int, int, tuple[tuple[float, float, float], ...]]


@dataclass(frozen=True, slots=True)
class MemoryState:
    """State of a MotifMemory."""

    clock: float = 0.0
    position: int = 0
    shapes: tuple[Remembered, ...] = ()
    rhythms: tuple[Remembered, ...] = ()
    waiting: tuple[_Waiting, ...] = ()
    stroke: tuple[float, int, tuple[tuple[float, float, float], ...]] = (0.0, 0, ())
    landings: tuple[float, ...] = ()


#: State of a memory that has heard nothing.
NOTHING: Final = MemoryState()


class MotifMemory:
    """What humans have played, fed touch by touch.

    Times are those of the memory's own clock: the sum of the dt of all touches.
    """

    def __init__(self) -> None:
        #: Number of landings that it was fed, which never goes back.
        self.landings = 0
        #: Touches of the last stroke: x, y, dt.
        self._stroke: list[tuple[float, float, float]] = []
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.restore(NOTHING)

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Remember a human's touch: x and y in screens, dt in seconds."""
        self._clock += dt
        stroke = self._stroke
        if moving and stroke:
            if len(stroke) <= MAX_TOUCHES:
                stroke.append((x, y, dt))
            return
        if stroke:
            if len(self._waiting) >= MAX_WAITING:
                self._analyse(self._waiting.pop(0))
            self._waiting.append(self._ended)
        self.landings += not moving  # a slide without a landing comes after a reset
        self._position += 1
        self._began, self._landing, self._stroke = self._clock, self.landings, [(x, y, 0.0)]

    def pass_time(self, seconds: float) -> None:
        """Advance the clock by time in which no human has played."""
        self._clock += seconds

    @property
    def _ended(self) -> _Waiting:
        """The stroke that was begun last, as if it were over."""
        return self._began, self._landing, self._position, tuple(self._stroke)

    def settle(self) -> None:
        """Analyse the strokes that wait."""
        while self._waiting:
            self._analyse(self._waiting.pop(0))

    def snapshot(self) -> MemoryState:
        """Return the state, which takes no longer with more that is remembered."""
        return MemoryState(
            self._clock,
            self._position,
            self._shapes,
            self._rhythms,
            tuple(self._waiting),
            (self._began, self._landing, tuple(self._stroke)),
            self._times,
        )

    def restore(self, state: MemoryState) -> None:
        """Return to a state, which stays valid."""
        self._clock, self._position = state.clock, state.position
        self._shapes, self._rhythms = state.shapes, state.rhythms
        self._waiting = list(state.waiting)
        self._began, self._landing = state.stroke[:2]
        self._stroke = list(state.stroke[2])
        self._times = state.landings

    def continue_from(self, other: MotifMemory) -> None:
        """Go on with what another memory holds."""
        self.landings = other.landings
        self.restore(other.snapshot())

    def motifs(self) -> Motifs:
        """Return the motifs so far, the last stroke included. Changes nothing that is heard."""
        self.settle()
        state = self.snapshot()
        if self._stroke:
            self._analyse(self._ended)
        shapes, rhythms = (
            _heaviest(remembered, self._clock) for remembered in (self._shapes, self._rhythms)
        )
        self._shapes, self._rhythms = state.shapes, state.rhythms
        self._times = state.landings
        return Motifs(self.landings, *shapes, *rhythms)

    def _analyse(self, stroke: _Waiting) -> None:
        """Add a stroke's shape, and the rhythm that its landing ends, to what is remembered."""
        at, landing, position, touches = stroke
        if self._times and at - self._times[-1] > _LONGEST:
            self._times = ()
        self._times = (*self._times, at)[-INTERVALS - 1 :]
        if len(self._times) > INTERVALS:
            vector = np.log(np.maximum(np.diff(self._times), 0.01))
            distinct = min(float(vector.std()) / 0.5, 1.0)
            rhythm = Remembered(vector, at, landing, position, distinct)
            self._rhythms = _add(self._rhythms, rhythm, MAX_RHYTHMS, _near_rhythm)
        if not MIN_TOUCHES <= len(touches) <= MAX_TOUCHES:
            return
        phrase = np.ones((len(touches), 4))
        phrase[:, :3] = touches
        phrase[0, 3] = 0
        strokes = _strokes([phrase])
        if len(strokes.vectors):
            shape = Remembered(
                strokes.vectors[0],
                at,
                landing,
                position,
                1 - float(strokes.straightness[0]),
                path=strokes.paths[0],
                times=strokes.times[0],
                duration=float(strokes.durations[0]),
            )
            self._shapes = _add(self._shapes, shape, MAX_SHAPES, _near_shape)


def heard_in(performance: Phrase) -> Motifs:
    """Return the motifs of a performance (n, 4)."""
    memory = MotifMemory()
    for x, y, dt, moving in performance.tolist():
        memory.feed(x, y, dt, moving > 0.5)
    return memory.motifs()


def _add(
    remembered: tuple[Remembered, ...], new: Remembered, most: int, near: Any
) -> tuple[Remembered, ...]:
    """Return what is remembered with something new, which may be a recurrence.

    Where there is no place, the oldest goes that has not recurred; if that are few, the oldest.
    """
    if remembered:
        found = near(remembered, new)
        if found is not None:
            earlier = remembered[found]
            if earlier.position > new.position - INTERVALS and new.path is None:
                return remembered  # it is partly the same landings
            new = replace(new, heard=earlier.heard + 1)
            return (*remembered[:found], *remembered[found + 1 :], new)
    if len(remembered) >= most:
        fresh = [i for i, one in enumerate(remembered) if one.heard == 1]
        gone = fresh[0] if len(fresh) >= _FRESH * most else 0
        remembered = (*remembered[:gone], *remembered[gone + 1 :])
    return (*remembered, new)


def _near_rhythm(remembered: tuple[Remembered, ...], new: Remembered) -> int | None:
    """Return the index of the rhythm that a new one repeats, if there is one."""
    vectors = np.array([one.vector for one in remembered])
    distances = np.sqrt(np.square(vectors - new.vector).mean(1))
    best = int(distances.argmin())
    return best if distances[best] <= NEAR_RHYTHM else None


def _near_shape(remembered: tuple[Remembered, ...], new: Remembered) -> int | None:
    """Return the index of the shape that a new one repeats, if there is one."""
    vectors = np.array([one.vector for one in remembered])
    durations = np.array([one.duration for one in remembered])
    tempo = (_DURATION * (durations - new.duration)) ** 2
    squares = np.square(vectors - new.vector).sum(1) / POINTS
    # The nearest point by point; where that is far, those that warping may bring near.
    nearest = np.argsort(squares + tempo, kind="stable")[:MAX_WAITING]
    if squares[nearest[0]] + tempo[nearest[0]] > NEAR**2:
        if squares[nearest[0]] > (4 * NEAR) ** 2:
            return None
        warped = warp(vectors[nearest], np.repeat(new.vector[None], len(nearest), 0))
        together = warped + tempo[nearest]
        best = int(together.argmin())
        return int(nearest[best]) if together[best] <= NEAR**2 else None
    return int(nearest[0])


def _heaviest(remembered: tuple[Remembered, ...], clock: float) -> tuple[Any, _Doubles]:
    """Return the motifs of most weight, and their weights."""
    motifs = [one for one in remembered if one.heard > 1]
    weights = np.array(
        [
            math.log(min(one.heard, _MOST_HEARD))
            * (_PLAIN + (1 - _PLAIN) * one.distinct)
            / (1 + max(clock - one.at, 0.0) / _HALF_LIFE)
            for one in motifs
        ]
    )
    order = np.argsort(-weights, kind="stable")[:MAX_MOTIFS]
    chosen = weights[order]
    chosen = chosen / np.maximum(chosen[:1], _FULL)
    total = float(chosen.sum())
    return tuple(motifs[i] for i in order), chosen * min(1.0, _MOST_WEIGHT / max(total, 1.0))


@dataclass(frozen=True, slots=True)
class Motifs:
    """The motifs of a memory at an instant: what has recurred, by kind, and their weights.

    landings: number of landings that were heard until then.
    """

    landings: int
    shapes: tuple[Remembered, ...]
    shape_weights: _Doubles
    rhythms: tuple[Remembered, ...]
    rhythm_weights: _Doubles

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.shapes or self.rhythms)

    def score(self, phrases: Sequence[Phrase]) -> _Doubles:
        """Return how near each of N phrases (n, 4) comes to the motifs (N), in nats.

        It is the sum over the motifs, each by its weight, of the log of a kernel with long
        tails of the distance of the nearest stroke, and of rhythms likewise: 0 for what is
        the same, and the less the further. What all phrases have tells none from another.
        """
        scores = np.zeros(len(phrases))
        if self.shapes:
            squares = np.full((len(phrases), len(self.shapes)), 4.0)
            strokes = _strokes(phrases)
            if len(strokes.vectors):
                _, nearest = self._distances(strokes)
                for phrase, row in zip(strokes.phrases.tolist(), nearest, strict=True):
                    np.minimum(squares[phrase], row, out=squares[phrase])
            scores += _kernels(squares, self.shape_weights)
        if self.rhythms:
            squares = _rhythm_distances(phrases, self.rhythms)
            scores += _RHYTHM * _kernels(squares, self.rhythm_weights)
        return scores

    def returns(self, phrase: Phrase) -> list[tuple[int, Recall]]:
        """Return which strokes of a phrase bring a motif back, and which one.

        Pairs with the index of the stroke's first touch.
        """
        strokes = _strokes([phrase])
        if not self.shapes or not len(strokes.vectors):
            return []
        _, squares = self._distances(strokes)
        found = []
        for first, row in zip(strokes.firsts.tolist(), squares, strict=True):
            best = int(row.argmin())
            shape = self.shapes[best]
            if row[best] <= RETURNED**2 and shape.path is not None:
                path = tuple(shape.path.ravel().tolist())
                found.append((first, Recall(path, self.landings - shape.landing)))
        return found

    def quotation(self, numbers: Sequence[float]) -> Quotation | None:
        """Return a motif for a phrase to carry, chosen by four numbers in [0, 1); or None.

        It is the seldomer the less the motifs weigh.
        """
        weights = self.shape_weights
        if not self.shapes or numbers[0] >= weights.sum():
            return None
        which = int(np.searchsorted(weights.cumsum(), numbers[0], "right"))
        return Quotation(self.shapes[min(which, len(self.shapes) - 1)], numbers[1:])

    def _distances(self, strokes: _Strokes) -> tuple[NDArray[np.intp], _Doubles]:
        """Return squared distances (S, K) of S strokes from the K motifs, and which are warped.

        Only the strokes that are nearest to a motif, of each phrase, are warped.
        """
        vectors = np.array([shape.vector for shape in self.shapes])
        durations = np.array([shape.duration for shape in self.shapes])
        squares = strokes.vectors @ vectors.T
        squares *= -2 / POINTS
        squares += np.square(strokes.vectors).sum(1)[:, None] / POINTS
        squares += np.square(vectors).sum(1) / POINTS
        np.maximum(squares, 0, out=squares)
        # Ranks of the strokes of each phrase, for each motif.
        order = np.lexsort((squares.T, np.broadcast_to(strokes.phrases, squares.T.shape)))
        starts = np.searchsorted(strokes.phrases, strokes.phrases)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(starts))[None] - starts[None], 1)
        stroke, motif = np.nonzero(ranks.T < _WARPED)
        squares[stroke, motif] = warp(strokes.vectors[stroke], vectors[motif])
        squares += (_DURATION * (strokes.durations[:, None] - durations)) ** 2
        return stroke, squares


def _kernels(squares: _Doubles, weights: _Doubles) -> _Doubles:
    """Return the weighted sum (N) of the logs of the kernels of squared distances (N, K)."""
    logs: _Doubles = -_SLOPE / 2 * np.log1p(squares / _WIDTH**2)
    return logs @ weights


def _rhythm_distances(phrases: Sequence[Phrase], rhythms: tuple[Remembered, ...]) -> _Doubles:
    """Return squared distances (N, K) of the nearest rhythms of N phrases from K motifs."""
    vectors = np.array([rhythm.vector for rhythm in rhythms])
    squares = np.full((len(phrases), len(rhythms)), 4.0)
    for i, phrase in enumerate(phrases):
        times = phrase[:, 2].cumsum()[phrase[:, 3] <= 0.5]
        if len(times) <= INTERVALS:
            continue
        intervals = np.log(np.maximum(np.diff(times), 0.01))
        # Not sliding_window_view: it has the interpreter add names to its table, which grows.
        starts = np.arange(len(intervals) - INTERVALS + 1)
        windows = intervals[starts[:, None] + np.arange(INTERVALS)]
        difference = windows[:, None] - vectors
        np.minimum(squares[i], np.square(difference).mean(2).min(0), out=squares[i])
    return squares


@dataclass(frozen=True, slots=True)
class _Strokes:
    """Strokes of some phrases that have a shape.

    phrases (S): which phrase each is of, ascending; firsts (S): index of its first touch in
    it; vectors (S, POINTS * 2); paths (S, POINTS, 2) in screens; times (S, POINTS) in seconds
    from its landing; durations (S): logarithms of
    seconds; straightness (S): its chord by its length, 0..1.
    """

    phrases: NDArray[np.intp]
    firsts: NDArray[np.intp]
    vectors: _Doubles
    paths: _Doubles
    times: _Doubles
    durations: _Doubles
    straightness: _Doubles


def _strokes(phrases: Sequence[Phrase]) -> _Strokes:
    """Return the strokes of phrases (n, 4), all at once: their number is what costs."""
    lengths = np.array([len(phrase) for phrase in phrases])
    touches = np.concatenate(phrases).astype(np.float64)
    starts = lengths.cumsum() - lengths
    of = np.repeat(np.arange(len(phrases)), lengths)
    landed = touches[:, 3] <= 0.5
    landed[starts[lengths > 0]] = True
    firsts = np.flatnonzero(landed)
    ends = np.append(firsts[1:], len(touches)) - 1
    step = np.zeros(len(touches))
    step[1:] = np.hypot(np.diff(touches[:, 0]), np.diff(touches[:, 1]))
    way = step.cumsum()
    time = touches[:, 2].cumsum()
    length, seconds = way[ends] - way[firsts], time[ends] - time[firsts]
    count = ends - firsts + 1
    shaped = (count >= MIN_TOUCHES) & (length >= MIN_LENGTH) & (seconds <= MAX_SECONDS)
    shaped &= count <= MAX_TOUCHES
    firsts, ends, length, seconds = (
        firsts[shaped],
        ends[shaped],
        length[shaped],
        seconds[shaped],
    )
    # The whole way is one line, of which each stroke is a part.
    wanted = way[firsts, None] + length[:, None] * np.linspace(0, 1, POINTS)
    paths = np.stack([np.interp(wanted, way, touches[:, axis]) for axis in (0, 1)], 2)
    centred = paths - paths.mean(1, keepdims=True)
    radius = np.sqrt(np.square(centred).sum((1, 2)) / POINTS)
    vectors = (centred / np.maximum(radius, 1e-3)[:, None, None]).reshape(-1, 2 * POINTS)
    chord = np.hypot(*(touches[ends, :2] - touches[firsts, :2]).T)
    return _Strokes(
        of[firsts],
        firsts - starts[of[firsts]],
        vectors,
        paths,
        np.interp(wanted, way, time) - time[firsts, None],
        np.log(seconds + 0.05),
        np.clip(chord / np.maximum(length, 1e-9), 0, 1),
    )


class Quotation:
    """A motif that a candidate of a phrase carries, at another place, size and pace.

    From one of the first landings on, each touch is drawn by the model, and pulled towards
    the motif's path; when this is over, the finger lands elsewhere. So the stroke has the
    motif's shape, and the model's own touches: their dt, and what they depart from the path.
    """

    __slots__ = ("_elapsed", "_origin", "_path", "_seconds", "_times", "_waits")

    def __init__(self, shape: Remembered, numbers: Sequence[float]) -> None:
        """Vary a shape by three numbers in [0, 1): size, pace, and where it begins."""
        assert shape.path is not None
        assert shape.times is not None
        path = shape.path - shape.path[0]
        size, pace = (
            low + (high - low) * number
            for (low, high), number in zip((_SIZES, _PACES), numbers[:2], strict=True)
        )
        room = (1 - 2 * _EDGE) / max(float(np.ptp(path, axis=0).max()), 1e-6)
        self._path = path * min(size, room)
        self._times = shape.times / pace
        self._seconds = float(self._times[-1])
        self._waits = int(numbers[2] * _STARTS)
        #: Seconds since it began; below 0 before, infinite when it is over.
        self._elapsed = -1.0
        self._origin = 0.0, 0.0

    def copy(self) -> Quotation:
        """Return a copy, which goes on by itself."""
        return copy.copy(self)

    @property
    def moving(self) -> bool | None:
        """Whether the next touch must slide (True) or land (False); None: it may do both."""
        if self._elapsed < 0 or self._elapsed == math.inf:
            return None
        return self._elapsed < self._seconds

    def steer(
        self, x: float, y: float, dt: float, *, moving: bool
    ) -> tuple[float, float, float]:
        """Return place and dt of a touch that the model has drawn, pulled to the motif."""
        if self._elapsed < 0:
            if moving or self._waits:
                return x, y, dt
            low, high = _EDGE - self._path.min(0), 1 - _EDGE - self._path.max(0)
            return clip(x, low[0], high[0]), clip(y, low[1], high[1]), dt
        if not moving or self._elapsed >= self._seconds:
            return x, y, dt
        dt = min(dt, self._seconds * _LONGEST_DT)
        at = self._elapsed + dt
        to_x, to_y = (
            start + float(np.interp(at, self._times, self._path[:, axis]))
            for axis, start in enumerate(self._origin)
        )
        return x + _PULL * (to_x - x), y + _PULL * (to_y - y), dt

    def played(self, x: float, y: float, dt: float, *, moving: bool) -> None:
        """Note a touch as it sounds."""
        if self._elapsed < 0:
            if moving:
                return
            if self._waits:
                self._waits -= 1
            else:
                self._origin, self._elapsed = (x, y), 0.0
        elif self._elapsed >= self._seconds or not moving:
            self._elapsed = math.inf
        else:
            self._elapsed += dt


def warp(a: _Doubles, b: _Doubles) -> _Doubles:
    """Return the squared distances (N) of N pairs of shapes (N, POINTS * 2) after warping.

    The least sum of squared distances along a path from both beginnings to both ends, by
    POINTS: at most that of the distance point by point. Anti-diagonal by anti-diagonal, for
    all pairs at once.
    """
    n = len(a)
    a, b = a.reshape(n, POINTS, 2), b.reshape(n, POINTS, 2)
    difference = a[:, :, None] - b[:, None]
    cost = np.square(difference).sum(3).transpose(1, 2, 0)  # (POINTS, POINTS, N)
    # Sums that end at row i of a diagonal, at i + 1; those beyond it are infinite.
    before, last = (np.full((POINTS + 1, n), np.inf) for _ in range(2))
    before[0] = 0.0
    for diagonal in range(2 * POINTS - 1):
        low, high = max(0, diagonal - POINTS + 1), min(diagonal, POINTS - 1) + 1
        rows = np.arange(low, high)
        best = np.minimum(last[low:high], last[low + 1 : high + 1])
        np.minimum(best, before[low:high], out=best)
        best += cost[rows, diagonal - rows]
        before, last = last, np.full((POINTS + 1, n), np.inf)
        last[low + 1 : high + 1] = best
    total: _Doubles = last[POINTS] / POINTS
    return total
