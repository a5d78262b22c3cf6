"""Measure pads in browsers on loopback: delay, the engine's lateness, viewers, and nobody.

    python benchmarks/web.py [--phones 60] [--rate 60] [--viewers 300] [--seconds 20]

The machine plays (solo). Phones are sockets in a process of their own; each slides with one
finger. One more, the probe, notes when it sends a touch and when a monitor gets it. The same is
done by OSC from as many addresses, without a web server: the difference is what the web adds.
The load of the machine before each row is in it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _output import argument_parser, print_and_save
from _web_engine import Engine

from robojam.bench import percentile
from robojam.wire import osc

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.raw_page import RawPage

#: Touches of the probe that are not counted.
_WARM_UP = 60
_TICKS = os.sysconf("SC_CLK_TCK")


async def _connect(url: str, number: int, *, view: bool) -> RawPage:
    host = f"127.0.{1 + number // 16}.{1 + number % 16}"
    phone = await RawPage.connect(url, host=host, view=view)
    await phone.welcomed
    return phone


def _crowd(url: str, count: int, rate: float, *, view: bool) -> None:
    """Keep pages open, of which each sends touches at a rate unless it only watches."""

    async def run() -> None:
        phones = [await _connect(url, number, view=view) for number in range(count)]
        if view:
            await asyncio.Event().wait()
        begin, step = time.perf_counter(), 0
        while True:
            for number, phone in enumerate(phones):
                due = begin + (step + number / count) / rate
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                at = round(1000 * (time.perf_counter() - begin), 1)
                phone.send("t", at, [["m", 1, 0.1 + step % 500 / 1000, 0.5]])
            step += 1

    with suppress(KeyboardInterrupt):
        asyncio.run(run())


def _osc_crowd(engine: tuple[str, int], count: int, rate: float) -> None:
    """Send the same touches by OSC, from as many addresses."""
    sockets = []
    for number in range(count):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind((f"127.0.{1 + number // 16}.{1 + number % 16}", 0))
        sockets.append(each)
    begin, step = time.perf_counter(), 0
    with suppress(KeyboardInterrupt):
        while True:
            for number, each in enumerate(sockets):
                due = begin + (step + number / count) / rate
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                x = 0.1 + step % 500 / 1000
                each.sendto(osc.encode("/robojam/move", "iff", 1, x, 0.5), engine)
            step += 1


def _cpu(process: int) -> float:
    """Return the seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def _probe(
    engine: Engine, send: Callable[[float], None], seconds: float, rate: float
) -> list[float]:
    """Send touches; return the milliseconds until the monitor got each.

    Each touch has a y of its own, by which it is found.
    """
    sent: dict[float, float] = {}
    took: list[float] = []
    loop, pattern = asyncio.get_running_loop(), re.compile(rb"/robojam/human\d*/(down|move)\0")

    def receive() -> None:
        while select.select([engine.monitor], [], [], 0)[0]:
            packet = engine.monitor.recv(1 << 16)
            now = time.perf_counter()
            if pattern.match(packet):
                (message,), _ = osc.decode(packet)
                if (began := sent.pop(round(float(str(message.args[2])), 5), None)) is not None:
                    took.append(1000 * (now - began))

    loop.add_reader(engine.monitor, receive)
    begin = time.perf_counter()
    for number in range(int(seconds * rate)):
        if (wait := begin + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if number % int(2 * rate) == 0:
            engine.renew()
        y = round(0.6 + number % 30_000 / 1e5, 5)
        sent[y] = time.perf_counter()
        send(y)
    await asyncio.sleep(0.5)
    loop.remove_reader(engine.monitor)
    return took[_WARM_UP:]


@contextmanager
def _measured(engine: Engine, figures: dict[str, Any]) -> Iterator[None]:
    """Note the load before a block, and the share of a core of each process during it."""
    figures["load"], began = os.getloadavg()[0], time.monotonic()
    before = {name: _cpu(process) for name, process in engine.processes.items()}
    yield
    passed = time.monotonic() - began
    figures["cpu_percent"] = {
        name: round(100 * (_cpu(process) - before[name]) / passed, 2)
        for name, process in engine.processes.items()
    }


def _cpu_percent(engine: Engine, seconds: float) -> dict[str, Any]:
    """Return the load, and the share of a core of each process during some seconds."""
    figures: dict[str, Any] = {}
    with _measured(engine, figures):
        time.sleep(seconds)
    return figures


def _measure(engine: Engine, seconds: float, rate: float) -> dict[str, Any]:
    """Return the delay of a probe, the engine's lateness and the load of both processes."""
    figures: dict[str, Any] = {}

    async def run() -> list[float]:
        if engine.url:
            phone = await _connect(engine.url, 250 * 16, view=False)
            await asyncio.sleep(0.5)
            send: Callable[[float], None] = lambda y: phone.send(  # noqa: E731
                "t", time.perf_counter() * 1000 // 1, [["m", 1, 0.5, y]]
            )
        else:
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.bind(("127.0.251.1", 0))
            send = lambda y: own.sendto(  # noqa: E731
                osc.encode("/robojam/move", "iff", 1, 0.5, y), engine.address
            )
        return await _probe(engine, send, seconds, rate)

    with _measured(engine, figures):
        took = asyncio.run(run())
    status = engine.status()
    return {
        **figures,
        "touches": len(took),
        "delay_ms": {f"p{100 * p:g}": round(percentile(took, p), 3) for p in (0.5, 0.99)},
        "late_ms_p99": round(status["late_ms_p99"], 3),
        "players": len(status["players"]),
        "dropped": status["dropped"],
    }


@contextmanager
def _beside(target: Callable[..., None], *arguments: Any, **more: Any) -> Iterator[None]:
    """Run a function in a process of its own while the block runs."""
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=arguments, kwargs=more, daemon=True
    )
    process.start()
    time.sleep(4)
    try:
        yield
    finally:
        process.terminate()
        process.join()


@contextmanager
def _engine(*options: str) -> Iterator[Engine]:
    with TemporaryDirectory() as folder:
        engine = Engine(folder, "--mode", "solo", "--no-record", *options)
        try:
            time.sleep(4)
            yield engine
        finally:
            engine.close()


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--phones", type=int, default=60)
    parser.add_argument("--rate", type=float, default=60, help="touches a second of each")
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20, help="of each row")
    args = parser.parse_args()
    seconds, web = args.seconds, ("--web", "127.0.0.1:0")
    figures: dict[str, Any] = {}
    with _engine() as engine:
        figures["OSC, the probe alone"] = _measure(engine, seconds, args.rate)
        with _beside(_osc_crowd, engine.address, args.phones, args.rate):
            figures["OSC, all"] = _measure(engine, seconds, args.rate)
    with _engine(*web) as engine:
        figures["web, nobody"] = _cpu_percent(engine, seconds)
        figures["web, the probe alone"] = _measure(engine, seconds, args.rate)
        with _beside(_crowd, engine.url, args.phones, args.rate, view=False):
            figures["web, all"] = _measure(engine, seconds, args.rate)
    with _engine(*web) as engine, _beside(_crowd, engine.url, args.viewers, 0.0, view=True):
        figures["web, viewers"] = {
            **_cpu_percent(engine, seconds), "web": engine.status()["web"]["connections"]
        }  # fmt: skip
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
