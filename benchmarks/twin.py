"""Kill an engine in the middle of an answer, and measure how late its twin goes on.

    python benchmarks/twin.py [--kills 100] [--json FILE]

Each time an engine, its twin and a receiver run on this machine; the engine is killed (SIGKILL)
at a random instant of an answer. The gap is how much later than in time the latest touch came
that was due within the second after the kill. What the receiver got is compared, touch by
touch, with what an engine that nobody kills plays from the same recording and seed.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _output import argument_parser, print_and_save
from support.engine import PATIENCE, Client, command, first_line, recordings, serving

from robojam.app.assemble import regenerate_session
from robojam.config.addresses import format_address
from robojam.sessions.session import EndEvent, Session, TouchEvent, read
from robojam.touch import is_machine

_OPTIONS = ("--threshold", "0.2", "--response", "15")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args()
    rng, gaps, doubled, missing = random.Random(7), [], 0, 0
    for number in range(args.kills):
        with tempfile.TemporaryDirectory() as folder:
            gap, twice, lost = run(Path(folder), rng, number)
        gaps.append(gap)
        doubled, missing = doubled + twice, missing + lost
        print(f"{number + 1}: {gap:.1f} ms, {twice} twice, {lost} missing", flush=True)
    figures = {
        "kills": args.kills,
        "gap_ms_median": round(statistics.median(gaps), 1),
        "gap_ms_p95": round(float(np.percentile(gaps, 95)), 1),
        "gap_ms_worst": round(max(gaps), 1),
        "twice": doubled,
        "missing": missing,
    }
    print_and_save(figures, args.json)


def run(folder: Path, rng: random.Random, seed: int) -> tuple[float, int, int]:
    """Kill an engine once; return the gap in ms, the touches that came twice, and missing."""
    first, second = folder / "first", folder / "second"
    with serving(first, *_OPTIONS, "--seed", str(seed)) as leader:
        words = ("serve", "--twin-of", format_address(*leader.address), "--no-sound")
        twin = subprocess.Popen(
            command(*words, "--sessions", str(second), "--tuio-in", "none", "--device", "cpu"),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert first_line(twin).startswith("follows ")
            out = leader.out
            call(out)
            out.until(lambda: len(machine(out)) > 5)
            out.listen(rng.uniform(0.0, 2.0))
            os.kill(leader.process.pid, signal.SIGKILL)
            killed = time.perf_counter()
            out.listen(2.0)
            twin.send_signal(signal.SIGTERM)
            twin.wait(PATIENCE)
            out.listen(0.1)
        finally:
            twin.kill()
            twin.wait(PATIENCE)
    return compare(machine(out), jam_of(first, second), killed)


def call(out: Client) -> None:
    out.send("/robojam/down", "iff", 1, 0.3, 0.3)
    for i in range(25):
        out.send("/robojam/move", "iff", 1, 0.3 + 0.01 * i, 0.3)
        out.listen(0.02)
    out.send("/robojam/up", "i", 1)


def machine(out: Client) -> list[Any]:
    return [m for m in out.received if m.name in ("ai/down", "ai/move")]


def jam_of(first: Path, second: Path) -> Session:
    """Return the jam of two recordings, of which the second goes on with the first."""
    left = read(recordings(first)[-1])
    went_on = read(recordings(second)[-1])
    last = left.events[-1].t
    after = (e for e in went_on.events if e.t > last and not isinstance(e, EndEvent))
    return Session(left.header, (*left.events, *after))


def compare(received: list[Any], jam: Session, killed: float) -> tuple[float, int, int]:
    made, _ = regenerate_session(jam)
    played = [
        (e.t, (e.touch.phase.value, np.float32(e.touch.x), np.float32(e.touch.y)))
        for e in made.events
        if isinstance(e, TouchEvent) and is_machine(e.touch.who) and e.touch.phase != "up"
    ]  # fmt: skip
    times: dict[Any, list[float]] = {}
    for m in received:
        key = m.name.removeprefix("ai/"), np.float32(m.args[1]), np.float32(m.args[2])
        times.setdefault(key, []).append(m.at)
    known = {key for _, key in played}
    twice = sum(len(at) - 1 for at in times.values()) + sum(key not in known for key in times)
    lost = sum(key not in times for _, key in played)
    offsets = [
        times[key][0] - t for t, key in played if key in times and times[key][0] < killed
    ]
    origin = statistics.median(offsets)
    late = [
        times[key][0] - t - origin
        for t, key in played
        if key in times and killed <= times[key][0] and t + origin < killed + 1.0
    ]
    return 1000 * max(late, default=0.0), twice, lost


if __name__ == "__main__":
    main()
