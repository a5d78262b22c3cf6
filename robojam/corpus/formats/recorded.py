"""Performances in recorded sessions: the humans' touches as the model heard them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from robojam.corpus.corpus import (
    LINES,
    PAUSES,
    TOUCH,
    Corpus,
    CorpusError,
    name_numbers,
    part_at_pauses,
)
from robojam.corpus.formats import tables
from robojam.sessions import session
from robojam.sessions.strokes import Row, model_stream, touch_row
from robojam.touch import Phase, is_machine


def read_session(path: Path, *, machine: bool = False, strict: bool = False) -> Corpus:
    """Read the humans' part, or with machine every voice of it.

    Damaged lines are left out. Raises CorpusError, with strict also for a damaged line.
    """
    try:
        recorded = session.read(path, strict=strict)
    except session.SessionError as error:
        where = "" if error.line is None else f"line {error.line}: "
        advice = f"; {tables.TO_CSV}" if session.FOREIGN in error.why else ""
        raise CorpusError(path, f"{where}{error.why}{advice}") from error
    if machine:
        voices: dict[str, list[Row]] = {}
        for event in recorded.touches():
            if is_machine(event.touch.who) and event.touch.phase is not Phase.UP:
                voices.setdefault(event.touch.who, []).append(touch_row(event))
        parts = list(voices.values())
    else:
        stream = model_stream(recorded.touches())
        parts = [stream] if stream else []
    rows = [row for part in parts for row in part]
    events = np.array(rows, dtype=np.float64).reshape(-1, len(TOUCH))
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    dropped, places = {}, {}
    if damaged := recorded.damaged:
        dropped["damaged lines"] = len(damaged)
        places["damaged lines"] = name_numbers(LINES, np.array(damaged))
    if recorded.torn:
        dropped["torn last line"] = 1
    lengths, after_pauses = part_at_pauses(events, lengths)
    if len(after_pauses):
        dropped[PAUSES] = len(after_pauses)
    if not rows:
        # Reported, or a session of the other part alone would look empty.
        whose = "a human" if machine else "the machine"
        played = sum(event.touch.phase is not Phase.UP for event in recorded.touches())
        how = "without" if machine else "with"
        dropped |= {f"touches, all by {whose} ({how} --machine they are read)": played}
        dropped = {reason: count for reason, count in dropped.items() if count}
    return Corpus(
        events, lengths, TOUCH, path.name, source="session", dropped=dropped, places=places
    )


def find_contained(paths: Iterable[Path]) -> dict[Path, Path]:
    """Return the recordings of which another has every line, each with that one.

    The recorder leaves the beginning of a recording behind where it writes all of it again. Of
    two that are the same, the first stays.
    """
    by_header: dict[bytes, list[Path]] = {}
    for path in filter(Path.is_file, paths):
        with suppress(OSError), path.open("rb") as file:
            header = file.readline(session.MAX_LINE)
            if header.startswith(b"{"):
                by_header.setdefault(header, []).append(path)
    contained: dict[Path, Path] = {}
    for same in by_header.values():
        if len(same) == 1:
            continue
        lines = {path: session.complete_lines(path) for path in same}
        longest_first = sorted(same, key=lambda path: len(lines[path]), reverse=True)
        kept: list[Path] = []
        for path in longest_first:
            container = next((other for other in kept if lines[path] <= lines[other]), None)
            if container is None:
                kept.append(path)
            else:
                contained[path] = container
    return contained
