"""Other recurrences in place of robojam.model.mdrnn's LSTMs, and other ways to train these.

Each takes x (B, T, F) and the output and state before it, (1, B, units) each, and returns
the outputs (B, T, units) and the last of both, as nn.LSTM does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robojam.model import features as formulas
from robojam.model.event import EventSpec
from robojam.model.mdrnn import EventModel, State

Both = tuple[Tensor, Tensor]


class Ensemble:
    """Models whose densities of each factor are averaged; it can be scored, and no more."""

    def __init__(self, models: Sequence[EventModel]) -> None:
        self.models, self.event, self.start = models, models[0].event, models[0].start

    def eval(self) -> None:
        for model in self.models:
            model.eval()

    def initial(self, batch: int) -> list[State]:
        return [model.initial(batch) for model in self.models]

    def __call__(
        self, values: Tensor, states: list[State], cell: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        told = [
            model(values, state, cell) for model, state in zip(self.models, states, strict=True)
        ]
        parts = torch.stack([parts for parts, _ in told])
        return parts.logsumexp(0) - math.log(len(parts)), [state for _, state in told]


class FromZero(EventModel):
    """A model whose initial state is not learnt."""

    def __init__(self, event: EventSpec, **sizes: Any) -> None:
        super().__init__(event, **sizes)
        self.start.requires_grad_(False)


class _Other(EventModel):
    """A model over other cells."""

    cell: ClassVar[type[nn.Module]]

    def __init__(self, event: EventSpec, **sizes: Any) -> None:
        super().__init__(event, **sizes)
        count = formulas.feature_count(event)
        self.rnn = nn.ModuleList(
            self.cell(self.units if layer else count, self.units)
            for layer in range(self.layers)
        )


class _GRU(nn.Module):
    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(features, units, batch_first=True)

    def forward(self, x: Tensor, state: Both) -> tuple[Tensor, Both]:
        y, h = self.rnn(x, state[0])
        return y, (h, state[1])


class GRUs(_Other):
    cell = _GRU


class _Linear(nn.Module):
    """h = (1 - z) h + z c, with z and c of the input alone; what is told is h times a gate."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.all = nn.Linear(features, 3 * units)
        with torch.no_grad():  # from forgetting in a touch or two to keeping for hundreds
            self.all.bias[:units] = -torch.linspace(-1, 6, units)

    def forward(self, x: Tensor, state: Both) -> tuple[Tensor, Both]:
        z, c, gate = self.all(x).float().chunk(3, -1)
        z, h, told = torch.sigmoid(z), state[1][0].float(), []
        for at in range(x.shape[1]):
            h = torch.lerp(h, c[:, at], z[:, at])
            told.append(h)
        y = torch.stack(told, 1) * nn.functional.silu(gate)
        return y, (y[None, :, -1], h[None])


class Linears(_Other):
    cell = _Linear


class _Normed(nn.Module):
    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.ahead = nn.Linear(features, 4 * units)
        self.back = nn.Linear(units, 4 * units, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(n * units) for n in (4, 4, 1))
        with torch.no_grad():
            self.norms[0].get_parameter("bias")[units : 2 * units] = 1.0

    def forward(self, x: Tensor, state: Both) -> tuple[Tensor, Both]:
        ahead = self.norms[0](self.ahead(x))
        h, c, told = state[0][0], state[1][0], []
        for at in range(x.shape[1]):
            i, f, g, o = (ahead[:, at] + self.norms[1](self.back(h))).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.norms[2](c))
            told.append(h)
        return torch.stack(told, 1), (h[None], c[None])


class Normed(_Other):
    cell = _Normed


class _Dropping(nn.LSTM):
    """An LSTM with a tenth of its recurrent weights dropped, anew for each batch."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__(features, units, batch_first=True)
        with torch.no_grad():
            self.get_parameter("bias_ih_l0")[units : 2 * units] = 1.0
            self.get_parameter("bias_hh_l0").zero_()

    def forward(self, x: Tensor, state: Both) -> tuple[Tensor, Both]:  # type: ignore[override]
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [self.get_parameter(name) for name in names]
        weights[1] = nn.functional.dropout(weights[1], 0.1, self.training)
        y, h, c = torch.lstm(x, list(state), weights, True, 1, 0.0, self.training, False, True)
        return y, (h, c)


class Dropping(_Other):
    cell = _Dropping
