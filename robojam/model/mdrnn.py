"""MDN-RNN over a described event: the density of sequences, saving and loading.

Stacked LSTMs read the events (Graves 2013). Each factor of an event has a head that is given
the hidden states, the last event's features and the earlier factors of the same event, and
outputs a Bernoulli or a mixture density. So the joint density of an event is exact: the
product of its factors (the chain rule).

B is the number of sequences, T of events, C of an event's columns, P of a position's
dimensions, F of features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from robojam.mixture import Mixture
from robojam.model import features
from robojam.model.event import EventSpec, Factor
from robojam.model.file import ModelDescription, ModelFile, read, write
from robojam.model.summary import summarise_sequences

#: Bits of a random number for one unit; four of them are drawn at once.
_BITS = 16


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014): while training, a share of the input becomes zero.

    torch.nn.Dropout draws a number of 64 bits for each unit, a seventh of a training step on a
    CPU, and other numbers in each process. Where several processes train on one batch, batch is
    its number of rows, and rows are those of this process: the mask is drawn for the whole
    batch, as one process would. The share is exact to 1 / 65536.
    """

    def __init__(self, share: float) -> None:
        """Drop a share in [0, 1). Raises ValueError for another."""
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"a share that is left out is from 0 to below 1, not {share}")
        self.share = share
        self.batch: int | None = None
        self.rows = slice(None)

    def forward(self, values: Tensor) -> Tensor:
        """Return values (B, T, U) with a share of them dropped."""
        if not self.training or not self.share:
            return values
        mask = self._mask((self.batch or len(values), *values.shape[1:]), values.device)
        # Fewer rows come where a batch that did not fit is tried in parts.
        rows_mask = mask[self.rows][: len(values)]
        return values * rows_mask.to(values.dtype).mul_(1 / (1 - self.share))

    def _mask(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        if device.type != "cpu":
            return torch.rand(shape, device=device) >= self.share
        # A CPU draws its random numbers one by one: draw few, and use many bits of each.
        size = torch.Size(shape).numel()
        words = torch.empty(-(-size * _BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        least = round(self.share * 2**_BITS) - 2 ** (_BITS - 1)
        mask: Tensor = words.view(torch.int16)[:size] >= least
        return mask.view(shape)


@dataclass(frozen=True, slots=True)
class ModelState:
    """State of a model after some events, for a batch of B sequences.

    hidden and cell (layers, B, units); position (B, P), that of the last event (NaN before
    the first one); velocity and previous_velocity (B, P), the last two; features
    (B, S + F), the summary of all events and the features of the last one.
    """

    hidden: Tensor
    cell: Tensor
    position: Tensor
    velocity: Tensor
    previous_velocity: Tensor
    features: Tensor


class EventModel(nn.Module):
    """A recurrent mixture density network over sequences of one kind of event."""

    def __init__(
        self, event: EventSpec, *, units: int = 256, layers: int = 2, dropout: float = 0.0
    ):
        super().__init__()
        self.event, self.units, self.layers = event, units, layers
        count, summary = features.feature_count(event), features.summary_count(event)
        self._dims = event.position.dims if event.position else 0
        self.rnn = nn.ModuleList(
            nn.LSTM(units if layer else count, units, batch_first=True)
            for layer in range(layers)
        )
        self.dropout = Dropout(dropout)
        self.start = nn.Parameter(torch.zeros(2, layers, units))
        self.trunk = nn.Linear(
            layers * units + summary + count, sum(f.hidden for f in event.factors)
        )
        self.context = nn.ModuleList()
        self.head = nn.ModuleList()
        known = 0
        for factor in event.factors:
            self.context.append(
                nn.Linear(known, factor.hidden, bias=False) if known else nn.Identity()
            )
            self.head.append(nn.Linear(factor.hidden, features.output_count(event, factor)))
            known += factor.dims
        # Forget gates begin open, motion continues, and the components' means lie apart.
        with torch.no_grad():
            self.trunk.weight[:, layers * units :][:, :summary] = 0  # what is near comes first
            for rnn in self.rnn:
                rnn.get_parameter("bias_ih_l0")[self.units : 2 * self.units] = 1.0
                rnn.get_parameter("bias_hh_l0").zero_()
            for factor, head in zip(self.event.factors, self.head, strict=True):
                if factor.kind == "flag":
                    continue
                k, d = factor.components, factor.dims
                bias = head.get_parameter("bias").zero_()
                head.get_parameter("weight").mul_(0.5)
                bias[k : k * (1 + d)] = torch.randn(k * d)
                shares = features.motion_terms(self.event, factor)
                if shares:
                    bias[-k * shares :] = torch.eye(shares)[0].mul(0.8).repeat(k)
                if factor.follows:
                    _start_at_rest(factor, bias, head.get_parameter("weight"))

    def initial(self, batch: int) -> ModelState:
        """Return the state before the first event, for a batch."""
        hidden = self.start[:, :, None].expand(2, self.layers, batch, self.units)
        nowhere = self.start.new_full((batch, self._dims), torch.nan)
        zero = torch.zeros_like(nowhere)
        known = features.summary_count(self.event) + features.feature_count(self.event)
        no_features = self.start.new_zeros((batch, known))
        return ModelState(hidden[0], hidden[1], nowhere, zero, zero, no_features)

    def listen(
        self, values: Tensor, state: ModelState
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, ModelState]:
        """Read events (B, T, C): return the context *before* each, and the state after all.

        Returns the trunk's input (B, T, layers * units + S + F); the last position and the last
        two velocities (B, T, P) from which each event is predicted; and the state.
        """
        batch, length, _ = values.shape
        position = self.event.position
        if position is not None:
            positions = features.pick(values, position.columns)
            last = torch.cat([state.position[:, None], positions[:, :-1]], 1)
            slid = features.slide(position, values, torch.where(last.isnan(), positions, last))
            now = features.velocity(self.event, values, slid)
            before = torch.cat([state.velocity[:, None], now[:, :-1]], 1)
        else:
            positions = last = slid = now = before = values.new_zeros((batch, length, 0))
        x = event_features = features.features(torch, self.event, values, slid, now, before)
        if self.event.summarises:
            summary = state.features[:, : features.summary_count(self.event)]
            motion = features.Motion(last, slid, now, before)
            summaries = summarise_sequences(self.event, values, motion, summary)
            event_features = torch.cat([summaries, event_features], -1)
        context: list[Tensor] = []
        hidden, cell = [], []
        for layer, rnn in enumerate(self.rnn):
            h0, c0 = state.hidden[layer : layer + 1], state.cell[layer : layer + 1]
            y, (h, c) = rnn(self.dropout(x) if layer else x, (h0.contiguous(), c0.contiguous()))
            context.append(torch.cat([h0.transpose(0, 1), y[:, :-1]], 1))
            x = y
            hidden.append(h)
            cell.append(c)
        context.append(torch.cat([state.features[:, None], event_features[:, :-1]], 1))
        last_event = (part[:, -1] for part in (positions, now, before, event_features))
        after = ModelState(torch.cat(hidden), torch.cat(cell), *last_event)
        earlier = torch.cat([state.previous_velocity[:, None], before[:, :-1]], 1)
        return self.dropout(torch.cat(context, -1)), last, before, earlier, after

    def predict(
        self,
        trunk: Tensor,
        values: Tensor,
        last: Tensor,
        now: Tensor,
        before: Tensor,
        cell: Tensor,
    ) -> Tensor:
        """Return the log density in nats of each factor of events (…, C).

        trunk (…, hidden) is the trunk's output, last, now and before (…, P) the last position
        and velocities. cell (…) is the width of the cell around each event's position.
        Returns (…, factors), in the order of the description. The density of a dequantised
        value, or of a position, is the mean over the noise's interval, or the cell.
        """
        known: list[Tensor] = []
        parts: list[Tensor] = []
        at = 0
        for i, factor in enumerate(self.event.factors):
            inner = trunk[..., at : at + factor.hidden]
            at += factor.hidden
            if known:
                inner = inner + self.context[i](torch.cat(known, -1))
            out = self.head[i](torch.tanh(inner))
            unit = features.normalise(torch, factor, values)
            known.append(unit)
            if factor.kind == "flag":
                sign = 2 * unit[..., 0] - 1
                parts.append(functional.logsigmoid(sign * out[..., 0]))
                continue
            earlier = values, now, before
            components = features.components(torch, self.event, factor, out, *earlier)
            lower = None if factor.diagonal else components.lower
            mixture = Mixture(*components[:3], lower, validate_args=False)
            if factor.kind == "duration":
                parts.append(self._density_in_seconds(factor, mixture, values, unit))
            else:
                parts.append(self._density(factor, mixture, values, unit, last, cell))
        return torch.stack(parts, -1)

    @staticmethod
    def _density(
        factor: Factor,
        mixture: Mixture,
        values: Tensor,
        unit: Tensor,
        last: Tensor,
        cell: Tensor,
    ) -> Tensor:
        """Return the log density (…) of places or offsets; unit (…, D) is their normalised."""
        if factor.slides is None:
            return mixture.log_prob(unit) - factor.dims * math.log(factor.scale)
        # The first event does not slide.
        slides = ~last[..., :1].isnan()
        if not factor.follows:
            slides &= values[..., factor.slides, None] > 0.5
        slid = (features.pick(values, factor.columns) - last) / factor.step
        scale = torch.where(slides, unit.new_tensor(factor.step), unit.new_tensor(factor.scale))
        target = torch.where(slides, slid, unit)
        if not factor.noise:
            return mixture.log_prob(target) - factor.dims * scale[..., 0].log()
        chance = mixture.interval_log_prob(target, cell[..., None] / scale)
        return chance - factor.dims * cell.log()

    @staticmethod
    def _density_in_seconds(
        factor: Factor, mixture: Mixture, values: Tensor, unit: Tensor
    ) -> Tensor:
        """Return the log density (…) of durations, given the mixture over their logarithms."""
        seconds, half = features.pick(values, factor.columns), factor.noise / 2
        if not factor.noise:
            log_seconds = seconds[..., 0].clamp_min(features.LOG_EPSILON).log()
            density: Tensor = mixture.log_prob(unit) - math.log(factor.scale) - log_seconds
            return density
        # The interval is as wide as the noise, unless it would begin below zero.
        low = (seconds - half).clamp_min(features.LOG_EPSILON)
        gap = (seconds + half - features.LOG_EPSILON).clamp(features.LOG_EPSILON, factor.noise)
        width = torch.log1p(gap / low)
        middle = low.log() + width / 2
        unit_middle = (middle - factor.centre) / factor.scale
        chance = mixture.interval_log_prob(unit_middle, width / factor.scale)
        return chance - math.log(factor.noise)

    def forward(
        self, values: Tensor, state: ModelState | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, ModelState]:
        """Return the log density in nats of each factor of events (B, T, C).

        cell (B,) is the width of the cells around positions, where that is not the noise's
        (robojam.model.lattice). Returns (B, T, factors), each given all earlier events, and
        the state after the last.
        """
        trunk, conditions, after = self._read(values, state, cell)
        return self.predict(trunk, values, *conditions), after

    def _read(
        self, values: Tensor, state: ModelState | None, cell: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...], ModelState]:
        """Return what `predict` is given beside the events, the trunk's output apart."""
        seen, *motion, after = self.listen(values, state or self.initial(len(values)))
        if cell is None:
            position = self.event.position
            cell = values.new_full(values.shape[:1], position.noise if position else 0.0)
        return self.trunk(seen), (*motion, cell[:, None].expand(values.shape[:2])), after

    def flagless(
        self, values: Tensor, state: ModelState | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor, ModelState]:
        """Return what `forward` does, and the events' log density with their flags summed out.

        In order: the factors' log densities, the events' (B, T), and the state.
        """
        trunk, conditions, after = self._read(values, state, cell)
        terms: list[Tensor] = []
        for flags in product((0.0, 1.0), repeat=len(self.event.flags)):
            guess = values.clone()
            for column, flag in zip(self.event.flags, flags, strict=True):
                guess[..., column] = flag
            terms.append(self.predict(trunk, guess, *conditions).sum(-1))
        parts = self.predict(trunk, values, *conditions)
        return parts, torch.logsumexp(torch.stack(terms), 0), after


def _start_at_rest(factor: Factor, bias: Tensor, weight: Tensor) -> None:
    """Set a head's last layer so that each component moves one column, and the others rest."""
    k, d = factor.components, factor.dims
    rest = torch.arange(k)[:, None] % d != torch.arange(d)
    for part, resting in ((0, 0.0), (1, math.log((factor.noise or 1e-3) / factor.step))):
        rows = slice(k * (1 + part * d), k * (1 + (1 + part) * d))  # of means, of scales
        bias[rows].view(k, d).masked_fill_(rest, resting)
        weight[rows].view(k, d, -1).masked_fill_(rest[..., None], 0.0)


def save(model: EventModel, path: str | Path, description: ModelDescription) -> None:
    """Write a model's weights and its description to a file, completely or not at all."""
    weights = {n: t.detach().cpu().numpy() for n, t in model.state_dict().items()}
    write(path, description, weights)


def load(path: str | Path) -> tuple[EventModel, ModelDescription]:
    """Return the model in a file, and its description. Raises ModelFileError."""
    file = read(path)
    return from_file(file), file.description


def from_file(file: ModelFile) -> EventModel:
    """Return the model of a file's content."""
    about = file.description
    model = EventModel(about.event, units=about.units, layers=about.layers)
    model.load_state_dict({n: torch.from_numpy(a) for n, a in file.weights.items()})
    return model.eval()
