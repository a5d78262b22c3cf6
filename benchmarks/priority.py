"""What real-time scheduling is worth to a machine on its own, and what garbage costs it.

    python benchmarks/priority.py [--touches 600] [--json]

Linux, as root or with an rtprio limit: the same solo four times, with the priority that the
engine asks for and without the right to it (setpriv, of util-linux), on the machine as it
is and beside two programs that compute. Then ten minutes of playing on a clock that does not
wait, in which the collections of garbage are counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack

from soak import Jam

from robojam.bench import measures
from robojam.bench.measures import FASTER
from robojam.bench.report import Report
from robojam.engine.model_loader import one_thread

_WITHOUT = ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")


def solo(touches: int) -> dict[str, float]:
    """Play once; return the percentiles of the error against the due instant, in ms."""
    report = Report()
    measures.solo(report, touches, "--seed", "1", *FASTER)
    wanted = "solo: error against the due instant, "
    return {f.name.removeprefix(wanted): f.value for f in report.figures if wanted in f.name}


def collections(seconds: float) -> dict[str, float]:
    """Count the collections of garbage while the machine plays on its own."""
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        jam, ran = Jam(folder), [0]
        jam.send("/robojam/mode", "s", "solo")
        jam.wait(10.0)
        gc.collect()
        gc.freeze()
        gc.callbacks.append(lambda phase, _: ran.__setitem__(0, ran[0] + (phase == "start")))
        before = jam.wire.touches
        jam.wait(seconds)
        gc.callbacks.pop()
        jam.engine.finish("the end")
        return {"touches": jam.wire.touches - before, "collections": ran[0]}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--touches", type=int, default=600)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    chosen = asked.parse_args()
    if chosen.once:
        print(json.dumps(solo(chosen.touches)))
        return
    found: dict[str, dict[str, float]] = {}
    again = [sys.executable, __file__, "--once", "--touches", str(chosen.touches)]
    for beside in (0, 2):
        for name, before in (("real-time", ()), ("ordinary", _WITHOUT)):
            with ExitStack() as stack:
                for _ in range(beside):
                    busy = stack.enter_context(
                        subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    )
                    stack.callback(busy.kill)
                ran = subprocess.run(
                    [*before, *again], check=True, capture_output=True, text=True
                )
            where = f"{beside} busy programs beside" if beside else "the machine as it is"
            found[f"{name}, {where}"] = json.loads(ran.stdout)
    found["garbage"] = collections(600.0)
    print(json.dumps(found, indent=1) if chosen.json else found)


if __name__ == "__main__":
    main()
