"""Connection to a cluster of Ray, or to a cluster that this machine starts for itself alone.

Ray is imported here, inside functions: what it reads from the environment is set before. Its
token authentication is on and its usage reports are off, unless the environment says otherwise.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from robojam import __version__
from robojam.config.addresses import format_address, parse_address
from robojam.system.install import require

#: Name of the cluster that a command starts on its own machine.
LOCAL: Final = "local"
#: Ray's settings where the environment has none.
_ENVIRONMENT: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_TOKENS: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
#: Libraries that would start threads of their own: the products are small, and Ray starts one
#: process for each core.
WORKER_ENVIRONMENT: Final = {
    f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "NUMBA")
} | {"RAY_USAGE_STATS_ENABLED": "0"}
#: Bytes of shared memory for what tasks exchange, on this machine alone.
_LOCAL_MEMORY: Final = 256 * 2**20
#: Seconds for a connection to the head; between two checks, and until it is taken for gone.
_CONNECT, _CHECK, _GONE = 3.0, 2.0, 10.0
#: Seconds for every node to say what it runs.
_PROBE: Final = 60.0


class ClusterError(Exception):
    """A cluster that cannot be used; the text says why, and what to do."""


@dataclass(slots=True)
class Cluster:
    """A connection that is open. head: where Ray's head listens; cores: of all machines."""

    name: str
    head: tuple[str, int]
    cores: int
    _checked_at: float = field(default_factory=time.monotonic)
    _answered_at: float = field(default_factory=time.monotonic)

    @property
    def answers(self) -> bool:
        """Whether the head is there now."""
        return _answers(self.head)

    def check(self) -> None:
        """Raise ClusterError when the head has not answered for some seconds.

        It is cheap, and to be called about once a second: Ray itself ends the program without
        a word a minute after its head has gone.
        """
        now = time.monotonic()
        if now - self._checked_at < _CHECK:
            return
        self._checked_at = now
        if self.answers:
            self._answered_at = time.monotonic()
        elif now - self._answered_at > _GONE:
            raise ClusterError(f"the head of the cluster at {self.name} is gone")


def load() -> Any:
    """Import Ray with robojam's settings, and return it. Raises ModuleNotFoundError.

    It must come before any other import of Ray, which reads its settings once.
    """
    require("ray")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


@contextmanager
def connected(
    address: str, *, cores: int | None = None, folder: Path | None = None
) -> Iterator[Cluster]:
    """Connect to a cluster, HOST:PORT of its head, or to LOCAL, and disconnect at the end.

    This machine must be one of the cluster's. LOCAL starts a cluster that ends with the block,
    of some cores (None: all). folder is copied to each machine, and is where its processes
    work. Raises ClusterError, and ModuleNotFoundError without Ray.
    """
    head = None if address == LOCAL else _parse(address)
    if head is not None and not _answers(head):
        raise ClusterError(
            f"no cluster answers at {address}: is its head up (ray start --head), and the "
            "port that of the head?"
        )
    ray = load()
    if ray.is_initialized():
        raise ClusterError("this program is connected to a cluster already")
    quiet = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": True}
    processes: dict[str, Any] = {"env_vars": WORKER_ENVIRONMENT}
    if folder is not None:
        processes["working_dir"] = str(folder)
    shared = {**quiet, "namespace": "robojam", "runtime_env": processes}
    try:
        if head is None:
            if not any(os.environ.get(name) for name in _TOKENS):
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
            start = partial(
                ray.init, address="local", num_cpus=cores, include_dashboard=False,
                object_store_memory=_LOCAL_MEMORY, **shared,
            )  # fmt: skip
            try:
                start()
            except Exception:  # Ray gives up after 30 s, which a busy machine may need
                _disconnect(ray)
                start()
        else:
            ray.init(address=format_address(*head), **shared)
    except Exception as error:  # Ray raises many kinds, and RuntimeError for most
        _disconnect(ray)
        raise ClusterError(_explain(address, error)) from error
    try:
        if head is None:
            head = parse_address(ray.get_runtime_context().gcs_address)
        cores = int(ray.cluster_resources().get("CPU", 0))
        if not cores:
            raise ClusterError(f"the cluster at {address} has no cores to work with")
        cluster = Cluster(address, head, cores)
        _check_nodes(ray, cluster)
        yield cluster
    finally:
        _disconnect(ray)


def _disconnect(ray: Any) -> None:
    with suppress(Exception):  # what can fail is gone already
        ray.shutdown()


def _parse(address: str) -> tuple[str, int]:
    """Return host and port of a head. Raises ClusterError."""
    try:
        if "://" in address:
            raise ValueError("run the command on a machine of the cluster, and name the head")
        return parse_address(address, lowest_port=1)
    except ValueError as error:
        raise ClusterError(
            f"--ray {address}: expected {LOCAL} or HOST:PORT of the head: {error}"
        ) from error


def _answers(head: tuple[str, int]) -> bool:
    try:
        socket.create_connection(head, _CONNECT).close()
    except OSError:
        return False
    return True


def _explain(address: str, error: BaseException) -> str:
    """Return in one line why Ray could not connect or start."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    texts = [f"{type(each).__name__}: {each}" for each in causes]
    if any("AuthenticationError" in text for text in texts):  # Ray also quotes it
        return (
            f"the cluster at {address} does not accept this machine's token: give each machine "
            "the same, in RAY_AUTH_TOKEN or in ~/.ray/auth_token (docs/cluster.md)"
        )
    for text in texts:
        if "Version mismatch" in text:
            here = f"Ray {version('ray')} and Python {sys.version.split()[0]}"
            there = " and ".join(
                f"{name} {text.partition(name + ':')[2].split()[0]}"
                for name in ("Ray", "Python")
            )
            return (
                f"the cluster at {address} has {there}, this machine {here}: install the same "
                "on each"
            )
        if "No node info found" in text:
            return (
                f"this machine is not in the cluster at {address}: "
                f"ray start --address={address}"
            )
    return f"the cluster {address} cannot be used: {texts[-1].strip().splitlines()[0]:.300}"


def _node_versions() -> tuple[str, str]:
    """Return the versions of robojam and numpy where this runs."""
    return __version__, version("numpy")


def _check_nodes(ray: Any, cluster: Cluster) -> None:
    """Check that each node has this robojam. Raises ClusterError."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = ray.remote(num_cpus=0, max_retries=2)(_node_versions)
    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
    asked = {
        probe.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=name, soft=False)
        ).remote(): node["NodeManagerAddress"]
        for name, node in nodes.items()
    }
    waiting, until = list(asked), time.monotonic() + _PROBE
    while waiting:
        cluster.check()
        done, waiting = ray.wait(waiting, timeout=1.0)
        for each in done:
            _check_node(ray, asked[each], each)
        if waiting and time.monotonic() > until:
            missing = ", ".join(asked[each] for each in waiting)
            raise ClusterError(f"the cluster's machine {missing} does not answer")


def _check_node(ray: Any, host: str, answer: Any) -> None:
    here = _node_versions()
    try:
        there = ray.get(answer)
    except (ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
        return  # it has left the cluster since
    except ray.exceptions.RayError as error:
        if "ModuleNotFoundError" not in str(error):
            raise ClusterError(f"the cluster's machine {host} runs nothing: {error}") from error
        raise ClusterError(
            f"the cluster's machine {host} lacks robojam {here[0]}: install it in the Python "
            "that Ray runs in there"
        ) from error
    if there != here:
        names = [f"robojam {robojam} and numpy {numpy}" for robojam, numpy in (there, here)]
        raise ClusterError(
            f"the cluster's machine {host} has {names[0]}, this one {names[1]}: results would "
            "differ, install the same on each"
        )
