"""Log density of a mixture, with its gradient in closed form.

For the responsibility r of each component for a value, d = (value - loc) / s,
(I + C) z = d and (I + C)ᵀ w = z, the gradient of the log density is (Bishop 1994, here for
a triangular C):

    r - weight      for a logit
    r w / s         for a mean
    r (w d - 1)     for a log s
    r wᵢ zⱼ         for a Cᵢⱼ

It is computed together with the density, in few passes, and on a CPU in blocks that fit its
cache. Without correlation d, z and w are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from robojam.mixture.layout import FLOOR, Layout, Parts, join_parts, with_floor
from robojam.mixture.triangle import MAX_ROWS, outer_below, solve_twice, squared_norm

#: Size of a block: numbers of a tensor (…, K, D).
BLOCK = 1 << 17
#: Tensors with fewer numbers take one operation rather than D cheaper ones.
SMALL = 1 << 12


def log_density(parts: Parts, value: Tensor) -> Tensor:
    """Return the log density (…) of values (…, D), by operations that torch differentiates."""
    logits, loc, log_scale, lower = parts
    dims = loc.shape[-1]
    d = (value.unsqueeze(-2) - loc) * torch.exp(-log_scale)  # (…, K, D)
    single = log_scale.shape[-1] == 1
    log_determinant = log_scale.squeeze(-1) * dims if single else log_scale.sum(-1)
    component = -0.5 * squared_norm(d, lower) - log_determinant
    joint = torch.log_softmax(logits, -1) + component - 0.5 * dims * math.log(2 * math.pi)
    density: Tensor = torch.logsumexp(joint, -1)
    return density


class Density(Function):
    """Log density (…) of values (…, D) under mixtures, given as numbers (…, N) or as parts.

    With a factor, the output is their sum times the factor: a loss, in one operation.
    """

    @staticmethod
    def forward(
        ctx: Any, layout: Layout, factor: float | None, value: Tensor, *given: Tensor
    ) -> Tensor:
        """Compute the density, and the gradients that `backward` returns."""
        ctx.save_for_backward(value, *given)
        ctx.layout, ctx.factor = layout, factor
        ctx.shapes = [t.shape for t in (value, *given)]
        density, ctx.gradients = _differentiate(
            layout, value, given, by_value=ctx.needs_input_grad[2]
        )
        return density if factor is None else density.sum().mul_(factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Multiply the gradients by grads, in place, as they are needed only once."""
        needed = ctx.needs_input_grad[2:]
        g = grads[0] if ctx.factor is None else grads[0] * ctx.factor
        if torch.is_grad_enabled():  # a second derivative is wanted: leave it to torch
            value, *given = tensors = ctx.saved_tensors
            wanted = [t for t, need in zip(tensors, needed, strict=True) if need]
            parts = ctx.layout.read(given[0]) if len(given) == 1 else Parts(*given)
            density = log_density(parts, value)
            g = g.expand(density.shape)
            wanted_gradients = iter(torch.autograd.grad(density, wanted, g, create_graph=True))
            return None, None, *(next(wanted_gradients) if need else None for need in needed)
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:  # an earlier call has used them up
            value, *given = ctx.saved_tensors
            _, gradients = _differentiate(ctx.layout, value, given, by_value=needed[0])
        batched = is_transforming() or torch._C._functorch.is_legacy_batchedtensor(g)
        multiply = Tensor.mul if batched else Tensor.mul_
        gradients_out: list[Tensor | None] = [None, None]
        for gradient, shape, need in zip(gradients, ctx.shapes, needed, strict=True):
            if not need:
                gradients_out.append(None)
                continue
            each = g[(..., *[None] * (gradient.ndim - g.ndim))] if ctx.factor is None else g
            product = multiply(gradient, each)
            if product.shape != shape:  # summed over the axes along which it was broadcast
                product = product.sum_to_size(shape)
            gradients_out.append(product)
        return tuple(gradients_out)


def is_transforming() -> bool:
    """Return whether torch is compiling or transforming, and must see each operation."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def _differentiate(
    layout: Layout, value: Tensor, given: Sequence[Tensor], *, by_value: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the density (…), and its gradients by value (None without by_value) and given."""
    compute = partial(_differentiate_block, layout=layout, by_value=by_value)
    if len(given) > 1:
        density, gradients, by_values = compute(Parts(*given), value)
        return density, [by_values, *gradients]
    numbers, lead = given[0], value.shape[:-1]
    block = max(1, BLOCK // (layout.components * layout.dims))
    if numbers.is_cuda or lead.numel() < 2 * block or numbers.shape[:-1] != lead:
        density, gradients, by_values = compute(layout.split(numbers), value)
        return density, [by_values, join_parts(gradients)]
    numbers, value = numbers.flatten(0, -2), value.flatten(0, -2)
    density, gradient = numbers.new_empty(len(numbers)), numbers.new_empty(numbers.shape)
    all_by_values = value.new_empty(value.shape) if by_value else None
    for start in range(0, len(numbers), block):
        rows = slice(start, start + block)
        density[rows], gradients, by_values = compute(layout.split(numbers[rows]), value[rows])
        join_parts(gradients, out=gradient[rows])
        if all_by_values is not None and by_values is not None:
            all_by_values[rows] = by_values
    by_values = None if all_by_values is None else all_by_values.view(*lead, -1)
    return density.view(lead), [by_values, gradient.view(*lead, -1)]


def _differentiate_block(
    parts: Parts, value: Tensor, *, layout: Layout, by_value: bool
) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Return the density (…), and its gradients by the unread parts and by value."""
    dims = layout.dims
    logits, loc, raw, lower = parts
    log_scale = layout.log_scale(raw, lower)
    scale = own = log_scale.exp()
    if layout.covariance == "correlated":
        own = torch.exp(with_floor(raw))
    d = (value.unsqueeze(-2) - loc).div_(scale)  # (…, K, D)
    z, w = (d, d) if lower is None else solve_twice(d, lower)
    log_weights = torch.log_softmax(logits, -1)
    joint = log_weights - _sum_last(torch.addcmul(log_scale, z, z, value=0.5))
    share = torch.softmax(joint, -1)  # (…, K)
    # logsumexp, from the softmax at hand: the largest term over its share.
    top = joint.amax(-1)
    density = torch.fmax(top, top - share.amax(-1).log_())  # -inf where all terms are
    by_logits = share - log_weights.exp_()
    share = share.unsqueeze(-1)
    pull = share * w  # (…, K, D)
    by_scale = pull * d - share
    if layout.deviations < dims:
        by_scale = by_scale.sum(-1, keepdim=True)
    if lower is not None:
        by_lower = outer_below(pull, z)
        if layout.covariance == "correlated":
            by_lower -= by_scale[..., 1:] * lower / (1 + lower * lower)
    if layout.covariance is not None:  # by the numbers that stand for log s
        by_scale.addcdiv_(by_scale, own, value=-math.exp(FLOOR))
    by_loc = pull.div_(scale)
    gradients = [by_logits, by_loc, by_scale]
    if lower is not None:
        gradients.append(by_lower)
    by_values = -by_loc.sum(-2) if by_value else None
    return density.sub_(0.5 * dims * math.log(2 * math.pi)), gradients, by_values


def _sum_last(terms: Tensor) -> Tensor:
    """Return the sum over the last axis of terms (…, D); it is not differentiated."""
    dims = terms.shape[-1]
    if dims == 1:
        return terms.squeeze(-1)
    if dims > MAX_ROWS or terms.numel() < SMALL:
        return terms.sum(-1)
    # torch's sum over a short axis takes several times as long.
    first, *others = terms.unbind(-1)
    total = first + others[0]
    for other in others[1:]:
        total += other
    return total
