"""Servers of the HTTP API for tests: with an answerer of the test's, or with one that plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, TCPConnector

from robojam.web.answerer import Answerer
from robojam.web.api import Api
from robojam.web.api_server import ApiServer
from robojam.web.api_types import ModelInfo, Wanted, encode_touches
from robojam.web.microjam import read_performance, write_answer

MODEL = ModelInfo(name="fake", sha256="ab" * 32, temperature=1.1, spread=0.9, plans=True)
PLAIN = ModelInfo(name="plain", sha256="cd" * 32, temperature=1.0, spread=1.0, plans=False)


@dataclass
class FakeAnswerer:
    """Answerer that plays one touch for each take, and notes what it was asked.

    error is raised instead of an answer; hold keeps answers back until it is set.
    """

    error: Exception | None = None
    hold: asyncio.Event | None = None
    asked: list[Wanted] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    dropped: int = 0

    async def models(self) -> Sequence[ModelInfo]:
        return [MODEL, PLAIN]

    async def answer(self, wanted: Sequence[Wanted], *, owner: str) -> list[bytes]:
        if self.error is not None:
            raise self.error
        self.asked += wanted
        self.owners.append(owner)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.dropped += 1
                raise
        answers = []
        for each in wanted:
            rows = [[0.25, 0.5, 0.1 + each.number, 1.0], [0.3, 0.5, 0.017, 1.0]]
            if isinstance(each.call, str):
                read_performance(each.call)
                answers.append(write_answer(rows).encode())
            else:
                answers.append(encode_touches(rows))
        return answers

    def report(self) -> dict[str, Any]:
        return {"waiting": 3}


@dataclass
class RunningApi:
    """Server of the API at a port of the loopback interface, and a client."""

    url: str
    client: ClientSession
    server: ApiServer

    async def post(self, path: str, body: Any = None, **more: Any) -> tuple[int, Any, Any]:
        """Ask with JSON, or with data; return status, JSON and headers of the answer."""
        if "data" not in more:
            more["data"] = json.dumps(body)
            more["headers"] = {"Content-Type": "application/json"} | more.get("headers", {})
        async with self.client.post(self.url + path, **more) as answer:
            return answer.status, await answer.json(), answer.headers

    async def get(self, path: str, **more: Any) -> tuple[int, Any, Any]:
        async with self.client.get(self.url + path, **more) as answer:
            return answer.status, await answer.json(), answer.headers


@asynccontextmanager
async def running_api(
    answerer: Answerer, *, token: str = "", **options: Any
) -> AsyncIterator[RunningApi]:
    """Serve the API at a free port; options are those of Api."""
    server = ApiServer(Api(answerer, **options), token=token)
    port = await server.listen(["127.0.0.1"], 0)
    try:
        async with ClientSession(connector=TCPConnector(force_close=True)) as client:
            yield RunningApi(f"http://127.0.0.1:{port}", client, server)
    finally:
        await server.close(0.0)
