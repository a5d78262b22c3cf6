"""Deployment of the HTTP API on a cluster with Ray Serve: a robojam.web.answerer.Answerer.

The application and its server stay in the program that is asked; what plays are replicas of one
deployment, which Serve places, watches, replaces and counts. A take that a replica did not live
to answer is played again by another: it is the same.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.cluster.connect import WORKER_ENVIRONMENT, Cluster, ClusterError
from robojam.cluster.models import send
from robojam.cluster.replica import Replica
from robojam.web import limits
from robojam.web.answerer import LostError
from robojam.web.api_types import InvalidError, ModelInfo, Wanted
from robojam.web.places import Places

#: Replicas that may die of a take before it is given up, and seconds between two tries.
_ATTEMPTS, _PAUSE = 4, 0.2
#: Takes for each replica that autoscaling aims at: half of a batch.
_AIM: Final = limits.ROWS // 2
#: Seconds for the first replica to be up, for one to be found dead, and to end.
_START, _HEALTH, _END = 120.0, 5.0, 5.0
#: Seconds for the deployment to end.
_DELETE: Final = 20.0
#: Of the figures that are means: the part of the newest.
_NEWEST: Final = 0.05


class ServeAnswerer:
    """Player of takes by the replicas of a deployment, which `close` ends."""

    def __init__(
        self, cluster: Cluster, models: Sequence[Path], *, name: str, replicas: int | None
    ) -> None:
        """Prepare a deployment; `models` starts it, in the place of one of this name.

        replicas: how many play; None: as many as there is work for and the cluster has cores.
        Raises ClusterError where the cluster has too few cores, and ModelFileError.
        """
        self._cluster, self._name = cluster, name
        self._replicas, self._sent = replicas, send(models)
        if (replicas or 1) > cluster.cores:
            raise ClusterError(
                f"{replicas} processes need a core each, and the cluster has {cluster.cores}"
            )
        self._places = Places()
        self._starting: asyncio.Task[Sequence[ModelInfo]] | None = None
        self._handle: Any = None
        self._models: Sequence[ModelInfo] = ()
        self._again = 0
        self._rows = 0.0

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models, when the first replica has loaded them. Raises LostError."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> Sequence[ModelInfo]:
        try:
            async with asyncio.timeout(_START):
                self._handle = await _in_thread(self._deploy)
                self._models = await self._handle.models.remote()
        except TimeoutError:
            raise LostError(
                f"no replica was up within {_START:g} s: are the cluster's cores taken?"
            ) from None
        except Exception as error:  # Ray raises RuntimeError for most
            reason = str(error).strip().splitlines()[-1]
            raise LostError(f"the replicas cannot be started: {reason:.300}") from error
        return self._models

    def _deploy(self) -> Any:
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        scaling: dict[str, Any] = {"num_replicas": self._replicas}
        if self._replicas is None:
            most = {"max_replicas": self._cluster.cores, "target_ongoing_requests": _AIM}
            scaling = {"autoscaling_config": {"min_replicas": 1, **most}}
        deployment: Any = serve.deployment(
            Replica,
            name="player",
            max_ongoing_requests=limits.ROWS,
            max_constructor_retry_count=2,
            health_check_period_s=_HEALTH,
            health_check_timeout_s=2 * _HEALTH,
            graceful_shutdown_timeout_s=_END,
            ray_actor_options={"num_cpus": 1, "runtime_env": {"env_vars": WORKER_ENVIRONMENT}},
            **scaling,
        )
        serve.start(proxy_location="Disabled")  # robojam's own server is asked
        bound = deployment.bind(self._sent, limits.ROWS)
        return serve.run(bound, name=self._name, route_prefix=None)

    async def answer(self, wanted: Sequence[Wanted], *, owner: str) -> list[bytes]:
        """See robojam.web.answerer.Answerer."""
        with self._places.taken(len(wanted), owner):
            tasks = [asyncio.create_task(self._play(each)) for each in wanted]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _play(self, wanted: Wanted) -> bytes:
        """Have a take played, again where its replica dies. Raises LostError, InvalidError."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        data = msgspec.msgpack.encode(wanted)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._again += 1
                await asyncio.sleep(_PAUSE * 2**attempt)
            response = self._handle.play.remote(data)
            try:
                kind, answer, rows = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except (RayError, RayServeException):
                continue
            if kind == "invalid":
                raise InvalidError(answer)
            if kind == "lost":
                raise LostError(answer)
            self._rows += _NEWEST * (rows - self._rows)
            self._places.ended()
            assert isinstance(answer, bytes)
            return answer
        raise LostError("the replicas that play have failed")

    def check(self) -> None:
        """Raise LostError where the cluster is gone."""
        try:
            self._cluster.check()
        except ClusterError as error:
            raise LostError(str(error)) from error

    async def close(self) -> None:
        """End the deployment."""
        if self._starting is not None and self._cluster.answers:
            with suppress(Exception):  # of a cluster that goes
                async with asyncio.timeout(_DELETE):
                    await _in_thread(self._delete)

    def _delete(self) -> None:
        from ray import serve

        serve.delete(self._name)

    def report(self) -> dict[str, Any]:
        """Return how many takes wait or are played, and how full the batches are."""
        return {
            "models": [{"name": each.name, "sha256": each.sha256} for each in self._models],
            "cluster": self._cluster.name,
            "playing": self._places.count,
            "played_again": self._again,
            "rows": round(self._rows, 1),
            "continuations_per_second": round(self._places.rate, 1),
        }


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Return what a function returns that may block for ever, without holding up the end."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if not result.done():
            result.set_result(value) if error is None else result.set_exception(error)

    def run() -> None:
        try:
            value, error = function(), None
        except Exception as caught:
            value, error = None, caught
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await result
