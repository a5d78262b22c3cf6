"""The log density of a mixture, and its gradient, which is known.

With the share r of each component in the density of a value, d = (value - loc) / s,
(I + C) z = d and (I + C)ᵀ w = z, the gradient of the log density is (Bishop 1994, here for
a triangular C) r - weight for a logit, r w / s for a mean, r (w d - 1) for a log s and
r wᵢ zⱼ for a Cᵢⱼ. It is worked out beside the density, in few passes, and on a CPU in
blocks that stay in its cache. Without correlation d, z and w are one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Size, Tensor
from torch.autograd import Function

from robojam.mixture.layout import FLOOR, Layout, Parts, floored, joined
from robojam.mixture.triangle import ROWS, below, squared, twice

#: So many numbers of a tensor (…, K, D) are a block.
BLOCK = 1 << 17
#: With fewer, what a step costs is that it is one.
MANY = 1 << 12


def log_density(parts: Parts, value: Tensor) -> Tensor:
    """Log density (…) of values (…, D), by operations that torch can differentiate."""
    logits, loc, log_scale, lower = parts
    dims = loc.shape[-1]
    d = (value.unsqueeze(-2) - loc) * torch.exp(-log_scale)  # (…, K, D)
    component = -0.5 * squared(d, lower) - _volume(log_scale, dims)
    joint = torch.log_softmax(logits, -1) + component - 0.5 * dims * math.log(2 * math.pi)
    density: Tensor = torch.logsumexp(joint, -1)
    return density


class Density(Function):
    """Log density (…) of values (…, D) under mixtures, given as numbers (…, N) or as parts.

    With a factor it is their sum times that, in one step: a loss.
    """

    @staticmethod
    def forward(
        ctx: Any, layout: Layout, factor: float | None, value: Tensor, *given: Tensor
    ) -> Tensor:
        """Work out the density, and beside it what `backward` gives away."""
        ctx.save_for_backward(value, *given)
        ctx.layout, ctx.factor = layout, factor
        ctx.shapes = [t.shape for t in (value, *given)]
        density, ctx.slopes = _slopes(layout, value, given, by_value=ctx.needs_input_grad[2])
        return density if factor is None else density.sum().mul_(factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Multiply by the slopes, in place: they are of use once."""
        needed = ctx.needs_input_grad[2:]
        g = grads[0] if ctx.factor is None else grads[0] * ctx.factor
        if torch.is_grad_enabled():  # the gradient is to have a gradient: leave it to torch
            value, *given = tensors = ctx.saved_tensors
            wanted = [t for t, need in zip(tensors, needed, strict=True) if need]
            parts = ctx.layout.read(given[0]) if len(given) == 1 else Parts(*given)
            density = log_density(parts, value)
            g = g.expand(density.shape)
            found = iter(torch.autograd.grad(density, wanted, g, create_graph=True))
            return None, None, *(next(found) if need else None for need in needed)
        slopes, ctx.slopes = ctx.slopes, None
        if slopes is None:  # whoever asked first was given them
            value, *given = ctx.saved_tensors
            _, slopes = _slopes(ctx.layout, value, given, by_value=needed[0])
        many = transformed() or torch._C._functorch.is_legacy_batchedtensor(g)
        times = Tensor.mul if many else Tensor.mul_
        along: list[Tensor | None] = [None, None]
        for slope, shape, need in zip(slopes, ctx.shapes, needed, strict=True):
            if not need:
                along.append(None)
                continue
            each = g[(..., *[None] * (slope.ndim - g.ndim))] if ctx.factor is None else g
            along.append(_shaped(times(slope, each), shape))
        return tuple(along)


def _shaped(slope: Tensor, shape: Size) -> Tensor:
    """Sum a slope over what a tensor of this shape was broadcast to."""
    return slope if slope.shape == shape else slope.sum_to_size(shape)


def transformed() -> bool:
    """Whether torch is compiling or transforming: then it wants to see each operation."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def _slopes(
    layout: Layout, value: Tensor, given: Sequence[Tensor], *, by_value: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """Work out the density, and its slopes along value (None: nobody asks) and what is given.

    Much of it is gone through block by block.
    """
    if len(given) > 1:
        density, slopes, along = _with_slopes(Parts(*given), value, layout, by_value=by_value)
        return density, [along, *slopes]
    numbers, lead = given[0], value.shape[:-1]
    each = max(1, BLOCK // (layout.components * layout.dims))
    if numbers.is_cuda or lead.numel() < 2 * each or numbers.shape[:-1] != lead:
        density, slopes, along = _with_slopes(
            layout.split(numbers), value, layout, by_value=by_value
        )
        return density, [along, joined(slopes)]
    numbers, value = numbers.flatten(0, -2), value.flatten(0, -2)
    density, slope = numbers.new_empty(len(numbers)), numbers.new_empty(numbers.shape)
    whole = value.new_empty(value.shape) if by_value else None
    for at in range(0, len(numbers), each):
        rows = slice(at, at + each)
        density[rows], slopes, along = _with_slopes(
            layout.split(numbers[rows]), value[rows], layout, by_value=by_value
        )
        joined(slopes, out=slope[rows])
        if whole is not None and along is not None:
            whole[rows] = along
    return density.view(lead), [
        None if whole is None else whole.view(*lead, -1),
        slope.view(*lead, -1),
    ]


def _with_slopes(
    parts: Parts, value: Tensor, layout: Layout, *, by_value: bool
) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Work out the density (…), its slopes along the parts as they stand, and along value."""
    dims = layout.dims
    logits, loc, raw, lower = parts
    log_scale = layout.log_scale(raw, lower)
    scale = own = log_scale.exp()
    if layout.covariance == "correlated":
        own = torch.exp(floored(raw))
    d = (value.unsqueeze(-2) - loc).div_(scale)  # (…, K, D)
    z, w = (d, d) if lower is None else twice(d, lower)
    log_weights = torch.log_softmax(logits, -1)
    joint = log_weights - _summed(torch.addcmul(log_scale, z, z, value=0.5))
    share = torch.softmax(joint, -1)  # (…, K)
    # The likeliest component has at least a Kth: no other way to the sum is as short.
    top = joint.amax(-1)
    density = torch.fmax(top, top - share.amax(-1).log_())  # where all is -inf, so is it
    by_logits = share - log_weights.exp_()
    share = share.unsqueeze(-1)
    pull = share * w  # (…, K, D)
    by_scale = pull * d - share
    if layout.deviations < dims:
        by_scale = by_scale.sum(-1, keepdim=True)
    if lower is not None:
        by_lower = below(pull, z)
        if layout.covariance == "correlated":
            by_lower -= by_scale[..., 1:] * lower / (1 + lower * lower)
    if layout.covariance is not None:  # along what stands for log s
        by_scale.addcdiv_(by_scale, own, value=-math.exp(FLOOR))
    by_loc = pull.div_(scale)
    slopes = [by_logits, by_loc, by_scale]
    if lower is not None:
        slopes.append(by_lower)
    along = -by_loc.sum(-2) if by_value else None
    return density.sub_(0.5 * dims * math.log(2 * math.pi)), slopes, along


def _volume(log_scale: Tensor, dims: int) -> Tensor:
    """Log determinant of L, (…, K), from log s (…, K, D) or (…, K, 1)."""
    if log_scale.shape[-1] == 1:
        return log_scale.squeeze(-1) * dims
    return log_scale.sum(-1)


def _summed(terms: Tensor) -> Tensor:
    """Sum terms (…, D), where nothing is to be differentiated."""
    dims = terms.shape[-1]
    if dims == 1:
        return terms.squeeze(-1)
    if dims > ROWS or terms.numel() < MANY:
        return terms.sum(-1)
    first, *others = terms.unbind(-1)  # a sum over a short axis takes several times as long
    total = first + others[0]
    for other in others[1:]:
        total += other
    return total
