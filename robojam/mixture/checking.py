"""Checks of the parameters and values of mixtures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Size, Tensor

_checking = False


@contextmanager
def checked() -> Iterator[None]:
    """Check, within the block, that all numbers given to layers and mixtures are finite.

    The first that is not raises a ValueError that names its tensor (a layer's features or
    weights, a mixture's parameters, or a value) and its index. This costs a pass over each
    tensor.
    """
    global _checking
    before, _checking = _checking, True
    try:
        yield
    finally:
        _checking = before


def is_checking() -> bool:
    """Return whether a block of `checked` is active."""
    return _checking


def check_finite(name: str, tensor: Tensor | None, *, lowest: bool = False) -> None:
    """Raise ValueError if a tensor holds NaN or infinity; lowest allows -inf."""
    if tensor is None:
        return
    wrong = ~tensor.isfinite()
    if lowest:
        wrong &= tensor != -math.inf
    if bool(wrong.any()):
        at = tuple(wrong.nonzero()[0].tolist())
        found = f"{tensor[at].item()} at {at}, the first of {int(wrong.sum())}"
        raise ValueError(f"{name}, of shape {tuple(tensor.shape)}, is {found}")


def check_parts(logits: Tensor, loc: Tensor, log_scale: Tensor, lower: Tensor | None) -> None:
    """Raise ValueError for parameters of a mixture with wrong types or shapes."""
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
        sizes = f"{dims} and {logits.shape[-1]}"
        raise ValueError(f"a mixture has at least one dimension and one component, not {sizes}")
    wanted = (*logits.shape, dims * (dims - 1) // 2)
    if lower is not None and lower.shape != wanted:
        raise ValueError(f"lower has shape {tuple(lower.shape)}, it wants {wanted}")


def can_broadcast(shape: Size, other: Size) -> bool:
    """Return whether the batch shapes of a value and a mixture broadcast together."""
    if shape == other:
        return True
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return half precision as float32, as a density depends on small differences."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
