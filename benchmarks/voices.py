"""Many voices on one output: how late they are, and what a touch of theirs costs.

    python benchmarks/voices.py [--voices 64] [--seconds 15] [--runs 5] [--json]

A real engine and real packets, as in robojam bench; the load is the machine's, of all that
runs there (os.getloadavg), when the run ends.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

from robojam.bench import Report, percentile
from robojam.bench.measures import sing


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--voices", type=int, default=64)
    asked.add_argument("--seconds", type=float, default=15.0)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--json", action="store_true")
    chosen = asked.parse_args()
    runs = [run(chosen.voices, chosen.seconds) for _ in range(chosen.runs)]
    command = f"python benchmarks/voices.py --voices {chosen.voices} --runs {chosen.runs}"
    found = {**Report().as_json(command), "runs": runs}
    del found["figures"]
    if chosen.json:
        print(json.dumps(found, indent=1))
    else:
        for each in runs:
            print("  ".join(f"{name} {value:.3g}" for name, value in each.items()))


def run(voices: int, seconds: float) -> dict[str, Any]:
    """Measure once."""
    time.sleep(1.0)
    sung = sing(voices, seconds)
    late = {f"late_ms_p{100 * p:g}": percentile(sung.late, p) for p in (0.5, 0.99, 0.999)}
    return {
        "touches_a_second": sung.rate,
        "core": sung.core,
        "us_a_touch": sung.each,
        **late,
        "late_ms_worst": max(sung.late, default=0.0),
        "held_up": sung.held_up,
        **{f"bare_timer_ms_p{100 * float(p):g}": late for p, late in sung.bare.items()},
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
