"""The sound: how late a touch is heard, what it costs, and what it does to the engine.

Needs Debian's jackd2 and, to hear what leaves, `pip install JACK-Client`; no sound card:
JACK's dummy driver keeps time as one would. With `--signalflow` (pip install signalflow)
the library that was the alternative is measured beside it.

    python benchmarks/sound.py --to benchmarks/results/sound.json
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from kept import tell

from robojam import bench
from robojam.bench import measures
from robojam.bench.client import engine
from robojam.jam.events import TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound.synth import Synth
from robojam.touch import Phase, Touch

SERVER = "robojam-bench"
PERIOD = 256


@contextmanager
def jack(period: int = PERIOD) -> Iterator[None]:
    """A JACK server without a card, at 48 kHz."""
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


class Ear:
    """A JACK client that notes at which frame sound begins.

    Frames are steady, as a card's are; the driver's thread wakes now and then late. The
    earliest it has been of late tells when a frame was due.
    """

    def __init__(self) -> None:
        import jack as jack_client

        self.client = jack_client.Client("ear", servername=SERVER)
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
        """When sound began, by the clock."""
        rate = self.client.samplerate
        return [
            onset / rate
            + min(now - f / rate for f, now in self._cycles if abs(f - onset) < rate // 16)
            for onset in self._onsets
        ]

    def listen(self) -> None:
        self.client.activate()
        playing: list[Any] = []
        while len(playing) < 2:
            time.sleep(0.05)
            playing = [
                port
                for port in self.client.get_ports(is_audio=True, is_output=True)
                if port.name.startswith("robojam")
            ]
        time.sleep(0.5)  # its ports are there before it takes part
        for port, mine in zip(playing, self.ports, strict=False):
            self.client.connect(port, mine)


def latency(taps: int) -> dict[str, Any]:
    """From a touch that leaves a musician's program to its first sample at the driver."""
    found: dict[str, Any] = {}
    with jack(), engine("--mode", "listen", "--sound", "--instrument", "human=keys") as e:
        ear = Ear()
        ear.listen()
        time.sleep(1.0)
        sent: list[float] = []
        for _ in range(taps):
            # 0.35 s, and by a fraction of a period more each time, so that every phase
            # of it is met.
            time.sleep(0.35 + 0.0037 * (len(sent) % 7))
            sent.append(e.send("/robojam/down", "iff", 1, 0.5, 0.2))
            time.sleep(0.03)
            e.send("/robojam/panic")
        time.sleep(0.2)
        found["status"] = e.status()["sound"]
        onsets = ear.onsets()
        ear.client.deactivate()
        ear.client.close()
    late = []
    for at in sent:
        after = [onset - at for onset in onsets if 0 <= onset - at < 0.2]
        if after:
            late.append(1000 * after[0])
    found |= {
        "taps": taps,
        "heard": len(late),
        "p50_ms": bench.percentile(late, 0.5),
        "p99_ms": bench.percentile(late, 0.99),
        "sd_ms": statistics.stdev(late),
        "period_ms": 1000 * PERIOD / 48000,
    }
    return found


def chord(fingers: int) -> list[TouchPlayed]:
    return [
        TouchPlayed(0.0, Touch(i / max(fingers, 2), 0.3, 0.0, Phase.DOWN, i, "human"), 0.0)
        for i in range(fingers)
    ]


def cost() -> dict[str, Any]:
    """Seconds of a core for a second of sound, by instrument and fingers."""
    found: dict[str, Any] = {}
    for instrument in INSTRUMENTS:
        for fingers in (1, 4, 24):
            synth = Synth(instrument=f"human={instrument}")
            for what in chord(fingers):
                synth.handle(what, 0)
            best = min(_second(synth) for _ in range(3))
            found[f"{instrument}, {fingers}"] = round(100 * best, 2)
    silent = Synth()
    found["nobody"] = round(100 * _second(silent), 3)
    return found


def _second(synth: Synth) -> float:
    began = time.process_time()
    for _ in range(round(synth.rate / synth.tick)):
        synth.render()
    return time.process_time() - began


def engine_beside(touches: int) -> dict[str, Any]:
    """The engine's lateness with the sound, and without, in turn."""
    found: dict[str, Any] = {"with": [], "without": []}
    with jack():
        for _ in range(3):
            for name, options in (("without", []), ("with", ["--sound"])):
                report = bench.Report()
                measures.duet(report, touches, *options)
                measures.solo(report, touches, *options)
                found[name].append({f.name: round(f.value, 4) for f in report.figures})
    return found


def deadlines(seconds: float) -> list[float]:
    """How late a thread wakes that has something due every 5 ms, in ms."""
    late = []
    due = time.perf_counter() + 0.1
    end = due + seconds
    while due < end:
        time.sleep(max(due - time.perf_counter(), 0))
        late.append(1000 * (time.perf_counter() - due))
        due += 0.005
    return late


def summary(late: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(bench.percentile(late, 0.5), 4),
        "p99_ms": round(bench.percentile(late, 0.99), 4),
        "max_ms": round(max(late), 4),
    }


def where_it_runs(seconds: float, *, signalflow: bool) -> dict[str, Any]:
    """A thread with deadlines beside eight voices that sound: nowhere, in a thread of the
    same process, in a process of their own, in SignalFlow's thread."""
    found = {"nothing": summary(deadlines(seconds))}
    stop = threading.Event()

    def play() -> None:
        synth = Synth(instrument="human=strings")
        for what in chord(8):
            synth.handle(what, 0)
        due = time.perf_counter()
        while not stop.is_set():
            synth.render()
            due += 0.005
            time.sleep(max(due - time.perf_counter(), 0))

    thread = threading.Thread(target=play)
    thread.start()
    found["a thread"] = summary(deadlines(seconds))
    stop.set()
    thread.join()
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import sound, time;"
        "s = sound.Synth(instrument='human=strings');"
        "[s.happened(w, 0) for w in sound.chord(8)]\n"
        "due = time.perf_counter()\n"
        "while True:\n s.render(); due += 0.005; time.sleep(max(due - time.perf_counter(), 0))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    time.sleep(1.5)
    found["a process"] = summary(deadlines(seconds))
    process.kill()
    process.wait()
    if signalflow:
        found |= with_signalflow(seconds)
    return found


def with_signalflow(seconds: float) -> dict[str, Any]:
    """The same with SignalFlow: its audio is made in C++, but a new voice is made in Python."""
    import signalflow as sf

    with jack():
        config = sf.AudioGraphConfig()
        config.output_buffer_size, config.sample_rate = PERIOD, 48000
        config.backend_name = "jack"
        graph = sf.AudioGraph(config=config)

        def voice(hz: float) -> Any:
            pitch = sf.Smooth(hz, 0.99)
            saws = sum(sf.SawOscillator(pitch * ratio) for ratio in (0.998, 1.0, 1.002))
            shape = sf.ASREnvelope(0.005, 1, 0.1)
            return sf.StereoPanner(sf.SVFilter(saws, "low_pass", 2000, 0.1) * shape * 0.05, 0.2)

        playing = [voice(110.0 + 11 * i) for i in range(8)]
        for one in playing:
            one.play()
        late = deadlines(seconds)
        made = []
        for i in range(300):
            began = time.perf_counter()
            one = voice(220.0 + i)
            one.play()
            made.append(1000 * (time.perf_counter() - began))
            time.sleep(0.003)
            one.stop()
        graph.stop()
    return {
        "SignalFlow": summary(late),
        "SignalFlow: a voice begun, on the engine's thread": summary(made),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--taps", type=int, default=100)
    parser.add_argument("--touches", type=int, default=300)
    parser.add_argument("--signalflow", action="store_true")
    chosen = parser.parse_args()
    found = {
        "command": "python benchmarks/sound.py",
        "python": sys.version.split()[0],
        "processor": bench.processor(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "touch to driver": latency(chosen.taps),
        "% of a core": cost(),
        "where it runs": where_it_runs(8.0, signalflow=chosen.signalflow),
        "engine": engine_beside(chosen.touches),
    }
    tell(found, chosen.to, indent=1)


if __name__ == "__main__":
    main()
