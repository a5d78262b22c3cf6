"""Protocol of what plays for the HTTP API, here or on other machines.

The application (robojam.web.api) knows no more of it: robojam.web.workers plays in processes of
this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from robojam.web.api_types import ModelInfo, Wanted


class BusyError(Exception):
    """All places are taken; the text says whose. retry_after is in seconds.

    of_host: it is the client that has taken too many.
    """

    def __init__(self, reason: str, *, retry_after: float, of_host: bool = False) -> None:
        super().__init__(reason)
        self.retry_after, self.of_host = retry_after, of_host


class LostError(Exception):
    """A request cannot be answered, through no fault of its own; the text says why."""


class Answerer(Protocol):
    """Player of takes, many at a time."""

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models, the first of them the default. Raises LostError."""

    async def answer(self, wanted: Sequence[Wanted], *, owner: str) -> list[bytes]:
        """Return what was wanted: JSON of touches, or CSV where a call is CSV.

        All of it is of one request, whose client belongs to owner. It is dropped when this is
        cancelled. Raises BusyError at once, where there are no places for all; LostError; and
        robojam.web.api_types.InvalidError for a call that cannot be read.
        """

    def report(self) -> dict[str, Any]:
        """Return what it does, for people and programs that watch it."""
