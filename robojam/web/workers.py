"""Processes of this machine that play for the HTTP API: a robojam.web.answerer.Answerer.

Takes wait here, in the server's process, and go to a worker when it has a row free; so what is
dropped while it waits costs nothing, and a request for many takes does not delay others: the
next row goes to the request that has fewest. A worker that dies or hangs is started again, and
its takes are played again: they are the same.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.system.child_process import python_command
from robojam.system.shell import printable
from robojam.web import limits
from robojam.web.answerer import LostError
from robojam.web.api_types import InvalidError, ModelInfo, Wanted
from robojam.web.frames import HEADER, frame
from robojam.web.places import Places

log = logging.getLogger("robojam")

_PROGRAM: Final = "robojam.web.api_worker"
#: Libraries that would start threads of their own: the products are small.
_ONE_THREAD: Final = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
#: Seconds without a word after which a worker that plays is taken for hung; until the first
#: new start, and the longest until later ones; that it has to end.
_SILENCE, _RESTART, _MAX_RESTART, _PATIENCE = 60.0, 1.0, 30.0, 2.0
#: Workers that may die of a take before it is given up.
_ATTEMPTS: Final = 2


@dataclass(slots=True, eq=False)
class _Job:
    """One take of a request."""

    wanted: Wanted
    request: _Request
    result: asyncio.Future[bytes]
    attempts: int = 0

    @property
    def is_plan(self) -> bool:
        return bool(self.wanted.follow or self.wanted.memory)


@dataclass(slots=True, eq=False)
class _Request:
    """Takes of one request; those that wait, and how many are played."""

    waiting: deque[_Job] = field(default_factory=deque)
    running: int = 0


class _Worker:
    """One process, and the takes that it plays."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.jobs: dict[int, _Job] = {}
        self.is_ready = False
        self.is_stale = False  # it plays models that are not wanted any more
        self.heard_at = 0.0

    @property
    def plans(self) -> int:
        """Number of takes that are planned."""
        return sum(job.is_plan for job in self.jobs.values())

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    def send(self, message: list[Any]) -> None:
        """Send a message, of which nothing is heard where the process has gone."""
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError, RuntimeError):
                self.process.stdin.write(frame(message))


class Workers:
    """Some processes that play the same models."""

    def __init__(
        self, models: Sequence[Path], *, processes: int, rows: int, quiet: bool = False
    ) -> None:
        """Play models, up to `rows` takes in each process; `start` starts them.

        quiet: they run where no other program has anything to do.
        """
        self._given = {"models": [str(path) for path in models], "rows": rows, "quiet": quiet}
        self._rows = rows
        self._workers = [_Worker() for _ in range(processes)]
        self._keepers: list[asyncio.Task[None]] = []
        self._requests: list[_Request] = []
        self._places = Places()
        self._numbers = itertools.count(1)
        self._models: list[ModelInfo] = []
        self._ready = asyncio.Event()
        self._problem = ""
        self._steps = self._stepped_rows = 0
        self._restarts = 0

    # -- requests --------------------------------------------------------------------------

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models, when the first worker has loaded them. Raises LostError."""
        self.start()
        if not self._given["models"]:
            raise LostError("nothing can be played yet: no model is known")
        waiting = asyncio.ensure_future(self._ready.wait())
        try:
            while not waiting.done():
                if self._problem:
                    raise LostError(f"nothing can be played now: {self._problem}")
                await asyncio.wait([waiting], timeout=0.1)
        finally:
            waiting.cancel()
        return self._models

    async def answer(self, wanted: Sequence[Wanted], *, owner: str) -> list[bytes]:
        """See robojam.web.answerer.Answerer."""
        self.start()
        with self._places.taken(len(wanted), owner):
            loop, request = asyncio.get_running_loop(), _Request()
            jobs = [_Job(each, request, loop.create_future()) for each in wanted]
            request.waiting.extend(jobs)
            self._requests.append(request)
            self._dispatch()
            try:
                return await asyncio.gather(*(job.result for job in jobs))
            finally:
                self._drop(request)

    def _drop(self, request: _Request) -> None:
        """Forget a request, and what workers still play of it."""
        if request in self._requests:
            self._requests.remove(request)
        for worker in self._workers:
            for number, job in list(worker.jobs.items()):
                if job.request is request:
                    del worker.jobs[number]
                    worker.send(["drop", number])
        self._dispatch()

    def _dispatch(self) -> None:
        """Send takes that wait to workers that have a row free."""
        while True:
            room = [
                worker
                for worker in self._workers
                if worker.is_ready and len(worker.jobs) < self._rows
            ]
            if not room:
                return
            planner = min(room, key=lambda worker: (worker.plans, len(worker.jobs)))
            can_plan = planner.plans < limits.MAX_PLANS
            waiting = [
                request
                for request in self._requests
                if request.waiting and (can_plan or not request.waiting[0].is_plan)
            ]
            if not waiting:
                return
            request = min(waiting, key=lambda each: each.running)  # the first of them
            job = request.waiting.popleft()
            worker = planner if job.is_plan else min(room, key=lambda each: len(each.jobs))
            number = next(self._numbers)
            worker.jobs[number] = job
            request.running += 1
            if len(worker.jobs) == 1:
                worker.heard_at = time.monotonic()
            worker.send(["take", number, job.wanted])

    def play(self, models: Sequence[Path]) -> None:
        """Play other models from now on; what is played of the old ones is lost."""
        paths = [str(path) for path in models]
        if paths != self._given["models"]:
            self._given["models"] = paths
            self._models, self._problem = [], ""
            self._ready.clear()
            for worker in self._workers:
                worker.is_stale = worker.process is not None
                worker.kill()

    # -- workers ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the processes, unless they run."""
        if not self._keepers:
            self._keepers = [
                asyncio.create_task(self._keep(worker)) for worker in self._workers
            ]

    def check(self) -> None:
        """Do nothing: a process that fails is started again."""

    async def close(self) -> None:
        """End the processes; what is not answered yet is lost."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for request in list(self._requests):
            for job in request.waiting:
                _fail(job, LostError("the server ends"))

    async def _keep(self, worker: _Worker) -> None:
        """Run a worker, again and again."""
        delay = _RESTART
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._run(worker)
                except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
                    log.debug("a process that plays has ended: %r", error)
                await self._end(worker)
                if worker.is_stale:
                    worker.is_stale = False
                    continue
                if time.monotonic() - began > 2 * _MAX_RESTART:
                    delay = _RESTART
                if not self._problem:
                    log.warning("a process that plays has failed; it is started again")
                await asyncio.sleep(delay)
                self._restarts += 1
                delay = min(2 * delay, _MAX_RESTART)
        finally:
            await self._end(worker, patience=_PATIENCE)

    async def _run(self, worker: _Worker) -> None:
        """Start a worker's process, and take what it says until it ends."""
        pipe = asyncio.subprocess.PIPE
        worker.process = process = await asyncio.create_subprocess_exec(
            *python_command(_PROGRAM), stdin=pipe, stdout=pipe, env=os.environ | _ONE_THREAD,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(self._given).encode() + b"\n")
        worker.heard_at = time.monotonic()
        watching = asyncio.create_task(self._watch(worker))
        try:
            while True:
                (size,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
                data = await process.stdout.readexactly(size)
                worker.heard_at = time.monotonic()
                self._hear(worker, msgspec.msgpack.decode(data))
        finally:
            watching.cancel()

    async def _watch(self, worker: _Worker) -> None:
        """Kill a worker that plays and says nothing for long."""
        while True:
            await asyncio.sleep(1.0)
            playing = worker.jobs or not worker.is_ready
            if playing and time.monotonic() - worker.heard_at > _SILENCE:
                worker.kill()

    def _hear(self, worker: _Worker, message: list[Any]) -> None:
        match message:
            case ["ready", models]:
                self._models = msgspec.convert(models, list[ModelInfo])
                worker.is_ready, self._problem = True, ""
                self._ready.set()
            case ["failed", reason]:
                self._problem = printable(reason)
            case ["done", number, answer]:
                if (job := self._take_job(worker, number)) is not None:
                    self._places.ended()
                    if not job.result.done():
                        job.result.set_result(answer)
            case ["invalid", number, reason]:
                if (job := self._take_job(worker, number)) is not None:
                    _fail(job, InvalidError(reason))
            case ["lost", number, reason]:
                if (job := self._take_job(worker, number)) is not None:
                    _fail(job, LostError(reason))
            case ["steps", steps, rows]:
                self._steps, self._stepped_rows = steps, rows
        self._dispatch()

    def _take_job(self, worker: _Worker, number: int) -> _Job | None:
        """Return a take that has ended, unless it was dropped."""
        job = worker.jobs.pop(number, None)
        if job is not None:
            job.request.running -= 1
        return job

    async def _end(self, worker: _Worker, *, patience: float = 0.0) -> None:
        """End a worker's process; its takes wait again, or are given up."""
        worker.is_ready = False
        jobs, worker.jobs = list(worker.jobs.values()), {}
        for job in reversed(jobs):
            job.request.running -= 1
            job.attempts += 1
            if job.attempts < _ATTEMPTS:
                job.request.waiting.appendleft(job)
            else:
                _fail(job, LostError("the processes that play have failed"))
        process, worker.process = worker.process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), patience)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    # -- report ----------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return how many takes wait and are played, and how full the batches are."""
        playing = sum(len(worker.jobs) for worker in self._workers)
        rows = self._stepped_rows / self._steps if self._steps and playing else 0.0
        return {
            "models": [{"name": each.name, "sha256": each.sha256} for each in self._models],
            "processes": sum(worker.is_ready for worker in self._workers),
            "restarts": self._restarts,
            "problem": self._problem or None,
            "waiting": sum(len(request.waiting) for request in self._requests),
            "playing": playing,
            "rows": round(rows, 1),
            "continuations_per_second": round(self._places.rate, 1),
        }


def _fail(job: _Job, error: Exception) -> None:
    if not job.result.done():
        job.result.set_exception(error)
