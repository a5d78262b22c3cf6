"""TouchOSC's dialect: a pad is an address that two numbers come from.

A pad sends `/page/pad a b`, and, if its touch is sent too, `/page/pad/z` 1 and 0 as it is
touched and let go; the fingers of a multi-pad are `/page/pad/1`, `/page/pad/2`, …. Which
pads are played is said, or learnt from the next one that is touched. A button sends 1 as it is
pressed and 0 as it is let go, also to what takes no number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from robojam.touch import Phase, Touch, is_machine
from robojam.wire.native import (
    BadError,
    Control,
    Dropped,
    Finger,
    Input,
    PhaselessTouch,
    Table,
    number,
    place,
)
from robojam.wire.osc import Message, encode

#: Two numbers, across and up, as TouchOSC sends them unless it is told otherwise.
AXES: Final = ("x", "-y")
#: The fingers of pads have ids of their own, this many for each pad.
_IDS, _PER_PAD = 2000, 16
#: Pads that can be learnt, and hosts whose fingers are told apart; more is a flood.
_MOST = 64
#: How pads tell that they are touched: TouchOSC Mk1's way, and a name often given in Mk2.
_TOUCHED: Final = ("/z", "/touch")
#: Addresses of other dialects, which are never learnt.
_TAKEN: Final = ("/robojam", "/touch", "/tuio", "/impsy", "/interface", "/prediction", "/inst")
#: A button that is let go asks for nothing, and nothing is wrong with that.
LET_GO: Final = Dropped("let go")


def _button(name: str) -> Callable[[Any], Input]:
    return lambda value: Control(name, 1) if number(value) > 0 else LET_GO


#: What may come in at fixed addresses, in the form of native.INPUTS: buttons.
INPUTS: Final[Table] = {
    f"/robojam/{name}": {"n": _button(name)} for name in ("answer", "reset", "panic")
}


@dataclass(frozen=True, slots=True)
class Pad:
    """A pad: its address, and what its two numbers are: two of x, -x, y, -y."""

    address: str
    axes: tuple[str, str] = AXES

    def place(self, first: float, second: float) -> tuple[float, float]:
        """Return x and y of a pad's two numbers."""
        place = {}
        for axis, value in zip(self.axes, (first, second), strict=True):
            place[axis[-1]] = 1 - value if axis.startswith("-") else value
        return place["x"], place["y"]

    def numbers(self, x: float, y: float) -> tuple[float, float]:
        """Return a pad's two numbers for a place."""
        at = {"x": x, "-x": 1 - x, "y": y, "-y": 1 - y}
        return at[self.axes[0]], at[self.axes[1]]


@dataclass(slots=True)
class _Held:
    """What is known of a finger on a pad that tells when it is touched."""

    touched: bool = False
    down: bool = False
    fresh: bool = False  # a place has come since it was let go
    place: tuple[float, float, bool] | None = None


class Pads:
    """The pads that are played, and the fingers on them. The machine plays on the first."""

    def __init__(
        self,
        pads: Sequence[Pad] = (),
        *,
        learning: bool = False,
        on_learnt: Callable[[Pad], None] = lambda _: None,
    ) -> None:
        """Begin with some pads; learning: the next that is touched is taken too."""
        self.pads = list(pads)
        self.learning = learning
        self._on_learnt = on_learnt
        self._held: dict[tuple[str, int], _Held] = {}

    def read(self, message: Message, host: str) -> list[Input] | None:
        """Read a message of a pad; None where it is none of theirs. Never raises."""
        found = self._find(message)
        if found is None:
            return None
        finger, pad, touched = found
        wanted = 1 if touched else 2
        if len(message.args) != wanted or set(message.tags) - set("ihfd"):
            return [Dropped("wrong arguments")]
        try:
            if touched:
                return self._touched((host, finger), on=number(message.args[0]) > 0)
            first, second = map(number, message.args)
            return self._moved((host, finger), place(*pad.place(first, second)))
        except BadError as bad:
            return [Dropped(str(bad))]

    def _find(self, message: Message) -> tuple[int, Pad, bool] | None:
        """Find whose a message is: the finger's id, the pad, whether it tells of touching."""
        address, touched = message.address, False
        for end in _TOUCHED:
            if address.endswith(end) and len(message.args) == 1:
                address, touched = address.removesuffix(end), True
        for index, pad in enumerate(self.pads):
            first = _IDS + _PER_PAD * index
            if address == pad.address:
                return first, pad, touched
            under = address.removeprefix(pad.address + "/")
            if under != address and under.isascii() and under.isdecimal() and len(under) < 3:
                return first + int(under) % _PER_PAD, pad, touched
        if self.learning and not touched and is_pad(message) and len(self.pads) < _MOST:
            base, _, last = address.rpartition("/")
            finger = base.count("/") > 1 and last.isdecimal()  # one of a multi-pad
            self.learning = False
            self.pads.append(Pad(base if finger else address))
            self._on_learnt(self.pads[-1])
            return self._find(message)
        return None

    def _of(self, key: tuple[str, int]) -> _Held:
        if key not in self._held and len(self._held) >= _MOST * _PER_PAD:
            self._held.pop(next(iter(self._held)))
        return self._held.setdefault(key, _Held())

    def _touched(self, key: tuple[str, int], *, on: bool) -> list[Input]:
        """A pad is touched, or let go. Whether its place comes before or after differs."""
        held = self._of(key)
        out: list[Input] = []
        if on == held.touched:
            return out
        held.touched = on
        if held.place is not None and not held.down and (held.fresh or not on):
            # Let go, and no place came: a tap where the last one was.
            out.append(Finger(Phase.DOWN, key[1], *held.place))
            held.down = True
        if not on:
            if held.down:
                out.append(Finger(Phase.UP, key[1]))
            held.down = held.fresh = False
        return out

    def _moved(self, key: tuple[str, int], at: tuple[float, float, bool]) -> list[Input]:
        held = self._held.get(key)
        if held is None:  # it does not tell when it is touched
            return [PhaselessTouch(at[0], at[1], None, at[2])]
        held.place, held.fresh = at, True
        if not held.touched:
            return []  # what tells of the touch comes next
        phase = Phase.MOVE if held.down else Phase.DOWN
        held.down = True
        return [Finger(phase, key[1], *at)]

    def write(self, sounded: Touch) -> list[bytes]:
        """Write a touch as the first pad sends it, so that its dot moves.

        Nothing where there is no pad, and of further voices: a pad has one dot.
        """
        if not self.pads or (is_machine(sounded.who) and sounded.who != "ai"):
            return []
        pad = self.pads[0]
        if sounded.phase is Phase.UP:
            return [encode(f"{pad.address}/z", "f", 0.0)]
        moved = encode(pad.address, "ff", *pad.numbers(sounded.x, sounded.y))
        if sounded.phase is Phase.DOWN:
            return [encode(f"{pad.address}/z", "f", 1.0), moved]
        return [moved]


def is_pad(message: Message) -> bool:
    """Tell whether a message may be a pad's: two numbers of 0 to 1, nobody else's address."""
    if len(message.args) != 2 or set(message.tags) - set("ihfd"):
        return False
    if any(message.address == a or message.address.startswith(a + "/") for a in _TAKEN):
        return False
    return all(math.isfinite(value) and 0 <= value <= 1 for value in message.args)
