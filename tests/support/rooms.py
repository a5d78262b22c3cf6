"""A running `robojam host`, as a program of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.engine import MODEL, PATIENCE, command, stop
from support.web import get


class Host:
    """A running host: its lines, its addresses and its processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.output = process, list[str]()
        self.url = self.line("rooms on ").split(" on ")[1].split()[0]
        self.page = self.line("the host's page: ").split(": ")[1].strip()

    def line(self, part: str) -> str:
        """Read on until a line with a text; kill the host if none comes in time."""
        assert self.process.stdout is not None
        patience = threading.Timer(PATIENCE, self.process.kill)
        patience.start()
        try:
            while line := self.process.stdout.readline():
                self.output.append(line)
                if part in line:
                    return line
        finally:
            patience.cancel()
        raise AssertionError(f"no line has {part}: {self.output}")

    def room(self, name: str, url: str = "") -> str:
        """Return the address of a room's pad, with the token."""
        return (url or self.url).replace("/?", f"/rooms/{name}/?")

    def at(self, path: str) -> str:
        """Return the address of a path, with the token of visitors."""
        return self.url.replace("/?", f"/{path}?")

    async def report(self) -> dict[str, Any]:
        """Return what the host's page is told."""
        status, _, text = await get(self.page.replace("/host?", "/host.json?"))
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        return found

    async def rooms(
        self, condition: Callable[[dict[str, dict[str, Any]]], object]
    ) -> dict[str, dict[str, Any]]:
        """Return the rooms of the host's page by name, once they fulfil a condition."""
        end = time.monotonic() + PATIENCE
        found: dict[str, dict[str, Any]] = {}
        while time.monotonic() < end:
            with suppress(OSError):
                found = {room["name"]: room for room in (await self.report())["rooms"]}
                if condition(found):
                    return found
            await asyncio.sleep(0.05)
        raise AssertionError(found)

    async def up(self) -> None:
        """Wait until all rooms play."""
        await self.rooms(lambda rooms: all(each["up"] for each in rooms.values()))

    def programs(self, word: str) -> list[int]:
        """Return the ids of the child processes whose command line has a word."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if (
                    parent == self.process.pid
                    and word.encode() in (path / "cmdline").read_bytes()
                ):
                    found.append(int(path.name))
        return found

    def engine(self, room: str) -> int:
        """Return the id of the process of a room's engine."""
        (found,) = self.programs(f'/{room}"')
        return found

    def end(self) -> int:
        """End it as by Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def hosting(
    folder: Path,
    *options: str,
    web: str = "127.0.0.1:0",
    env: Mapping[str, str] = os.environ,
) -> Iterator[Host]:
    """Run a host while the block runs; its children end with it."""
    process = subprocess.Popen(
        command("host", "--web", web, "--sessions", str(folder), "--device", "cpu",
                "--model", str(MODEL), *options),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(env),
    )  # fmt: skip
    try:
        yield Host(process)
    finally:
        stop(process)


def port_of(url: str) -> int:
    """Return the port in an address."""
    return urlsplit(url).port or 0
