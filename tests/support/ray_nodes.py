"""A cluster of Ray of three nodes on this machine: a program, and what starts it.

The program prints a line of JSON: the address of the head, and the id of each node with the
process of its raylet, that of the head first. It ends with its input.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MEMORY = 80 * 2**20
#: Seconds that a busy machine may need for three nodes.
_PATIENCE = 150.0


def descendants(process: int) -> list[int]:
    """Return a process and all that it has started, and those in turn (Linux)."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.name))
    found = [process]
    for each in found:
        found += parents.get(each, [])
    return found


def send_signal(processes: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, number)


@contextmanager
def three_nodes() -> Iterator[tuple[str, dict[str, int], dict[str, str]]]:
    """Run a cluster of three nodes: its address, raylets by node, and the environment.

    Raises OSError where Ray does not start.
    """
    env = {**os.environ, "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_AUTH_MODE": "token"}
    process = subprocess.Popen(
        [sys.executable, "-m", "support.ray_nodes"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    watchdog = threading.Timer(_PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        about: dict[str, Any] = {}
        while not about and (line := process.stdout.readline()):
            with suppress(ValueError):  # Ray prints, too
                about = json.loads(line)
        if not about:
            raise OSError("Ray does not start three nodes here")
        watchdog.cancel()
        yield about["address"], about["raylets"], env
    finally:
        watchdog.cancel()
        processes = descendants(process.pid)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_PATIENCE)
        send_signal(processes, signal.SIGKILL)


def main() -> None:
    """Have a cluster until the input ends."""
    from robojam.cluster.connect import load

    load()
    from ray.cluster_utils import Cluster

    each = {"num_cpus": 2, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    try:
        nodes = [cluster.head_node, *(cluster.add_node(**each, wait=False) for _ in range(2))]
        cluster.wait_for_nodes()
        raylets = {n.node_id: n.all_processes["raylet"][0].process.pid for n in nodes}
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
