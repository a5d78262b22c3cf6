"""The controls that can be turned: how far each is turned, and what it says. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dial:
    """A control by its name: what it is called, and between which values a finger turns it.

    lowest, highest are what the engine takes; a key can go as far, one step at a time.
    """

    name: str
    called: str
    short: str
    low: float
    high: float
    lowest: float
    highest: float
    log: bool = False
    endless: bool = False  # 0 means without end, and is where a finger finds the most

    def share(self, value: float) -> float:
        """How far it is turned, 0..1, at a value."""
        if self.endless and value == 0:
            return 1.0
        if self.log:
            turned = math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        else:
            turned = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, turned))

    def value(self, share: float) -> float:
        """Return the value at a share of the way, as round as a finger can mean it."""
        share = min(1.0, max(0.0, share))
        if self.endless and share > 0.985:
            return 0.0
        if self.log:
            turned = self.low * (self.high / self.low) ** share
            return (
                1.0 if self.name == "timescale" and abs(turned - 1) < 0.04 else _round(turned)
            )
        return _round(self.low + (self.high - self.low) * share)

    def told(self, value: float) -> str:
        """Say a value."""
        if self.endless and value == 0:
            return "no end"
        if self.name == "timescale":
            return f"×{value:.3g}"
        if self.name in ("threshold", "response"):
            return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
        return f"{value:.2f}"


def _round(value: float) -> float:
    return float(f"{value:.2g}") if value >= 0.1 else round(value, 2)


DIALS: dict[str, Dial] = {
    dial.name: dial
    for dial in (
        Dial("temperature", "temperature", "temp", 0.0, 2.0, 0.0, 10.0),
        Dial("spread", "spread", "spread", 0.0, 2.0, 0.0, 10.0),
        Dial("timescale", "timescale", "time", 0.25, 4.0, 0.001, 100.0, log=True),
        Dial("threshold", "answers after", "rest", 0.05, 10.0, 0.02, 60.0, log=True),
        Dial(
            "response", "answers for", "answer", 0.5, 30.0, 0.0, 3600.0, log=True, endless=True
        ),
        Dial("volume", "volume", "vol", 0.0, 1.0, 0.0, 1.0),
    )
}
