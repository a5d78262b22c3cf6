"""Mixture densities: a layer for any number of dimensions, and what it yields.

A mixture density network (Bishop 1994; PRML section 5.6) gives, instead of one
answer, the parameters of a mixture of Gaussians over all answers. The covariance of
a component is of one of four kinds:

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

What the layer yields is a `torch.distributions.Distribution`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Size, Tensor, nn
from torch.autograd import Function
from torch.distributions import Distribution, constraints
from torch.nn import functional

#: log s never falls below this: a component may become narrow, not a point.
FLOOR = -7.0
#: Temperatures below this are 0: a logit divided by it may not be finite.
COLD = 1e-6
#: Up to so many dimensions a triangle is solved row by row, beyond it by LAPACK.
ROWS = 8

Covariance = Literal["spherical", "diagonal", "full", "correlated"]
Reduction = Literal["mean", "sum", "none"]

_checking = False


@contextmanager
def checked() -> Iterator[None]:
    """Look for numbers that are not finite where they come in, while this is open.

    The first found raises a ValueError that names the tensor, where in it, and so the
    source: a layer's features or weights, a mixture's parameters, or a target. It
    costs a pass over each of them.
    """
    global _checking
    before, _checking = _checking, True
    try:
        yield
    finally:
        _checking = before


def width(dims: int, components: int, covariance: Covariance = "full") -> int:
    """How many numbers describe a mixture: weights, means, log s and what is below them.

    Raises ValueError for what cannot be a mixture.
    """
    return components * (1 + dims + sum(_spread_by(dims, components, covariance)))


def _spread_by(dims: int, components: int, covariance: Covariance) -> tuple[int, int]:
    """How many numbers of one component are deviations, and how many are below them."""
    if dims < 1 or components < 1:
        raise ValueError(
            f"a mixture has at least one dimension and one component, not {dims} "
            f"and {components}"
        )
    if covariance == "correlated" and dims != 2:
        raise ValueError(f"correlated is for two dimensions, not {dims}: full is for any")
    below = dims * (dims - 1) // 2
    kinds = {
        "spherical": (1, 0),
        "diagonal": (dims, 0),
        "full": (dims, below),
        "correlated": (dims, below),
    }
    if covariance not in kinds:
        raise ValueError(f"a covariance is one of {', '.join(kinds)}, not {covariance!r}")
    return kinds[covariance]


class Mixture(Distribution):
    """A mixture of Gaussians over D dimensions with K components.

    Shapes, with any leading batch shape (…): logits (…, K); loc (…, K, D), the
    components' means; log_scale (…, K, D), or (…, K, 1) for one deviation in all
    dimensions; lower (…, K, D(D-1)/2), the rows of C one after another, or None for
    no correlation. Half precision is computed, and answered, in float32.

    Raises ValueError for shapes that do not belong together and for integers.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own)
    support = constraints.real_vector

    def __init__(
        self, logits: Tensor, loc: Tensor, log_scale: Tensor, lower: Tensor | None = None
    ) -> None:
        _fitting(logits, loc, log_scale, lower)
        given = {"logits": logits, "loc": loc, "log_scale": log_scale, "lower": lower}
        if _checking:
            for name, tensor in given.items():
                if tensor is not None:
                    _finite(f"a mixture's {name}", tensor, lowest=name == "logits")
        self.logits, self.loc, self._log_scale = (_wide(t) for t in (logits, loc, log_scale))
        self._raw: Tensor | None = None
        self.lower = None if lower is None or lower.shape[-1] == 0 else _wide(lower)
        super().__init__(logits.shape[:-1], loc.shape[-1:], validate_args=False)

    @classmethod
    def from_parameters(
        cls, parameters: Tensor, dims: int, covariance: Covariance = "full"
    ) -> Mixture:
        """Read a mixture from the last axis of parameters (…, width(dims, K, covariance)).

        They stand in the order logits, means, raw log s, C. Raises ValueError if no
        number of components fits.
        """
        each = width(dims, 1, covariance)
        size = parameters.shape[-1] if parameters.ndim else 0
        if size == 0 or size % each:
            raise ValueError(
                f"{size} parameters are no mixture over {dims} dimensions: each component "
                f"takes {each}"
            )
        k = size // each
        deviations, below = _spread_by(dims, k, covariance)
        logits, loc, raw, lower = _wide(parameters).split(
            [k, k * dims, k * deviations, k * below], dim=-1
        )
        loc, raw = loc.unflatten(-1, (k, dims)), raw.unflatten(-1, (k, deviations))
        c = lower.unflatten(-1, (k, below)) if below else None
        if covariance == "correlated" and c is not None:
            # Of the second deviation, what the first dimension does not explain.
            log_scale = _floored(raw)
            rest = log_scale[..., 1:] - torch.hypot(c, torch.ones_like(c)).log()
            return cls(logits, loc, torch.cat([log_scale[..., :1], rest], -1), c)
        mixture = cls(logits, loc, raw, c)
        mixture._raw = mixture._log_scale  # to draw, only the chosen ones are needed
        return mixture

    def shifted(self, offset: Tensor) -> Mixture:
        """Return this mixture with offset (…, K, D) added to its means."""
        return Mixture(self.logits, self.loc + offset, self.log_scale, self.lower)

    def scaled(self, centre: float, scale: float) -> Mixture:
        """Return the mixture of centre + scale · value, for a scale above zero."""
        if not 0 < scale < math.inf:
            raise ValueError(f"a scale is a number above zero, not {scale}")
        log_scale = self.log_scale + math.log(scale)
        return Mixture(self.logits, self.loc * scale + centre, log_scale, self.lower)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Mixture:
        """Return this mixture repeated to a batch shape, as a view."""
        k, d = self.components, self.dims
        lower = self.lower
        return Mixture(
            self.logits.expand(*batch_shape, k),
            self.loc.expand(*batch_shape, k, d),
            self.log_scale.expand(*batch_shape, k, self.log_scale.shape[-1]),
            None if lower is None else lower.expand(*batch_shape, k, lower.shape[-1]),
        )

    @property
    def dims(self) -> int:
        """D."""
        return self.loc.shape[-1]

    @property
    def components(self) -> int:
        """K."""
        return self.loc.shape[-2]

    @property
    def log_scale(self) -> Tensor:
        """Log s of each component, (…, K, D) or (…, K, 1)."""
        if self._raw is None:
            return self._log_scale
        found = _floored(self._raw)
        if torch.is_grad_enabled():  # else its gradient would be lost
            self._log_scale, self._raw = found, None
        return found

    @property
    def weights(self) -> Tensor:
        """Weight of each component, (…, K)."""
        return torch.softmax(self.logits, -1)

    @property
    def scale_tril(self) -> Tensor:
        """L of each component, (…, K, D, D): its covariance is L Lᵀ."""
        scale = self.log_scale.exp().expand(self.loc.shape)
        if self.lower is None:
            return torch.diag_embed(scale)
        unit = torch.eye(self.dims, dtype=scale.dtype, device=scale.device)
        return scale[..., None] * (unit + _strict(self.lower, self.dims))

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
        """Mean of the likeliest component, (…, D): PRML's approximate conditional mode."""
        return self._of(self.loc, self.logits.argmax(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats of value (…, D), shape (…).

        Raises ValueError for a value of another width, and for integers.
        """
        logits, loc, log_scale, lower, value = self._beside(value)
        if lower is None and not _traced():
            density: Tensor = _Diagonal.apply(logits, loc, log_scale, value)  # type: ignore[no-untyped-call]
            return density
        return _density(logits, loc, log_scale, lower, value)

    def cdf(self, value: Tensor) -> Tensor:
        """Chance of being at or below value (…, D) in every dimension, shape (…).

        Raises NotImplementedError where components are correlated: there is no
        closed form.
        """
        logits, loc, log_scale, lower, value = self._beside(value)
        if lower is not None:
            raise NotImplementedError("correlated components have no cdf in closed form")
        below = torch.special.ndtr((value.unsqueeze(-2) - loc) * torch.exp(-log_scale))
        chance: Tensor = (torch.softmax(logits, -1) * below.prod(-1)).sum(-1)
        return chance

    def loss(
        self, value: Tensor, *, mask: Tensor | None = None, reduction: Reduction = "mean"
    ) -> Tensor:
        """Negative log density in nats of value (…, D), reduced over what mask (…) keeps.

        mask is of booleans, True where a value counts; what is masked may be anything,
        NaN too. "none" gives 0 there. Raises ValueError for the mean of nothing (the
        sum of nothing is 0), for a mask that does not fit, and for other reductions.
        """
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"a reduction is mean, sum or none, not {reduction!r}")
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"a mask is of booleans, not {mask.dtype}")
            try:
                value = torch.where(mask.unsqueeze(-1), value, torch.zeros_like(value))
            except RuntimeError:
                raise ValueError(
                    f"mask {tuple(mask.shape)} does not fit values {tuple(value.shape)}"
                ) from None
        each = -self.log_prob(value)
        if mask is not None:
            each = each.masked_fill(~mask, 0.0)
        if reduction == "none":
            return each
        if reduction == "sum":
            return each.sum()
        count = each.numel() if mask is None else mask.expand(each.shape).sum()
        if not torch.compiler.is_compiling() and not bool(count):
            raise ValueError(
                "the mean of no values is no number: there must be one, or take the sum"
            )
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
        """Draw values, sample_shape + (…, D).

        temperature divides the logits (0: the likeliest component); spread multiplies
        every standard deviation (0: the component's mean). bias is Graves's (2013,
        section 5.4), one number over both: temperature 1 / (1 + bias), spread
        exp(-bias). Raises ValueError for any that is negative or not finite.
        """
        for name, number in {
            "temperature": temperature,
            "spread": spread,
            "bias": bias,
        }.items():
            if not 0 <= number < math.inf:
                raise ValueError(f"{name} is 0 or more and finite, not {number}")
        chosen = self._choose(Size(sample_shape), temperature / (1 + bias), generator)
        loc, scale = self._of(self.loc, chosen), self._of(self._log_scale, chosen)
        scale = (scale if self._raw is None else _floored(scale)).exp()
        z = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
        if self.lower is not None:
            z = _coloured(z, self._of(self.lower, chosen))
        return loc + spread * math.exp(-bias) * scale * z

    def _choose(
        self, sample_shape: Size, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        """Choose a component for each sample, sample_shape + (…)."""
        shape = sample_shape + self.batch_shape
        if temperature < COLD:
            return self.logits.argmax(-1).expand(shape)
        if shape.numel() == 0:
            return torch.zeros(shape, dtype=torch.long, device=self.logits.device)
        weights = torch.softmax(self.logits / temperature, -1)
        count = sample_shape.numel()
        if count == 1:  # whose exponential clock rings first: what multinomial does, unchecked
            clocks = torch.empty_like(weights).exponential_(generator=generator)
            return (weights / clocks).argmax(-1).expand(shape)
        table = weights.reshape(-1, self.components)
        drawn = torch.multinomial(table, count, replacement=True, generator=generator)
        return drawn.mT.reshape(shape)

    @staticmethod
    def _of(table: Tensor, chosen: Tensor) -> Tensor:
        """Take of table (…, K, N) the rows chosen (…), any sample shape before them."""
        shape, (_, n) = chosen.shape, table.shape[-2:]
        index = chosen[..., None, None].expand(*shape, 1, n)
        return table.expand(*shape, -1, n).gather(-2, index).squeeze(-2)

    def _beside(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """Return the parameters, and a value that fits them, all of one dtype."""
        if not value.is_floating_point():
            raise ValueError(f"a value is of floats, not {value.dtype}")
        shape = value.shape[:-1]
        if value.shape[-1:] != self.event_shape or not _broadcasts(shape, self.batch_shape):
            raise ValueError(
                f"value {tuple(value.shape)} does not fit a mixture over {self.dims} "
                f"dimensions, {tuple(self.loc.shape)}"
            )
        if _checking:
            _finite("a value", value)
        logits, loc, log_scale, lower = self.logits, self.loc, self.log_scale, self.lower
        dtype = torch.promote_types(loc.dtype, value.dtype)
        if dtype != loc.dtype:
            logits, loc, log_scale = logits.to(dtype), loc.to(dtype), log_scale.to(dtype)
            lower = None if lower is None else lower.to(dtype)
        return logits, loc, log_scale, lower, value.to(dtype)


class MixtureLayer(nn.Module):
    """A linear layer from features (…, F) to a Mixture over dims dimensions.

    The means start spread over about a unit normal, so that the components have
    work of their own from the first step.
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
        """Return the mixtures for features (…, F)."""
        linear = self.linear
        if features.shape[-1:] != (linear.in_features,) or not features.is_floating_point():
            raise ValueError(
                f"features {tuple(features.shape)} of {features.dtype} do not fit: they are "
                f"floats (…, {linear.in_features})"
            )
        if _checking:
            _finite("the features given to a mixture layer", features)
            _finite("a mixture layer's linear.weight", linear.weight)
            _finite("a mixture layer's linear.bias", linear.bias)
        return Mixture.from_parameters(linear(features), self.dims, self.covariance)

    def extra_repr(self) -> str:
        """Say what it yields."""
        return f"dims={self.dims}, components={self.components}, covariance={self.covariance!r}"


class _Diagonal(Function):
    """Log density of a mixture without correlations, in as few passes as it takes.

    The gradient is known (Bishop 1994): with the share r of each component in the
    density and z = (value - loc) / s, it is r - weight for a logit, r z / s for a mean
    and r (z² - 1) for a log s.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, loc: Tensor, log_scale: Tensor, value: Tensor
    ) -> Tensor:
        dims = loc.shape[-1]
        inverse = torch.exp(-log_scale)
        z = (value.unsqueeze(-2) - loc).mul_(inverse)  # (…, K, D)
        log_weights = torch.log_softmax(logits, -1)
        joint = (log_weights - _volume(log_scale, dims)).sub(_squared(z), alpha=0.5)
        total = torch.logsumexp(joint, -1)
        ctx.save_for_backward(
            logits, loc, log_scale, value, log_weights, joint, total, z, inverse
        )
        return total - 0.5 * dims * math.log(2 * math.pi)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        logits, loc, log_scale, value, log_weights, joint, total, z, inverse = ctx.saved_tensors
        needed = ctx.needs_input_grad
        if torch.is_grad_enabled():  # the gradient is to have a gradient: leave it to torch
            given = (logits, loc, log_scale, value)
            wanted = [t for t, need in zip(given, needed, strict=True) if need]
            density = _density(logits, loc, log_scale, None, value)
            found = iter(torch.autograd.grad(density, wanted, grads[0], create_graph=True))
            return tuple(next(found) if need else None for need in needed)
        g = grads[0].unsqueeze(-1)
        share = (joint - total.unsqueeze(-1)).exp_().mul_(g)  # (…, K)
        by_logits = share - log_weights.exp() * g
        share = share.unsqueeze(-1)
        pull = share * z  # (…, K, D)
        by_scale = pull * z
        if log_scale.shape[-1] == loc.shape[-1]:
            by_scale.sub_(share)
        else:
            by_scale = by_scale.sum(-1, keepdim=True).sub_(share, alpha=loc.shape[-1])
        by_loc = pull.mul_(inverse)
        by_value = _shaped(-by_loc.sum(-2), value) if needed[3] else None
        return (
            _shaped(by_logits, logits),
            _shaped(by_loc, loc),
            _shaped(by_scale, log_scale),
            by_value,
        )


def _shaped(gradient: Tensor, tensor: Tensor) -> Tensor:
    """Sum a gradient over what a tensor was broadcast to."""
    shape = tensor.shape
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)


def _floored(raw: Tensor) -> Tensor:
    """Turn any number into a log s above FLOOR."""
    return FLOOR + functional.softplus(raw - FLOOR)


def _density(
    logits: Tensor, loc: Tensor, log_scale: Tensor, lower: Tensor | None, value: Tensor
) -> Tensor:
    """Log density (…) of values (…, D), by operations that torch can differentiate."""
    dims = loc.shape[-1]
    d = (value.unsqueeze(-2) - loc) * torch.exp(-log_scale)  # (…, K, D)
    square = _length(d, lower)  # (…, K)
    component = -0.5 * square - _volume(log_scale, dims) - 0.5 * dims * math.log(2 * math.pi)
    density: Tensor = torch.logsumexp(torch.log_softmax(logits, -1) + component, -1)
    return density


def _volume(log_scale: Tensor, dims: int) -> Tensor:
    """Log determinant of L, (…, K), from log s (…, K, D) or (…, K, 1)."""
    if log_scale.shape[-1] == 1:
        return log_scale.squeeze(-1) * dims
    return log_scale.sum(-1)


def _squared(z: Tensor) -> Tensor:
    """Squared length (…) of z (…, D), where nothing is to be differentiated."""
    if z.shape[-1] > ROWS:
        length: Tensor = torch.linalg.vector_norm(z, dim=-1)
        return length.square_()
    first, *others = z.unbind(-1)  # a sum over a short axis takes several times as long
    square = first.square()
    for column in others:
        square.addcmul_(column, column)
    return square


def _length(d: Tensor, lower: Tensor | None) -> Tensor:
    """Squared length (…) of z (…, D), where (I + C) z = d.

    Solved row by row, which costs no inverse, and summed likewise: a sum over a short
    axis takes several times as long.
    """
    dims = d.shape[-1]
    if dims > ROWS:
        z = d
        if lower is not None:
            z = torch.linalg.solve_triangular(
                _strict(lower, dims), d.unsqueeze(-1), upper=False, unitriangular=True
            ).squeeze(-1)
        return z.square().sum(-1)
    columns = list(d.unbind(-1))
    if lower is not None:
        c = iter(lower.unbind(-1))
        for i in range(1, dims):
            for j in range(i):
                columns[i] = columns[i] - next(c) * columns[j]
    square = columns[0] * columns[0]
    for column in columns[1:]:
        square = square + column * column
    return square


def _coloured(z: Tensor, lower: Tensor) -> Tensor:
    """Return (I + C) z for z (…, D) and lower (…, D(D-1)/2)."""
    dims = z.shape[-1]
    if dims > ROWS:
        return z + (_strict(lower, dims) * z.unsqueeze(-2)).sum(-1)
    c, drawn = iter(lower.unbind(-1)), list(z.unbind(-1))
    for i in range(1, dims):
        for j in range(i):
            drawn[i] = drawn[i] + next(c) * z[..., j]
    return torch.stack(drawn, -1)


def _strict(lower: Tensor, dims: int) -> Tensor:
    """Lay the rows of C (…, D(D-1)/2) out as a matrix (…, D, D)."""
    row, column = torch.tril_indices(dims, dims, -1, device=lower.device)
    matrix = lower.new_zeros(*lower.shape[:-1], dims, dims)
    matrix[..., row, column] = lower
    return matrix


def _traced() -> bool:
    """Whether torch is compiling or transforming: then it wants to see each operation."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def _wide(tensor: Tensor) -> Tensor:
    """Return half precision as float32: a density is a matter of small differences."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _broadcasts(shape: Size, other: Size) -> bool:
    """Whether a value's batch shape can be laid over a mixture's."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def _fitting(logits: Tensor, loc: Tensor, log_scale: Tensor, lower: Tensor | None) -> None:
    """Check what a mixture is made of. Raises ValueError."""
    given = [t for t in (logits, loc, log_scale, lower) if t is not None]
    if not all(t.is_floating_point() for t in given):
        kinds = ", ".join(str(t.dtype) for t in given)
        raise ValueError(f"a mixture is made of floats, not of {kinds}")
    dims = loc.shape[-1] if loc.ndim else 0
    scales = [loc.shape, (*loc.shape[:-1], 1)]
    if logits.ndim == 0 or loc.shape[:-1] != logits.shape or log_scale.shape not in scales:
        raise ValueError(
            f"logits {tuple(logits.shape)}, loc {tuple(loc.shape)} and log_scale "
            f"{tuple(log_scale.shape)} do not belong together: they are (…, K), (…, K, D) "
            "and (…, K, D) or (…, K, 1)"
        )
    if dims == 0 or logits.shape[-1] == 0:
        raise ValueError(
            f"a mixture has at least one dimension and one component, not {dims} "
            f"and {logits.shape[-1]}"
        )
    wanted = (*logits.shape, dims * (dims - 1) // 2)
    if lower is not None and lower.shape != wanted:
        raise ValueError(f"lower has shape {tuple(lower.shape)}, it wants {wanted}")


def _finite(name: str, tensor: Tensor, *, lowest: bool = False) -> None:
    """Raise ValueError where a tensor holds what is no number; -inf may pass as lowest."""
    wrong = ~tensor.isfinite()
    if lowest:
        wrong &= tensor != -math.inf
    if bool(wrong.any()):
        at = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{name}, of shape {tuple(tensor.shape)}, is {tensor[at].item()} at {at}, "
            f"the first of {int(wrong.sum())}"
        )
