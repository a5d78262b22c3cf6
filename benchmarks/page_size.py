"""Size of the page of a jam (`robojam export --to jam.html`), and how fast it is written.

The jam is as dense as a duet can be: a human and the machine play 60 touches a second each, all
the time. Their strokes are those of the two example recordings, one after the other, as slow or
fast as this takes; each touch is moved by a little noise, so that nothing is repeated.

    python benchmarks/page_size.py
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robojam.export import html
from robojam.sessions.session import EndEvent, Session, TouchEvent, read
from robojam.sessions.strokes import strokes
from robojam.touch import Phase, Touch, is_machine

ROOT = Path(__file__).parents[1]
#: Deviation of the noise, in screens: about a pixel of a screen.
NOISE = 0.001


def played(*, machine: bool, seconds: float, rate: float) -> Iterator[TouchEvent]:
    """Yield a player's touches, of a rate in Hz, for some seconds."""
    random = np.random.default_rng(int(machine))
    who = "ai" if machine else "human"
    examples = [
        read(ROOT / "sessions" / name) for name in ("example.jsonl", "example-duet.jsonl")
    ]
    found = [s for e in examples for s in strokes(e) if is_machine(s[0].touch.who) == machine]
    gaps = [b.t - a.t for s in found for a, b in itertools.pairwise(s)]
    pace = 1 / rate / float(np.mean(gaps))
    t = 0.0
    for stroke in itertools.cycle(found):
        before = stroke[0].t
        for event in stroke:
            dt = (event.t - before) * pace * random.lognormal(0, 0.05) or 1 / rate
            before, t = event.t, t + dt
            if t >= seconds:
                return
            x, y = np.clip(random.normal((event.touch.x, event.touch.y), NOISE), 0, 1).tolist()
            yield TouchEvent(t, Touch(x, y, dt, event.touch.phase, 0, who))
        yield TouchEvent(t, Touch(x, y, 0.0, Phase.UP, 0, who))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument(
        "--rate", type=float, default=60, help="touches a second of each player"
    )
    parser.add_argument("--to", type=Path, help="also write the page to a file")
    options = parser.parse_args()
    seconds = options.minutes * 60
    events = [
        e
        for machine in (False, True)
        for e in played(machine=machine, seconds=seconds, rate=options.rate)
    ]
    events.sort(key=lambda event: event.t)
    header = read(ROOT / "sessions" / "example-duet.jsonl").header
    jam = Session(header, (*events, EndEvent(seconds, "quit")))
    began = time.perf_counter()
    page = html.page(jam)
    took = time.perf_counter() - began
    if options.to:
        options.to.write_text(page, "utf-8")
    touches = sum(jam.summary().touches.values())
    size = len(page.encode())
    empty = len(html.page(Session(header, (EndEvent(0.0, "quit"),))).encode())
    print(
        f"{options.minutes:g} minutes, {touches:,} touches: {size / 1000:,.0f} kB, of which the"
        f" page without touches {empty / 1000:.0f} kB;"
        f" {8 * (size - empty) * 0.75 / touches:.1f} bits a touch; written in {took:.1f} s"
    )


if __name__ == "__main__":
    main()
