"""Measure knobs: python benchmarks/knobs.py [--json FILE] [--seconds S] [--only PART …].

Parts: osc (a machine that plays alone turns 8 knobs over UDP: from the touch's own message to
each knob's, by the kernel's time stamps), fader (a human's finger goes through the surface in
a second, 60 touches a second, and turns a knob without and with smoothing: the largest step
of the knob as a share of its range, and how often values come), midi (the osc part at JACK:
from the touch's messages to each knob's, by the frames at the receiver, which hears in
periods: jackd2, JACK-Client), instrument (a jam of 8 knobs with robojam's own model, which a
scripted player turns: how late the machine's events are, how long the answer to a silence
takes, and the intervals between events against their dt).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save

from robojam.bench import percentile
from robojam.bench.client import engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

FEATURES = (
    "x", "y", "speed", "acceleration", "direction", "curvature", "stroke-length", "pressure",
)  # fmt: skip
PARTS = ("osc", "fader", "midi", "instrument")
#: Seconds at the beginning that are left out: the engine's compiler runs beside it.
BEGINNING = 8.0
#: Touches a second of the fader, and its ways through the surface.
RATE, WAYS = 60, 10
SMOOTH = 0.03


def table(rows: Sequence[str], folder: str, more: str = "") -> str:
    """Write a configuration of knobs, and return its path."""
    path = Path(folder) / "knobs.toml"
    path.write_text(more + "[map.out]\n" + "\n".join(rows) + "\n")
    return str(path)


def of_delays(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles of delays, in milliseconds."""
    return {
        "values": len(seconds),
        "p50_ms": round(1000 * percentile(seconds, 0.5), 3),
        "p99_ms": round(1000 * percentile(seconds, 0.99), 3),
        "max_ms": round(1000 * max(seconds), 3),
    }


def measure_osc(seconds: float) -> dict[str, Any]:
    """Return the delays of 8 knobs after the touch that turns them."""
    rows = [
        f'{name} = {{ target = "osc /knob/{name}", source = "{name}" }}' for name in FEATURES
    ]
    delays: list[float] = []
    touches, touched = 0, 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        engine("--config", table(rows, folder), "--mode", "solo", "--seed", "1") as e,
    ):
        list(e.messages(time.perf_counter() + BEGINNING))
        for message in e.messages(time.perf_counter() + seconds):
            if message.address.startswith("/robojam/ai"):  # a lift turns knobs, too
                touches, touched = touches + 1, message.at
            elif message.address.startswith("/knob/") and touched:
                delays.append(message.at - touched)
    return {"touches": touches} | of_delays(delays)


def measure_instrument(seconds: float, knobs: int = 8) -> dict[str, Any]:
    """Return how punctual a jam of an instrument with knobs is."""
    from robojam.training.knob_performances import performance

    hands, threshold = np.random.default_rng(1), 0.5
    errors: list[float] = []
    events = 0
    with engine("--knobs", str(knobs), "--seed", "1", "--response", "4") as e:
        list(e.messages(time.perf_counter() + BEGINNING))
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            due = time.perf_counter()
            for *values, dt in performance(hands, knobs, 3.0):
                due += min(float(dt), threshold / 2)
                list(e.messages(due))
                time.sleep(max(0.0, due - time.perf_counter()))
                last = e.send("/robojam/knobs", "f" * knobs, *map(float, values))
            answer = [m for m in e.messages(last + threshold + 4.5) if m.args]
            events += len(answer)
            errors += [b.at - a.at - b.args[0] for a, b in pairwise(answer)]
            # The first event is due its dt after the silence.
            errors += [m.at - last - threshold - m.args[0] for m in answer[:1]]
        late = e.status()["late_ms_p99"]
    return {
        "events": events,
        "late_ms_p99": round(late, 3),
        "interval_error_p50_ms": round(1000 * percentile(list(map(abs, errors)), 0.5), 3),
        "interval_error_p99_ms": round(1000 * percentile(list(map(abs, errors)), 0.99), 3),
    }


def measure_fader(smooth: float) -> dict[str, Any]:
    """Return the steps and the rate of a knob that a fader turns, 60 times a second."""
    row = f'a = {{ target = "osc /knob", source = "x", who = "humans", smooth = {smooth} }}'
    heard: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        engine("--config", table([row], folder), "--mode", "listen") as e,
    ):
        e.send("/robojam/down", "iff", 1, 0.0, 0.5)
        began = time.perf_counter()
        for n in range(RATE * WAYS + 1):
            way, part = divmod(n / RATE, 1)
            until = began + n / RATE
            heard += [(m.at, m.args[0]) for m in e.messages(until) if m.address == "/knob"]
            time.sleep(max(0.0, until - time.perf_counter()))
            e.send("/robojam/move", "iff", 1, part if way % 2 == 0 else 1 - part, 0.5)
        until = time.perf_counter() + 1
        heard += [(m.at, m.args[0]) for m in e.messages(until) if m.address == "/knob"]
    steps = [abs(two - one) for (_, one), (_, two) in pairwise(heard)]
    times = [at for at, _ in heard]
    return {
        "smooth_s": smooth,
        "values": len(heard),
        "largest_step": round(max(steps), 4),
        "step_p99": round(percentile(steps, 0.99), 4),
        "most_a_second": max(sum(at <= other < at + 1 for other in times) for at in times),
        "last": heard[-1][1],
    }


def measure_midi(seconds: float, period: int) -> dict[str, Any]:
    """Return the delays of 8 knobs after the touch that turns them, at JACK.

    The touch is two controllers of 14 bits, and one more that says when a finger is down.
    """
    import pytest
    from support.engine import serving
    from support.jack import clock_peer, running

    rows = [
        f'{name} = {{ target = "cc {20 + n}", source = "{name}" }}'
        for n, name in enumerate(FEATURES)
    ]
    with (
        pytest.MonkeyPatch.context() as patch,
        running(patch, period),
        clock_peer("Surge") as surge,
        tempfile.TemporaryDirectory() as folder,
    ):
        style = '[midi.touch]\nlike = "cc14"\ngate = 3\n'
        config = table(rows, folder, 'midi-out = ["Surge/touch"]\n' + style)
        with serving(Path(folder), "--config", config, "--mode", "solo", "--seed", "1") as e:
            e.out.ask(lambda status: status["midi"]["out"][0]["connected"])
            time.sleep(BEGINNING + seconds)
            received = surge.received
    delays: list[float] = []
    touched = 0.0
    for at, message in received:
        if message[0] == 0xB0:
            touched = at
        elif message[0] == 0xBF and touched:
            delays.append(at - touched)
    return {"period_ms": round(1000 * period / 48000, 2)} | of_delays(delays)


def main() -> None:
    """Measure the parts, and print a table and the figures as JSON."""
    parser = argument_parser(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=())
    parser.add_argument("--period", type=int, default=64, help="frames of JACK's period")
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    parts = {
        "osc": lambda: measure_osc(args.seconds),
        "fader": lambda: [measure_fader(smooth) for smooth in (0.0, SMOOTH)],
        "midi": lambda: measure_midi(args.seconds, args.period),
        "instrument": lambda: measure_instrument(args.seconds),
    }
    figures = {name: part() for name, part in parts.items() if name in (args.only or parts)}
    for name, result in figures.items():
        for row in result if isinstance(result, list) else [result]:
            print(
                f"| {name} |", " | ".join(f"{key} {value}" for key, value in row.items()), "|"
            )
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
