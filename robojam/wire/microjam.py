"""MicroJam's and RoboJam's dialect of OSC: `/touch "/x" x "/y" y "/z" z`.

A touch has a place and a force (z), taken as its pressure: the radius of the fingertip in
points, or a share from 0 to 1. There are no fingers and no lifts: these programs let each
touch sound and fade. `/inst` names the instrument of the player's touches.
"""

from dataclasses import replace
from typing import Final

from robojam.touch import Phase, Touch
from robojam.wire import native
from robojam.wire.osc import encode

#: A fingertip's radius in points, which MicroJam sends as z and sounds as loudness.
FINGERTIP: Final = 20.0
#: Radius that is a full pressure; a fingertip on an iPhone has some 40.
FULL: Final = 80.0


def _touch(*named: str | float) -> native.Input:
    values = dict(zip(named[::2], named[1::2], strict=True))
    if not {"/x", "/y"} <= values.keys() <= {"/x", "/y", "/z"}:
        raise native.ArgumentError("wrong arguments")
    touch = native.parse_phaseless(values["/x"], values["/y"])
    z = native.parse_number(values.get("/z", 0.0))
    if z <= 0 or z == FINGERTIP:  # not measured
        return touch
    return replace(touch, pressure=native.parse_pressure(z if z <= 1 else z / FULL))


#: Messages that may come in.
INPUTS: Final[native.Table] = {
    "/touch": {
        "snsnsn": native.Form("/x x /y y /z z", _touch),
        "snsn": native.Form("/x x /y y", _touch),
    },
    "/inst": {"s": native.Form("a name", lambda name: native.Control("instrument", name))},
}


def encode_touch(touch: Touch) -> list[bytes]:
    """Return the messages of a touch; none for a lift."""
    if touch.phase is Phase.UP:
        return []
    x, y = touch.x, touch.y
    z = FINGERTIP if touch.pressure is None else FULL * touch.pressure
    return [encode("/touch", "sfsfsf", "/x", x, "/y", y, "/z", z)]
