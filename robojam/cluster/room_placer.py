"""Program that has Ray place the actors of a host's rooms, and keep them.

The first line of standard input, JSON, says on which cluster and for how many rooms; a line of
JSON is printed with what that is. The second line says how many actors of what there are to be.
Standard input ends when the host does. It is a program of its own since Ray ends one whose head
is gone, and the rooms play on.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from robojam.cluster.connect import Cluster, ClusterError, connected, load
from robojam.cluster.models import send
from robojam.cluster.room_actor import RoomActor
from robojam.model.file import ModelFileError
from robojam.system.child_process import on_stdin_end, read_first_line

#: Parts of a core, and of a GPU where one is asked for, that Ray counts for each room.
CORES, GPUS = 0.1, 0.05
#: Exit status where the cluster cannot be used.
_UNUSABLE: Final = 1
_CHECK: Final = 1.0


def _say(**about: Any) -> None:
    print(json.dumps(about), flush=True)


def spares_of(rooms: int, nodes: int) -> int:
    """Return how many programs beside those of rooms take over those of any one machine."""
    lost, spares = -(-rooms // nodes), 1
    while nodes > 1 and spares - -(-spares // nodes) < lost:
        spares += 1
    return spares


def _check(cluster: Cluster, rooms: int, *, gpu: bool) -> None:
    """Check that there is space for all rooms. Raises ClusterError."""
    total = load().cluster_resources()
    wanted = "1 room needs" if rooms == 1 else f"{rooms} rooms need"
    for what, each, here in (
        ("cores", CORES, total.get("CPU", 0.0)),
        ("GPUs", GPUS if gpu else 0.0, total.get("GPU", 0.0)),
    ):
        if rooms * each > here:
            raise ClusterError(
                f"{wanted} {rooms * each:g} {what}, and the cluster at {cluster.name} has "
                f"{here:g}"
            )


def _place(given: dict[str, Any], wanted: dict[str, Any]) -> list[Any]:
    """Create the actors; return them. Raises ModelFileError."""
    ray = load()
    [model] = send([Path(given["model"])])
    sent = (model.name, model.sha256, ray.put(model.data))
    gpus = {"num_gpus": GPUS} if given["gpu"] else {}
    actor = ray.remote(
        num_cpus=CORES, max_restarts=-1, scheduling_strategy="SPREAD", **gpus
    )(RoomActor)  # fmt: skip
    about = {name: wanted[name] for name in ("server", "secret", "options")}
    return [actor.remote(about, sent) for _ in range(wanted["count"])]


def _run(given: dict[str, Any]) -> None:
    """Place actors until standard input ends. Raises ClusterError and ModelFileError."""
    with connected(given["address"]) as cluster:
        ray = load()
        nodes = sum(node["Alive"] for node in ray.nodes())
        _check(cluster, given["rooms"], gpu=given["gpu"])
        _say(host=ray.util.get_node_ip_address(), spares=spares_of(given["rooms"], nodes))
        if not (line := read_first_line()):
            return
        actors = _place(given, json.loads(line))
        ended = threading.Event()
        on_stdin_end(ended.set)
        while not ended.wait(_CHECK):
            try:
                cluster.check()
            except ClusterError as error:
                _say(gone=str(error))
                os._exit(_UNUSABLE)  # Ray would wait for it
        del actors


def main() -> int:
    """Place actors until the host ends."""
    given = json.loads(read_first_line() or b"null")
    if given is None:
        return 0
    try:
        _run(given)
    except (ClusterError, ModelFileError, ModuleNotFoundError) as error:
        _say(error=str(error))
        return _UNUSABLE
    except Exception as error:  # Ray raises RuntimeError for most
        _say(error=f"the cluster fails: {type(error).__name__}: {error}".splitlines()[0][:300])
        return _UNUSABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
