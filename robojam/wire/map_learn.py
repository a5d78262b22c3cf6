"""Rows of the table [map] from knobs that a player turns, by MIDI or OSC. Pure.

Words are learnt one after the other. What comes in: x, y, pressure or a control, with the
values at its ends after it, as in ``temperature 0 2``. What goes out: a feature of touches,
which moves the knob of a synthesiser that sends what is turned on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from robojam.controls import CONTROLS, Kind
from robojam.limits import ExpiringTable
from robojam.mapping.features import FEATURES
from robojam.touch import KNOB_NAMES
from robojam.wire.knob_inputs import PLACES, SET
from robojam.wire.knob_target import is_address
from robojam.wire.midi.bindings import spell_number
from robojam.wire.midi.learn import Learner, Source, describe_source
from robojam.wire.native import numeric
from robojam.wire.osc import Message

_quoted = partial(json.dumps, ensure_ascii=False)
#: Different values of a number of OSC from which on it counts as turned.
_TURNED: Final = 5
#: Usual ranges of OSC, of which the first that holds all values is written.
_RANGES: Final = ((0.0, 1.0), (-1.0, 1.0), (0.0, 127.0))
#: Addresses whose values are remembered while one is learnt.
_ADDRESSES: Final = 256


@dataclass(slots=True)
class _Number:
    """Values that one argument of an address has had."""

    values: set[float] = field(default_factory=set)

    @property
    def ends(self) -> tuple[float, float]:
        low, high = min(self.values), max(self.values)
        return next((r for r in _RANGES if r[0] <= low and high <= r[1]), (low, high))


class MapLearner:
    """Words and the knob learnt for each; `target` is the next, `toml` the rows."""

    def __init__(self, words: list[str], *, out: bool = False) -> None:
        """Learn rows for what comes in, or for what goes out. Raises ValueError."""
        self._out, self._ends = out, dict(_parsed(word, out=out) for word in words)
        if len(self._ends) < len(words):
            raise ValueError("each can be learnt once")
        self._midi = Learner(list(self._ends), turnable=self._is_turnable, knobs=True)
        self._osc: dict[str, str] = {}  # the rest of the row of a target
        self._seen: ExpiringTable[tuple[str, int], _Number] = ExpiringTable(_ADDRESSES)

    @property
    def target(self) -> str | None:
        """The word that is learnt next; None when all are learnt."""
        return self._midi.target

    @property
    def problems(self) -> list[str]:
        """Why sources cannot be learnt, a line for each."""
        return self._midi.problems

    def _is_turnable(self, target: str) -> bool:
        if self._out or target in PLACES:
            return True
        return CONTROLS[target].kind not in (Kind.SWITCH, Kind.TRIGGER)

    def read(self, port: str, message: bytes) -> str | None:
        """Read a message of a MIDI port; return what is now learnt, in words."""
        source = self._midi.read(port, message)
        if source is None:
            return None
        self._seen.clear()
        return describe_source(source)

    def read_osc(self, message: Message) -> str | None:
        """Read a message of OSC; return what is now learnt, in words."""
        target = self.target
        if target is None or self._out or not is_address(message.address):
            return None
        for number, argument in enumerate(message.args, start=1):
            value = numeric(argument)
            if value is None or f"osc {message.address} {number}" in self._osc.values():
                continue
            key = message.address, number
            seen = self._seen.use(key)
            if seen is None:
                self._seen.put(key, seen := _Number())
            seen.values.add(float(value))
            pressed = not self._is_turnable(target) and value
            if len(seen.values) >= _TURNED or pressed:
                return self._take(target, message.address, number, seen)
        return None

    def _take(self, target: str, address: str, number: int, seen: _Number) -> str:
        source = f"osc {address} {number}"
        self._osc[target] = source
        self._midi.sources[target] = ("", source, 0, 0)
        low, high = seen.ends
        if (low, high) != _RANGES[0]:
            self._ends[target] = f", from = [{low:g}, {high:g}]{self._ends[target]}"
        self._seen.clear()
        return source

    def toml(self) -> str:
        """Return the rows that have been learnt, and the options of their MIDI ports."""
        ports = dict.fromkeys(port for port, *_ in self._midi.sources.values() if port)
        lines = []
        if ports:
            names = ", ".join(map(_quoted, ports))
            lines = [f"midi-{'out' if self._out else 'in'} = [{names}]", ""]
        lines.append(f"[map.{'out' if self._out else 'in'}]")
        for target, source in self._midi.sources.items():
            lines.append(f"{target} = {{ {self._row(target, source)}{self._ends[target]} }}")
        return "\n".join(lines) + "\n"

    def _row(self, target: str, source: Source) -> str:
        port, kind, number, channel = source
        if not port:
            return f"source = {_quoted(self._osc[target])}, target = {_quoted(target)}"
        kind = "cc14" if source in self._midi.fine else kind
        knob = f"{kind} {spell_number(kind, number)}"
        if self._out:
            row = f"target = {_quoted(knob)}, source = {_quoted(target)}"
            return f"{row}, channel = {channel + 1}, port = {_quoted(port)}"
        row = f"source = {_quoted(f'{knob} on {channel + 1}')}, target = {_quoted(target)}"
        return f"{row}, port = {_quoted(port)}"


def _parsed(word: str, *, out: bool) -> tuple[str, str]:
    """Return a word's target, and what its row says of its ends. Raises ValueError."""
    target, *ends = word.split()
    allowed = tuple(FEATURES) if out else (*PLACES, *SET, *KNOB_NAMES)
    if target not in allowed:
        raise ValueError(f"{word!r:.60} cannot be learnt; allowed: {', '.join(allowed)}")
    if not ends:
        return target, ""
    try:
        low, high = map(float, ends)
    except ValueError as error:
        raise ValueError(f"{word!r:.60} is not {target} or {target} LOW HIGH") from error
    return target, f", to = [{low:g}, {high:g}]"
