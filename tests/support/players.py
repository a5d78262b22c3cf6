"""Players without a model, for tests, which record what they are fed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from robojam.jam.protocols import Proposal
from robojam.touch import MAX_DT, MIN_DT, clip

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
        self.knobs = len(script[0].knobs) if script else 0
        self.knobs_fed: list[tuple[float, ...]] = []
        self.pressures_fed: list[float | None] = []
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

    def feed(
        self,
        x: float,
        y: float,
        dt: float,
        moving: bool,
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        self.knobs_fed.append(knobs)
        self.pressures_fed.append(pressure)
        self.human_touches.append((x, y, dt, moving))
        for fed in self.fed[: self.voices - self.resting]:
            fed.append((x, y, dt, moving))

    def feed_some(
        self,
        heard: Mapping[int, tuple[float, bool]],
        x: float,
        y: float,
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        self.knobs_fed.append(knobs)
        self.pressures_fed.append(pressure)
        for voice, (dt, moving) in heard.items():
            self.fed[voice].append((x, y, dt, moving))

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        assert all(voice < self.voices - self.resting for voice in voices)
        return [self.choose(voice) for voice in voices]

    def take_faults(self) -> int:
        return 0

    def choose(self, voice: int) -> Proposal:
        return self.script[self.counts[voice] % len(self.script)]

    def commit(
        self,
        voice: int,
        x: float,
        y: float,
        dt: float,
        moving: bool,
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        self.counts[voice] += 1
        self.pressures_fed.append(pressure)
        self.fed[voice].append((x, y, dt, moving))

    def skip(self, voice: int) -> None:
        self.counts[voice] += 1

    def prepare(self) -> None:
        self.prepared += 1

    plans = False

    def plan(self, voices: Sequence[int], **wanted: Any) -> Any:
        del voices, wanted

    def continue_from(self, other: ScriptedPlayer) -> None:
        self.seeded, self.counts = other.seeded, list(other.counts)

    def snapshot(self) -> object:
        return self.seeded, list(self.counts), [list(fed) for fed in self.fed]

    def restore(self, snapshot: tuple[int, list[int], list[list[Row]]]) -> None:
        self.seeded, counts, fed = snapshot
        self.counts, self.fed = list(counts), [list(rows) for rows in fed]

    saves = True

    def save(self) -> Any:
        return self.snapshot(), self.resting

    def load(self, saved: Any) -> None:
        self.restore(saved[0])
        self.resting = saved[1]

    def checksum(self) -> int:
        return hash((self.seeded, *self.counts, *map(tuple, self.fed)))

    def pack(self, saved: Any, snapshots: Sequence[Any]) -> bytes:
        return msgspec.msgpack.encode((saved, snapshots))

    def unpack(self, data: bytes) -> tuple[Any, list[Any]]:
        kind = tuple[int, list[int], list[list[Row]]]
        return msgspec.msgpack.decode(data, type=tuple[tuple[kind, int], list[kind]])

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


class ScriptedPlan:
    """Plan that is finished after some steps, with phrases that are given."""

    def __init__(self, phrases: list[list[Proposal]], steps: int) -> None:
        self.phrases, self.left = phrases, steps

    def step(self) -> bool:
        self.left = max(0, self.left - 1)
        return not self.left

    def touches(self) -> list[list[Proposal]]:
        assert not self.left, "the plan is not finished"
        return self.phrases


class PlanningPlayer(RandomPlayer):
    """RandomPlayer that plans phrases, which follow from its state when the plan began.

    A phrase is the ordinary draw during the lead, and another one after it. plan_steps: the
    steps of a plan.
    """

    plans = True

    def __init__(self, *script: Proposal, voices: int = 1, plan_steps: int = 5) -> None:
        super().__init__(*script, voices=voices)
        self.plan_steps = plan_steps

    def plan(self, voices: Sequence[int], **wanted: Any) -> ScriptedPlan:
        phrases = [self._phrase(voice, **wanted) for voice in voices]
        return ScriptedPlan(phrases, self.plan_steps)

    def _phrase(self, voice: int, *, seconds: float, lead: float = 0.0, **by: Any) -> list[Any]:
        copy = type(self)(*self.script, voices=self.voices)
        copy.restore(self.snapshot())  # type: ignore[arg-type]
        copy.sampling = self.sampling
        phrase: list[Proposal] = []
        while sum(p.dt for p in phrase) < seconds and len(phrase) < 100:
            if sum(p.dt for p in phrase) >= lead:
                copy.seeded = hash((self.seeded, by["follow"], by["memory"]))
            p = copy.choose(voice)
            x, y, dt = clip(p.x, 0.0, 1.0), clip(p.y, 0.0, 1.0), clip(p.dt, MIN_DT, MAX_DT)
            phrase.append(Proposal(x, y, dt, p.moving))
            copy.commit(voice, x, y, dt, p.moving)
        return phrase
