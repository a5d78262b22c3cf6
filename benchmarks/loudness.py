"""How loud each instrument is: performances rendered, loudness after ITU-R BS.1770-4.

    python benchmarks/loudness.py --json benchmarks/results/loudness.json

K-weighted, in blocks of 0.4 s that overlap by three quarters, gated at -70 LUFS and at 10
LU below the mean of the rest. How fast a performance renders is told too, beside what it
depends on: the synthesiser's tick.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path

import numpy as np
from kept import tell
from numpy.typing import NDArray

from robojam import bench
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase, Touch

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "microjam_val.npz"
Signal = NDArray[np.float64]


def shelf(rate: float) -> tuple[Signal, Signal]:
    """The head's high shelf: 4 dB from 1.7 kHz on, as a biquad (b, a)."""
    gain, q, f0 = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k, v = math.tan(math.pi * f0 / rate), 10 ** (gain / 20)
    vb, a0 = v**0.4996667741545416, 1 + k / q + k * k
    b = [v + vb * k / q + k * k, 2 * (k * k - v), v - vb * k / q + k * k]
    return np.array(b) / a0, np.array([1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])


def high_pass(rate: float) -> tuple[Signal, Signal]:
    """The weighting's high pass at 38 Hz, as a biquad (b, a)."""
    q, f0 = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * f0 / rate)
    a0 = 1 + k / q + k * k
    return np.array([1.0, -2.0, 1.0]), np.array(
        [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    )


def weighted(sound: Signal, rate: float) -> Signal:
    """K-weight (samples, channels): both biquads, by their response to every frequency."""
    count = 2 ** math.ceil(math.log2(len(sound) + rate))
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(count))
    response = np.ones(len(z), complex)
    for b, a in (shelf(rate), high_pass(rate)):
        response *= (b[0] + b[1] * z + b[2] * z**2) / (a[0] + a[1] * z + a[2] * z**2)
    spectrum = np.fft.rfft(sound, count, axis=0)
    return np.fft.irfft(spectrum * response[:, None], count, axis=0)[: len(sound)]


def lufs(sound: Signal, rate: float = RATE) -> float:
    """Integrated loudness of (samples, channels), in LUFS; minus infinity of silence."""
    block, step = round(0.4 * rate), round(0.1 * rate)
    power = weighted(sound, rate) ** 2
    starts = range(0, max(1, len(power) - block + 1), step)
    blocks = np.array([power[i : i + block].mean(axis=0).sum() for i in starts])

    def loud(of: Signal) -> float:
        return -0.691 + 10 * math.log10(of.mean()) if len(of) and of.mean() > 0 else -math.inf

    heard = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    gate = loud(heard) - 10
    return loud(heard[heard > 10 ** ((gate + 0.691) / 10)])


def performances(count: int) -> list[NDArray[np.float64]]:
    """Real performances, as rows of x, y, dt, moving."""
    held = np.load(CORPUS)
    rows, lengths = held["touches"], held["lengths"]
    split = np.split(rows, np.cumsum(lengths)[:-1])
    long = [one for one in split if one[:, 2].sum() > 3]
    return long[:: max(1, len(long) // count)][:count]


def rendered(rows: NDArray[np.float64], instrument: str, who: str) -> tuple[Signal, float]:
    """Return a performance as sound, and how much faster than played that was."""
    synth, parts, t = Synth(instrument=f"{who}={instrument}"), [], 0.0
    began = time.process_time()
    for index, (x, y, dt, moving) in enumerate(rows[:, :4]):
        t += float(dt)
        phase = Phase.MOVE if moving and index else Phase.DOWN
        sample = round(t * RATE)
        while synth.at + synth.tick <= sample:
            parts.append(synth.render())
        touch = Touch(float(x), float(y), float(dt), phase, 0, who)
        synth.handle(TouchPlayed(t, touch, float(dt)), sample)
    synth.handle(ControlChanged(t, "panic", 1), round((t + 0.15) * RATE))
    while synth.at < (t + 0.5) * RATE:
        parts.append(synth.render())
    took = time.process_time() - began
    return np.concatenate(parts).astype(np.float64), (t + 0.5) / took


def main() -> None:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--count", type=int, default=14)
    chosen = parser.parse_args()
    if not CORPUS.exists():
        raise SystemExit(f"no performances to play: {CORPUS} is not there")
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE)
    found: dict[str, object] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": bench.processor(),
        "a full-scale sine of 997 Hz in one channel, -3.01 by definition": round(
            lufs(np.stack([tone, 0 * tone], 1)), 2
        ),
        "tick_ms": round(1000 * Synth().tick / RATE, 3),
    }
    rows = performances(chosen.count)
    speeds = []
    for who in ("human", "ai"):
        for instrument in INSTRUMENTS:
            made = [rendered(one, instrument, who) for one in rows]
            loud = [lufs(sound) for sound, _ in made]
            speeds += [speed for _, speed in made]
            found[f"{who}: {instrument}, LUFS"] = round(statistics.mean(loud), 1)
    found["times faster than played, of one core: half, slowest"] = [
        round(statistics.median(speeds), 1),
        round(min(speeds), 1),
    ]
    tell(found, chosen.json, indent=1)


if __name__ == "__main__":
    main()
