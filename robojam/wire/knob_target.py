"""Targets of knobs: what a value is sent as, by MIDI or OSC. Pure.

``cc N``, ``cc14 N`` (two controllers, N and N + 32), ``nrpn N:N`` (four, as a parameter is
selected each time), ``pitch bend``, ``note`` (the value is the pitch), or ``osc /ADDRESS`` with
one float.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from robojam.wire import osc
from robojam.wire.midi import stream
from robojam.wire.midi.bindings import parse_nrpn

#: The values of each kind of target, in whole numbers; of OSC, any number.
RANGES: Final = {
    "cc": (0.0, 127.0),
    "cc14": (0.0, 16383.0),
    "nrpn": (0.0, 16383.0),
    "pitch bend": (-8192.0, 8191.0),
    "note": (0.0, 127.0),
}
#: Greatest controller of each kind: those above are modes of a channel; a fine one is 32 more.
HIGHEST: Final = {"cc": 119, "cc14": 31}
_ALLOWED: Final = (
    "cc N (0 to 119), cc14 N (0 to 31), nrpn N:N (each 0 to 127), pitch bend, note, or "
    "osc /ADDRESS"
)
#: Characters of an address: printable ASCII without the signs of OSC's patterns.
_ADDRESS: Final = re.compile(r"(/[!-.0-~]+)+")
_PATTERN_SIGNS: Final = frozenset("#*,?[]{}")


class Target(NamedTuple):
    """Target of a knob: its kind, and its number (of MIDI) or address (of OSC)."""

    kind: str
    number: int = 0
    address: str = ""

    @property
    def is_midi(self) -> bool:
        """Whether it is sent to a MIDI port."""
        return self.kind != "osc"

    @property
    def limits(self) -> tuple[float, float] | None:
        """The lowest and the highest value; None where any number is allowed."""
        return RANGES.get(self.kind)

    @property
    def controllers(self) -> tuple[int, ...]:
        """The controllers that are sent, but those that select and set a parameter."""
        return {"cc": (self.number,), "cc14": (self.number, self.number + 32)}.get(
            self.kind, ()
        )


def parse_target(text: str) -> Target:
    """Read a target. Raises ValueError, which says what is allowed."""
    kind, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if kind in HIGHEST and re.fullmatch("[0-9]{1,3}", rest) and int(rest) <= HIGHEST[kind]:
        return Target(kind, int(rest))
    if kind == "nrpn" and (number := parse_nrpn(f"nrpn {rest}")) is not None:
        return Target("nrpn", number)
    if (kind, rest) in (("pitch", "bend"), ("note", "")):
        return Target(f"{kind} {rest}".strip())
    if kind == "osc" and is_address(rest):
        return Target("osc", address=rest)
    raise ValueError(f"{text!r:.60}; allowed: {_ALLOWED}")


def is_address(text: str) -> bool:
    """Return whether a text is an address of OSC, and no pattern."""
    return (
        len(text) <= osc.MAX_ADDRESS
        and _ADDRESS.fullmatch(text) is not None
        and _PATTERN_SIGNS.isdisjoint(text)
    )


def encode(target: Target, channel: int, value: float) -> bytes:
    """Return the bytes of a value: of MIDI, whole and within `limits`, on a channel from 0.

    Not of a note, which has a velocity and an end: see robojam.ports.knobs.
    """
    if target.kind == "osc":
        return osc.encode(target.address, "f", value)
    whole = int(value)
    match target.kind:
        case "cc":
            return stream.control(channel, target.number, whole)
        case "pitch bend":
            return stream.bend(channel, whole + stream.CENTRE)
        case "cc14":
            numbers = (target.number, target.number + 32)
            pairs = [(numbers[0], whole >> 7), (numbers[1], whole & 127)]
        case _:
            selected = [
                (stream.NRPN, target.number >> 7),
                (stream.NRPN_FINE, target.number & 127),
            ]
            pairs = [*selected, (stream.DATA, whole >> 7), (stream.DATA_FINE, whole & 127)]
    return b"".join(stream.control(channel, number, half) for number, half in pairs)
