"""The triangles I + C, C strictly lower: laid out, applied, and solved without inverting.

The rows of C (D × D) stand one after another, lower (…, D(D-1)/2). Up to ROWS dimensions
they are gone through one by one, which costs no matrix; beyond, it is LAPACK's.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Up to so many dimensions a triangle is gone through row by row.
ROWS = 8


def strict(lower: Tensor, dims: int) -> Tensor:
    """Lay C out as a matrix (…, D, D)."""
    row, column = torch.tril_indices(dims, dims, -1, device=lower.device)
    matrix = lower.new_zeros(*lower.shape[:-1], dims, dims)
    matrix[..., row, column] = lower
    return matrix


def coloured(z: Tensor, lower: Tensor) -> Tensor:
    """Return (I + C) z for z (…, D)."""
    dims = z.shape[-1]
    if dims > ROWS:
        return z + (strict(lower, dims) * z.unsqueeze(-2)).sum(-1)
    c, drawn = iter(lower.unbind(-1)), list(z.unbind(-1))
    for i in range(1, dims):
        for j in range(i):
            drawn[i] = drawn[i] + next(c) * z[..., j]
    return torch.stack(drawn, -1)


def whitened(d: Tensor, lower: Tensor) -> list[Tensor]:
    """Solve (I + C) z = d (…, D), D no more than ROWS: the D columns (…) of z."""
    columns, c = list(d.unbind(-1)), iter(lower.unbind(-1))
    for i in range(1, len(columns)):
        for j in range(i):
            columns[i] = columns[i] - next(c) * columns[j]
    return columns


def solved(d: Tensor, lower: Tensor) -> Tensor:
    """Solve (I + C) z = d (…, D): z."""
    if d.shape[-1] > ROWS:
        return _solve(strict(lower, d.shape[-1]), d, upper=False)
    return torch.stack(whitened(d, lower), -1)


def squared(d: Tensor, lower: Tensor | None) -> Tensor:
    """Squared length (…) of z (…, D), where (I + C) z = d."""
    dims = d.shape[-1]
    if dims <= ROWS:
        first, *others = d.unbind(-1) if lower is None else whitened(d, lower)
        square = first * first  # a sum over a short axis takes several times as long
        for column in others:
            square = square + column * column
        return square
    if lower is not None:
        d = _solve(strict(lower, dims), d, upper=False)
    return d.square().sum(-1)


def twice(d: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
    """Solve (I + C) z = d and (I + C)ᵀ w = z, all (…, D): z and w."""
    dims = d.shape[-1]
    if dims > ROWS:
        matrix = strict(lower, dims)
        z = _solve(matrix, d, upper=False)
        return z, _solve(matrix.mT, z, upper=True)
    columns, c = whitened(d, lower), lower.unbind(-1)
    back = list(columns)
    for i in reversed(range(dims)):
        for j in range(i):
            back[j] = back[j] - c[i * (i - 1) // 2 + j] * back[i]
    return torch.stack(columns, -1), torch.stack(back, -1)


def below(left: Tensor, right: Tensor) -> Tensor:
    """Rows below the diagonal of left rightᵀ (…, D, D), both (…, D): (…, D(D-1)/2)."""
    dims = left.shape[-1]
    if dims > ROWS:
        row, column = torch.tril_indices(dims, dims, -1, device=left.device)
        return left[..., row] * right[..., column]
    rows, columns = left.unbind(-1), right.unbind(-1)
    return torch.stack([rows[i] * columns[j] for i in range(1, dims) for j in range(i)], -1)


def _solve(matrix: Tensor, right: Tensor, *, upper: bool) -> Tensor:
    found: Tensor = torch.linalg.solve_triangular(
        matrix, right.unsqueeze(-1), upper=upper, unitriangular=True
    )
    return found.squeeze(-1)
