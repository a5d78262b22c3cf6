"""Client of a running engine, which knows when each packet arrived."""

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

from robojam.app.supervisor import has_display
from robojam.system.child_process import python_command
from robojam.wire import osc

#: Seconds that an engine has to become ready, and to answer.
PATIENCE = 30.0
#: Socket option with which Linux stamps each packet as it arrives (socket(7)). Without it a
#: client that wakes late counts its own lateness as the engine's.
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None
_TIMESPEC = struct.Struct("@qq")


class BenchError(RuntimeError):
    """Reason why the engine could not be measured."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message from the engine, and when it arrived, in seconds of perf_counter."""

    at: float
    address: str
    args: tuple[Any, ...]

    @property
    def is_touch(self) -> bool:
        """Whether the message is a down or a move of a voice."""
        address = self.address
        return address.startswith("/robojam/ai") and address.endswith(("/down", "/move"))


class EngineProcess:
    """A running engine, with sockets that play to it and receive its output."""

    def __init__(self, *options: str, output: bool = True) -> None:
        """Start an engine and wait until it is ready. Raises BenchError.

        output: send the touches to this client; without it they go nowhere.
        """
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        self._output, self._player, self._monitor = self._sockets = sockets
        self._output.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        if _SO_TIMESTAMPNS is not None:
            self._output.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        port = self._output.getsockname()[1] if output else 9
        began = time.perf_counter()
        command = python_command("robojam", "serve", "--osc-in", "127.0.0.1:0")
        command += ["--osc-out", f"127.0.0.1:{port}", "--no-sound", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.perf_counter() - began
        if not line.startswith("listening on udp://"):
            reason = line.strip() or "it printed nothing"
            raise BenchError(f"the engine did not start: {reason}")
        host, _, port_text = line.split("//")[1].partition(",")[0].rpartition(":")
        self.address = (host, int(port_text))

    def close(self) -> None:
        """End the engine."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        for each in self._sockets:
            each.close()

    def subscribe(self) -> None:
        """Subscribe a monitor, which reads nothing, for the next ten seconds."""
        self.send("/robojam/subscribe", "i", self._monitor.getsockname()[1])

    def send(self, address: str, tags: str = "", *args: object) -> float:
        """Send a message; return when it was sent, in seconds of perf_counter."""
        packet = osc.encode(address, tags, *args)
        at = time.perf_counter()
        self._player.sendto(packet, self.address)
        return at

    def messages(self, until: float) -> Iterator[ReceivedMessage]:
        """Yield the messages of the engine's output until an instant of perf_counter."""
        while True:
            left = until - time.perf_counter()
            if left <= 0 or not select.select([self._output], [], [], left)[0]:
                return
            packet, at = self._receive()
            for message in osc.decode(packet)[0]:
                yield ReceivedMessage(at, message.address, message.args)

    def _receive(self) -> tuple[bytes, float]:
        """Return the next packet, and when it arrived in seconds of perf_counter."""
        if _SO_TIMESTAMPNS is None:
            return self._output.recv(65536), time.perf_counter()
        packet, ancillary, _, _ = self._output.recvmsg(65536, 64)
        while True:  # both clocks at the same instant, to 20 microseconds
            before, wall, now = time.perf_counter(), time.time(), time.perf_counter()
            if now - before < 2e-5:
                break
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
                now -= max(0.0, wall - seconds - 1e-9 * nanoseconds)
        return packet, now

    def status(self) -> dict[str, Any]:
        """Return the engine's answer to /robojam/status."""
        self._player.settimeout(PATIENCE)
        self.send("/robojam/status")
        while True:
            (message,), _ = osc.decode(self._player.recv(65536))
            if message.address == "/robojam/status":
                status: dict[str, Any] = json.loads(str(message.args[0]))
                return status

    def cpu_share(self, seconds: float) -> float:
        """Return the share of a core that the engine takes during some seconds, in percent."""
        before = self.status()
        list(self.messages(time.perf_counter() + seconds))
        after = self.status()
        cpu, elapsed = (after[name] - before[name] for name in ("cpu_s", "uptime_s"))
        return float(100 * cpu / elapsed)


@contextmanager
def engine(*options: str) -> Iterator[EngineProcess]:
    """Run an engine during the block; its recordings are deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        process = EngineProcess("--sessions", folder, *options)
        try:
            yield process
        finally:
            process.close()


@contextmanager
def window(engine: EngineProcess) -> Iterator[None]:
    """Run a window on an engine, unseen without a display. Raises BenchError."""
    driver = {} if has_display() else {"SDL_VIDEODRIVER": "dummy"}
    address = f"{engine.address[0]}:{engine.address[1]}"
    command = python_command("robojam", "window", "--size", "1920x1080", "--engine", address)
    null, environment = subprocess.DEVNULL, {**os.environ, **driver}
    process = subprocess.Popen(command, env=environment, stdout=null, stderr=null)
    try:
        end = time.perf_counter() + PATIENCE
        monitors = engine.status()["monitors"]
        while engine.status()["monitors"] == monitors:
            if time.perf_counter() > end or process.poll() is not None:
                raise BenchError("the window did not open")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
