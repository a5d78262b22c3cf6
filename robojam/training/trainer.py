"""Training of a model on corpora, from random weights or from another model's.

Truncated backpropagation through time over windows of each performance, cut again for every
pass; fresh dequantisation noise in every batch, and random mirror images except in the last
steps, in which the model learns the true orientation; Adam with a cosine schedule; and an
average of the weights (Polyak & Juditsky 1992), which is what is scored and saved. One pass
over the corpus scores every event once.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from msgspec import structs
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from robojam import __version__
from robojam.corpus.corpus import STROKE, Corpus, describe_columns
from robojam.evaluation.likelihood import score
from robojam.model import lattice
from robojam.model.event import (
    PRESSED,
    TOUCH,
    EventSpec,
    count_knobs,
    knob_event,
    stroke_event,
    touch_event,
)
from robojam.model.file import ModelDescription
from robojam.model.mdrnn import EventModel, save
from robojam.training.batches import (
    Batch,
    Chunk,
    WindowSampler,
    cut_windows,
    group_batches,
    performed_places,
)
from robojam.training.distributed import WorkerGroup, is_out_of_memory

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Sizes of a model and the schedule of its training. A seed gives the same run again."""

    # Sizes of the model (robojam.model.mdrnn).
    units: int = 256
    layers: int = 2
    components: int = 16
    hidden: int = 192
    dropout: float = 0.2  # share of the inputs of layers and heads dropped at each step
    passes: float = 80.0  # over the corpus
    window: int = 128  # events in a window of backpropagation
    context: int = 1  # most events before a window from which its first state is computed
    batch: int = 1280  # events in a batch, about
    rate: float = 3e-3  # the highest learning rate of Adam
    warmup: int = 100  # steps until the rate is the highest
    average: float = 0.997  # share of the averaged weights that is kept at each step
    clip: float = 1.0  # the largest norm of a gradient
    mirror: bool = True  # whether windows are mirrored
    upright: float = 0.08  # but for this last share of the run, whose best weights are saved
    lattices: bool = True  # whether the model knows the lattices of the corpus's screens
    summary: bool = False  # whether a new model of touches is given means of what was played
    fewer: bool = False  # whether rigs of fewer knobs may play a new model of knobs
    score_every: int = 2  # passes from one scoring of the held-out data to the next
    patience: int = 10  # scorings without a better one that end the run; 0: never
    minutes: float = 0.0  # time that ends the run, and the schedule with it; 0: no limit
    bfloat16: bool = True  # whether the recurrent layers compute in bfloat16, where they can
    seed: int = 0
    device: str = "cpu"


#: Settings of the sizes that have a name; m is the default model's. A small model has no
#: capacity to spare, and is trained without dropout; and with a summary, which the larger
#: ones use to tell the performances of a small corpus apart (benchmarks/README.md).
SIZES: dict[str, dict[str, Any]] = {
    "s": {
        "units": 64,
        "layers": 2,
        "components": 8,
        "hidden": 52,
        "dropout": 0.0,
        "summary": True,
        "context": 256,
    },
    "m": {"units": 256, "layers": 2, "components": 16, "hidden": 192},
    "l": {"units": 512, "layers": 2, "components": 24, "hidden": 320},
}

#: Decays per move and per landing of the means of a new model's summary: means over some 20
#: and 100 moves; and the last landing, and means over some 3 and 20.
MOVE_MEANS, LANDING_MEANS = (0.95, 0.99), (0.0, 0.6, 0.95)

#: From this share of its minutes on, a run that is behind schedule follows the clock.
_CLOCK_FROM = 0.25


class NotFiniteError(ArithmeticError):
    """The loss, a gradient or a score is not finite; the text says where that began."""


class TooLargeError(MemoryError):
    """A batch does not fit into the device's memory; the text names one that would."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run after a step or a scoring."""

    step: int
    steps: int
    loss: float  # smoothed, in nats per event; NaN before the first step
    events_per_second: float
    seconds_left: float  # until the end of the run, estimated
    score: float | None  # of the held-out data, in nats per event; None but after a scoring
    best: float | None  # the best score so far; None before the first scoring


def event_of(corpus: Corpus, settings: TrainingSettings) -> EventSpec:
    """Return a description of a corpus's events. Raises ValueError for unknown columns."""
    components, hidden = settings.components, settings.hidden
    if corpus.columns == STROKE:
        return stroke_event(components=components, hidden=hidden)
    knobs = count_knobs(corpus.columns)
    if settings.fewer and knobs < 2:
        raise ValueError(f"{corpus.name}: only a model of knobs can be for fewer of them")
    if not knobs and corpus.columns not in (TOUCH, PRESSED):
        names = ", ".join(corpus.columns)
        raise ValueError(f"{corpus.name} holds ({names}), not touches, strokes or knobs")
    if knobs:
        event = knob_event(knobs, components=components, hidden=hidden, fewer=settings.fewer)
    else:
        pressure = corpus.columns == PRESSED
        event = touch_event(components=components, hidden=hidden, pressure=pressure)
    if settings.summary and not knobs:
        event = structs.replace(event, move_means=MOVE_MEANS, landing_means=LANDING_MEANS)
    position = event.position
    if not settings.lattices or position is None:
        return event
    places = performed_places(corpus, position)
    on = structs.replace(position, lattices=lattice.shares(places, position.noise))
    factors = (on if factor is position else factor for factor in event.factors)
    return structs.replace(event, factors=tuple(factors))


@cache
def has_bfloat16(device: str) -> bool:
    """Return whether recurrent layers compute in bfloat16 on a device.

    A processor without AVX-512 may refuse it: oneDNN has no such LSTM there. So it is tried.
    """
    kind = torch.device(device).type
    with torch.random.fork_rng():  # whose weights use up no random numbers
        layer = nn.LSTM(8, 8, batch_first=True, device=device)
    try:
        with torch.autocast(kind, torch.bfloat16):
            values, _ = layer(torch.zeros(2, 2, 8, device=device))
        values.float().sum().backward()
    except RuntimeError:
        return False
    return True


class BatchLikelihood(nn.Module):
    """Log densities of the scored events of a batch under a model."""

    def __init__(self, model: EventModel, *, bfloat16: bool) -> None:
        super().__init__()
        self.model, self._use_bfloat16 = model, bfloat16

    def forward(self, events: Tensor, cell: Tensor, scored: Tensor, context: int = 0) -> Tensor:
        """Return the log densities (N, F) of the N scored events of a batch, in nats.

        None of the first `context` events of a row is scored. If there are several, the state
        after them is computed without gradients.
        """
        with torch.autocast(events.device.type, torch.bfloat16, enabled=self._use_bfloat16):
            start = self.model.initial(len(events))
            if context > 1:
                with torch.no_grad():
                    *_, start = self.model.listen(events[:, :context], start)
                events, cell, scored = (x[:, context:] for x in (events, cell, scored))
            seen, last, now, before, _ = self.model.listen(events, start)
            trunk = self.model.trunk(seen)
        # The heads compute in full precision, as a density depends on small differences,
        # and only at the scored events, so that padding costs nothing.
        inputs = (trunk.float(), events, last, now, before, cell)
        return self.model.predict(*(tensor[scored] for tensor in inputs))


class Trainer:
    """One training run over one corpus. Iterating it trains, and yields its progress.

    model: the model that is trained. averaged: its averaged weights. best: the averaged
        weights with the best score, best_score, of step best_step; None before a scoring.
    workers: the processes that train the model together (robojam.training.distributed).
    step, steps: how many are done, and how many make the whole run.
    passes, done: completed passes, and completed batches of the pass under way.
    stale: scorings since the best one.
    upright: the step from which windows are no longer mirrored; -1 if they never are.
    elapsed: seconds spent training.

    Whenever it has yielded, its attributes hold all that is needed to continue: iterate
    again, or save them with robojam.training.checkpoint.
    """

    def __init__(
        self,
        corpus: Corpus,
        held_out: Corpus,
        settings: TrainingSettings,
        *,
        event: EventSpec | None = None,
        start: EventModel | None = None,
    ) -> None:
        """Prepare a run over clean corpora, from random weights or from those of start.

        event describes the corpus's events; by default that is start's description, or
        `event_of`. Raises ValueError for a corpus without a performance of two events, and
        for corpora with different columns.
        """
        for data in (corpus, held_out):
            if not (data.lengths >= 2).any():
                raise ValueError(f"{data.name} has no performance of two events or more")
        if held_out.columns != corpus.columns:
            one, other = map(describe_columns, (corpus.columns, held_out.columns))
            raise ValueError(f"{corpus.name} holds {one}, and {held_out.name} {other}")
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.settings, self.corpus, self.held_out = settings, corpus, held_out
        if event is None:
            event = event_of(corpus, settings) if start is None else start.event
        sizes = {"units": settings.units, "layers": settings.layers}
        self.model = EventModel(event, dropout=settings.dropout, **sizes)
        if start is not None:
            self.model.load_state_dict(start.state_dict())
        self.starts_from_model = start is not None
        self.workers = WorkerGroup()
        self.model.to(settings.device)
        bfloat16 = settings.bfloat16 and has_bfloat16(settings.device)
        self.likelihood = BatchLikelihood(self.model, bfloat16=bfloat16)
        self.sampler = WindowSampler(corpus, self.model.event)
        self.averaged = copy.deepcopy(self.model).eval()
        weights, fused = self.model.parameters(), settings.device in ("cpu", "cuda")
        self.optimiser = torch.optim.Adam(weights, settings.rate, (0.9, 0.98), fused=fused)
        rng = np.random.default_rng(settings.seed)
        chunks = cut_windows(corpus.lengths, settings.window, rng, context=settings.context)
        batches_per_pass = sum(1 for _ in group_batches(chunks, settings.batch, rng))
        self.steps = max(1, round(settings.passes * batches_per_pass))
        self.upright = round(self.steps * (1 - settings.upright)) if settings.mirror else -1
        self.best: EventModel | None = None
        self.best_score, self.loss = math.inf, math.nan
        self.best_step = self.step = self.passes = self.done = self.stale = 0
        self.elapsed = 0.0
        #: The state of rng from which the pass under way was cut.
        self.pass_rng_state: dict[str, Any] = {}

    @property
    def fraction_done(self) -> float:
        """The part of the run that is done, by steps or by time, whichever is more: 0 to 1.

        Time counts from _CLOCK_FROM of it on, so that a run that takes less than its limit
        is the same on every machine, however slowly it begins.
        """
        by_steps, limit = self.step / self.steps, 60 * self.settings.minutes
        if not limit:
            return by_steps
        return max(by_steps, (self.elapsed / limit - _CLOCK_FROM) / (1 - _CLOCK_FROM))

    @property
    def finished(self) -> bool:
        """Whether all steps are done, the time is up, or the score no longer improves."""
        patience = self.settings.patience
        return self.fraction_done >= 1 or 0 < patience <= self.stale

    def __iter__(self) -> Iterator[Progress]:
        """Train. Raises NotFiniteError, TooLargeError and WorkerError."""
        s = self.settings
        elapsed_before, first_step, events = self.elapsed, self.step, 0
        began = time.monotonic() - elapsed_before

        def progress(held_out_score: float | None) -> Progress:
            self.elapsed = self.workers.from_leader(lambda: time.monotonic() - began)
            seconds = self.elapsed - elapsed_before
            rate = events / max(seconds, 1e-9)
            left = seconds / max(self.step - first_step, 1) * (self.steps - self.step)
            if s.minutes:
                left = max(0.0, min(left, 60 * s.minutes - self.elapsed))
            best = None if math.isinf(self.best_score) else self.best_score
            return Progress(self.step, self.steps, self.loss, rate, left, held_out_score, best)

        if self.starts_from_model and self.best is None:  # which may remain the best
            yield progress(self._score())
        while not self.finished:
            for group in self._pass()[self.done :]:
                for option in self.optimiser.param_groups:
                    option["lr"] = s.rate * schedule(self.step, self.fraction_done, s.warmup)
                if s.mirror and self.fraction_done >= 1 - s.upright:  # if time runs short
                    self.upright = min(self.upright, self.step)
                batch = self.draw(group)
                loss = self._train_step(batch, group)
                self.loss = loss if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * loss
                self.step += 1
                self.done += 1
                self._average()
                events += int(batch.scored.sum())
                after_step = progress(None)
                if self.fraction_done >= 1:
                    break
                yield after_step
            self.done = 0
            self.passes += 1
            if self.passes % s.score_every and self.fraction_done < 1:
                continue
            yield progress(self._score())

    def _pass(self) -> list[list[Chunk]]:
        """Return the batches of a new pass, or of the one under way once more."""
        rng = self.rng
        if self.done:
            rng = np.random.default_rng()
            rng.bit_generator.state = self.pass_rng_state
        else:
            self.pass_rng_state = copy.deepcopy(dict(rng.bit_generator.state))
        s = self.settings
        chunks = cut_windows(self.corpus.lengths, s.window, rng, context=s.context)
        return list(group_batches(chunks, s.batch, rng))

    def draw(self, group: list[Chunk]) -> Batch:
        """Return a batch of windows with fresh noise."""
        mirror = self.step < self.upright
        return self.sampler.draw(group, self.rng, mirror=mirror, device=self.settings.device)

    def _train_step(self, batch: Batch, group: list[Chunk]) -> float:
        """Take an optimiser step on a batch; return its mean loss in nats per event."""
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        rows = self.workers.rows(len(batch.events))
        self.model.dropout.batch, self.model.dropout.rows = len(batch.events), rows
        own, scored = batch.select(rows), int(batch.scored.sum())
        loss: list[Tensor] = []

        def forward() -> float:
            value, weighted = self._weighted_loss(own, group, scored)
            loss.append(weighted)
            return value

        # Every worker has its loss before gradients are exchanged: an error ends them all.
        losses = self.workers.gather(lambda: self._run(own, forward))
        self._run(own, lambda: self._update(loss.pop(), sum(losses)))
        return sum(losses)

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch, and the log densities (N, F) of its events."""
        inputs = batch.events, batch.cell, batch.scored, batch.context
        parts = self.workers.forward(self.likelihood, *inputs)
        return -parts.sum(-1).mean(), parts

    def _weighted_loss(
        self, batch: Batch, group: list[Chunk], scored: int
    ) -> tuple[float, Tensor]:
        """Return what this worker's rows add to the loss, and the loss to differentiate.

        Rows count by their share of the `scored` events of all workers. Gradients are means
        over workers, and are scaled to a sum.
        """
        loss, parts = self._loss(batch)
        value = float(loss.detach())
        weight = len(parts) / scored if self.workers.rank < len(group) else 0.0
        if not math.isfinite(value):
            owned = group[self.workers.rows(len(group))]
            origin = find_not_finite(self.corpus, self.model.event, parts, batch.scored, owned)
            raise NotFiniteError(f"at step {self.step} the loss is not finite: {origin}")
        return value * weight, loss * (weight * self.workers.size)

    def _update(self, loss: Tensor, value: float) -> None:
        """Find the gradient of a loss, which has this value over all workers, and follow it."""
        self.workers.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        if not math.isfinite(float(norm)):
            state = f"the gradient is not finite though the loss is {value:.3f}"
            rate = f"the learning rate, which is {self.optimiser.param_groups[0]['lr']:g} here"
            raise NotFiniteError(f"at step {self.step} {state}: lower {rate}.")
        self.optimiser.step()

    def _run(self, batch: Batch, compute: Callable[[], Result]) -> Result:
        """Compute with a batch. Raises TooLargeError where memory runs out."""
        try:
            return compute()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # After the except block: the error holds what filled the memory.
        raise TooLargeError(self._find_fitting_batch(batch))

    def _find_fitting_batch(self, batch: Batch) -> str:
        """Return advice on a size of batch that fits, found by trying smaller ones."""
        size, device = len(batch.events), self.settings.device
        problem = (
            f"a batch of {self.settings.batch} events does not fit into the memory of {device}"
        )
        self.workers.release()
        self.workers = WorkerGroup()  # no other worker takes part in these trials
        while size > 1:
            size //= 2
            self.optimiser.zero_grad(set_to_none=True)
            if device == "cuda":
                torch.cuda.empty_cache()
            try:
                self._loss(batch.select(slice(size)))[0].backward()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                continue
            fits = max(1, self.settings.batch * size // len(batch.events))
            return f"{problem}: --batch {fits} would"
        return f"{problem}, and no smaller one does: take a smaller --size or --window"

    def _average(self) -> None:
        """Update the averaged weights, with a short memory at first (untrained weights)."""
        keep = min(self.settings.average, 1 - 1 / (self.step / 10 + 1))
        means, weights = self.averaged.parameters(), self.model.parameters()
        get_ema_multi_avg_fn(keep)(list(means), list(weights), None)

    def _score(self) -> float:
        """Score the averaged weights on the held-out data, and keep them if they are best."""
        held_out_score = self.workers.from_leader(
            lambda: score(self.averaged, self.held_out).joint
        )
        if not math.isfinite(held_out_score):
            reason = f"{self.held_out.name} holds numbers too large"
            score_text = f"at step {self.step} the held-out score is {held_out_score}"
            raise NotFiniteError(f"{score_text}: {reason}, or the learning rate is too high.")
        self.stale += 1
        if self.best_step <= self.upright < self.step:
            self.best_score = math.inf  # from before the orientation was learnt
        if held_out_score < self.best_score:
            self.best_score, self.best_step, self.stale = held_out_score, self.step, 0
            self.best = copy.deepcopy(self.averaged)
        return held_out_score

    def save(self, path: Path, **metadata: Any) -> None:
        """Write the best weights so far to path, completely or not at all.

        metadata is more of the file's description (robojam.model.file.ModelDescription):
        trained_on, score_on, licence. Raises ValueError before the first scoring.
        """
        if self.best is None:
            raise ValueError("nothing has been scored yet: there is no model to keep")
        s = self.settings
        metadata |= {"units": s.units, "layers": s.layers, "steps": self.best_step}
        made_with = f"robojam {__version__}, torch {torch.__version__}, {s}"
        description = ModelDescription(
            event=self.best.event, score=self.best_score, made_with=made_with, **metadata
        )
        save(self.best, path, description)


def find_not_finite(
    corpus: Corpus, event: EventSpec, parts: Tensor, scored: Tensor, group: Sequence[Chunk]
) -> str:
    """Return where in a batch the loss stopped being finite, and advice.

    parts (N, F) are the log densities of the factors of the events that scored (B, T) marks;
    group holds the batch's B windows.
    """
    broken = ~torch.isfinite(parts)
    first = int(broken.any(1).nonzero()[0])
    factor = event.factors[int(broken[first].nonzero()[0])].name
    row, column = scored.nonzero()[first].tolist()
    start = group[row].start
    # An earlier event of the window may be the cause.
    events = corpus.events[start : start + column + 1]
    not_finite = np.flatnonzero(~np.isfinite(events).all(1))
    index = int(not_finite[0]) if len(not_finite) else column
    advice = "Clean the corpus." if len(not_finite) else "Lower the learning rate."
    performance = int(np.searchsorted(np.cumsum(corpus.lengths), start + index, side="right"))
    return (
        f"factor {factor!r} of event {start + index} (performance {performance + 1} of "
        f"{corpus.name}), {events[index].tolist()}. {advice}"
    )


def schedule(step: int, fraction_done: float, warmup: int) -> float:
    """Return the share of the highest learning rate at a step: a ramp, then a cosine to 0."""
    ramp = min(1.0, (step + 1) / warmup)
    return ramp * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction_done)))
