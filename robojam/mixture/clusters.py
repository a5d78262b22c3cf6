"""Clusters of targets, from which the components of a mixture start; scaling of targets."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Targets that clusters are made of; of more, every n-th is taken.
_MOST = 8192
#: Iterations of k-means.
_ITERATIONS = 20
#: Smallest deviation of a cluster, in deviations of all targets.
_NARROWEST = 0.01


class Scaling(NamedTuple):
    """Centre and scale of targets, each (D,): `net(x).scaled(*scaling)` has their units.

    The network then computes numbers near 0 and 1, whatever the units of the targets.
    """

    centre: Tensor
    scale: Tensor

    @classmethod
    def of(cls, targets: Tensor) -> Scaling:
        """Return mean and standard deviation of targets (…, D); 1 where all are equal.

        Targets that are not finite do not count. Raises ValueError as `finite_targets`, and
        for one without an axis before D.
        """
        if targets.ndim < 2:
            shape = tuple(targets.shape)
            raise ValueError(f"targets {shape} do not fit: they are (N, D), for D = 1 (N, 1)")
        values = finite_targets(targets, targets.shape[-1])
        scale = values.std(0, correction=0)
        return cls(values.mean(0), torch.where(scale > 0, scale, torch.ones_like(scale)))


def finite_targets(targets: Tensor, dims: int) -> Tensor:
    """Return those of targets (…, dims) that are finite, as (N, dims).

    Raises ValueError for another width, for integers, and where no target is finite.
    """
    if targets.shape[-1:] != (dims,) or not targets.is_floating_point():
        given = f"targets {tuple(targets.shape)} of {targets.dtype}"
        raise ValueError(f"{given} do not fit: they are floats (…, {dims})")
    values = targets.reshape(-1, dims)
    values = values[values.isfinite().all(-1)]
    if not len(values):
        raise ValueError("there is no finite target")
    return values


def clusters(values: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return means (K, D), deviations (K, D) and shares (K) of K clusters of values (N, D)."""
    values = values[:: -(-len(values) // _MOST)]
    centre, scale = Scaling.of(values)
    unit = (values - centre) / scale
    if values.shape[-1] == 1:
        order = unit[:, 0].argsort(stable=True)
        nearest = torch.empty_like(order)
        nearest[order] = torch.arange(len(order), device=order.device) * count // len(order)
        means = _means(unit, nearest, _first(unit[order], count))
    else:
        means = _first(_farthest(unit, count), count)
        for _ in range(_ITERATIONS):
            nearest = torch.cdist(unit, means).argmin(-1)
            means = _means(unit, nearest, means)
        nearest = torch.cdist(unit, means).argmin(-1)
    members = torch.bincount(nearest, minlength=count)
    apart = (unit - means[nearest]).square()
    variance = torch.zeros_like(means).index_add_(0, nearest, apart)
    deviations = (variance / members.clamp(min=1)[:, None]).sqrt().clamp(min=_NARROWEST)
    return means * scale + centre, deviations * scale, (members + 1) / (members.sum() + count)


def _means(values: Tensor, nearest: Tensor, otherwise: Tensor) -> Tensor:
    """Return the mean of each cluster; of an empty one, what it was."""
    members = torch.bincount(nearest, minlength=len(otherwise))[:, None]
    sums = torch.zeros_like(otherwise).index_add_(0, nearest, values)
    return torch.where(members > 0, sums / members.clamp(min=1), otherwise)


def _farthest(values: Tensor, count: int) -> Tensor:
    """Return values far from each other: the one nearest the middle, then the farthest."""
    chosen = [int(values.square().sum(-1).argmin())]
    apart = torch.full_like(values[:, 0], torch.inf)
    for _ in range(min(count, len(values)) - 1):
        apart = torch.minimum(apart, (values - values[chosen[-1]]).square().sum(-1))
        chosen.append(int(apart.argmax()))
    return values[chosen]


def _first(values: Tensor, count: int) -> Tensor:
    """Return count values, evenly from all of them; some more than once if they are few."""
    at = torch.arange(count, device=values.device) * len(values) // count
    return values[at]
