"""Players without a model, for tests: known is what they play, and what they heard."""

from __future__ import annotations

import random
from collections.abc import Sequence

from robojam.jam.protocols import Proposal

Row = tuple[float, float, float, bool]  # x, y, dt, moving


def land(dt: float, x: float = 0.25, y: float = 0.75) -> Proposal:
    return Proposal(x, y, dt, moving=False)


def slide(dt: float, x: float = 0.5, y: float = 0.5) -> Proposal:
    return Proposal(x, y, dt, moving=True)


class Scripted:
    """Every voice plays the script, touch by touch, and round again.

    heard is what all voices were given to hear; fed, of each voice, all it has taken in,
    its own touches too; counts, of each voice, the random numbers it has used.
    """

    def __init__(self, *script: Proposal, voices: int = 1) -> None:
        self.script = script or (land(0.1), slide(0.1))
        self.voices = voices
        self.heard: list[Row] = []
        self.fed: list[list[Row]] = [[] for _ in range(voices)]
        self.tempered: tuple[float, float] | None = None
        self.seed(0)

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        self.tempered = temperature, spread

    def seed(self, seed: int) -> None:
        self.seeded, self.counts = seed, [0] * self.voices

    def reset(self) -> None:
        self.fed = [[] for _ in range(self.voices)]

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:
        self.heard.append((x, y, dt, moving))
        for fed in self.fed:
            fed.append((x, y, dt, moving))

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        return [self.choose(voice) for voice in voices]

    def choose(self, voice: int) -> Proposal:
        return self.script[self.counts[voice] % len(self.script)]

    def commit(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:
        self.counts[voice] += 1
        self.fed[voice].append((x, y, dt, moving))

    def skip(self, voice: int) -> None:
        self.counts[voice] += 1

    def continue_from(self, other: Scripted) -> None:
        self.seeded, self.counts = other.seeded, list(other.counts)

    def snapshot(self) -> object:
        return self.seeded, list(self.counts), [list(fed) for fed in self.fed]

    def restore(self, snapshot: tuple[int, list[int], list[list[Row]]]) -> None:
        self.seeded, counts, fed = snapshot
        self.counts, self.fed = list(counts), [list(rows) for rows in fed]

    def forecast(self) -> list[tuple[float, ...]]:
        return [(1.0, 0.5, 0.5, 0.1, 0.1, 0.0)]


class Whimsical(Scripted):
    """Plays by seed, voice, count, temper and what it was last fed; not always in range."""

    def choose(self, voice: int) -> Proposal:
        last = tuple(self.fed[voice][-3:])
        state = (self.seeded, voice, self.counts[voice], self.tempered, last)
        chance = random.Random(hash(state))  # of numbers alone, so the same in every run
        dt = chance.choice((0.0, 0.02, 0.1, 0.15, 0.3, 9.0)) * chance.uniform(0.9, 1.1)
        x, y = chance.uniform(-0.2, 1.2), chance.uniform(-0.2, 1.2)
        return Proposal(x, y, dt, moving=chance.random() < 0.7)
