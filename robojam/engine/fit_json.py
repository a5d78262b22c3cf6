"""JSON of a bounded size, for an answer that is one packet. Pure."""

import json
from collections.abc import Iterator
from typing import Any

#: Characters from which a text is left out where there is no room.
_LONG = 64


def fit_json(report: dict[str, Any], most: int) -> str:
    """Return a report as JSON (ASCII) of at most `most` bytes.

    Where it is longer, the longest list loses its second half, or the longest text is left
    out, until it fits. `left_out` says how many values are missing, by the name of the list or
    of the text. The report itself is not changed.
    """
    text = json.dumps(report)
    if len(text) <= most:
        return text
    report = json.loads(text)
    left_out: dict[str, int] = {}
    while len(text := json.dumps(report | {"left_out": left_out})) > most:
        sizes = [(len(json.dumps(value)), key, holder) for holder, key, value in _parts(report)]
        if not sizes:
            break
        _, key, holder = max(sizes, key=lambda part: part[0])
        value = holder[key]
        missing = len(value) - len(value) // 2 if isinstance(value, list) else 1
        if isinstance(value, list):
            del value[len(value) - missing :]
        else:
            del holder[key]
        left_out[key] = left_out.get(key, 0) + missing
    return text


def _parts(holder: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield what can be left out of a report: its container, its name and its value."""
    for key, value in holder.items():
        if isinstance(value, dict):
            yield from _parts(value)
        elif (isinstance(value, list) and value) or (
            isinstance(value, str) and len(value) > _LONG
        ):
            yield holder, key, value
