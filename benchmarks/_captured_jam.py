"""Packets that an engine sent to a window in a jam: captured once, played back at any time.

The performances come from the corpus and the engine is a real one. `capture` plays them to it
and returns every packet that a monitor receives, with its time. `CapturedJam` feeds them to
the state of a window, up to any time, without an engine and without waiting.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from robojam.window.client.state import WindowState
from robojam.wire.osc import decode, encode

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus" / "microjam_val.npz"
Packets = list[tuple[float, bytes]]


def performances() -> list[np.ndarray]:
    """Return the performances of the corpus, arrays (n, 4) of x, y, dt, moving."""
    with np.load(CORPUS) as data:
        ends = np.cumsum(data["lengths"])
        return np.split(data["touches"], ends[:-1])


def lively(corpus: list[np.ndarray]) -> list[np.ndarray]:
    """Return the performances of a few seconds that have both swipes and taps."""
    return [p for p in corpus if 90 < len(p) < 200 and 3.2 < p[1:, 2].sum() < 5
            and 4 <= (p[:, 3] < 0.5).sum() <= 12]  # fmt: skip


def capture(
    folder: Path,
    phrases: list[np.ndarray],
    *options: str,
    rest: float = 5.2,
    knobs: bool = False,
) -> Packets:
    """Play performances to an engine, each followed by a rest (s); return its packets.

    knobs: they are of knobs, arrays (n, N + 1) of all values and dt.
    """
    engine = subprocess.Popen(
        [sys.executable, "-m", "robojam", "serve", "--osc-in", "127.0.0.1:0",
         "--sessions", str(folder), "--device", "cpu", "--no-sound", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    assert engine.stdout is not None
    port = int(engine.stdout.readline().split(",")[0].rsplit(":", 1)[1])
    packets: Packets = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.connect(("127.0.0.1", port))
        renewed = -9.0

        def listen(seconds: float) -> None:
            nonlocal renewed
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if time.monotonic() - renewed > 0.7:
                    renewed = time.monotonic()
                    link.send(encode("/robojam/subscribe", "i", link.getsockname()[1]))
                    link.send(encode("/robojam/status"))
                if select.select([link], [], [], min(left, 0.5))[0]:
                    packets.append((time.monotonic(), link.recv(65536)))

        listen(1.0)
        for phrase in phrases:
            for *values, dt in phrase.clip(0, 1) if knobs else ():
                listen(float(dt))
                link.send(encode("/robojam/knobs", "f" * len(values), *map(float, values)))
            for x, y, dt, moving in () if knobs else phrase.clip(0, 1):
                listen(float(dt))
                address = "/robojam/move" if moving > 0.5 else "/robojam/down"
                link.send(encode(address, "iff", 0, float(x), float(y)))
            if not knobs:
                link.send(encode("/robojam/up", "i", 0))
            listen(rest)
    engine.send_signal(signal.SIGTERM)
    engine.wait()
    return [(t - packets[0][0], packet) for t, packet in packets]


@dataclass
class CapturedJam:
    """The state of a window that receives captured packets."""

    packets: Packets
    state: WindowState = field(default_factory=WindowState)
    _next: int = 0

    def advance(self, t: float) -> WindowState:
        """Process every packet up to a time in seconds; return the state."""
        while self._next < len(self.packets) and self.packets[self._next][0] <= t:
            at, packet = self.packets[self._next]
            self._next += 1
            for message in decode(packet)[0]:
                self.state.handle_message(message, at, datetime.now(UTC))
        self.state.advance(t)
        return self.state
