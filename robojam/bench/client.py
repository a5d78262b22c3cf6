"""A running engine, and a client of it that knows when each packet arrived."""

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
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from robojam.wire import osc

#: Seconds that an engine may take to be ready, and to answer.
PATIENCE = 30.0
#: Linux stamps each packet as it arrives (socket(7)): a receiver that wakes late would
#: otherwise count its own lateness as the engine's.
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None
_TIMESPEC = struct.Struct("@qq")


class BenchError(RuntimeError):
    """The engine could not be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message from the engine, and when it arrived, in seconds of perf_counter."""

    at: float
    address: str
    args: tuple[Any, ...]

    @property
    def is_touch(self) -> bool:
        """Whether it is a down or a move of a voice."""
        return self.address.startswith("/robojam/ai") and self.address.endswith(
            ("/down", "/move")
        )


class EngineProcess:
    """A running engine and a client of it."""

    def __init__(self, *options: str, output: bool = True) -> None:
        """Start it, and wait until it is ready. Raises BenchError."""
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        self.out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        if _SO_TIMESTAMPNS is not None:
            self.out.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.hand = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hand.bind(("127.0.0.1", 0))
        self._monitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._monitor.bind(("127.0.0.1", 0))
        port = self.out.getsockname()[1] if output else 9
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "robojam", "serve", "--osc-in", "127.0.0.1:0"),
                *("--osc-out", f"127.0.0.1:{port}", "--no-sound", *options),
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
        self.process.wait(PATIENCE)
        self.out.close()
        self.hand.close()
        self._monitor.close()

    def watch(self) -> None:
        """Be a monitor for ten seconds more: one that does not read what it is sent."""
        self.send("/robojam/subscribe", "i", self._monitor.getsockname()[1])

    def send(self, address: str, tags: str = "", *args: object) -> float:
        """Send a message; return when it left."""
        packet = osc.encode(address, tags, *args)
        at = time.perf_counter()
        self.hand.sendto(packet, self.address)
        return at

    def feed(self, until: float) -> Iterator[Heard]:
        """Yield what the engine's output brings until then, in perf_counter's seconds."""
        while True:
            left = until - time.perf_counter()
            if left <= 0 or not select.select([self.out], [], [], left)[0]:
                return
            packet, at = self._receive()
            for message in osc.decode(packet)[0]:
                yield Heard(at, message.address, message.args)

    def _receive(self) -> tuple[bytes, float]:
        if _SO_TIMESTAMPNS is None:
            return self.out.recv(65536), time.perf_counter()
        packet, ancillary, _, _ = self.out.recvmsg(65536, 64)
        now, wall = _both_clocks()
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
                now -= max(0.0, wall - seconds - 1e-9 * nanoseconds)
        return packet, now

    def status(self) -> dict[str, Any]:
        """Ask how it does."""
        self.hand.settimeout(PATIENCE)
        self.send("/robojam/status")
        while True:
            (message,), _ = osc.decode(self.hand.recv(65536))
            if message.address == "/robojam/status":
                found: dict[str, Any] = json.loads(message.args[0])
                return found

    def cpu_share(self, seconds: float) -> float:
        """Share of a core that it takes over some seconds, in percent."""
        before = self.status()
        list(self.feed(time.perf_counter() + seconds))
        after = self.status()
        return float(
            100 * (after["cpu_s"] - before["cpu_s"]) / (after["uptime_s"] - before["uptime_s"])
        )


@contextmanager
def engine(*options: str) -> Iterator[EngineProcess]:
    """Keep an engine for the block; its recordings go with it."""
    with tempfile.TemporaryDirectory() as folder:
        made = EngineProcess("--sessions", folder, *options)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def window(of: EngineProcess) -> Iterator[None]:
    """Keep a window of an engine for the block, drawn unseen where there is no display."""
    unseen = {} if _display() else {"SDL_VIDEODRIVER": "dummy"}
    shown = subprocess.Popen(
        [
            *(sys.executable, "-m", "robojam", "window", "--size", "1920x1080"),
            *("--engine", f"{of.address[0]}:{of.address[1]}"),
        ],
        env={**os.environ, **unseen},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.perf_counter() + PATIENCE
        watched = of.status()["monitors"]
        while of.status()["monitors"] == watched:
            if time.perf_counter() > end or shown.poll() is not None:
                raise BenchError("the window did not open")
            time.sleep(0.05)
        yield
    finally:
        shown.terminate()
        shown.wait(PATIENCE)


def _both_clocks() -> tuple[float, float]:
    """Read perf_counter and the wall's clock at the same instant, to 20 microseconds."""
    while True:
        before, wall, after = time.perf_counter(), time.time(), time.perf_counter()
        if after - before < 2e-5:
            return after, wall


def _display() -> bool:
    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
