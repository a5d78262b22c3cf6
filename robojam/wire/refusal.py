"""Reasons for which a table of a TOML file is refused, in a musician's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


def explain(
    error: msgspec.ValidationError, given: Mapping[str, Any], keys: Sequence[str]
) -> str:
    """Return the reason for which msgspec refuses a table, which may have these keys."""
    text = str(error)
    field = re.search(r"`\$\.([\w-]+)", text)
    if field and field[1] in given:
        return f"{field[1]} = {given[field[1]]!r:.60}: {text.partition(' - at')[0]}"
    unknown = re.search(r"unknown field `(.+?)`", text)
    if unknown:
        return f"there is no {unknown[1]}; allowed: {', '.join(keys)}"
    missing = re.search(r"missing required field `(.+?)`", text)
    if missing:
        return f"{missing[1]} is missing"
    return text.partition(" - at")[0]
