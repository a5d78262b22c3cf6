"""IMPSY and robojam in one rig: each drives the other, over the wires that IMPSY has.

    python3 -m venv ../impsy && ../impsy/bin/pip install impsy
    .venv/bin/python benchmarks/with_impsy.py --impsy ../impsy/bin/python

IMPSY runs its own program with its own OSC client and server, as against_impsy.py says.
Both count what came: robojam by its status, IMPSY by its log.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from against_impsy import Impsy

from robojam.bench import processor
from robojam.bench.client import EngineProcess
from robojam.sessions.session import read
from robojam.touch import is_machine


def logged(impsy: Impsy) -> Counter[str]:
    """Count the lines of IMPSY's log, by who played: interface or rnn."""
    lines = [
        line
        for path in Path(impsy.folder.name, "logs").glob("*.log")
        for line in path.read_text().splitlines()
    ]
    return Counter(line.split(",")[1] for line in lines)


def until(there: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


def impsy_drives_robojam(python: str, touches: int) -> dict[str, float]:
    """IMPSY in battle, on its own; robojam answers each of its touches."""
    with tempfile.TemporaryDirectory() as folder:
        duet = EngineProcess("--mode", "duet", "--sessions", folder)
        impsy = Impsy(python, "battle", duet.address)
        until(lambda: duet.status()["heard"] >= touches, 60, "IMPSY drives robojam")
        impsy.close()
        status = settled(duet)
        duet.close()
        return {
            "touches of IMPSY's that robojam heard": status["heard"],
            "answers of robojam's": status["played"],
            "dropped": sum(status["dropped"].values()),
        }


def robojam_drives_impsy(python: str, touches: int) -> dict[str, float]:
    """robojam solo, as an interface of IMPSY's; IMPSY answers in polyphony."""
    impsy = Impsy(python, "polyphony")
    hear_one(impsy)
    before = logged(impsy)
    host, port = impsy.address
    with tempfile.TemporaryDirectory() as folder:
        to = ("--osc-out", f"{host}:{port}/interface")
        solo = EngineProcess("--mode", "solo", "--sessions", folder, *to)
        until(lambda: solo.status()["played"] >= touches, 60, "robojam drives IMPSY")
        solo.send("/robojam/pause", "i", 1)
        time.sleep(1)
        played = solo.status()["played"]
        solo.close()
        after = logged(impsy)
        impsy.close()
    return {
        "touches of robojam's": played,
        "touches that IMPSY logged of them": after["interface"] - before["interface"],
        "answers of IMPSY's": after["rnn"] - before["rnn"],
    }


def both(python: str, seconds: float) -> dict[str, float]:
    """A jam of the two: robojam duet and IMPSY polyphony, begun by one human touch."""
    with tempfile.TemporaryDirectory() as folder:
        place = free()
        duet = EngineProcess(
            "--mode", "duet", "--sessions", folder, "--osc-out", f"{place}/interface"
        )
        impsy = Impsy(python, "polyphony", duet.address, int(place.rpartition(":")[2]))
        end = time.monotonic() + 60
        while not logged(impsy)["rnn"] and time.monotonic() < end:  # it is not ready yet
            impsy.send(0.5, 0.5)
            time.sleep(0.2)
        before, began = duet.status(), time.perf_counter()
        time.sleep(seconds)
        after, took = duet.status(), time.perf_counter() - began
        counted = logged(impsy)
        impsy.close()
        duet.close()
        (recording,) = Path(folder).glob("*.jsonl")
        by = Counter(is_machine(event.touch.who) for event in read(recording).touches())
    return {
        "exchanges a second": (after["played"] - before["played"]) / took,
        "touches of IMPSY's, by its log": counted["rnn"],
        "touches of robojam's that IMPSY logged": counted["interface"],
        "touches recorded of IMPSY's, with lifts": by[False],
        "touches recorded of robojam's, with lifts": by[True],
    }


def settled(engine: EngineProcess) -> dict[str, Any]:
    """Wait until an engine plays no more; return its status."""
    before: dict[str, Any] = {}
    while before.get("played") != (now := engine.status())["played"]:
        before = now
        time.sleep(0.5)
    return now


def hear_one(impsy: Impsy) -> None:
    """Play to IMPSY until it answers: it says nothing before it is ready."""
    impsy.out.settimeout(0.2)
    for _ in range(300):
        impsy.send(0.5, 0.5)
        try:
            impsy.feed()
        except TimeoutError:
            continue
        impsy.drain(1.0)
        return
    sys.exit("IMPSY does not answer")


def free() -> str:
    from against_impsy import free_port

    return f"127.0.0.1:{free_port()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--impsy", required=True, metavar="PYTHON", help="of its environment")
    parser.add_argument("--touches", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures = {
        "IMPSY drives robojam": impsy_drives_robojam(chosen.impsy, chosen.touches),
        "robojam drives IMPSY": robojam_drives_impsy(chosen.impsy, chosen.touches),
        "both": both(chosen.impsy, chosen.seconds),
    }
    if chosen.json:
        about = {"command": "python benchmarks/with_impsy.py --json", "processor": processor()}
        print(json.dumps(about | figures, indent=1))
        return
    for name, measured in figures.items():
        print(name)
        for what, value in measured.items():
            print(f"  {what:52}{value:10.4g}")


if __name__ == "__main__":
    main()
