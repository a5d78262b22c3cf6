"""Rice codes of columns of integers, in blocks, as FLAC codes its residuals. Pure.

A block of up to `BLOCK` values has a header of 6 bits: one bit for the order of the
differences that are coded (0: the values, 1: each value less the one before, also across
blocks), and five for k. A value n is coded as u = 2n, or -2n - 1 if n is negative: u >> k in
unary (zeros and a one), then the low k bits of u. Where u >> k is `ESCAPE` or more, `ESCAPE`
zeros and a one are followed by u in `WIDE` bits. `robojam/export/page/data.js` decodes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]

#: Values of a block; zeros before an escape; bits of an escaped value.
BLOCK, ESCAPE, WIDE = 128, 20, 48
#: The largest k, and the largest absolute value.
_MAX_K, MAX_VALUE = 24, 2 ** (WIDE - 2) - 1


def encode(values: Sequence[int] | Integers) -> bytes:
    """Return the code of a column. Raises ValueError for a value beyond `MAX_VALUE`."""
    column = np.asarray(values, np.int64)
    if len(column) and int(np.abs(column).max()) > MAX_VALUE:
        raise ValueError(f"a value is beyond {MAX_VALUE:,}")
    both = [_zigzag(column), _zigzag(np.diff(column, prepend=np.int64(0)))]
    codes: list[Integers] = []
    widths: list[Integers] = []
    for start in range(0, len(column), BLOCK):
        costs = [_costs(order[start : start + BLOCK]) for order in both]
        order, k = divmod(int(np.argmin(costs)), _MAX_K + 1)
        u = both[order][start : start + BLOCK]
        zeros = u >> k
        escaped = zeros >= ESCAPE
        codes += [
            np.array([order << 5 | k], np.int64),
            np.where(escaped, u | 1 << WIDE, u & (1 << k) - 1 | 1 << k),
        ]
        widths += [
            np.array([6], np.int64),
            np.where(escaped, ESCAPE + 1 + WIDE, zeros + 1 + k),
        ]
    return _pack(np.concatenate(codes), np.concatenate(widths)) if codes else b""


def _zigzag(values: Integers) -> Integers:
    zigzag: Integers = np.where(values < 0, -2 * values - 1, 2 * values)
    return zigzag


def _costs(u: Integers) -> Integers:
    """Return the bits that a block takes with each k."""
    k = np.arange(_MAX_K + 1)[:, None]
    zeros = u >> k
    bits = np.where(zeros >= ESCAPE, ESCAPE + 1 + WIDE, zeros + 1 + k)
    total: Integers = bits.sum(1)
    return total


def _pack(codes: Integers, widths: Integers) -> bytes:
    """Return the codes one after the other, each in as many bits, the highest first."""
    ends = np.cumsum(widths)
    bits = np.zeros(int(ends[-1]), np.uint8)
    for place in range(WIDE + 1):
        bits[ends[(codes >> place) & 1 == 1] - 1 - place] = 1
    return np.packbits(bits).tobytes()
