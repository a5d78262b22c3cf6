"""Replica of the deployment that plays for the HTTP API: a batch that requests join.

It plays as a process of robojam.web.workers does: what is asked for while others are played
joins them at the next touch. Ray Serve calls it, many times at once, in one event loop.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import nullcontext

import msgspec

from robojam.cluster.models import SentModel, receive
from robojam.web import limits
from robojam.web.api_types import ModelInfo, Wanted
from robojam.web.api_worker import Worker

#: How a take has ended ("done", "invalid" or "lost"), its answer or the reason, and how many
#: were played beside it.
Ended = tuple[str, bytes | str, int]


class Replica:
    """Player of takes, for one process of a cluster."""

    def __init__(self, models: Sequence[SentModel], rows: int) -> None:
        """Play up to `rows` takes at a time. Raises ModelFileError."""
        self._worker = Worker(map(receive, models), rows)
        self._rows = asyncio.Semaphore(rows)
        self._plans = asyncio.Semaphore(limits.MAX_PLANS)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Ended]] = {}
        self._stepping: asyncio.Task[None] | None = None
        self._fault: Exception | None = None

    async def models(self) -> list[ModelInfo]:
        """Return the models that are played."""
        return self._worker.models

    def check_health(self) -> None:
        """Raise what has ended the steps, if anything has: Serve starts another replica."""
        if self._fault is not None:
            raise self._fault

    async def play(self, data: bytes) -> Ended:
        """Play a take: a Wanted, as MessagePack. Cancelled, the take is dropped."""
        wanted = msgspec.msgpack.decode(data, type=Wanted)
        plans = self._plans if wanted.follow or wanted.memory else nullcontext()
        async with plans, self._rows:
            self.check_health()
            number = next(self._numbers)
            if (refused := self._worker.take(number, wanted)) is not None:
                return refused[0], refused[2], 0
            self._waiting[number] = asyncio.get_running_loop().create_future()
            if self._stepping is None or self._stepping.done():
                self._stepping = asyncio.create_task(self._step())
            try:
                return await self._waiting[number]
            finally:
                del self._waiting[number]
                self._worker.drop(number)

    async def _step(self) -> None:
        """Play until there is nothing left to play."""
        try:
            while count := len(self._worker):
                for kind, number, answer in self._worker.step():
                    if not self._waiting[number].done():
                        self._waiting[number].set_result((kind, answer, count))
                await asyncio.sleep(0)
        except Exception as error:  # whatever it is, no take would ever end
            self._fault = error
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
