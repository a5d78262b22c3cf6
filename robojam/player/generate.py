"""Offline: many performances at once, from nothing or going on from what was played.

Every take is a row of one batch. The random numbers of a take are those of a player's voice
(robojam.player.player): they depend on the seed, on which take it is and on how many touches it
has had, and not on how many others are made beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robojam.jam.dwell import AGAIN, DwellLimiter
from robojam.model.file import ModelFile
from robojam.player.player import TOUCH_COLUMNS, ModelPlayer
from robojam.player.reference import Memory, Network
from robojam.touch import MAX_DT, MIN_DT

Floats = np.ndarray[Any, np.dtype[Any]]

#: Random numbers are made for so many touches of a take at once, as a player makes them.
_BLOCK = 64
#: So often a first touch is drawn that would come too early or too late.
_TRIES = 256
#: No take has more touches a second than this, however small its dt.
_DENSEST = 1 / MIN_DT


def generate(
    file: ModelFile,
    heard: Sequence[Floats],
    *,
    seconds: float,
    seed: int,
    temperature: float,
    spread: float,
    silent: Floats | None = None,
) -> list[Floats]:
    """Let a model go on from performances that it heard; return a take for each.

    heard are clean performances (n, 4): x, y in screens, dt in seconds, moving; one of no
    touches lets it begin from nothing. Takes (n, 4) are of the same form: the first dt
    counts from the last touch heard, whose finger is still down, so that the first touch
    may slide on from it; the sum of them is below seconds, but one comes, if the model does
    not hold that for next to impossible; and none stays where it is for long
    (robojam.jam.dwell). silent, for each, are the seconds that nothing has
    followed what was heard: the first touch comes after them. Raises ModelFileError for a
    model that is not over touches.
    """
    how = {"temperature": temperature, "spread": spread}
    least = np.zeros(len(heard)) if silent is None else silent
    network = ModelPlayer(file).network
    half = np.asarray(file.event.noise, np.float32) / 2
    memory = listen(network, heard, half)
    count = len(heard)
    chance = _Chance(seed, count, len(file.event.factors))
    steps: list[tuple[Floats, Floats]] = []  # which takes, and their touches
    here = np.arange(count)
    time = np.zeros(count)
    landed = np.array([len(part) > 0 for part in heard], bool)
    lingers = [DwellLimiter() for _ in heard]
    for step in range(int(seconds * _DENSEST) + 1):
        if not len(here):
            break
        if step:
            drawn = network.sample(memory, *chance.draw(here, step), **how)
        else:
            drawn = _first(network, memory, chance, least + half[2], seconds + half[2], how)
        made = _sounding(drawn, half)
        for again in range(1, AGAIN + 1):
            anew = _lingering(lingers, here, time, made)
            if not len(anew):
                break
            chances = chance.draw(here[anew], step, again)
            drawn[anew] = network.sample(picked(memory, anew), *chances, **how)
            made[anew] = _sounding(drawn[anew], half)
        made[:, 3] *= landed[here]  # no finger slides that is not down
        time[here] += made[:, 2]
        _take_in(lingers, here, time, made)
        on = time[here] < seconds
        if not on.all():
            here, made, memory = here[on], made[on], picked(memory, on)
        landed[here] = True
        steps.append((here, made))
        if len(here):
            memory = network.feed(memory, made.astype(np.float32) + half)
    return _by_take(steps, count)


def _sounding(drawn: Floats, half: Floats) -> Floats:
    """Return touches (B, C) as they sound, of what was drawn."""
    made: Floats = (drawn - half).astype(np.float64)
    made[:, :2] = made[:, :2].clip(0, 1)
    made[:, 2] = made[:, 2].clip(MIN_DT, MAX_DT)
    made[:, 3] = drawn[:, 3] > 0.5
    return made


def _lingering(lingers: list[DwellLimiter], here: Floats, time: Floats, made: Floats) -> Floats:
    """Tell which of the touches (B, C) of the takes here would stay for too long."""
    at = zip(here.tolist(), (time[here] + made[:, 2]).tolist(), made.tolist(), strict=True)
    return np.flatnonzero(
        [lingers[take].too_long(t, x, y, moving=on > 0) for take, t, (x, y, _, on) in at]
    )


def _take_in(lingers: list[DwellLimiter], here: Floats, time: Floats, made: Floats) -> None:
    """Note where the takes here have come to with touches (B, C), off an edge if need be."""
    for row, (take, t, touch) in enumerate(
        zip(here.tolist(), time[here].tolist(), made.tolist(), strict=True)
    ):
        linger, (x, y, _, moving) = lingers[take], touch
        x, y = linger.aside(t, x, y)
        linger.touch(t, x, y, moving=moving > 0)
        made[row, :2] = x, y


def _first(
    network: Network,
    memory: Memory,
    chance: _Chance,
    least: Floats,
    most: float,
    how: dict[str, float],
) -> Floats:
    """Draw the first touches (B, C), whose dt is at least so long (B,) and below most.

    What is drawn until it is so is drawn from the density given that it is. A silence that
    the model holds for next to impossible is ended by what is drawn last.
    """
    drawn: Floats = network.sample(memory, *chance.draw(np.arange(len(least)), 0), **how)
    for again in range(1, _TRIES):
        anew = np.flatnonzero((drawn[:, 2] < least) | (drawn[:, 2] >= most))
        if not len(anew):
            return drawn
        chances = chance.draw(anew, 0, again)
        drawn[anew] = network.sample(picked(memory, anew), *chances, **how)
    early = drawn[:, 2] < least
    drawn[early, 2] += least[early]
    return drawn


def listen(network: Network, heard: Sequence[Floats], half: Floats) -> Memory:
    """Let a row of a batch hear each performance, all at once: the memory after them.

    half is the mean of the noise the model was trained with.
    """
    order = np.argsort([-len(part) for part in heard], kind="stable")
    lengths = np.array([len(heard[i]) for i in order])
    touches = np.zeros((int(lengths.max(initial=0)), len(heard), len(half)), np.float32)
    for row, i in enumerate(order):
        touches[: lengths[row], row] = heard[i] + half
    memory = some = network.initial(len(heard))
    left = len(heard)
    for step in range(len(touches)):
        on = int((lengths > step).sum())  # the longest come first
        if on < left:
            memory.write(slice(on, left), some.rows(slice(on, left)))
            left, some = on, some.rows(slice(0, on))
        some = network.feed(some, touches[step, :left])
    memory.write(slice(0, left), some)
    back = np.empty(len(order), int)
    back[order] = np.arange(len(order))
    return picked(memory, back)


def picked(memory: Memory, rows: Floats) -> Memory:
    """Return some rows of a memory, by their numbers or a mask: a copy."""
    return memory.rows(rows)  # type: ignore[arg-type]


def _by_take(steps: list[tuple[Floats, Floats]], count: int) -> list[Floats]:
    """Put the touches of each take together, in their order."""
    if not steps:
        return [np.empty((0, len(TOUCH_COLUMNS))) for _ in range(count)]
    whose = np.concatenate([here for here, _ in steps])
    touches = np.concatenate([made for _, made in steps])
    order = np.argsort(whose, kind="stable")
    ends = np.cumsum(np.bincount(whose, minlength=count))[:-1]
    return np.split(touches[order], ends)


class _Chance:
    """The random numbers of many takes, made in blocks."""

    def __init__(self, seed: int, takes: int, factors: int) -> None:
        self._seed, self._factors, self._block = seed, factors, -1
        self._uniform = np.empty((takes, _BLOCK, factors), np.float32)
        self._gauss = np.empty((takes, _BLOCK, len(TOUCH_COLUMNS)), np.float32)

    def draw(self, takes: Floats, step: int, again: int = 0) -> tuple[Floats, Floats]:
        """Return those of the step-th touch of some takes: (V, factors), (V, 4).

        again counts how often that touch has been drawn before.
        """
        if again:
            drawn = [self._made(take, 0, again, 1, step) for take in takes.tolist()]
            return np.concatenate([u for u, _ in drawn]), np.concatenate([g for _, g in drawn])
        block, row = divmod(step, _BLOCK)
        if block != self._block:
            self._block = block
            for take in takes.tolist():
                self._uniform[take], self._gauss[take] = self._made(take, block, 0, _BLOCK)
        return self._uniform[takes, row], self._gauss[takes, row]

    def _made(
        self, take: int, block: int, again: int, rows: int, step: int = 0
    ) -> tuple[Floats, Floats]:
        key = np.array([self._seed, take], np.uint64)
        bits = np.random.Philox(key=key, counter=[0, step, block, again])
        draw = np.random.Generator(bits)
        uniform = draw.random((rows, self._factors), np.float32)
        return uniform, draw.standard_normal((rows, len(TOUCH_COLUMNS)), np.float32)
