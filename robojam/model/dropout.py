"""Dropout (Srivastava et al. 2014), of which each of several processes sees its own rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Random numbers are drawn 64 bits at a time, and each is four of these.
_BITS = 16


class Dropout(nn.Module):
    """Leaves out a share of what passes, while training, and scales up the rest.

    Where several processes learn from a batch, batch is how many rows it has, and rows are
    those that come by here: what is left out is drawn for all of it, as one process would.
    The share is exact to 1 / 65536.
    """

    def __init__(self, share: float) -> None:
        """Leave out a share in [0, 1). Raises ValueError for another."""
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"a share that is left out is from 0 to below 1, not {share}")
        self.share = share
        self.batch: int | None = None
        self.rows = slice(None)

    def forward(self, values: Tensor) -> Tensor:
        """Pass values (B, T, U) on."""
        if not self.training or not self.share:
            return values
        kept = self._kept((self.batch or len(values), *values.shape[1:]), values.device)
        # A part of the rows is tried where all of them do not fit.
        mine = kept[self.rows][: len(values)]
        return values * mine.to(values.dtype).mul_(1 / (1 - self.share))

    def _kept(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        if device.type != "cpu":
            return torch.rand(shape, device=device) >= self.share
        # A CPU draws its random numbers one by one: few of them, many bits of each.
        size = torch.Size(shape).numel()
        words = torch.empty(-(-size * _BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        least = round(self.share * 2**_BITS) - 2 ** (_BITS - 1)
        kept: Tensor = words.view(torch.int16)[:size] >= least
        return kept.view(shape)

    def extra_repr(self) -> str:
        """Say what is left out, as torch's own layers do."""
        return f"share={self.share}"
