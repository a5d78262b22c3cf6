"""Processes that play for the HTTP API: the same answers, places, what dies, what is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.api import running_api
from support.engine import PATIENCE

from robojam.model.file import folder
from robojam.web import limits, openapi
from robojam.web.answerer import BusyError, LostError
from robojam.web.api_types import InvalidError, Touch, Wanted
from robojam.web.workers import Workers

SMALL = folder() / "small.safetensors"
CALL = [(0.5, 0.5, 0.0, False)] + [(0.5 + 0.01 * i, 0.5, 0.017, True) for i in range(1, 9)]


def wanted(**more: Any) -> Wanted:
    return Wanted(**{
        "model": "small", "call": CALL, "seconds": 1.0, "seed": 7, "number": 0,
        "temperature": 1.0, "spread": 1.0, "follow": 0.0, "memory": 0.0, "silence": 0.0,
        **more,
    })  # fmt: skip


def work(
    task: Callable[[Workers], Coroutine[Any, Any, None]],
    *,
    processes: int = 1,
    rows: int = limits.ROWS,
    models: tuple[Path, ...] = (SMALL,),
) -> None:
    """Do something with processes that play."""

    async def run() -> None:
        workers = Workers(models, processes=processes, rows=rows)
        try:
            async with asyncio.timeout(2 * PATIENCE):
                await task(workers)
        finally:
            await workers.close()

    asyncio.run(run())


def processes_of(workers: Workers) -> list[int]:
    return [w.process.pid for w in workers._workers if w.process is not None]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def test_same_request_gets_the_same_bytes_whatever_is_played_beside_it():
    async def task(workers: Workers) -> None:
        alone = await workers.answer([wanted(number=n) for n in range(3)], owner="")
        assert len(set(alone)) == 3
        others = [
            workers.answer(
                [wanted(seed=s, seconds=0.2 + s % 5, temperature=s % 3, call=CALL[: s % 9])],
                owner="",
            )
            for s in range(60)
        ]
        again = workers.answer([wanted(number=n) for n in range(3)], owner="")
        *_, beside = await asyncio.gather(*others, again)
        assert beside == alone
        touches = msgspec.json.decode(alone[0], type=list[Touch])
        assert 0 < sum(touch.dt for touch in touches) < 1.0

    work(task, processes=2, rows=8)


def test_answers_of_the_api_are_the_same_byte_for_byte():
    async def task(workers: Workers) -> None:
        async with running_api(workers) as api:
            for example in openapi.CONTINUE_EXAMPLES.values():
                body = example["value"]
                if "follow" in body:  # the small model cannot
                    continue
                answers = []
                for _ in range(2):
                    async with api.client.post(api.url + "/v1/continue", json=body) as answer:
                        assert answer.status == 200
                        answers.append(await answer.read())
                assert answers[0] == answers[1]
            (example,) = openapi.PREDICT_EXAMPLES.values()
            status, answer, _ = await api.post("/api/predict", example["value"])
            assert status == 200
            lines = answer["response"].splitlines()
            assert lines[0] == "time,x,y,z,moving"
            assert 0 < float(lines[-1].split(",")[0]) < 5

    work(task)


def test_wrong_call_is_refused_and_others_are_played():
    async def task(workers: Workers) -> None:
        with pytest.raises(InvalidError, match="perf: no line names its columns"):
            await workers.answer([wanted(call="hello")], owner="")
        (answer,) = await workers.answer([wanted(call="x,y,time\n0.5,0.5,0\n")], owner="")
        assert answer.startswith(b"time,x,y,z,moving\n")
        with pytest.raises(LostError, match="no model none"):
            await workers.answer([wanted(model="none")], owner="")

    work(task)


def test_takes_have_places_in_all_and_for_each_host(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TAKES", 20)
    monkeypatch.setattr(limits, "MAX_TAKES_OF_A_HOST", 10)

    async def task(workers: Workers) -> None:
        await workers.models()
        long = [wanted(number=n, seconds=60.0) for n in range(10)]
        first = asyncio.create_task(workers.answer(long, owner="10.0.0.1"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="10 continuations of this host") as busy:
            await workers.answer([wanted()], owner="10.0.0.1")
        assert busy.value.of_host
        assert busy.value.retry_after >= 1
        second = asyncio.create_task(workers.answer(long, owner=""))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="20 continuations are waiting") as busy:
            await workers.answer([wanted()], owner="10.0.0.2")
        assert not busy.value.of_host
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
        assert await workers.answer([wanted()], owner="10.0.0.1")

    work(task, rows=4)


def test_cancelled_request_frees_its_rows():
    async def task(workers: Workers) -> None:
        await workers.models()
        long = [wanted(number=n, seconds=60.0, call=[]) for n in range(6)]
        asking = asyncio.create_task(workers.answer(long, owner=""))
        await until(lambda: workers.report()["playing"] == 2)
        assert workers.report()["waiting"] == 4
        asking.cancel()
        await asyncio.wait([asking])
        assert workers.report()["playing"] == workers.report()["waiting"] == 0
        assert await workers.answer([wanted()] * 3, owner="")

    work(task, rows=2)


def test_request_for_many_does_not_delay_one_for_one():
    async def task(workers: Workers) -> None:
        await workers.models()
        many = [wanted(number=n, seconds=2.0) for n in range(20)]
        crowd = asyncio.create_task(workers.answer(many, owner=""))
        await until(lambda: workers.report()["playing"] == 2)
        await workers.answer([wanted()], owner="")
        assert not crowd.done()
        assert workers.report()["waiting"] > 0
        crowd.cancel()
        await asyncio.wait([crowd])

    work(task, rows=2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_takes_of_a_process_that_dies_are_played_again_and_are_the_same():
    async def task(workers: Workers) -> None:
        alone = await workers.answer([wanted(seconds=60.0)], owner="")
        asking = asyncio.create_task(workers.answer([wanted(seconds=60.0)], owner=""))
        await until(lambda: workers.report()["playing"])
        (process,) = processes_of(workers)
        os.kill(process, signal.SIGKILL)
        assert await asking == alone
        assert workers.report()["restarts"] == 1

    work(task)


def test_model_that_cannot_be_read_is_named(tmp_path: Path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no model")

    async def task(workers: Workers) -> None:
        with pytest.raises(LostError, match=r"bad\.safetensors is not a safetensors file"):
            await workers.models()

    work(task, models=(bad,))


def test_other_models_can_be_played_from_now_on(tmp_path: Path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(SMALL.read_bytes())

    async def task(workers: Workers) -> None:
        assert [model.name for model in await workers.models()] == ["small"]
        workers.play([other])
        assert [model.name for model in await workers.models()] == ["other"]
        assert await workers.answer([wanted(model="other")], owner="")

    work(task)


def test_several_models_are_played_by_name(tmp_path: Path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(SMALL.read_bytes())

    async def task(workers: Workers) -> None:
        assert [model.name for model in await workers.models()] == ["small", "other"]
        both = [wanted(), wanted(model="other")]
        one, two = await workers.answer(both, owner="")
        assert one == two

    work(task, models=(SMALL, other))
