"""Measure the loudness of each instrument (ITU-R BS.1770-4) and the speed of rendering.

    python benchmarks/loudness.py [--count 14] [--json FILE]

Performances of the corpus are rendered. Their loudness is K-weighted, in blocks of 0.4 s that
overlap by three quarters, gated at -70 LUFS and at 10 LU below the mean of the remaining
blocks. The speed depends on the tick of the synthesiser, which is reported with it.
"""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path

import numpy as np
from _output import argument_parser, print_and_save
from numpy.typing import NDArray

from robojam import bench
from robojam.controls import Settings
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase, Touch

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "microjam_val.npz"
Signal = NDArray[np.float64]


def shelf(rate: float) -> tuple[Signal, Signal]:
    """Return the high shelf of the K-weighting, 4 dB above 1.7 kHz, as a biquad (b, a)."""
    gain, q, f0 = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k, v = math.tan(math.pi * f0 / rate), 10 ** (gain / 20)
    vb, a0 = v**0.4996667741545416, 1 + k / q + k * k
    b = [v + vb * k / q + k * k, 2 * (k * k - v), v - vb * k / q + k * k]
    return np.array(b) / a0, np.array([1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])


def high_pass(rate: float) -> tuple[Signal, Signal]:
    """Return the high pass of the K-weighting, at 38 Hz, as a biquad (b, a)."""
    q, f0 = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * f0 / rate)
    a0 = 1 + k / q + k * k
    return np.array([1.0, -2.0, 1.0]), np.array(
        [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    )


def weighted(sound: Signal, rate: float) -> Signal:
    """Apply the K-weighting to sound (samples, channels) in the frequency domain."""
    count = 2 ** math.ceil(math.log2(len(sound) + rate))
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(count))
    response = np.ones(len(z), complex)
    for b, a in (shelf(rate), high_pass(rate)):
        response *= (b[0] + b[1] * z + b[2] * z**2) / (a[0] + a[1] * z + a[2] * z**2)
    spectrum = np.fft.rfft(sound, count, axis=0)
    return np.fft.irfft(spectrum * response[:, None], count, axis=0)[: len(sound)]


def lufs(sound: Signal, rate: float = RATE) -> float:
    """Return the integrated loudness of (samples, channels) in LUFS; -inf for silence."""
    block, step = round(0.4 * rate), round(0.1 * rate)
    power = weighted(sound, rate) ** 2
    starts = range(0, max(1, len(power) - block + 1), step)
    blocks = np.array([power[i : i + block].mean(axis=0).sum() for i in starts])

    def loudness(power: Signal) -> float:
        if not len(power) or power.mean() <= 0:
            return -math.inf
        return -0.691 + 10 * math.log10(power.mean())

    audible = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    gate = loudness(audible) - 10
    return loudness(audible[audible > 10 ** ((gate + 0.691) / 10)])


def performances(count: int) -> list[NDArray[np.float64]]:
    """Return performances of more than 3 s, arrays (n, 4) of x, y, dt, moving."""
    corpus = np.load(CORPUS)
    rows, lengths = corpus["touches"], corpus["lengths"]
    split = np.split(rows, np.cumsum(lengths)[:-1])
    long = [touches for touches in split if touches[:, 2].sum() > 3]
    return long[:: max(1, len(long) // count)][:count]


def rendered(rows: NDArray[np.float64], instrument: str, who: str) -> tuple[Signal, float]:
    """Return a performance as sound, and the speed of rendering relative to real time."""
    synth, parts, t = Synth(settings=Settings(instrument=f"{who}={instrument}")), [], 0.0
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
    cpu = time.process_time() - began
    return np.concatenate(parts).astype(np.float64), (t + 0.5) / cpu


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--count", type=int, default=14, help="number of performances")
    args = parser.parse_args()
    if not CORPUS.exists():
        raise SystemExit(f"the corpus {CORPUS} does not exist")
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE)
    figures: dict[str, object] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": bench.processor(),
        "a full-scale sine of 997 Hz in one channel, -3.01 by definition": round(
            lufs(np.stack([tone, 0 * tone], 1)), 2
        ),
        "tick_ms": round(1000 * Synth().tick / RATE, 3),
    }
    rows = performances(args.count)
    speeds = []
    for who in ("human", "ai"):
        for instrument in INSTRUMENTS:
            results = [rendered(touches, instrument, who) for touches in rows]
            loudness = [lufs(sound) for sound, _ in results]
            speeds += [speed for _, speed in results]
            figures[f"{who}: {instrument}, LUFS"] = round(statistics.mean(loudness), 1)
    figures["rendering speed relative to real time, one core: median, slowest"] = [
        round(statistics.median(speeds), 1),
        round(min(speeds), 1),
    ]
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
