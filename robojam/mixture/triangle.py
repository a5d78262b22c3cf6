"""Products and solutions with unit triangular matrices I + C, C strictly lower triangular.

The rows of C (D × D) are stored one after another: lower (…, D(D-1)/2). Up to MAX_ROWS
dimensions the code goes through them one by one, without building a matrix; beyond, LAPACK
solves.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Up to this many dimensions, the code goes through C row by row.
MAX_ROWS = 8


def strict_matrix(lower: Tensor, dims: int) -> Tensor:
    """Return C as a matrix (…, D, D)."""
    row, column = torch.tril_indices(dims, dims, -1, device=lower.device)
    matrix = lower.new_zeros(*lower.shape[:-1], dims, dims)
    matrix[..., row, column] = lower
    return matrix


def multiply(z: Tensor, lower: Tensor) -> Tensor:
    """Return (I + C) z for z (…, D)."""
    dims = z.shape[-1]
    if dims > MAX_ROWS:
        return z + (strict_matrix(lower, dims) * z.unsqueeze(-2)).sum(-1)
    c, drawn = iter(lower.unbind(-1)), list(z.unbind(-1))
    for i in range(1, dims):
        for j in range(i):
            drawn[i] = drawn[i] + next(c) * z[..., j]
    return torch.stack(drawn, -1)


def solve_columns(d: Tensor, lower: Tensor) -> list[Tensor]:
    """Solve (I + C) z = d (…, D), D <= MAX_ROWS; return the D columns (…) of z."""
    columns, c = list(d.unbind(-1)), iter(lower.unbind(-1))
    for i in range(1, len(columns)):
        for j in range(i):
            columns[i] = columns[i] - next(c) * columns[j]
    return columns


def solve(d: Tensor, lower: Tensor) -> Tensor:
    """Solve (I + C) z = d; return z (…, D)."""
    if d.shape[-1] > MAX_ROWS:
        return _solve(strict_matrix(lower, d.shape[-1]), d, upper=False)
    return torch.stack(solve_columns(d, lower), -1)


def squared_norm(d: Tensor, lower: Tensor | None) -> Tensor:
    """Return the squared norm (…) of z (…, D), where (I + C) z = d."""
    dims = d.shape[-1]
    if dims <= MAX_ROWS:
        first, *others = d.unbind(-1) if lower is None else solve_columns(d, lower)
        square = first * first  # torch's sum over a short axis takes several times as long
        for column in others:
            square = square + column * column
        return square
    if lower is not None:
        d = _solve(strict_matrix(lower, dims), d, upper=False)
    return d.square().sum(-1)


def solve_twice(d: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
    """Solve (I + C) z = d and (I + C)ᵀ w = z, all (…, D); return z and w."""
    dims = d.shape[-1]
    if dims > MAX_ROWS:
        matrix = strict_matrix(lower, dims)
        z = _solve(matrix, d, upper=False)
        return z, _solve(matrix.mT, z, upper=True)
    columns, c = solve_columns(d, lower), lower.unbind(-1)
    back = list(columns)
    for i in reversed(range(dims)):
        for j in range(i):
            back[j] = back[j] - c[i * (i - 1) // 2 + j] * back[i]
    return torch.stack(columns, -1), torch.stack(back, -1)


def outer_below(left: Tensor, right: Tensor) -> Tensor:
    """Return the rows (…, D(D-1)/2) below the diagonal of left rightᵀ, both (…, D)."""
    dims = left.shape[-1]
    if dims > MAX_ROWS:
        row, column = torch.tril_indices(dims, dims, -1, device=left.device)
        return left[..., row] * right[..., column]
    rows, columns = left.unbind(-1), right.unbind(-1)
    return torch.stack([rows[i] * columns[j] for i in range(1, dims) for j in range(i)], -1)


def _solve(matrix: Tensor, right: Tensor, *, upper: bool) -> Tensor:
    """Solve matrix x = right for a unit triangular matrix (…, D, D); return x (…, D)."""
    solution: Tensor = torch.linalg.solve_triangular(
        matrix, right.unsqueeze(-1), upper=upper, unitriangular=True
    )
    return solution.squeeze(-1)
