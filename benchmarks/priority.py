"""Measure what real-time priority gains, and count garbage collections.

    python benchmarks/priority.py [--touches 600] [--json FILE]

Needs Linux, and root or an rtprio limit. Plays the same solo four times: with real-time
priority and without the right to it (setpriv, of util-linux), alone and beside two programs
that compute all the time. Then plays ten minutes on a simulated clock, and counts the
collections of Python's garbage collector.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack

from _output import argument_parser, print_and_save
from soak import SimulatedJam

from robojam.bench import measures
from robojam.bench.measures import FASTER
from robojam.bench.report import Report
from robojam.engine.model_loader import one_thread

_WITHOUT_PRIORITY = ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")


def solo(touches: int) -> dict[str, float]:
    """Play once; return percentiles of the error against the due time in ms."""
    report = Report()
    measures.solo(report, touches, "--seed", "1", *FASTER)
    prefix = "solo: error against the due instant, "
    return {f.name.removeprefix(prefix): f.value for f in report.figures if prefix in f.name}


def collections(seconds: float) -> dict[str, float]:
    """Count garbage collections while the machine plays solo for some seconds."""
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        jam, count = SimulatedJam(folder), [0]
        jam.send("/robojam/mode", "s", "solo")
        jam.wait(10.0)
        gc.collect()
        gc.freeze()
        gc.callbacks.append(
            lambda phase, _: count.__setitem__(0, count[0] + (phase == "start"))
        )
        before = jam.endpoint.touches
        jam.wait(seconds)
        gc.callbacks.pop()
        jam.engine.finish("the end")
        return {"touches": jam.endpoint.touches - before, "collections": count[0]}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--touches", type=int, default=600)
    parser.add_argument("--once", action="store_true", help="play one solo only")
    args = parser.parse_args()
    if args.once:
        print(json.dumps(solo(args.touches)))
        return
    figures: dict[str, dict[str, float]] = {}
    command = [sys.executable, __file__, "--once", "--touches", str(args.touches)]
    for busy_programs in (0, 2):
        for name, prefix in (("real-time", ()), ("ordinary", _WITHOUT_PRIORITY)):
            with ExitStack() as stack:
                for _ in range(busy_programs):
                    busy = stack.enter_context(
                        subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    )
                    stack.callback(busy.kill)
                result = subprocess.run(
                    [*prefix, *command], check=True, capture_output=True, text=True
                )
            load = f"beside {busy_programs} busy programs" if busy_programs else "alone"
            figures[f"{name}, {load}"] = json.loads(result.stdout)
    figures["garbage"] = collections(600.0)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
