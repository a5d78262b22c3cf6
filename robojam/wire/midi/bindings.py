"""Bindings of MIDI notes, controllers, NRPNs and programs to controls, as text. Pure.

In the TOML file, ``"cc 64" = "answer"`` or ``"note 36 on 10" = "mode solo"``.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Final, NamedTuple

from robojam.controls import CONTROLS

#: Value range of each control that a MIDI controller can turn, unless a binding says another.
RANGES: Final = {
    name: control.midi_range for name, control in CONTROLS.items() if control.midi_range
}
#: Words that may follow the name of a control in a binding.
_WORDS: Final = {
    name: control.midi_words for name, control in CONTROLS.items() if control.midi_words
}
#: Controls after whose name a text of one's own follows.
_TEXTS: Final = tuple(name for name, control in CONTROLS.items() if control.midi_text)


class Trigger(NamedTuple):
    """Note, cc, nrpn or program that triggers a control; channel None is any of 0 to 15.

    The number of an nrpn has 14 bits.
    """

    kind: str
    number: int
    channel: int | None


class Action(NamedTuple):
    """Effect of a binding: a control, and how it follows the trigger.

    how is ``press`` (sets value), ``toggle``, ``hold``, or ``range`` (from low to high).
    """

    name: str
    how: str
    value: str | float = 1
    low: float = 0.0
    high: float = 0.0


def parse_binding(trigger: str, action: str) -> tuple[Trigger, Action]:
    """Read a binding as in ``"cc 64" = "answer"``. Raises ValueError."""
    match = re.fullmatch(r"((note|cc|program|nrpn) ([0-9:]+))(?: on ([0-9]{1,2}))?", trigger)
    number = _parse_number(*match.group(1, 2, 3)) if match else None
    if not match or number is None or not 1 <= int(match[4] or 1) <= 16:
        raise ValueError(
            f"{trigger!r:.60} sets off no control; allowed: note N, cc N, program N (0 to "
            "127) or nrpn N:N, and on CHANNEL (1 to 16) after it, as in 'cc 64 on 1'"
        )
    channel = int(match[4]) - 1 if match[4] else None
    return Trigger(match[2], number, channel), parse_action(action)


def _parse_number(source: str, kind: str, number: str) -> int | None:
    """Return the number of a trigger; None where it is none, or out of range."""
    if kind == "nrpn":
        return parse_nrpn(source)
    return int(number) if re.fullmatch("[0-9]{1,3}", number) and int(number) < 128 else None


def parse_nrpn(text: str) -> int | None:
    """Read the number of a parameter, ``nrpn 1:2`` or ``nrpn 130``; None for other texts.

    1 is the value of controller 99, 2 that of controller 98, and 130 is both.
    """
    match = re.fullmatch(r"nrpn (?:([0-9]{1,3}):)?([0-9]{1,5})", text)
    if not match:
        return None
    coarse, fine = int(match[1] or 0), int(match[2])
    if coarse > 127 or fine > (127 if match[1] else 16383):
        return None
    return coarse << 7 | fine


def spell_number(kind: str, number: int) -> str:
    """Return the number of a trigger as it is written: that of an nrpn as 1:2."""
    return f"{number >> 7}:{number & 127}" if kind == "nrpn" else str(number)


def parse_action(text: str) -> Action:
    """Read an action, as in ``mode solo`` or ``temperature 0 2``. Raises ValueError."""
    name, _, rest = text.partition(" ")
    if name in RANGES:
        with suppress(ValueError):
            numbers = [float(word) for word in rest.split()] or [*RANGES[name]]
            finite = all(map(math.isfinite, numbers))
            if finite and len(numbers) == 1:
                return Action(name, "press", numbers[0])
            low, high = numbers
            if finite and (name != "timescale" or min(numbers) > 0):
                return Action(name, "range", 1, low, high)
        raise ValueError(f"{text!r:.60} is not {name}, {name} VALUE or {name} LOW HIGH")
    if name in _TEXTS and rest.strip():
        return Action(name, "press", rest.strip())
    if rest not in _WORDS.get(name, ()):
        allowed = [f"{word} {'|'.join(filter(None, _WORDS[word]))}".strip() for word in _WORDS]
        allowed += [f"{text} NAME" for text in _TEXTS]
        allowed += RANGES
        raise ValueError(f"{text!r:.60} is no control; allowed: {', '.join(allowed)} LOW HIGH")
    if rest == "hold" or (not rest and name in ("pause", "mode")):
        return Action(name, rest or "toggle")
    return Action(name, "press", int(rest) if rest.isdecimal() else rest or 1)
