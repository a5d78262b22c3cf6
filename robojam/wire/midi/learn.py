"""MIDI learn: what is turned, pressed or played is taken. Pure.

Each wish is learnt by itself, in order: x, y, then controls as in the TOML file. What comes
of it is a table for that file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from robojam.wire.midi import stream
from robojam.wire.midi.bindings import parse_action

#: A knob is meant when its value has moved by this much; less is a loose one's trembling.
TURNED: Final = 12
_AXES: Final = ("x", "y")

Source = tuple[str, str, int, int]  # port, kind, number, channel


@dataclass(slots=True)
class Learner:
    """Wishes and what was taken for them. Raises ValueError for a wish there is not."""

    wishes: list[str]
    taken: dict[str, Source] = field(default_factory=dict)
    fine: set[Source] = field(default_factory=set)
    _seen: dict[Source, tuple[int, int]] = field(default_factory=dict)
    _bent: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for wish in self.wishes:
            if wish not in _AXES:
                parse_action(wish)
        if len(set(self.wishes)) < len(self.wishes):
            raise ValueError("each can be learnt once")

    @property
    def wish(self) -> str | None:
        """What is to be turned, pressed or played next; None when all is learnt."""
        return next((wish for wish in self.wishes if wish not in self.taken), None)

    def take(self, port: str, message: bytes) -> Source | None:
        """Take in a message of a port; return what it came from, if that is now learnt."""
        wish = self.wish
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if wish is None:
            return None
        if kind == stream.CONTROL:
            return self._controller(wish, port, channel, message[1], message[2])
        if kind == stream.NOTE_ON and message[2]:
            return self._have(wish, (port, "note", message[1], channel))
        if kind == stream.PROGRAM and wish not in _AXES:
            return self._have(wish, (port, "program", message[1], channel))
        return None

    def _controller(
        self, wish: str, port: str, channel: int, number: int, value: int
    ) -> Source | None:
        source = (port, "cc", number, channel)
        coarse = (port, "cc", number - 32, channel)
        if 32 <= number < 64 and (coarse in self._seen or coarse in self.taken.values()):
            self.fine.add(coarse)
            return None
        if number >= stream.SOUND_OFF or number in (98, 99, stream.RPN, stream.RPN_FINE):
            return None
        low, high = self._seen.get(source, (value, value))
        new = source not in self._seen
        self._seen[source] = low, high = min(low, value), max(high, value)
        # A switch says 127 at once; a knob must have been turned.
        switch = new and value == 127 and wish not in _AXES
        return self._have(wish, source) if switch or high - low >= TURNED else None

    def _have(self, wish: str, source: Source) -> Source | None:
        if source in self.taken.values():
            return None  # it is still moving
        if source[1] == "note" and wish == "y":
            return None
        self.taken[wish] = source
        self._seen.clear()
        return source

    def toml(self, name: str = "learnt") -> str:
        """Write what is to be kept, as TOML: a table for each port."""
        ports = list(dict.fromkeys(source[0] for source in self.taken.values()))
        named = [name if n == 0 else f"{name}{n + 1}" for n in range(len(ports))]
        wanted = ", ".join(
            _quoted(f"{p}/{style}") for p, style in zip(ports, named, strict=True)
        )
        lines = [f"midi-in = [{wanted}]"]
        for port, style in zip(ports, named, strict=True):
            lines += ["", f"[midi.{style}]", *self._surface(port)]
            controls = [
                f"{_quoted(f'{kind} {number} on {channel + 1}')} = {_quoted(wish)}"
                for wish, (of, kind, number, channel) in self.taken.items()
                if of == port and wish not in _AXES
            ]
            if controls:
                lines += ["", f"[midi.{style}.controls]", *controls]
        return "\n".join(lines) + "\n"

    def _surface(self, port: str) -> list[str]:
        """Say of what kind a port's touches are."""
        axes = {a: s for a, s in self.taken.items() if a in _AXES and s[0] == port}
        x = axes.get("x")
        if x is not None and x[1] == "note":
            y = axes.get("y")
            return ['like = "mpe"', *([f"y = {y[2]}"] if y else [])]
        lines = ['like = "cc"']
        lines += [f"{axis} = {source[2]}" for axis, source in axes.items()]
        if axes and len({source[3] for source in axes.values()}) == 1:
            lines.append(f"channel = {next(iter(axes.values()))[3] + 1}")
        if axes and all(source in self.fine for source in axes.values()):
            lines.append("fine = true")
        return lines


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
