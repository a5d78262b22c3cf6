"""TouchOSC's dialect of OSC, in which a pad is an address that sends two numbers.

A pad sends `/page/pad a b`, and, if its touch is sent too, `/page/pad/z` 1 and 0 when it is
touched and released. The fingers of a multi-pad are `/page/pad/1`, `/page/pad/2`, …. The pads
of the jam are given, or learnt from the next one that is touched. A button sends 1 when it is
pressed and 0 when it is released, even to an address that takes no number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from robojam.touch import Phase, Touch, is_machine
from robojam.wire import native
from robojam.wire.osc import Message, encode

#: Ids of fingers on pads: the first, and how many each pad has.
_FIRST_ID, _FINGERS_PER_PAD = 2000, 16
#: Most pads that are learnt; the most fingers whose state is kept follow from it.
_MAX_PADS = 64
#: Endings of a pad's address for its touch: TouchOSC Mk1's, and a usual one in Mk2.
_TOUCH_ENDINGS: Final = ("/z", "/touch")
#: Addresses of other dialects, which are never learnt as pads.
_RESERVED: Final = (
    "/robojam", "/touch", "/tuio", "/impsy", "/interface", "/prediction", "/inst",
)  # fmt: skip
#: Input of a button that is released, which asks for nothing and is no fault.
RELEASED: Final = native.Dropped("let go")


def _button(name: str) -> native.ArgumentParser:
    return lambda value: native.Control(name, 1) if native.parse_number(value) > 0 else RELEASED


#: Messages that may come in at fixed addresses: those of buttons.
INPUTS: Final[native.Table] = {
    f"/robojam/{name}": {"n": _button(name)} for name in ("answer", "reset", "panic")
}


@dataclass(frozen=True, slots=True)
class Pad:
    """Pad by its address; axes are what its two numbers are, of x, -x, y and -y."""

    address: str
    axes: tuple[str, str] = ("x", "-y")  # across and up, as TouchOSC sends them by default

    def place(self, first: float, second: float) -> tuple[float, float]:
        """Return x and y of the pad's two numbers."""
        coordinates = {
            axis[-1]: 1 - value if axis.startswith("-") else value
            for axis, value in zip(self.axes, (first, second), strict=True)
        }
        return coordinates["x"], coordinates["y"]

    def numbers(self, x: float, y: float) -> tuple[float, float]:
        """Return the pad's two numbers for a place."""
        coordinates = {"x": x, "-x": 1 - x, "y": y, "-y": 1 - y}
        return coordinates[self.axes[0]], coordinates[self.axes[1]]


@dataclass(slots=True)
class _PadFinger:
    """State of a finger on a pad that sends its touch.

    place is the last one received; new_place: it came after the last release.
    """

    touched: bool = False
    down: bool = False
    new_place: bool = False
    place: native.Place | None = None


class Pads:
    """Pads of the jam and the fingers on them. The machine plays on the first pad."""

    def __init__(
        self,
        pads: Sequence[Pad] = (),
        *,
        learning: bool = False,
        on_learnt: Callable[[Pad], None] = lambda _: None,
    ) -> None:
        """Start with these pads; learning: add the next that is touched, and report it."""
        self.pads = list(pads)
        self.learning = learning
        self._on_learnt = on_learnt
        self._fingers: dict[tuple[str, int], _PadFinger] = {}  # by host and id

    def read(self, message: Message, host: str) -> list[native.Input] | None:
        """Return the inputs of a pad's message; None for any other message. Never raises."""
        match = self._match(message)
        if match is None:
            return None
        finger, pad, is_touch = match
        if len(message.args) != (1 if is_touch else 2) or set(message.tags) - set("ihfd"):
            return [native.Dropped("wrong arguments")]
        key = (host, finger)
        try:
            if is_touch:
                return self._set_touched(key, on=native.parse_number(message.args[0]) > 0)
            first, second = map(native.parse_number, message.args)
            return self._set_place(key, native.parse_place(*pad.place(first, second)))
        except native.ArgumentError as error:
            return [native.Dropped(str(error))]

    def _match(self, message: Message) -> tuple[int, Pad, bool] | None:
        """Return a message's finger, its pad, and whether it is of the touch (/z).

        Learns the pad if that is asked for.
        """
        address, is_touch = message.address, False
        for ending in _TOUCH_ENDINGS:
            if address.endswith(ending) and len(message.args) == 1:
                address, is_touch = address.removesuffix(ending), True
        for index, pad in enumerate(self.pads):
            first = _FIRST_ID + _FINGERS_PER_PAD * index
            if address == pad.address:
                return first, pad, is_touch
            rest = address.removeprefix(pad.address + "/")
            if rest != address and rest.isascii() and rest.isdecimal() and len(rest) < 3:
                return first + int(rest) % _FINGERS_PER_PAD, pad, is_touch
        if self.learning and not is_touch and is_pad(message) and len(self.pads) < _MAX_PADS:
            base, _, last = address.rpartition("/")
            of_multi_pad = base.count("/") > 1 and last.isdecimal()
            self.learning = False
            self.pads.append(Pad(base if of_multi_pad else address))
            self._on_learnt(self.pads[-1])
            return self._match(message)
        return None

    def _set_touched(self, key: tuple[str, int], *, on: bool) -> list[native.Input]:
        """Touch or release a pad. Its place may come before or after."""
        if key not in self._fingers and len(self._fingers) >= _MAX_PADS * _FINGERS_PER_PAD:
            self._fingers.pop(next(iter(self._fingers)))  # the oldest
        finger = self._fingers.setdefault(key, _PadFinger())
        inputs: list[native.Input] = []
        if on == finger.touched:
            return inputs
        finger.touched = on
        if finger.place is not None and not finger.down and (finger.new_place or not on):
            # Released without a place since it was touched: a tap where the last one was.
            inputs.append(native.Finger(Phase.DOWN, key[1], *finger.place))
            finger.down = True
        if not on:
            if finger.down:
                inputs.append(native.Finger(Phase.UP, key[1]))
            finger.down = finger.new_place = False
        return inputs

    def _set_place(self, key: tuple[str, int], place: native.Place) -> list[native.Input]:
        finger = self._fingers.get(key)
        if finger is None:  # the pad does not send its touch
            return [native.PhaselessTouch(place.x, place.y, None, place.clipped, key[1])]
        finger.place, finger.new_place = place, True
        if not finger.touched:
            return []  # its touch comes next
        phase = Phase.MOVE if finger.down else Phase.DOWN
        finger.down = True
        return [native.Finger(phase, key[1], *place)]

    def write(self, touch: Touch) -> list[bytes]:
        """Return the messages of a touch as the first pad sends them, which move its dot.

        There are none without a pad, and none for further voices: a pad has one dot.
        """
        if not self.pads or (is_machine(touch.who) and touch.who != "ai"):
            return []
        pad = self.pads[0]
        if touch.phase is Phase.UP:
            return [encode(f"{pad.address}/z", "f", 0.0)]
        place = encode(pad.address, "ff", *pad.numbers(touch.x, touch.y))
        if touch.phase is Phase.DOWN:
            return [encode(f"{pad.address}/z", "f", 1.0), place]
        return [place]


def is_pad(message: Message) -> bool:
    """Return whether a message may be a pad's: two numbers of 0..1 at no reserved address."""
    if len(message.args) != 2 or set(message.tags) - set("ihfd"):
        return False
    if any(message.address == a or message.address.startswith(a + "/") for a in _RESERVED):
        return False
    return all(isinstance(value, int | float) and 0 <= value <= 1 for value in message.args)
