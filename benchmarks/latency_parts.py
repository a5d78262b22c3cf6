"""Measure how much time each part of the engine takes for one touch, packet to packet.

    python benchmarks/latency_parts.py [MODEL] [--json FILE]

Runs a real engine in this process, with a real socket, the default model, a recording and one
monitor. Functions are wrapped and timed while touches pass through them; the time of a part
excludes the parts that it calls.
"""

from __future__ import annotations

import socket
import tempfile
import time
from functools import partial
from typing import Any

from _output import argument_parser, save

from robojam.bench import percentile
from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine import loop
from robojam.engine.engine import Engine
from robojam.engine.model_loader import load, one_thread
from robojam.engine.monitors import Monitors
from robojam.engine.publisher import Publisher
from robojam.engine.reception import Reception
from robojam.engine.takes import Takes
from robojam.jam.jam import Jam
from robojam.jam.modes import EARLIER_MODES
from robojam.jam.voices import Voices
from robojam.model.file import find
from robojam.player.player import ModelPlayer
from robojam.ports.destination import Destination
from robojam.ports.listener import Listener
from robojam.ports.osc_out import OscOutput, make_outputs
from robojam.ports.udp import Endpoint
from robojam.wire import osc
from robojam.wire.dialects import OscReader

TOUCHES = 2000
#: The timed functions and their names, in the order in which a touch passes them.
PARTS: list[tuple[Any, str, str]] = [
    (loop, "_receive", "receive from the socket (twice: until it is empty)"),
    (Reception, "take_in", "find the sender"),
    (osc, "decode_message", "decode the OSC message"),
    (OscReader, "read", "parse the message"),
    (Jam, "finger", "fingers and turns"),
    (ModelPlayer, "feed", "feed the model"),
    (ModelPlayer, "sample", "sample the answer"),
    (Engine, "advance", "find what is due and how long to sleep"),
    (Jam, "advance", "look at the schedule (each time)"),
    (Voices, "play", "play the touch of the voice"),
    (Publisher, "handle", "publish (each event)"),
    (OscOutput, "handle", "encode the touch as OSC (each event)"),
    (Monitors, "send", "send to the monitors (each packet)"),
    (Destination, "send", "send to the output (each packet)"),
    (Endpoint, "send", "send to the monitors (each packet)"),
    (Takes, "record", "put into the queue of the recorder"),
    (ModelPlayer, "forecast", "forecast for the monitors (30 per second at most)"),
]


class Stopwatch:
    """Timer of function calls; the time of a call excludes the timed calls within it."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._nested = [0.0]

    def time(self, owner: Any, name: str, part: str) -> None:
        """Replace a function or method by one that is timed."""
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._nested.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - began
                inner = self._nested.pop()
                self._nested[-1] += took
                self.parts.setdefault(part, []).append(1e6 * (took - inner))

        setattr(owner, name, timed)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("model", nargs="?", default=Options().model)
    args = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(args.model, folder)
    for part, (median, p99) in figures.items():
        print(f"{part:52}{median:8.1f}{p99:8.1f}")
    save(figures, args.json)


def measure(model: str, folder: str) -> dict[str, tuple[float, float]]:
    """Play the earlier duet through an engine; return p50 and p99 of each part in µs.

    In it one answer follows each touch, and nothing follows the answer.
    """
    stopwatch = Stopwatch()
    for owner, name, part in PARTS:
        stopwatch.time(owner, name, part)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    port = client.getsockname()[1]
    listener = Listener("127.0.0.1", 0)
    # Answers are due at once, so that the next touch replaces none.
    settings = Settings(mode="duet", timescale=0.001)
    options = Options(sessions=folder, seed=1, osc_out=(f"127.0.0.1:{port}",))
    loaded = load(find(model), device="cpu", voices=1)
    engine = Engine(
        options,
        loaded.info,
        partial(Jam, loaded.player, modes=EARLIER_MODES),
        endpoint=listener,
        settings=settings,
        load=lambda *_: None,
        outputs=make_outputs(options, listener),
    )

    def receive() -> None:
        loop._receive(engine, listener.sockets[0], engine.reception.read)
        engine.reception.listen()

    client.sendto(osc.encode("/robojam/subscribe", "i", port), listener.address)
    receive()
    stopwatch.parts.clear()
    answered, played = [], []
    for i in range(TOUCHES):
        x = 0.3 + 0.4 * (i % 97) / 97
        client.sendto(osc.encode("/robojam/move", "iff", 1, x, 0.5), listener.address)
        began = time.perf_counter()
        receive()
        answered.append(1e6 * (time.perf_counter() - began))
        time.sleep(0.006)
        began = time.perf_counter()
        engine.advance()
        played.append(1e6 * (time.perf_counter() - began))
    engine.finish("done")
    table = {part: stopwatch.parts[part] for _, _, part in PARTS if part in stopwatch.parts}
    table["total: packet in to answer pending"] = answered
    table["total: answer due to packets out"] = played
    return {p: (percentile(t, 0.5), percentile(t, 0.99)) for p, t in table.items()}


if __name__ == "__main__":
    main()
