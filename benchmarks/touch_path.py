"""Measure a touch in to a touch out where dt is next to nothing, of several robojams in turn.

    python benchmarks/touch_path.py PYTHON [PYTHON …] [--touches 600] [--json FILE]

Each PYTHON is that of an environment with a robojam in it. All play at the same time, and
each touch goes to one of them after the other, so that all meet the same noise. The client is
a plain one: it reads its own clock before it sends a touch and after it has received the
answer. It prints milliseconds, and what each engine says of its build.
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from _output import save

from robojam.bench import percentile
from robojam.wire import osc

#: Seconds between two touches to different engines, and until compiled steps are ready.
GAP, READY = 0.02, 6.0
#: Touches that are not counted: the first ones are slower.
WARM_UP = 30


class Engine:
    """A running engine of an environment, in a duet whose answers are due at once."""

    def __init__(self, python: str, folder: str) -> None:
        self.name, self.times = python, list[float]()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        port = self._socket.getsockname()[1]
        options = f"--osc-in 127.0.0.1:0 --osc-out 127.0.0.1:{port} --tuio-in none --no-sound"
        options += " --mode duet --timescale 0.001 --seed 1 --sessions"
        command = [python, "-m", "robojam", "serve", *options.split(), folder]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=null, text=True, cwd=folder
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._address = "127.0.0.1", int(line.partition(",")[0].rpartition(":")[2])

    def build(self) -> str:
        """Return the build that the engine names, "" for one that names none."""
        self._socket.sendto(osc.encode("/robojam/status"), self._address)
        (message,), _ = osc.decode(self._socket.recv(1 << 16))
        return str(json.loads(str(message.args[0])).get("build", ""))

    def touch(self, x: float, y: float) -> float:
        """Send a touch; return the milliseconds until its answer, NaN for none."""
        packet = osc.encode("/robojam/move", "iff", 1, x, y)
        self._drain()
        began = time.perf_counter()
        self._socket.sendto(packet, self._address)
        with suppress(TimeoutError):
            while True:
                answer = self._socket.recv(1 << 16)
                ended = time.perf_counter()
                if answer.startswith((b"/robojam/ai/down\0", b"/robojam/ai/move\0")):
                    # The machine would play on. The next touch wakes it, and is a landing.
                    self._socket.sendto(osc.encode("/robojam/panic"), self._address)
                    return 1000 * (ended - began)
        return math.nan

    def _drain(self) -> None:
        """Drop what the engine has sent until now."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(1 << 16)
        self._socket.settimeout(0.5)

    def close(self) -> None:
        """End the engine."""
        self._process.terminate()
        self._process.wait(30)
        self._socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--touches", type=int, default=600, help="to each engine")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    with ExitStack() as stack:
        engines = []
        for python in args.pythons:
            folder = stack.enter_context(TemporaryDirectory())
            engines.append(Engine(str(Path(python).absolute()), folder))
            stack.callback(engines[-1].close)
        time.sleep(READY)
        builds = [engine.build() for engine in engines]
        for i in range(args.touches + WARM_UP):
            x, y = 0.5 + 0.3 * math.cos(i / 9), 0.5 + 0.3 * math.sin(i / 9)
            for engine in engines if i % 2 else engines[::-1]:
                took = engine.touch(x, y)
                if i >= WARM_UP and not math.isnan(took):
                    engine.times.append(took)
                time.sleep(GAP)
    figures = []
    for engine, build in zip(engines, builds, strict=True):
        row = {f"p{100 * s:g}": percentile(engine.times, s) for s in (0.1, 0.5, 0.9, 0.99)}
        figures.append({"answers": len(engine.times), **row, "build": build})
        text = "  ".join(f"{name} {value:.3f}" for name, value in row.items())
        print(f"{engine.name}\n  {text}  of {len(engine.times)}; {build}")
    save(figures, args.json)


if __name__ == "__main__":
    main()
