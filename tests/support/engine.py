"""Engines for tests: one on a clock that the test sets, and a real one in a process."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from robojam.app.assemble import make_reader
from robojam.clock.messages import ClockReport, ClockRequest
from robojam.config.addresses import is_loopback, parse_address, reachable
from robojam.config.options import Options
from robojam.controls import SETTINGS
from robojam.engine.engine import Engine
from robojam.engine.takes import LoadedPlayer, ModelInfo, Resumed
from robojam.jam.jam import Jam
from robojam.ports.interface import DevicePort
from robojam.ports.knobs import make_osc_knobs
from robojam.ports.osc_out import make_outputs
from robojam.sessions.session import ModelRef, Session, read
from robojam.wire import osc
from support import ROOT
from support.players import RandomPlayer

MODEL = ROOT / "models" / "touch.safetensors"
OUT = ("127.0.0.1", 9000)
HAND = ("127.0.0.1", 4000)
STATUS = b"/robojam/status\0,s\0\0"
#: Options of a machine that answers soon and without end.
SOON = ("--threshold", "0.1", "--response", "0", "--timescale", "0.3", "--seed", "3")
#: Longest time that a test waits, in seconds, even on a busy machine.
PATIENCE = 60.0


@dataclass(frozen=True)
class Sent:
    """Message that an engine sent, with its time and its receiver."""

    at: float
    address: str
    tags: str
    args: tuple[Any, ...]
    to: tuple[str, int] = OUT

    @property
    def name(self) -> str:
        return self.address.removeprefix("/robojam/")


def messages(packet: bytes, at: float, to: tuple[str, int] = OUT) -> list[Sent]:
    """Return the messages of a packet that an engine sent."""
    decoded, dropped = osc.decode(packet)
    assert not dropped, packet
    return [Sent(at, m.address, m.tags, m.args, to) for m in decoded]


# -- on a clock that the test sets ---------------------------------------------------------


class FakeEndpoint:
    """Endpoint without a socket, which keeps the messages that are sent."""

    address = ("127.0.0.1", 5005)

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.sent: list[Sent] = []
        self.on_sent: Callable[[bytes, tuple[str, int]], None] = lambda *_: None

    def is_own(self, sender: tuple[str, int]) -> bool:
        return sender == self.address

    def advance(self, now: float) -> float:
        del now
        return math.inf

    def is_here(self, host: str) -> bool:
        return is_loopback(host)

    def send(self, packet: bytes, to: tuple[str, int]) -> None:
        self.sent += messages(packet, self._clock(), to)
        self.on_sent(packet, to)

    def open_destination(
        self, addresses: Sequence[tuple[str, int]], **_: object
    ) -> FakeDestination:
        return FakeDestination(self, addresses[0])

    def status(self) -> dict[str, object]:
        return {"unsent": 0, "outputs": []}

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class FakeDestination:
    """Destination without a socket, whose packets its endpoint keeps."""

    endpoint: FakeEndpoint
    address: tuple[str, int]

    def send(self, packet: bytes) -> None:
        self.endpoint.send(packet, self.address)

    def close(self) -> None:
        pass


class FakeClock:
    """Port of another program's clock, which says what the test says."""

    def __init__(self, name: str, on_change: Callable[[], None]) -> None:
        self.name, self.on_change, self.closed = name, on_change, False
        self.report, self.port, self.error = ClockReport(), name, ""
        self.trouble = None
        self.asked: list[ClockRequest] = []

    def say(self, **report: Any) -> None:
        self.report = replace(self.report, **report)
        self.on_change()

    def ask(self, request: ClockRequest, *, again: bool = True) -> None:
        del again
        self.asked.append(request)

    def advance(self, now: float) -> float:
        del now
        return math.inf

    def filenos(self) -> list[int]:
        return []

    def receive(self) -> list[Any]:
        return []

    lift_all = receive

    def status(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self.closed = True


class FakeClocks:
    """Opener of clocks of other programs: `opened` are all so far, by their names."""

    def __init__(self) -> None:
        self.opened: dict[str, FakeClock] = {}
        self.refused = ""

    def run(self, job: Callable[[], None]) -> None:
        job()

    def check(self, source: str) -> None:
        if self.refused:
            raise ValueError(self.refused)

    def open(
        self, source: str, tempo: float, beats: Any, on_change: Callable[[], None]
    ) -> FakeClock:
        del tempo, beats
        self.check(source)
        return self.opened.setdefault(source, FakeClock(source, on_change))

    def open_output(self, port: str, on_change: Callable[[], None]) -> FakeClock:
        return self.open(port, 120.0, None, on_change)


class DrivenEngine:
    """Engine without sockets, on a clock that the test sets."""

    #: Those of the running test; they are closed after it.
    opened: ClassVar[list[DrivenEngine]] = []

    def __init__(
        self, folder: Path, player: Any = None, resumed: Resumed | None = None, **options: Any
    ) -> None:
        self.opened.append(self)
        #: Time of the clock, and the seconds that are lost each time it is read.
        self.now, self.lost = 1000.0, 0.0
        self.wire = FakeEndpoint(lambda: self.now)
        self.folder, self.clocks = folder, FakeClocks()
        chosen = {"osc_out": ("127.0.0.1:9000",), "sessions": str(folder), "seed": 7, **options}
        controls = {name: chosen.pop(name) for name in SETTINGS if name in chosen}
        self.options = Options(**chosen, controls=controls)
        self.models: dict[str, Callable[[], LoadedPlayer]] = {}
        reader = make_reader(self.options)
        self.loaded = playing(player or RandomPlayer(voices=self.options.voices))
        self.engine = Engine(
            self.options,
            self.loaded.info,
            partial(Jam, self.loaded.player),
            endpoint=self.wire,  # type: ignore[arg-type]
            settings=self.options.settings() if resumed is None else resumed.jam.settings,
            load=lambda *request: self.load(*request),
            outputs=[
                *make_outputs(self.options, self.wire, reader),  # type: ignore[arg-type]
                *make_osc_knobs(self.options, self.wire, clock=self._clock),  # type: ignore[arg-type]
            ],
            clocks=self.clocks,
            reader=reader,
            resumed=resumed,
            clock=self._clock,
        )
        self.engine.begin_if_alone()

    def _clock(self) -> float:
        self.now += self.lost
        return self.now

    def load(self, name: str, voices: int, on_loaded: Callable[[Any], None]) -> None:
        """Load a model of `models`."""
        del voices
        make = self.models.get(name)
        on_loaded(ValueError(f"there is no model {name!r}") if make is None else make())

    def send(
        self, address: str, tags: str = "", *args: Any, sender: tuple[str, int] = HAND
    ) -> None:
        self.raw(osc.encode(address, tags, *args), sender)

    def request(self, name: str, tags: str, *args: Any, sender: tuple[str, int]) -> None:
        """Send a request from beyond this machine, and again with the cookie that it gets."""
        self.send(f"/robojam/{name}", tags, *args, sender=sender)
        to = (sender[0], args[0] if args else sender[1])
        cookie = [m.args[0] for m in self.wire.sent if m.name == "cookie" and m.to == to][-1]
        self.send(f"/robojam/{name}", tags + "s", *args, cookie, sender=sender)

    def raw(self, packet: bytes, sender: tuple[str, int] = HAND) -> None:
        self.engine.packet(packet, sender, self.now)
        self.engine.calls.drain()

    def take_in(
        self, packet: bytes, sender: tuple[str, int] = HAND, arrival: float | None = None
    ) -> None:
        """Put a packet into the inbox, as the loop does."""
        reception, at = self.engine.reception, self.now if arrival is None else arrival
        reception.take_in(packet, sender, at, reception.read)

    def receive(self, port: DevicePort) -> None:
        self.engine.reception.receive(port)
        while self.engine.reception.listen():
            pass

    def wait(self, seconds: float, late: Callable[[], float] = lambda: 0.0) -> None:
        """Advance clock and engine; late returns the seconds by which the loop wakes late."""
        end = self.now + seconds
        while True:
            due = math.nextafter(self.now + self.engine.advance(), math.inf)
            if due > end:
                break
            self.now = min(due + late(), end)
        self.now = end
        self.engine.advance()

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.engine.status()))

    def take(self) -> list[Sent]:
        """Return the messages sent since the last call."""
        sent, self.wire.sent = self.wire.sent, []
        return sent

    @classmethod
    def close_all(cls) -> None:
        """End the threads of all engines, which keep them and their sockets."""
        while cls.opened:
            engine = cls.opened.pop().engine
            engine._takes.close()
            if engine._setup is not None:
                engine._setup.close()
            engine.calls.close()

    def end(self) -> Session:
        """End the engine; return its last recording."""
        self.engine.finish("SIGTERM")
        return recording(self.folder)


def playing(
    player: Any, name: str = "a.safetensors", sha256: str = "0a", build: str = "a build"
) -> LoadedPlayer:
    info = ModelInfo(ModelRef(name, sha256), "cpu", build)
    return LoadedPlayer(player, info)


def recordings(folder: Path) -> list[Path]:
    """Return the recordings in a folder, the oldest first."""
    return sorted(folder.glob("*.jsonl"), key=lambda p: (p.stem[:19], len(p.stem), p.stem))


def recording(folder: Path) -> Session:
    return read(recordings(folder)[-1])


# -- a real one -------------------------------------------------------------------------------


@dataclass
class Client:
    """UDP client of an engine, with a deadline for everything."""

    engine: tuple[str, int]
    host: str = "127.0.0.1"
    received: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((self.host, 0))
        self.port: int = self.socket.getsockname()[1]
        self.statuses: list[dict[str, Any]] = []

    def send(self, address: str, tags: str = "", *args: Any) -> None:
        self.raw(osc.encode(address, tags, *args))

    def raw(self, packet: bytes) -> None:
        self.socket.sendto(packet, self.engine)

    def receive(self, seconds: float) -> bool:
        """Receive the next packet; return whether one came in time."""
        if not select.select([self.socket], [], [], max(0.0, seconds))[0]:
            return False
        with suppress(ConnectionError):
            packet = self.socket.recv(1 << 16)
            if packet.startswith(STATUS):
                self.statuses.append(json.loads(packet[len(STATUS) :].rstrip(b"\0")))
            else:
                self.received += messages(packet, time.perf_counter())
        return True

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Receive until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            assert left > 0, (
                f"the condition was not met in {seconds} s; received {self.received[-5:]}"
            )
            self.receive(left)

    def listen(self, seconds: float) -> None:
        """Receive for a time, in seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.receive(left)

    def ask(
        self, condition: Callable[[dict[str, Any]], Any] = lambda _: True
    ) -> dict[str, Any]:
        """Ask for the status until a condition on it holds; return it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.statuses.clear()
            self.send("/robojam/status")
            with suppress(AssertionError):
                self.until(lambda: self.statuses, 2.0)
                if condition(self.statuses[-1]):
                    return self.statuses[-1]
            self.listen(0.01)  # the engine answers at a limited rate
        raise AssertionError(f"not in the status: {self.statuses}")

    def close(self) -> None:
        self.socket.close()


@dataclass
class RunningEngine:
    """Running engine, with the client that is its output."""

    process: subprocess.Popen[str]
    address: tuple[str, int]
    out: Client
    folder: Path

    def end(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        """End the engine with a signal; return its exit status."""
        self.process.send_signal(signal_)
        return self.process.wait(PATIENCE)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "robojam", *arguments]


def run_program(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a program of its own, until it ends."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, **more
    )


def address_of(line: str) -> tuple[str, int]:
    """Return the address in an engine's ready line."""
    assert line.startswith("listening on udp://"), line
    return reachable(parse_address(line.split("udp://")[1].partition(",")[0]))


@contextmanager
def serving(
    folder: Path, *options: str, osc_in: str = "127.0.0.1:0", **popen: Any
) -> Iterator[RunningEngine]:
    """Start an engine, wait until it is ready, and kill it when the block ends."""
    out = Client(("127.0.0.1", 0))
    process = subprocess.Popen(
        command(
            *("serve", "--no-sound", "--osc-in", osc_in, "--osc-out", f"127.0.0.1:{out.port}"),
            *("--sessions", str(folder), "--device", "cpu", "--tuio-in", "none", *options),
        ),
        stdout=subprocess.PIPE,
        text=True,
        **{"stderr": subprocess.DEVNULL, **popen},
    )
    try:
        out.engine = address_of(first_line(process))
        yield RunningEngine(process, out.engine, out, folder)
    finally:
        stop(process)
        out.close()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that a process prints, or "" if none comes in time."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], PATIENCE)[0]:
        return ""
    return process.stdout.readline()


def stop(process: subprocess.Popen[Any]) -> None:
    """Kill a process, wait for it and close its pipes."""
    if process.poll() is None:
        with suppress(OSError):
            os.kill(process.pid, signal.SIGCONT)
        process.kill()
    process.wait(PATIENCE)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
