"""Play for hours on a simulated clock: drift, growth, lost touches, fingers that stay down.

    python benchmarks/soak.py [--hours 10] [--players 1] [--json FILE]

Runs the real engine with the default model and the recorder. The clock jumps from deadline to
deadline, and packets are counted instead of sent. Simulated humans play phrases, and forget to
lift a finger now and then; the mode changes every half an hour. Memory and descriptors are
compared with those after five minutes. An hour of one player takes two minutes, one of eight
six.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.model_loader import fill_array_cache, load, one_thread
from robojam.jam import jam as live
from robojam.model.file import find
from robojam.ports.osc_out import make_outputs
from robojam.sessions.session import TouchEvent, read
from robojam.system.memory import keep_heaps_small
from robojam.touch import is_machine
from robojam.wire import osc

MODES = ("call-response", "solo", "duet")
HUMAN = ("127.0.0.1", 4000)
#: Seconds after which memory is compared: all that is loaded at its first use is there by then.
SETTLED = 300.0
#: Share of the strokes whose finger is not lifted by its player; seconds after which it is.
FORGOTTEN, SILENCE = 0.01, 12.0


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

    def send(self, address: str, tags: str = "", *args: Any, sender: Any = HUMAN) -> None:
        self.engine.packet(osc.encode(address, tags, *args), sender, self.now)

    def wait(self, seconds: float) -> None:
        """Advance the clock from deadline to deadline for some seconds."""
        end = self.now + seconds
        while (due := self.now + self.engine.advance()) <= end:
            self.now = math.nextafter(due, math.inf)
        self.now = end
        self.engine.advance()


class Player:
    """Human at a host of its own, who plays strokes of about two seconds."""

    def __init__(self, jam: SimulatedJam, number: int, random: random.Random) -> None:
        self._jam, self._random = jam, random
        self._address = (f"127.0.0.{1 + number}", HUMAN[1])
        self._x = self._y = 0.0
        self._left = 0  # touches of the stroke

    def play(self) -> float:
        """Send the next message; return the seconds until the one after it."""
        rng = self._random
        if self._left == 0:
            self._x, self._y, self._left = rng.random(), rng.random(), rng.randrange(40, 120)
            self._send("/robojam/down", "iff", 1, self._x, self._y)
        elif self._left == 1:
            self._left = 0
            if rng.random() >= FORGOTTEN:
                self._send("/robojam/up", "i", 1)
            return 8.0
        else:
            self._left -= 1
            self._x, self._y = (
                min(max(at + rng.gauss(0, 0.02), 0), 1) for at in (self._x, self._y)
            )
            self._send("/robojam/move", "iff", 1, self._x, self._y)
        return rng.uniform(0.011, 0.031)

    def _send(self, address: str, tags: str, *args: float) -> None:
        self._jam.send(address, tags, *args, sender=self._address)


def play(jam: SimulatedJam, seconds: float, players: int) -> dict[str, Any]:
    """Play for some seconds; return what has grown since all was loaded."""
    rng = random.Random(1)
    humans = [Player(jam, number, rng) for number in range(players)]
    modes = cycle(MODES)
    due = [(rng.random() * players, number) for number in range(players)]
    heapq.heapify(due)
    settled = min(SETTLED, seconds / 2)
    memory: list[tuple[float, float]] = []
    descriptors: list[int] = []
    look_at, change_at = settled, 0.0
    while jam.now < seconds:
        if jam.now >= change_at:  # at first soon, so that each has been played
            change_at += 1800.0 if jam.now >= settled else settled / len(MODES)
            jam.send("/robojam/mode", "s", next(modes))
        if jam.now >= look_at:
            look_at += 3600.0
            memory.append(memory_of())
            descriptors.append(count_descriptors())
            print(f"{jam.now:.0f} s: {memory[-1][0]:.2f} MB", file=sys.stderr, flush=True)
        at, number = heapq.heappop(due)
        jam.wait(max(0.0, at - jam.now))
        heapq.heappush(due, (at + humans[number].play(), number))
    jam.wait(SILENCE)
    return {
        f"memory after {settled:.0f} s, MB": round(memory[0][0], 2),
        "memory each hour, MB": [round(own, 2) for own, _ in memory[1:]],
        **growth(memory[0], memory_of()),
        "descriptors, before and after": [descriptors[0], count_descriptors()],
    }


def growth(before: tuple[float, float], after: tuple[float, float]) -> dict[str, float]:
    """Return by how much memory has grown, of `memory_of`."""
    return {
        "growth of memory, MB": round(after[0] - before[0], 2),
        "the same with pages of files, MB": round(after[1] - before[1], 2),
    }


def count_descriptors() -> int:
    """Return the number of descriptors that are open; 0 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def memory_of(process: int | str = "self") -> tuple[float, float]:
    """Return the memory of a process in MB: its own, and with the pages of files that it has.

    Pages of libraries are the system's: they come when code is first run, and may go again. NaN
    if the system does not say.
    """
    sizes: dict[str, float] = {}
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.startswith(("Rss", "VmRSS")):
                sizes[name] = int(rest.split()[0]) / 1e3
    own = sizes.get("RssAnon", math.nan) + sizes.get("RssShmem", math.nan)
    return own, sizes.get("VmRSS", math.nan)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--players", type=int, default=1)
    args = parser.parse_args()
    one_thread()
    keep_heaps_small()
    fill_array_cache()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        jam = SimulatedJam(folder)
        grown = play(jam, args.hours * 3600, args.players)
        left = len(jam.engine.live.jam.places())
        jam.engine.finish("the end")
        (path,) = Path(folder).glob("*.jsonl")
        session = read(path)
    touches = [e for e in session.events if isinstance(e, TouchEvent)]
    machine = [e for e in touches if is_machine(e.touch.who) and e.touch.phase != "up"]
    figures = {
        "hours": jam.now / 3600,
        "players": args.players,
        "touches": len(touches),
        "touches played": len(machine),
        "sent": jam.endpoint.touches,
        "lost": jam.endpoint.touches - len(machine),
        "greatest error from touch to touch, s": drift(session.events),
        **grown,
        "fingers down after a silence, and at the end": [left, len(fingers_down(touches))],
        "run time, s": time.perf_counter() - began,
    }
    print_and_save(figures, args.json)


def fingers_down(touches: Iterable[TouchEvent]) -> set[tuple[str, int]]:
    """Return the fingers that are down after some touches."""
    down: set[tuple[str, int]] = set()
    for event in touches:
        finger = event.touch.who, event.touch.id
        (down.discard if event.touch.phase == "up" else down.add)(finger)
    return down


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
