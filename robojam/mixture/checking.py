"""What may become a mixture, and where the first number came in that is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Size, Tensor

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


def checking() -> bool:
    """Whether `checked` is open."""
    return _checking


def finite(name: str, tensor: Tensor | None, *, lowest: bool = False) -> None:
    """Raise ValueError where a tensor holds what is no number; -inf may pass as lowest."""
    if tensor is None:
        return
    wrong = ~tensor.isfinite()
    if lowest:
        wrong &= tensor != -math.inf
    if bool(wrong.any()):
        at = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{name}, of shape {tuple(tensor.shape)}, is {tensor[at].item()} at {at}, "
            f"the first of {int(wrong.sum())}"
        )


def fitting(logits: Tensor, loc: Tensor, log_scale: Tensor, lower: Tensor | None) -> None:
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


def broadcasts(shape: Size, other: Size) -> bool:
    """Whether a value's batch shape can be laid over a mixture's."""
    if shape == other:
        return True
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def wide(tensor: Tensor) -> Tensor:
    """Return half precision as float32: a density is a matter of small differences."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
