"""Training: from corpora to a model file.

Truncated backpropagation over windows of each performance, cut anew at every
pass; fresh dequantisation noise and a random mirror image at every draw; Adam with
a cosine to zero; and averaged weights (Polyak & Juditsky 1992), which are what is
scored and kept. One pass over the corpus costs one pass.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robojam import __version__, lattice
from robojam.corpus import STROKE, TOUCH, Corpus
from robojam.evaluate import score
from robojam.event import Event, stroke_event, touch_event
from robojam.model import EventModel, save
from robojam.modelfile import Data, Description

Floats = np.ndarray[Any, np.dtype[np.float32]]


class NotFiniteError(ArithmeticError):
    """The loss is no number any more; the text says where it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to train: sizes, and the schedule. A seed gives the same run again.

    window and batch are in events; passes are over the corpus, and score_every so many
    of them the held-out data is scored; rate is Adam's at its height; average is how
    much of the averaged weights stays at each step.
    """

    units: int = 256
    layers: int = 2
    components: int = 16
    hidden: int = 192
    dropout: float = 0.0
    passes: float = 120.0
    window: int = 256
    batch: int = 2560
    rate: float = 3e-3
    warmup: int = 100
    average: float = 0.997
    clip: float = 1.0
    decay: float = 0.0
    mirror: bool = True
    lattices: bool = True
    score_every: int = 2
    bfloat16: bool = True
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. loss and score are in nats per event; rate in events per second.

    score is None but after a held-out scoring; best is the best so far.
    """

    step: int
    steps: int
    loss: float
    rate: float
    left: float
    score: float | None
    best: float | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of performances, padded to the longest.

    Events as they are heard and as they are scored (B, T, C), and which are (B, T).
    """

    heard: Tensor
    targets: Tensor
    scored: Tensor


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window of one performance: rows start to end, and whether it is the beginning."""

    start: int
    end: int
    opening: bool


def cut(lengths: np.ndarray[Any, Any], window: int, rng: np.random.Generator) -> list[Chunk]:
    """Cut performances into windows, each at a random offset, covering every event once.

    A window begins with the last event of the one before, which is heard and not
    scored, so that every event is scored exactly once.
    """
    chunks: list[Chunk] = []
    start = 0
    for length in lengths.tolist():
        end = start + length
        first = end
        if length > window:
            first = start + int(rng.integers(max(1, window // 2), max(2, window)))
        chunks.append(Chunk(start, first, True))
        at = first
        while at < end:
            stop = min(at + window, end)
            chunks.append(Chunk(at - 1, stop, False))
            at = stop
        start = end
    return chunks


def batches(
    chunks: list[Chunk], events: int, rng: np.random.Generator
) -> Iterator[list[Chunk]]:
    """Group windows of like length into batches of about so many events, shuffled."""
    order = rng.permutation(len(chunks))
    sizes = np.array([chunks[i].end - chunks[i].start for i in order])
    order = order[np.argsort(sizes, kind="stable")]
    groups: list[list[Chunk]] = [[]]
    for i in order:
        size = chunks[i].end - chunks[i].start
        if groups[-1] and size * (len(groups[-1]) + 1) > events:
            groups.append([])
        groups[-1].append(chunks[i])
    for i in rng.permutation(len(groups)):
        yield groups[i]


def mirrored(event: Event, values: Floats, rng: np.random.Generator) -> Floats:
    """Turn each sequence (B, T, C) into one of the eight mirror images of its surface."""
    columns = next(
        (f.columns for f in event.factors if f.kind in ("position", "offset") and f.dims == 2),
        None,
    )
    if columns is None:
        return values
    centre = next(f.centre for f in event.factors if f.columns == columns)
    flips = rng.integers(0, 2, (3, len(values), 1)).astype(bool)
    x, y = values[..., columns[0]].copy(), values[..., columns[1]].copy()
    x = np.where(flips[0], 2 * centre - x, x)
    y = np.where(flips[1], 2 * centre - y, y)
    values[..., columns[0]] = np.where(flips[2], y, x)
    values[..., columns[1]] = np.where(flips[2], x, y)
    return values


def event_of(corpus: Corpus, settings: Settings) -> Event:
    """Describe the events of a corpus. Raises ValueError for columns nobody described."""
    s = settings
    if corpus.columns == TOUCH:
        event = touch_event(components=s.components, hidden=s.hidden)
        if not s.lattices or event.position is None:
            return event
        columns = list(event.position.columns)
        places = (performance[:, columns] for performance in corpus.performances())
        found = lattice.shares(places, event.position.noise)
        return touch_event(components=s.components, hidden=s.hidden, lattices=found)
    if corpus.columns == STROKE:
        return stroke_event(components=s.components, hidden=s.hidden)
    raise ValueError(
        f"{corpus.name} holds ({', '.join(corpus.columns)}), not touches or strokes"
    )


def split(corpus: Corpus, *, every: int) -> tuple[Corpus, Corpus]:
    """Hold every so many-th performance out: what to train on, and what is held out.

    Raises ValueError when there are too few performances for both.
    """
    count = len(corpus.lengths)
    if count < 2:
        raise ValueError(
            f"{corpus.name} has {count} performances of two events or more; training wants "
            "two at least, or --val with others"
        )
    held = np.zeros(count, bool)
    held[(every - 1) % count :: every] = True
    rows = np.repeat(held, corpus.lengths)
    train = replace(corpus, events=corpus.events[~rows], lengths=corpus.lengths[~held])
    name = f"every {every}th performance of {corpus.name}"
    return train, replace(
        corpus, events=corpus.events[rows], lengths=corpus.lengths[held], name=name
    )


class Trainer:
    """One training run over one corpus; iterate for its progress, stop when you like.

    model is what learns, averaged its averaged weights, best those that scored best.
    """

    def __init__(self, corpus: Corpus, held_out: Corpus, settings: Settings) -> None:
        """Prepare a run over a clean corpus. Raises ValueError when there is nothing in it."""
        for data in (corpus, held_out):
            if not (data.lengths >= 2).any():
                raise ValueError(f"{data.name} has no performance of two events or more")
        if held_out.columns != corpus.columns:
            raise ValueError(f"{corpus.name} and {held_out.name} are of different kinds")
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.settings, self.corpus, self.held_out = settings, corpus, held_out
        self.model = EventModel(
            event_of(corpus, settings),
            units=settings.units,
            layers=settings.layers,
            dropout=settings.dropout,
        ).to(settings.device)
        self.lattices = self._lattices()
        self.averaged = copy.deepcopy(self.model).eval()
        self.best: EventModel | None = None
        self.best_score = math.inf
        self.best_step = self.step = 0

    def __iter__(self) -> Iterator[Progress]:
        """Train. Raises NotFiniteError, with the cause, when the loss is no number."""
        s = self.settings
        rng = np.random.default_rng(s.seed)
        per_pass = sum(
            1 for _ in batches(cut(self.corpus.lengths, s.window, rng), s.batch, rng)
        )
        steps = max(1, round(s.passes * per_pass))
        optimiser = torch.optim.Adam(self.model.parameters(), lr=s.rate, betas=(0.9, 0.98))
        began, events, passes, loss = time.monotonic(), 0, 0, math.nan
        while self.step < steps:
            for group in batches(
                cut(self.corpus.lengths, s.window, self.rng), s.batch, self.rng
            ):
                for option in optimiser.param_groups:
                    option["lr"] = s.rate * schedule(self.step, steps, s.warmup)
                batch = self.draw(group)
                now = self._learn(optimiser, batch, group)
                loss = now if math.isnan(loss) else 0.98 * loss + 0.02 * now
                self.step += 1
                self._average()
                events += int(batch.scored.sum())
                if self.step >= steps:
                    break
                yield self._progress(steps, loss, events, began, None)
            passes += 1
            if passes % s.score_every and self.step < steps:
                continue
            found = score(self.averaged, self.held_out).joint
            if not math.isfinite(found):
                raise NotFiniteError(
                    f"at step {self.step} the held-out score is {found}: {self.held_out.name} "
                    "holds numbers too large, or the learning rate is too high."
                )
            if found < self.best_score:
                self.best_score, self.best_step = found, self.step
                self.best = copy.deepcopy(self.averaged)
            yield self._progress(steps, loss, events, began, found)

    def save(
        self,
        path: Path,
        *,
        trained_on: tuple[Data, ...] = (),
        score_on: tuple[Data, ...] = (),
        licence: str = "",
    ) -> None:
        """Write the best weights so far to path, whole or not at all.

        Raises ValueError before the first scoring: there are none.
        """
        if self.best is None:
            raise ValueError("nothing has been scored yet: there is no model to keep")
        s = self.settings
        description = Description(
            event=self.best.event,
            units=s.units,
            layers=s.layers,
            trained_on=trained_on,
            steps=self.best_step,
            score=self.best_score,
            score_on=score_on,
            made_with=f"robojam {__version__}, torch {torch.__version__}, {s}",
            licence=licence,
        )
        save(self.best, path, description)

    def _progress(
        self, steps: int, loss: float, events: int, began: float, found: float | None
    ) -> Progress:
        spent = time.monotonic() - began
        best = None if math.isinf(self.best_score) else self.best_score
        left = spent / self.step * (steps - self.step)
        return Progress(self.step, steps, loss, events / max(spent, 1e-9), left, found, best)

    def _lattices(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Find the lattice (0: none) of the performance that each event belongs to, (N,)."""
        position = self.model.event.position
        found = np.zeros(len(self.corpus.lengths), np.int64)
        if position is not None and position.lattices:
            columns, known = list(position.columns), [n for n, _ in position.lattices]
            found[:] = [
                lattice.detect(performance[:, columns], known)
                for performance in self.corpus.performances()
            ]
        return np.repeat(found, self.corpus.lengths)

    def draw(self, group: list[Chunk]) -> Batch:
        """Make a batch, with fresh noise.

        Where the screen's lattice is known, the middle of a place's cell is heard, and
        the place is scored anywhere in it (robojam.lattice).
        """
        event = self.model.event
        longest = max(c.end - c.start for c in group)
        values = np.full((len(group), longest, len(event.columns)), 0.5, np.float32)
        scored = np.zeros((len(group), longest), bool)
        lines = np.zeros((len(group), 1, 1), np.float32)
        for row, chunk in enumerate(group):
            size = chunk.end - chunk.start
            values[row, :size] = self.corpus.events[chunk.start : chunk.end]
            scored[row, 0 if chunk.opening else 1 : size] = True
            lines[row] = self.lattices[chunk.start]
        random = self.rng.random(values.shape, np.float32)
        targets = values + random * np.asarray(event.noise, np.float32)
        for factor in event.factors:
            if factor.kind == "offset":  # dequantised about the whole number
                targets[..., list(factor.columns)] -= factor.noise / 2
        heard = targets.copy()
        if event.position is not None:
            columns, on = list(event.position.columns), np.maximum(lines, 1)
            cell = np.round(values[..., columns] * on)
            middle, spread = (cell + 0.5) / on, (cell + random[..., columns]) / on
            heard[..., columns] = np.where(lines > 0, middle, heard[..., columns])
            targets[..., columns] = np.where(lines > 0, spread, targets[..., columns])
        if self.settings.mirror:
            both = mirrored(event, np.concatenate([heard, targets], 1), self.rng)
            heard, targets = both[:, :longest], both[:, longest:]
        device = self.settings.device
        return Batch(
            *(torch.from_numpy(array.copy()).to(device) for array in (heard, targets, scored))
        )

    def _learn(
        self, optimiser: torch.optim.Optimizer, batch: Batch, group: list[Chunk]
    ) -> float:
        self.model.train()
        scored, device = batch.scored, batch.heard.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.bfloat16):
            state = self.model.initial(len(batch.heard))
            seen, last, now, before, _ = self.model.listen(batch.heard, state)
            trunk = self.model.trunk(seen)
        # The heads in full precision, and only where something is scored: a density
        # is a matter of small differences, and padding costs nothing.
        parts = self.model.predict(
            trunk.float()[scored],
            batch.targets[scored],
            last[scored],
            now[scored],
            before[scored],
        )
        loss = -parts.sum(-1).mean()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NotFiniteError(self._cause(parts, scored, group))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        if not math.isfinite(float(norm)):
            raise NotFiniteError(
                f"at step {self.step} the gradient is not finite though the loss is "
                f"{value:.3f}: lower the learning rate, "
                f"which is {optimiser.param_groups[0]['lr']:g} here."
            )
        optimiser.step()
        return value

    def _cause(self, parts: Tensor, scored: Tensor, group: list[Chunk]) -> str:
        """Say where the loss stopped being a number, and what to do."""
        broken = ~torch.isfinite(parts)
        first = int(broken.any(1).nonzero()[0])
        factor = self.model.event.factors[int(broken[first].nonzero()[0])].name
        row, column = scored.nonzero()[first].tolist()
        at = group[row].start + column
        # What was heard before it in its window may be what spoilt it.
        heard = self.corpus.events[group[row].start : at + 1]
        strange = np.flatnonzero(~np.isfinite(heard).all(1))
        what = "Lower the learning rate."
        if len(strange):
            at = group[row].start + int(strange[0])
            what = "Clean the corpus."
        performance = int(np.searchsorted(np.cumsum(self.corpus.lengths), at, side="right"))
        return (
            f"at step {self.step} the loss is not finite: factor {factor!r} of event {at} "
            f"(performance {performance + 1} of {self.corpus.name}), "
            f"{self.corpus.events[at].tolist()}. {what}"
        )

    def _average(self) -> None:
        # A short memory at first, so that the untrained weights are soon forgotten.
        keep = min(self.settings.average, 1 - 1 / (self.step / 10 + 1))
        with torch.no_grad():
            pairs = zip(self.averaged.parameters(), self.model.parameters(), strict=True)
            for mean, weight in pairs:
                mean.lerp_(weight, 1 - keep)


def schedule(step: int, steps: int, warmup: int) -> float:
    """Share of the rate at a step: a rise over warmup, then a cosine to zero."""
    rise = min(1.0, (step + 1) / warmup)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
