"""IMPSY's dialect, so that a rig that was built for it plays with robojam.

What an interface sends to IMPSY (`/interface x y`) and what IMPSY sends (`/impsy x y`) are
both players without phases. Its sigmatemp scales the covariance, and robojam's spread the
standard deviation: spread is the square root.
"""

from __future__ import annotations

import math
from typing import Any, Final

from robojam.touch import Phase, Touch
from robojam.wire.native import BadError, Control, Input, PhaselessTouch, Table, number, place
from robojam.wire.osc import encode


def _plain(x: Any, y: Any) -> Input:
    a, b, clipped = place(x, y)
    return PhaselessTouch(a, b, None, clipped)


def _spread(sigmatemp: Any) -> Input:
    if number(sigmatemp) < 0:
        raise BadError("out of range")
    return Control("spread", math.sqrt(sigmatemp))


def _pause(value: Any) -> Input:
    return Control("pause", int(int(number(value)) != 0))


def _reset(*_: Any) -> Input:
    return Control("reset", 1)


#: What may come in, in the form of native.INPUTS.
INPUTS: Final[Table] = {
    "/interface": {"nn": _plain},
    "/impsy": {"nn": _plain},
    "/impsy/mode": {"s": lambda name: Control("mode", name)},
    "/impsy/sigmatemp": {"n": _spread},
    "/impsy/pitemp": {"n": lambda value: Control("temperature", number(value))},
    "/impsy/timescale": {"n": lambda value: Control("timescale", number(value))},
    "/impsy/reset": {"": _reset, "n": _reset, "s": _reset},
    "/impsy/pause": {"n": _pause},
}


def touch(sounded: Touch) -> list[bytes]:
    """Write a touch as IMPSY sends it, now and in its older versions; it knows no lifts."""
    if sounded.phase is Phase.UP:
        return []
    at = (sounded.x, sounded.y)
    return [encode("/impsy", "ff", *at), encode("/prediction", "ff", *at)]


def interface(sounded: Touch) -> list[bytes]:
    """Write a touch as an interface sends it to IMPSY: there robojam is the musician."""
    if sounded.phase is Phase.UP:
        return []
    return [encode("/interface", "ff", sounded.x, sounded.y)]
