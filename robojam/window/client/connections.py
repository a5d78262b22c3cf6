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


def _read(told: object) -> tuple[str, int] | None:
    """Return what is wrong (or nothing), and how much went through; None: not there."""
    if not told:
        return None
    if not isinstance(told, dict):
        return "", 0
    ends = [one for side in ("in", "out") for one in _each(told.get(side))]
    if ("in" in told or "out" in told) and not ends:
        return None
    wrong = told.get("trouble") or told.get("error")
    state = told.get("state")
    if not wrong and isinstance(state, str) and state not in _WELL:
        wrong = state
    counts = (one.get("messages") for one in ends)
    return str(wrong or ""), sum(n for n in counts if isinstance(n, int))


def _each(told: object) -> Iterable[dict[str, object]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else ()


@dataclass(slots=True)
class Connections:
    """The connections that are there, with what is wrong; when each was last used (s)."""

    there: dict[str, str] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _wrong_since: dict[str, float] = field(default_factory=dict)

    def use(self, name: str, now: float) -> None:
        """Something has come through."""
        self.used[name] = now

    def lit(self, name: str, now: float) -> bool:
        """Whether something has just come through."""
        return now - self.used.get(name, float("-inf")) < LIT

    def wrong(self, now: float) -> list[str]:
        """Say what has gone wrong lately."""
        return [
            said if said.startswith(("no ", "the ")) else f"{name}: {said}"
            for name, said in self.there.items()
            if said and now - self._wrong_since.get(name, now) < TELL
        ]

    def tell(self, name: str, told: object, now: float) -> None:
        """Take what a status says of one."""
        found = _read(told)
        if found is None:
            self.there.pop(name, None)
            return
        wrong, count = found
        if self.there.get(name, "") != wrong:
            self._wrong_since[name] = now
        self.there[name] = wrong
        if self._counts.get(name, count) != count:
            self.use(name, now)
        self._counts[name] = count
