"""Report of measurements, with limits, and words for what each means to a musician."""

from __future__ import annotations

import math
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from robojam import __version__

#: Thresholds of a listener, in ms (Wessel & Wright 2002; Jack et al. 2018): a latency up to
#: IMMEDIATE that varies by up to STEADY feels immediate; variation beyond UNSTEADY is heard.
IMMEDIATE, STEADY, UNSTEADY = 10.0, 1.0, 3.0

#: Verdicts on figures beyond their limit, by kind: those up to a bound in ms, and the last.
_VERDICTS: Final = {
    "latency": [(IMMEDIATE, "feels immediate, though later than it could be")],
    "jitter": [(STEADY, "feels steady"), (UNSTEADY, "a trained ear hears it")],
}
_BEYOND: Final = {"latency": "is felt as late", "jitter": "is heard as unsteady"}
#: Verdicts on figures within their limit.
_GOOD: Final = {"latency": "feels immediate", "jitter": "feels steady"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its unit."""

    name: str
    value: float
    unit: str
    limit: float | None = None  # the most that it should be
    note: str = ""
    kind: str = ""  # "latency", "jitter" or ""

    @property
    def verdict(self) -> str:
        """Meaning of the value in a few words; empty without a limit."""
        if math.isnan(self.value):
            return "not measured"
        if self.limit is None:
            return ""
        if self.value <= self.limit:
            return _GOOD.get(self.kind, "good")
        beyond = _BEYOND.get(self.kind, "more than it should be")
        verdicts = _VERDICTS.get(self.kind, [])
        return next((words for bound, words in verdicts if self.value <= bound), beyond)


@dataclass(slots=True)
class Report:
    """All figures of a run."""

    figures: list[Figure] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        limit: float | None = None,
        *,
        note: str = "",
        kind: str = "",
    ) -> None:
        """Add a figure (see `Figure`)."""
        self.figures.append(Figure(name, value, unit, limit, note, kind))

    def as_json(self, command: str) -> dict[str, Any]:
        """Return the figures and a description of the machine, for a file of results."""
        return {
            "command": command,
            "robojam": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": os.cpu_count() or 1,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "figures": {f.name: _as_json(f) for f in self.figures},
        }


def _as_json(figure: Figure) -> dict[str, Any]:
    value = None if math.isnan(figure.value) else figure.value
    return {"value": value, "unit": figure.unit, "limit": figure.limit, "note": figure.note}


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share (0..1) of the values lies; NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
