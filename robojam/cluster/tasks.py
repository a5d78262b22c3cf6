"""Tasks over a cluster: parts of one job, each of which another machine may take over.

What a part computes depends on its arguments alone. So a part whose process or machine is lost
is computed again elsewhere, and the job's result is that of one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from robojam.cluster.connect import Cluster, ClusterError, load

#: Processes that may be lost with a part before the job ends.
_TRIES: Final = 4


def run_tasks(
    cluster: Cluster,
    function: Callable[..., Any],
    parts: Sequence[tuple[Any, ...]],
    *,
    shared: Sequence[Any] = (),
) -> Iterator[tuple[int, Any]]:
    """Yield (index, result) of each part, in the order in which they end.

    function is called with what is shared, which travels once to each machine, and with the
    arguments of a part; it must be of a module that is on each machine, or of the program
    itself. Raises what it raises, and ClusterError. Parts that have not ended when the iterator
    is closed are cancelled.
    """
    ray = load()
    stored = [ray.put(each) for each in shared]
    remote = ray.remote(num_cpus=1, max_retries=_TRIES - 1)(function)
    waiting = {remote.remote(*stored, *part): index for index, part in enumerate(parts)}
    try:
        while waiting:
            done, _ = ray.wait(list(waiting), timeout=1.0)
            for part in done:
                yield waiting.pop(part), _result(ray, part)
            cluster.check()
    finally:
        for part in waiting:
            ray.cancel(part, force=True)


def _result(ray: Any, part: Any) -> Any:
    """Return what a part has computed. Raises what it raised, and ClusterError."""
    try:
        return ray.get(part)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ClusterError(f"a part was lost {_TRIES} times: {reason:.200}") from error
