"""How fast this machine plays, measured from outside: a real engine, real packets.

Every figure is taken over UDP on loopback by a client in another process than the
engine, so that it holds all that a musician's own program would meet. A bare timer
loop runs beside it: what that shows is the machine's noise, not robojam's.
"""

from __future__ import annotations

from collections.abc import Iterator

from robojam.bench import measures
from robojam.bench.client import BenchError
from robojam.bench.report import Figure, Report, percentile, processor

__all__ = ["BenchError", "Figure", "Report", "percentile", "processor", "run"]

#: Touches of a solo, by how long the bench may take; the long one takes six minutes.
_SOLO = {"quick": 120, "": 1000, "long": 20_000}


def run(*, length: str = "", model: str | None = None) -> Iterator[tuple[str, Report]]:
    """Measure; yield what is measured next and the report so far, and the whole at the end.

    length is quick, long, or nothing for what is between.
    """
    quick = length == "quick"
    report = Report()
    options = [] if model is None else ["--model", model]
    yield "an engine at rest", report
    measures.rest(report, 1.0 if quick else 10.0, *options)
    yield "the sound", report
    measures.sound(report, 1.0 if quick else 3.0)
    yield "a duet", report
    measures.duet(report, 60 if quick else 500, *options)
    yield "turns", report
    measures.turns(report, 3 if quick else 30, *options)
    yield "solo", report
    measures.solo(report, _SOLO[length], *(measures.FASTER if length else ()), *options)
    if not quick:
        yield "solo, with a window that draws", report
        measures.beside_a_window(report, 1000, *options)
        yield "60 touches a second", report
        measures.busy(report, 15.0, *options)
        yield "64 voices", report
        measures.choir(report, 64, 15.0, *options)
    yield "", report
