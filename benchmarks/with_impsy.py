"""Jam of IMPSY with robojam over OSC, with counts of the touches.

    python3 -m venv ../impsy && ../impsy/bin/pip install impsy
    .venv/bin/python benchmarks/with_impsy.py --impsy ../impsy/bin/python [--json FILE]

IMPSY runs its own program with its own OSC client and server, as in against_impsy.py. What
robojam received is read from its status, what IMPSY received from its log.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save
from against_impsy import Impsy, free_port

from robojam.bench import processor
from robojam.bench.client import EngineProcess
from robojam.sessions.session import read
from robojam.touch import is_machine


def log_counts(impsy: Impsy) -> Counter[str]:
    """Count the lines of IMPSY's log by player: interface or rnn."""
    lines = [
        line
        for path in Path(impsy.folder.name, "logs").glob("*.log")
        for line in path.read_text().splitlines()
    ]
    return Counter(line.split(",")[1] for line in lines)


def wait_until(condition: Callable[[], bool], seconds: float, goal: str) -> None:
    """Wait for a condition; exit with an error after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{goal}: not reached within {seconds:g} s")
        time.sleep(0.05)


def impsy_drives_robojam(python: str, touches: int) -> dict[str, float]:
    """IMPSY plays alone (battle); robojam answers each of its touches (duet)."""
    with tempfile.TemporaryDirectory() as folder:
        duet = EngineProcess("--mode", "duet", "--sessions", folder)
        impsy = Impsy(python, "battle", duet.address)
        wait_until(lambda: duet.status()["heard"] >= touches, 60, "IMPSY drives robojam")
        impsy.close()
        status = wait_for_silence(duet)
        duet.close()
        return {
            "touches of IMPSY that robojam heard": status["heard"],
            "answers of robojam": status["played"],
            "dropped": sum(status["dropped"].values()),
        }


def robojam_drives_impsy(python: str, touches: int) -> dict[str, float]:
    """robojam plays alone (solo) as the interface of IMPSY, which answers (polyphony)."""
    impsy = Impsy(python, "polyphony")
    wait_until_ready(impsy)
    before = log_counts(impsy)
    host, port = impsy.address
    with tempfile.TemporaryDirectory() as folder:
        output = ("--osc-out", f"{host}:{port}/interface")
        solo = EngineProcess("--mode", "solo", "--sessions", folder, *output)
        wait_until(lambda: solo.status()["played"] >= touches, 60, "robojam drives IMPSY")
        solo.send("/robojam/pause", "i", 1)
        time.sleep(1)
        played = solo.status()["played"]
        solo.close()
        after = log_counts(impsy)
        impsy.close()
    return {
        "touches of robojam": played,
        "touches of robojam that IMPSY logged": after["interface"] - before["interface"],
        "answers of IMPSY": after["rnn"] - before["rnn"],
    }


def play_together(python: str, seconds: float) -> dict[str, float]:
    """robojam (duet) and IMPSY (polyphony) answer each other, after one touch."""
    with tempfile.TemporaryDirectory() as folder:
        impsy_port = free_port()
        duet = EngineProcess(
            "--mode",
            "duet",
            "--sessions",
            folder,
            "--osc-out",
            f"127.0.0.1:{impsy_port}/interface",
        )
        impsy = Impsy(python, "polyphony", duet.address, impsy_port)
        end = time.monotonic() + 60
        while not log_counts(impsy)["rnn"] and time.monotonic() < end:  # IMPSY is not ready yet
            impsy.send(0.5, 0.5)
            time.sleep(0.2)
        before, began = duet.status(), time.perf_counter()
        time.sleep(seconds)
        after, elapsed = duet.status(), time.perf_counter() - began
        counts = log_counts(impsy)
        impsy.close()
        duet.close()
        (recording,) = Path(folder).glob("*.jsonl")
        recorded = Counter(is_machine(event.touch.who) for event in read(recording).touches())
    return {
        "exchanges per second": (after["played"] - before["played"]) / elapsed,
        "touches of IMPSY, by its log": counts["rnn"],
        "touches of robojam that IMPSY logged": counts["interface"],
        "touches of IMPSY in the recording, with lifts": recorded[False],
        "touches of robojam in the recording, with lifts": recorded[True],
    }


def wait_for_silence(engine: EngineProcess) -> dict[str, Any]:
    """Wait until an engine stops playing; return its status."""
    before: dict[str, Any] = {}
    while before.get("played") != (now := engine.status())["played"]:
        before = now
        time.sleep(0.5)
    return now


def wait_until_ready(impsy: Impsy) -> None:
    """Send touches to IMPSY until it answers: it is silent before it is ready."""
    impsy.out.settimeout(0.2)
    for _ in range(300):
        impsy.send(0.5, 0.5)
        try:
            impsy.receive()
        except TimeoutError:
            continue
        impsy.drain(1.0)
        return
    sys.exit("IMPSY does not answer")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--impsy", required=True, metavar="PYTHON", help="the Python of IMPSY's environment"
    )
    parser.add_argument("--touches", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    figures = {
        "IMPSY drives robojam": impsy_drives_robojam(args.impsy, args.touches),
        "robojam drives IMPSY": robojam_drives_impsy(args.impsy, args.touches),
        "robojam and IMPSY together": play_together(args.impsy, args.seconds),
    }
    conditions = {"command": "python benchmarks/with_impsy.py", "processor": processor()}
    print_and_save({**conditions, **figures}, args.json)


if __name__ == "__main__":
    main()
