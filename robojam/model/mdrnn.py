"""The MDN-RNN over a described event: density of sequences, saving and loading.

Stacked LSTMs listen (Graves 2013); each factor of the event has a head that is
given the hidden state, the last event's features and the factors before it in the
description's order, and yields a Bernoulli or a mixture density. The joint density
of an event is therefore exact, the product of its factors (the chain rule).
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
from robojam.model.dropout import Dropout
from robojam.model.event import EventSpec, Factor
from robojam.model.file import ModelDescription, read, write


@dataclass(frozen=True, slots=True)
class State:
    """All that a model remembers of what it heard, for a batch of B sequences.

    hidden and cell (layers, B, units); last, now, before (B, P): the last place
    (NaN when nothing was heard) and the last two velocities; heard (B, F): the last
    event's features.
    """

    hidden: Tensor
    cell: Tensor
    last: Tensor
    now: Tensor
    before: Tensor
    heard: Tensor


class EventModel(nn.Module):
    """A recurrent mixture density network over sequences of one kind of event."""

    def __init__(
        self, event: EventSpec, *, units: int = 256, layers: int = 2, dropout: float = 0.0
    ):
        super().__init__()
        self.event, self.units, self.layers = event, units, layers
        count = features.feature_count(event)
        self.places = event.position.dims if event.position else 0
        self.rnn = nn.ModuleList(
            nn.LSTM(units if layer else count, units, batch_first=True)
            for layer in range(layers)
        )
        self.dropout = Dropout(dropout)
        self.start = nn.Parameter(torch.zeros(2, layers, units))
        self.trunk = nn.Linear(layers * units + count, sum(f.hidden for f in event.factors))
        self.context = nn.ModuleList()
        self.head = nn.ModuleList()
        known = 0
        for factor in event.factors:
            self.context.append(
                nn.Linear(known, factor.hidden, bias=False) if known else nn.Identity()
            )
            self.head.append(nn.Linear(factor.hidden, features.outputs(event, factor)))
            known += factor.dims
        self._initialise()

    def _initialise(self) -> None:
        """Forget little, carry motion on, and spread the components' means."""
        with torch.no_grad():
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
                shares = features.carries(self.event, factor)
                if shares:
                    bias[-k * shares :] = torch.eye(shares)[0].mul(0.8).repeat(k)

    def initial(self, batch: int) -> State:
        """Return the state of having heard nothing, for a batch."""
        like = self.start
        hidden = self.start[:, :, None].expand(2, self.layers, batch, self.units)
        place = like.new_full((batch, self.places), torch.nan)
        still = like.new_zeros((batch, self.places))
        heard = like.new_zeros((batch, features.feature_count(self.event)))
        return State(hidden[0], hidden[1], place, still, still, heard)

    def listen(
        self, values: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Hear events (B, T, C): what is known *before* each, and the state after all.

        Returns what the heads see (B, T, layers * units + F), the place, velocity and
        velocity before (B, T, P) with which each event is predicted, and the state.
        """
        batch, length, _ = values.shape
        position = self.event.position
        if position is not None:
            here = features.pick(values, position.columns)
            last = torch.cat([state.last[:, None], here[:, :-1]], 1)
            slid = features.slide(position, values, torch.where(last.isnan(), here, last))
            now = features.velocity(self.event, values, slid)
            before = torch.cat([state.now[:, None], now[:, :-1]], 1)
        else:
            here = last = slid = now = before = values.new_zeros((batch, length, 0))
        heard = features.features(torch, self.event, values, slid, now, before)
        seen: list[Tensor] = []
        hidden, cell = [], []
        x = heard
        for layer, rnn in enumerate(self.rnn):
            h0, c0 = state.hidden[layer : layer + 1], state.cell[layer : layer + 1]
            y, (h, c) = rnn(self.dropout(x) if layer else x, (h0.contiguous(), c0.contiguous()))
            seen.append(torch.cat([h0.transpose(0, 1), y[:, :-1]], 1))
            x = y
            hidden.append(h)
            cell.append(c)
        seen.append(torch.cat([state.heard[:, None], heard[:, :-1]], 1))
        after = State(
            torch.cat(hidden),
            torch.cat(cell),
            here[:, -1] if self.places else state.last,
            now[:, -1] if self.places else state.now,
            before[:, -1] if self.places else state.before,
            heard[:, -1],
        )
        previous = torch.cat([state.now[:, None], now[:, :-1]], 1)
        earlier = torch.cat([state.before[:, None], before[:, :-1]], 1)
        return self.dropout(torch.cat(seen, -1)), last, previous, earlier, after

    def predict(
        self,
        trunk: Tensor,
        values: Tensor,
        last: Tensor,
        now: Tensor,
        before: Tensor,
        cell: Tensor,
    ) -> Tensor:
        """Log density in nats of each factor of events (…, C) given the trunk's output.

        cell (…) is how wide the cells are in the middles of which their places lie.
        Returns (…, factors), in the order of the description: what is dequantised, and
        places, by the mean density over what the noise, or the cell, leaves open.
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
            unit = features.normal(torch, factor, values)
            known.append(unit)
            if factor.kind == "flag":
                sign = 2 * unit[..., 0] - 1
                parts.append(functional.logsigmoid(sign * out[..., 0]))
                continue
            c = features.components(torch, self.event, factor, out, values, now, before)
            mixture = Mixture(c.logits, c.mean, c.log_scale, c.lower)
            parts.append(self._density(factor, mixture, values, last, cell))
        return torch.stack(parts, -1)

    def _density(
        self, factor: Factor, mixture: Mixture, values: Tensor, last: Tensor, cell: Tensor
    ) -> Tensor:
        """Log density (…) of a factor of events (…, C) under its mixture."""
        unit = features.normal(torch, factor, values)
        if factor.kind == "duration":
            return self._in_seconds(factor, mixture, values)
        if factor.slides is None:
            return mixture.log_prob(unit) - factor.dims * math.log(factor.scale)
        # There is no sliding from where nothing was heard.
        slides = (values[..., factor.slides, None] > 0.5) & ~last[..., :1].isnan()
        slid = (features.pick(values, factor.columns) - last) / factor.step
        scale = torch.where(slides, unit.new_tensor(factor.step), unit.new_tensor(factor.scale))
        target = torch.where(slides, slid, unit)
        if not factor.noise:
            return mixture.log_prob(target) - factor.dims * scale[..., 0].log()
        chance = mixture.interval_log_prob(target, cell[..., None] / scale)
        return chance - factor.dims * cell.log()

    @staticmethod
    def _in_seconds(factor: Factor, mixture: Mixture, values: Tensor) -> Tensor:
        """Log density (…) of the seconds among events (…, C), whose logarithms are mixed."""
        unit = features.normal(torch, factor, values)
        if not factor.noise:
            seconds = features.pick(values, factor.columns)[..., 0].clamp_min(features.TINY)
            density: Tensor = mixture.log_prob(unit) - math.log(factor.scale) - seconds.log()
            return density
        # low to high is the noise's width, but where that begins below nothing at all
        seconds, half = features.pick(values, factor.columns), factor.noise / 2
        low = (seconds - half).clamp_min(features.TINY)
        gap = (seconds + half - features.TINY).clamp(features.TINY, factor.noise)
        width = torch.log1p(gap / low)
        middle = low.log() + width / 2
        chance = mixture.interval_log_prob(
            (middle - factor.centre) / factor.scale, width / factor.scale
        )
        return chance - math.log(factor.noise)

    def forward(
        self, values: Tensor, state: State | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Log density in nats of each factor of each event of sequences (B, T, C).

        cell (B,) is the width of the cells that places are known by, if it is not that of
        the noise (robojam.model.lattice). Returns (B, T, factors), each given all events
        before it, and the state after.
        """
        state = state or self.initial(len(values))
        seen, last, now, before, after = self.listen(values, state)
        wide = self._cells(values, cell)
        return self.predict(self.trunk(seen), values, last, now, before, wide), after

    def _cells(self, values: Tensor, cell: Tensor | None) -> Tensor:
        """How wide the cells of events (B, T, C) are, (B, T)."""
        if cell is None:
            position = self.event.position
            cell = values.new_full(values.shape[:1], position.noise if position else 0.0)
        return cell[:, None].expand(values.shape[:2])

    def flagless(
        self, values: Tensor, state: State | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """As `forward`, with the log density (B, T) of each event, its own flags summed out."""
        state = state or self.initial(len(values))
        seen, last, now, before, after = self.listen(values, state)
        trunk, wide = self.trunk(seen), self._cells(values, cell)
        terms: list[Tensor] = []
        for flags in product((0.0, 1.0), repeat=len(self.event.flags)):
            guess = values.clone()
            for column, flag in zip(self.event.flags, flags, strict=True):
                guess[..., column] = flag
            terms.append(self.predict(trunk, guess, last, now, before, wide).sum(-1))
        parts = self.predict(trunk, values, last, now, before, wide)
        return parts, torch.logsumexp(torch.stack(terms), 0), after


def save(model: EventModel, path: Path, description: ModelDescription) -> None:
    """Write a model's weights and its description to path, whole or not at all."""
    write(
        path, description, {n: t.detach().cpu().numpy() for n, t in model.state_dict().items()}
    )


def load(path: Path) -> tuple[EventModel, ModelDescription]:
    """Read a model from its file. Raises ModelFileError (see robojam.model.file)."""
    file = read(path)
    model = EventModel(file.event, units=file.units, layers=file.layers)
    model.load_state_dict({n: torch.from_numpy(a) for n, a in file.weights.items()})
    return model.eval(), file.description
