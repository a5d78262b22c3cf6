"""The ways in and out of the engine, as its status tells of them: there, how they do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

#: A connection's light stays lit for so long after something came through, in seconds.
LIT = 0.15
#: What goes wrong with one is told in words for so long, in seconds; its colour stays.
TELL = 8.0
#: What a connection's state is called when all is well.
_WELL = frozenset(["playing", "starting", "open", "connected", "ok"])


def _parse_report(report: object) -> tuple[str, int] | None:
    """Return what is wrong (or nothing), and how much went through; None: not there."""
    if not report:
        return None
    if not isinstance(report, dict):
        return "", 0
    ends = [one for side in ("in", "out") for one in _each(report.get(side))]
    if ("in" in report or "out" in report) and not ends:
        return None
    wrong = report.get("trouble") or report.get("error")
    state = report.get("state")
    if not wrong and isinstance(state, str) and state not in _WELL:
        wrong = state
    counts = (one.get("messages") for one in ends)
    return str(wrong or ""), sum(n for n in counts if isinstance(n, int))


def _each(report: object) -> Iterable[dict[str, object]]:
    return [one for one in report if isinstance(one, dict)] if isinstance(report, list) else ()


@dataclass(slots=True)
class EnginePorts:
    """The connections that are there, with what is wrong; when each was last used (s)."""

    errors: dict[str, str] = field(default_factory=dict)
    last_used: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _failed_at: dict[str, float] = field(default_factory=dict)

    def mark_used(self, name: str, now: float) -> None:
        """Something has come through."""
        self.last_used[name] = now

    def is_active(self, name: str, now: float) -> bool:
        """Whether something has just come through."""
        return now - self.last_used.get(name, float("-inf")) < LIT

    def recent_errors(self, now: float) -> list[str]:
        """Say what has gone wrong lately."""
        return [
            said if said.startswith(("no ", "the ")) else f"{name}: {said}"
            for name, said in self.errors.items()
            if said and now - self._failed_at.get(name, now) < TELL
        ]

    def update(self, name: str, report: object, now: float) -> None:
        """Take what a status says of one."""
        found = _parse_report(report)
        if found is None:
            self.errors.pop(name, None)
            return
        wrong, count = found
        if self.errors.get(name, "") != wrong:
            self._failed_at[name] = now
        self.errors[name] = wrong
        if self._counts.get(name, count) != count:
            self.mark_used(name, now)
        self._counts[name] = count
