"""Reasons for which a table of a TOML file is refused, in a musician's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

#: Letters of a reason of msgspec.
_LONGEST = 200


def explain(
    error: msgspec.ValidationError, given: Mapping[str, Any], keys: Sequence[str]
) -> str:
    """Return the reason for which msgspec refuses a table, which may have these keys."""
    text = str(error)
    field = re.search(r"`\$\.([\w-]+)", text)
    if field and field[1] in given:
        why = text.partition(" - at")[0]
        if len(why) > _LONGEST:  # it has the value, too
            why = f"{why:.{_LONGEST}}…"
        return f"{field[1]} = {given[field[1]]!r:.60}: {why}"
    unknown = re.search(r"unknown field `(.+?)`", text)
    if unknown:
        return f"there is no {unknown[1]:.60}; allowed: {', '.join(keys)}"
    missing = re.search(r"missing required field `(.+?)`", text)
    if missing:
        return f"{missing[1]} is missing"
    return text.partition(" - at")[0]
