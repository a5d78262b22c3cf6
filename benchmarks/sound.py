"""Measure the built-in sound: latency, CPU, and its effect on the engine's timing.

    python benchmarks/sound.py [--json FILE]

Needs jackd2 (Debian) and JACK-Client (pip) to record what is played. No sound card is needed:
JACK's dummy driver has the timing of one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from _output import argument_parser, print_and_save

from robojam import bench
from robojam.bench import measures
from robojam.bench.client import engine
from robojam.controls import Settings
from robojam.jam.events import TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound.synth import Synth
from robojam.touch import Phase, Touch

SERVER = "robojam-bench"
PERIOD = 256


@contextmanager
def jack(period: int = PERIOD) -> Iterator[None]:
    """Run a JACK server without a sound card, at 48 kHz, for the block."""
    os.environ["JACK_DEFAULT_SERVER"] = SERVER
    command = ["jackd", "-n", SERVER, "-R", "-d", "dummy", "-r", "48000", "-p", str(period)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    time.sleep(1.0)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


class OnsetDetector:
    """JACK client that records the frames at which sound begins.

    The frames are steady, as those of a sound card, but the thread of the driver sometimes
    wakes late. So the time of a frame is computed from the earliest wake-up near it.
    """

    def __init__(self) -> None:
        import jack as jack_client

        self.client = jack_client.Client("onsets", servername=SERVER)
        self.ports = [self.client.inports.register(f"in{i}") for i in range(2)]
        self._cycles: list[tuple[int, float]] = []
        self._onsets: list[int] = []
        self._quiet = 10**9

        @self.client.set_process_callback
        def process(frames: int) -> None:
            now = time.perf_counter()
            first = self.client.last_frame_time
            self._cycles.append((first, now))
            block = np.maximum(*(np.abs(port.get_array()) for port in self.ports))
            loud = np.flatnonzero(block > 1e-4)
            if len(loud):
                if self._quiet > 0.15 * self.client.samplerate:
                    self._onsets.append(first + int(loud[0]))
                self._quiet = 0
            else:
                self._quiet += frames

    def onsets(self) -> list[float]:
        """Return the times at which sound began."""
        rate = self.client.samplerate
        return [
            onset / rate
            + min(now - f / rate for f, now in self._cycles if abs(f - onset) < rate // 16)
            for onset in self._onsets
        ]

    def listen(self) -> None:
        """Connect to robojam's output."""
        self.client.activate()
        playing: list[Any] = []
        while len(playing) < 2:
            time.sleep(0.05)
            playing = [
                port
                for port in self.client.get_ports(is_audio=True, is_output=True)
                if port.name.startswith("robojam")
            ]
        time.sleep(0.5)  # the ports exist before the client runs
        for port, mine in zip(playing, self.ports, strict=False):
            self.client.connect(port, mine)


def latency(taps: int) -> dict[str, Any]:
    """Measure the time from sending a touch to its first sample at the driver."""
    figures: dict[str, Any] = {}
    with jack(), engine("--mode", "listen", "--sound", "--instrument", "human=keys") as e:
        detector = OnsetDetector()
        detector.listen()
        time.sleep(1.0)
        sent: list[float] = []
        for _ in range(taps):
            # A fraction of a period more each time, so that taps fall on all phases of it.
            time.sleep(0.35 + 0.0037 * (len(sent) % 7))
            sent.append(e.send("/robojam/down", "iff", 1, 0.5, 0.2))
            time.sleep(0.03)
            e.send("/robojam/panic")
        time.sleep(0.2)
        figures["status"] = e.status()["sound"]
        onsets = detector.onsets()
        detector.client.deactivate()
        detector.client.close()
    late = []
    for at in sent:
        after = [onset - at for onset in onsets if 0 <= onset - at < 0.2]
        if after:
            late.append(1000 * after[0])
    figures |= {
        "taps": taps,
        "heard": len(late),
        "p50_ms": bench.percentile(late, 0.5),
        "p99_ms": bench.percentile(late, 0.99),
        "sd_ms": statistics.stdev(late),
        "period_ms": 1000 * PERIOD / 48000,
    }
    return figures


def chord(fingers: int) -> list[TouchPlayed]:
    """Return landings of several fingers."""
    return [
        TouchPlayed(0.0, Touch(i / max(fingers, 2), 0.3, 0.0, Phase.DOWN, i, "human"), 0.0)
        for i in range(fingers)
    ]


def cost() -> dict[str, Any]:
    """Return the CPU share of the synthesis in percent, by instrument and fingers."""
    figures: dict[str, Any] = {}
    for instrument in INSTRUMENTS:
        for fingers in (1, 4, 24):
            synth = Synth(settings=Settings(instrument=f"human={instrument}"))
            for event in chord(fingers):
                synth.handle(event, 0)
            best = min(_second(synth) for _ in range(3))
            figures[f"{instrument}, {fingers}"] = round(100 * best, 2)
    silent = Synth()
    figures["silent"] = round(100 * _second(silent), 3)
    return figures


def _second(synth: Synth) -> float:
    """Return the CPU seconds that a second of sound takes."""
    began = time.process_time()
    for _ in range(round(synth.rate / synth.tick)):
        synth.render()
    return time.process_time() - began


def engine_beside(touches: int) -> dict[str, Any]:
    """Measure the timing of the engine with and without the sound, in turn."""
    figures: dict[str, Any] = {"with": [], "without": []}
    with jack():
        for _ in range(3):
            for name, options in (("without", []), ("with", ["--sound"])):
                report = bench.Report()
                measures.duet(report, touches, *options)
                measures.solo(report, touches, *options)
                figures[name].append({f.name: round(f.value, 4) for f in report.figures})
    return figures


def deadlines(seconds: float) -> list[float]:
    """Return how late a thread wakes that has a deadline every 5 ms, in ms."""
    late = []
    due = time.perf_counter() + 0.1
    end = due + seconds
    while due < end:
        time.sleep(max(due - time.perf_counter(), 0))
        late.append(1000 * (time.perf_counter() - due))
        due += 0.005
    return late


def summary(late: list[float]) -> dict[str, float]:
    """Return p50, p99 and the maximum."""
    return {
        "p50_ms": round(bench.percentile(late, 0.5), 4),
        "p99_ms": round(bench.percentile(late, 0.99), 4),
        "max_ms": round(max(late), 4),
    }


def deadlines_beside_synthesis(seconds: float) -> dict[str, Any]:
    """Measure a thread with deadlines alone, and beside eight voices that are synthesised.

    The synthesis runs in a thread of the same process, then in a process of its own.
    """
    figures = {"alone": summary(deadlines(seconds))}
    stop = threading.Event()
    thread = threading.Thread(target=synthesise, args=(stop,))
    thread.start()
    figures["synthesis in a thread"] = summary(deadlines(seconds))
    stop.set()
    thread.join()
    process = subprocess.Popen([sys.executable, __file__, "--synthesise"])
    time.sleep(1.5)
    figures["synthesis in a process"] = summary(deadlines(seconds))
    process.kill()
    process.wait()
    return figures


def synthesise(stop: threading.Event) -> None:
    """Synthesise eight voices in real time until the event is set."""
    synth = Synth(settings=Settings(instrument="human=strings"))
    for event in chord(8):
        synth.handle(event, 0)
    due = time.perf_counter()
    while not stop.is_set():
        synth.render()
        due += 0.005
        time.sleep(max(due - time.perf_counter(), 0))


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--taps", type=int, default=100)
    parser.add_argument("--touches", type=int, default=300)
    parser.add_argument(
        "--synthesise", action="store_true", help="only synthesise, without end"
    )
    args = parser.parse_args()
    if args.synthesise:
        synthesise(threading.Event())
    figures = {
        "command": "python benchmarks/sound.py",
        "python": sys.version.split()[0],
        "processor": bench.processor(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "touch to driver": latency(args.taps),
        "% of a core": cost(),
        "deadlines beside synthesis": deadlines_beside_synthesis(8.0),
        "engine": engine_beside(args.touches),
    }
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
