"""A running engine with a pad, whose touches a monitor gets."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from robojam.ports.engine_status import ask
from robojam.wire import osc


class Engine:
    """Running engine, with a monitor of its touches."""

    def __init__(self, folder: str, *options: str) -> None:
        self.monitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.monitor.bind(("127.0.0.1", 0))
        command = (
            "serve --osc-in 127.0.0.1:0 --osc-out 127.0.0.1:9 --tuio-in none --no-sound "
            f"--seed 1 --sessions {folder}"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "robojam", *command.split(), *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.address = "127.0.0.1", int(line.partition(",")[0].rpartition(":")[2])
        self.url = ""
        if "--web" in options:
            self.url = self._process.stdout.readline().removeprefix("pad on ").split()[0]
        self.renew()

    def renew(self) -> None:
        """Subscribe the monitor."""
        port = self.monitor.getsockname()[1]
        self.monitor.sendto(osc.encode("/robojam/subscribe", "i", port), self.address)

    def status(self) -> dict[str, Any]:
        return ask(self.address) or {}

    @property
    def processes(self) -> dict[str, int]:
        """Ids of the engine and of its web server."""
        found = {"engine": self._process.pid}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                words = (path / "cmdline").read_bytes()
                if parent == self._process.pid and b"robojam.web.program" in words:
                    found["web"] = int(path.name)
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self.monitor.close()
