"""Performances in recorded sessions: the humans' touches as the model heard them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from robojam.corpus.corpus import (
    LINES,
    PAUSES,
    Corpus,
    CorpusError,
    knob_corpus,
    name_numbers,
    part_at_pauses,
    pressed,
)
from robojam.corpus.formats import tables
from robojam.model.event import PRESSED, TOUCH
from robojam.sessions import session
from robojam.sessions.session import Session, TouchEvent
from robojam.sessions.strokes import Row, model_stream, touch_row
from robojam.touch import Phase, is_machine


def read_session(
    path: Path, *, machine: bool = False, strict: bool = False, pressure: bool = False
) -> Corpus:
    """Read the humans' part, or with machine every voice of it; with pressure, that too.

    Damaged lines are left out. Raises CorpusError, with strict also for a damaged line.
    """
    try:
        recorded = session.read(path, strict=strict)
    except session.SessionError as error:
        where = "" if error.line is None else f"line {error.line}: "
        advice = f"; {tables.TO_CSV}" if session.FOREIGN in error.why else ""
        raise CorpusError(path, f"{where}{error.why}{advice}") from error
    if any(event.touch.knobs for event in recorded.touches()):
        return _of_knobs(path, recorded, machine=machine)
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
    events = np.array(rows, dtype=np.float64).reshape(-1, len(PRESSED))
    events, pressures = events[:, : len(TOUCH)], events[:, len(TOUCH)]
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    dropped, places = _damage(recorded)
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
    corpus = Corpus(
        events, lengths, TOUCH, path.name, source="session", dropped=dropped, places=places
    )
    return pressed(corpus, pressures) if pressure else corpus


def _damage(recorded: Session) -> tuple[dict[str, int], dict[str, str]]:
    """Return how many lines of a session could not be read, and where they are."""
    dropped, places = {}, {}
    if damaged := recorded.damaged:
        dropped["damaged lines"] = len(damaged)
        places["damaged lines"] = name_numbers(LINES, np.array(damaged))
    if recorded.torn:
        dropped["torn last line"] = 1
    return dropped, places


def _of_knobs(path: Path, recorded: Session, *, machine: bool) -> Corpus:
    """Return the humans' events of knobs as one performance, or each voice's as one.

    Events of another number of knobs than most have are left out.
    """
    parts: dict[str, list[TouchEvent]] = {}
    widths = Counter(len(e.touch.knobs) for e in recorded.touches() if e.touch.knobs)
    knobs, others = widths.most_common(1)[0][0], 0
    for event in recorded.touches():
        touch = event.touch
        if is_machine(touch.who) is machine and touch.phase is not Phase.UP:
            if len(touch.knobs) == knobs:
                parts.setdefault(touch.who if machine else "", []).append(event)
            else:
                others += 1
    rows = [
        (*event.touch.knobs, event.touch.dt if machine else event.t - before.t)
        for part in parts.values()
        for before, event in pairwise([part[0], *part])
    ]
    events = np.array(rows, np.float64).reshape(-1, knobs + 1)
    lengths = np.array([len(part) for part in parts.values()], np.int64)
    dropped, places = _damage(recorded)
    if others:
        dropped[f"events that are not of {knobs} knobs"] = others
    lengths, after_pauses = part_at_pauses(events, lengths, time=knobs)
    if len(after_pauses):
        dropped[PAUSES] = len(after_pauses)
    corpus = knob_corpus(events, lengths, path.name, "session")
    return replace(corpus, dropped=dropped, places=places)


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
