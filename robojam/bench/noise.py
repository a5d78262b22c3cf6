"""Bare timer in a process of its own: how late this machine wakes a program that waits."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from robojam.bench.report import percentile
from robojam.system.priority import raise_priority

#: Seconds from one deadline to the next.
INTERVAL = 0.02


def wait() -> list[float]:
    """Wait for deadlines until standard input closes; return the lateness of each in ms."""
    raise_priority()  # as the engine does
    late: list[float] = []
    due = time.perf_counter()
    while True:
        due += INTERVAL
        while (left := due - time.perf_counter()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                return late
        late.append(1000 * (time.perf_counter() - due))


def main() -> None:
    """Wait, and print percentiles of the lateness as JSON. `bare_timer` runs this."""
    late = wait()
    shares = (0.5, 0.99, 0.999, 1)
    print(json.dumps({str(share): percentile(late, share) for share in shares}))


@contextmanager
def bare_timer() -> Iterator[dict[str, float]]:
    """Run a bare timer beside the block.

    Yields a dict, empty until the block ends; then it has the lateness in ms by percentile
    ("0.5", "0.99" …). It stays empty on Windows.
    """
    lateness: dict[str, float] = {}
    if sys.platform == "win32":  # select waits for sockets alone there
        yield lateness
        return
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from robojam.bench import noise; noise.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield lateness
    finally:
        output, _ = process.communicate()
        lateness |= json.loads(output)
