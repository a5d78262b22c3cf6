"""Recurrent layer for a chain of layers: with a MixtureLayer after it, an MDN-RNN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: State of an LSTM: its output and its cell, each (1, B, H).
State = tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """LSTM from sequences (B, T, F) to its outputs (B, T, H); with last, to the last, (B, H).

    Unlike torch's LSTM it returns no state, so that it fits into an nn.Sequential. `step` is
    for sequences that are made one value at a time. Raises ValueError for sizes below 1.
    """

    def __init__(
        self,
        features: int,
        units: int,
        *,
        last: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if features < 1 or units < 1:
            sizes = f"{features} and {units}"
            raise ValueError(f"a recurrent layer has features and units, not {sizes}")
        self.last = last
        self.lstm = nn.LSTM(features, units, batch_first=True, device=device, dtype=dtype)

    @property
    def features(self) -> int:
        """The number of features of an input, F."""
        return self.lstm.input_size

    @property
    def units(self) -> int:
        """The number of outputs, H."""
        return self.lstm.hidden_size

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the outputs for sequences (B, T, F). Raises ValueError for another shape."""
        if sequences.ndim != 3 or sequences.shape[-1] != self.features:
            shape = tuple(sequences.shape)
            raise ValueError(f"sequences {shape} do not fit: they are (B, T, {self.features})")
        outputs: Tensor = self.lstm(sequences)[0]
        return outputs[:, -1] if self.last else outputs

    def step(self, value: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the output (B, H) for the next value (B, F), and the state after it.

        Without a state the sequence begins with this value.
        """
        outputs, after = self.lstm(value.unsqueeze(1), state)
        return outputs[:, 0], after

    def extra_repr(self) -> str:
        """Return what torch shows when the layer is printed."""
        return "last=True" if self.last else ""
