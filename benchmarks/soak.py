"""Play ten hours on a simulated clock, and measure drift, memory growth and lost touches.

    python benchmarks/soak.py [--hours 10] [--json FILE]

Runs the real engine with the default model and the recorder. The clock jumps from deadline to
deadline, and packets are counted instead of sent. A simulated human plays phrases; the mode
changes every half an hour. Takes some minutes.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.model_loader import load, one_thread
from robojam.jam import jam as live
from robojam.model.file import find
from robojam.ports.osc_out import make_outputs
from robojam.sessions.session import TouchEvent, read
from robojam.touch import is_machine
from robojam.wire import osc

MODES = ("call-response", "solo", "duet")
HUMAN = ("127.0.0.1", 4000)


@dataclass
class CountingEndpoint:
    """Endpoint that counts the touches that the engine sends, instead of sending them."""

    address: tuple[str, int] = ("127.0.0.1", 5005)
    touches: int = 0
    since: dict[str, float] = field(default_factory=dict)

    def is_own(self, _: tuple[str, int]) -> bool:
        return False

    def is_here(self, _: str) -> bool:
        return True

    def advance(self, _: float) -> float:
        return math.inf

    def open_destination(self, *_: object, **__: object) -> CountingEndpoint:
        return self

    def send(self, packet: bytes, _: object = None) -> None:
        self.touches += packet.startswith((b"/robojam/ai/down", b"/robojam/ai/move"))

    def close(self) -> None:
        pass


class SimulatedJam:
    """Engine on a simulated clock."""

    def __init__(self, folder: str) -> None:
        self.now = 0.0
        self.endpoint = CountingEndpoint()
        options = Options(sessions=folder, seed=1, osc_out=("127.0.0.1:9000",))
        loaded = load(find(options.model), device="cpu", voices=1)
        self.engine = Engine(
            options,
            loaded.info,
            partial(live.Jam, loaded.player),
            endpoint=self.endpoint,  # type: ignore[arg-type]
            settings=Settings(),
            load=lambda *_: None,
            outputs=make_outputs(options, self.endpoint),  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    def send(self, address: str, tags: str = "", *args: Any) -> None:
        self.engine.packet(osc.encode(address, tags, *args), HUMAN, self.now)

    def wait(self, seconds: float) -> None:
        """Advance the clock from deadline to deadline for some seconds."""
        end = self.now + seconds
        while (due := self.now + self.engine.advance()) <= end:
            self.now = math.nextafter(due, math.inf)
        self.now = end
        self.engine.advance()


def phrase(jam: SimulatedJam, rng: random.Random) -> None:
    """Play a stroke of about two seconds."""
    x, y = rng.random(), rng.random()
    jam.send("/robojam/down", "iff", 1, x, y)
    for _ in range(rng.randrange(40, 120)):
        jam.wait(rng.uniform(0.011, 0.031))
        x, y = (min(max(at + rng.gauss(0, 0.02), 0), 1) for at in (x, y))
        jam.send("/robojam/move", "iff", 1, x, y)
    jam.send("/robojam/up", "i", 1)


def resident() -> float:
    """Return the resident memory of this process in MB, or NaN if the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1e3
    except OSError:
        pass
    return math.nan


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--hours", type=float, default=10.0)
    args = parser.parse_args()
    one_thread()
    rng, began = random.Random(1), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        jam, first = SimulatedJam(folder), math.nan
        while jam.now < args.hours * 3600:
            mode = MODES[int(jam.now / 1800) % len(MODES)]
            jam.send("/robojam/mode", "s", mode)
            phrase(jam, rng)
            jam.wait(8.0)
            if math.isnan(first) and jam.now > args.hours * 360:
                first = resident()
        last = resident()
        jam.engine.finish("the end")
        (path,) = Path(folder).glob("*.jsonl")
        session = read(path)
    touches = [e for e in session.events if isinstance(e, TouchEvent)]
    machine = [e for e in touches if is_machine(e.touch.who) and e.touch.phase != "up"]
    figures = {
        "hours": jam.now / 3600,
        "touches played": len(machine),
        "sent": jam.endpoint.touches,
        "lost": jam.endpoint.touches - len(machine),
        "greatest error from touch to touch, s": drift(session.events),
        "memory after a tenth, MB": first,
        "memory at the end, MB": last,
        "run time, s": time.perf_counter() - began,
    }
    print_and_save(figures, args.json)


def drift(events: list[Any]) -> float:
    """Return the greatest difference between dt and the time between two machine touches (s).

    Only touches that follow each other directly count: after a touch of a human or a control
    the machine begins a new sequence.
    """
    worst, before = 0.0, None
    for event in events:
        touch = event.touch if isinstance(event, TouchEvent) else None
        if touch is None or not is_machine(touch.who):
            before = None
        elif touch.phase != "up":
            if before is not None:
                worst = max(worst, abs(event.t - before - touch.dt))
            before = event.t
    return worst


if __name__ == "__main__":
    main()
