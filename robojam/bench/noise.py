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


def main() -> None:
    """Wait for deadlines until standard input closes; print the percentiles of the lateness.

    They are in ms, as JSON. `bare_timer` runs this.
    """
    raise_priority()  # as the engine does
    late: list[float] = []
    due = time.perf_counter() + INTERVAL
    while not select.select([sys.stdin], [], [], max(0.0, due - time.perf_counter()))[0]:
        if (now := time.perf_counter()) >= due:
            late.append(1000 * (now - due))
            due += INTERVAL
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
    command = [sys.executable, "-P", "-c", "from robojam.bench import noise; noise.main()"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield lateness
    finally:
        output, _ = process.communicate()
        lateness |= json.loads(output)
