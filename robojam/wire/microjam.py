"""MicroJam's and RoboJam's dialect: `/touch "/x" x "/y" y "/z" z`.

A touch says where, and how hard; there are no fingers and no lifts: its programs let each
touch sound and fade. `/inst` names the instrument that the player's touches sound with.
"""

from __future__ import annotations

from typing import Any, Final

from robojam.touch import Phase, Touch
from robojam.wire.native import BadError, Control, Input, PhaselessTouch, Table, number, place
from robojam.wire.osc import encode

#: A fingertip's radius in points, which MicroJam sends as z and sounds as loudness.
FINGERTIP: Final = 20.0


def _touch(*named: Any) -> Input:
    values = dict(zip(named[::2], named[1::2], strict=True))
    if not {"/x", "/y"} <= values.keys() <= {"/x", "/y", "/z"}:
        raise BadError("wrong arguments")
    number(values.get("/z", 0.0))
    x, y, clipped = place(values["/x"], values["/y"])
    return PhaselessTouch(x, y, None, clipped)


def _instrument(name: str) -> Input:
    return Control("instrument", f"human={name}")


#: What may come in, in the form of native.INPUTS.
INPUTS: Final[Table] = {
    "/touch": {"snsnsn": _touch, "snsn": _touch},
    "/inst": {"s": _instrument},
}


def touch(sounded: Touch) -> list[bytes]:
    """Write a touch as it goes out; a lift is nothing here."""
    if sounded.phase is Phase.UP:
        return []
    x, y = sounded.x, sounded.y
    return [encode("/touch", "sfsfsf", "/x", x, "/y", y, "/z", FINGERTIP)]
