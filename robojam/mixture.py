"""Mixture densities: a layer for any number of dimensions, and what it yields.

A mixture density network (Bishop 1994; PRML section 5.6) gives, instead of one
answer, the parameters of a mixture of Gaussians over all answers. Here each
component has a full covariance, written as L Lᵀ with L = diag(s) (I + C), C
strictly lower triangular: s and C may be any finite numbers, no determinant is
taken, nothing is inverted, and in two dimensions C is Graves's (2013)
correlation in other words, rho = c / sqrt(1 + c²).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

#: log s never falls below this: a component may become narrow, not a point.
FLOOR = -7.0
#: Temperatures below this are 0: a logit divided by it may not be finite.
COLD = 1e-6


def width(dims: int, components: int) -> int:
    """How many numbers describe a mixture: weights, means, log s and C."""
    return components * (1 + 2 * dims + dims * (dims - 1) // 2)


class Mixture:
    """A mixture of Gaussians over D dimensions with K components.

    Shapes, with any leading batch shape (…):
    logits (…, K), mean (…, K, D), log_scale (…, K, D), lower (…, K, D(D-1)/2),
    the rows of C one after another.
    """

    def __init__(self, logits: Tensor, mean: Tensor, log_scale: Tensor, lower: Tensor) -> None:
        dims = mean.shape[-1]
        expected = (*logits.shape, dims * (dims - 1) // 2)
        if mean.shape != log_scale.shape or mean.shape[:-1] != logits.shape:
            raise ValueError(
                f"logits {tuple(logits.shape)}, mean {tuple(mean.shape)} and log_scale "
                f"{tuple(log_scale.shape)} do not belong together"
            )
        if lower.shape != expected:
            raise ValueError(f"lower has shape {tuple(lower.shape)}, it wants {expected}")
        self.logits, self.mean, self.log_scale, self.lower = logits, mean, log_scale, lower

    @classmethod
    def from_parameters(cls, parameters: Tensor, dims: int) -> Mixture:
        """Read a mixture from the last axis of parameters (…, width(dims, K)).

        Raises ValueError if no number of components fits.
        """
        each = width(dims, 1)
        size = parameters.shape[-1]
        if size == 0 or size % each:
            raise ValueError(
                f"{size} parameters are no mixture over {dims} dimensions: each component "
                f"takes {each}"
            )
        k = size // each
        logits, mean, raw, lower = parameters.split(
            [k, k * dims, k * dims, size - k * (1 + 2 * dims)], dim=-1
        )
        log_scale = FLOOR + functional.softplus(raw - FLOOR)
        return cls(
            logits,
            mean.unflatten(-1, (k, dims)),
            log_scale.unflatten(-1, (k, dims)),
            lower.unflatten(-1, (k, dims * (dims - 1) // 2)),
        )

    def shifted(self, offset: Tensor) -> Mixture:
        """Return this mixture with offset (…, K, D) added to its means."""
        return Mixture(self.logits, self.mean + offset, self.log_scale, self.lower)

    @property
    def dims(self) -> int:
        """D."""
        return self.mean.shape[-1]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats of value (…, D), shape (…).

        Solved row by row for z = L⁻¹ (value - mean), which costs no inverse.
        """
        if value.shape[-1] != self.dims:
            raise ValueError(
                f"value {tuple(value.shape)} does not fit a mixture over {self.dims} "
                f"dimensions, {tuple(self.mean.shape)}"
            )
        d = (value.unsqueeze(-2) - self.mean) * torch.exp(-self.log_scale)  # (…, K, D)
        columns: list[Tensor] = []
        at = 0
        for i in range(self.dims):
            z = d[..., i]
            for j in range(i):
                z = z - self.lower[..., at + j] * columns[j]
            at += i
            columns.append(z)
        square = sum((z * z for z in columns), torch.zeros_like(columns[0]))  # (…, K)
        component = (
            -0.5 * square - self.log_scale.sum(-1) - 0.5 * self.dims * math.log(2 * math.pi)
        )
        return torch.logsumexp(torch.log_softmax(self.logits, -1) + component, -1)

    def sample(
        self,
        *,
        temperature: float = 1.0,
        spread: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw one value (…, D).

        temperature divides the logits (0: the likeliest component); spread
        multiplies every standard deviation (0: the component's mean).
        """
        if not (temperature >= 0 and spread >= 0):
            raise ValueError(
                f"temperature and spread are 0 or more, not {temperature} and {spread}"
            )
        shape = self.logits.shape
        if temperature < COLD:
            chosen = self.logits.argmax(-1)
        else:
            weights = torch.softmax(self.logits / temperature, -1).reshape(-1, shape[-1])
            chosen = torch.multinomial(weights, 1, generator=generator).reshape(shape[:-1])
        pick = chosen[..., None, None]
        mean = self.mean.take_along_dim(pick, -2).squeeze(-2)
        scale = self.log_scale.take_along_dim(pick, -2).squeeze(-2).exp()
        lower = self.lower.take_along_dim(pick, -2).squeeze(-2)
        z = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        d = [z[..., i] for i in range(self.dims)]
        at = 0
        for i in range(self.dims):
            for j in range(i):
                d[i] = d[i] + lower[..., at + j] * z[..., j]
            at += i
        return mean + spread * scale * torch.stack(d, -1)


class MixtureLayer(nn.Module):
    """A linear layer from features (…, F) to a Mixture over dims dimensions.

    The means start spread over about a unit normal, so that the components have
    work of their own from the first step.
    """

    def __init__(self, features: int, dims: int, components: int) -> None:
        super().__init__()
        if dims < 1 or components < 1:
            raise ValueError(
                f"a mixture has at least one dimension and one component, not {dims} "
                f"and {components}"
            )
        self.dims, self.components = dims, components
        self.linear = nn.Linear(features, width(dims, components))
        with torch.no_grad():
            self.linear.weight.mul_(0.5)
            self.linear.bias.zero_()
            means = slice(components, components * (1 + dims))
            self.linear.bias[means] = torch.randn(components * dims)

    def forward(self, features: Tensor) -> Mixture:
        """Return the mixtures for features (…, F)."""
        return Mixture.from_parameters(self.linear(features), self.dims)
