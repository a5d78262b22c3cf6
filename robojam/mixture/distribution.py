"""Distribution over a mixture of Gaussians, the output of a mixture layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Size, Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    constraints,
)

from robojam.mixture.checking import (
    at_least_float32,
    can_broadcast,
    check_finite,
    check_parts,
    is_checking,
)
from robojam.mixture.density import Density, is_transforming, log_density
from robojam.mixture.interval import log_probability
from robojam.mixture.layout import Covariance, Parts, layout_of, make_layout
from robojam.mixture.triangle import multiply, solve, strict_matrix

#: Temperatures below this count as 0, since a logit divided by them may not be finite.
COLD = 1e-6

Reduction = Literal["mean", "sum", "none"]

_MEAN_OF_NOTHING = "the mean of no values is undefined: give at least one, or take the sum"


class Mixture(Distribution):
    """A mixture of Gaussians over D dimensions with K components.

    Shapes, with any leading batch shape (…): logits (…, K); loc (…, K, D), the
    components' means; log_scale (…, K, D), or (…, K, 1) for one deviation in all
    dimensions; lower (…, K, D(D-1)/2), the rows of C one after another, or None for
    no correlation. A component's covariance is L Lᵀ with L = diag(s) (I + C). Half precision
    is computed, and returned, in float32.

    Raises ValueError for shapes that do not belong together, for integers, and for numbers
    that are not finite, unless validate_args is False (None: torch's default, as of
    `Distribution.set_default_validate_args`).
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own)
    support = constraints.real_vector

    def __init__(
        self,
        logits: Tensor,
        loc: Tensor,
        log_scale: Tensor,
        lower: Tensor | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        check_parts(logits, loc, log_scale, lower)
        lower = None if lower is None or lower.shape[-1] == 0 else at_least_float32(lower)
        logits, loc, log_scale = map(at_least_float32, (logits, loc, log_scale))
        parts = Parts(logits, loc, log_scale, lower)
        self._validates = _is_validating(validate_args)
        if self._validates:
            _check_finite_parts(parts)
        self._parts: Parts | None = parts
        self._numbers: Tensor | None = None
        self._layout = layout_of(parts)
        super().__init__(logits.shape[:-1], loc.shape[-1:], validate_args=False)

    @classmethod
    def from_parameters(
        cls,
        parameters: Tensor,
        dims: int,
        covariance: Covariance = "full",
        *,
        validate_args: bool | None = None,
    ) -> Mixture:
        """Return the mixture given by parameters (…, width(dims, K, covariance)).

        Their order is logits, means, unbounded numbers for log s, C. Raises ValueError if no
        K fits, for integers, and for numbers that are not finite, as the class does.
        """
        each = make_layout(dims, 1, covariance).width
        size = parameters.shape[-1] if parameters.ndim else 0
        if size == 0 or size % each:
            problem = f"{size} parameters are no mixture over {dims} dimensions"
            raise ValueError(f"{problem}: each component takes {each}")
        if not parameters.is_floating_point():
            raise ValueError(f"a mixture is made of floats, not of {parameters.dtype}")
        mixture = cls.__new__(cls)
        mixture._layout = make_layout(dims, size // each, covariance)
        mixture._numbers, mixture._parts = at_least_float32(parameters), None
        mixture._validates = _is_validating(validate_args)
        if mixture._validates:
            _check_finite_parts(mixture._layout.split(mixture._numbers))
        batch, event = parameters.shape[:-1], Size((dims,))
        Distribution.__init__(mixture, batch, event, validate_args=False)
        return mixture

    def _read(self) -> Parts:
        """Return the parts, computed from the numbers if needed."""
        if self._parts is not None:
            return self._parts
        assert self._numbers is not None
        parts = self._layout.read(self._numbers)
        if torch.is_grad_enabled():  # parts computed without it have no gradient
            self._parts = parts
        return parts

    def shifted(self, offset: Tensor) -> Mixture:
        """Return this mixture with offset (…, K, D) added to its means."""
        return self._with(self.logits, self.loc + offset, self.log_scale, self.lower)

    def scaled(self, centre: Tensor | float, scale: Tensor | float) -> Mixture:
        """Return the mixture of centre + scale · value.

        Both are numbers, or of shape (D,). Raises ValueError for other shapes, and unless
        all of scale is above 0.
        """
        factor, offset = (torch.as_tensor(given).to(self.loc) for given in (scale, centre))
        if {factor.shape, offset.shape} - {Size(), Size((1,)), self.event_shape}:
            shapes = f"centre {tuple(offset.shape)} and scale {tuple(factor.shape)}"
            raise ValueError(f"{shapes} do not fit: they are numbers, or ({self.dims},)")
        if not bool(((factor > 0) & factor.isfinite()).all()):
            raise ValueError(f"a scale is a number above zero, not {scale}")
        loc = self.loc * factor + offset
        return self._with(self.logits, loc, self.log_scale + factor.log(), self.lower)

    def _with(self, *parts: Tensor | None) -> Mixture:
        """Return a mixture of parts that were made from those of this one."""
        logits, loc, log_scale, lower = parts
        assert logits is not None
        assert loc is not None
        assert log_scale is not None
        mixture = Mixture(logits, loc, log_scale, lower, validate_args=False)
        mixture._validates = self._validates
        return mixture

    def __repr__(self) -> str:
        """Return the shapes of the parts, as torch's distributions do."""
        parts = zip(Parts._fields, self._read(), strict=True)
        shapes = [f"{name}: {part.shape}" for name, part in parts if part is not None]
        return f"Mixture({', '.join(shapes)})"

    def __getitem__(self, index: Any) -> Mixture:
        """Return the mixtures at an index into the batch shape.

        Raises IndexError for one that does not fit it.
        """
        torch.zeros(()).expand(self.batch_shape)[index]  # an index of K or D does not fit
        index = index if isinstance(index, tuple) else (index,)
        if not any(part is Ellipsis for part in index):
            index = (*index, Ellipsis)
        tails = (1, 2, 2, 2)  # axes of each part that are no batch
        return self._with(
            *(
                None if part is None else part[(*index, *(slice(None),) * tail)]
                for part, tail in zip(self._read(), tails, strict=True)
            )
        )

    @property
    def mixture_distribution(self) -> Categorical:
        """Distribution of the component, as that of torch's MixtureSameFamily."""
        return Categorical(logits=self.logits, validate_args=False)

    @property
    def component_distribution(self) -> Distribution:
        """Distribution of a value given its component, with batch shape (…, K)."""
        if self.lower is not None:
            return MultivariateNormal(self.loc, scale_tril=self.scale_tril, validate_args=False)
        scale = self.log_scale.exp().expand(self.loc.shape)
        return Independent(Normal(self.loc, scale, validate_args=False), 1)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Mixture:
        """Return this mixture repeated to a batch shape, as a view."""
        k, d = self.components, self.dims
        lower = self.lower
        return self._with(
            self.logits.expand(*batch_shape, k),
            self.loc.expand(*batch_shape, k, d),
            self.log_scale.expand(*batch_shape, k, self.log_scale.shape[-1]),
            None if lower is None else lower.expand(*batch_shape, k, lower.shape[-1]),
        )

    @property
    def dims(self) -> int:
        """The number of dimensions, D."""
        return self._layout.dims

    @property
    def components(self) -> int:
        """The number of components, K."""
        return self._layout.components

    @property
    def logits(self) -> Tensor:
        """Logarithm of each component's weight up to a constant, (…, K)."""
        return self._read().logits

    @property
    def loc(self) -> Tensor:
        """Mean of each component, (…, K, D)."""
        return self._read().loc

    @property
    def log_scale(self) -> Tensor:
        """Logarithm of each component's scale s, (…, K, D) or (…, K, 1)."""
        return self._read().log_scale

    @property
    def lower(self) -> Tensor | None:
        """Rows of C of each component, (…, K, D(D-1)/2); None without correlation."""
        return self._read().lower

    @property
    def weights(self) -> Tensor:
        """Weight of each component, (…, K)."""
        return torch.softmax(self.logits, -1)

    @property
    def scale_tril(self) -> Tensor:
        """Cholesky factor L of each component's covariance, (…, K, D, D)."""
        scale = self.log_scale.exp().expand(self.loc.shape)
        if self.lower is None:
            return torch.diag_embed(scale)
        unit = torch.eye(self.dims, dtype=scale.dtype, device=scale.device)
        return scale[..., None] * (unit + strict_matrix(self.lower, self.dims))

    @property
    def mean(self) -> Tensor:
        """Mean of the whole mixture, (…, D)."""
        return (self.weights[..., None] * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        """Variance of each dimension of the whole mixture, (…, D)."""
        within = (2 * self.log_scale).exp().expand(self.loc.shape)
        if self.lower is not None:
            within = self.scale_tril.square().sum(-1)
        apart = (self.loc - self.mean.unsqueeze(-2)).square()
        return (self.weights[..., None] * (within + apart)).sum(-2)

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the whole mixture, (…, D, D)."""
        factor, apart = self.scale_tril, self.loc - self.mean.unsqueeze(-2)
        each = factor @ factor.mT + apart[..., None] * apart[..., None, :]
        return (self.weights[..., None, None] * each).sum(-3)

    @property
    def mode(self) -> Tensor:
        """Mean of the component with the largest weight, (…, D): PRML's approximate mode."""
        return _gather(self.loc, self.logits.argmax(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, in nats, of value (…, D): shape (…).

        Raises ValueError for a value of another width, and for integers.
        """
        return self._log_prob(value)

    def _log_prob(self, value: Tensor, *, loss: bool = False) -> Tensor:
        """Return the log densities (…), or with loss the negative of their mean."""
        mixture, value = self._promote(value)
        factor = None
        if loss:
            shape, batch = value.shape[:-1], self.batch_shape
            count = (shape if shape == batch else torch.broadcast_shapes(shape, batch)).numel()
            if not count:
                raise ValueError(_MEAN_OF_NOTHING)
            factor = -1 / count
        if torch.is_grad_enabled() and not is_transforming():
            numbers, parts = mixture._numbers, mixture._parts
            given = [p for p in parts or () if p is not None] if numbers is None else [numbers]
            if value.requires_grad or any(t.requires_grad for t in given):
                fast: Tensor = Density.apply(mixture._layout, factor, value, *given)  # type: ignore[no-untyped-call]
                return fast
        density = log_density(mixture._read(), value)
        return density if factor is None else density.sum() * factor

    def interval_log_prob(self, value: Tensor, width: Tensor | float) -> Tensor:
        """Return the log probability of value ± width / 2 in every dimension: shape (…).

        This is the log likelihood of a value (…, D) that is known only to an interval, such
        as a pixel. width is (…, D) or a number, above 0. For correlated components each
        dimension is conditioned on the middles of those before it; the probabilities still
        sum to 1 over any lattice. It can be differentiated once. Raises ValueError as
        `log_prob` does.
        """
        mixture, value = self._promote(value)
        logits, loc, log_scale, lower = mixture._read()
        scale = torch.exp(-log_scale)
        z = (value.unsqueeze(-2) - loc) * scale  # (…, K, D)
        if lower is not None:
            z = solve(z, lower)
        half = 0.5 * torch.as_tensor(width, dtype=z.dtype, device=z.device).expand(value.shape)
        each = log_probability(z, (half.unsqueeze(-2) * scale).expand(z.shape)).sum(-1)
        return torch.logsumexp(torch.log_softmax(logits, -1) + each, -1)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of being at or below value (…, D): shape (…).

        Raises NotImplementedError for correlated components, which have no closed form.
        """
        mixture, value = self._promote(value)
        logits, loc, log_scale, lower = mixture._read()
        if lower is not None:
            raise NotImplementedError("correlated components have no cdf in closed form")
        below = torch.special.ndtr((value.unsqueeze(-2) - loc) * torch.exp(-log_scale))
        chance: Tensor = (torch.softmax(logits, -1) * below.prod(-1)).sum(-1)
        return chance

    def loss(
        self, value: Tensor, *, mask: Tensor | None = None, reduction: Reduction = "mean"
    ) -> Tensor:
        """Return the negative log density, in nats, of value (…, D), reduced.

        mask (…) is True where a value counts; masked values may be anything, NaN included.
        The reduction "none" returns 0 for them. Raises ValueError for the mean of no values
        (their sum is 0), for a mask that does not fit, and for other reductions.
        """
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"a reduction is mean, sum or none, not {reduction!r}")
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"a mask is of booleans, not {mask.dtype}")
            try:
                value = torch.where(mask.unsqueeze(-1), value, torch.zeros_like(value))
            except RuntimeError:
                shapes = f"mask {tuple(mask.shape)} does not fit values {tuple(value.shape)}"
                raise ValueError(shapes) from None
        elif reduction == "mean":
            return self._log_prob(value, loss=True)
        each = -self.log_prob(value)
        if mask is not None:
            each = each.masked_fill(~mask, 0.0)
        if reduction == "none":
            return each
        if reduction == "sum" or mask is None:
            return each.sum()
        count = mask.expand(each.shape).sum()
        if not torch.compiler.is_compiling() and not bool(count):
            raise ValueError(_MEAN_OF_NOTHING)
        return each.sum() / count

    @torch.no_grad()
    def sample(
        self,
        sample_shape: Sequence[int] = (),
        *,
        temperature: float = 1.0,
        spread: float = 1.0,
        bias: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return random values, sample_shape + (…, D), without gradients.

        temperature divides the logits (0: always the component with the largest weight);
        spread multiplies every standard deviation (0: the component's mean). bias is that of
        Graves (2013, section 5.4), one number for both: temperature 1 / (1 + bias), spread
        exp(-bias). Raises ValueError for one that is negative or not finite.
        """
        for name, number in (("temperature", temperature), ("spread", spread), ("bias", bias)):
            if not 0 <= number < math.inf:
                raise ValueError(f"{name} is 0 or more and finite, not {number}")
        parts = self._parts
        if parts is None:  # only the chosen components' scales are computed
            assert self._numbers is not None
            parts = self._layout.split(self._numbers)
        logits, loc, raw, lower = parts
        chosen = self._choose(logits, Size(sample_shape), temperature / (1 + bias), generator)
        lower = None if lower is None else _gather(lower, chosen)
        scale = self._layout.log_scale(_gather(raw, chosen), lower).exp_()
        loc = _gather(loc, chosen)
        z = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
        if lower is not None:
            z = multiply(z, lower)
        return torch.addcmul(loc, scale, z, value=spread * math.exp(-bias))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Raise NotImplementedError: the choice of a component has no gradient."""
        raise NotImplementedError(
            "the choice of a component has no gradient: differentiate log_prob, or the "
            "samples of component_distribution"
        )

    def entropy(self) -> Tensor:
        """Raise NotImplementedError: a mixture's entropy has no closed form."""
        estimate = "-mixture.log_prob(mixture.sample((1000,))).mean(0)"
        raise NotImplementedError(
            f"a mixture has no entropy in closed form; {estimate} is near"
        )

    def _choose(
        self,
        logits: Tensor,
        sample_shape: Size,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return a component index for each sample, sample_shape + (…)."""
        shape = sample_shape + self.batch_shape
        if temperature < COLD:
            return logits.argmax(-1).expand(shape)
        if shape.numel() == 0:
            return torch.zeros(shape, dtype=torch.long, device=logits.device)
        weights = torch.softmax(logits if temperature == 1 else logits / temperature, -1)
        count = sample_shape.numel()
        if count == 1:  # as multinomial does, without its checks: the first of clocks
            clocks = torch.empty_like(weights).exponential_(generator=generator)
            return weights.div_(clocks).argmax(-1).expand(shape)
        table = weights.reshape(-1, self.components)
        drawn = torch.multinomial(table, count, replacement=True, generator=generator)
        return drawn.mT.reshape(shape)

    def _promote(self, value: Tensor) -> tuple[Mixture, Tensor]:
        """Check that a value fits this mixture; return both in a common dtype."""
        if not isinstance(value, Tensor) or not value.is_floating_point():
            given = getattr(value, "dtype", type(value).__name__)
            raise ValueError(f"a value is a tensor of floats, not {given}")
        dims, shape = self._layout.dims, value.shape
        if shape[-1:] != (dims,) or not can_broadcast(shape[:-1], self.batch_shape):
            mine = f"a mixture over {dims} dimensions, {tuple(self.loc.shape)}"
            raise ValueError(f"value {tuple(shape)} does not fit {mine}")
        if is_checking() or (self._validates and not is_transforming()):
            check_finite("a value", value)
        own = (self.logits if self._numbers is None else self._numbers).dtype
        if value.dtype == own:
            return self, value
        dtype = torch.promote_types(own, value.dtype)
        if dtype == own:
            return self, value.to(dtype)
        logits, loc, log_scale, lower = self._read()
        lower = None if lower is None else lower.to(dtype)
        return self._with(logits.to(dtype), loc.to(dtype), log_scale.to(dtype), lower), value


def _gather(table: Tensor, chosen: Tensor) -> Tensor:
    """Return the rows (…, N) of table (…, K, N) at chosen (…), which may have more axes."""
    shape, n = chosen.shape, table.shape[-1]
    index = chosen.view(*shape, 1, 1).expand(*shape, 1, n)
    if table.shape[:-2] != shape:
        table = table.expand(*shape, -1, n)
    return table.gather(-2, index).squeeze(-2)


def _is_validating(asked: bool | None) -> bool:  # noqa: FBT001
    """Return whether numbers are checked, which takes a pass over each tensor."""
    wanted = Distribution._validate_args if asked is None else asked
    return is_checking() or (wanted and not is_transforming())


def _check_finite_parts(parts: Parts) -> None:
    for name, part in zip(Parts._fields, parts, strict=True):
        check_finite(f"a mixture's {name}", part, lowest=name == "logits")
