"""Where the time of one touch goes, from packet to packet.

    python benchmarks/path.py [MODEL]

A real server in this process, a real socket, the default model, recording, one monitor. Each
part is timed where it stands, as the touch passes through; a part's own time is without
that of the parts within it. Prints a table, and JSON with --json.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import time
from typing import Any

from robojam.bench import percentile
from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.model_loader import load, one_thread
from robojam.engine.monitors import Monitors
from robojam.engine.publisher import Publisher
from robojam.engine.takes import Takes
from robojam.jam.jam import Jam
from robojam.jam.voices import Voices
from robojam.model.file import find
from robojam.player.player import ModelPlayer
from robojam.ports.osc_out import OscOutput, make_outputs
from robojam.ports.udp import Endpoint
from robojam.wire import native, osc

TOUCHES = 2000
#: What is timed, in the order in which a touch meets it.
PARTS: list[tuple[Any, str, str]] = [
    (Engine, "_receive", "the socket receives (twice: until it is empty)"),
    (Engine, "packet", "whose it is"),
    (osc, "decode", "bytes to an OSC message"),
    (native, "parse", "a message to a finger"),
    (Jam, "finger", "fingers and turns"),
    (ModelPlayer, "feed", "the model hears it"),
    (ModelPlayer, "sample", "the model draws the answer"),
    (Engine, "advance", "what is due, and until when to sleep"),
    (Jam, "advance", "the schedule (each look)"),
    (Voices, "play", "the voice plays it"),
    (Publisher, "handle", "telling everyone (each event)"),
    (OscOutput, "handle", "a touch to OSC bytes (each event)"),
    (Monitors, "send", "to the monitors (each packet)"),
    (Endpoint, "send", "the socket sends (each packet)"),
    (Takes, "keep", "to the recorder's queue"),
    (ModelPlayer, "forecast", "the forecast, for the monitors, 30 a second at most"),
]


class Stopwatch:
    """Times calls, each without the calls within it that are timed too."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._within = [0.0]

    def time(self, owner: Any, name: str, part: str) -> None:
        """Time a function or method from now on."""
        act = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._within.append(0.0)
            began = time.perf_counter()
            try:
                return act(*args, **kwargs)
            finally:
                took = time.perf_counter() - began
                inner = self._within.pop()
                self._within[-1] += took
                self.parts.setdefault(part, []).append(1e6 * (took - inner))

        setattr(owner, name, timed)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("model", nargs="?", default=Options().model)
    asked.add_argument("--json", action="store_true")
    chosen = asked.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(chosen.model, folder)
    if chosen.json:
        print(json.dumps(found, indent=1))
    else:
        for part, (median, p99) in found.items():
            print(f"{part:48}{median:8.1f}{p99:8.1f}")


def measure(model: str, folder: str) -> dict[str, tuple[float, float]]:
    """Play a duet through a server; return each part's p50 and p99, in µs."""
    watch = Stopwatch()
    for owner, name, part in PARTS:
        watch.time(owner, name, part)
    hand = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hand.bind(("127.0.0.1", 0))
    port = hand.getsockname()[1]
    endpoint = Endpoint("127.0.0.1", 0)
    # Answers are due soon, so that none is replaced by the next touch.
    settings = Settings(mode="duet", timescale=0.001)
    options = Options(sessions=folder, seed=1, osc_out=(f"127.0.0.1:{port}",), mode="duet")
    server = Engine(
        options,
        load(find(model), device="cpu", voices=1),
        endpoint=endpoint,
        settings=settings,
        load=lambda *_: None,
        outputs=make_outputs(options, endpoint),
    )
    hand.sendto(osc.encode("/robojam/subscribe", "i", port), endpoint.address)
    server._receive()
    watch.parts.clear()
    heard, played = [], []
    for i in range(TOUCHES):
        x = 0.3 + 0.4 * (i % 97) / 97
        hand.sendto(osc.encode("/robojam/move", "iff", 1, x, 0.5), endpoint.address)
        began = time.perf_counter()
        server._receive()
        heard.append(1e6 * (time.perf_counter() - began))
        time.sleep(0.006)
        began = time.perf_counter()
        server.advance()
        played.append(1e6 * (time.perf_counter() - began))
    server.finish("done")
    table = {part: watch.parts[part] for _, _, part in PARTS if part in watch.parts}
    table["in all: from the packet in to the answer pending"] = heard
    table["in all: from the answer due to the packets out"] = played
    return {p: (percentile(t, 0.5), percentile(t, 0.99)) for p, t in table.items()}


if __name__ == "__main__":
    main()
