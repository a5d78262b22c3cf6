"""Layout of a mixture's parameters as unbounded numbers, which any network can output.

The covariance of a component is of one of four kinds:

``spherical``
    one standard deviation for all dimensions.
``diagonal``
    a standard deviation for each dimension.
``full``
    any covariance, as L Lᵀ with L = diag(s) (I + C), C strictly lower triangular: any
    finite log s and C are valid, and no matrix is inverted.
``correlated``
    two dimensions, given as in Graves (2013) by both standard deviations and a correlation,
    here rho = c / sqrt(1 + c²), which is inside ±1 for any finite c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

#: Lower bound of log s, so that a component may become narrow, but not a point.
FLOOR = -7.0

_FLOOR = torch.tensor(FLOOR)

Covariance = Literal["spherical", "diagonal", "full", "correlated"]

#: How a layer's number a becomes a standard deviation s: ``exp``, log s = a with a soft lower
#: bound at FLOOR; ``elu``, s = elu(a) + 1 + KERAS_EPSILON, as in keras-mdn-layer.
Activation = Literal["exp", "elu"]

#: What keras-mdn-layer adds to a standard deviation.
KERAS_EPSILON = 1e-7


class Parts(NamedTuple):
    """Parameters of a mixture: logits (…, K), loc (…, K, D), log_scale (…, K, D or 1), C."""

    logits: Tensor
    loc: Tensor
    log_scale: Tensor
    lower: Tensor | None = None


class Layout(NamedTuple):
    """Layout of the N numbers of a mixture: logits, means, numbers for log s, C."""

    dims: int
    components: int
    deviations: int  # numbers for log s of a component
    below: int  # numbers for C of a component
    covariance: Covariance | None  # how log s is computed from its numbers; None: they are it

    @property
    def width(self) -> int:
        """The number of parameters, N."""
        return self.components * (1 + self.dims + self.deviations + self.below)

    def split(self, numbers: Tensor) -> Parts:
        """Return numbers (…, N) as parts, as views; log_scale holds the numbers for log s."""
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
        """Return the parts of the mixture that numbers (…, N) describe."""
        logits, loc, raw, lower = self.split(numbers)
        return Parts(logits, loc, self.log_scale(raw, lower), lower)

    def log_scale(self, raw: Tensor, lower: Tensor | None) -> Tensor:
        """Return log s (…, n) of components from the numbers for it, and from their C."""
        if self.covariance is None:
            return raw
        log_scale = with_floor(raw)
        if self.covariance != "correlated" or lower is None:
            return log_scale
        # The second standard deviation, conditional on the first dimension.
        conditional = log_scale[..., 1:] - torch.hypot(lower, torch.ones_like(lower)).log()
        return torch.cat([log_scale[..., :1], conditional], -1)


def with_floor(raw: Tensor) -> Tensor:
    """Return numbers as log s above FLOOR, by a soft maximum."""
    return torch.logaddexp(raw.contiguous(), _FLOOR)  # takes ten times as long on a slice


def without_floor(log_scale: Tensor) -> Tensor:
    """Return the numbers whose log s above FLOOR this is; what is near FLOOR is raised."""
    above = log_scale.clamp(min=FLOOR + 0.1)
    return above + torch.log1p(-torch.exp(FLOOR - above))


def elu_log_scale(raw: Tensor) -> Tensor:
    """Return log s for s = elu(raw) + 1 + KERAS_EPSILON, exactly also where s is small."""
    below = torch.logaddexp(raw, torch.full_like(raw, math.log(KERAS_EPSILON)))
    return torch.where(raw < 0, below, torch.log1p(raw.clamp(min=0) + KERAS_EPSILON))


def elu_raw(log_scale: Tensor) -> Tensor:
    """Return the numbers of which `elu_log_scale` makes log s; the smallest s are raised."""
    scale = (log_scale.exp() - KERAS_EPSILON).clamp(min=KERAS_EPSILON)
    return torch.where(scale < 1, scale.log(), scale - 1)


def width(dims: int, components: int, covariance: Covariance = "full") -> int:
    """Return the number of parameters of a mixture. Raises ValueError as `make_layout`."""
    return make_layout(dims, components, covariance).width


def make_layout(dims: int, components: int, covariance: Covariance) -> Layout:
    """Return the layout of a mixture. Raises ValueError for impossible sizes or covariances."""
    if dims < 1 or components < 1:
        sizes = f"{dims} and {components}"
        raise ValueError(f"a mixture has at least one dimension and one component, not {sizes}")
    if covariance == "correlated" and dims != 2:
        raise ValueError(f"correlated is for two dimensions, not {dims}: full is for any")
    if covariance not in get_args(Covariance):
        kinds = ", ".join(get_args(Covariance))
        raise ValueError(f"a covariance is one of {kinds}, not {covariance!r}")
    deviations = 1 if covariance == "spherical" else dims
    below = dims * (dims - 1) // 2 if covariance in ("full", "correlated") else 0
    return Layout(dims, components, deviations, below, covariance)


def layout_of(parts: Parts) -> Layout:
    """Return the layout of parts whose log_scale is log s itself."""
    components, dims = parts.loc.shape[-2:]
    below = 0 if parts.lower is None else parts.lower.shape[-1]
    return Layout(dims, components, parts.log_scale.shape[-1], below, None)


def join_parts(parts: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """Return parts, or tensors of their shapes, as numbers (…, N)."""
    logits, *others = parts
    return torch.cat([logits, *(other.flatten(-2) for other in others)], -1, out=out)
