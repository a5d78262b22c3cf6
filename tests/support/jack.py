"""JACK server of a test, and programs with MIDI ports at it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from robojam.ports import midi_binding
from support import ROOT
from support.engine import PATIENCE, stop
from support.jack_files import remove_stale_files

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def missing(*programs: str) -> str | None:
    """Return why MIDI cannot be tested here, or None."""
    try:
        binding = midi_binding.load()
    except ImportError as error:
        return f"{error.name} is not installed"
    if binding.jack not in binding.systems():
        return "this binding of RtMidi knows no JACK"
    for program in ("jackd", *programs):
        if shutil.which(program) is None:
            return f"{program} is not installed (see .ci/run)"
    if "fluidsynth" in programs and not SOUNDFONT.exists():
        return "timgm6mb-soundfont is not installed (see .ci/run)"
    return None


def until(condition: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
    """Wait until a condition returns a true value; return the value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"it did not happen in {seconds} s: {what}"
        time.sleep(0.005)
    return value


class Jack:
    """JACK server without a sound card, under a name of its own."""

    def __init__(self, period: int = 1024) -> None:
        # One name for a checkout, not for a test: a machine has room for eight, and a killed
        # server leaves its name to the next server of that name alone.
        self.name = f"robojam{crc32(str(ROOT).encode()) % 1000}"
        self.socket = Path(f"/dev/shm/jack_{self.name}_{os.getuid()}_0")
        self.process: subprocess.Popen[bytes] | None = None
        self._period = period  # frames

    def start(self) -> None:
        if self.process is None:  # else its programs have the list open
            remove_stale_files()
        self.socket.unlink(missing_ok=True)
        with tempfile.TemporaryFile() as output:
            self.process = process = subprocess.Popen(
                # A long timeout: a period that a busy machine misses loses what was sent.
                [
                    *("jackd", "-n", self.name, "-r", "-t", "2000"),
                    *("-d", "dummy", "-r", "48000", "-p", str(self._period)),
                ],
                stdout=subprocess.DEVNULL,
                stderr=output,
            )
            # Before it listens, jackd still creates its metadata file: do not ask it earlier.
            until(lambda: self.socket.exists() or process.poll() is not None, "jackd listens")
            if process.poll() is not None:
                output.seek(0)
                text = output.read().decode(errors="replace")
                if "Too many servers" in text:  # of other users and checkouts
                    pytest.skip("eight JACK servers run here, and there is no room for more")
                raise AssertionError(f"jackd ended with {process.returncode}: {text}")
        until(self.ports, "jackd lists its ports")

    def ports(self) -> list[str]:
        ran = subprocess.run(
            ["jack_lsp", "-s", self.name], capture_output=True, text=True, timeout=PATIENCE
        )
        return ran.stdout.split("\n")[:-1] if ran.returncode == 0 else []

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()  # so that it removes its files
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        stop(self.process)


PEER = """
import sys
from robojam.ports import midi_binding
binding = midi_binding.load()
kind, client, port = sys.argv[1:]
if kind in ("thru", "out"):
    out = binding.make_output(binding.jack, client)
    out.open_virtual_port("out" if kind == "thru" else port)
if kind in ("thru", "in"):
    opened = binding.make_input(binding.jack, client)
    opened.open_virtual_port("in" if kind == "thru" else port)
    opened.ignore_types(False, False, True)
    binding.listen(
        opened,
        out.send_message if kind == "thru" else lambda data: print(data.hex(), flush=True),
    )
print("ready", flush=True)
for line in sys.stdin:
    out.send_message(bytes.fromhex(line))
"""


class Peer:
    """Program with one MIDI port, in a process that can be killed as a cable is pulled."""

    def __init__(self, jack: Jack, kind: str, client: str, port: str = "midi") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PEER, kind, client, port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"JACK_DEFAULT_SERVER": jack.name},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        os.set_blocking(self.process.stdout.fileno(), False)
        self._text = b""

    def send(self, *messages: bytes) -> None:
        """Send MIDI messages."""
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(message.hex().encode() + b"\n")
        self.process.stdin.flush()

    def raw(self, data: bytes) -> None:
        """Send bytes that need not be whole messages."""
        self.send(data)

    @property
    def received(self) -> list[bytes]:
        """The messages received so far."""
        assert self.process.stdout is not None
        self._text += self.process.stdout.read() or b""
        lines = self._text.rpartition(b"\n")[0].split()
        return [bytes.fromhex(line.decode()) for line in lines]

    def pull(self) -> None:
        """Kill the process without closing the port."""
        stop(self.process)

    def end(self) -> None:
        """Close the port and exit."""
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        stop(self.process)


def left_on(messages: list[bytes]) -> set[tuple[int, int]]:
    """Return the notes, by channel and number, that nothing has released.

    All sound off releases those of its channel: JACK loses a note-off where a program was late.
    """
    on = set()
    for message in messages:
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if kind == 0x90 and message[2]:
            on.add(key)
        elif kind in (0x80, 0x90):
            on.discard(key)
        elif kind == 0xB0 and message[1] == 120:
            on = {other for other in on if other[0] != key[0]}
    return on


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, period: int = 1024) -> Iterator[Jack]:
    """Run a JACK server that every program started from here finds."""
    server = Jack(period)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    try:
        server.start()
        yield server
    finally:
        server.end()
        remove_stale_files()  # at which tests without a server would wait


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jack]:
    """JACK server with long periods, for MIDI."""
    with running(monkeypatch) as server:
        yield server


@contextmanager
def peer(jack: Jack, kind: str, client: str) -> Iterator[Peer]:
    """Run a program with a MIDI port: kind is in, out or thru (which echoes)."""
    program = Peer(jack, kind, client)
    try:
        yield program
    finally:
        program.end()


CLOCK_PEER = """
import collections, json, sys, time
import jack
from robojam.beats import Beats
from robojam.clock.ticks import TickSchedule
from robojam.ports.jack_midi import JackClock

client = jack.Client(sys.argv[1], no_start_server=True)
out = client.midi_outports.register("out")
into = client.midi_inports.register("in")
clock = JackClock(client)
schedule, wanted, raw = TickSchedule(), [None], collections.deque()
received = collections.deque()

@client.set_process_callback
def process(frames):
    frames, began = clock.cycle()
    for offset, data in into.incoming_midi_events():
        received.append((began + offset / clock.rate, bytes(data).hex()))
    out.clear_buffer()
    while raw:
        out.write_midi_event(0, raw.popleft())
    beats = wanted[0]
    if beats:
        wanted[0] = None
        schedule.set(Beats(*beats[:3]), time.perf_counter(), playing=beats[3])
    earliest = 0
    for at, message in schedule.take(began + (frames - 1) / clock.rate):
        offset = round((at - began) * clock.rate) if at > began else 0
        earliest = max(earliest, min(offset, frames - 1))
        out.write_midi_event(earliest, message)

client.activate()
print("ready", flush=True)
for line in sys.stdin:
    name, _, value = line.strip().partition(" ")
    if name == "send":
        raw.append(bytes.fromhex(value))
    elif name == "beats":
        wanted[0] = json.loads(value)
    else:
        print(json.dumps([received.popleft() for _ in range(len(received))]), flush=True)
"""


class ClockPeer:
    """Program at JACK that sends a MIDI clock to the frame, and receives one.

    It sends by the schedule of robojam's own clock out, which other tests hold to its beats.
    """

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLOCK_PEER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self._received: list[tuple[float, bytes]] = []

    def _tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def beats(self, t: float, beat: float, tempo: float, *, playing: bool = True) -> None:
        """Send the clock of these beats from now on: t is by time.perf_counter."""
        self._tell(f"beats {json.dumps([t, beat, tempo, playing])}")

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._tell(f"send {message.hex()}")

    @property
    def received(self) -> list[tuple[float, bytes]]:
        """The messages received so far, each with its instant by time.perf_counter."""
        self._tell("received")
        assert self.process.stdout is not None
        new = json.loads(self.process.stdout.readline())
        self._received += [(at, bytes.fromhex(data)) for at, data in new]
        return self._received


@contextmanager
def clock_peer(name: str) -> Iterator[ClockPeer]:
    """Run a program that sends and receives MIDI clocks at the JACK server of a test."""
    program = ClockPeer(name)
    try:
        yield program
    finally:
        stop(program.process)
