"""Plan of an answer: several candidates of a phrase, of which the better ones are gone on with.

The candidates of a phrase are drawn side by side from one state, each with random numbers of
its own. At the end of each part of the phrase they are scored by what they have in common
with the call (robojam.model.matcher), and drawn again from among themselves, by weights that
grow with the score: so the good beginnings are continued several times, and the others not.
At the end one of them is chosen. This is sequential Monte Carlo towards the model's own
distribution of phrases times exp(weight x score), a twisted target (Doucet, de Freitas &
Gordon 2001, chapter 1; Zhao et al. 2024 for language models): far fewer candidates are needed
than where whole phrases are compared.

A plan is made in steps of a millisecond at most. It changes nothing of the player, and its
random numbers are counted: the same call, state and seed give the same phrase.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from robojam.jam.dwell import LONG, REDRAWS, DwellLimiter
from robojam.jam.protocols import Proposal
from robojam.model.event import TOUCH
from robojam.model.features import Floats
from robojam.model.matcher import CallPlace, Matcher
from robojam.model.matcher import Floats as AnyFloats
from robojam.player.cpu_batch import BatchStepper
from robojam.player.descriptors import describe
from robojam.player.motifs import Motifs, Quotation
from robojam.player.random_streams import BLOCK, RandomStreams
from robojam.player.reference import Network, RecurrentState, Sampling
from robojam.touch import MAX_DT, MIN_DT

_Rows = list[int]

#: A model that samples a greater number has overflowed.
_OVERFLOW = 1e30
#: Most candidates of all voices; those of a voice, in ordinary play and where it follows
#: closest; fewest of a voice: voices beyond that many are not planned.
MAX_CANDIDATES, CANDIDATES, MOST_CANDIDATES, FEWEST_CANDIDATES = 32, 8, 32, 2
#: Parts of a phrase, at whose ends candidates are chosen.
PARTS = 3
#: A part ends when no more than this share of the candidates has not reached its end.
LATE = 0.4
#: Candidates that are stepped at once, at most.
_BATCH = 8
#: Longest phrase that is planned, in seconds, and most steps for each voice: a phrase of more
#: touches ends earlier, and the ordinary draw goes on.
MAX_SECONDS, MAX_STEPS = 10.0, 250
#: Draws of a first touch, at most, that comes too early or too late.
_TRIES = 256
#: At `follow` of a half answers lie where people's do, drawn so much closer to their call (in
#: units of people's precision): few candidates do not come as close as they are drawn.
CLOSENESS = 1.5
#: At `follow` of 1: how far from the middle they lie, where people's lie at 1, and how close.
FURTHEST, CLOSEST = 1.5, 8.0
#: Number of the stream of random numbers by which candidates are chosen.
_CHOICE = 1 << 20
#: Greatest weight of the score of motifs.
_MAX_MEMORY_WEIGHT = 12.0
#: Number of the stream by which motifs are chosen for candidates to carry.
_QUOTATIONS = _CHOICE + 1
#: Random numbers that choose a motif, and how it is carried.
_NUMBERS = 4
#: Index of the random number that chooses whether a touch slides: below its probability.
_FLAG = 0
_ALMOST_ONE = 1 - 2**-24


@dataclass(frozen=True, slots=True)
class Aim:
    """What a `follow` asks of an answer: see robojam.model.matcher.Matcher.score.

    weight: of the score, in which the model's own play has weight 1.
    """

    weight: float
    towards: float
    closeness: float

    @classmethod
    def of(cls, follow: float) -> Aim:
        """Return the aim for a `follow`.

        From 0 to a half it leads from the model's own play to people's, from there to 1
        further on; and from 0 to -1 to where people's lie on the other side of the middle.
        """
        if follow < 0:
            return cls(-follow, -1.0, 1.0)
        if follow <= 0.5:
            return cls(2 * follow, 1.0, CLOSENESS)
        share = 2 * follow - 1
        towards = 1 + share * (FURTHEST - 1)
        return cls(1.0, towards, CLOSENESS ** (1 - share) * CLOSEST**share)


def memory_weight(memory: float) -> float:
    """Return the weight of the score of motifs for a `memory`, 0 to 1: 1 at a half."""
    return min(memory / max(1 - memory, 1e-9), _MAX_MEMORY_WEIGHT)


def candidates_for(follow: float, memory: float, voices: int) -> tuple[int, int]:
    """Return how many of some voices are planned, and how many candidates each of them has.

    Voices have MAX_CANDIDATES in all: with more of them each has fewer, down to
    FEWEST_CANDIDATES, and the last voices are not planned.
    """
    if not follow and not memory:  # there is nothing to choose by
        return min(voices, MAX_CANDIDATES), 1
    wanted = CANDIDATES if abs(follow) <= 0.5 else MOST_CANDIDATES
    size = max(FEWEST_CANDIDATES, min(wanted, MAX_CANDIDATES // max(voices, 1)))
    return min(voices, MAX_CANDIDATES // size), size


class CandidateStates(Protocol):
    """States of R candidates, and the steps over some of them."""

    def copy(self, sources: _Rows, targets: _Rows) -> None:
        """Overwrite the states of candidates with those of others."""

    def feed(self, rows: _Rows, events: Sequence[Sequence[float]]) -> None:
        """Advance some candidates by an event (C) each."""

    def sample(self, rows: _Rows, numbers: Floats) -> Floats:
        """Draw the next event (N, C) of N candidates, given random numbers (N, factors + C)."""


class CpuStates:
    """CandidateStates as rows of a batch on a CPU."""

    def __init__(self, stepper: BatchStepper, rows: Floats, sampling: Sampling) -> None:
        """Step rows (R, ·), which are laid out as the stepper's own."""
        self._stepper, self._rows, self._sampling = stepper, rows, sampling

    def copy(self, sources: _Rows, targets: _Rows) -> None:
        """Overwrite the states of candidates with those of others."""
        self._rows[targets] = self._rows[sources]

    def feed(self, rows: _Rows, events: Sequence[Sequence[float]]) -> None:
        """Advance some candidates by an event (C) each."""
        stepped = self._rows[rows]
        self._stepper.feed_rows(stepped, np.array(events, np.float32))
        self._rows[rows] = stepped

    def sample(self, rows: _Rows, numbers: Floats) -> Floats:
        """Draw the next event (N, C) of N candidates."""
        return self._stepper.sample_rows(self._rows[rows], numbers, **self._sampling)


class NetworkStates:
    """CandidateStates of a network on any device."""

    def __init__(self, network: Network, state: RecurrentState, sampling: Sampling) -> None:
        """Step a state of a row for each candidate, which is overwritten."""
        self._network, self._state, self._sampling = network, state, sampling
        self._factors = len(network.event.factors)

    def copy(self, sources: _Rows, targets: _Rows) -> None:
        """Overwrite the states of candidates with those of others."""
        self._state.write(targets, self._state.rows(sources))

    def feed(self, rows: _Rows, events: Sequence[Sequence[float]]) -> None:
        """Advance some candidates by an event (C) each."""
        values = self._network.array([list(event) for event in events])
        self._state.write(rows, self._network.feed(self._state.rows(rows), values, heard=False))

    def sample(self, rows: _Rows, numbers: Floats) -> Floats:
        """Draw the next event (N, C) of N candidates."""
        given = self._network.array(numbers.tolist())
        uniform, normal = given[:, : self._factors], given[:, self._factors :]
        drawn = self._network.sample(self._state.rows(rows), uniform, normal, **self._sampling)
        values: Floats = drawn if isinstance(drawn, np.ndarray) else drawn.cpu().numpy()
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseRequest:
    """What is wanted of one voice's phrase.

    voice, count: the voice, and how many touches it has played since seeding: they tell its
    random numbers. call (n, 4): the touches to be answered; where there are none, nothing is
    chosen. down: whether the voice's finger is down. earliest: the first touch comes after
    this time (seconds). motifs: what is to come back, by memory.
    """

    voice: int
    count: int
    call: AnyFloats
    seconds: float
    down: bool = False
    earliest: float = 0.0
    motifs: Motifs | None = None

    @property
    def horizon(self) -> float:
        """Seconds that are planned."""
        return min(self.seconds, MAX_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """How phrases are planned.

    noise (C): half of the noise that the model was trained with. follow: -1 to 1, see
    `Aim`. memory: 0 to 1, how much motifs count that were heard before. lead: seconds
    that all candidates have in common. dwell: seconds that a finger may stay in its place
    (robojam.jam.dwell). Times are the model's, not stretched.
    """

    noise: Sequence[float]
    follow: float = 0.0
    memory: float = 0.0
    lead: float = 0.0
    dwell: float = LONG


class _Candidate:
    """One candidate: its touches (x, y, dt, moving), and how long they last (seconds).

    Those of a model that has learnt pressure have it at the end.
    """

    __slots__ = (
        "_block",
        "_numbers",
        "_streams",
        "down",
        "drawn",
        "dwell",
        "lost",
        "number",
        "quotation",
        "request",
        "seconds",
        "touches",
        "tries",
    )

    def __init__(
        self, number: int, request: PhraseRequest, streams: RandomStreams, dwell: float
    ) -> None:
        self.number, self.request, self._streams = number, request, streams
        self.touches: list[list[float]] = []
        self.seconds = 0.0
        self.down = request.down
        self.dwell = DwellLimiter()
        self.dwell.limit = dwell
        self.drawn = 0  # numbers of its stream that are used
        self.tries = 0  # draws of the next touch that were refused
        self.lost = False  # its numbers overflowed
        self.quotation: Quotation | None = None
        self._block, self._numbers = -1, np.zeros((0, 0), np.float32)

    def become(self, other: _Candidate) -> None:
        """Take over another's phrase, and go on with its own random numbers."""
        self.touches, self.seconds = list(other.touches), other.seconds
        self.down, self.dwell = other.down, other.dwell.copy()
        self.tries, self.lost = other.tries, other.lost
        self.quotation = None if other.quotation is None else other.quotation.copy()

    def next_numbers(self) -> Floats:
        """Return the random numbers of its next draw; of candidate 0, the ordinary ones."""
        first = 0 if self.number else self.request.count
        block, row = divmod(first + self.drawn, BLOCK)
        if block != self._block:
            request, self._block = self.request, block
            if self.number:
                key = request.voice, request.count, self.number
                self._numbers = self._streams.candidate_block(*key, block)
            else:
                self._numbers = self._streams.block(request.voice, block)
        self.drawn += 1
        numbers: Floats = self._numbers[row]
        moving = None if self.quotation is None else self.quotation.moving
        if moving is not None:
            numbers = numbers.copy()
            numbers[_FLAG] = 0.0 if moving else _ALMOST_ONE
        return numbers

    def play(self, drawn: Sequence[float], settings: PlanSettings) -> list[float] | None:
        """Play a drawn event (C); return it as it sounds (x, y, dt, moving, pressure if any).

        None where ordinary play would draw it again, or where it is lost.
        """
        x, y, dt, on, *pressures = drawn
        is_finite = abs(x) < _OVERFLOW and abs(y) < _OVERFLOW and dt < _OVERFLOW and on < 2
        if not (is_finite and all(abs(pressure) < _OVERFLOW for pressure in pressures)):
            self.lost = True
            return None
        half_x, half_y, half_dt, _, *halves = settings.noise
        x, y = min(max(x - half_x, 0.0), 1.0), min(max(y - half_y, 0.0), 1.0)
        dt = min(max(dt - half_dt, MIN_DT), MAX_DT)
        moving = on > 0.5
        if self.quotation is not None:
            x, y, dt = self.quotation.steer(x, y, dt, moving=moving and self.down)
            x, y, dt = (
                min(max(x, 0.0), 1.0),
                min(max(y, 0.0), 1.0),
                min(max(dt, MIN_DT), MAX_DT),
            )
        first, at, earliest = not self.touches, self.seconds + dt, self.request.earliest
        untimely = first and (dt < earliest or dt >= self.request.seconds)
        if self.tries < (_TRIES if untimely else REDRAWS) and (
            untimely or self.dwell.too_long(at, x, y, moving=moving)
        ):
            self.tries += 1
            return None
        if first and dt < earliest:
            at = dt = min(dt + earliest, MAX_DT)
        x, y = self.dwell.off_edges(at, x, y)
        moving &= self.down
        if self.quotation is not None:
            self.quotation.played(x, y, dt, moving=moving)
        self.dwell.touch(at, x, y, moving=moving)
        self.tries, self.seconds, self.down = 0, at, True
        touch = [x, y, dt, float(moving)]
        for pressure, half in zip(pressures, halves, strict=True):
            touch.append(min(max(pressure - half, 0.0), 1.0))
        self.touches.append(touch)
        return touch


class _Phrase:
    """The phrase of one voice while it is planned: its candidates, and the choice of them."""

    def __init__(
        self,
        request: PhraseRequest,
        settings: PlanSettings,
        first_row: int,
        candidates: list[_Candidate],
        choices: Floats,
        matcher: Matcher | None,
        quotations: Floats,
    ) -> None:
        """Plan with states in rows from first_row on.

        choices (PARTS) and quotations (BLOCK) are uniform: they choose candidates, and
        the motifs that these carry.
        """
        self.candidates, self._settings, self._first_row = candidates, settings, first_row
        self._request = request
        self._choices, self._matcher = choices, matcher
        self._aim = Aim.of(settings.follow)
        self._memory_weight = memory_weight(settings.memory)
        self._motifs = request.motifs if settings.memory else None
        self._motif_scores: NDArray[np.float64] | None = None
        self._place: CallPlace | None = None
        if matcher is not None and settings.follow and len(request.call):
            self._place = matcher.place(describe([request.call])[0])
        self._counted = np.zeros(len(candidates))  # of the scores, in the weights so far
        self._part = 0 if settings.lead else 1  # part 0 is the lead, of candidate 0 alone
        self._quotations = quotations.reshape(-1, _NUMBERS).tolist()
        if self._part:
            self._quote()
        self.steps = 0
        self.chosen: _Candidate | None = None

    def _quote(self) -> None:
        """Have some candidates carry a motif: the more of them the greater `memory` is."""
        if self._motifs:
            carrying = round(self._settings.memory * (len(self.candidates) - 1))
            for candidate in self.candidates[1 : 1 + carrying]:
                numbers = self._quotations[candidate.number % len(self._quotations)]
                candidate.quotation = self._motifs.quotation(numbers)

    def active(self) -> list[tuple[float, int, _Candidate]]:
        """Return the candidates to be stepped in this part: their seconds, rows, and they.

        None once enough have reached its end: the densest would take as long again.
        """
        end, first = self._end, self._first_row
        candidates = self.candidates if self._part else self.candidates[:1]
        active = [
            (candidate.seconds, first + candidate.number, candidate)
            for candidate in candidates
            if candidate.seconds < end and not candidate.lost
        ]
        return active if len(active) > LATE * len(candidates) else []

    @property
    def _end(self) -> float:
        """End of the part, in seconds."""
        horizon = self._request.horizon
        lead = min(self._settings.lead, horizon)
        return lead + (horizon - lead) * self._part / PARTS

    def choose(self, states: CandidateStates) -> None:
        """End a part: draw the candidates that are gone on with, or at last the phrase."""
        if self._part == 0:
            others = self.candidates[1:]
            for candidate in others:
                candidate.become(self.candidates[0])
            rows = [self._first_row + candidate.number for candidate in others]
            states.copy([self._first_row] * len(rows), rows)
            self._part = 1
            self._quote()
            return
        if self._motifs and self._motif_scores is None:  # a step of its own
            self._motif_scores = self._motifs.score(self._phrases)
            return
        over = self._part == PARTS or self.steps >= MAX_STEPS
        scores = self._scores()
        share = 1.0 if over else self._part / PARTS
        lost = np.array([c.lost or not c.touches for c in self.candidates])
        scores[lost] = 0.0
        raised = np.where(lost, -math.inf, share * scores - self._counted)
        raised -= raised.max() if not lost.all() else 0.0
        weights = np.exp(raised) if not lost.all() else np.ones(len(raised))
        cumulative = np.cumsum(weights / weights.sum())
        u = float(self._choices[self._part - 1])
        if over:
            if self._settings.follow >= 1:
                best = int(np.where(lost, -math.inf, scores).argmax())
            else:
                best = min(int(np.searchsorted(cumulative, u, "right")), len(cumulative) - 1)
            self.chosen = self.candidates[best]
            return
        count = len(weights)
        drawn = np.searchsorted(cumulative, (np.arange(count) + u) / count, "right")
        copies = np.bincount(np.minimum(drawn, count - 1), minlength=count)
        targets = np.flatnonzero(copies == 0).tolist()
        sources = np.repeat(np.arange(count), np.maximum(copies - 1, 0)).tolist()
        for source, target in zip(sources, targets, strict=True):
            self.candidates[target].become(self.candidates[source])
        states.copy(
            [self._first_row + row for row in sources], [self._first_row + t for t in targets]
        )
        self._counted = share * scores
        self._counted[targets] = self._counted[sources]
        self._part += 1

    def _scores(self) -> NDArray[np.float64]:
        """Return how much each candidate (N) is wanted, in nats."""
        scores = np.zeros(len(self.candidates))
        aim = self._aim
        if self._place is not None and self._matcher is not None:
            matches = self._matcher.score(
                self._place,
                describe(self._phrases),
                towards=aim.towards,
                closeness=aim.closeness,
            )
            scores += aim.weight * matches
        if self._motif_scores is not None:
            scores += self._memory_weight * self._motif_scores
            self._motif_scores = None
        return scores

    @property
    def _phrases(self) -> list[AnyFloats]:
        return [_places(c.touches or [[0.5, 0.5, 0.5, 0.0]]) for c in self.candidates]

    def proposals(self) -> list[Proposal]:
        """Return the touches of what was chosen; empty before."""
        touches = self.chosen.touches if self.chosen else []
        phrase = [
            Proposal(x, y, dt, on > 0.5, pressure=pressures[0] if pressures else None)
            for x, y, dt, on, *pressures in touches
        ]
        if self._motifs and touches:
            for first, recall in self._motifs.returns(_places(touches)):
                phrase[first] = replace(phrase[first], recall=recall)
        return phrase


class Plan:
    """Phrases for some voices, planned in steps."""

    def __init__(
        self,
        requests: Sequence[PhraseRequest],
        settings: PlanSettings,
        states: CandidateStates,
        streams: RandomStreams,
        matcher: Matcher | None,
        *,
        size: int,
        unplanned: int = 0,
        batch: int = _BATCH,
    ) -> None:
        """Plan a phrase for each request.

        size: how many candidates each voice has; unplanned: how many more voices there are,
        which are not planned. states has the rows of the first voice's
        candidates, then those of the next, each with the state of its voice. batch: how many
        candidates are stepped at once.
        """
        self._settings, self._states, self._batch = settings, states, batch
        self._unplanned = unplanned
        self._phrases = [
            _Phrase(
                request,
                settings,
                size * i,
                [_Candidate(n, request, streams, settings.dwell) for n in range(size)],
                streams.candidate_block(request.voice, request.count, _CHOICE, 0)[:PARTS, 0],
                matcher,
                streams.candidate_block(request.voice, request.count, _QUOTATIONS, 0)[:, 0],
            )
            for i, request in enumerate(requests)
        ]
        self._open = list(self._phrases)

    def step(self) -> bool:
        """Step some candidates, or choose among those of a voice; return whether it is over."""
        if not self._open:
            return True
        active: list[tuple[float, int, _Candidate]] = []
        for phrase in self._open:
            running = phrase.active() if phrase.steps < MAX_STEPS else []
            if not running:
                phrase.choose(self._states)
                if phrase.chosen is not None:
                    self._open.remove(phrase)
                return not self._open
            phrase.steps += 1
            active += running
            if len(active) >= self._batch:
                break
        active.sort(key=_BY_TIME)
        self._step(active[: self._batch])
        return False

    def _step(self, active: list[tuple[float, int, _Candidate]]) -> None:
        """Draw the next touch of some candidates, and feed them what they play."""
        rows = [row for _, row, _ in active]
        numbers = np.stack([candidate.next_numbers() for _, _, candidate in active])
        with np.errstate(all="ignore"):
            drawn = self._states.sample(rows, numbers)
        noise = self._settings.noise
        fed: _Rows = []
        events: list[list[float]] = []
        for (_, row, candidate), values in zip(active, drawn.tolist(), strict=True):
            touch = candidate.play(values, self._settings)
            if touch is not None and candidate.seconds < candidate.request.horizon:
                fed.append(row)
                events.append([value + half for value, half in zip(touch, noise, strict=True)])
        if fed:
            self._states.feed(fed, events)

    def touches(self) -> list[list[Proposal]]:
        """Return the phrase of each voice, in the order of the requests.

        It begins with the lead. Its last touch may come after the end, and a phrase of many
        touches may end before it. Then come the voices that are not planned, with nothing.
        Call it when `step` has returned True.
        """
        phrases = [phrase.proposals() for phrase in self._phrases]
        return phrases + [[] for _ in range(self._unplanned)]


def _places(touches: list[list[float]]) -> NDArray[np.float64]:
    """Return touches as rows (n, 4) of x, y, dt and moving."""
    return np.array(touches)[:, : len(TOUCH)]


def _time(entry: tuple[float, int, _Candidate]) -> tuple[float, int]:
    return entry[:2]


_BY_TIME: Final = _time
