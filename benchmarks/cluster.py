"""Measure work on a cluster of Ray beside the same work on one machine.

    python benchmarks/cluster.py [--cores 2] [--count 10000] [--seconds 20] [--only serve]

The cluster is of this machine's cores. Serving: answers a second with as many requests at a
time as are answered; their times at half of that, at random instants (Poisson); a replica that
is killed under load, and how many requests fail then. Generating: `robojam generate --count`
with one process and with the cluster, the start of Ray and the writing of the file in it, and
whether the files are equal. The load of the machine before each row is in it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _output import argument_parser, print_and_save
from http_api import _AT_A_TIME, _CALLS, _LONGEST, _WARM_UP, Service, _clients

from robojam.bench import percentile

_PARTS = ("serve", "generate")


def _ask(
    service: Service, bodies: list[bytes], kind: str, seconds: float, amount: float
) -> Any:
    """Ask from another process; return the rate, times, statuses and load."""
    spawn = multiprocessing.get_context("spawn")
    results, load = spawn.Queue(), os.getloadavg()[0]
    asking = spawn.Process(
        target=_clients, args=(service.port, bodies, kind, seconds, amount, results)
    )
    asking.start()
    count, times, statuses, _ = results.get()
    asking.join()
    milliseconds = sorted(1000 * each for each in times)
    return {
        "load": load,
        "answers_per_second": round(count / seconds, 1),
        "latency_ms": {
            f"p{100 * p:g}": round(percentile(milliseconds, p), 1) for p in (0.5, 0.99)
        },
        "statuses": statuses,
    }


def _replicas() -> list[int]:
    """Return the processes of replicas on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::ServeReplica:robojam"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _serve(cores: int, seconds: float) -> dict[str, Any]:
    service = Service("--ray", "local", "--processes", str(cores))
    try:
        bodies = []
        for seed in range(_CALLS):
            asked = {"seconds": 5, "seed": seed}
            call = service.ask("/v1/continue", asked)["continuations"][0]
            if len(call["touches"]) <= _LONGEST:
                bodies.append(json.dumps({"touches": call["touches"], "seconds": 5}).encode())
        most = _ask(service, bodies, "closed", seconds, _AT_A_TIME)
        half = most["answers_per_second"] / 2
        figures = {
            f"{_AT_A_TIME} at a time": most,
            "half of that (Poisson)": _ask(service, bodies, "open", seconds, half),
        }
        victim = _replicas()[0]
        timer = threading.Timer(_WARM_UP + seconds / 3, lambda: os.kill(victim, signal.SIGKILL))
        timer.start()
        figures["a replica killed"] = _ask(service, bodies, "closed", seconds, 16)
        timer.join()
        played_again = service.ask("/v1/health")["api"]["played_again"]
        figures["a replica killed"]["played_again"] = played_again
    finally:
        service.close()
    return figures


def _generate(cores: int, count: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        hashes = set()
        for name, options in (("one process", []), ("cluster", ["--ray", "local"])):
            to = Path(folder) / f"{name}.npz"
            load, began = os.getloadavg()[0], time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "robojam", "generate", "--count", str(count),
                 "--seed", "1", "--to", str(to), *options],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            figures[name] = {"load": load, "seconds": round(seconds, 1)}
            hashes.add(hashlib.sha256(to.read_bytes()).hexdigest())
        figures["cores"] = cores
        figures["equal"] = len(hashes) == 1
        figures["times as fast"] = round(
            figures["one process"]["seconds"] / figures["cluster"]["seconds"], 2
        )
    return figures


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="replicas that play")
    parser.add_argument("--count", type=int, default=10_000, help="performances to generate")
    parser.add_argument("--seconds", type=float, default=20, help="of each row of serving")
    parser.add_argument("--only", choices=_PARTS, help="one part (default: both)")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    if args.only in (None, "serve"):
        figures["serve"] = _serve(args.cores, args.seconds)
    if args.only in (None, "generate"):
        figures["generate"] = _generate(args.cores, args.count)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
