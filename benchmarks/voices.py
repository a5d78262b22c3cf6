"""Measure many voices on one output: how late they are, and the CPU time of a touch.

    python benchmarks/voices.py [--voices 64] [--seconds 15] [--runs 5] [--json FILE]

Runs a real engine and real packets, as robojam bench does. The load is that of the whole
machine at the end of the run (os.getloadavg).
"""

from __future__ import annotations

import os
import time
from typing import Any

from _output import argument_parser, print_and_save

from robojam.bench import Report, percentile
from robojam.bench.measures import time_voices


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--voices", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    command = f"python benchmarks/voices.py --voices {args.voices} --runs {args.runs}"
    conditions = Report().as_json(command)
    del conditions["figures"]
    runs = [run(args.voices, args.seconds) for _ in range(args.runs)]
    print_and_save({**conditions, "runs": runs}, args.json)


def run(voices: int, seconds: float) -> dict[str, Any]:
    """Play a number of voices for some seconds; return the figures of the run."""
    time.sleep(1.0)
    result = time_voices(voices, seconds)
    late = {f"late_ms_p{100 * p:g}": percentile(result.late, p) for p in (0.5, 0.99, 0.999)}
    return {
        "touches_a_second": result.rate,
        "core": result.cores,
        "us_a_touch": result.touch_cost,
        **late,
        "late_ms_worst": max(result.late, default=0.0),
        "held_up": result.held_up,
        **{f"bare_timer_ms_p{100 * float(p):g}": ms for p, ms in result.bare.items()},
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
