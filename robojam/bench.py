"""How fast this machine plays, measured from outside: a real engine, real packets.

Every figure is taken over UDP on loopback by a client in another process than the
engine, so that it holds all that a musician's own program would meet. A bare timer
loop is timed beside them: what it shows is the machine's noise, not robojam's.
"""

from __future__ import annotations

import json
import math
import platform
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robojam import __version__
from robojam.wire import osc

#: Seconds that an engine may take to be ready, and to answer.
_PATIENCE = 30.0


class BenchError(RuntimeError):
    """The engine could not be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was measured, in which unit, and what it should at most be."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""


@dataclass(slots=True)
class Report:
    """All figures of a run, and on what they were taken."""

    figures: list[Figure] = field(default_factory=list)

    def add(
        self, name: str, value: float, unit: str, limit: float | None, note: str = ""
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit, limit, note))

    def as_json(self, command: str) -> dict[str, Any]:
        """Return what goes into a file of results."""
        return {
            "command": command,
            "robojam": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": _cores(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "figures": {
                f.name: {"value": f.value, "unit": f.unit, "limit": f.limit, "note": f.note}
                for f in self.figures
            },
        }


def processor() -> str:
    """Name the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies, NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message from the engine, and when it arrived, in seconds of perf_counter."""

    at: float
    address: str
    args: tuple[Any, ...]

    @property
    def is_touch(self) -> bool:
        """Whether it is a down or a move of the first voice."""
        return self.address in ("/robojam/ai/down", "/robojam/ai/move")


class Engine:
    """A running engine and a client of it."""

    def __init__(self, *options: str, output: bool = True) -> None:
        """Start it, and wait until it is ready. Raises BenchError."""
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        self.out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.hand = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hand.bind(("127.0.0.1", 0))
        port = self.out.getsockname()[1] if output else 9
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "robojam", "serve", "--osc-in", "127.0.0.1:0"),
                *("--osc-out", f"127.0.0.1:{port}", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.perf_counter() - began
        if not line.startswith("listening on udp://"):
            raise BenchError(f"the engine did not start: {line.strip() or 'no word from it'}")
        host, _, port_text = line.split("//")[1].partition(",")[0].rpartition(":")
        self.address = (host, int(port_text))

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(_PATIENCE)
        self.out.close()
        self.hand.close()

    def send(self, address: str, tags: str = "", *args: object) -> float:
        """Send a message; return when it left."""
        packet = osc.encode(address, tags, *args)
        at = time.perf_counter()
        self.hand.sendto(packet, self.address)
        return at

    def hear(self, until: float) -> Iterator[Heard]:
        """Yield what the engine's output brings until then, in perf_counter's seconds."""
        while True:
            left = until - time.perf_counter()
            if left <= 0 or not select.select([self.out], [], [], left)[0]:
                return
            packet = self.out.recv(65536)
            at = time.perf_counter()
            for message in osc.decode(packet)[0]:
                yield Heard(at, message.address, message.args)

    def status(self) -> dict[str, Any]:
        """Ask how it does."""
        self.hand.settimeout(_PATIENCE)
        self.send("/robojam/status")
        while True:
            (message,), _ = osc.decode(self.hand.recv(65536))
            if message.address == "/robojam/status":
                found: dict[str, Any] = json.loads(message.args[0])
                return found


@contextmanager
def engine(*options: str) -> Iterator[Engine]:
    """Keep an engine for the block; its recordings go with it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Engine("--sessions", folder, *options)
        try:
            yield made
        finally:
            made.close()


def bare_timers(count: int, interval: float) -> list[float]:
    """Return how late a loop that only waits is, at each of count deadlines, in seconds."""
    late: list[float] = []
    ears, _ = socket.socketpair()
    due = time.perf_counter()
    for _i in range(count):
        due += interval
        while (left := due - time.perf_counter()) > 0:
            select.select([ears], [], [], left)
        late.append(time.perf_counter() - due)
    return late


def duet(report: Report, touches: int, *options: str) -> None:
    """Latency of an answer beyond the dt that it was due after."""
    beyond: list[float] = []
    with engine("--mode", "duet", *options) as e:
        e.send("/robojam/down", "iff", 1, 0.5, 0.5)
        list(e.hear(time.perf_counter() + 0.3))
        for i in range(touches):
            angle = i / 9
            x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
            sent = e.send("/robojam/move", "iff", 1, x, y)
            # The next touch goes out when the answer has come, as a finger moves: about
            # every 17 ms. An answer that is due much later is left to be replaced.
            for heard in e.hear(sent + 0.1):
                if heard.is_touch:
                    beyond.append(1000 * (heard.at - sent - heard.args[3]))
                    break
        replaced = e.status()["replaced"]
    note = f"{len(beyond)} answers, {replaced} replaced by a newer touch before they were due"
    report.add("touch in to touch out beyond dt, p50", percentile(beyond, 0.5), "ms", 2, note)
    report.add("touch in to touch out beyond dt, p99", percentile(beyond, 0.99), "ms", 5)


def solo(report: Report, touches: int, *options: str) -> None:
    """Drift and jitter of the machine on its own, recording, with one monitor."""
    with engine("--mode", "solo", *options) as e:
        e.send("/robojam/subscribe", "i", e.hand.getsockname()[1])
        at: list[float] = []
        due: list[float] = []
        for heard in e.hear(time.perf_counter() + 60 + touches / 5):
            if heard.is_touch:
                at.append(heard.at)
                due.append((due[-1] if due else 0.0) + heard.args[3])
                if len(at) == touches:
                    break
        cpu = _cpu_share(e, 3.0)
        e.send("/robojam/unsubscribe", "i", e.hand.getsockname()[1])
    if len(at) < 2:
        raise BenchError("the engine did not play on its own")
    offsets = [a - d for a, d in zip(at, due, strict=True)]
    early = min(offsets)
    errors = [1000 * (offset - early) for offset in offsets]
    third = max(len(offsets) // 3, 1)
    gone = percentile(offsets[-third:], 0.5) - percentile(offsets[:third], 0.5)
    drift = 100 * abs(gone) / (due[-1] - due[0]) * 1.5
    note = f"{len(at)} touches in {due[-1]:.0f} s, recorded, one monitor"
    report.add("solo: drift", drift, "%", 0.1, note)
    report.add("solo: error against the due instant, p50", percentile(errors, 0.5), "ms", None)
    report.add("solo: error against the due instant, p99", percentile(errors, 0.99), "ms", 2)
    bare = [1000 * late for late in bare_timers(min(touches, 500), 0.02)]
    note = "a loop that only waits, in the same run: the machine's own noise"
    report.add("bare timer: error, p99", percentile(bare, 0.99), "ms", None, note)
    if not math.isnan(cpu):
        report.add("CPU while playing on its own", cpu, "% of a core", 10)


def turns(report: Report, rounds: int, *options: str) -> None:
    """How soon the machine answers a silence, and is still when the human is back."""
    threshold = 0.2
    answered: list[float] = []
    stilled: list[float] = []
    after = 0
    with engine("--threshold", str(threshold), *options) as e:
        for _ in range(rounds):
            sent = e.send("/robojam/down", "iff", 1, 0.4, 0.4)
            e.send("/robojam/up", "i", 1)
            played = 0
            for heard in e.hear(sent + 4.0):
                if not heard.is_touch:
                    continue
                if played == 0:
                    answered.append(1000 * (heard.at - sent - threshold - heard.args[3]))
                played += 1
                if played == 12:
                    break
            back = e.send("/robojam/down", "iff", 1, 0.6, 0.6)
            e.send("/robojam/up", "i", 1)
            for heard in e.hear(back + 0.15):
                if heard.address == "/robojam/ai/up":
                    stilled.append(1000 * (heard.at - back))
                elif heard.is_touch and heard.at > back + 0.002:
                    after += 1
            list(e.hear(time.perf_counter() + 0.01))
    name = "silence to first answer, beyond threshold and dt, p99"
    report.add(name, percentile(answered, 0.99), "ms", 2, f"{len(answered)} answers")
    name = "human returns to finger lifted, p99"
    note = f"{len(stilled)} times; {after} touches sounded later than 2 ms after"
    report.add(name, percentile(stilled, 0.99), "ms", 2, note)


def rest(report: Report, seconds: float, *options: str) -> None:
    """What an engine costs that waits."""
    with engine(*options) as e:
        report.add("ready after the command", e.ready_s, "s", 3)
        share = _cpu_share(e, seconds)
        if not math.isnan(share):
            report.add("CPU at rest", share, "% of a core", 2)
        memory = e.status().get("memory_mb")
        if memory:
            report.add("memory", memory, "MB", 500, "the largest it was, resident")


def _cpu_share(e: Engine, seconds: float) -> float:
    """Share of a core that the engine takes over some seconds, in percent."""
    before = e.status()
    list(e.hear(time.perf_counter() + seconds))
    after = e.status()
    if "cpu_s" not in after:
        return math.nan
    return float(
        100 * (after["cpu_s"] - before["cpu_s"]) / (after["uptime_s"] - before["uptime_s"])
    )


def command_time(*arguments: str) -> float:
    """Return how long a Python command takes, in seconds: the best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)


def run(*, quick: bool, model: str | None) -> Iterator[tuple[str, Report]]:
    """Measure; yield what is measured next and the report so far, and the whole at the end."""
    report = Report()
    options = [] if model is None else ["--model", model]
    yield "an engine at rest", report
    rest(report, 2.0 if quick else 10.0, *options)
    report.add("robojam --help", command_time("-m", "robojam", "--help"), "s", 0.2)
    yield "a duet", report
    duet(report, 60 if quick else 500, *options)
    yield "turns", report
    turns(report, 3 if quick else 30, *options)
    yield "solo", report
    solo(report, 150 if quick else 1000, *options)
    yield "", report
