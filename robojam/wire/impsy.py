"""IMPSY's dialect of OSC, so that instruments set up for IMPSY play with robojam.

`/interface x y`, which an interface sends to IMPSY, and `/impsy x y`, which IMPSY sends, are
both touches of a player without phases. With another number of values, up to 16, they are all
the values of an instrument with as many knobs. IMPSY's sigmatemp scales the covariance and
robojam's spread the standard deviation, so spread is the square root.
"""

import math
from typing import Final

from robojam.controls import CONTROLS
from robojam.touch import Phase, Touch
from robojam.wire.native import (
    ArgumentError,
    Control,
    Form,
    Table,
    parse_knobs,
    parse_number,
    parse_phaseless,
    trigger,
)
from robojam.wire.osc import encode


def _takes(control: str) -> str:
    return CONTROLS[control].allowed


def _number(control: str) -> Form:
    return Form(_takes(control), lambda value: Control(control, parse_number(value)))


def _sigmatemp(value: float) -> Control:
    if parse_number(value) < 0:
        raise ArgumentError("out of range")
    return Control("spread", math.sqrt(value))


def _pause(value: float) -> Control:
    return Control("pause", int(int(parse_number(value)) != 0))


_VALUES: Final = {
    "nn": Form("x y", parse_phaseless), "n*": Form("1 to 16 values", parse_knobs),
}  # fmt: skip
#: Messages that may come in.
INPUTS: Final[Table] = {
    "/interface": _VALUES,
    "/impsy": _VALUES,
    "/impsy/mode": {"s": Form(_takes("mode"), lambda name: Control("mode", name))},
    "/impsy/sigmatemp": {"n": Form("a number from 0", _sigmatemp)},
    "/impsy/pitemp": {"n": _number("temperature")},
    "/impsy/timescale": {"n": _number("timescale")},
    "/impsy/reset": trigger(Control("reset", 1)),
    "/impsy/pause": {"n": Form(_takes("pause"), _pause)},
}


def encode_touch(touch: Touch) -> list[bytes]:
    """Return the messages of IMPSY, newer and older, for a touch; none for a lift."""
    if touch.phase is Phase.UP:
        return []
    values = touch.knobs or (touch.x, touch.y)
    tags = "f" * len(values)
    return [encode(address, tags, *values) for address in ("/impsy", "/prediction")]


def encode_interface(touch: Touch) -> list[bytes]:
    """Return the message of a touch that an interface sends to IMPSY; none for a lift."""
    if touch.phase is Phase.UP:
        return []
    values = touch.knobs or (touch.x, touch.y)
    return [encode("/interface", "f" * len(values), *values)]
