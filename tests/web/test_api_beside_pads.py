"""HTTP API beside the pads of a jam: behind their token, by the model that plays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from support.engine import PATIENCE, RunningEngine
from support.web import page, serving_web

SMALL = "small.safetensors"


async def ask(url: str, path: str, **body: Any) -> tuple[int, Any]:
    """Ask the server of a pad's address, with the token in it."""
    address = url.replace("/?", f"{path}?")
    async with ClientSession() as session, session.post(address, json=body) as answer:
        return answer.status, await answer.json()


async def playing(url: str, name: str) -> Any:
    """Ask until a model of some name plays; return its answer."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            status, answer = await ask(url, "/v1/continue", seconds=0.5, seed=7)
            if status == 200 and answer["model"]["name"] == name:
                return answer
            assert status in (200, 503), answer
            await asyncio.sleep(0.1)


def test_api_beside_pads_needs_their_token_and_plays_the_model_of_the_jam(tmp_path: Path):
    async def play(engine: RunningEngine, url: str) -> None:
        bare = url.partition("?")[0]
        status, answer = await ask(bare + "?token=wrong&", "/v1/continue")
        assert status == 401
        first = await playing(url, "touch")
        assert await playing(url, "touch") == first  # the same bytes for the same seed
        async with page(url, "Ada") as ada:  # pads are there beside it
            await ada.touch(["d", 1, 0.25, 0.5])
            perf = "time,x,y,z,moving\n0.1, 0.5, 0.5, 20.0, 0\n"
            status, answer = await ask(url, "/api/predict", perf=perf)
            assert status == 200
            assert answer["response"].startswith("time,x,y,z,moving\n")
        engine.out.send("/robojam/model", "s", SMALL)
        assert await playing(url, "small") != first
        async with ClientSession() as session, session.get(f"{bare}v1/health") as health:
            about = await health.json()
        assert (about["protocol"], about["players"]) == (1, 0)
        assert about["api"]["models"][0]["name"] == "small"
        assert about["api"]["requests"]["answered"] >= 4

    with serving_web(tmp_path, "--mode", "listen") as (engine, url):
        asyncio.run(play(engine, url))
        assert engine.end() == 0
