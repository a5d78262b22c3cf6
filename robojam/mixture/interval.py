"""The chance of an interval under normals, and what its logarithm's slopes are.

What is known of a recorded number is often no more than the interval in which it lay: a
pixel, a tick of a clock. Its likelihood is then the interval's chance (censored data;
for mixtures over pixels Salimans et al. 2017, with logistics), and does not grow without
bound as a component narrows, as a density at a point does.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_LOG_ROOT = 0.5 * math.log(2 * math.pi)
_ROOT_2 = math.sqrt(2)
#: An interval of less than so many deviations is as good as a point.
_NARROW = 1e-5


def log_chance(z: Tensor, half: Tensor) -> Tensor:
    """Log chance of z ± half, both (…), under a unit normal; half is above zero.

    It is computed in double precision, since it is a small difference of large numbers,
    and answered in that of z. It can be differentiated once.
    """
    found: Tensor = _LogChance.apply(z, half)  # type: ignore[no-untyped-call]
    return found


class _LogChance(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, half: Tensor) -> Tensor:
        found, by_z, by_half = _with_slopes(_double(z), _double(half))
        ctx.save_for_backward(by_z.to(z), by_half.to(half))
        return found.to(z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        by_z, by_half = ctx.saved_tensors
        return grads[0] * by_z, grads[0] * by_half


def _with_slopes(z: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Work out the log chance, and its slopes along z and half.

    The slopes are the densities at the interval's ends, as shares of its chance. Nothing
    here is a difference of squares, which far out would be all rounding.
    """
    away = z.abs()
    near, far = away - half, away + half  # the ends
    # In a tail, near > 0: with erfcx(x) = exp(x^2) erfc(x) all is relative to the near end.
    out = near.clamp_min(0)
    scaled = torch.special.erfcx(out / _ROOT_2)
    beyond = torch.special.erfcx((out + 2 * half) / _ROOT_2) / scaled
    fall = -2 * half * (out + half)  # of the log density, from end to end
    share = -torch.expm1(fall + beyond.log())
    tail = -0.5 * out.square() + (0.5 * scaled * share).log()
    at_near = math.sqrt(2 / math.pi) / (scaled * share)
    # About the middle, as a difference of chances.
    chance = torch.special.ndtr(far) - torch.special.ndtr(near)
    within = near <= 0
    found = torch.where(within, chance.log(), tail)
    at_near = torch.where(within, torch.exp(-0.5 * near.square() - _LOG_ROOT) / chance, at_near)
    at_far = at_near * torch.where(within, -2 * away * half, fall).exp()
    by_z, by_half = (at_far - at_near) * z.sign(), at_near + at_far
    point = torch.log(2 * half) - 0.5 * away.square() - _LOG_ROOT
    narrow = half < _NARROW
    return (
        torch.where(narrow, point, found),
        torch.where(narrow, -z, by_z),
        torch.where(narrow, 1 / half, by_half),
    )


def _double(tensor: Tensor) -> Tensor:
    """Bring numbers to double precision, off a device that has none."""
    return tensor.to("cpu" if tensor.device.type == "mps" else tensor.device, torch.float64)
