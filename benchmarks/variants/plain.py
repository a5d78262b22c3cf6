"""Reference lines: what is to be beaten, each by a recipe that its docstring tells.

They are scored as docs/measure.md lays down. Models without a phase have a density of
x, y and dt alone (`xydt`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robojam.corpus.corpus import Corpus, dequantise
from robojam.mixture import Covariance, MixtureLayer
from robojam.model.event import touch_event
from robojam.model.features import MAX_SPEED, MIN_DURATION, TINY
from robojam.training.batches import WindowSampler, cut_windows, group_batches
from robojam.training.trainer import TrainingSettings, schedule

Floats = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Nats per touch of a reference: joint and parts where it knows a phase, and xydt."""

    xydt: float
    joint: float | None = None
    parts: dict[str, float] | None = None
    parameters: int
    steps: int = 0
    touches: int = 0


#: A corpus to learn from, one to be scored on, both clean, and how to train.
Reference = Callable[[Corpus, Corpus, TrainingSettings], Found]


def last_touch(corpus: Corpus, held_out: Corpus, _settings: TrainingSettings) -> Found:
    """the last touch again, with fitted spread

    The phase by the shares of what followed the last phase; the logarithm of dt about that
    of the last dt, and the place about the last place, each, for a landing and for a move,
    with four normals of one mean and of deviations and shares that EM fits to the training
    file. Nothing is left to chance: all seeds give the same.
    """
    return _by_rule(corpus, held_out, moves=False)


def constant_velocity(corpus: Corpus, held_out: Corpus, _settings: TrainingSettings) -> Found:
    """the last velocity goes on, with fitted spread

    As `last_touch`, but that a move's place is spread about the last place and the last
    velocity times the new dt. Of what just landed the velocity is 0.
    """
    return _by_rule(corpus, held_out, moves=True)


def _by_rule(corpus: Corpus, held_out: Corpus, *, moves: bool) -> Found:
    learnt = [_residuals(events, moves=moves) for events in _performances(corpus)]
    was, moving, *residuals = (np.concatenate(column) for column in zip(*learnt, strict=True))
    chance = np.array([moving[was == phase].mean() for phase in (False, True)])
    fitted = [
        [_fit(residual[moving == phase]) for phase in (False, True)] for residual in residuals
    ]
    sums, whole, count = np.zeros(3), 0.0, 0
    for events in _performances(held_out):
        under = []  # of each phase: its terms
        for phase in (False, True):
            was, moving, *found = _residuals(events, moves=moves, phase=phase)
            share = np.log(chance[was.astype(int)] if phase else 1 - chance[was.astype(int)])
            dt, place = (_density(f, *fit[phase]) for f, fit in zip(found, fitted, strict=True))
            under.append(np.stack([share, dt - np.log(np.maximum(events[1:, 2], TINY)), place]))
        sums += np.where(moving, under[1], under[0]).sum(1)
        whole += float(np.logaddexp(under[0].sum(0), under[1].sum(0)).sum())
        count += len(moving)
    parts = dict(zip(("phase", "dt", "xy"), (-sums / count).tolist(), strict=True))
    return Found(
        joint=sum(parts.values()), xydt=-whole / count, parts=parts, parameters=2 + 4 * 7
    )


def _performances(corpus: Corpus) -> Iterator[Floats]:
    return (dequantise(corpus, start, end) for start, end in pairwise(corpus.offsets))


def _residuals(
    events: Floats, *, moves: bool, phase: bool | None = None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of all events but the first: last phase, phase, and how far dt and place are off.

    With a phase, as if that were every event's own.
    """
    place, moving = events[:, :2], events[:, 3] > 0.5
    dt = np.log(np.maximum(events[:, 2], TINY))
    expected = place[:-1].copy()
    if moves:
        slid = np.diff(place, axis=0, prepend=place[:1]) * moving[:, None]
        speed = slid / np.maximum(events[:, 2:3], MIN_DURATION)
        limit = MAX_SPEED * touch_event().speed
        goes_on = moving[1:] if phase is None else np.full(len(place) - 1, phase)
        push = speed[:-1].clip(-limit, limit) * events[1:, 2:3]
        expected += push * goes_on[:, None]
    return moving[:-1], moving[1:], np.diff(dt)[:, None], place[1:] - expected


def _fit(residuals: Floats, components: int = 4) -> tuple[Floats, Floats]:
    """Fit normals of mean 0 by EM: their shares, and their deviations in all directions."""
    dims, squares = residuals.shape[1], (residuals**2).sum(1)
    deviation = np.sqrt(np.quantile(squares, (np.arange(components) + 0.5) / components) / dims)
    share = np.full(components, 1 / components)
    for _ in range(200):
        each = _each(squares, dims, share, deviation)
        owned = np.exp(each - np.logaddexp.reduce(each, 1)[:, None])
        share = owned.mean(0)
        deviation = np.sqrt((owned * squares[:, None]).sum(0) / owned.sum(0) / dims)
    return share, deviation


def _each(squares: Floats, dims: int, share: Floats, deviation: Floats) -> Floats:
    volume = np.log(share) - dims * np.log(deviation * math.sqrt(2 * math.pi))
    found: Floats = volume - squares[:, None] / (2 * deviation**2)
    return found


def _density(residuals: Floats, share: Floats, deviation: Floats) -> Floats:
    each = _each((residuals**2).sum(1), residuals.shape[1], share, deviation)
    found: Floats = np.logaddexp.reduce(each, 1)
    return found


def impsy(corpus: Corpus, held_out: Corpus, settings: TrainingSettings) -> Found:
    """IMPSY's and keras-mdn-layer's head, five diagonal normals over x, y, dt; 2 × 128

    Without a phase. x, y and dt times 10, as IMPSY scales them, go into two LSTMs of 128
    (IMPSY's size m) and a linear layer yields the mixture of what follows. Trained as robojam
    trains: its windows, mirror images, noise, batches, Adam and schedule; without averaged
    weights.
    """
    net = _Net(settings.seed, 128, 2, [((0, 1, 2), 5, "diagonal")], scale=10.0)
    return _trained(net, corpus, held_out, settings)


def robojam_2018(corpus: Corpus, held_out: Corpus, settings: TrainingSettings) -> Found:
    """RoboJam's head (2018): 16 correlated normals over x, y, and 16 over dt; 3 × 512

    Without a phase. x, y and dt times 10 go into three LSTMs of 512, and linear layers
    yield two mixtures that know nothing of one another (Martin & Torresen 2018). Trained as
    `impsy`.
    """
    net = _Net(settings.seed, 512, 3, _ROBOJAM, scale=10.0)
    return _trained(net, corpus, held_out, settings)


def robojam_head(corpus: Corpus, held_out: Corpus, settings: TrainingSettings) -> Found:
    """RoboJam's head as small as IMPSY's network: 2 × 128

    As `robojam_2018`; what differs from `impsy` is the head.
    """
    net = _Net(settings.seed, 128, 2, _ROBOJAM, scale=10.0)
    return _trained(net, corpus, held_out, settings)


#: Columns, how many components, and what their covariance is like.
Head = tuple[tuple[int, ...], int, Covariance]
_ROBOJAM: list[Head] = [((0, 1), 16, "correlated"), ((2,), 16, "diagonal")]


class _Net(nn.Module):
    """LSTMs that hear x, y, dt times a scale, and mixtures of some columns each."""

    def __init__(
        self, seed: int, units: int, layers: int, heads: list[Head], *, scale: float
    ) -> None:
        torch.manual_seed(seed)
        super().__init__()
        self.scale = scale
        self.rnn = nn.LSTM(3, units, layers, batch_first=True)
        self.columns = [list(columns) for columns, _, _ in heads]
        self.heads = nn.ModuleList(
            MixtureLayer(units, len(columns), k, covariance=covariance)
            for columns, k, covariance in heads
        )

    def forward(self, heard: Tensor, scored: Tensor) -> Tensor:
        """Log density of events (B, T, ≥ 3) but the first, where scored (B, T - 1)."""
        values = heard[..., :3] * self.scale
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            told, _ = self.rnn(values[:, :-1])
        told, values = told.float()[scored], values[:, 1:][scored]
        density = told.new_full((len(told),), 3 * math.log(self.scale))
        for columns, head in zip(self.columns, self.heads, strict=True):
            density = density + head(told).log_prob(values[:, columns])
        return density


def _trained(net: _Net, corpus: Corpus, held_out: Corpus, settings: TrainingSettings) -> Found:
    s, rng = settings, np.random.default_rng(settings.seed)
    windows = WindowSampler(corpus, touch_event())
    per_pass = sum(
        1 for _ in group_batches(cut_windows(corpus.lengths, s.window, rng), s.batch, rng)
    )
    steps = max(1, round(s.passes * per_pass))
    optimiser = torch.optim.Adam(net.parameters(), betas=(0.9, 0.98))
    step = touches = 0
    while step < steps:
        for group in group_batches(cut_windows(corpus.lengths, s.window, rng), s.batch, rng):
            optimiser.param_groups[0]["lr"] = s.rate * schedule(step, step / steps, s.warmup)
            batch = windows.draw(group, rng, mirror=s.mirror, device="cpu")
            density = net(batch.events, batch.scored[:, 1:])
            optimiser.zero_grad(set_to_none=True)
            (-density.mean()).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), s.clip)
            optimiser.step()
            step, touches = step + 1, touches + len(density)
            if step >= steps:
                break
    net.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for events in _performances(held_out):
            heard = torch.from_numpy(events).float()[None]
            density = net(heard, torch.ones(1, len(events) - 1, dtype=torch.bool))
            total, count = total + float(density.double().sum()), count + len(events) - 1
    return Found(
        xydt=-total / count,
        parameters=sum(p.numel() for p in net.parameters()),
        steps=steps,
        touches=touches,
    )
