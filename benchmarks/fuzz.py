"""Fuzzing for hours: structure-aware random input for every parser, and for the whole engine.

    python benchmarks/fuzz.py --seconds 3600
    python benchmarks/fuzz.py --seconds 60 --target osc --target engine --seed 7

The targets are those of tests/support/fuzz. Each fault is printed when it is found, with the
smallest input that shows it as a test to be pasted, and so is an input that takes longer than
--limit (the processor's seconds for one packet, or one call of a parser, the least of three).
Without --target the time is shared by all. --seed: the same inputs again. The status is 1 where
a fault was found.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.fuzz import TARGETS, Meter, Target, TimeMeter, fault_of, shrink

#: Seconds that one process spends on one target before it reports.
_ROUND = 5.0
#: Seconds after which an input counts as one that never ends: the processor's, and the clock's.
_ENDLESS, _STUCK = 20.0, 300.0
#: Seconds in which the smallest input is looked for.
_SHRINKING = 20.0

#: Target, seed, seconds and limit of a round.
Task = tuple[str, str, float, float]


class EndlessError(Exception):
    """An input takes too long."""


@dataclass
class Report:
    """Result of a round: inputs, seconds, faults and slow inputs, each by what tells it."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    faults: dict[str, tuple[Any, str]] = field(default_factory=dict)


def _end(*_: object) -> None:
    raise EndlessError(f"more than {_ENDLESS:g} s")


def _fault_of(target: Target, value: Any, meter: Meter) -> tuple[str, str] | None:
    """Return the fault of a value, as `fault_of`; one that never ends is a fault, too."""
    if not hasattr(signal, "setitimer"):
        return fault_of(target, value, meter)
    signal.signal(signal.SIGVTALRM, _end)
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_VIRTUAL, _ENDLESS)
    signal.setitimer(signal.ITIMER_REAL, _STUCK)
    try:
        return fault_of(target, value, meter)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _least_seconds(target: Target, value: Any) -> float:
    """Return the seconds that the slowest part of an input takes, the least of three runs."""
    least = float("inf")
    for _ in range(3):
        meter = TimeMeter()
        _fault_of(target, value, meter)
        least = min(least, meter.most)
    return least


def run_round(name: str, seed: str, seconds: float, limit: float) -> Report:
    """Check random inputs of a target for some seconds."""
    target, random, report = TARGETS[name], Random(seed), Report(name)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        value = target.generate(random)
        meter = TimeMeter()
        fault = _fault_of(target, value, meter)
        report.inputs += target.size(value)
        if fault is None and meter.most > limit:
            fault = _slow(target, value, limit)
        elif fault is None:
            report.slowest = max(report.slowest, meter.most)
        if fault is not None and fault[0] not in report.faults:
            key, about = fault
            report.faults[key] = _smallest(target, value, key, limit), about
    report.seconds = time.perf_counter() - began
    return report


def _slow(target: Target, value: Any, limit: float) -> tuple[str, str] | None:
    """Return the fault of an input that takes long, and not only once; None for no fault."""
    least = _least_seconds(target, value)
    return (f"slow: {target.name}", f"{1000 * least:.1f} ms") if least > limit else None


def _smallest(target: Target, value: Any, key: str, limit: float) -> Any:
    def fails(candidate: Any) -> bool:
        if key.startswith("slow"):
            return _least_seconds(target, candidate) > limit
        fault = _fault_of(target, candidate, Meter())
        return fault is not None and fault[0] == key

    return shrink(value, fails, seconds=_SHRINKING)


def _rounds(names: list[str], seed: int, until: float, limit: float) -> Iterator[Task]:
    number = 0
    while time.monotonic() < until:
        for name in names:
            if time.monotonic() < until:
                yield name, f"{seed} {name} {number}", _ROUND, limit
        number += 1


def _set_up() -> None:
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def print_fault(name: str, key: str, value: Any, about: str) -> None:
    """Print a fault as a test."""
    function = "".join(c if c.isalnum() else "_" for c in f"{name}_{key}").lower()[:60]
    print(f"\n{about.rstrip()}\n\n# {key}\ndef test_{function}():\n"
          f"    TARGETS[{name!r}].check({value!r}, Meter())\n", flush=True)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--target", action="append", choices=[*TARGETS], default=None)
    parser.add_argument("--limit", type=float, default=0.02, help="seconds of one packet")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    names = given.target or [*TARGETS]
    print(f"seed {given.seed}, {given.processes} processes: {' '.join(names)}", flush=True)
    inputs, seconds, slowest = Counter[str](), Counter[str](), dict.fromkeys(names, 0.0)
    faults: set[str] = set()
    until = time.monotonic() + given.seconds
    tasks = _rounds(names, given.seed, until, given.limit)
    for report in _in_parallel(tasks, given.processes):
        inputs[report.target] += report.inputs
        seconds[report.target] += report.seconds
        slowest[report.target] = max(slowest[report.target], report.slowest)
        for key, (value, about) in report.faults.items():
            if key not in faults:
                faults.add(key)
                print_fault(report.target, key, value, about)
    for name in names:
        if seconds[name]:
            rate = inputs[name] / seconds[name]
            print(f"{name:<12} {inputs[name]:>11,} inputs, {rate:>8,.0f} a second,"
                  f" the slowest {1000 * slowest[name]:6.1f} ms")  # fmt: skip
    print(f"{sum(inputs.values()):,} inputs: {len(faults)} faults")
    return int(bool(faults))


def _in_parallel(tasks: Iterator[Task], processes: int) -> Iterator[Report]:
    """Run tasks in processes, of which no more are taken than there are processes."""
    context = multiprocessing.get_context("spawn")
    while True:
        running: dict[Future[Report], Task] = {}
        with ProcessPoolExecutor(processes, context, initializer=_set_up) as pool:
            try:
                for task in tasks:
                    running[pool.submit(run_round, *task)] = task
                    while len(running) >= processes:
                        for done in wait(running, return_when=FIRST_COMPLETED).done:
                            yield done.result()
                            del running[done]
                for last in running:
                    yield last.result()
                return
            except BrokenProcessPool:  # the interpreter itself died
                seeds = ", ".join(repr(task[1]) for task in running.values())
                yield Report(next(iter(running.values()))[0],
                             faults={f"crash: {seeds}": (None, "a process died")})  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
