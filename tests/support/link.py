"""Peers of Ableton Link, on a network of their own that no other machine hears."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from robojam.beats import Beats
from support.engine import PATIENCE, stop

_CLONE_NEWNET = 0x40000000


def missing(*programs: str) -> str | None:
    """Return why Link cannot be tested here, or None."""
    if find_spec("aalink") is None:
        return "aalink is not installed (the extra link)"
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network of its own needs Linux and root"
    for program in ("ip", *programs):
        if shutil.which(program) is None:
            return f"{program} is not installed (see .ci/run)"
    return None


@contextmanager
def own_network() -> Iterator[None]:
    """Run this thread, and the programs that it starts, on a network that is a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_CLONE_NEWNET):
        os.close(before)
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        for words in (
            "link set lo up multicast on",
            "route add 224.0.0.0/4 dev lo",
        ):
            subprocess.run(["ip", *words.split()], check=True, capture_output=True)
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


PEER = """
import asyncio, json, sys, time, threading
from aalink import Link

async def main():
    link = Link(float(sys.argv[1]), asyncio.get_running_loop())
    link.quantum = 4
    link.start_stop_sync_enabled = True
    await asyncio.sleep(0.5)
    link.enabled = True
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        name, _, value = line.strip().partition(" ")
        if name == "tempo":
            link.tempo = float(value)
        elif name == "playing":
            link.playing = value == "1"
        elif name == "enabled":
            link.enabled = value == "1"
        else:
            readings = []
            for _ in range(9):
                before = time.perf_counter()
                beat = link.beat
                after = time.perf_counter()
                readings.append((after - before, (before + after) / 2, beat))
            _, t, beat = min(readings)
            state = [t, beat, link.tempo, link.num_peers, link.playing]
            print(json.dumps(state), flush=True)

asyncio.run(main())
"""


class LinkPeer:
    """Another program in a session of Link, by the same library in a process of its own."""

    def __init__(self, tempo: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PEER, str(tempo)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def do(self, name: str, value: object) -> None:
        """Set its tempo, playing (0 or 1) or enabled (0 or 1)."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name} {value}\n")
        self.process.stdin.flush()

    @property
    def state(self) -> tuple[Beats, int, bool]:
        """Its beats by time.perf_counter, its peers, and whether it plays."""
        self.do("state", "")
        assert self.process.stdout is not None
        t, beat, tempo, peers, playing = json.loads(self.process.stdout.readline())
        return Beats(t, beat, tempo), peers, playing

    @property
    def beats(self) -> Beats:
        """Its beats by time.perf_counter."""
        return self.state[0]


@contextmanager
def link_peer(tempo: float) -> Iterator[LinkPeer]:
    """Run another program in a session of Link."""
    peer = LinkPeer(tempo)
    try:
        yield peer
    finally:
        stop(peer.process)


class LinkHut:
    """Ableton's own program LinkHut, with a terminal; it needs a JACK server."""

    #: enabled | peers | quantum | start and stop | tempo | beat
    _LINE = re.compile(
        r"(?:yes|no)\s*\|\s*(\d+)\s*\|\s*\d+\s*\|.*?\|\s*([\d.]+)\s*\|\s*([\d.-]+)"
    )

    def __init__(self) -> None:
        self._terminal, its_end = pty.openpty()
        self.process = subprocess.Popen(
            ["LinkHut"], stdin=its_end, stdout=its_end, stderr=subprocess.DEVNULL
        )
        os.close(its_end)
        self._text = ""

    def press(self, keys: str) -> None:
        """Press keys: a enables Link, space plays, w and e change the tempo by one."""
        for key in keys:
            os.write(self._terminal, key.encode())
            time.sleep(0.05)  # it reads one at a time

    @property
    def state(self) -> tuple[int, float, float] | None:
        """Its peers, tempo and beat, as it shows them; None as yet."""
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                self._text = (self._text + os.read(self._terminal, 65536).decode())[-4000:]
            except OSError:
                break
        found = self._LINE.findall(self._text)
        return None if not found else (int(found[-1][0]), *map(float, found[-1][1:]))

    def close(self) -> None:
        stop(self.process)
        with suppress(OSError):
            os.close(self._terminal)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until a condition returns a true value; return the value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return value
