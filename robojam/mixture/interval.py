"""Log probability of an interval under a unit normal, with its gradient.

A recorded number is often known only to an interval: a pixel, a tick of a clock. Its
likelihood is then the probability of the interval (interval-censored data; Salimans et al.
2017 use it for mixtures of logistics over pixels). Unlike the density at a point it does not
grow without bound as a component narrows.
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
#: Intervals narrower than this, in standard deviations, are computed as points.
_NARROW = 1e-5


def log_probability(z: Tensor, half: Tensor) -> Tensor:
    """Return the log probability (…) of z ± half, both (…), under a unit normal; half > 0.

    It is computed in double precision, since it is a small difference of large numbers, and
    returned in the precision of z. It can be differentiated once.
    """
    result: Tensor = _LogChance.apply(z, half)  # type: ignore[no-untyped-call]
    return result


class _LogChance(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, half: Tensor) -> Tensor:
        result, by_z, by_half = _differentiate(_double(z), _double(half))
        ctx.save_for_backward(by_z.to(z), by_half.to(half))
        return result.to(z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        by_z, by_half = ctx.saved_tensors
        return grads[0] * by_z, grads[0] * by_half


def _differentiate(z: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log probability, and its gradients by z and by half.

    The gradients are the densities at the interval's ends, relative to its probability. No
    differences of squares occur, which far from 0 would be only rounding errors.
    """
    away = z.abs()
    near, far = away - half, away + half  # the ends
    # In a tail (near > 0) erfcx(x) = exp(x^2) erfc(x) makes all relative to the near end.
    out = near.clamp_min(0)
    scaled = torch.special.erfcx(out / _ROOT_2)
    beyond = torch.special.erfcx((out + 2 * half) / _ROOT_2) / scaled
    fall = -2 * half * (out + half)  # of the log density, from end to end
    share = -torch.expm1(fall + beyond.log())
    tail = -0.5 * out.square() + (0.5 * scaled * share).log()
    at_near = math.sqrt(2 / math.pi) / (scaled * share)
    # Around 0: a difference of probabilities.
    probability = torch.special.ndtr(far) - torch.special.ndtr(near)
    within = near <= 0
    log_probabilities = torch.where(within, probability.log(), tail)
    at_centre = torch.exp(-0.5 * near.square() - _LOG_ROOT) / probability
    at_near = torch.where(within, at_centre, at_near)
    at_far = at_near * torch.where(within, -2 * away * half, fall).exp()
    by_z, by_half = (at_far - at_near) * z.sign(), at_near + at_far
    point = torch.log(2 * half) - 0.5 * away.square() - _LOG_ROOT
    narrow = half < _NARROW
    choices = ((point, log_probabilities), (-z, by_z), (1 / half, by_half))
    result, by_z, by_half = (torch.where(narrow, *choice) for choice in choices)
    return result, by_z, by_half


def _double(tensor: Tensor) -> Tensor:
    """Return numbers in double precision, on the CPU if their device has none."""
    return tensor.to("cpu" if tensor.device.type == "mps" else tensor.device, torch.float64)
