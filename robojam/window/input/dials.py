"""The window's dials: how far each control is turned, and the text of its value. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robojam.controls import SETTINGS, ControlSpec, Dial, Kind
from robojam.touch import clip

#: A dial turned to its end, within this share of its way, finds the value without limit.
_END = 0.985
#: A factor within this distance of 1 becomes 1: a step up and a step down cancel.
_NEAR_ONE = 0.04


@dataclass(frozen=True, slots=True)
class DialControl:
    """A control with its dial: turns shares of its way into values and back."""

    control: ControlSpec
    dial: Dial

    def share(self, value: float) -> float:
        """Return how far the dial is turned, 0..1, at a value."""
        dial = self.dial
        if dial.endless and value == 0:
            return 1.0
        if dial.log:
            return clip(
                math.log(max(value, 1e-9) / dial.low) / math.log(dial.high / dial.low), 0, 1
            )
        return clip((value - dial.low) / (dial.high - dial.low), 0, 1)

    def value(self, share: float, *, fine: bool = False) -> float:
        """Return the value at a share (0..1) of the way, rounded to what a finger can set.

        fine: with one digit more.
        """
        dial, share = self.dial, clip(share, 0, 1)
        if dial.endless and share > _END:
            return 0.0
        if dial.log:
            value = dial.low * (dial.high / dial.low) ** share
        else:
            value = dial.low + (dial.high - dial.low) * share
        digits = dial.digits + fine
        rounded = float(f"{value:.{digits}g}") if value >= 0.1 else round(value, digits)
        return self._settled(value, rounded)

    def step(self, value: float, *, up: bool) -> float:
        """Return the value one key press up or down, within the control's range."""
        dial = self.dial
        if not dial.log:
            value += dial.step if up else -dial.step
        elif dial.endless and value == 0:
            value = value if up else dial.high
        else:
            value *= dial.step if up else 1 / dial.step
        value = self._settled(value, round(value, 4))
        return clip(value, self.control.low, self.control.high)

    def text(self, value: float) -> str:
        """Return a value as the window shows it."""
        dial = self.dial
        if dial.endless and value == 0:
            return "no end"
        if dial.zero and value == 0:
            return dial.zero
        if self.control.kind is Kind.COUNT:
            return f"{value:.0f}{dial.unit}"
        if dial.unit == "×":
            return f"×{value:.3g}"
        if dial.digits > 2 and value != round(value):
            return f"{value:.1f}{dial.unit}"
        if dial.unit:
            return f"{value:.2g}{dial.unit}" if value < 10 else f"{value:.0f}{dial.unit}"
        return f"{value:.2f}"

    def _settled(self, value: float, rounded: float) -> float:
        """Return 1 for a factor that is nearly 1, a whole number of a count, else rounded."""
        if self.control.kind is Kind.COUNT:
            return float(round(value))
        if self.dial.unit == "×" and abs(value - 1) < _NEAR_ONE:
            return 1.0
        return rounded + 0.0  # no zero has a sign


#: The dials, in the order of the table of controls.
DIALS: dict[str, DialControl] = {
    name: DialControl(control, control.dial)
    for name, control in SETTINGS.items()
    if control.dial is not None
}
