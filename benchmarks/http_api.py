"""Measure the HTTP API on loopback: answers a second, and how long each takes.

    python benchmarks/http_api.py [--rate 50] [--seconds 20] [--processes N]

The service runs without a jam, its clients in a process of their own. Calls are what the
machine itself plays from nothing in 5 s; each answer lasts 5 s. Rows: one request after the
other; as many at a time as are answered, which shows how many a second there can be; requests
at random instants (Poisson) at the rate, whose times count from the instant at which they were
due; answers that follow their calls, which are planned; and the lateness of a jam that plays
(solo), alone and beside 8 requests at a time. The load of the machine before each row is in it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _output import argument_parser, print_and_save
from web import Engine

from robojam.bench import percentile

#: Different calls, and requests at a time where as many as possible are to be answered.
_CALLS, _AT_A_TIME = 48, 60
#: Touches of a call, at most: a display that reports 60 a second has no more in 5 s.
_LONGEST = 300
#: Seconds that are not counted at first.
_WARM_UP = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    """Connections to the service, of which each has one request at a time."""

    def __init__(self, port: int, bodies: list[bytes], token: str) -> None:
        """token is the query of each request, or ""."""
        self._port, self._bodies, self._query = port, bodies, token
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self.times: list[float] = []
        self.statuses: dict[str, int] = {}
        self.bytes = 0

    async def ask(self, number: int, due: float) -> None:
        """Send a request and wait for the answer; its time counts from due."""
        body = self._bodies[number % len(self._bodies)]
        async with self._slots:
            if self._free:
                reader, writer = self._free.pop()
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            head = (
                f"POST /v1/continue?{self._query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.lower().partition(b"content-length: ")[2].split(b"\r")[0])
            self.bytes += len(await reader.readexactly(size))
            self._free.append((reader, writer))
        status = answer.split()[1].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == "200":
            self.times.append(time.perf_counter() - due)


async def _closed(client: Client, seconds: float, at_a_time: int) -> int:
    """Ask again whenever an answer comes; return how many came within the time."""
    numbers = iter(range(10**9))
    begin = time.perf_counter() + _WARM_UP
    end, counted = begin + seconds, 0

    async def one() -> None:
        nonlocal counted
        while (now := time.perf_counter()) < end:
            await client.ask(next(numbers), now)
            counted += begin < time.perf_counter() < end
            if now < begin:
                client.times.clear()

    await asyncio.gather(*(one() for _ in range(at_a_time)))
    return counted


async def _open(client: Client, seconds: float, rate: float) -> int:
    """Ask at random instants, on average at a rate; return how many were asked."""
    chance, tasks = random.Random(1), []
    due = time.perf_counter()
    end, number = due + seconds, 0
    while due < end:
        due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(client.ask(number, due)))
        number += 1
    await asyncio.gather(*tasks)
    return number


def _clients(
    port: int,
    bodies: list[bytes],
    kind: str,
    seconds: float,
    amount: float,
    results: Any,
    token: str = "",
) -> None:
    """Ask, in a process of its own."""

    async def run() -> None:
        client = Client(port, bodies, token)
        work: Coroutine[Any, Any, int] = (
            _closed(client, seconds, int(amount))
            if kind == "closed"
            else _open(client, seconds, amount)
        )
        count = await work
        results.put((count, client.times, client.statuses, client.bytes))

    asyncio.run(run())


class Service:
    """Running service, and its processes."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "robojam", "web", "--api-only", "--web", "127.0.0.1:0",
             *options],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.port = int(line.split("/")[2].rpartition(":")[2])

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return json.load(answer)

    def cpu(self) -> dict[str, float]:
        """Return the seconds that the server has used, and those that play."""
        used = {"server": _cpu(self._process.pid), "playing": 0.0}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self._process.pid:
                    used["playing"] += _cpu(int(path.name))
            except OSError:
                continue
        return used

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _measure(
    service: Service, bodies: list[bytes], kind: str, seconds: float, amount: float
) -> dict[str, Any]:
    """Return how many answers came, how long they took and what they cost."""
    spawn = multiprocessing.get_context("spawn")
    results, load, before = spawn.Queue(), os.getloadavg()[0], service.cpu()
    process = spawn.Process(
        target=_clients, args=(service.port, bodies, kind, seconds, amount, results)
    )
    process.start()
    time.sleep(_WARM_UP + seconds / 2)
    rows = service.ask("/v1/health")["api"]["rows"]
    count, times, statuses, size = results.get()
    process.join()
    after = service.cpu()
    answers = sum(statuses.values())
    milliseconds = sorted(1000 * each for each in times)
    return {
        "load": load,
        "answers_per_second": round(count / seconds, 1),
        "latency_ms": {
            f"p{100 * p:g}": round(percentile(milliseconds, p), 1) for p in (0.5, 0.99)
        },
        "statuses": statuses,
        "rows": rows,
        "cpu_ms_per_answer": {
            name: round(1000 * (after[name] - before[name]) / answers, 2) for name in after
        },
        "bytes_per_answer": size // answers,
    }


def _beside_a_jam(bodies: list[bytes], seconds: float) -> dict[str, Any]:
    """Return the lateness of an engine without requests and with them, and their rate."""
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        engine = Engine(folder, "--web", "127.0.0.1:0")
        try:
            token = engine.url.partition("?")[2]
            port = int(engine.url.split("/")[2].rpartition(":")[2])
            # The process that plays is started by the first request.
            asyncio.run(Client(port, bodies, token).ask(0, time.perf_counter()))
            for name in ("alone", "beside 8 requests"):
                load, clients = os.getloadavg()[0], None
                if name != "alone":
                    spawn = multiprocessing.get_context("spawn")
                    results = spawn.Queue()
                    given = (port, bodies, "closed", seconds, 8, results, token)
                    clients = spawn.Process(target=_clients, args=given)
                    clients.start()
                time.sleep(_WARM_UP + seconds)
                figures[name] = {
                    "load": load,
                    "late_ms_p99": round(engine.status()["late_ms_p99"], 3),
                }
                if clients is not None:
                    count, *_ = results.get()
                    clients.join()
                    figures[name]["answers_per_second"] = round(count / seconds, 1)
        finally:
            engine.close()
    return figures


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rate", type=float, default=50, help="requests a second (Poisson)")
    parser.add_argument("--seconds", type=float, default=20, help="of each row")
    parser.add_argument("--processes", type=int, help="that play (default: one for each core)")
    args = parser.parse_args()
    options = ["--processes", str(args.processes)] if args.processes else []
    service = Service(*options)
    try:
        calls = [
            service.ask("/v1/continue", {"seconds": 5, "seed": seed})["continuations"][0]
            for seed in range(_CALLS)
        ]
        calls = [call for call in calls if len(call["touches"]) <= _LONGEST]
        lengths = sorted(len(call["touches"]) for call in calls)
        asked = [{"touches": call["touches"], "seconds": 5} for call in calls]
        plain = [json.dumps(each).encode() for each in asked]
        planned = [json.dumps(each | {"follow": 0.5}).encode() for each in asked]
        figures = {
            "touches of a call": {
                "least": lengths[0], "median": lengths[len(lengths) // 2], "most": lengths[-1]
            },
            "one at a time": _measure(service, plain, "closed", args.seconds, 1),
            f"{_AT_A_TIME} at a time": _measure(
                service, plain, "closed", args.seconds, _AT_A_TIME
            ),
            f"{args.rate:g} a second": _measure(
                service, plain, "open", args.seconds, args.rate
            ),
            "following, one at a time": _measure(service, planned, "closed", args.seconds, 1),
            "following, 8 at a time": _measure(service, planned, "closed", args.seconds, 8),
        }  # fmt: skip
    finally:
        service.close()
    figures["a jam"] = _beside_a_jam(plain, args.seconds)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
