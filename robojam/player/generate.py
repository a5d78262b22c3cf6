"""Offline generation: many takes at once, from nothing or continuing a performance.

Every take is a row of one batch. Its random numbers, as those of a player's voice
(robojam.player.random_streams), depend on the seed, on its number and on how many touches it
has had, and not on the takes generated beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.controls import CONTROLS
from robojam.jam.dwell import REDRAWS, DwellLimiter
from robojam.model.features import Floats
from robojam.model.file import ModelFile, ModelFileError
from robojam.player.motifs import heard_in
from robojam.player.planner import PhraseRequest
from robojam.player.player import TOUCH_COLUMNS, ModelPlayer
from robojam.player.random_streams import RandomStreams
from robojam.player.reference import Network, RecurrentState, Sampling
from robojam.touch import MAX_DT, MIN_DT

_Doubles = NDArray[np.float64]
#: Touches (n, 4), whose times need 64 bits.
Touches = _Doubles
_Indices = NDArray[np.intp]
_Draw = Callable[[RecurrentState, _Indices, int, int], Floats]

#: Most draws of a first touch that would come too early or too late.
_TRIES = 256
#: Takes that are planned at once.
_PLANNED = 32


def generate(
    file: ModelFile,
    performances: Sequence[NDArray[Any]],
    *,
    seconds: float | _Doubles,
    seed: int,
    temperature: float,
    spread: float,
    silences: _Doubles | None = None,
    follow: float | None = None,
    memory: float | None = None,
) -> list[Touches]:
    """Continue performances with a model; return a take for each.

    performances are clean arrays (n, 4) of x, y in screens, dt in seconds, moving; one of no
    touches starts a take from nothing. Takes (n, 4) have the same form. The first dt of a
    take counts from the last touch of the performance, whose finger is still down, so that
    the first touch may slide on from it. A take lasts less than seconds, but has one touch
    at least, if the model does not hold that for next to impossible; seconds may be an array
    (B,), with one length for each take. None dwells for too
    long (robojam.jam.dwell). silences (B,) are the seconds that have passed since the end
    of each performance: the first touch comes after them. follow, -1 to 1, and memory, 0 to
    1: the takes are planned (robojam.player.planner) as answers to the performances, unless
    both are 0; None stands for what a jam has, or 0 where the model has no matcher. Raises
    ModelFileError for a model that is not over touches, and where a model without a matcher
    is to follow.
    """
    player = ModelPlayer(file)
    network = player.network
    half: Floats = np.array(file.event.noise, np.float32)
    half /= 2
    follow = _dial("follow", follow, plans=player.plans)
    memory = _dial("memory", memory, plans=player.plans)
    if follow or memory:
        if not player.plans:
            raise ModelFileError(
                f"{file.path} has no matcher, which follow and memory need: "
                "robojam train --matcher-only adds one"
            )
        sampling: Sampling = {"temperature": temperature, "spread": spread}
        player.set_sampling(**sampling)
        random = RandomStreams(
            len(performances), uniform=len(file.event.factors), normal=len(TOUCH_COLUMNS)
        )
        random.seed(seed)
        limits = np.broadcast_to(seconds, len(performances))
        dials = {"follow": follow, "memory": memory}
        return _planned(player, performances, random, half, silences, limits, **dials)
    longest = float(np.max(seconds, initial=0.0))
    state = listen(network, performances, half)
    count, factors = len(performances), len(file.event.factors)
    random = RandomStreams(count, uniform=factors, normal=len(TOUCH_COLUMNS))
    random.seed(seed)

    def draw(state: RecurrentState, takes: _Indices, step: int, attempt: int = 0) -> Floats:
        """Draw a step of some takes, which has been drawn that many times before."""
        if attempt:
            numbers = random.redrawn(takes, step, attempt)
        else:
            numbers = random.rows(takes, np.full(len(takes), step))
        uniform, gauss = numbers[:, :factors], numbers[:, factors:]
        drawn: Floats
        with np.errstate(over="ignore", invalid="ignore"):
            drawn = network.sample(
                state, uniform, gauss, temperature=temperature, spread=spread
            )
        if not np.isfinite(drawn).all():
            raise ModelFileError(f"{file.path} cannot be played: its numbers overflow")
        return drawn

    steps: list[tuple[_Indices, Touches]] = []  # which takes, and their touches
    takes = np.arange(count)
    time = np.zeros(count)
    landed = np.array([len(part) > 0 for part in performances], bool)
    limiters = [DwellLimiter() for _ in performances]
    for step in range(int(longest / MIN_DT) + 1):  # no take has more
        if not len(takes):
            break
        drawn = draw(state, takes, step)
        if not step:
            earliest = half[2] + (np.zeros(count) if silences is None else silences)
            _delay_first_touches(drawn, state, draw, earliest, longest + half[2])
        touches = _played(drawn, half)
        for attempt in range(1, REDRAWS + 1):
            rows = _dwelling(limiters, takes, time, touches)
            if not len(rows):
                break
            drawn[rows] = draw(state.rows(rows), takes[rows], step, attempt)
            touches[rows] = _played(drawn[rows], half)
        touches[:, 3] *= landed[takes]  # only a finger that is down slides
        time[takes] += touches[:, 2]
        _update_limiters(limiters, takes, time, touches)
        on = time[takes] < longest
        if not on.all():
            takes, touches, state = takes[on], touches[on], state.rows(on)
        landed[takes] = True
        steps.append((takes, touches))
        if len(takes):
            state = network.feed(state, touches.astype(np.float32) + half, heard=False)
    whole = _by_take(steps, count)
    return whole if np.ndim(seconds) == 0 else _cut(whole, np.asarray(seconds))


def _planned(
    player: ModelPlayer,
    performances: Sequence[NDArray[Any]],
    random: RandomStreams,
    half: Floats,
    silences: _Doubles | None,
    seconds: _Doubles,
    *,
    follow: float,
    memory: float,
) -> list[Touches]:
    """Return takes that are planned, phrase by phrase where they are longer than a plan."""
    takes: list[Touches] = [np.empty((0, len(TOUCH_COLUMNS))) for _ in performances]
    motifs = [heard_in(performance) for performance in performances] if memory else []
    left = dict(enumerate(seconds.tolist()))
    while left:
        chosen = list(left)[:_PLANNED]
        heard = [np.concatenate([performances[i], takes[i]]) for i in chosen]
        requests = [
            PhraseRequest(
                voice=i,
                count=len(takes[i]),
                call=performances[i],
                down=len(heard[n]) > 0,
                earliest=0.0 if silences is None or len(takes[i]) else float(silences[i]),
                seconds=left[i],
                motifs=motifs[i] if memory else None,
            )
            for n, i in enumerate(chosen)
        ]
        state = listen(player.network, heard, half)
        plan = player.plan_phrases(requests, state, random, follow=follow, memory=memory)
        while not plan.step():
            pass
        for i, phrase in zip(chosen, plan.touches(), strict=True):
            touches = np.array([[p.x, p.y, p.dt, p.moving] for p in phrase], np.float64)
            takes[i] = np.concatenate([takes[i], touches.reshape(-1, len(TOUCH_COLUMNS))])
            left[i] = float(seconds[i] - takes[i][:, 2].sum())
            if left[i] <= 0 or not len(touches):
                del left[i]
    return _cut(takes, seconds)


def _cut(takes: list[Touches], seconds: _Doubles) -> list[Touches]:
    """Return the beginnings of takes, each shorter than its length."""
    pairs = zip(takes, seconds, strict=True)
    return [take[take[:, 2].cumsum() < limit] for take, limit in pairs]


def _dial(name: str, given: float | None, *, plans: bool) -> float:
    """Return a control as given, or as in a jam; 0 for a model that cannot plan."""
    default = CONTROLS[name].default if plans else 0.0
    assert isinstance(default, float)
    return default if given is None else given


def _played(drawn: Floats, half: Floats) -> Touches:
    """Return touches (B, C) as they are played, within their limits."""
    touches: Touches = (drawn - half).astype(np.float64)
    touches[:, :2] = touches[:, :2].clip(0, 1)
    touches[:, 2] = touches[:, 2].clip(MIN_DT, MAX_DT)
    touches[:, 3] = drawn[:, 3] > 0.5
    return touches


def _dwelling(
    limiters: list[DwellLimiter], takes: _Indices, time: _Doubles, touches: Touches
) -> _Indices:
    """Return the rows of touches (B, C) that would stay in one place for too long."""
    times = (time[takes] + touches[:, 2]).tolist()
    rows = zip(takes.tolist(), times, touches.tolist(), strict=True)
    return np.flatnonzero(
        [limiters[take].too_long(t, x, y, moving=on > 0) for take, t, (x, y, _, on) in rows]
    )


def _update_limiters(
    limiters: list[DwellLimiter], takes: _Indices, time: _Doubles, touches: Touches
) -> None:
    """Move touches (B, C) off an edge where a take's limiter says so, and record them in it."""
    for take, t, touch in zip(takes.tolist(), time[takes].tolist(), touches, strict=True):
        x, y, _, moving = touch.tolist()
        touch[:2] = x, y = limiters[take].off_edges(t, x, y)
        limiters[take].touch(t, x, y, moving=moving > 0)


def _delay_first_touches(
    drawn: Floats, state: RecurrentState, draw: _Draw, earliest: _Doubles, latest: float
) -> None:
    """Redraw the first touches (B, C) until dt is at least earliest (B,) and below latest.

    Drawing until it is so samples the density given that it is so. After _TRIES the last
    draw stands, delayed if it is early.
    """
    for attempt in range(1, _TRIES):
        rows = np.flatnonzero((drawn[:, 2] < earliest) | (drawn[:, 2] >= latest))
        if not len(rows):
            return
        drawn[rows] = draw(state.rows(rows), rows, 0, attempt)
    early = drawn[:, 2] < earliest
    drawn[early, 2] += earliest[early]


def listen(
    network: Network, performances: Sequence[NDArray[Any]], half: Floats
) -> RecurrentState:
    """Return the state after each of some performances (n, C), fed as one batch.

    half (C) is the mean of the noise the model was trained with.
    """
    order = np.argsort([-len(part) for part in performances], kind="stable")
    lengths = np.array([len(performances[i]) for i in order])
    longest = int(lengths.max(initial=0))
    touches = np.zeros((longest, len(performances), len(half)), np.float32)
    for row, i in enumerate(order):
        touches[: lengths[row], row] = performances[i] + half
    state = active = network.initial(len(performances))
    left = len(performances)
    for step in range(len(touches)):
        on = int((lengths > step).sum())  # the longest come first
        if on < left:
            state.write(slice(on, left), active.rows(slice(on, left)))
            left, active = on, active.rows(slice(0, on))
        active = network.feed(active, touches[step, :left])
    state.write(slice(0, left), active)
    original = np.empty(len(order), int)
    original[order] = np.arange(len(order))
    return state.rows(original)


def _by_take(steps: list[tuple[_Indices, Touches]], count: int) -> list[Touches]:
    if not steps:
        return [np.empty((0, len(TOUCH_COLUMNS))) for _ in range(count)]
    takes = np.concatenate([takes for takes, _ in steps])
    touches = np.concatenate([touches for _, touches in steps])
    order = np.argsort(takes, kind="stable")
    ends = np.cumsum(np.bincount(takes, minlength=count))[:-1]
    return np.split(touches[order], ends)
