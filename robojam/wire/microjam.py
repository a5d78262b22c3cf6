"""MicroJam's and RoboJam's dialect of OSC: `/touch "/x" x "/y" y "/z" z`.

A touch has a place and a force (z). There are no fingers and no lifts: these programs let each
touch sound and fade. `/inst` names the instrument of the player's touches.
"""

from typing import Final

from robojam.touch import Phase, Touch
from robojam.wire.native import (
    ArgumentError,
    Control,
    Input,
    Table,
    parse_number,
    parse_phaseless,
)  # fmt: skip
from robojam.wire.osc import encode

#: A fingertip's radius in points, which MicroJam sends as z and sounds as loudness.
FINGERTIP: Final = 20.0


def _touch(*named: str | float) -> Input:
    values = dict(zip(named[::2], named[1::2], strict=True))
    if not {"/x", "/y"} <= values.keys() <= {"/x", "/y", "/z"}:
        raise ArgumentError("wrong arguments")
    parse_number(values.get("/z", 0.0))
    return parse_phaseless(values["/x"], values["/y"])


def _instrument(name: str) -> Input:
    return Control("instrument", f"human={name}")


#: Messages that may come in.
INPUTS: Final[Table] = {
    "/touch": {"snsnsn": _touch, "snsn": _touch},
    "/inst": {"s": _instrument},
}


def encode_touch(touch: Touch) -> list[bytes]:
    """Return the messages of a touch; none for a lift."""
    if touch.phase is Phase.UP:
        return []
    x, y = touch.x, touch.y
    return [encode("/touch", "sfsfsf", "/x", x, "/y", y, "/z", FINGERTIP)]
