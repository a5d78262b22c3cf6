"""What is replaced within robojam's formulas and events while a variant runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import pad

from robojam.mixture import Mixture
from robojam.model import features as formulas
from robojam.model.event import EventSpec, Factor


@contextmanager
def _replaced(**functions: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for name, function in functions.items():
            stack.enter_context(mock.patch.object(formulas, name, function))
        yield


def nothing_carried() -> Any:
    return _replaced(carries=lambda _event, _factor: 0)


def one_carried() -> Any:
    carries, motion = formulas.carries, formulas.motion
    return _replaced(
        carries=lambda event, factor: min(1, carries(event, factor)),
        motion=lambda *args: motion(*args)[..., :1, :],
    )


def one_stays() -> Any:
    """Let the first component of a slide have its mean at the last place."""
    components = formulas.components

    def fixed(xp: Any, event: EventSpec, factor: Factor, out: Tensor, values: Tensor,
              *motion: Tensor) -> Any:  # fmt: skip
        found = components(xp, event, factor, out, values, *motion)
        if factor.slides is None:
            return found
        first = torch.arange(factor.components, device=out.device) == 0
        stays = (values[..., factor.slides, None] > 0.5) & first
        return replace(found, mean=found.mean.masked_fill(stays[..., None], 0.0))

    return _replaced(components=fixed)


def points() -> Any:
    """Score the density at a point drawn from each interval, and not the interval's chance."""

    def at_a_point(mixture: Mixture, value: Tensor, width: Tensor | float) -> Tensor:
        wide = torch.as_tensor(width, dtype=value.dtype).expand(value.shape)
        point = value + (torch.rand_like(value) - 0.5) * wide
        return mixture.log_prob(point) + wide.log().sum(-1)

    return mock.patch.object(Mixture, "interval_log_prob", at_a_point)


#: So many features are added by `more_of_the_stroke`.
_MORE = 10


def more_of_the_stroke() -> Any:
    """Add to the features what the whole stroke so far tells.

    They are reckoned over the window that is heard, and begin anew with it.
    """
    features, count = formulas.features, formulas.feature_count

    def more(xp: Any, event: EventSpec, values: Tensor, slid: Tensor, now: Tensor,
             before: Tensor) -> Tensor:  # fmt: skip
        told = features(xp, event, values, slid, now, before)
        position = event.position
        assert position is not None
        assert position.slides is not None
        assert event.duration is not None
        landed = values[..., position.slides] < 0.5
        landed = landed | (torch.arange(values.shape[1], device=values.device) == 0)
        which = torch.arange(values.shape[1], device=values.device).expand(landed.shape)
        which = torch.where(landed, which, 0).cummax(1).values  # where its stroke began
        place = values[..., list(position.columns)]

        def since(of: Tensor) -> Tensor:
            return of - of.gather(1, which[..., None].expand(of.shape))

        time = since(values[..., event.duration, None].clamp_min(0).cumsum(1))
        way = since(slid.norm(dim=-1, keepdim=True).cumsum(1))
        product = (now.norm(dim=-1) * before.norm(dim=-1)).clamp_min(1e-6)
        cross = (now[..., 0] * before[..., 1] - now[..., 1] * before[..., 0]) / product
        along = (now * before).sum(-1) / product
        older = [pad(before, (0, 0, n, 0))[:, : values.shape[1]] for n in (1, 2)]
        parts = [
            told,
            torch.log1p(10 * time),
            torch.log1p(10 * way),
            4 * since(place),
            cross[..., None],
            along[..., None],
            *(torch.arcsinh(v / event.speed) for v in older),
        ]
        return torch.cat(parts, -1)

    return _replaced(features=more, feature_count=lambda event: count(event) + _MORE)


def _ordered(event: EventSpec, *names: str) -> tuple[Factor, ...]:
    by_name = {factor.name: factor for factor in event.factors}
    return tuple(by_name[name] for name in names)


def dt_before_phase(event: EventSpec) -> EventSpec:
    return msgspec.structs.replace(event, factors=_ordered(event, "dt", "phase", "xy"))


def place_before_dt(event: EventSpec) -> EventSpec:
    factors = _ordered(event, "phase", "xy", "dt")
    return msgspec.structs.replace(event, factors=factors, duration=None)
