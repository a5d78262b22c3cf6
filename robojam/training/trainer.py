"""Training: from corpora to a model file, from nothing or from another model.

Truncated backpropagation over windows of each performance, cut anew at every
pass; fresh dequantisation noise at every draw, and a random mirror image but for the
run's end, where the model learns which way is up; Adam with a cosine to zero; and
averaged weights (Polyak & Juditsky 1992), which are what is scored and kept. One pass
over the corpus costs one pass.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from robojam import __version__
from robojam.corpus.corpus import STROKE, TOUCH, Corpus
from robojam.evaluation.likelihood import score
from robojam.model import lattice
from robojam.model.event import EventSpec, stroke_event, touch_event
from robojam.model.file import ModelDescription
from robojam.model.mdrnn import EventModel, save
from robojam.training.batches import Batch, Chunk, WindowSampler, batches, cut
from robojam.training.distributed import Alone
from robojam.training.troubles import NotFiniteError, TooLargeError, cause, is_full


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How to train: sizes, and the schedule. A seed gives the same run again.

    dropout is the share of what the layers tell each other, and the heads, that is left out
    at each step; window and batch are in events; passes are over the corpus, and score_every
    so many of them the held-out data is scored; after patience scorings without a better one
    it is over (0: never), and after so many minutes (0: never), by which the rate has fallen
    to nothing as it does after all passes; rate is Adam's at its height; average is how
    much of the averaged weights stays at each step. mirror shows mirror images of the
    surface, but for the last share of the steps that is upright: what is kept then is the
    best of those.
    """

    units: int = 256
    layers: int = 2
    components: int = 16
    hidden: int = 192
    dropout: float = 0.1
    passes: float = 80.0
    window: int = 128
    batch: int = 1280
    rate: float = 3e-3
    warmup: int = 100
    average: float = 0.997
    clip: float = 1.0
    mirror: bool = True
    upright: float = 0.08
    lattices: bool = True
    score_every: int = 2
    patience: int = 10
    minutes: float = 0.0
    bfloat16: bool = True
    seed: int = 0
    device: str = "cpu"


#: The sizes of a model by name; m is that of the default model. What is small has nothing
#: to spare: nothing of it is dropped.
SIZES: dict[str, dict[str, Any]] = {
    "s": {"units": 64, "layers": 2, "components": 8, "hidden": 52, "dropout": 0.0},
    "m": {"units": 256, "layers": 2, "components": 16, "hidden": 192},
    "l": {"units": 512, "layers": 2, "components": 24, "hidden": 320},
}


#: From this share of its minutes on a run that is late hurries.
HASTE = 0.25


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


def event_of(corpus: Corpus, settings: TrainingSettings) -> EventSpec:
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


class Trainer:
    """One training run over one corpus; iterate for its progress, stop when you like.

    model is what learns, averaged its averaged weights, best those that scored best.
    Whenever it has yielded, all that it needs to go on is in its attributes
    (robojam.training.checkpoint): iterate again, or another day, and it goes on. together are the
    processes that train it, of which this is one.
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
        """Prepare a run over a clean corpus, from nothing or from the weights of start.

        event describes what the corpus holds, if that is not touches or strokes, or not as
        start has it. Raises ValueError when there is nothing in it.
        """
        for data in (corpus, held_out):
            if not (data.lengths >= 2).any():
                raise ValueError(f"{data.name} has no performance of two events or more")
        if held_out.columns != corpus.columns:
            raise ValueError(f"{corpus.name} and {held_out.name} are of different kinds")
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.settings, self.corpus, self.held_out = settings, corpus, held_out
        if start is not None and event is None:
            event = start.event
        self.model = EventModel(
            event or event_of(corpus, settings),
            units=settings.units,
            layers=settings.layers,
            dropout=settings.dropout,
        )
        if start is not None:
            self.model.load_state_dict(start.state_dict())
        self.started = start is not None
        self.together = Alone()
        self.model.to(settings.device)
        self.windows = WindowSampler(corpus, self.model.event)
        self.averaged = copy.deepcopy(self.model).eval()
        self.optimiser = torch.optim.Adam(
            self.model.parameters(),
            lr=settings.rate,
            betas=(0.9, 0.98),
            fused=settings.device in ("cpu", "cuda"),
        )
        rng = np.random.default_rng(settings.seed)
        lengths, window = corpus.lengths, settings.window
        per_pass = sum(1 for _ in batches(cut(lengths, window, rng), settings.batch, rng))
        self.steps = max(1, round(settings.passes * per_pass))
        self.upright = round(self.steps * (1 - settings.upright)) if settings.mirror else -1
        self.best: EventModel | None = None
        self.best_score, self.loss = math.inf, math.nan
        self.best_step = self.step = self.passes = self.stale = 0
        self.spent = 0.0  # seconds
        # Of the pass that is under way: how many batches are done, and the random numbers
        # from which it was cut.
        self.done = 0
        self.cut_with: dict[str, Any] = {}

    @property
    def share(self) -> float:
        """How much of the run is done, by its steps or by its time: 1 is all of it.

        Time counts from HASTE of it on: what needs less than it is given is the same run
        on every machine, however slowly it begins.
        """
        by_steps, limit = self.step / self.steps, 60 * self.settings.minutes
        if not limit:
            return by_steps
        return max(by_steps, (self.spent / limit - HASTE) / (1 - HASTE))

    @property
    def over(self) -> bool:
        """Whether there is nothing more to do, no time left, or nothing gets better."""
        patience = self.settings.patience
        return self.share >= 1 or 0 < patience <= self.stale

    def __iter__(self) -> Iterator[Progress]:
        """Train. Raises NotFiniteError, with the cause, when the loss is no number."""
        s = self.settings
        before, events, first = self.spent, 0, self.step
        began = time.monotonic() - before

        def told(found: float | None) -> Progress:
            self.spent = self.together.first(lambda: time.monotonic() - began)
            return self._progress(events, self.step - first, self.spent - before, found)

        if self.started and self.best is None:  # what it began with may be the best there is
            yield told(self._score())
        while not self.over:
            for group in self._pass()[self.done :]:
                for option in self.optimiser.param_groups:
                    option["lr"] = s.rate * schedule(self.step, self.share, s.warmup)
                if s.mirror and self.share >= 1 - s.upright:  # of a hurried run too
                    self.upright = min(self.upright, self.step)
                batch = self.draw(group)
                scored = int(batch.scored.sum())
                now = self._learn(batch, group, scored)
                self.loss = now if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * now
                self.step += 1
                self.done += 1
                self._average()
                events += scored
                progress = told(None)
                if self.share >= 1:
                    break
                yield progress
            self.done = 0
            self.passes += 1
            if self.passes % s.score_every and self.share < 1:
                continue
            yield told(self._score())

    def _pass(self) -> list[list[Chunk]]:
        """Cut a pass into batches; the same again, when it is under way."""
        rng = self.rng
        if self.done:
            rng = np.random.default_rng()
            rng.bit_generator.state = self.cut_with
        else:
            self.cut_with = copy.deepcopy(dict(rng.bit_generator.state))
        chunks = cut(self.corpus.lengths, self.settings.window, rng)
        return list(batches(chunks, self.settings.batch, rng))

    def _score(self) -> float:
        found = self.together.first(lambda: score(self.averaged, self.held_out).joint)
        if not math.isfinite(found):
            raise NotFiniteError(
                f"at step {self.step} the held-out score is {found}: {self.held_out.name} "
                "holds numbers too large, or the learning rate is too high."
            )
        self.stale += 1
        if self.best_step <= self.upright < self.step:
            self.best_score = math.inf  # what has not seen which way is up is not compared
        if found < self.best_score:
            self.best_score, self.best_step, self.stale = found, self.step, 0
            self.best = copy.deepcopy(self.averaged)
        return found

    def save(self, path: Path, **about: Any) -> None:
        """Write the best weights so far to path, whole or not at all.

        about is what else the file is to say (robojam.model.file.Description): trained_on,
        score_on, licence. Raises ValueError before the first scoring: there are none.
        """
        if self.best is None:
            raise ValueError("nothing has been scored yet: there is no model to keep")
        s = self.settings
        description = ModelDescription(
            event=self.best.event,
            units=s.units,
            layers=s.layers,
            steps=self.best_step,
            score=self.best_score,
            made_with=f"robojam {__version__}, torch {torch.__version__}, {s}",
            **about,
        )
        save(self.best, path, description)

    def _progress(self, events: int, steps: int, spent: float, found: float | None) -> Progress:
        """Tell of the run; events, steps and seconds are of this time that it goes on."""
        best = None if math.isinf(self.best_score) else self.best_score
        left = spent / max(steps, 1) * (self.steps - self.step)
        if self.settings.minutes:
            left = max(0.0, min(left, 60 * self.settings.minutes - self.spent))
        rate = events / max(spent, 1e-9)
        return Progress(self.step, self.steps, self.loss, rate, left, found, best)

    def draw(self, group: list[Chunk]) -> Batch:
        """Make a batch, with fresh noise."""
        s = self.settings
        mirror = self.step < self.upright
        return self.windows.draw(group, self.rng, mirror=mirror, device=s.device)

    def _listen(self, batch: Batch) -> tuple[Tensor, ...]:
        device = batch.heard.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.bfloat16):
            state = self.model.initial(len(batch.heard))
            seen, last, now, before, _ = self.model.listen(batch.heard, state)
            return self.model.trunk(seen), last, now, before

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and its factors' log densities."""
        trunk, last, now, before = self._listen(batch)
        scored = batch.scored
        # The heads in full precision, and only where something is scored: a density
        # is a matter of small differences, and padding costs nothing.
        parts = self.model.predict(
            trunk.float()[scored],
            batch.heard[scored],
            last[scored],
            now[scored],
            before[scored],
            batch.cell[scored],
        )
        return -parts.sum(-1).mean(), parts

    def _learn(self, batch: Batch, group: list[Chunk], scored: int) -> float:
        """Make a step on a batch, of which so many events are scored; return its loss."""
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        rows = self.together.rows(len(group))
        part = batch.part(rows)
        with self.together.agreed():
            loss = self._fitted(part, lambda: self._backward(part, group[rows], scored))
        return self._fitted(part, lambda: self._stepped(loss))

    def _fitted(self, batch: Batch, do: Callable[[], float]) -> float:
        try:
            return do()
        except (MemoryError, RuntimeError) as error:
            if not is_full(error):
                raise
        # Not while the error is held, which holds what filled the memory.
        raise TooLargeError(self._fitting(batch))

    def _backward(self, batch: Batch, group: list[Chunk], scored: int) -> float:
        """Find the gradient; return what this part of a batch adds to the loss of all."""
        if not group:  # fewer rows than processes
            self._listen(batch)  # for what it draws
            return 0.0
        loss, parts = self._loss(batch)
        value, share = float(loss.detach()), len(parts) / scored
        if not math.isfinite(value):
            why = cause(self.corpus, self.model.event, parts, batch.scored, group)
            raise NotFiniteError(f"at step {self.step} the loss is not finite: {why}")
        (loss * share).backward()
        return value * share

    def _stepped(self, mine: float) -> float:
        loss = self.together.summed(self.model.parameters(), mine)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        if not math.isfinite(float(norm)):
            raise NotFiniteError(
                f"at step {self.step} the gradient is not finite though the loss is "
                f"{loss:.3f}: lower the learning rate, "
                f"which is {self.optimiser.param_groups[0]['lr']:g} here."
            )
        self.optimiser.step()
        return loss

    def _fitting(self, batch: Batch) -> str:
        """Find by trial the batch that fits, and name it."""
        size, device = len(batch.heard), self.settings.device
        told = (
            f"a batch of {self.settings.batch} events does not fit into the memory of {device}"
        )
        while size > 1:
            size //= 2
            self.optimiser.zero_grad(set_to_none=True)
            if device == "cuda":
                torch.cuda.empty_cache()
            try:
                self._loss(batch.part(slice(size)))[0].backward()
            except (MemoryError, RuntimeError) as error:
                if not is_full(error):
                    raise
                continue
            fits = max(1, self.settings.batch * size // len(batch.heard))
            return f"{told}: --batch {fits} would"
        return f"{told}, and no smaller one does: take a smaller --size or --window"

    def _average(self) -> None:
        # A short memory at first, so that the untrained weights are soon forgotten.
        keep = min(self.settings.average, 1 - 1 / (self.step / 10 + 1))
        means, weights = self.averaged.parameters(), self.model.parameters()
        get_ema_multi_avg_fn(keep)(list(means), list(weights), None)


def schedule(step: int, share: float, warmup: int) -> float:
    """Share of the rate at a step, so far into the run: a rise, then a cosine to zero."""
    rise = min(1.0, (step + 1) / warmup)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
