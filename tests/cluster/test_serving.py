"""The HTTP API with replicas: the answers of one process, and none of them lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from support.engine import PATIENCE, command

from robojam.cluster.connect import Cluster, ClusterError
from robojam.cluster.serving import ServeAnswerer
from robojam.config.addresses import format_address
from robojam.model.file import folder
from robojam.web import limits
from robojam.web.answerer import BusyError
from robojam.web.api_types import InvalidError, Wanted
from robojam.web.workers import Workers

SMALL = folder() / "small.safetensors"


def wanted(number: int, **more: Any) -> Wanted:
    return Wanted(**{
        "model": "small", "call": [(0.5, 0.5, 0.0, False), (0.6, 0.5, 0.02, True)],
        "seconds": 2.0, "seed": 7, "number": number, "temperature": 1.0, "spread": 1.0,
        "follow": 0.0, "memory": 0.0, "silence": 0.0, **more,
    })  # fmt: skip


def work(cluster: Cluster, task: Callable[[ServeAnswerer], Coroutine[Any, Any, None]]) -> None:
    """Do something with two replicas."""

    async def run() -> None:
        answerer = ServeAnswerer(cluster, [SMALL], name="test", replicas=2)
        try:
            async with asyncio.timeout(4 * PATIENCE):
                [model] = await answerer.models()
                assert model.name == "small"
                await task(answerer)
        finally:
            await answerer.close()

    asyncio.run(run())


async def alone(takes: list[Wanted]) -> list[bytes]:
    """Return what one process of this machine answers."""
    workers = Workers([SMALL], processes=1, rows=limits.ROWS)
    try:
        return await workers.answer(takes, owner="")
    finally:
        await workers.close()


def kill_a_replica() -> None:
    import ray

    found = [each for each in ray.util.list_named_actors(all_namespaces=True)
             if each["name"].startswith("SERVE_REPLICA::test")]  # fmt: skip
    assert len(found) == 2
    ray.kill(ray.get_actor(**found[0]))


def test_replicas_answer_byte_for_byte_and_one_that_dies_costs_no_answer(cluster):
    async def task(answerer: ServeAnswerer) -> None:
        takes = [wanted(number) for number in range(20)]
        expected = await alone(takes)
        assert await answerer.answer(takes, owner="") == expected

        with pytest.raises(InvalidError, match="time"):
            await answerer.answer([wanted(0), wanted(0, call="no performance")], owner="")
        with pytest.raises(BusyError):
            await answerer.answer([wanted(0)] * (limits.MAX_TAKES + 1), owner="")

        # More than one replica plays at a time, so that each has some when the first has ended.
        long = [wanted(number, seconds=20.0) for number in range(limits.ROWS + 8)]
        expected = await alone(long)
        asking = asyncio.create_task(answerer.answer(long, owner=""))
        await answerer.answer(takes[:1], owner="")
        assert not asking.done()
        await asyncio.to_thread(kill_a_replica)
        assert await asking == expected
        assert answerer.report()["played_again"] > 0
        assert answerer.report()["playing"] == 0

    work(cluster, task)


def test_more_replicas_than_cores_are_refused(cluster):
    with pytest.raises(ClusterError, match="3 processes need a core each, and the cluster"):
        ServeAnswerer(cluster, [SMALL], name="test", replicas=3)


def test_command_serves_the_same_application(cluster):
    process = subprocess.Popen(
        command(
            *("web", "--api-only", "--web", "127.0.0.1:0", "--model", "small"),
            *("--processes", "1", "--ray", format_address(*cluster.head)),
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(2 * PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].removesuffix("/v1/continue")
        body = json.dumps({"seconds": 3, "seed": 7, "count": 2}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/continue", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            made = json.load(answer)["continuations"]
        takes = [wanted(n, call=[], temperature=1.0) for n in range(2)]
        assert len(made) == len(takes)
        with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
            metrics = answer.read().decode()
        assert 'robojam_requests_total{end="answered"} 1\n' in metrics
    finally:
        process.terminate()
        process.wait(2 * PATIENCE)
        watchdog.cancel()
        if process.stdout is not None:
            process.stdout.close()
    assert process.returncode == 0
