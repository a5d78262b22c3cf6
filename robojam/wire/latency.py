"""What follows the ? in the text of an output: HOST:PORT?latency=12&thru. Pure."""

from __future__ import annotations

from typing import Final

#: Longest latency of an output, in seconds: all others wait for it.
MAX_LATENCY: Final = 0.5

_MARK: Final = "?latency="


def split_thru(text: str) -> tuple[str, bool]:
    """Return a text without its word thru after the ?, and whether it has it."""
    rest, mark, query = text.rpartition("?")
    words = query.split("&")
    if not mark or "thru" not in words:
        return text, False
    words.remove("thru")
    return f"{rest}?{'&'.join(words)}" if words else rest, True


def split_latency(text: str) -> tuple[str, float]:
    """Return what comes before ?latency=MS, and the latency in seconds; 0 without.

    Raises ValueError.
    """
    rest, mark, given = text.rpartition(_MARK)
    if not mark:
        return text, 0.0
    try:
        seconds = float(given) / 1000
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_LATENCY:
        longest = f"{1000 * MAX_LATENCY:g}"
        raise ValueError(f"{given!r:.60} is no latency: milliseconds from 0 to {longest}")
    return rest, seconds
