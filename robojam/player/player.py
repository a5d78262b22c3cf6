"""A model at play: devices, state, sampling, many voices in one batch.

On the CPU it is numpy that plays, for torch's cost of a call is several times the
arithmetic of one touch, and importing it takes over a second; on CUDA and MPS it
is torch. The mathematics is the same code (robojam.player.reference).

The random numbers of a touch depend on the seed, the voice, and how many touches it has
played, or made in vain, since seeding (robojam.player.random_streams): nothing else moves them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from robojam.jam.events import Proposal
from robojam.model.features import Components, components, normal
from robojam.model.file import ModelFile, ModelFileError
from robojam.player.cpu_single import SingleStepper
from robojam.player.lookahead import Draft, Lookahead
from robojam.player.random_streams import RandomStreams
from robojam.player.reference import Memory, Network
from robojam.touch import MAX_DT, MIN_DT, clip

TOUCH_COLUMNS = ("x", "y", "dt", "moving")
#: What a touch is made of: the kind of factor that each column belongs to.
TOUCH_KINDS = ("position", "position", "duration", "flag")
#: What a touch can be, column by column.
_LEAST, _MOST = (0.0, 0.0, MIN_DT, 0.0), (1.0, 1.0, MAX_DT, 1.0)
#: From so many voices on, they are stepped as batches, a touch ahead: below, one by one.
_CHOIR = 8
#: Components of a forecast lighter than this are left out.
_FAINT = 1e-3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a player remembers: put back, it plays on as it would have then."""

    memory: Memory
    seed: int
    counts: tuple[int, ...]


class ModelPlayer:
    """One model played by one or more voices, which hear the same and play their own."""

    def __init__(
        self, file: ModelFile, *, device: str = "cpu", voices: int = 1, seed: int = 0
    ) -> None:
        """Prepare a model for play. Raises ModelFileError if it is not over touches."""
        kinds = {column: f.kind for f in file.event.factors for column in f.columns}
        found = tuple(kinds[column] for column in range(len(kinds)))
        if file.event.columns != TOUCH_COLUMNS or found != TOUCH_KINDS:
            raise ModelFileError(
                f"{file.path} is a model of {file.event.name}s, over "
                f"({_named(file.event.columns, found)}); a jam wants one of touches, over "
                f"({_named(TOUCH_COLUMNS, TOUCH_KINDS)})"
            )
        self.file, self.device, self._voices = file, device, voices
        self._xp, weights = _prepared(file.weights, device)
        self.network = Network(self._xp, file.event, weights, file.layers)
        self._half = np.asarray(file.event.noise, np.float32) / 2
        self._halves: list[float] = self._half.tolist()
        self._temperature = self._spread = 1.0
        columns, factors = len(TOUCH_COLUMNS), len(file.event.factors)
        self._chance = RandomStreams(voices, uniform=factors, normal=columns)
        self._everyone = np.arange(voices)
        self._steps = _steps(self._xp, self.network, voices)
        self._memory = self._steps.memory
        self._ahead: Lookahead | None = None
        if voices >= _CHOIR and self._xp is np:
            self._ahead = Lookahead(
                self._steps.state, hear=self._steps.chorus.feed, draw=self._after_next
            )
        self.seed(seed)
        self.commit(0, 0.5, 0.5, 0.0, moving=False)  # the first calls are slower than others
        self.sample([0])
        self.reset()
        self._counts[0] = 0

    @property
    def voices(self) -> int:
        """How many voices."""
        return self._voices

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        """Set how the voices choose: see Network.sample."""
        self._temperature, self._spread = temperature, spread
        self._came_between()

    def seed(self, seed: int) -> None:
        """Begin the random numbers of every voice anew."""
        self._seed = seed
        self._counts = np.zeros(self._voices, np.int64)
        self._chance.seed(seed)
        self._came_between()

    def reset(self) -> None:
        """Forget all that was heard."""
        self._steps.reset()
        self._came_between()

    def continue_from(self, other: ModelPlayer) -> None:
        """Go on with the random numbers of another player."""
        self._seed = other._seed
        self._counts = other._counts.copy()
        self._chance.seed(other._seed)
        self._came_between()

    def snapshot(self) -> Snapshot:
        """Copy all that the player remembers."""
        return Snapshot(deepcopy(self._memory), self._seed, tuple(self._counts.tolist()))

    def restore(self, snapshot: Snapshot) -> None:
        """Put a snapshot back. The snapshot stays good."""
        self._memory.write(slice(None), snapshot.memory)
        if snapshot.seed != self._seed:
            self.seed(snapshot.seed)
        self._counts = np.array(snapshot.counts, np.int64)
        self._came_between()

    def feed(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let every voice hear a touch: screen units, seconds."""
        self._steps.feed_all(self._fed(x, y, dt, moving))
        self._came_between()

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        """Say what some voices would play next, drawn as one batch. Changes nothing."""
        if self._ahead is not None:
            return self._proposed(self._ahead, voices)
        return self._sampled(voices)

    def _sampled(self, voices: Sequence[int]) -> list[Proposal]:
        drawn = self._steps.sample(
            voices, self._chances(voices), temperature=self._temperature, spread=self._spread
        )
        half_x, half_y, half_dt, _ = self._halves
        return [
            Proposal(x - half_x, y - half_y, dt - half_dt, moving > 0.5)
            for x, y, dt, moving in drawn
        ]

    def _proposed(self, ahead: Lookahead, voices: Sequence[int]) -> list[Proposal]:
        """Propose what was foreseen, and the rest as one batch; foresee from there."""
        fresh = [voice for voice in voices if ahead.next(voice) is None]
        made = dict(zip(fresh, self._sampled(fresh) if fresh else [], strict=True))
        found = []
        for voice in voices:
            draft = ahead.next(voice) or self._draft(made[voice])
            ahead.awaits(voice, draft)
            found.append(draft.proposal)
        return found

    def _after_next(self, rows: Any, voices: Sequence[int]) -> list[Draft]:
        """Draw what voices play after their next touch, from rows that have heard it."""
        drawn = self._steps.chorus.sample(
            rows,
            self._chances(voices, later=1),
            temperature=self._temperature,
            spread=self._spread,
        )
        made = drawn.astype(np.float64) - self._halves
        sounds = np.minimum(np.maximum(made, _LEAST), _MOST)
        # A flag is 0 or 1, and has no noise.
        return [
            Draft(Proposal(x, y, dt, moving > 0.5), (*played, moving > 0.5), heard)
            for (x, y, dt, moving), (*played, _), heard in zip(
                made.tolist(), sounds.tolist(), (sounds + self._halves).tolist(), strict=True
            )
        ]

    def _draft(self, made: Proposal) -> Draft:
        """Say how a proposal sounds, and how it is heard then."""
        x, y = clip(made.x, 0.0, 1.0), clip(made.y, 0.0, 1.0)
        sounds = x, y, clip(made.dt, MIN_DT, MAX_DT), made.moving
        return Draft(made, sounds, self._fed(*sounds))

    def _came_between(self) -> None:
        if self._ahead is not None:
            self._ahead.clear()

    def commit(self, voice: int, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Let a voice hear the touch it has just played, and use up its random numbers."""
        if self._ahead is None or not self._ahead.comes(voice, (x, y, dt, moving)):
            self._steps.feed(voice, self._fed(x, y, dt, moving))
        self._counts[voice] += 1

    def together(self) -> Any:
        """Let every voice play its next touch and hear it, all as one batch, in arrays.

        For voices that keep step, as many as there may be. Returns what sounds, (V, 4).
        """
        chances = self._chance.rows(self._everyone, self._counts)
        drawn = self._steps.sample_all(
            chances, temperature=self._temperature, spread=self._spread
        )
        sounds = np.minimum(np.maximum(drawn - self._half, _LEAST), _MOST)
        self._steps.feed_each((sounds + self._half).astype(np.float32))
        self._counts += 1
        self._came_between()
        return sounds

    def skip(self, voice: int) -> None:
        """Use up the random numbers of a touch not heard: a duet's, or one made in vain."""
        self._counts[voice] += 1
        if self._ahead is not None:
            self._ahead.drop(voice)

    def forecast(self) -> list[tuple[float, ...]]:
        """Return what voice 0 expects next, as weight, mean x, y, deviation x, y, correlation.

        The place's mixture for a slide and for a landing, each by its chance, at the
        dt that is the geometric mean of what is expected; in screen units. Nothing
        from a model that predicts in another order than phase, dt and place.
        """
        xp, network, event = self._xp, self.network, self.file.event
        if [f.kind for f in event.factors] != ["flag", "duration", "position"]:
            return []
        phase, dt, place = event.factors
        memory = self._memory.rows(slice(0, 1))
        begun = network.inner(memory)
        logit = float(network.head(0, begun)[0, 0])
        last = _numpy(memory.last)[0]
        unheard = bool(np.isnan(last).any()) or place.slides is None
        groups: list[tuple[float, ...]] = []
        for moving in (0.0, 1.0):
            chance = 0.5 + 0.5 * math.tanh((logit if moving else -logit) / 2)
            values = network.here([[0.0, 0.0, 0.0, moving]])
            inner = network.told(0, begun, normal(xp, phase, values))
            c = components(
                xp, event, dt, network.head(1, inner), values, memory.now, memory.before
            )
            weights = _weights(_numpy(c.logits)[0])
            log_dt = float(weights @ _numpy(c.mean)[0, :, 0]) * dt.scale + dt.centre
            values[0, 2] = math.exp(min(log_dt, 2.0))
            inner = network.told(1, inner, normal(xp, dt, values))
            c = components(
                xp, event, place, network.head(2, inner), values, memory.now, memory.before
            )
            groups += self._groups(c, chance, None if unheard or not moving else last)
        return groups

    def _groups(self, mixture: Components, chance: float, last: Any) -> list[tuple[float, ...]]:
        """Turn a mixture into groups in screen units; last is where a slide sets off."""
        factor = self.file.event.factors[2]
        weights = chance * _weights(_numpy(mixture.logits)[0])
        unit = factor.scale if last is None else factor.step
        origin = factor.centre if last is None else last
        mean = _numpy(mixture.mean)[0] * unit + origin - self._half[:2]
        scale = np.exp(_numpy(mixture.log_scale)[0]) * unit
        lower = _numpy(mixture.lower)[0, :, 0]
        stretch = np.sqrt(1 + lower * lower)
        table = np.column_stack(
            [weights, mean, scale[:, 0], scale[:, 1] * stretch, lower / stretch]
        )
        return [tuple(row) for row in table[weights > _FAINT].tolist()]

    def _chances(self, voices: Sequence[int], later: int = 0) -> Any:
        """Return the random numbers (N, ·) of N voices' next touches, or of later ones."""
        if len(voices) == 1:  # as a list, for that is what one voice is stepped with
            return [self._chance.row(voices[0], int(self._counts[voices[0]]) + later)]
        which = np.asarray(voices)
        return self._chance.rows(which, self._counts[which] + later)

    def _fed(self, x: float, y: float, dt: float, moving: bool) -> list[float]:  # noqa: FBT001
        """Return a touch as the model hears it: with the mean of its noise."""
        return [a + half for a, half in zip((x, y, dt, moving), self._halves, strict=True)]


def _steps(xp: Any, network: Network, voices: int) -> Any:
    """Return what steps the voices of a network: lean on a CPU, captured on a GPU."""
    if xp is np:
        return SingleStepper(network, voices)
    from robojam.player.cuda_graph import CudaGraphStepper

    return CudaGraphStepper(network, voices)


def _prepared(weights: dict[str, Any], device: str) -> tuple[Any, dict[str, Any]]:
    """Return the module that computes, and the weights as its arrays on the device."""
    if device == "cpu":
        return np, {name: array.astype(np.float32) for name, array in weights.items()}
    import torch

    return torch, {
        name: torch.from_numpy(array).float().to(device) for name, array in weights.items()
    }


def _named(columns: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    return ", ".join(f"{kind} {column}" for kind, column in zip(kinds, columns, strict=True))


def _numpy(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def _weights(logits: Any) -> Any:
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()
