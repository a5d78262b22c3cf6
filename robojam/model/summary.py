"""Running means of whole sequences: what robojam.model.features.summarise computes, at once.

A performance is remembered by a few means over the moves and the landings so far, each with
its own decay. A recurrent network learns such means badly from a thousand performances; as
inputs they cost little. Play updates them event by event; training and scoring compute them
here for all events of a block in a few products of matrices.

B is the number of sequences, T of events, S of a summary's numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robojam.model import features
from robojam.model.event import EventSpec
from robojam.model.features import Motion

#: Events of a block; a product takes the square of it.
_BLOCK = 128


@torch.no_grad()
def summarise_sequences(
    event: EventSpec, values: Tensor, motion: Motion, summary: Tensor
) -> Tensor:
    """Return the summary (B, T, S) after each event, given the one before the first (B, S).

    values (B, T, C) and motion (B, T, 2) as in features.summarise. All events are heard.
    """
    with torch.autocast(values.device.type, enabled=False):
        blocks: list[Tensor] = []
        for start in range(0, values.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            moved = Motion(*(x[:, block] for x in motion))
            blocks.append(_block(event, values[:, block], moved, summary))
            summary = blocks[-1][:, -1]
        return torch.cat(blocks, 1)


def _block(event: EventSpec, values: Tensor, motion: Motion, summary: Tensor) -> Tensor:
    last, slid, now, before = motion
    place = event.position
    assert place is not None
    assert place.slides is not None
    assert event.duration is not None
    moving = values[..., place.slides, None]
    follows = (~last[..., :1].isnan()).to(values.dtype)
    last = torch.where(last.isnan(), features.pick(values, place.columns), last)
    sums = torch.cat(
        [values[..., event.duration, None], slid.norm(dim=-1)[..., None], slid], -1
    )
    stroke = features.describe_stroke(
        torch, event, _sums_since_landing(event, sums * follows, moving, summary)
    )
    strokes_before = torch.cat([summary[:, None, : stroke.shape[-1]], stroke[:, :-1]], 1)
    moves = features.describe_moves(torch, event, values, now, before)
    landings = features.describe_landings(torch, event, values, last, strokes_before)
    own = summary[:, None, features.STROKE_NUMBERS : features.MEANS_START]
    flags: list[Tensor] = []
    means: list[Tensor] = []
    at = features.MEANS_START
    for decays, weight, flag, numbers in (
        (event.move_means, follows * moving, own[..., :1], moves),
        (event.landing_means, follows * (1 - moving), own[..., 1:], landings),
    ):
        # What is not finite must not reach earlier events through the product.
        finite = numbers.nan_to_num(0.0, 0.0, 0.0)
        count = weight.cumsum(1)
        flags.append(torch.where(count > 0, 0 * count, flag))
        between = (count - count.transpose(1, 2)).clamp_min(0)
        for decay in decays:
            stop = at + 1 + numbers.shape[-1]
            old, mean = summary[:, None, at : at + 1], summary[:, None, at + 1 : stop]
            at = stop
            left = decay**count
            new = 1 - (1 - old) * left
            shares = (decay**between * weight.transpose(1, 2)).tril()
            total = left * old * mean + (1 - decay) * (shares @ finite)
            means += [new, total / new.clamp_min(features.LEAST_WEIGHT)]
    return torch.cat([stroke, *flags, *means], -1)


def _sums_since_landing(
    event: EventSpec, sums: Tensor, moving: Tensor, summary: Tensor
) -> Tensor:
    """Return the sums (B, T, 4) of what (B, T, 4) the moves since the last landing add."""
    first = features.stroke_sums(torch, event, summary[:, : features.STROKE_NUMBERS])
    total = (sums * moving).cumsum(1) + first[:, None]
    times = torch.arange(1, sums.shape[1] + 1, device=sums.device)[:, None]
    landed = torch.where(moving > 0, times * 0, times).cummax(1).values
    totals = torch.cat([torch.zeros_like(total[:, :1]), total], 1)
    since: Tensor = total - totals.gather(1, landed.expand_as(total))
    return since
