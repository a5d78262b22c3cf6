"""MIDI learn: bindings from the knobs, keys and pads that a player moves. Pure.

Targets are learnt one after the other: x, y, or actions as in the TOML file. The result is a
table for that file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from robojam.wire.midi import stream
from robojam.wire.midi.bindings import parse_action, spell_number
from robojam.wire.midi.styles import PRESETS
from robojam.wire.midi.values import FineValue, ParameterDecoder

#: Change of a value from which a knob counts as turned; a loose knob trembles by less.
TURNED: Final = 12
_AXES: Final = ("x", "y")
#: What endless encoders send for steps: 1 and 127, 1 and 65, or 65 and 63, and for faster ones
#: a little more.
_STEPS: Final = {*range(1, 11), *range(54, 64), *range(65, 75), *range(118, 128)}
_quoted = partial(json.dumps, ensure_ascii=False)

#: Controllers that select a parameter.
_SELECTORS: Final = (stream.NRPN, stream.NRPN_FINE, stream.RPN, stream.RPN_FINE)

Source = tuple[str, str, int, int]  # port, kind, number, channel


def describe_source(source: Source) -> str:
    """Return a source as a line of the terminal names it."""
    port, kind, number, channel = source
    return f"{kind} {spell_number(kind, number)} on channel {channel + 1} of {port}"


@dataclass(slots=True)
class _Seen:
    """What a source has sent: its least, greatest and last value, 0 to 127."""

    low: float
    high: float
    last: float
    count: int = 1
    repeated: bool = False
    all_steps: bool = True

    def add(self, value: float) -> None:
        self.repeated = self.repeated or value == self.last
        self.low, self.high, self.last = min(self.low, value), max(self.high, value), value
        self.count += 1

    @property
    def are_steps(self) -> bool:
        """Whether they are steps of an endless encoder: a place seldom comes twice in a row."""
        return self.all_steps and self.repeated and self.count > 2


def is_turnable(target: str) -> bool:
    """Return whether a target follows a turned knob. Raises ValueError for no target."""
    return target in _AXES or parse_action(target).how == "range"


@dataclass(slots=True)
class Learner:
    """Targets and the source learnt for each. Raises ValueError for a wrong target.

    problems says once for each source that cannot be learnt why it cannot. turnable is as
    `is_turnable`, for other targets; knobs: controllers and parameters alone are learnt.
    """

    targets: list[str]
    turnable: Callable[[str], bool] = is_turnable
    knobs: bool = False
    sources: dict[str, Source] = field(default_factory=dict)
    fine: set[Source] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    _seen: dict[Source, _Seen] = field(default_factory=dict)
    _parameters: dict[str, ParameterDecoder] = field(default_factory=dict)  # by port
    _values: dict[Source, FineValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for target in self.targets:
            self.turnable(target)
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("each can be learnt once")

    @property
    def target(self) -> str | None:
        """The target that is learnt next; None when all are learnt."""
        return next((target for target in self.targets if target not in self.sources), None)

    def read(self, port: str, message: bytes) -> Source | None:
        """Read a message of a port; return its source, if that is now learnt."""
        target = self.target
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if target is None:
            return None
        if kind == stream.CONTROL:
            turned = self._controller(port, channel, message[1], message[2])
            if turned is None or not self._is_turned(target, *turned):
                return None
            return self._learn(target, turned[0])
        if self.knobs and kind in (stream.NOTE_ON, stream.PROGRAM):
            return None
        if kind == stream.NOTE_ON and message[2] and target != "y":
            return self._learn(target, (port, "note", message[1], channel))
        if kind == stream.PROGRAM and target not in _AXES:
            return self._learn(target, (port, "program", message[1], channel))
        is_fader = "x" not in self.sources or self.sources["x"][1] != "note"
        if kind == stream.BEND and abs(message[2] - 64) >= TURNED and is_fader:
            self._refuse(f"the pitch bend on channel {channel + 1} of {port} cannot be bound")
        return None

    def _refuse(self, reason: str) -> None:
        text = f"{reason}; set the device so that each knob sends a CC of its own, 0 to 127"
        if text not in self.problems:
            self.problems.append(text)

    def _controller(
        self, port: str, channel: int, number: int, value: int
    ) -> tuple[Source, float] | None:
        """Return the source of a control change and its value, 0 to 127; None for others."""
        decoder = self._parameters.setdefault(port, ParameterDecoder())
        entry = decoder.read(channel, number, value)
        if entry is not None:
            if entry.registered:
                return None
            source = (port, "nrpn", entry.number, channel)
            parameter = self._values.setdefault(source, FineValue())
            parameter.set(entry.controller, entry.value)
            return None if parameter.value is None else (source, 127 * parameter.part)
        coarse = (port, "cc", number - 32, channel)
        if 32 <= number < 64 and (coarse in self._seen or coarse in self.sources.values()):
            self.fine.add(coarse)
            return None
        if number >= stream.SOUND_OFF or number in _SELECTORS:
            return None
        return (port, "cc", number, channel), value

    def _is_turned(self, target: str, source: Source, value: float) -> bool:
        """Note the value of a source; return whether it has turned far enough for a target."""
        new = source not in self._seen
        seen = self._seen.setdefault(source, _Seen(value, value, value))
        if not new:
            seen.add(value)
        # Of a value of 14 bits the coarse half comes again and again.
        seen.all_steps = seen.all_steps and value in _STEPS and source not in self.fine
        if seen.are_steps:
            self._refuse(f"{describe_source(source)} sends steps, as an endless encoder does")
            return False
        # A switch sends 127 at once; a knob must have been turned.
        switch = new and value == 127 and not self.turnable(target)
        return switch or seen.high - seen.low >= TURNED

    def _learn(self, target: str, source: Source) -> Source | None:
        if source in self.sources.values():
            return None  # it still moves
        if target in _AXES and source[1] != "note":
            other = self.sources.get("y" if target == "x" else "x")
            if other is not None and other[:3] == source[:3]:
                self._refuse(f"x and y are both {source[1]} {spell_number(*source[1:3])}")
                return None
        if self._is_parameter_beside_notes(target, source):
            name = f"nrpn {spell_number(*source[1:3])}"
            self._refuse(f"{name} cannot be y where x is the note: y of notes is a CC")
            return None
        self.sources[target] = source
        self._seen.clear()
        return source

    def _is_parameter_beside_notes(self, target: str, source: Source) -> bool:
        """Return whether x would be the notes of a port, and y a parameter of it."""
        axes = {axis: s for axis, s in self.sources.items() if axis in _AXES} | {target: source}
        kinds = [axes[axis][:2] for axis in ("x", "y") if axis in axes]
        return kinds == [(source[0], "note"), (source[0], "nrpn")]

    def toml(self, name: str = "learnt") -> str:
        """Return the bindings as TOML: a table for each port."""
        ports = list(dict.fromkeys(source[0] for source in self.sources.values()))
        names = [name if n == 0 else f"{name}{n + 1}" for n in range(len(ports))]
        inputs = [_quoted(f"{p}/{style}") for p, style in zip(ports, names, strict=True)]
        lines = [f"midi-in = [{', '.join(inputs)}]"]
        for port, style in zip(ports, names, strict=True):
            lines += ["", f"[midi.{style}]", *self._surface(port)]
            controls = [
                f"{_quoted(f'{kind} {spell_number(kind, number)} on {channel + 1}')} = "
                f"{_quoted(target)}"
                for target, (of, kind, number, channel) in self.sources.items()
                if of == port and target not in _AXES
            ]
            if controls:
                lines += ["", f"[midi.{style}.controls]", *controls]
        return "\n".join(lines) + "\n"

    def _surface(self, port: str) -> list[str]:
        """Return the lines that describe how a port plays the surface."""
        axes = {a: s for a, s in self.sources.items() if a in _AXES and s[0] == port}
        notes = any(kind == "note" for _, kind, *_ in axes.values())
        lines = ['like = "mpe"' if notes else 'like = "cc"']
        for axis, (_, kind, number, _) in axes.items():
            if kind == "cc":
                lines.append(f"{axis} = {number}")
            elif kind == "nrpn":
                lines.append(f"{axis} = {_quoted(f'nrpn {spell_number(kind, number)}')}")
        channels = {channel for *_, channel in axes.values()}
        if notes:
            return lines
        preset = PRESETS["cc"]
        for axis, source in axes.items():
            other, own, taken = (
                ("y", preset.x, preset.y) if axis == "x" else ("x", preset.y, preset.x)
            )
            if other not in axes and source[1:3] == ("cc", taken):
                lines.append(f"{other} = {own}")  # the preset's is the one that was learnt
        if len(channels) == 1:
            lines.append(f"channel = {channels.pop() + 1}")
        controllers = [source for source in axes.values() if source[1] == "cc"]
        if controllers and all(source in self.fine for source in controllers):
            lines.append("fine = true")
        return lines
