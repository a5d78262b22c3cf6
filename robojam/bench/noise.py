"""A loop that only waits, in a process of its own: how late this machine wakes anyone."""

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
    """Meet deadlines until standard input closes; return how late each was, in ms."""
    raise_priority()  # as the engine does, that they be alike
    late: list[float] = []
    due = time.perf_counter()
    while True:
        due += INTERVAL
        while (left := due - time.perf_counter()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                return late
        late.append(1000 * (time.perf_counter() - due))


def main() -> None:
    """Wait, and say how late it was: what `bare_timer` runs."""
    late = wait()
    shares = (0.5, 0.99, 0.999, 1)
    print(json.dumps({str(share): percentile(late, share) for share in shares}))


@contextmanager
def bare_timer() -> Iterator[dict[str, float]]:
    """Run one beside the block; afterwards what is yielded holds its percentiles, in ms."""
    found: dict[str, float] = {}
    if sys.platform == "win32":  # whose select waits for sockets alone
        yield found
        return
    beside = subprocess.Popen(
        [sys.executable, "-c", "from robojam.bench import noise; noise.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield found
    finally:
        said, _ = beside.communicate()
        found |= json.loads(said)
