"""What was measured, what it should be, and what that means to a musician."""

from __future__ import annotations

import math
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from robojam import __version__

#: What a listener notices, in ms (Wessel & Wright 2002; Jack et al. 2018): a latency under
#: the first with less variation than the second feels immediate; beyond the third of
#: variation it is heard as unsteady.
IMMEDIATE, STEADY, UNSTEADY = 10.0, 1.0, 3.0

#: For each kind of figure what is said within its limit, and beyond it up to a bound.
_SAID: Final[dict[str, list[tuple[float, str]]]] = {
    "latency": [
        (IMMEDIATE, "feels immediate, though later than it could be"),
        (math.inf, "is felt as late"),
    ],
    "jitter": [
        (STEADY, "feels steady"),
        (UNSTEADY, "a trained ear hears it"),
        (math.inf, "is heard as unsteady"),
    ],
}
_GOOD: Final = {"latency": "feels immediate", "jitter": "feels steady"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was measured, in which unit, and what it should at most be."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""
    kind: str = ""

    @property
    def verdict(self) -> str:
        """What it means, in a few words; nothing where there is nothing to say."""
        if math.isnan(self.value):
            return "not measured"
        if self.limit is None:
            return ""
        if self.value <= self.limit:
            return _GOOD.get(self.kind, "good")
        said = _SAID.get(self.kind, [(math.inf, "more than it should be")])
        return next(words for bound, words in said if self.value <= bound)


@dataclass(slots=True)
class Report:
    """All figures of a run, and on what they were taken."""

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
        """Add a figure; kind is latency or jitter, where it is one."""
        self.figures.append(Figure(name, value, unit, limit, note, kind))

    def as_json(self, command: str) -> dict[str, Any]:
        """Return what goes into a file of results."""
        return {
            "command": command,
            "robojam": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": os.cpu_count() or 1,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "figures": {
                f.name: {
                    "value": None if math.isnan(f.value) else f.value,
                    "unit": f.unit,
                    "limit": f.limit,
                    "note": f.note,
                }
                for f in self.figures
            },
        }


def processor() -> str:
    """Name the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies, NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
