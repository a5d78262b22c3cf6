"""Dropout (Srivastava et al. 2014) that is cheap on a CPU and the same in several processes.

torch.nn.Dropout draws one random number of 64 bits for each unit, one after another: a seventh
of a training step on a CPU. And each process would draw numbers of its own, so that a run with
several processes would not equal the run with one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Bits of a random number for one unit; four of them are drawn at once.
_BITS = 16


class Dropout(nn.Module):
    """Module that sets a share of its input to zero, while training, and scales up the rest.

    Where several processes train on one batch, batch is its number of rows, and rows are
    those of this process: the mask is drawn for the whole batch, as one process would. The
    share is exact to 1 / 65536.
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
