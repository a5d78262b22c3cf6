"""Reference models to compare with: two rules without a network, and the heads of others.

They are scored as docs/measure.md defines. Models without a phase have only a density of
x, y and dt (`xydt`).
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
from robojam.model.features import LOG_EPSILON, MAX_SPEED, MIN_DURATION
from robojam.training.batches import WindowSampler, cut_windows, group_batches
from robojam.training.trainer import TrainingSettings, has_bfloat16, schedule

Floats = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class ReferenceScore:
    """Nats per touch of a reference model; joint and parts only if it has phases."""

    xydt: float
    joint: float | None = None
    parts: dict[str, float] | None = None
    parameters: int
    steps: int = 0
    touches: int = 0


#: Function that trains on a clean corpus, with settings, and scores on a second one.
Reference = Callable[[Corpus, Corpus, TrainingSettings], ReferenceScore]


def last_touch(corpus: Corpus, held_out: Corpus, _settings: TrainingSettings) -> ReferenceScore:
    """The last touch again, with fitted deviations.

    The phase has the frequencies with which phases follow the last phase. The logarithm of dt
    is centred on that of the last dt, and the place on the last place; for landings and for
    moves each has four normals with one mean, whose deviations and weights EM fits to the
    training data. The result does not depend on a seed.
    """
    return _by_rule(corpus, held_out, moves=False)


def constant_velocity(
    corpus: Corpus, held_out: Corpus, _settings: TrainingSettings
) -> ReferenceScore:
    """The last velocity continues, with fitted deviations.

    As `last_touch`, but the place of a move is centred on the last place plus the last
    velocity times the new dt. After a landing the velocity is 0.
    """
    return _by_rule(corpus, held_out, moves=True)


def _by_rule(corpus: Corpus, held_out: Corpus, *, moves: bool) -> ReferenceScore:
    training = [_residuals(events, moves=moves) for events in _performances(corpus)]
    last, moving, *residuals = (
        np.concatenate(column) for column in zip(*training, strict=True)
    )
    probability = np.array([moving[last == phase].mean() for phase in (False, True)])
    fitted = [
        [_fit(residual[moving == phase]) for phase in (False, True)] for residual in residuals
    ]
    sums, xydt, count = np.zeros(3), 0.0, 0
    for events in _performances(held_out):
        terms = []  # of each phase
        for phase in (False, True):
            last, moving, *residuals = _residuals(events, moves=moves, phase=phase)
            moves_next = probability[last.astype(int)]
            log_phase = np.log(moves_next if phase else 1 - moves_next)
            dt, place = (
                _density(r, *fit[phase]) for r, fit in zip(residuals, fitted, strict=True)
            )
            terms.append(
                np.stack(
                    [log_phase, dt - np.log(np.maximum(events[1:, 2], LOG_EPSILON)), place]
                )
            )
        sums += np.where(moving, terms[1], terms[0]).sum(1)
        xydt += float(np.logaddexp(terms[0].sum(0), terms[1].sum(0)).sum())
        count += len(moving)
    parts = dict(zip(("phase", "dt", "xy"), (-sums / count).tolist(), strict=True))
    return ReferenceScore(
        joint=sum(parts.values()), xydt=-xydt / count, parts=parts, parameters=2 + 4 * 7
    )


def _performances(corpus: Corpus) -> Iterator[Floats]:
    return (dequantise(corpus, start, end) for start, end in pairwise(corpus.offsets))


def _residuals(
    events: Floats, *, moves: bool, phase: bool | None = None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return last phase, phase, and the residuals of log dt and place, without the first event.

    If a phase is given, the residuals are computed as if every event had that phase.
    """
    place, moving = events[:, :2], events[:, 3] > 0.5
    dt = np.log(np.maximum(events[:, 2], LOG_EPSILON))
    expected = place[:-1].copy()
    if moves:
        step = np.diff(place, axis=0, prepend=place[:1]) * moving[:, None]
        speed = step / np.maximum(events[:, 2:3], MIN_DURATION)
        limit = MAX_SPEED * touch_event().speed
        is_move = moving[1:] if phase is None else np.full(len(place) - 1, phase)
        offset = speed[:-1].clip(-limit, limit) * events[1:, 2:3]
        expected += offset * is_move[:, None]
    return moving[:-1], moving[1:], np.diff(dt)[:, None], place[1:] - expected


def _fit(residuals: Floats, components: int = 4) -> tuple[Floats, Floats]:
    """Fit normals with mean 0 by EM; return their weights and their isotropic deviations."""
    dims, squares = residuals.shape[1], (residuals**2).sum(1)
    deviation = np.sqrt(np.quantile(squares, (np.arange(components) + 0.5) / components) / dims)
    weight = np.full(components, 1 / components)
    for _ in range(200):
        log_density = _log_components(squares, dims, weight, deviation)
        owned = np.exp(log_density - np.logaddexp.reduce(log_density, 1)[:, None])
        weight = owned.mean(0)
        deviation = np.sqrt((owned * squares[:, None]).sum(0) / owned.sum(0) / dims)
    return weight, deviation


def _log_components(squares: Floats, dims: int, weight: Floats, deviation: Floats) -> Floats:
    volume = np.log(weight) - dims * np.log(deviation * math.sqrt(2 * math.pi))
    log_density: Floats = volume - squares[:, None] / (2 * deviation**2)
    return log_density


def _density(residuals: Floats, weight: Floats, deviation: Floats) -> Floats:
    squares = (residuals**2).sum(1)
    components = _log_components(squares, residuals.shape[1], weight, deviation)
    log_density: Floats = np.logaddexp.reduce(components, 1)
    return log_density


def impsy(corpus: Corpus, held_out: Corpus, settings: TrainingSettings) -> ReferenceScore:
    """Head of IMPSY and keras-mdn-layer: five diagonal normals over x, y, dt; 2 × 128.

    It has no phase. x, y and dt times 10, as IMPSY scales them, are the input of two LSTMs of
    128 units (IMPSY's size m), and a linear layer gives the mixture of the next touch. Trained
    as robojam trains: the same windows, mirrored performances, noise, batches, Adam and
    schedule, but without averaged weights.
    """
    net = _Net(settings.seed, 128, 2, [((0, 1, 2), 5, "diagonal")], scale=10.0)
    return _trained(net, corpus, held_out, settings)


def robojam_2018(
    corpus: Corpus, held_out: Corpus, settings: TrainingSettings
) -> ReferenceScore:
    """Head of RoboJam (2018): 16 correlated normals over x, y, and 16 over dt; 3 × 512.

    It has no phase. x, y and dt times 10 are the input of three LSTMs of 512 units, and linear
    layers give two independent mixtures (Martin & Torresen 2018). Trained as `impsy`.
    """
    net = _Net(settings.seed, 512, 3, _ROBOJAM, scale=10.0)
    return _trained(net, corpus, held_out, settings)


def robojam_head(
    corpus: Corpus, held_out: Corpus, settings: TrainingSettings
) -> ReferenceScore:
    """Head of RoboJam (2018) on a network of the size of IMPSY's, 2 × 128.

    As `robojam_2018`; only the head differs from `impsy`.
    """
    net = _Net(settings.seed, 128, 2, _ROBOJAM, scale=10.0)
    return _trained(net, corpus, held_out, settings)


#: Columns, number of components, and kind of covariance of a mixture.
Head = tuple[tuple[int, ...], int, Covariance]
_ROBOJAM: list[Head] = [((0, 1), 16, "correlated"), ((2,), 16, "diagonal")]


class _Net(nn.Module):
    """LSTMs with x, y, dt times a scale as input, and mixtures of some columns each."""

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
        """Return the log density of events [B, T, ≥ 3] from the second on, where scored."""
        values = heard[..., :3] * self.scale
        with torch.autocast(
            "cpu", torch.bfloat16, enabled=self.training and has_bfloat16("cpu")
        ):
            states, _ = self.rnn(values[:, :-1])
        states, values = states.float()[scored], values[:, 1:][scored]
        density = states.new_full((len(states),), 3 * math.log(self.scale))
        for columns, head in zip(self.columns, self.heads, strict=True):
            density = density + head(states).log_prob(values[:, columns])
        return density


def _trained(
    net: _Net, corpus: Corpus, held_out: Corpus, settings: TrainingSettings
) -> ReferenceScore:
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
    return ReferenceScore(
        xydt=-total / count,
        parameters=sum(p.numel() for p in net.parameters()),
        steps=steps,
        touches=touches,
    )
