"""Output layer of a mixture density network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robojam.mixture.checking import check_finite, is_checking
from robojam.mixture.distribution import Mixture
from robojam.mixture.layout import Covariance, width


class MixtureLayer(nn.Module):
    """Linear layer from features (…, F) to a Mixture of `components` over `dims` dimensions.

    The means are initialised from a unit normal, so that the components differ from the
    first step on. Raises ValueError for sizes or a covariance that cannot be a mixture.
    """

    def __init__(
        self,
        features: int,
        dims: int,
        components: int,
        *,
        covariance: Covariance = "full",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        size = width(dims, components, covariance)
        self.dims, self.components, self.covariance = dims, components, covariance
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
        return Mixture.from_parameters(linear(features), self.dims, self.covariance)

    def extra_repr(self) -> str:
        """Return the arguments that torch shows when the layer is printed."""
        return f"dims={self.dims}, components={self.components}, covariance={self.covariance!r}"
