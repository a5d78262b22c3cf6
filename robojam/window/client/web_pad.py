"""State of the web pad, on which phones play, as the engine reports it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from robojam.wire.port_problems import plain

#: Address of the page with its token, as the engine makes it.
_ADDRESS = re.compile(r"https?://[\w.:\[\]%-]{1,100}/[\w./?=&~-]{0,100}")


@dataclass(frozen=True, slots=True)
class WebPad:
    """Page on which phones play. url has its address and token, "" while it is off."""

    url: str = ""
    connections: int = 0
    problem: str = ""


def parse_web_pad(value: object) -> WebPad:
    """Return the web pad in an engine's status; one that is off where there is none."""
    if not isinstance(value, dict):
        return WebPad()
    url, connections = value.get("url"), value.get("connections")
    is_address = isinstance(url, str) and _ADDRESS.fullmatch(url) is not None
    return WebPad(
        url=str(url) if is_address else "",
        connections=connections
        if type(connections) is int and 0 <= connections < 10_000
        else 0,
        problem=plain(value.get("problem", ""), 300),
    )
