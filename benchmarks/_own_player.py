"""Player on this machine, who plays to a real engine and notes when each touch was heard.

A touch is heard when its `/robojam/human` message comes to a monitor. It is known by its x,
which no other has. Both ends of its way are measured here, the end by the kernel's time stamp
(Linux), so a client that wakes late counts for nothing.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robojam.bench import percentile
from robojam.wire import osc

#: Real-time priorities of the engine, the player and the watcher.
_ENGINE, _PLAYER, _WATCHER = 20, 30, 50
#: Touches a second of a stroke.
RATE = 60.0
#: Different x of touches: a touch is known for two minutes.
_PLACES = 8192
#: Requests for the status a second, and seconds between two subscriptions.
_STATUS_RATE, _RENEW = 2.0, 3.0
#: Seconds between two looks at a processor, and lateness from which it stood still.
_WATCH, _GAP = 0.002, 0.001
#: Seconds after which the last touches must have been heard.
_GRACE = 1.5
#: Linux: socket(7).
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_TIMESPEC = struct.Struct("@qq")


@dataclass
class RunningEngine:
    """Engine in a process of its own, with a folder for its sessions."""

    process: subprocess.Popen[str]
    port: int
    tuio_port: int
    sessions: Path

    @property
    def rss_mb(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    @property
    def disk_mb(self) -> float:
        """Size of all that it has recorded, in MB."""
        return sum(path.stat().st_size for path in self.sessions.rglob("*")) / 1e6

    def wait_for_end(self) -> str:
        """End the engine; return the last line that it printed on standard error."""
        self.process.terminate()
        errors = self.process.communicate(timeout=60)[1].splitlines()
        return errors[-1] if errors else ""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("", 0))
        return int(trial.getsockname()[1])


@contextmanager
def running_engine(
    *options: str, python: str = sys.executable, host: str = "127.0.0.1", realtime: bool = False
) -> Iterator[RunningEngine]:
    """Run an engine during the block; its recordings are deleted afterwards.

    realtime: at a priority at which other programs take no time from it.
    """
    with tempfile.TemporaryDirectory() as folder:
        tuio = free_port()
        command = [
            *(python, "-P", "-m", "robojam", "serve", "--no-sound", "--device", "cpu"),
            *("--osc-in", f"{host}:0", "--osc-out", "127.0.0.1:9", "--sessions", folder),
            *("--tuio-in", f"{host}:{tuio}", *options),
        ]
        if host != "127.0.0.1":
            command.append("--no-announce")
        log = Path(folder) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on udp://"):
            raise SystemExit(f"the engine did not start: {log.read_text()[-500:]}")
        if realtime:
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK  # as its own: its threads follow
            os.sched_setscheduler(process.pid, policy, os.sched_param(_ENGINE))
        port = int(line.split("//")[1].split(",")[0].split()[0].rpartition(":")[2])
        try:
            yield RunningEngine(process, port, tuio, Path(folder))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@dataclass
class Heard:
    """Result of the player: lateness in ms of each touch that was heard, and the answers."""

    sent: int = 0
    heard: list[tuple[float, float]] = field(default_factory=list)  # sent at, lateness in ms
    calls: int = 0
    answered: int = 0
    played: int = 0  # touches of the machine
    status_asked: int = 0
    status_ms: list[float] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    stolen: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return the figures of a row.

        Without a touch on whose way a processor stood still, except for two of them.
        """
        late = [ms for _, ms in self.heard]
        ran = [
            ms
            for sent, ms in self.heard
            if not any(b < sent + ms / 1000 and e > sent for b, e in self.stolen)
        ]
        return {
            "heard p50, ms": percentile(ran, 0.5),
            "p99": percentile(ran, 0.99),
            "max": max(ran, default=float("nan")),
            "max with what the machine lost": max(late, default=float("nan")),
            "the machine lost, ms": max((e - b for b, e in self.stolen), default=0.0) * 1000,
            "not heard": f"{self.sent - len(late)} of {self.sent}",
            "answered": f"{self.answered} of {self.calls}",
            "late p99, ms": self.status.get("late_ms_p99", float("nan")),
            "status": f"{len(self.status_ms)} of {self.status_asked}",
            "status max, ms": max(self.status_ms, default=float("nan")),
        }


@contextmanager
def stolen_times() -> Iterator[list[tuple[float, float]]]:
    """Find when the system took a processor away from everything, during the block.

    A timer at the highest priority is bound to each processor; where it wakes late, nothing
    ran there. Yields a list, empty until the block ends: from when to when, in seconds of
    time.time. Empty where no such priority is allowed.
    """
    stolen: list[tuple[float, float]] = []
    code = "import _own_player, sys; _own_player.watch(int(sys.argv[1]))"
    watchers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(processor)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent,
        )
        for processor in sorted(os.sched_getaffinity(0))
    ]  # fmt: skip
    for watcher in watchers:
        assert watcher.stdout is not None
        watcher.stdout.readline()  # it is ready
    try:
        yield stolen
    finally:
        for watcher in watchers:
            stolen += map(tuple, json.loads(watcher.communicate()[0]))


def watch(processor: int) -> None:
    """Print when a processor stood still, as JSON, once standard input is closed."""
    gaps: list[tuple[float, float]] = []
    try:
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_WATCHER))
    except OSError:
        print("ready\n[]")
        return
    print("ready", flush=True)
    due = time.time()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.time()))[0]:
        now = time.time()
        if now - due > _GAP:
            gaps.append((due - _WATCH, now))
        due = now + _WATCH
    print(json.dumps(gaps))


def play(
    engine: RunningEngine,
    seconds: float,
    *,
    stroke: float = 1.0,
    rest: float = 1.5,
    realtime: bool = False,
) -> Heard:
    """Play strokes with rests for some seconds; an answer is a rest in which the machine's turn
    begins: when it touches then is the model's choice.

    Rests of 0 s are none. realtime: at SCHED_FIFO, above the engine.
    """
    policy = os.sched_getscheduler(0), os.sched_getparam(0)
    with stolen_times() as stolen:
        try:
            if realtime:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PLAYER))
            heard = _Playing(engine, stroke, rest).run(seconds)
        finally:
            os.sched_setscheduler(0, *policy)
    heard.stolen = stolen
    return heard


class _Playing:
    def __init__(self, engine: RunningEngine, stroke: float, rest: float) -> None:
        self._address = ("127.0.0.1", engine.port)
        self._stroke, self._rest = stroke, rest
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        with suppress(PermissionError):  # so that none of the machine's touches is lost
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 25)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._heard = Heard()
        self._waiting: dict[int, float] = {}  # when each touch was sent, by its place
        self._asked_at = 0.0
        self._resting = self._answered = False

    def _send(self, address: str, tags: str = "", *args: Any) -> None:
        self._socket.sendto(osc.encode(address, tags, *args), self._address)

    def run(self, seconds: float) -> Heard:
        heard, began = self._heard, time.time()
        end, renew, ask = began + seconds, began, began + 0.25
        next_touch, number = began + 0.1, 0
        while (now := time.time()) < end + _GRACE:
            if now >= renew:
                self._send("/robojam/subscribe", "i", self._socket.getsockname()[1])
                renew = now + _RENEW
            if now >= ask and now < end:
                self._asked_at, ask = now, ask + 1 / _STATUS_RATE
                heard.status_asked += 1
                self._send("/robojam/status")
            if now >= next_touch and now < end:
                if number == 0:
                    self._end_rest()
                next_touch += 1 / RATE
                if number < self._stroke * RATE or not self._rest:
                    self._touch("down" if number == 0 else "move")
                    number += 1
                else:
                    self._send("/robojam/up", "i", 1)
                    self._resting, number = True, 0
                    next_touch += self._rest
            due = min(next_touch, ask, renew) if now < end else end + _GRACE
            if select.select([self._socket], [], [], max(0.0, due - time.time()))[0]:
                self._receive()
        self._end_rest()
        self._socket.close()
        heard.seconds = seconds
        return heard

    def _end_rest(self) -> None:
        if self._resting:
            self._heard.calls += 1
            self._heard.answered += self._answered
        self._resting = self._answered = False

    def _touch(self, phase: str) -> None:
        heard = self._heard
        place = heard.sent % _PLACES
        heard.sent += 1
        packet = osc.encode(f"/robojam/{phase}", "iff", 1, place / _PLACES, 0.25)
        self._waiting[place] = time.time()
        self._socket.sendto(packet, self._address)

    def _receive(self) -> None:
        heard = self._heard
        for _ in range(500):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(65536, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if data.startswith(b"/robojam/human/"):
                (message,), _ = osc.decode(data)
                if message.address.endswith("/up"):
                    continue
                place = round(message.args[1] * _PLACES)
                if place in self._waiting and message.args[2] == 0.25:
                    sent = self._waiting.pop(place)
                    heard.heard.append((sent, 1000 * (_stamp(ancillary) - sent)))
            elif data.startswith((b"/robojam/ai", b"/robojam/ai1")) and b"/up\0" not in data:
                address = data[: data.find(b"\0")]
                heard.played += address.endswith((b"/down", b"/move"))
            elif data.startswith(b"/robojam/turn\0"):
                self._answered |= self._resting and b"\0ai\0" in data
            elif data.startswith(b"/robojam/status\0"):
                heard.status_ms.append(1000 * (_stamp(ancillary) - self._asked_at))
                (message,), _ = osc.decode(data)
                heard.status = json.loads(str(message.args[0]))


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Return when a packet arrived, in seconds of time.time."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds + 1e-9 * nanoseconds)
    return time.time()


def print_row(name: str, figures: dict[str, Any], *, first: bool) -> None:
    """Print figures as a row of a table in Markdown; with its head if it is the first."""
    if first:
        print("| | " + " | ".join(figures) + " |")
        print("|---|" + "---|" * len(figures))
    print(f"| {name} | " + " | ".join(map(_text, figures.values())) + " |", flush=True)


def _text(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value < 1000
        else str(round(value) if isinstance(value, float) and value == value else value)
    )
