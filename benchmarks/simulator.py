"""The whole engine in a simulator for hours: random runs, each of which follows from its seed.

    python benchmarks/simulator.py --seconds 3600 [--seed 0] [--processes 2] [--json FILE]

The runs are those of tests/support/simulator: musicians who vanish, networks that lose, double
and reorder, disks that fail, stalls, kills and what goes on after them. A seed that breaks a
promise is printed when it is found, as a line for SEEDS of tests/test_simulator.py; the status
is 1 then. Also prints the hours of jam for a CPU minute, and how many objects of Python are
left over after the last run of a process, beyond those after its tenth.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from _output import argument_parser, print_and_save

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.simulator import SimulationError, play

#: Runs of a process before its memory is compared.
_SETTLED = 10


@dataclass
class Total:
    """Sums over the runs of one process, and its seeds that failed."""

    runs: int = 0
    hours: float = 0.0
    touches: int = 0
    kills: int = 0
    resumed: int = 0
    recordings: int = 0
    cpu: float = 0.0
    objects: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    figures, failures = simulate(args.seconds, args.seed, args.processes)
    print_and_save(figures, args.json)
    return int(bool(failures))


def simulate(
    seconds: float, seed: int, processes: int
) -> tuple[dict[str, float | int | list[str]], list[str]]:
    """Run seeds for some seconds of the clock; return the figures, and the failures."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        work = [pool.submit(run, seconds, seed + i, processes) for i in range(processes)]
        totals = [each.result() for each in work]
    failures = [failure for total in totals for failure in total.failures]
    hours, cpu = sum(t.hours for t in totals), sum(t.cpu for t in totals)
    figures: dict[str, float | int | list[str]] = {
        "runs": sum(t.runs for t in totals),
        "jam hours": round(hours, 2),
        "touches and controls": sum(t.touches for t in totals),
        "kills": sum(t.kills for t in totals),
        "of them resumed": sum(t.resumed for t in totals),
        "recordings regenerated": sum(t.recordings for t in totals),
        "CPU minutes": round(cpu / 60, 2),
        "jam hours for a CPU minute": round(hours / (cpu / 60), 2),
        "CPU hours for 1,000 jam hours": round(1000 * cpu / 3600 / hours, 1) if hours else 0.0,
        "objects left over, worst process": max(t.objects for t in totals),
        "failures": failures,
    }
    return figures, failures


def run(seconds: float, seed: int, step: int) -> Total:
    """Run every step-th seed for some seconds."""
    logging.disable(logging.CRITICAL)
    total, until = Total(), time.monotonic() + seconds
    began, settled = time.process_time(), 0
    for each in count(seed, step):
        if time.monotonic() >= until:
            break
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            try:
                figures = play(each, Path(folder))
            except SimulationError as failure:
                line = f"{each}: {failure}"
                print(line, flush=True)
                total.failures.append(line[:500])
                continue
        total.runs += 1
        total.hours += figures.seconds / 3600
        total.touches += figures.touches
        total.kills += figures.kills
        total.resumed += figures.resumed
        total.recordings += figures.recordings
        if total.runs == _SETTLED:
            settled = _objects()
    total.cpu = time.process_time() - began
    total.objects = _objects() - settled if settled else 0
    return total


def _memory() -> str | None:
    """Return a folder in memory, where there is one: the disk is not what is tried."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _objects() -> int:
    """Return the number of objects that are in use."""
    gc.collect()
    return len(gc.get_objects())


if __name__ == "__main__":
    sys.exit(main())
