"""Players without a model, for tests, which record what they are fed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from robojam.jam.protocols import Proposal

Row = tuple[float, float, float, bool]  # x, y, dt, moving


def land(dt: float, x: float = 0.25, y: float = 0.75) -> Proposal:
    return Proposal(x, y, dt, moving=False)


def slide(dt: float, x: float = 0.5, y: float = 0.5) -> Proposal:
    return Proposal(x, y, dt, moving=True)


class ScriptedPlayer:
    """Player whose every voice plays a script, again and again.

    human_touches: the humans' touches, fed to all voices; fed holds, for each voice, all
    touches that it was fed, its own too; counts, for each voice, the touches whose random
    numbers are used up.
    """

    def __init__(self, *script: Proposal, voices: int = 1) -> None:
        self.script = script or (land(0.1), slide(0.1))
        self.voices = voices
        self.human_touches: list[Row] = []
        self.fed: list[list[Row]] = [[] for _ in range(voices)]
        self.sampling: tuple[float, float] | None = None
        self.prepared = self.resting = 0
        self.seed(0)

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        self.sampling = temperature, spread

    def seed(self, seed: int) -> None:
        self.seeded, self.counts = seed, [0] * self.voices

    def reset(self) -> None:
        self.fed = [[] for _ in range(self.voices)]

    def rest(self, resting: int) -> None:
        for voice in range(self.voices - self.resting, self.voices - resting):
            self.fed[voice] = list(self.fed[0])
        self.resting = resting

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:
        self.human_touches.append((x, y, dt, moving))
        for fed in self.fed[: self.voices - self.resting]:
            fed.append((x, y, dt, moving))

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        assert all(voice < self.voices - self.resting for voice in voices)
        return [self.choose(voice) for voice in voices]

    def take_faults(self) -> int:
        return 0

    def choose(self, voice: int) -> Proposal:
        return self.script[self.counts[voice] % len(self.script)]

    def commit(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:
        self.counts[voice] += 1
        self.fed[voice].append((x, y, dt, moving))

    def skip(self, voice: int) -> None:
        self.counts[voice] += 1

    def prepare(self) -> None:
        self.prepared += 1

    def continue_from(self, other: ScriptedPlayer) -> None:
        self.seeded, self.counts = other.seeded, list(other.counts)

    def snapshot(self) -> object:
        return self.seeded, list(self.counts), [list(fed) for fed in self.fed]

    def restore(self, snapshot: tuple[int, list[int], list[list[Row]]]) -> None:
        self.seeded, counts, fed = snapshot
        self.counts, self.fed = list(counts), [list(rows) for rows in fed]

    def forecast(self) -> list[tuple[float, ...]]:
        return [(1.0, 0.5, 0.5, 0.1, 0.1, 0.0)]


class RandomPlayer(ScriptedPlayer):
    """Player whose touches follow from seed, voice, count, sampling and the last ones fed.

    Some are out of range.
    """

    def choose(self, voice: int) -> Proposal:
        last = tuple(self.fed[voice][-3:])
        state = (self.seeded, voice, self.counts[voice], self.sampling or (), last)
        rng = random.Random(hash(state))  # of numbers alone, so the same in every run
        dt = rng.choice((0.0, 0.02, 0.1, 0.15, 0.3, 9.0)) * rng.uniform(0.9, 1.1)
        x, y = rng.uniform(-0.2, 1.2), rng.uniform(-0.2, 1.2)
        return Proposal(x, y, dt, moving=rng.random() < 0.7)
