"""Measure how well robojam keeps time with others: Link, MIDI clock in and out, CPU.

    python benchmarks/clocks.py [--json FILE] [--only PART …] [--minutes M] [--period FRAMES]

Parts: link (a session with a second peer, in a network of its own: Linux, root, aalink), in
(MIDI clock with jitter, on a simulated clock), jack (MIDI clock in from another program at
JACK, to the engine's beats), out (MIDI clock to another program at JACK, by the frame time
stamps of the receiver: jackd2, JACK-Client), cpu (a session of Link in which nobody plays),
sound (AUDIOENGINE-1 of Link's test plan: clicks of LinkHut and of robojam's metronome,
recorded at JACK: ableton-link-utils).
"""

from __future__ import annotations

import os
import random
import select
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from _output import argument_parser, print_and_save
from sound import jack as jack_server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.jack import clock_peer
from support.link import LinkHut, link_peer, own_network

from robojam.beats import Beats
from robojam.clock.messages import ClockRequest
from robojam.clock.midi_clock import TICKS, MidiClock
from robojam.ports.clock_port import ClockPort, ClockPorts

TEMPI = (40, 80, 120, 180, 240)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def of_errors(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles of absolute errors, in milliseconds."""
    errors = [abs(float(each)) * 1000 for each in seconds]
    return {
        "count": len(errors),
        "p50_ms": round(percentile(errors, 0.5), 3),
        "p99_ms": round(percentile(errors, 0.99), 3),
        "max_ms": round(max(errors), 3),
    }


# -- MIDI clock in, simulated --------------------------------------------------------------


def true_ticks(tempo: float, beats: int, *, ramps: bool) -> list[float]:
    """Return the times of ticks; ramps: of a fifth in four bars, up and down by turns."""
    times, t, now, up = [], 0.0, tempo, True
    for n in range(beats * TICKS):
        times.append(t)
        if ramps and n >= 16 * TICKS:
            if (n // TICKS) % 16 == 0 and n % TICKS == 0:
                up = not up
            now += (tempo * 0.2 / (16 * TICKS)) * (1 if up else -1)
            now = min(max(now, tempo), tempo * 1.2)
        t += 60 / now / TICKS
    return times


def simulated(jitter: str, *, ramps: bool, gap: bool = False) -> dict[str, Any]:
    """Return the errors of beats whose ticks come early or late by up to 5 ms."""
    found: dict[str, Any] = {}
    for tempo in TEMPI:
        rng = random.Random(tempo)
        draw = {
            "uniform": lambda rng=rng: rng.uniform(-0.005, 0.005),
            "gauss": lambda rng=rng: rng.gauss(0, 0.005),
            "none": lambda: 0.0,
        }[jitter]
        true = true_ticks(tempo, 400, ramps=ramps)
        clock, errors = MidiClock(), []
        clock.start()
        for n, t in enumerate(sorted(t + draw() for t in true)):
            if gap and (n // TICKS) % 40 in (30, 31):
                continue  # two beats of every forty are lost
            clock.tick(t)
            beats = clock.beats
            if n > 16 * TICKS and beats is not None:
                errors.append(beats.time_of(n / TICKS) - true[n])
        found[f"{tempo} bpm"] = of_errors(errors)
    return found


def measure_in() -> dict[str, Any]:
    return {
        "steady, ±5 ms": simulated("uniform", ramps=False),
        "steady, 5 ms standard deviation": simulated("gauss", ramps=False),
        "two beats of forty lost, ±5 ms": simulated("uniform", ramps=False, gap=True),
        "ramps of 20 % in 4 bars, ±5 ms": simulated("uniform", ramps=True),
        "ramps of 20 % in 4 bars, no jitter": simulated("none", ramps=True),
    }


# -- Link ----------------------------------------------------------------------------------


def wait_for(port: ClockPort, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        port.advance(time.perf_counter())
        select.select(port.filenos(), [], [], 0.05)
        port.receive()


def measure_link() -> dict[str, Any]:
    """Compare our beats with a peer's, twice a second, while it changes the tempo."""
    found: dict[str, Any] = {}
    with own_network(), link_peer(97.3) as peer:
        port = ClockPorts().open("link", 120.0, None, lambda: None)
        wait_for(port, 3.0)
        for tempo in (97.3, 60.0, 133.3, 174.0, 240.0):
            peer.do("tempo", tempo)
            wait_for(port, 8 * 60 / tempo)
            errors, tempi = [], []
            for _ in range(40):
                wait_for(port, 0.1)
                theirs, ours = peer.beats, port.report.beats
                assert ours is not None
                apart = (ours.beat_at(theirs.t) - theirs.beat + 2) % 4 - 2
                errors.append(apart * 60 / theirs.tempo)
                tempi.append(abs(ours.tempo / theirs.tempo - 1))
            found[f"{tempo} bpm"] = of_errors(errors) | {
                "tempo_ppm": round(1e6 * max(tempi), 2)
            }
        found["peers"] = port.report.peers
        port.close()
    return found


def measure_cpu() -> dict[str, Any]:
    """Return the CPU of the program of Link in a session in which nobody plays."""
    with own_network(), link_peer(120):
        port = ClockPorts().open("link", 120.0, None, lambda: None)
        wait_for(port, 3.0)
        process = port._client._process
        assert process is not None
        fields = Path(f"/proc/{process.pid}/stat").read_text
        before, began = sum(map(int, fields().split()[13:15])), time.monotonic()
        wait_for(port, 60.0)
        used = sum(map(int, fields().split()[13:15])) - before
        share = used / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
        port.close()
    return {"link_percent_of_a_core": round(100 * share, 3)}


# -- JACK ----------------------------------------------------------------------------------


def measure_jack(period: int) -> dict[str, Any]:
    """Compare our beats with those that another program sends a clock of."""
    found: dict[str, Any] = {}
    with jack_server(period), clock_peer("Drums") as drums:
        port = ClockPorts().open("midi:drums", 120.0, None, lambda: None)
        wait_for(port, 3.0)
        for tempo in TEMPI:
            true = Beats(time.perf_counter(), 0.0, tempo)
            drums.beats(true.t, true.beat, true.tempo)
            wait_for(port, 12 * 60 / tempo)
            errors = []
            for _ in range(100):
                wait_for(port, 0.1)
                ours, now = port.report.beats, time.perf_counter()
                assert ours is not None
                apart = (ours.beat_at(now) - true.beat_at(now) + 0.5) % 1 - 0.5
                errors.append(apart * 60 / tempo)
            found[f"{tempo} bpm"] = of_errors(errors)
        port.close()
    return found


def measure_out(period: int, minutes: float) -> dict[str, Any]:
    """Receive our clock, and compare each tick with the beats that it was to send."""
    with jack_server(period), clock_peer("Synth") as synth:
        port = ClockPorts().open_output("synth", lambda: None)
        wait_for(port, 3.0)
        beats = Beats(time.perf_counter(), 0.0, 120.0)
        port.ask(ClockRequest(beats=beats))
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            wait_for(port, 5.0)
            _ = synth.received
        port.close()
        time.sleep(0.3)
        received = synth.received
    ticks = [at for at, message in received if message == b"\xf8"]
    song = [message.hex() for _, message in received if message != b"\xf8"]
    first = round(beats.beat_at(ticks[0]) * TICKS)
    # To the nearest tick that was to come: JACK loses some where the machine is too busy.
    errors = [at - beats.time_of(round(beats.beat_at(at) * TICKS) / TICKS) for at in ticks]
    middle = statistics.median(errors)
    tenth = max(1, len(errors) // 10)
    drift = statistics.median(errors[-tenth:]) - statistics.median(errors[:tenth])
    gaps = [b - a for a, b in pairwise(ticks)]
    return {
        "minutes": minutes,
        "ticks": len(ticks),
        "missing": round(beats.beat_at(ticks[-1]) * TICKS) - first + 1 - len(ticks),
        "other": song,
        "error": of_errors(errors),
        "jitter": of_errors([each - middle for each in errors]),
        "interval": of_errors([gap - 60 / beats.tempo / TICKS for gap in gaps]),
        "drift_ms": round(1000 * drift, 4),
    }


def measure_sound(period: int) -> dict[str, Any]:
    """Record LinkHut's clicks and our metronome's, and compare their onsets."""
    import jack
    import numpy as np
    from support.engine import serving

    with jack_server(period), own_network():
        hut = LinkHut()
        recorder = jack.Client("recorder")
        ports = [recorder.inports.register(name) for name in ("hut", "robojam")]
        blocks: list[list[Any]] = [[], []]

        @recorder.set_process_callback
        def process(_frames: int) -> None:
            for kept, port in zip(blocks, ports, strict=True):
                kept.append(port.get_array().copy())

        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            hut_ready = time.monotonic() + 3
            while hut.state is None and time.monotonic() < hut_ready:
                time.sleep(0.1)
            hut.press("a ")
            with serving(
                Path(folder), "--clock", "link", "--metronome", "1", "--sound"
            ) as engine:
                engine.out.ask(lambda s: s["clock"]["peers"] == 1 and s["sound"].get("wait_ms"))
                wait = engine.out.ask()["sound"]["wait_ms"]
                recorder.activate()
                outputs = [p.name for p in recorder.get_ports(is_audio=True, is_output=True)]
                for name in outputs:
                    if "robojam" in name.lower():
                        recorder.connect(name, ports[1])
                    elif "hut" in name.lower():
                        recorder.connect(name, ports[0])
                time.sleep(30)
                recorder.deactivate()
        recorder.close()
        hut.close()
    onsets = []
    for kept in blocks:
        samples = np.abs(np.concatenate(kept))
        loud = np.flatnonzero(samples > 0.02)
        first = loud[np.flatnonzero(np.diff(loud, prepend=-(10**6)) > 4800)]
        onsets.append(first / 48000)
    apart = [t - onsets[0][np.argmin(np.abs(onsets[0] - t))] for t in onsets[1]]
    middle = statistics.median(apart)
    return {
        "clicks": [len(each) for each in onsets],
        "ours_later_ms": round(1000 * float(middle), 3),
        "of_that_known_as_wait_ms": wait,
        "around_that": of_errors([each - middle for each in apart]),
    }


def main() -> None:
    parser = argument_parser(__doc__ or "")
    parser.add_argument(
        "--only", nargs="*", default=["in", "link", "cpu", "jack", "out", "sound"]
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--period", type=int, default=256)
    given = parser.parse_args()
    figures: dict[str, Any] = {"load": os.getloadavg()[0]}
    parts = {
        "in": measure_in,
        "link": measure_link,
        "cpu": measure_cpu,
        "jack": lambda: measure_jack(given.period),
        "out": lambda: measure_out(given.period, given.minutes),
        "sound": lambda: measure_sound(given.period),
    }
    for name in given.only:
        figures[name] = parts[name]()
        print(name, figures[name], file=sys.stderr, flush=True)
    figures["load_at_the_end"] = os.getloadavg()[0]
    print_and_save(figures, given.json)


if __name__ == "__main__":
    main()
