"""Ten hours of playing on a clock that does not wait: drift, memory, touches lost.

    python benchmarks/soak.py [--hours 10] [--json]

The real server, default model and recorder; the clock is turned from deadline to deadline,
and what is sent is counted instead of sent. A human plays phrases; the mode changes every
half an hour. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.model_loader import load, one_thread
from robojam.model.file import find
from robojam.ports.osc_out import make_outputs
from robojam.sessions.session import TouchEvent, read
from robojam.touch import is_machine
from robojam.wire import osc

MODES = ("call-response", "solo", "duet")
HAND = ("127.0.0.1", 4000)


@dataclass
class Wire:
    """Stands where the endpoint does, and counts the touches that go out."""

    address: tuple[str, int] = ("127.0.0.1", 5005)
    unsent: int = 0
    touches: int = 0
    since: dict[str, float] = field(default_factory=dict)

    def is_own(self, _: tuple[str, int]) -> bool:
        return False

    def send(self, packet: bytes, _: tuple[str, int]) -> None:
        self.touches += packet.startswith((b"/robojam/ai/down", b"/robojam/ai/move"))

    def close(self) -> None:
        pass


class Jam:
    """A server on a clock of its own."""

    def __init__(self, folder: str) -> None:
        self.now = 0.0
        self.wire = Wire()
        options = Options(sessions=folder, seed=1, osc_out=("127.0.0.1:9000",))
        self.engine = Engine(
            options,
            load(find(options.model), device="cpu", voices=1),
            endpoint=self.wire,  # type: ignore[arg-type]
            settings=Settings(),
            load=lambda *_: None,
            outputs=make_outputs(options, self.wire),  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    def send(self, address: str, tags: str = "", *args: Any) -> None:
        self.engine.packet(osc.encode(address, tags, *args), HAND, self.now)

    def wait(self, seconds: float) -> None:
        """Turn the clock from deadline to deadline."""
        end = self.now + seconds
        while (due := self.now + self.engine.advance()) <= end:
            self.now = math.nextafter(due, math.inf)
        self.now = end
        self.engine.advance()


def phrase(jam: Jam, chance: random.Random) -> None:
    """Play a stroke of two seconds, as a human does."""
    x, y = chance.random(), chance.random()
    jam.send("/robojam/down", "iff", 1, x, y)
    for _ in range(chance.randrange(40, 120)):
        jam.wait(chance.uniform(0.011, 0.031))
        x, y = (min(max(at + chance.gauss(0, 0.02), 0), 1) for at in (x, y))
        jam.send("/robojam/move", "iff", 1, x, y)
    jam.send("/robojam/up", "i", 1)


def resident() -> float:
    """Memory that is resident now, in MB; NaN where the system does not tell so."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1e3
    except OSError:
        pass
    return math.nan


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--hours", type=float, default=10.0)
    asked.add_argument("--json", action="store_true")
    chosen = asked.parse_args()
    one_thread()
    chance, began = random.Random(1), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        jam, first = Jam(folder), math.nan
        while jam.now < chosen.hours * 3600:
            mode = MODES[int(jam.now / 1800) % len(MODES)]
            jam.send("/robojam/mode", "s", mode)
            phrase(jam, chance)
            jam.wait(8.0)
            if math.isnan(first) and jam.now > chosen.hours * 360:
                first = resident()
        last = resident()
        jam.engine.finish("the end")
        (path,) = Path(folder).glob("*.jsonl")
        session = read(path)
    played = [e for e in session.events if isinstance(e, TouchEvent)]
    machine = [e for e in played if is_machine(e.touch.who) and e.touch.phase != "up"]
    found = {
        "hours": jam.now / 3600,
        "touches played": len(machine),
        "sent": jam.wire.touches,
        "lost": jam.wire.touches - len(machine),
        "worst drift from dt to dt, s": drift(session.events),
        "memory after a tenth, MB": first,
        "memory at the end, MB": last,
        "took, s": time.perf_counter() - began,
    }
    print(json.dumps(found, indent=1) if chosen.json else found)


def drift(events: list[Any]) -> float:
    """By how much two of the machine's touches in a row stray from their dt, in seconds.

    Where nothing came between: a human's touch or a control makes another beginning.
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
