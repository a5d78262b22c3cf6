"""Ports of the engine (OSC, MIDI, sound) as its status reports them. Pure.

The engine may be another machine's: what it reports is bounded and escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from robojam.wire.port_problems import MAX_ENTRIES, entries, midi_ports, plain, port_problems

#: A port's light is lit for this many seconds after a message.
ACTIVE_SHOWN = 0.15
#: Each new problem has a line of its own for this many seconds; after that, all share one.
NEW_PROBLEM_SHOWN = 8.0
#: Seconds for which an echo is reported after it was heard last.
ECHO_SHOWN = 10.0


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


@dataclass(slots=True)
class EnginePorts:
    """Ports that the engine has, each with its problems; none when it works.

    last_used holds the time of each port's last message, in seconds.
    """

    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    last_used: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    #: When each problem was reported first, and each echo last.
    _since: dict[str, float] = field(default_factory=dict)
    _echoes: dict[str, int] = field(default_factory=dict)
    _echo_lines: dict[str, tuple[str, float]] = field(default_factory=dict)

    def mark_used(self, name: str, now: float) -> None:
        """Note that a message passed through a port."""
        self.last_used[name] = now

    def is_active(self, name: str, now: float) -> bool:
        """Return whether a message passed through a port within ACTIVE_SHOWN seconds."""
        return now - self.last_used.get(name, float("-inf")) < ACTIVE_SHOWN

    def all_problems(self) -> list[str]:
        """Return a line for each present problem."""
        return [line for lines in self.problems.values() for line in lines]

    def lines(self, now: float) -> list[str]:
        """Return the lines to show: one for each new problem, one for all older ones.

        The older ones are shortened: advice comes after a semicolon.
        """
        new: list[str] = []
        old: list[str] = []
        for line in self.all_problems():
            is_new = now - self._since.get(line, now) < NEW_PROBLEM_SHOWN
            if is_new:
                new.append(line)
            else:
                old.append(line.partition("; ")[0])
        echoes = [line for line, until in self._echo_lines.values() if now < until]
        return [*new, *echoes, *([" · ".join(old)] if old else [])]

    def update(self, status: dict[str, object], now: float) -> None:
        """Update all ports from the engine's status."""
        midi = status.get("midi")
        self.problems = port_problems(status)
        if "midi" in self.problems and isinstance(midi, dict):
            count = sum(_whole(port.get("messages")) for port in midi_ports(midi))
            if self._counts.get("midi", count) != count:
                self.mark_used("midi", now)
            self._counts["midi"] = count
        self._since = {line: self._since.get(line, now) for line in self.all_problems()}
        self._update_echoes(entries(status.get("echo")), now)

    def _update_echoes(self, reported: list[dict[str, object]], now: float) -> None:
        before, self._echoes = self._echoes, {}
        for entry in reported:
            source, dropped = plain(entry.get("source"), 60), _whole(entry.get("dropped"))
            self._echoes[source] = dropped
            if dropped > before.get(source, 0):
                delay = entry.get("delay_ms")
                known = isinstance(delay, int | float) and 0 <= delay < 1e5
                after = f" after {delay:.0f} ms" if known else ""
                line = f"{source} sends back what robojam plays{after}: it is not heard"
                self._echo_lines[source] = line, now + ECHO_SHOWN
        self._echo_lines = {
            source: line
            for source, line in list(self._echo_lines.items())[-MAX_ENTRIES:]
            if now < line[1]
        }
