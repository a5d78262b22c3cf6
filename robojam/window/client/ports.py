"""Ports of the engine (OSC, MIDI, sound) as its status reports them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

#: A port's light is lit for this many seconds after a message.
ACTIVE_SHOWN = 0.15
#: A port's error is shown as text for this many seconds; its name stays coloured.
ERROR_SHOWN = 8.0
#: Values of a port's state that are no error.
_WORKING = frozenset(["playing", "starting", "open", "connected", "ok"])


@dataclass(slots=True)
class EnginePorts:
    """Ports that the engine has, each with its error, or '' when it works.

    last_used holds the time of each port's last message, in seconds.
    """

    errors: dict[str, str] = field(default_factory=dict)
    last_used: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _failed_at: dict[str, float] = field(default_factory=dict)

    def mark_used(self, name: str, now: float) -> None:
        """Note that a message passed through a port."""
        self.last_used[name] = now

    def is_active(self, name: str, now: float) -> bool:
        """Return whether a message passed through a port within ACTIVE_SHOWN seconds."""
        return now - self.last_used.get(name, float("-inf")) < ACTIVE_SHOWN

    def recent_errors(self, now: float) -> list[str]:
        """Return an error line for each port that failed within ERROR_SHOWN seconds."""
        return [
            error if error.startswith(("no ", "the ")) else f"{name}: {error}"
            for name, error in self.errors.items()
            if error and now - self._failed_at.get(name, now) < ERROR_SHOWN
        ]

    def update(self, name: str, report: object, now: float) -> None:
        """Update a port from its entry in the engine's status."""
        status = report if isinstance(report, dict) else {}
        sides = [status[side] for side in ("in", "out") if side in status]
        entries = [entry for side in sides if isinstance(side, list) for entry in side]
        ports = [entry for entry in entries if isinstance(entry, dict)]
        if not report or (sides and not ports):  # the engine has no such port
            self.errors.pop(name, None)
            return
        state = status.get("state")
        stopped = state if isinstance(state, str) and state not in _WORKING else ""
        error = str(status.get("trouble") or status.get("error") or stopped)
        counts = (port.get("messages") for port in ports)
        count = sum(n for n in counts if isinstance(n, int))
        if self.errors.get(name, "") != error:
            self._failed_at[name] = now
        self.errors[name] = error
        if self._counts.get(name, count) != count:
            self.mark_used(name, now)
        self._counts[name] = count
