"""Measurements of how fast this machine plays, taken from outside of a real engine.

A client in a process of its own exchanges packets with the engine over UDP on loopback, so
that each figure contains all that a musician's program would meet. A bare timer runs beside
it: its lateness is that of the machine, not of robojam.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from robojam.bench import loopback, measures
from robojam.bench.client import BenchError
from robojam.bench.report import Figure, Report, percentile, processor

__all__ = [
    "BenchError",
    "Figure",
    "Report",
    "measure_loopback",
    "percentile",
    "processor",
    "run",
]


def run(*, length: str = "", model: str | None = None) -> Iterator[tuple[str, Report]]:
    """Take all measurements in turn.

    length is "quick", "long", or "" for between them. Yields the name of the next
    measurement and the report so far; in the end an empty name and the complete report.
    """
    quick = length == "quick"
    report = Report()
    options = [] if model is None else ["--model", model]
    yield "an engine at rest", report
    measures.idle(report, 1.0 if quick else 10.0, *options)
    yield "the sound", report
    measures.sound(report, 1.0 if quick else 3.0)
    yield "a duet", report
    measures.duet(report, 60 if quick else 500, *options)
    yield "turns", report
    measures.turns(report, 3 if quick else 30, *options)
    yield "plans of answers", report
    measures.plans(report, 2 if quick else 8, *options)
    yield "solo", report
    touches = {"quick": 120, "": 1000, "long": 20_000}[length]
    measures.solo(report, touches, *(measures.FASTER if length else ()), *options)
    if not quick:
        yield "solo, with a window that draws", report
        measures.solo(report, 1000, *options, with_window=True)
        yield "60 touches a second", report
        measures.busy(report, 15.0, *options)
        yield "64 voices", report
        measures.many_voices(report, 64, 15.0, *options)
    yield "", report


def measure_loopback(
    *,
    sound_in: str | None = None,
    sound_out: str | None = None,
    midi_in: str | None = None,
    midi_out: str | None = None,
) -> Iterator[tuple[str, Report]]:
    """Measure the latencies of sound and MIDI that come back through inputs, as `run` does.

    The arguments are parts of the names of devices and ports; None is the system's choice, for
    MIDI a port that robojam makes. What cannot be measured is in the report, with the reason.
    """
    from robojam.sound.device import NoSoundError

    report = Report()
    yield "the sound that comes back", report
    try:
        loopback.sound(report, 8, sound_in=sound_in, sound_out=sound_out)
    except (BenchError, NoSoundError) as error:
        report.add("touch to sound, by loopback", math.nan, "ms", note=str(error))
    yield "MIDI that comes back", report
    try:
        loopback.midi(report, 20, midi_in=midi_in, midi_out=midi_out)
    except BenchError as error:
        report.add("OSC to MIDI, by loopback", math.nan, "ms", note=str(error))
    yield "", report
