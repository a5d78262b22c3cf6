"""Measure how exactly answers and landings are in time with a clock, over UDP.

    python benchmarks/in_time.py [--answers 8] [--json FILE]

At each tempo somebody plays short phrases to an engine with the internal clock, --quantum beat,
--grid 1/16 and --lean 1; then again with tempo ramps of 20 % in 4 bars, up and down. The
recording has the beats and when each touch was due; its arrival at a socket, stamped by the
kernel, is compared with the least late one. Errors are in ms from the line; answers are the
first touches of the machine's turns.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import deque
from pathlib import Path

from _output import argument_parser, print_and_save

from robojam.beats import Beats, grid_lines
from robojam.bench import percentile
from robojam.bench.client import EngineProcess, ReceivedMessage
from robojam.sessions.session import Session, SetEvent, TouchEvent, read
from robojam.touch import Phase, is_machine

TEMPI = (40.0, 60.0, 96.0, 120.0, 180.0, 240.0)
#: Grid of the landings; answers begin on beats.
GRID = "1/16"
#: Limits in ms, for 99 % of answers and of landings.
ANSWER_MS, LANDING_MS = 3.0, 2.0
_OPTIONS = (
    "--clock", "internal", "--quantum", "beat", "--bars", "1", "--grid", GRID, "--lean", "1",
    "--threshold", "0.1", "--seed", "3", "--device", "cpu",
)  # fmt: skip
#: Seconds between two steps of a ramp.
_STEP = 0.05


class Band:
    """Somebody who plays phrases, and a clock whose tempo may change meanwhile."""

    def __init__(self, engine: EngineProcess, tempo: float, *, ramps: bool) -> None:
        self.engine, self.tempo, self.ramps = engine, tempo, ramps
        self.received: list[ReceivedMessage] = []
        self._began = time.perf_counter()

    def wait(self, seconds: float) -> None:
        """Receive for some seconds; change the tempo in small steps if it ramps."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            if self.ramps:
                part = (now - self._began) / (16 * 60 / self.tempo) % 2
                part = part if part < 1 else 2 - part
                self.engine.send("/robojam/tempo", "f", self.tempo * (1 + 0.2 * part))
            self.received += self.engine.messages(min(end, now + _STEP))

    def play(self, rng: random.Random) -> None:
        """Play a phrase at any time, and leave room for the answer of a bar."""
        x = rng.uniform(0.2, 0.8)
        self.engine.send("/robojam/down", "iff", 0, x, 0.5)
        for i in range(8):
            self.wait(0.02)
            self.engine.send("/robojam/move", "iff", 0, x + 0.01 * i, 0.5)
        self.engine.send("/robojam/up", "i", 0)
        self.wait(0.1 + (1 + 4 + rng.random()) * 60 / self.tempo)


def measured(tempo: float, answers: int, *, ramps: bool) -> tuple[list[float], list[float]]:
    """Return the errors in seconds of answers and of landings at a tempo."""
    rng = random.Random(tempo)
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess("--sessions", folder, *_OPTIONS, "--tempo", str(tempo))
        band = Band(engine, tempo, ramps=ramps)
        for _ in range(answers):
            band.play(rng)
        band.wait(0.3)
        engine.close()
        (path,) = Path(folder).glob("*.jsonl")
        return errors(read(path), band.received)


def errors(
    session: Session, received: list[ReceivedMessage]
) -> tuple[list[float], list[float]]:
    """Return how far answers and landings arrived from their lines, in seconds."""
    arrivals = deque(m for m in received if m.is_touch)
    grids = {True: grid_lines("1/4", 0.5), False: grid_lines(GRID, 0.5)}
    rows: list[tuple[bool, float, float]] = []  # whether an answer, from the line, arrival - t
    beats: Beats | None = None
    opens = False
    for event in session.events:
        if isinstance(event, SetEvent) and "beats" in event.values:
            beats = Beats.parse(event.values["beats"], event.t)
        if not isinstance(event, TouchEvent) or event.touch.phase is Phase.UP:
            continue
        if not is_machine(event.touch.who):
            opens = True
            continue
        message = arrivals.popleft()
        assert beats is not None
        assert message.address.endswith(event.touch.phase)
        if event.touch.phase is Phase.DOWN:
            lines = grids[opens]
            assert lines is not None
            line = beats.time_of(lines.beat_of(lines.nearest(beats.beat_at(event.t))))
            rows.append((opens, event.t - line, message.at - event.t))
        opens = False
    assert not arrivals
    least = min((late for _, _, late in rows), default=0.0)
    found = [(opens, off + late - least) for opens, off, late in rows]
    return [e for opens, e in found if opens], [e for opens, e in found if not opens]


def figures(seconds: list[float], limit_ms: float) -> dict[str, float]:
    """Return the number of errors, percentiles in ms, and the share within a limit."""
    off = [1000 * abs(each) for each in seconds]
    return {
        "count": len(off),
        **{f"p{100 * share:g}": round(percentile(off, share), 3) for share in (0.5, 0.99, 1)},
        f"% within {limit_ms:g} ms": round(
            100 * sum(each <= limit_ms for each in off) / max(1, len(off)), 2
        ),
    }


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--answers", type=int, default=8, help="at each tempo (default: 8)")
    args = parser.parse_args()
    results = {}
    for ramps in (False, True):
        answers: list[float] = []
        landings: list[float] = []
        for tempo in TEMPI:
            first, others = measured(tempo, args.answers, ramps=ramps)
            answers += first
            landings += others
        results["ramps of 20 % in 4 bars" if ramps else "steady"] = {
            "answers, ms from the line": figures(answers, ANSWER_MS),
            "landings, ms from the grid": figures(landings, LANDING_MS),
        }
    print_and_save(results, args.json)


if __name__ == "__main__":
    main()
