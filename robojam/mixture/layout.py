"""How a mixture is written as numbers, which any network can give, and read again.

The covariance of a component is of one of four kinds:

``spherical``
    one deviation for all dimensions.
``diagonal``
    a deviation for each dimension.
``full``
    any covariance, written as L Lᵀ with L = diag(s) (I + C), C strictly lower
    triangular: s and C may be any finite numbers, no determinant is taken, nothing
    is inverted.
``correlated``
    two dimensions, given as in Graves (2013) by both deviations and a correlation,
    here rho = c / sqrt(1 + c²), which no finite c can drive to ±1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

#: log s never falls below this: a component may become narrow, not a point.
FLOOR = -7.0

_FLOOR = torch.tensor(FLOOR)

Covariance = Literal["spherical", "diagonal", "full", "correlated"]


class Parts(NamedTuple):
    """A mixture: logits (…, K), loc (…, K, D), log_scale (…, K, D or 1), lower or None."""

    logits: Tensor
    loc: Tensor
    log_scale: Tensor
    lower: Tensor | None = None


class Layout(NamedTuple):
    """Where the numbers (…, N) of a mixture stand: logits, means, log s, C.

    deviations and below are how many of the latter two a component has; covariance says
    how they are to be read, or is None where they are log s and C as they stand.
    """

    dims: int
    components: int
    deviations: int
    below: int
    covariance: Covariance | None

    @property
    def width(self) -> int:
        """N."""
        return self.components * (1 + self.dims + self.deviations + self.below)

    def split(self, numbers: Tensor) -> Parts:
        """Lay numbers (…, N) out as parts, as views; log_scale is still to be read."""
        dims, k, deviations, below, _ = self
        lead = numbers.shape[:-1]
        logits, loc, raw, *lower = numbers.split(
            [k, k * dims, k * deviations, *([k * below] if below else [])], -1
        )
        return Parts(
            logits,
            loc.view(*lead, k, dims),
            raw.view(*lead, k, deviations),
            lower[0].view(*lead, k, below) if lower else None,
        )

    def read(self, numbers: Tensor) -> Parts:
        """Read numbers (…, N) as a mixture."""
        logits, loc, raw, lower = self.split(numbers)
        return Parts(logits, loc, self.log_scale(raw, lower), lower)

    def log_scale(self, raw: Tensor, lower: Tensor | None) -> Tensor:
        """Read log s (…, n) of components from what stands for it, and from their C."""
        if self.covariance is None:
            return raw
        found = floored(raw)
        if self.covariance != "correlated" or lower is None:
            return found
        # Of the second deviation, what the first dimension does not explain.
        rest = found[..., 1:] - torch.hypot(lower, torch.ones_like(lower)).log()
        return torch.cat([found[..., :1], rest], -1)


def floored(raw: Tensor) -> Tensor:
    """Turn any number into a log s above FLOOR."""
    return torch.logaddexp(raw.contiguous(), _FLOOR)  # ten times as long on a slice


def width(dims: int, components: int, covariance: Covariance = "full") -> int:
    """How many numbers describe a mixture: weights, means, log s and what is below them.

    Raises ValueError for what cannot be a mixture.
    """
    return laid_out(dims, components, covariance).width


def laid_out(dims: int, components: int, covariance: Covariance) -> Layout:
    """Say where a mixture's numbers stand. Raises ValueError for what cannot be one."""
    if dims < 1 or components < 1:
        raise ValueError(
            f"a mixture has at least one dimension and one component, not {dims} "
            f"and {components}"
        )
    if covariance == "correlated" and dims != 2:
        raise ValueError(f"correlated is for two dimensions, not {dims}: full is for any")
    if covariance not in get_args(Covariance):
        kinds = ", ".join(get_args(Covariance))
        raise ValueError(f"a covariance is one of {kinds}, not {covariance!r}")
    deviations = 1 if covariance == "spherical" else dims
    below = dims * (dims - 1) // 2 if covariance in ("full", "correlated") else 0
    return Layout(dims, components, deviations, below, covariance)


def layout_of(parts: Parts) -> Layout:
    """Describe parts that are given as they are to be read."""
    components, dims = parts.loc.shape[-2:]
    below = 0 if parts.lower is None else parts.lower.shape[-1]
    return Layout(dims, components, parts.log_scale.shape[-1], below, None)


def joined(parts: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """Write parts, or what is shaped as they are, as numbers (…, N)."""
    logits, *others = parts
    return torch.cat([logits, *(other.flatten(-2) for other in others)], -1, out=out)
