"""Offline generation: many takes at once, from nothing or continuing a performance.

Every take is a row of one batch. Its random numbers, as those of a player's voice
(robojam.player.random_streams), depend on the seed, on its number and on how many touches it
has had, and not on the takes generated beside it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from robojam.controls import CONTROLS
from robojam.model.event import TOUCH
from robojam.model.features import Floats
from robojam.model.file import ModelFile, ModelFileError
from robojam.player.batch_generator import BatchGenerator, Take, Touches, fitting_call
from robojam.player.motifs import heard_in
from robojam.player.planner import PhraseRequest
from robojam.player.player import ModelPlayer
from robojam.player.random_streams import RandomStreams
from robojam.player.reference import Network, RecurrentState

__all__ = ["PLANNED", "TakePlanner", "Touches", "generate", "listen"]

_Doubles = NDArray[np.float64]

#: Takes that are planned together: those from a multiple of it on.
PLANNED: Final = 32


def generate(
    file: ModelFile,
    performances: Sequence[NDArray[Any]],
    *,
    seconds: float | _Doubles,
    seed: int,
    first: int = 0,
    temperature: float,
    spread: float,
    silences: _Doubles | None = None,
    follow: float | None = None,
    memory: float | None = None,
) -> list[Touches]:
    """Continue performances with a model; return a take for each.

    performances are clean arrays (n, 4) of x, y in screens, dt in seconds, moving, or (n, 5)
    with pressure; one of no touches starts a take from nothing. Takes have the same form, with
    pressure where the model has learnt it. The first dt of a
    take counts from the last touch of the performance, whose finger is still down, so that
    the first touch may slide on from it. A take lasts less than seconds, but has one touch
    at least, if the model does not hold that for next to impossible; seconds may be an array
    (B,), with one length for each take. None dwells for too
    long (robojam.jam.dwell). silences (B,) are the seconds that have passed since the end
    of each performance: the first touch comes after them. follow, -1 to 1, and memory, 0 to
    1: the takes are planned (robojam.player.planner) as answers to the performances, unless
    both are 0; None stands for what a jam has, or 0 where the model has no matcher. first is
    the number of the first take, where those before it are generated elsewhere. Raises
    ModelFileError for a model that is not over touches, and where a model without a matcher
    is to follow.
    """
    player = ModelPlayer(file)
    follow = _dial("follow", follow, plans=player.plans)
    memory = _dial("memory", memory, plans=player.plans)
    if (follow or memory) and not player.plans:
        raise ModelFileError(
            f"{file.path} has no matcher, which follow and memory need: "
            "robojam train --matcher-only adds one"
        )
    count = len(performances)
    limits = np.broadcast_to(seconds, count).tolist()
    waits = np.zeros(count) if silences is None else silences
    made: list[Touches] = [np.empty((0, len(file.event.columns)))] * count

    def take(number: int) -> Take:
        return Take(
            call=fitting_call(np.asarray(performances[number], np.float64), player.network),
            seconds=limits[number],
            seed=seed,
            number=first + number,
            temperature=temperature,
            spread=spread,
            silence=float(waits[number]),
        )

    if follow or memory:
        planner = TakePlanner(player)
        for start in range(0, count, PLANNED):
            takes = [take(number) for number in range(start, min(start + PLANNED, count))]
            for _ in planner.plan(takes, follow, memory):
                pass
            made[start : start + PLANNED] = [each.array() for each in takes]
        return made
    generator, waiting = BatchGenerator(player.network), iter(range(count))
    while True:
        for number in islice(waiting, generator.room):
            generator.add(take(number))
        if not len(generator):
            return made
        for ended in generator.step():
            if ended.overflowed:
                raise ModelFileError(f"{file.path} cannot be played: its numbers overflow")
            made[ended.number - first] = ended.array()


class TakePlanner:
    """Planner of takes: as answers to their calls, phrase by phrase where they are long."""

    def __init__(self, player: ModelPlayer) -> None:
        """Plan with a player that plans; its own voices are not touched."""
        self._player = player
        event = player.file.event
        self._half: Floats = np.array(event.noise, np.float32)
        self._half /= 2
        self._streams = RandomStreams(1, uniform=len(event.factors), normal=len(event.columns))

    def plan(self, takes: Sequence[Take], follow: float, memory: float) -> Iterator[None]:
        """Plan takes of one seed and one sampling, in steps of some milliseconds at most."""
        player, half = self._player, self._half
        calls = [take.call[:, : len(TOUCH)] for take in takes]
        motifs = [heard_in(call) if memory else None for call in calls]
        left = {i: take.seconds for i, take in enumerate(takes)}
        while left:
            chosen = list(left)
            heard = [np.concatenate([takes[i].call, takes[i].array()]) for i in chosen]
            requests = [
                PhraseRequest(
                    voice=takes[i].number,
                    count=len(takes[i].touches),
                    call=calls[i],
                    down=len(heard[n]) > 0,
                    earliest=0.0 if takes[i].touches else takes[i].silence,
                    seconds=left[i],
                    motifs=motifs[i],
                )
                for n, i in enumerate(chosen)
            ]
            state = yield from _listening(player.network, heard, half)
            first = takes[0]
            player.set_sampling(temperature=first.temperature, spread=first.spread)
            self._streams.seed(first.seed)
            plan = player.plan_phrases(
                requests, state, self._streams, follow=follow, memory=memory
            )
            while not plan.step():
                yield
                self._streams.seed(first.seed)  # others may have planned meanwhile
            for i, phrase in zip(chosen, plan.touches(), strict=True):
                take = takes[i]
                take.touches += [
                    [p.x, p.y, p.dt, float(p.moving)]
                    + ([] if p.pressure is None else [p.pressure])
                    for p in phrase
                ]
                left[i] = float(take.seconds - take.array()[:, 2].sum())
                if left[i] <= 0 or not phrase:
                    del left[i]
                    on = take.array()[:, 2].cumsum() < take.seconds
                    take.touches = take.array()[on].tolist()


def _dial(name: str, given: float | None, *, plans: bool) -> float:
    """Return a control as given, or as in a jam; 0 for a model that cannot plan."""
    default = CONTROLS[name].default if plans else 0.0
    assert isinstance(default, float)
    return default if given is None else given


def listen(
    network: Network, performances: Sequence[NDArray[Any]], half: Floats
) -> RecurrentState:
    """Return the state after each of some performances (n, C), fed as one batch.

    half (C) is the mean of the noise the model was trained with.
    """
    hearing = _listening(network, performances, half)
    while True:
        try:
            next(hearing)
        except StopIteration as done:
            state: RecurrentState = done.value
            return state


def _listening(
    network: Network, performances: Sequence[NDArray[Any]], half: Floats
) -> Generator[None, None, RecurrentState]:
    """Do what `listen` does, in steps of a touch."""
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
        yield
    state.write(slice(0, left), active)
    original = np.empty(len(order), int)
    original[order] = np.arange(len(order))
    return state.rows(original)
