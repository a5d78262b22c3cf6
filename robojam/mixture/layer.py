"""Output layer of a mixture density network."""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor, nn

from robojam.mixture.checking import check_finite, is_checking
from robojam.mixture.clusters import clusters, finite_targets
from robojam.mixture.distribution import Mixture
from robojam.mixture.layout import (
    Activation,
    Covariance,
    elu_log_scale,
    elu_raw,
    make_layout,
    width,
    without_floor,
)


class MixtureLayer(nn.Module):
    """Linear layer from features (…, F) to a Mixture of `components` over `dims` dimensions.

    The means are initialised from a unit normal, so that the components differ from the
    first step on; `spread_means` spreads them over the targets instead. What the layer
    computes is not checked for NaN: `checked` does that. activation is how numbers become
    standard deviations: "elu" is that of keras-mdn-layer. Raises ValueError for sizes or a
    covariance that cannot be a mixture, and for another activation.
    """

    def __init__(
        self,
        features: int,
        dims: int,
        components: int,
        *,
        covariance: Covariance = "full",
        activation: Activation = "exp",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        size = width(dims, components, covariance)
        if activation not in get_args(Activation):
            kinds = ", ".join(get_args(Activation))
            raise ValueError(f"an activation is one of {kinds}, not {activation!r}")
        if activation == "elu" and covariance == "correlated":
            raise ValueError("elu is for other covariances than correlated: full is for any")
        self.dims, self.components, self.covariance = dims, components, covariance
        self.activation = activation
        self.linear = nn.Linear(features, size, device=device, dtype=dtype)
        with torch.no_grad():
            self.linear.weight.mul_(0.5)
            self.linear.bias.zero_()
            means = slice(components, components * (1 + dims))
            self.linear.bias[means] = torch.randn(components * dims, device=device, dtype=dtype)

    def forward(self, features: Tensor) -> Mixture:
        """Return mixtures for features (…, F). Raises ValueError for another shape or type."""
        linear = self.linear
        if features.shape[-1:] != (linear.in_features,) or not features.is_floating_point():
            given = f"features {tuple(features.shape)} of {features.dtype}"
            raise ValueError(f"{given} do not fit: they are floats (…, {linear.in_features})")
        if is_checking():
            check_finite("the features given to a mixture layer", features)
            check_finite("a mixture layer's linear.weight", linear.weight)
            check_finite("a mixture layer's linear.bias", linear.bias)
        numbers = linear(features)
        if self.activation == "elu":
            layout = make_layout(self.dims, self.components, self.covariance)
            logits, loc, raw, lower = layout.split(numbers)
            return Mixture(logits, loc, elu_log_scale(raw), lower, validate_args=False)
        return Mixture.from_parameters(numbers, self.dims, self.covariance, validate_args=False)

    @torch.no_grad()
    def spread_means(self, targets: Tensor) -> None:
        """Spread the components over targets (…, D), so that training begins near them.

        Each component starts with the mean, the deviations and the share of a cluster of the
        targets: of equal parts where D is 1, else of k-means. To be called before training,
        with all targets or with a few thousand of them. Raises ValueError for targets of
        another width, for integers, and without a finite one.
        """
        values = finite_targets(targets, self.dims)
        means, deviations, shares = clusters(values, self.components)
        log_scale = deviations.log()
        if self.covariance == "spherical":  # of the mean variance, which might overflow
            sums = torch.logsumexp(2 * log_scale, -1, keepdim=True)
            log_scale = 0.5 * (sums - math.log(self.dims))
        bias = self.linear.bias
        layout = make_layout(self.dims, self.components, self.covariance)
        logits, loc, raw, lower = layout.split(bias)
        logits.copy_(shares.log())
        loc.copy_(means)
        inverse = elu_raw if self.activation == "elu" else without_floor
        raw.copy_(inverse(log_scale.to(bias.dtype)))
        if lower is not None:
            lower.zero_()

    def extra_repr(self) -> str:
        """Return the arguments that torch shows when the layer is printed."""
        text = f"dims={self.dims}, components={self.components}, covariance={self.covariance!r}"
        return text if self.activation == "exp" else f"{text}, activation={self.activation!r}"
