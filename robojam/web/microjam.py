"""Performances of MicroJam, as its client sends them to RoboJam's service and reads the answer.

The client (RoboJamMaker.swift, TouchRecord.swift and ChirpPerformance.swift of
https://github.com/cpmpercussion/microjam) sends the lines of a performance, and takes each line
of the answer that begins with a number for a touch: time, x, y, z and moving. The service
(serve_tiny_performance_mdrnn.py of https://github.com/cpmpercussion/robojam) answers with times
since the beginning of the answer, z 38.0, and a first touch that lands.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from robojam.corpus.corpus import LINES, CorpusError, name_numbers
from robojam.corpus.formats import tables
from robojam.touch import MAX_DT
from robojam.web import limits
from robojam.web.api_types import InvalidError

_Touches = NDArray[np.float64]

#: Size of a touch, as RoboJam's service has it in its answers.
_SIZE = 38.0
#: Advice for people at a command line, and what takes its place.
_ADVICE: Final = re.compile(r"(\.? It looks like --units|\.? Otherwise say).*", re.DOTALL)
_UNITS: Final = ". Send places from 0 to 1, and times in seconds"
#: Lines of a performance, at most, that hold no touch.
_OTHER_LINES: Final = 100
#: Name of the text in errors: the field of the request.
_FIELD = "perf"


def read_performance(csv: str) -> _Touches:
    """Return the touches (n, 4) of a performance as a model hears them: x, y, dt, moving.

    Where its times fall, what was played last. Raises InvalidError, which names the line.
    """
    text = tables.Text(_FIELD, csv.encode("utf-8", "replace"))
    if not csv.strip():
        raise InvalidError(f"{_FIELD}: it is empty: send the lines of a performance")
    lines = csv.split("\n")
    if len(lines) > limits.MAX_CALL + _OTHER_LINES:
        raise _too_many(len(lines))
    for number, line in enumerate(lines, 1):
        if len(line) > limits.MAX_LINE:
            raise InvalidError(
                f"{_FIELD}: line {number} has {len(line):,} characters, and {limits.MAX_LINE} "
                "are the most"
            )
    try:
        layout = tables.find_layout(text)
        if layout is None:
            first = csv.strip().splitlines()[0]
            raise InvalidError(
                f"{_FIELD}: no line names its columns: the first should be time,x,y,z,moving, "
                f"and is {first!r:.60}"
            )
        corpus = tables.read_table(text, layout)
    except CorpusError as error:
        raise InvalidError(_ADVICE.sub(_UNITS, str(error))) from error
    wrong = f"lines that are not {layout.expected}"
    if wrong in corpus.dropped:
        raise InvalidError(f"{_FIELD}: {wrong}: {corpus.places.get(wrong, '')}")
    rows = np.asarray(corpus.events, np.float64)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        assert corpus.lines is not None
        places = name_numbers(LINES, corpus.lines[bad])
        raise InvalidError(f"{_FIELD}: {places}: every number must be finite")
    if len(rows) > limits.MAX_CALL:
        raise _too_many(len(rows))
    call = rows[corpus.offsets[-2] :].copy()
    call[:, :2] = call[:, :2].clip(0.0, 1.0)
    call[:, 2] = call[:, 2].clip(0.0, MAX_DT)
    call[0, 2] = 0.0
    return call


def _too_many(count: int) -> InvalidError:
    return InvalidError(
        f"{_FIELD}: it has {count:,} touches, and {limits.MAX_CALL:,} are the most: send the "
        "end of it"
    )


def write_answer(rows: list[list[float]]) -> str:
    """Return an answer, rows of x, y, dt and moving, in the client's format."""
    touches = np.array(rows, np.float64).reshape(-1, 4).round(6)
    touches[:1, 3] = 0.0
    times = touches[:, 2].cumsum().round(6).tolist()
    return tables.microjam_table(times, touches.tolist(), [_SIZE] * len(touches))
